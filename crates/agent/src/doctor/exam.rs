//! From a question and the configuration in force to an examination: where to look, and what goes along.
//!
//! A gateway is examined as it is dialled: with its headers, its secrets, its TLS, its `Host`. Those go to the gateway's
//! own hosts and to no other, however an address is worded, and never in clear text where the configuration has TLS.
//! Files are read here, so this is for a thread that may block.

use std::time::Duration;

use mooring_doctor::{Audience, Dial, Exam};
use mooring_proto::examine::Question;
use mooring_runtime::lifecycle::error_chain;
use mooring_runtime::tls::{ClientTls, ClientTlsConfig};
use mooring_wire::{Host, Timeouts, Url};
use secrecy::ExposeSecret as _;

use super::hosts::{Hosts, bare, places};
use crate::config::{Allow, Endpoint, GatewayConfig};

/// Longest that one step of a probe may take, however patient the watch is: an examination has dozens.
const MAX_STEP: Duration = Duration::from_secs(10);

/// Makes the examination.
///
/// # Errors
/// In words for the operator: an unknown gateway, an address that is none or not this agent's business, an unreadable file.
pub(super) fn exam(question: &Question, gateways: &[GatewayConfig], allow: Allow) -> Result<Exam, String> {
    let hosts = Hosts::of(gateways, allow);
    let config = match &question.gateway {
        None => None,
        Some(id) => Some(
            gateways
                .iter()
                .find(|g| g.id == *id)
                .ok_or_else(|| format!("gateway `{id}` is not watched by this agent"))?,
        ),
    };
    let own = config.map(endpoint).unwrap_or_default();
    let url = question.url.clone().unwrap_or(own.url);
    if url.is_empty() {
        return Err("the gateway's configuration has no address; name one".to_owned());
    }
    // What lies between the configured address and the gateway is known only of the configured address.
    let known = question.url.is_none();
    let via = if known && question.via.is_empty() { own.via } else { question.via.clone() };
    let direct = question.direct.clone().or(own.direct.filter(|_| known));
    let all: Vec<&String> = [&url].into_iter().chain(&via).chain(&direct).collect();
    for address in &all {
        let url: Url = address.parse().map_err(|e| format!("`{}`: {e}", shown(address)))?;
        hosts.check(&url)?;
    }
    let tls_wanted = all.iter().any(|address| address.starts_with("wss:"));
    let dial = dial(config, &own.secret, own.tls.as_ref(), tls_wanted, &hosts)?;
    let says = |e: mooring_doctor::ExamError| e.to_string();
    let mut exam = Exam::new(&url, dial).map_err(says)?;
    for url in &via {
        exam = exam.via(url).map_err(says)?;
    }
    if let Some(url) = &direct {
        exam = exam.direct(url).map_err(says)?;
    }
    exam.expect = question.expect.or(config.map(|c| c.kind));
    exam.origin.clone_from(&question.origin);
    exam.namespace = question.namespace.clone().or_else(|| config.and_then(|c| c.expect.namespace.clone()));
    exam.watch = question.watch;
    Ok(exam)
}

/// The way to a gateway as its configuration has it.
fn endpoint(config: &GatewayConfig) -> Endpoint {
    if config.url.is_empty() {
        return config.adapter().map(|adapter| adapter.endpoint()).unwrap_or_default();
    }
    let url = config.instances().first().map_or_else(|| config.url.clone(), |i| config.watch(i).url);
    Endpoint { url, ..Endpoint::default() }
}

fn dial(
    config: Option<&GatewayConfig>,
    secret: &[(&'static str, &'static str, mooring_runtime::config::SecretFile)],
    adapter_tls: Option<&ClientTlsConfig>,
    tls_wanted: bool,
    hosts: &Hosts,
) -> Result<Dial, String> {
    let mut dial = Dial { reach: Some(hosts.reach()), ..Dial::default() };
    let mut audience = Audience::default();
    let default_tls = ClientTlsConfig::default();
    let tls = adapter_tls.or(config.map(|c| &c.expect.tls)).unwrap_or(&default_tls);
    let tls = ClientTls::load(tls).and_then(|tls| Ok((tls.rustls(&[b"http/1.1"])?, tls)));
    match tls {
        Ok((rustls, tls)) => {
            dial.tls = Some(rustls);
            audience.server_name = tls.server_name().map(str::to_owned);
        }
        Err(e) if tls_wanted => return Err(error_chain(&e)),
        // Without it the other scheme cannot be tried, which is no reason not to look.
        Err(_) => {}
    }
    if let Some(config) = config {
        let expect = &config.expect;
        dial.headers = expect.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, file) in &expect.header_files {
            dial.headers.push((name.clone(), read(name, "", file)?));
        }
        for (name, prefix, file) in secret {
            dial.headers.push(((*name).to_owned(), read(name, prefix, file)?));
        }
        dial.subprotocols = expect.subprotocol.iter().cloned().collect();
        let (connect, answer) = (config.limits.connect.get().min(MAX_STEP), config.limits.answer.get());
        dial.timeouts = Timeouts {
            resolve: connect.min(Duration::from_secs(2)),
            connect,
            tls: connect,
            answer: answer.min(MAX_STEP),
            first_frame: None,
        };
        audience.hosts = audience_of(config);
        if let (Some(name), Ok(url)) = (&expect.host, config.url.parse::<Url>()) {
            audience.alias = Some(((url.host().clone(), url.port()), name.clone()));
        }
    }
    dial.audience = Some(audience);
    Ok(dial)
}

