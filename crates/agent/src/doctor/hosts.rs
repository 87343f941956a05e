//! Which hosts are this agent's business, and which addresses are nobody's.
//!
//! An examination is a request that somebody else words and that this machine sends, so it must not become a way to look
//! around in a network that only this machine can reach. Names are compared as they are configured; the address behind a
//! name is looked at again at the dial, so that a name cannot point elsewhere in between.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mooring_wire::{Host, Reach, Url};

use crate::config::{AdapterSettings, Allow, GatewayConfig};

/// Where clouds serve the secrets of their machines, beside 169.254.0.0/16.
const METADATA: [IpAddr; 4] = [
    // Alibaba Cloud, Oracle Cloud, Azure's host.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // AWS.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// An address in the configuration: where it leads, whatever it is for. `None`: nowhere that can be dialled.
pub(super) fn place(address: &str) -> Option<Url> {
    let address = match address.split_once("://") {
        Some(("ws" | "http", rest)) => format!("ws://{rest}"),
        Some(("wss" | "https", rest)) => format!("wss://{rest}"),
        Some(_) => return None,
        None => format!("ws://{address}"),
    };
    address.parse().ok()
}

/// Everything that a gateway's configuration names, as far as it is an address.
pub(super) fn places(config: &GatewayConfig) -> Vec<Url> {
    let mut addresses = vec![config.url.clone()];
    addresses.extend(config.expect.host.clone().map(|host| {
        // The name is asked for as securely as the place it stands for.
        let scheme = config.url.split_once("://").map_or("ws", |(scheme, _)| scheme);
        format!("{scheme}://{host}")
    }));
    if let Some(relay) = &config.relay {
        addresses.extend(relay.upstream.iter().chain(&relay.listen).cloned());
    }
    for adapter in AdapterSettings::of(config) {
        addresses.extend(adapter.addresses());
    }
    addresses.iter().filter_map(|address| place(address)).collect()
}

/// The hosts of all gateways.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    allow: Allow,
    own: HashSet<Host>,
}

impl Hosts {
    pub(super) fn of(gateways: &[GatewayConfig], allow: Allow) -> Self {
        let all = gateways.iter().flat_map(places).map(|url| bare(url.host()));
        let unspecified = |host: &Host| matches!(host, Host::Ip(ip) if ip.is_unspecified());
        Self { allow, own: all.filter(|host| !unspecified(host)).collect() }
    }

    /// Whether an address may be examined; in words, why not.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let host = bare(url.host());
        if self.own.contains(&host) {
            return Ok(());
        }
        if let Host::Ip(ip) = &host
            && is_private_to_the_machine(*ip)
        {
            return Err(format!(
                "{ip} is an address of the link itself or of the cloud's metadata; it is examined only where a gateway is configured there"
            ));
        }
        match self.allow {
            Allow::Any => Ok(()),
            Allow::Own => Err(format!(
                "`{host}` is not a host of this agent's gateways; it examines others only where its configuration says `[doctor] allow = \"any\"`"
            )),
        }
    }

    /// The addresses that may be dialled once names are resolved.
    pub(super) fn reach(&self) -> Reach {
        let own: HashSet<IpAddr> = self.own.iter().filter_map(address).collect();
        Reach::new(move |ip| own.contains(&ip) || !is_private_to_the_machine(ip))
    }
}

fn address(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Ip(ip) => Some(*ip),
        Host::Name(_) => None,
    }
}

/// A host in the one form it is compared in: names without the dot at their end, addresses as what they are.
pub(super) fn bare(host: &Host) -> Host {
    match host {
        Host::Ip(ip) => Host::Ip(ip.to_canonical()),
        Host::Name(name) => Host::Name(name.strip_suffix('.').unwrap_or(name).to_owned()),
    }
}

/// Whether an address means something else on each machine, or gives a machine's secrets away.
fn is_private_to_the_machine(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || behind_nat64(v6).is_some_and(|v4| v4.is_link_local()),
    };
    link_local || METADATA.contains(&ip)
}

/// The IPv4 address that a NAT64 gateway would dial (RFC 6052, section 2.1).
fn behind_nat64(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = ip.segments() else { return None };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mooring_core::id::GatewayId;

    fn asked(hosts: &Hosts, url: &str) -> Result<(), String> {
        hosts.check(&url.parse().unwrap())
    }

    #[test]
    fn hosts_that_the_configuration_names_are_own() {
        let mut config = GatewayConfig::new(GatewayId::new("chat").unwrap(), "ws://10.0.0.7:9000/ws");
        config.expect.host = Some("Chat.Example".to_owned());
        config.bisheng = Some(Box::default());
        let bisheng = config.bisheng.as_mut().unwrap();
        bisheng.backend = "http://api.internal:7860".to_owned();
        let hop = mooring_gateways::bisheng::Hop {
            name: "nginx".to_owned(),
            url: "https://bisheng.example/x".to_owned(),
        };
        bisheng.hops = vec![hop];
        let hosts = Hosts::of(&[config], Allow::Own);
        for own in [
            "ws://10.0.0.7:1/other",
            "wss://chat.example./ws",
            "ws://api.internal:3001/",
            "ws://[::ffff:10.0.0.7]/",
            "wss://bisheng.example/",
        ] {
            assert_eq!(asked(&hosts, own), Ok(()), "{own}");
        }
        for foreign in ["ws://10.0.0.8/", "ws://localhost/", "ws://xchat.example/", "ws://chat.example.evil/"]
        {
            assert!(asked(&hosts, foreign).unwrap_err().contains("allow = \"any\""), "{foreign}");
        }
        let any = Hosts { allow: Allow::Any, ..hosts };
        assert_eq!(asked(&any, "ws://10.0.0.8/"), Ok(()));
    }

    #[test]
    fn metadata_is_out_of_reach_unless_a_gateway_is_there() {
        let mut config = GatewayConfig::new(GatewayId::new("chat").unwrap(), "ws://169.254.7.7/ws");
        config.url = "ws://169.254.7.7/ws".to_owned();
        let hosts = Hosts::of(&[config], Allow::Any);
        assert_eq!(asked(&hosts, "ws://169.254.7.7/"), Ok(()));
        for never in [
            "ws://169.254.169.254/latest/",
            "ws://[fe80::1]/",
            "ws://[::ffff:169.254.169.254]/",
            "ws://[64:ff9b::a9fe:a9fe]/",
            "ws://[fd00:ec2::254]/",
            "ws://100.100.100.200/",
        ] {
            assert!(asked(&hosts, never).unwrap_err().contains("metadata"), "{never}");
        }
        let reach = hosts.reach();
        for (ip, may) in
            [("169.254.169.254", false), ("169.254.7.7", true), ("10.0.0.1", true), ("fe80::1", false)]
        {
            assert_eq!(reach.admits(ip.parse().unwrap()), may, "{ip}");
        }
    }
}
