//! The files that a first start writes: real configurations, with the reasons beside the numbers.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// The names of the demonstration's gateways; their ports are in this order.
pub(super) const DEMO: [&str; 3] = ["chat", "feed", "moody"];

/// The agent's id.
pub(super) const AGENT: &str = "local";

/// A path or any other text as TOML has it.
fn quoted(text: impl AsRef<str>) -> String {
    toml::Value::String(text.as_ref().to_owned()).to_string()
}

fn path(path: &Path) -> String {
    quoted(path.to_string_lossy())
}

/// `controller.toml`.
pub(super) fn controller(data: &Path, listen: [SocketAddr; 3]) -> String {
    let [api, agents, health] = listen;
    format!(
        "\
# Written by the first `mooring up`; edit it as you like, it is not written again.
# `mooring-controller --config` takes this very file. `mooring config check` says what is wrong with it.

data_dir = {data_dir}
database = \"private\" # a Postgres of its own in data_dir, or a postgres:// URL
policy_file = {policy}

[api] # operators: mooring, grpcurl
listen = \"{api}\"

[agents]
listen = \"{agents}\"
beat = \"1s\"   # quicker than the default 10s: there is one agent, and somebody is looking
grace = \"10s\"

[health] # /livez, /readyz, /metrics
listen = \"{health}\"
",
        data_dir = path(&data.join("controller")),
        policy = path(&data.join("policy.toml")),
    )
}

/// `policy.toml`: the defaults, or, for a demonstration, everything quick and nothing soon used up.
pub(super) fn policy(demo: bool) -> String {
    let head = "\
# Written by the first `mooring up`; edit it as you like, it is not written again. SIGHUP (in the live table: r) reads it again.
# What Mooring may do by itself, by group; `default` holds for every group without a policy of its own.
";
    if !demo {
        return format!(
            "{head}\n[policy.default] # every number left out takes its default: `mooring policies default`\n"
        );
    }
    format!(
        "{head}
[policy.default]
act_after = \"2s\"      # many faults pass by themselves
cooldown = \"3s\"
stable_for = \"30s\"    # healthy for so long, and the tries are forgotten
verify_within = \"15s\" # a restart that has not helped by then has failed

[policy.default.backoff]
base = \"1s\"
cap = \"10s\"

[policy.default.budget]
in_flight_percent = 50
per_minute = 60

[policy.default.restarts] # the default is 2 in 30m: a gateway that needs more is parked for a human
count = 1000
window = \"30m\"

[policy.default.storm]
percent = 55
at_least = 3
cooldown = \"20s\"
"
    )
}