/// The gateway's own hosts; in clear text only those that the configuration reaches so.
fn audience_of(config: &GatewayConfig) -> Vec<(Host, bool)> {
    let mut all: Vec<(Host, bool)> = Vec::new();
    for url in places(config) {
        for host in [url.host().clone(), bare(url.host())] {
            match all.iter_mut().find(|(known, _)| *known == host) {
                Some((_, plain)) => *plain |= !url.tls(),
                None => all.push((host, !url.tls())),
            }
        }
    }
    all
}

fn read(name: &str, prefix: &str, file: &mooring_runtime::config::SecretFile) -> Result<String, String> {
    let value = file.read().map_err(|e| format!("header `{name}`: {}", error_chain(&e)))?;
    Ok(format!("{prefix}{}", value.expose_secret().trim_end()))
}

/// An address without what may be secret in it.
fn shown(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mooring_core::id::GatewayId;
    use mooring_core::kind::Kind;
    use mooring_proto::v1;
    use mooring_runtime::config::SecretFile;

    fn chat() -> GatewayConfig {
        GatewayConfig::new(GatewayId::new("chat").unwrap(), "ws://127.0.0.1:9000/ws?token=s3cret")
    }

    fn ask(change: impl FnOnce(&mut v1::DiagnoseRequest)) -> Question {
        let mut request = v1::DiagnoseRequest {
            name: "agents/a/gateways/chat".to_owned(),
            ..v1::DiagnoseRequest::default()
        };
        change(&mut request);
        Question::from_request(&request).unwrap()
    }

    #[test]
    fn a_gateway_is_examined_as_it_is_configured() {
        let mut config = chat();
        config.kind = Kind::Socketio;
        config.expect.namespace = Some("/chat".to_owned());
        let exam = exam(&ask(|_| {}), &[config], Allow::Own).unwrap();
        assert_eq!(exam.case().places[0].name, "ws://127.0.0.1:9000/ws");
        assert_eq!((exam.expect, exam.namespace.as_deref()), (Some(Kind::Socketio), Some("/chat")));
        assert_eq!(exam.case().has_token, Some(true));
    }

    #[test]
    fn secrets_go_to_the_gateways_own_hosts_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "Bearer s3cret\n").unwrap();
        let mut config = chat();
        config.url = "wss://chat.example/ws".to_owned();
        config.expect.header_files.insert("Authorization".to_owned(), SecretFile::new(&file));
        let other = GatewayConfig::new(GatewayId::new("other").unwrap(), "ws://other.example/ws");
        let all = [config, other];
        for (url, sent) in [
            ("wss://chat.example/ws", true),
            ("wss://chat.example:8443/other", true),
            ("ws://chat.example/ws", false),
            ("ws://other.example/ws", false),
        ] {
            let exam = exam(&ask(|r| r.url = url.to_owned()), &all, Allow::Own).unwrap();
            assert_eq!(exam.case().has_token, Some(sent), "{url}");
        }
        // Nor does one gateway's question get another one's.
        let foreign = ask(|r| {
            r.name = "agents/a/gateways/other".to_owned();
            r.url = "wss://chat.example/ws".to_owned();
        });
        assert_eq!(exam(&foreign, &all, Allow::Own).unwrap().case().has_token, Some(false));
    }

    #[test]
    fn what_is_not_this_agents_business_is_refused() {
        let gateways = [chat()];
        let refused =
            |change: fn(&mut v1::DiagnoseRequest)| exam(&ask(change), &gateways, Allow::Own).unwrap_err();
        assert!(refused(|r| r.url = "ws://10.9.9.9/".to_owned()).contains("`10.9.9.9` is not a host"));
        assert!(refused(|r| r.via = vec!["ws://nginx.internal/".to_owned()]).contains("nginx.internal"));
        assert!(refused(|r| r.direct = "ws://169.254.169.254/".to_owned()).contains("metadata"));
        assert!(
            refused(|r| r.name = "agents/a/gateways/nobody".to_owned()).contains("`nobody` is not watched")
        );
        let secret = refused(|r| r.url = "ws://127.0.0.1:99999/?token=s3cret".to_owned());
        assert!(secret.contains("99999") && !secret.contains("s3cret"), "{secret}");
    }

    #[test]
    fn the_way_to_a_bisheng_is_known_from_the_outside_in() {
        let mut config = chat();
        config.url = String::new();
        config.kind = Kind::Bisheng;
        let hop = |name: &str, url: &str| mooring_gateways::bisheng::Hop {
            name: name.to_owned(),
            url: url.to_owned(),
        };
        config.bisheng = Some(Box::new(mooring_gateways::bisheng::Settings {
            backend: "http://10.0.0.7:7860".to_owned(),
            hops: vec![hop("nginx", "http://10.0.0.5:3001"), hop("public", "http://bisheng.example/")],
            ..mooring_gateways::bisheng::Settings::default()
        }));
        let exam = exam(&ask(|_| {}), &[config], Allow::Own).unwrap();
        let hosts: Vec<String> = exam
            .case()
            .places
            .iter()
            .map(|p| p.name.split('/').nth(2).unwrap_or_default().to_owned())
            .collect();
        assert_eq!(hosts, ["bisheng.example", "10.0.0.5:3001", "10.0.0.7:7860"]);
        assert_eq!(exam.expect, Some(Kind::Bisheng));
        assert!(exam.case().places.last().unwrap().direct);
        assert!(!exam.case().places[0].name.contains("{id}"));
    }
}
