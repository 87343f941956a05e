//! The guides agree with the table, with the default policy, and with themselves.

use std::collections::BTreeSet;

use super::{Retry, apart};
use crate::cause::{Cause, Handling, Lang};
use crate::kind::Kind;
use crate::policy::Policy;

fn has_han(text: &str) -> bool {
    text.chars().any(|ch| ('\u{4e00}'..='\u{9fff}').contains(&ch))
}

/// Every text of a guide in both languages, with what it is.
fn texts(cause: Cause) -> Vec<(&'static str, super::Text)> {
    let guide = cause.guide();
    let mut texts = vec![("seen_as", guide.seen_as)];
    texts.extend(guide.human.map(|text| ("human", text)));
    texts.extend(cause.confused_with().map(|(_, text)| ("apart", text)));
    texts
}

#[test]
fn every_text_is_a_sentence_in_both_languages() {
    for cause in Cause::all() {
        for (what, text) in texts(cause) {
            assert!(has_han(text.zh) && text.zh.ends_with('。'), "{cause} {what}: {}", text.zh);
            assert!(!has_han(text.en) && text.en.ends_with('.'), "{cause} {what}: {}", text.en);
            assert!(!text.en.contains("TODO") && !text.zh.contains("TODO"), "{cause} {what}");
        }
    }
}

/// Texts name other causes; a name that is no cause would lead nowhere. Both languages name the same ones.
#[test]
fn both_languages_name_the_same_causes() {
    let named = |text: &str| -> BTreeSet<Cause> {
        text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| word.parse().ok()).collect()
    };
    for cause in Cause::all() {
        for (what, text) in texts(cause).into_iter().filter(|(what, _)| *what != "apart") {
            assert_eq!(named(text.en), named(text.zh), "{cause} {what}");
        }
    }
}

#[test]
fn what_only_a_human_mends_is_not_retried_without_a_reason() {
    for cause in Cause::all().filter(|c| c.handling() == Handling::Human) {
        let guide = cause.guide();
        assert!(guide.human.is_some(), "{cause} says what a human must do");
        // A new session lives until the next cut: the retry is the client's own, and it is said why it does not mend it.
        let lives_on = matches!(cause, Cause::IdleCut | Cause::TimersMisfit | Cause::ProxyBuffering);
        assert_eq!(guide.retry == Retry::No, !lives_on, "{cause}");
    }
}

#[test]
fn the_order_is_one_that_the_default_policy_gives() {
    let policy = Policy::default();
    for cause in Cause::all() {
        let steps: Vec<_> =
            policy.steps(cause, Kind::Websocket).iter().filter_map(|rung| rung.action.action()).collect();
        match cause.guide().order {
            None => assert!(steps.is_empty(), "{cause} has steps {steps:?} and no order"),
            Some(order) => assert!(steps.contains(&order), "{cause}: {order} is not in {steps:?}"),
        }
        if cause.guide().retry == Retry::No {
            assert_eq!(cause.guide().order, None, "{cause}");
        }
    }
}

#[test]
fn pairs_are_of_two_causes_and_written_once() {
    let mut seen = BTreeSet::new();
    for pair in apart::all() {
        assert_ne!(pair.one, pair.two);
        let both = (pair.one.min(pair.two), pair.one.max(pair.two));
        assert!(seen.insert(both), "{both:?} is there twice");
        assert_eq!(pair.other(pair.one), Some(pair.two));
        assert!(pair.one.confused_with().any(|(other, _)| other == pair.two));
        assert!(pair.two.confused_with().any(|(other, _)| other == pair.one));
    }
}

/// Words by which a remedy speaks of a setting that can be pasted.
const SETTINGS: [&str; 12] = [
    "nginx:",
    "nginx `",
    "nginx proxy_",
    "Apache `",
    "HAProxy `",
    "ingress-nginx `",
    "uvicorn:",
    "`maxPayload",
    "cors.origin",
    "expect.",
    "gateway.relay.limits",
    "heartbeat.promise",
];

#[test]
fn a_remedy_that_names_a_setting_comes_with_the_lines() {
    for cause in Cause::all() {
        let remedy = cause.words(Lang::En).remedy;
        if SETTINGS.iter().any(|setting| remedy.contains(setting)) {
            assert!(!cause.guide().snippets.is_empty(), "{cause}: {remedy}");
        }
    }
}

#[test]
fn snippets_are_lines_to_paste() {
    for cause in Cause::all() {
        for snippet in cause.guide().snippets {
            assert!(!snippet.text.is_empty() && snippet.text.trim_end() == snippet.text, "{cause}");
            assert!(!has_han(snippet.text), "{cause}: {}", snippet.text);
            assert!(snippet.place.en == snippet.place.zh || has_han(snippet.place.zh), "{cause}");
            assert!(!has_han(snippet.place.en), "{cause}");
            assert!(!snippet.text.contains('\t') && !snippet.text.contains("```"), "{cause}");
        }
    }
}

#[test]
fn sources_can_be_found() {
    for cause in Cause::all() {
        for source in cause.guide().sources {
            let rfc = source
                .strip_prefix("RFC ")
                .is_some_and(|rest| rest.split(' ').next().unwrap().parse::<u16>().is_ok());
            assert!(rfc || source.starts_with("https://"), "{cause}: {source}");
        }
    }
}