/// `agent.toml`. `demo`: the sample gateway's program, and the ports.
pub(super) fn agent(data: &Path, controller: SocketAddr, demo: Option<(&Path, [u16; 3])>) -> String {
    let mut out = format!(
        "\
# Written by the first `mooring up`; edit it as you like, it is not written again. SIGHUP (in the live table: r) reads it again.
# `mooring-agent --config` takes this very file. `mooring config check` says what is wrong with it.

[agent]
id = {id}
data_dir = {data_dir}

[controller] # `mooring up` fills in where its controller is in fact
addresses = [\"http://{controller}\"]
",
        id = quoted(AGENT),
        data_dir = path(&data.join("agent")),
    );
    match demo {
        Some((program, ports)) => gateways(&mut out, program, ports),
        None => out.push_str(
            "
# A gateway needs no more than an id and a URL. Uncomment and change it, then have it read again.
#
# [[gateway]]
# id = \"chat\"
# url = \"ws://127.0.0.1:8080/ws\"
#
# [gateway.restart]        # how it is restarted; without it Mooring reconnects and calls a human
# how = \"supervise\"        # run by the agent; `command` and `http` are the other ways
# command = [\"node\", \"server.js\"]
",
        ),
    }
    out
}

fn gateways(out: &mut String, program: &Path, ports: [u16; 3]) {
    let program = path(program);
    let settings: [(&str, &str, &str); 3] = [
        ("Two accounts on one calm gateway.", "", "\"--hello\", \"welcome\""),
        (
            "One that wants a subprotocol, and whose TCP connections are looked at in the kernel, too.",
            "watch = [\"canary\", \"kernel\"]\n\n[gateway.expect]\nsubprotocol = \"feed.v1\"\n",
            "\"--subprotocol\", \"feed.v1\"",
        ),
        (
            "One that misbehaves every 40 s or so: it hangs, dies, drops its sessions or falls silent.",
            "",
            "\"--mood\", \"moody\", \"--misbehave\", \"hang,die,drop,mute\", \"--every\", \"40s\"",
        ),
    ];
    for ((id, port), (words, expect, flags)) in DEMO.iter().zip(ports).zip(settings) {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "
# {words}
[[gateway]]
id = \"{id}\"
url = \"ws://127.0.0.1:{port}/ws\"
labels = {{ demo = \"true\" }}
{expect}
[gateway.heartbeat]
ping_interval = \"1s\" # quick to notice; the default is 5s

[gateway.restart]
how = \"supervise\"
command = [{program}, \"--listen\", \"127.0.0.1:{port}\", {flags}]
grace = \"3s\"
"
        );
        if *id == DEMO[0] {
            out.push_str(
                "
[[gateway.instance]]
id = \"acct-1\"
path = \"/ws?account=1\"

[[gateway.instance]]
id = \"acct-2\"
path = \"/ws?account=2\"
",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mooring_agent::config::AgentConfig;
    use mooring_controller::config::ControllerConfig;
    use mooring_controller::policies::PolicyFile;
    use mooring_runtime::config::{ConfigError, Sources, Validate, load};
    use serde::de::DeserializeOwned;

    fn loaded<T: DeserializeOwned + Validate>(text: &str) -> Result<T, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let sources = Sources {
            file: Some(file.path().to_owned()),
            env_prefix: "X",
            env: std::iter::empty(),
            overrides: &[],
        };
        Ok(load::<T>(sources)?.value)
    }

    fn addresses() -> [SocketAddr; 3] {
        [7600, 7601, 7602].map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn what_is_written_is_what_the_daemons_take() {
        let data = Path::new("/tmp/with \"quotes\" and 空格");
        let controller: ControllerConfig = loaded(&controller(data, addresses())).unwrap();
        assert_eq!(controller.data_dir, data.join("controller"));
        assert_eq!(controller.policy_file, Some(data.join("policy.toml")));
        assert_eq!(controller.api.listen, addresses()[0]);
        let agent: AgentConfig = loaded(&agent(data, addresses()[1], None)).unwrap();
        assert!(agent.gateways.is_empty());
        assert_eq!(agent.agent.id.unwrap().as_str(), AGENT);
        loaded::<PolicyFile>(&policy(false)).unwrap();
    }

    #[test]
    fn the_demonstration_is_sound() {
        let program = Path::new("/opt/a b/mooring-sample-gateway");
        let agent: AgentConfig =
            loaded(&agent(Path::new("/d"), addresses()[1], Some((program, [7650, 7651, 7652])))).unwrap();
        let ids: Vec<&str> = agent.gateways.iter().map(|g| g.id.as_str()).collect();
        assert_eq!(ids, DEMO);
        assert_eq!(agent.gateways[0].instances.len(), 2);
        assert!(agent.gateways.iter().all(|g| g.abilities().restart_gateway));
        let policy: PolicyFile = loaded(&policy(true)).unwrap();
        let default = &policy.policy.values().next().unwrap();
        // Three of three sick at once would be a storm, one of three is not.
        assert_eq!((default.storm.at_least, default.restarts.count), (3, 1000));
    }

    #[test]
    fn the_commented_gateway_is_sound_too() {
        let text = agent(Path::new("/d"), addresses()[1], None);
        let (before, sample) = text.split_once("# [[gateway]]").unwrap();
        let sample: String =
            sample.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or_default())).collect();
        let agent: AgentConfig = loaded(&format!("{before}[[gateway]]\n{sample}")).unwrap();
        assert_eq!(agent.gateways.len(), 1);
        assert!(agent.gateways[0].abilities().restart_gateway);
    }
}
