//! The loader from its outside: layers, and what each kind of mistake looks like to the person who made it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    name: String,
    api: Api,
    gateways: Vec<Gateway>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Api {
    listen: String,
    port: u16,
    timeout: HumanDuration,
    share: Percent,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1".into(),
            port: 7600,
            timeout: HumanDuration::from_secs(10),
            share: Percent::new(10),
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gateway {
    id: String,
    kind: Kind,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Websocket,
    Socketio,
}

impl Validate for Settings {
    fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.api.port < 1024 {
            problems.push(Problem::new("api.port", "ports below 1024 are reserved"));
        }
        for (index, gateway) in self.gateways.iter().enumerate() {
            if gateway.id.is_empty() {
                problems.push(Problem::new(format!("gateways.{index}.id"), "must not be empty"));
            }
        }
        problems
    }
}

struct Case {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

fn file(text: impl AsRef<[u8]>) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("controller.toml");
    std::fs::write(&file, text).unwrap();
    Case { _folder: folder, file }
}

impl Case {
    fn load(&self, env: &[(&str, &str)], flags: &[&str]) -> Result<Loaded<Settings>, Vec<String>> {
        let overrides: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        load(Sources {
            file: Some(self.file.clone()),
            env_prefix: "MOORING_TEST",
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            overrides: &overrides,
        })
        .map_err(|error| {
            let folder = format!("{}/", self.file.parent().unwrap().display());
            error.to_string().replace(&folder, "").lines().map(str::to_owned).collect()
        })
    }

    fn refused(&self, env: &[(&str, &str)], flags: &[&str]) -> Vec<String> {
        self.load(env, flags).expect_err("should be refused")
    }
}

#[test]
fn flags_beat_environment_beats_file_beats_defaults() {
    let case = file("name = 'file'\n[api]\nport = 2000\nlisten = 'file'\n");
    let loaded = case
        .load(
            &[
                ("MOORING_TEST__API__LISTEN", "env"),
                ("MOORING_TEST__NAME", "env"),
                ("MOORING_TESTING__NAME", "another program's"),
                ("HOME", "/root"),
            ],
            &["name=flag", "api.timeout=1m30s"],
        )
        .unwrap();
    assert_eq!(
        (loaded.value.name.as_str(), loaded.value.api.listen.as_str(), loaded.value.api.port),
        ("flag", "env", 2000)
    );
    assert_eq!(loaded.value.api.timeout, HumanDuration::from_secs(90));
    assert_eq!(loaded.value.api.share, Percent::new(10));
    assert_eq!(loaded.origin("name"), Some(Origin::Flag("name".into())));
    assert_eq!(loaded.origin("api.listen"), Some(Origin::Variable("MOORING_TEST__API__LISTEN".into())));
    assert!(matches!(loaded.origin("api.port"), Some(Origin::File { line: 3, column: 8, .. })));
    assert_eq!(loaded.origin("api.share"), None);
}

#[test]
fn a_value_that_looks_like_a_number_is_still_a_string_where_one_is_wanted() {
    let loaded = file("").load(&[("MOORING_TEST__NAME", "8080")], &["api.listen=true"]).unwrap();
    assert_eq!((loaded.value.name.as_str(), loaded.value.api.listen.as_str()), ("8080", "true"));
}

#[test]
fn lists_and_their_elements_can_be_overridden() {
    let case = file("[[gateways]]\nid = 'a'\nkind = 'websocket'\n");
    let loaded = case.load(&[], &["gateways.0.id=b"]).unwrap();
    assert_eq!(loaded.value.gateways[0].id, "b");
    let loaded = case.load(&[], &["gateways=[{id = 'c', kind = 'socketio'}]"]).unwrap();
    assert_eq!(loaded.value.gateways, [Gateway { id: "c".into(), kind: Kind::Socketio }]);
    assert_eq!(
        case.refused(&[], &["gateways.3.id=b"]),
        ["--set gateways.3.id: `gateways` is a list and has no element `3`"]
    );
    assert_eq!(
        case.refused(&[], &["name=x", "name.first=y"]),
        ["--set name.first: `name` is a plain value, so `name.first` cannot be set"]
    );
}

#[test]
fn every_mistake_is_named_at_once_with_its_place_and_the_likely_key() {
    let case = file(
        "nmae = 'x'\n[api]\n  lisen = 'x'\nport = 'many'\ntimeout = 10\n[[gateways]]\nid = 'a'\nkind = 'sockeito'\n[[gateways]]\nkind = 'websocket'\n",
    );
    assert_eq!(
        case.refused(&[("MOORING_TEST__API__PORTT", "1")], &["api.shar=3"]),
        [
            "controller.toml:1:1: unknown key `nmae`: did you mean `name`?",
            "controller.toml:3:3: unknown key `api.lisen`: did you mean `listen`?",
            "controller.toml:4:8: `api.port`: invalid type: string \"many\", expected u16",
            "controller.toml:5:11: `api.timeout`: invalid type: integer `10`, expected a duration with its unit, such as \"500ms\", \"10s\" or \"1h30m\"",
            "controller.toml:8:8: `gateways.0.kind`: unknown variant `sockeito`, expected `websocket` or `socketio`: did you mean `socketio`?",
            "controller.toml:9:1: missing key `gateways.1.id`",
            "environment variable MOORING_TEST__API__PORTT: unknown key `api.portt`: did you mean `port`?",
            "--set api.shar: unknown key `api.shar`: did you mean `share`?",
        ]
    );
}

#[test]
fn an_unlikely_key_is_answered_with_the_known_ones() {
    assert_eq!(
        file("zzz = 1\n").refused(&[], &[]),
        ["controller.toml:1:1: unknown key `zzz`: known here are `name`, `api`, `gateways`"]
    );
}

