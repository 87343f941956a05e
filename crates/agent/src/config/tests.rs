//! The file as an operator meets it: what the sample means, what is refused and how, what a reload changes.

use mooring_core::planner::Abilities;
use mooring_runtime::config::{Sources, load};

use super::*;
use crate::executor::How;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/samples/agent.toml");

fn parse(text: &str) -> Result<AgentConfig, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, text).unwrap();
    from(&file)
}

fn from(file: &std::path::Path) -> Result<AgentConfig, Vec<String>> {
    load(Sources { file: Some(file.to_owned()), env_prefix: ENV_PREFIX, env: [], overrides: &[] })
        .map(|loaded| loaded.value)
        .map_err(|error| error.problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect())
}

fn refused(text: &str) -> Vec<String> {
    parse(text).expect_err("should be refused")
}

fn gateway(text: &str) -> String {
    format!("[[gateway]]\nid = 'chat'\nurl = 'ws://127.0.0.1:9001/ws'\n{text}")
}

#[test]
fn the_sample_is_valid_and_means_what_it_says() {
    let config = from(SAMPLE.as_ref()).unwrap();
    let [chat, bots, front] = config.gateways.as_slice() else { panic!("three gateways") };
    assert_eq!(
        chat.abilities(),
        Abilities { reconnect: true, restart_instance: false, restart_gateway: true, ..Abilities::default() }
    );
    assert_eq!(
        bots.abilities(),
        Abilities { reconnect: true, restart_instance: true, restart_gateway: true, ..Abilities::default() }
    );
    assert_eq!(chat.instances().iter().map(|i| i.id.as_str().to_owned()).collect::<Vec<_>>(), ["chat"]);
    assert_eq!(front.abilities().bits(), 0b11_1001);
    let relay = front.relay.as_ref().unwrap().setup(front).unwrap().config;
    assert_eq!((relay.listeners.len(), relay.hold.when_refused), (1, true));
    assert_eq!(front.kernel.as_ref().unwrap().selector(front).unwrap().ports(), [9002]);
    assert!(matches!(&chat.restart, Some(How::Supervise(s)) if s.grace == "10s".parse().unwrap() && s.start));
    let urls: Vec<String> = bots.instances().iter().map(|i| bots.watch(i).url).collect();
    assert_eq!(urls, ["wss://bots.example.com/ws/acct-1", "wss://bots.example.com/ws/acct-2"]);
}

#[test]
fn what_the_sample_shows_as_defaults_are_the_defaults() {
    // Uncommenting a line that shows a default must change nothing. Lines that end in a remark say that they are none,
    // and so do those that name files.
    let text = std::fs::read_to_string(SAMPLE).unwrap();
    let mut shown = 0;
    let uncommented: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") && !rest.contains(['#', '/', '`', '(']) => {
                shown += usize::from(!rest.starts_with("server_name"));
                if rest.starts_with("server_name") { String::new() } else { rest.to_owned() }
            }
            _ => line.to_owned(),
        })
        .collect();
    assert!(shown >= 12, "only {shown} defaults found in the sample");
    let changes = diff(&from(SAMPLE.as_ref()).unwrap(), &parse(&uncommented.join("\n")).unwrap());
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn settings_can_be_printed_and_loaded_again() {
    let config = from(SAMPLE.as_ref()).unwrap();
    let printed = mooring_runtime::config::effective(&config);
    assert_eq!(parse(&printed).unwrap(), config, "{printed}");
}

#[test]
fn a_gateway_needs_no_more_than_an_id_and_a_url() {
    let config = parse(&gateway("")).unwrap();
    let mut expected = AgentConfig::default();
    let chat = GatewayConfig::new("chat".parse().unwrap(), "ws://127.0.0.1:9001/ws");
    expected.gateways.push(chat);
    assert_eq!(config, expected);
    assert_eq!(config.gateways[0].abilities().bits(), 1);
}

