//! The grammar by a table, and by whatever proptest thinks of.

use std::collections::BTreeMap;

use mooring_core::time::Timestamp;
use proptest::prelude::*;

use super::*;

struct Thing {
    labels: BTreeMap<String, String>,
}

impl Record for Thing {
    fn value(&self, field: &'static str, key: Option<&str>) -> Value<'_> {
        match (field, key) {
            ("name", _) => Value::text("agents/h1/gateways/chat/instances/a"),
            ("phase", _) => Value::text("Down"),
            ("cause", _) => Value::Texts(vec!["ConnectionRefused".into(), "NotYetObserved".into()]),
            ("group", _) => Value::text("default"),
            ("labels", Some(key)) => self.labels.get(key).map_or(Value::Absent, |v| Value::text(v.as_str())),
            ("labels", None) => Value::Map(&self.labels),
            ("stale", _) => Value::Bool(false),
            ("reachable", _) => Value::text("False"),
            ("fence" | "instance_count", _) => Value::Number(7),
            ("age", _) => Value::Number(90_000),
            // 2026-01-31T08:00:00Z
            ("create_time", _) => Value::Time(Timestamp(1_769_846_400_000_000)),
            _ => Value::Absent,
        }
    }
}

fn thing() -> Thing {
    Thing { labels: BTreeMap::from([("zone".to_owned(), "eu-1".to_owned())]) }
}

fn holds(filter: &str, schema: &'static Schema) -> bool {
    parse(filter, schema).unwrap_or_else(|e| panic!("{filter}: {e}")).matches(&thing())
}

#[test]
fn what_matches_and_what_does_not() {
    for (filter, want) in [
        ("", true),
        ("  ", true),
        ("phase = DOWN", true),
        ("phase=PHASE_DOWN", true),
        ("phase = Down", true),
        ("phase != down", false),
        ("phase = NEEDS_HUMAN", false),
        ("phase : DOWN", true),
        ("reachable = FALSE", true),
        ("reachable = CONDITION_STATUS_TRUE", false),
        ("beating = TRUE", false),
        ("NOT beating = TRUE", true),
        ("stale = false", true),
        ("-stale = false", false),
        ("-(stale = false)", false),
        ("cause = \"ConnectionRefused\"", true),
        ("cause = Connection*", true),
        ("cause : NotYetObserved", true),
        ("cause != ConnectionRefused", false),
        ("cause : *", true),
        ("live_order : *", false),
        ("name = agents/h1/*", true),
        ("name = \"*/instances/b\"", false),
        ("name : chat", true),
        ("name : \"gateways/chat\"", true),
        ("labels.zone = eu-*", true),
        ("labels.zone != eu-1", false),
        ("labels.rack = 1", false),
        ("labels.rack != 1", true),
        ("labels : zone", true),
        ("labels : rack", false),
        // OR binds tighter than AND: a AND (b OR c).
        ("group = lab AND phase = DOWN OR stale = false", false),
        ("(group = lab AND phase = DOWN) OR stale = false", true),
        ("phase = DOWN AND NOT group = lab", true),
        ("NOT (phase = DOWN AND group = default)", false),
    ] {
        assert_eq!(holds(filter, &INSTANCES), want, "{filter}");
    }
}

#[test]
fn numbers_times_and_durations_are_ordered() {
    for (filter, want) in [
        ("fence > 6", true),
        ("fence >= 7 AND fence <= 7", true),
        ("fence < 7", false),
        ("fence = -7", false),
        ("create_time >= \"2026-01-31T08:00:00Z\"", true),
        ("create_time > \"2026-01-31T09:00:00+01:00\"", false),
        ("create_time < '2026-02-01T00:00:00Z'", true),
        ("end_time < \"2026-02-01T00:00:00Z\"", false),
        ("age < 2m", true),
        ("age > 1m30s", false),
    ] {
        assert_eq!(holds(filter, &ORDERS), want, "{filter}");
    }
}

#[test]
fn errors_say_where_and_what() {
    for (filter, column, what) in [
        ("phas = DOWN", 1, "did you mean `phase`?"),
        ("phase = DOWM", 9, "NEEDS_HUMAN"),
        ("phase", 6, "= != <"),
        ("phase =", 8, "a value is needed"),
        ("phase > DOWN", 9, "has no order"),
        ("(phase = DOWN", 14, "closing parenthesis"),
        ("phase = DOWN)", 13, "closes nothing"),
        ("phase = DOWN stale = true", 14, "AND or OR is missing"),
        ("phase = \"DOWN", 9, "no closing"),
        ("= DOWN", 1, "phase = DOWN"),
        ("\"phase\" = DOWN", 1, "a field is needed"),
        ("phase = DOWN AND", 17, "a comparison is needed"),
        ("AND phase = DOWN", 1, "before AND"),
        ("stale = yes", 9, "neither true nor false"),
        ("labels = x", 10, "labels.KEY"),
        ("labels. = x", 1, "key is needed"),
        ("phase.x = y", 1, "has no parts"),
        ("phase ! DOWN", 7, "means nothing"),
    ] {
        let e = parse(filter, &INSTANCES).expect_err(filter);
        assert_eq!(e.column, column, "{filter}: {e}");
        assert!(e.what.contains(what), "{filter}: {e}");
    }
    let e = parse("create_time > 2026-01-31", &ORDERS).unwrap_err();
    assert!(e.what.contains("in quotes"), "{e}");
    assert!(parse("age > soon", &ORDERS).unwrap_err().what.contains("not a duration"));
}

#[test]
fn limits_hold() {
    let long = format!("name = {}", "x".repeat(MAX_BYTES));
    assert!(parse(&long, &INSTANCES).unwrap_err().what.contains("bytes"));
    let deep = format!("{}stale = true{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    assert!(parse(&deep, &INSTANCES).unwrap_err().what.contains("deep"));
    let nots = format!("{}stale = true", "NOT ".repeat(400));
    assert!(parse(&nots, &INSTANCES).unwrap_err().what.contains("deep"));
    let many = vec!["stale=true"; MAX_TERMS + 1].join(" OR ");
    assert!(parse(&many, &INSTANCES).unwrap_err().what.contains("comparisons"));
    let just = vec!["stale=true"; MAX_TERMS].join(" OR ");
    assert!(parse(&just, &INSTANCES).is_ok());
}

#[test]
fn as_a_status_it_names_the_field_and_the_column() {
    use tonic_types::StatusExt as _;
    let status = Status::from(parse("phas = DOWN", &INSTANCES).unwrap_err());
    let details = status.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "filter");
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["column"].as_str()), ("INVALID_FILTER", "1"));
}

