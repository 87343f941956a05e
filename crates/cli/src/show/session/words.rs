//! Small words and numbers of sessions.

use std::time::Duration;

use mooring_core::cause::Lang;
use mooring_proto::duration_from;
use mooring_proto::v1::{SessionSource, SessionState};

use crate::text::{self, either};

/// Who sees a session, in a word.
pub(crate) fn source(source: SessionSource, lang: Lang) -> &'static str {
    let (en, zh) = match source {
        SessionSource::Unspecified => ("-", "-"),
        SessionSource::Canary => ("canary", "探针"),
        SessionSource::Relay => ("relay", "中继"),
        SessionSource::Kernel => ("kernel", "内核"),
        SessionSource::Report => ("report", "自报"),
        SessionSource::Adapter => ("adapter", "适配器"),
    };
    either(lang, en, zh)
}

/// What it means to be seen so.
pub(super) fn source_meaning(source: SessionSource, lang: Lang) -> &'static str {
    let (en, zh) = match source {
        SessionSource::Unspecified => ("not known", "未知"),
        SessionSource::Canary => ("a session of Mooring's own", "Mooring 自己的会话"),
        SessionSource::Relay => ("the relay in its path", "位于路径中的中继"),
        SessionSource::Kernel => ("the kernel's view of the TCP connection", "内核所见的 TCP 连接"),
        SessionSource::Report => ("the gateway's own word", "网关自己的报告"),
        SessionSource::Adapter => ("the gateway's own interfaces", "网关自身的接口"),
    };
    either(lang, en, zh)
}

/// Where a session is in its life, in a word.
pub(crate) fn state(state: SessionState, lang: Lang) -> &'static str {
    let (en, zh) = match state {
        SessionState::Unspecified => ("-", "-"),
        SessionState::Opening => ("opening", "打开中"),
        SessionState::Open => ("open", "打开"),
        SessionState::Closing => ("closing", "关闭中"),
        SessionState::Held => ("held", "等待中"),
    };
    either(lang, en, zh)
}

/// Who ended a session, in a word; one this program does not know as it came.
pub(super) fn ended_by(by: &str, lang: Lang) -> String {
    let zh = match by {
        "unknown" => "未知",
        "peer" => "对端",
        "gateway" => "网关",
        "mooring" => "Mooring",
        "path" => "中间网络",
        other => return super::or_dash(other),
    };
    match lang {
        Lang::En => by.to_owned(),
        Lang::ZhCn => zh.to_owned(),
    }
}

/// "silent", before a duration.
pub(super) fn silent(lang: Lang) -> &'static str {
    either(lang, "silent", "静默")
}

/// A round trip: two digits that mean something, from microseconds to seconds.
pub(crate) fn latency(d: Option<&prost_types::Duration>) -> String {
    let Some(d) = d.and_then(duration_from) else { return "-".to_owned() };
    let micros = d.as_micros();
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..10_000 => format!("{}.{}ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{}ms", micros / 1_000),
        1_000_000..10_000_000 => format!("{}.{}s", micros / 1_000_000, micros % 1_000_000 / 100_000),
        _ => text::duration(Duration::from_secs(d.as_secs())),
    }
}

/// A number of bytes in powers of 1024: `812`, `1.2K`, `35M`.
pub(crate) fn bytes(count: Option<i64>) -> String {
    let Some(count) = count.and_then(|n| u64::try_from(n).ok()) else { return "-".to_owned() };
    let (mut unit, mut name) = (1_u64, "");
    for next in ["K", "M", "G", "T"] {
        if count / unit < 1024 {
            break;
        }
        (unit, name) = (unit * 1024, next);
    }
    let (whole, tenth) = (count / unit, count % unit * 10 / unit);
    if unit > 1 && whole < 10 { format!("{whole}.{tenth}{name}") } else { format!("{whole}{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_keep_two_digits() {
        for (micros, words) in [
            (0, "0us"),
            (340, "340us"),
            (1_290, "1.2ms"),
            (12_900, "12ms"),
            (999_999, "999ms"),
            (1_340_000, "1.3s"),
            (75_000_000, "1m15s"),
        ] {
            let d = mooring_proto::duration(Duration::from_micros(micros));
            assert_eq!(latency(Some(&d)), words);
        }
        assert_eq!(latency(None), "-");
        // What a peer sends may be nonsense.
        assert_eq!(latency(Some(&prost_types::Duration { seconds: -1, nanos: 0 })), "-");
    }

    #[test]
    fn bytes_are_short() {
        for (count, words) in [
            (0, "0"),
            (1_023, "1023"),
            (1_024, "1.0K"),
            (1_290, "1.2K"),
            (36_700_160, "35M"),
            (i64::MAX, "8388607T"),
        ] {
            assert_eq!(bytes(Some(count)), words);
        }
        assert_eq!((bytes(None).as_str(), bytes(Some(-1)).as_str()), ("-", "-"));
    }

    #[test]
    fn who_ended_it_is_said_in_both_languages() {
        for by in mooring_core::session::EndedBy::ALL {
            assert_eq!(ended_by(by.name(), Lang::En), by.name());
            assert!(by.name() == "mooring" || !ended_by(by.name(), Lang::ZhCn).is_ascii(), "{by}");
        }
        assert_eq!(ended_by("\u{1b}x", Lang::En), "\u{fffd}x");
    }
}