#[test]
fn the_identity_is_made_of_the_hosts_name_where_none_is_given() {
    let config = AgentConfig::default();
    let made = config.identity("Web_01.Example.COM").unwrap();
    assert_eq!((made.agent.as_str(), made.node.as_str()), ("web_01.example.com", "Web_01.Example.COM"));
    assert_eq!(config.identity("-é lan-").unwrap().agent.as_str(), "lan");
    assert!(config.identity("---").unwrap_err().contains("agent.id"));
    assert_eq!(config.identity(&"x".repeat(100)).unwrap().agent.as_str().len(), 63);
    let given = parse("[agent]\nid = 'a'\n").unwrap().identity("---").unwrap();
    assert_eq!((given.agent.as_str(), given.node.as_str()), ("a", "---"));
    assert!(!host_name().is_empty());
}

#[test]
fn inequalities_are_spelt_out() {
    let text = gateway(
        "[gateway.heartbeat]\nping_interval = '20s'\npromise = { interval = '15s', timeout = '5s' }\n",
    );
    let problems = refused(&text);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].contains(
            "ping_interval (20s) must be below promise.interval + promise.timeout (15s + 5s = 20s)"
        ),
        "{problems:?}"
    );
    let text = gateway("[gateway.restart]\nhow = 'supervise'\ncommand = ['x']\ngrace = '5m'\n");
    assert!(refused(&text)[0].contains("may take 5m, which must be below 5m"));
    let text = gateway("[gateway.limits]\nframe = '2MiB'\nmessage = '1MiB'\n");
    assert!(refused(&text)[0].contains("message (1MiB) must not be below frame (2MiB)"));
    let text = gateway("[gateway.tracker]\nflap_window = '1h'\n");
    assert!(refused(&text)[0].contains("flap_window"));
}

#[test]
fn every_mistake_is_found_at_once() {
    let text = "
[controller]
addresses = ['http://10.0.0.1:7601', 'grpc://x', 'https://h:1/path']
[health]
listen = '0.0.0.0:7612'
[[gateway]]
id = 'a'
url = 'http://x/'
[[gateway]]
id = 'a'
url = 'ws://user:hunter2@x/'
reconnect = { how = 'supervise', command = ['x'] }
restart = { how = 'canary' }
[gateway.expect]
headers = { Authorization = 'hunter2', Upgrade = 'x' }
[[gateway.instance]]
id = 'i'
path = 'no-slash'
restart = { how = 'command', command = [] }
[[gateway.instance]]
id = 'i'
";
    let problems = refused(text);
    let keys: Vec<&str> = problems.iter().map(|p| p.split(": ").next().unwrap()).collect();
    for key in [
        "controller.addresses.0",
        "controller.addresses.1",
        "controller.addresses.2",
        "health.listen",
        "gateway.0.url",
        "gateway.1.id",
        "gateway.1.url",
        "gateway.1.reconnect.how",
        "gateway.1.restart.how",
        "gateway.1.expect.headers.Authorization",
        "gateway.1.expect.headers.Upgrade",
        "gateway.1.instance.0.path",
        "gateway.1.instance.0.restart.command",
        "gateway.1.instance.1.id",
        "gateway.1.instance",
    ] {
        assert!(keys.contains(&key), "{key} is missing in {problems:#?}");
    }
    assert_eq!(keys.len(), 15, "{problems:#?}");
    assert!(!problems.concat().contains("hunter2"), "a secret is shown");
}

#[test]
fn socketio_says_much_of_itself() {
    let text = "
[[gateway]]
id = 'a'
kind = 'socketio'
url = 'ws://x/socket.io/?EIO=3'
heartbeat.promise = { interval = '25s', timeout = '20s' }
expect = { namespace = 'admin', first_frame = '5s', subprotocol = 'x' }
[[gateway.instance]]
id = 'i'
path = '/socket.io/?transport=webtransport'
[[gateway]]
id = 'b'
url = 'ws://x/'
expect = { namespace = '/', auth_file = '/x' }
[[gateway]]
id = 'c'
kind = 'socketio'
url = 'ws://x/socket.io/?EIO=4&transport=polling'
expect = { namespace = '/admin', auth_file = '/x' }
";
    let problems = refused(text);
    let mut keys: Vec<&str> = problems.iter().map(|p| p.split(": ").next().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "gateway.0.expect.first_frame",
            "gateway.0.expect.namespace",
            "gateway.0.expect.subprotocol",
            "gateway.0.heartbeat.promise",
            "gateway.0.instance.0.path",
            "gateway.0.url",
            "gateway.1.expect.auth_file",
            "gateway.1.expect.namespace",
        ],
        "{problems:#?}"
    );
}