/// Pieces that are often sound, so that the parser is reached beyond its first token.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("phase".to_owned()),
        Just("labels.zone".to_owned()),
        Just("age".to_owned()),
        Just("AND".to_owned()),
        Just("OR".to_owned()),
        Just("NOT".to_owned()),
        Just("-".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("=".to_owned()),
        Just(":".to_owned()),
        Just("*".to_owned()),
        Just("\"a b\"".to_owned()),
        Just("DOWN".to_owned()),
        "[a-z\\\\\"'网é<>!=,.-]{0,6}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|p| p.join(" "))
}

#[derive(Debug, Clone)]
enum Tree {
    Leaf(bool),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

fn trees() -> impl Strategy<Value = Tree> {
    any::<bool>().prop_map(Tree::Leaf).prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| Tree::Not(Box::new(t))),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Tree::And),
            proptest::collection::vec(inner, 1..4).prop_map(Tree::Or),
        ]
    })
}

impl Tree {
    fn text(&self) -> String {
        let joined = |all: &[Tree], word: &str| {
            let parts: Vec<String> = all.iter().map(Tree::text).collect();
            format!("({})", parts.join(word))
        };
        match self {
            Self::Leaf(true) => "stale = false".to_owned(),
            Self::Leaf(false) => "stale = true".to_owned(),
            Self::Not(t) => format!("NOT {}", t.text()),
            Self::And(all) => joined(all, " AND "),
            Self::Or(all) => joined(all, " OR "),
        }
    }

    fn truth(&self) -> bool {
        match self {
            Self::Leaf(b) => *b,
            Self::Not(t) => !t.truth(),
            Self::And(all) => all.iter().all(Tree::truth),
            Self::Or(all) => all.iter().any(Tree::truth),
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        for schema in [&INSTANCES, &AGENTS, &GATEWAYS, &ORDERS, &EVENTS] {
            if let Ok(filter) = parse(&text, schema) {
                let _ = filter.matches(&thing());
            }
        }
    }

    #[test]
    fn no_arrangement_of_sound_pieces_makes_it_panic(text in pieces()) {
        for schema in [&INSTANCES, &ORDERS] {
            match parse(&text, schema) {
                Ok(filter) => { let _ = filter.matches(&thing()); }
                Err(e) => prop_assert!(e.column >= 1 && e.column <= text.chars().count() + 1, "{e}"),
            }
        }
    }

    #[test]
    fn logic_is_logic(tree in trees()) {
        let text = tree.text();
        prop_assume!(text.matches("stale").count() <= MAX_TERMS && text.len() <= MAX_BYTES);
        prop_assert_eq!(holds(&text, &INSTANCES), tree.truth(), "{}", text);
    }
}