#[test]
fn a_number_out_of_range_in_the_environment_is_reported_as_a_number() {
    assert_eq!(
        file("").refused(&[("MOORING_TEST__API__PORT", "70000")], &[]),
        [
            "environment variable MOORING_TEST__API__PORT: `api.port`: invalid value: integer `70000`, expected u16"
        ]
    );
}

#[test]
fn syntax_errors_are_all_listed_with_line_and_column() {
    let lines = file("name = \n[api]\nport = 1\nport = 2\n").refused(&[], &[]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("controller.toml:1:"), "{lines:?}");
    assert!(lines[1].starts_with("controller.toml:4:1: duplicate key"), "{lines:?}");
}

#[test]
fn checks_of_meaning_point_at_the_line_they_are_about() {
    let case = file("[api]\nport = 80\n[[gateways]]\nid = ''\nkind = 'websocket'\n");
    assert_eq!(
        case.refused(&[], &[]),
        [
            "controller.toml:2:8: `api.port`: ports below 1024 are reserved",
            "controller.toml:4:6: `gateways.0.id`: must not be empty",
        ]
    );
    assert_eq!(
        case.refused(&[], &["gateways=[]", "api.port=81"]),
        ["--set api.port: `api.port`: ports below 1024 are reserved"]
    );
}

#[test]
fn unusable_files_and_flags_are_named() {
    let case = Case { file: "no/such/controller.toml".into(), _folder: tempfile::tempdir().unwrap() };
    assert_eq!(case.refused(&[], &[]), ["controller.toml: no such configuration file"]);
    assert_eq!(
        file(b"name = '\xff'").refused(&[], &[]),
        ["controller.toml:1:9: not UTF-8 from here on; a configuration is UTF-8 text"]
    );
    let long = vec![b'#'; usize::try_from(MAX_FILE_BYTES).unwrap() + 1];
    assert!(file(long).refused(&[], &[])[0].contains("longer than"));
    assert_eq!(
        file("").refused(&[], &["name", "api..port=1"]),
        ["--set name: expected `key.path=value`", "--set api..port: a part of the key path is empty",]
    );
}

#[test]
fn durations_and_shares_keep_their_value_through_text() {
    for text in ["0s", "1ms", "500ms", "10s", "5m", "1h30m", "2d3h4m5s6ms"] {
        assert_eq!(text.parse::<HumanDuration>().unwrap().to_string(), text);
    }
    assert_eq!("1h 30m".parse::<HumanDuration>().unwrap(), HumanDuration::from_secs(5400));
    for text in ["", "10", "s", "1.5s", "10 s 1h", "1s1s", "5weeks", "-1s", "99999999999999d"] {
        assert!(text.parse::<HumanDuration>().is_err(), "{text:?} should be refused");
    }
    assert_eq!("12.5%".parse::<Percent>().unwrap().to_string(), "12.5%");
    assert_eq!("12.5".parse::<Percent>().unwrap().of(1000), 125);
    assert_eq!(Percent::new(10).of(9), 0);
    for text in ["101%", "-1%", "NaN", "half", ""] {
        assert!(text.parse::<Percent>().is_err(), "{text:?} should be refused");
    }
}

#[test]
fn what_is_in_force_can_be_printed_and_loaded_again() {
    let loaded = file("name = 'x'\n[[gateways]]\nid = 'a'\nkind = 'websocket'\n").load(&[], &[]).unwrap();
    let printed = effective(&loaded.value);
    assert!(printed.contains("timeout = \"10s\"") && printed.contains("share = \"10%\""), "{printed}");
    assert_eq!(file(printed).load(&[], &[]).unwrap().value, loaded.value);
}

#[derive(Debug, Serialize, Deserialize)]
struct WithSecret {
    url: Secret,
    token: SecretFile,
}

impl Validate for WithSecret {
    fn validate(&self) -> Vec<Problem> {
        Vec::new()
    }
}

#[test]
fn secrets_show_up_in_nothing_that_is_printed() {
    let loaded = load::<WithSecret>(Sources {
        file: None,
        env_prefix: "X",
        env: [("X__URL", "postgres://u:hunter2@h/d"), ("X__TOKEN", "t")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        overrides: &[],
    })
    .unwrap();
    assert_eq!(loaded.value.url.expose(), "postgres://u:hunter2@h/d");
    let shown = format!("{:?}{}", loaded.value, effective(&loaded.value));
    assert!(!shown.contains("hunter2") && shown.contains("(hidden)"), "{shown}");
    let case = file("url = 4711\ntoken = 't'\n");
    let error = load::<WithSecret>(Sources {
        file: Some(case.file.clone()),
        env_prefix: "X",
        env: [],
        overrides: &[],
    })
    .unwrap_err()
    .to_string();
    assert!(error.contains("expected a string") && !error.contains("4711"), "{error}");
}

#[test]
fn a_secret_file_is_read_without_its_line_end_and_refused_when_empty() {
    use secrecy::ExposeSecret as _;
    let case = file("s3cret value\r\n\n");
    let secret = SecretFile::new(&case.file).read().unwrap();
    assert_eq!(secret.expose_secret(), "s3cret value");
    let missing = case.file.with_file_name("missing");
    assert!(matches!(SecretFile::new(missing).read(), Err(SecretFileError::Unreadable { .. })));
    let empty = file("\n");
    assert!(matches!(SecretFile::new(&empty.file).read(), Err(SecretFileError::Empty { .. })));
    let binary = file([0xff, 0xfe]);
    assert!(matches!(SecretFile::new(&binary.file).read(), Err(SecretFileError::NotASecret { .. })));
}