#[test]
fn mistyped_keys_are_refused_everywhere() {
    for text in [
        "[agnet]\nid = 'a'\n".to_owned(),
        gateway("uri = 'x'\n"),
        gateway("[gateway.reconnect]\nhow = 'canary'\nwhy = 'x'\n"),
        gateway("[gateway.restart]\nhow = 'supervise'\ncommand = ['x']\ngraze = '5s'\n"),
        gateway("[gateway.restart]\nhow = 'restart'\n"),
        gateway("[gateway.tracker]\nfal = 2\n"),
        gateway("[[gateway.instance]]\nid = 'i'\nurl = 'x'\n"),
        gateway("[gateway.expect.tls]\ninsecure = true\n"),
        gateway("[gateway.restart]\nhow = 'http'\nurl = 'http://x/'\nexpect_status = '2x'\n"),
    ] {
        assert_eq!(refused(&text).len(), 1, "{text}");
    }
}

fn two() -> AgentConfig {
    from(SAMPLE.as_ref()).unwrap()
}

fn names<T: std::fmt::Display>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn the_same_file_again_changes_nothing() {
    let config = two();
    let nothing = diff(&config, &config);
    assert!(nothing.is_empty());
    assert_eq!(names(&nothing.unchanged), ["chat", "bots", "front"]);
    // Nor does writing a default out, or naming the implied instance.
    let mut explicit = config.clone();
    let implied = explicit.gateways[0].instances();
    explicit.gateways[0].instances = implied;
    assert!(diff(&config, &explicit).is_empty());
}

#[test]
fn only_what_changed_is_touched() {
    let old = two();

    let mut new = old.clone();
    new.gateways[1].instances[0].path = Some("/elsewhere".to_owned());
    let third = InstanceConfig { id: "acct-3".parse().unwrap(), ..new.gateways[1].instances[0].clone() };
    new.gateways[1].instances.push(third);
    let found = diff(&old, &new);
    assert_eq!(names(&found.unchanged), ["chat", "front"]);
    let [changed] = found.changed.as_slice() else { panic!("{found:?}") };
    assert_eq!(names(&changed.instances.changed), ["acct-1"]);
    assert_eq!(names(&changed.instances.added), ["acct-3"]);
    assert_eq!(names(&changed.instances.unchanged), ["acct-2"]);
    assert!(!changed.declaration && !changed.process && changed.executors);

    let mut new = old.clone();
    new.gateways[0].labels.clear();
    let changed = diff(&old, &new).changed.remove(0);
    assert!(changed.declaration && !changed.executors && !changed.process && changed.instances.is_empty());

    let mut new = old.clone();
    if let Some(How::Supervise(config)) = &mut new.gateways[0].restart {
        config.command.push("--verbose".to_owned());
    }
    let changed = diff(&old, &new).changed.remove(0);
    assert!(changed.process && !changed.executors && !changed.declaration && changed.instances.is_empty());

    let mut new = old.clone();
    new.gateways[1].restart = None;
    let changed = diff(&old, &new).changed.remove(0);
    assert!(changed.executors && changed.declaration && changed.instances.is_empty());

    let mut new = old.clone();
    new.gateways.remove(0);
    new.health.listen.set_port(1);
    let found = diff(&old, &new);
    assert_eq!(
        (names(&found.removed), names(&found.unchanged)),
        (vec!["chat".to_owned()], vec!["bots".to_owned(), "front".to_owned()])
    );
    assert_eq!(found.at_next_start, ["health"]);
    assert_eq!(names(&diff(&new, &old).added), ["chat"]);
}
