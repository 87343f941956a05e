//! `--seen`: what a client's log says of a session, as facts for the engine.

use std::time::Duration;

use mooring_core::diagnosis::{LinkSaw, Saw};
use mooring_core::handshake::HttpAnswer;
use mooring_core::observation::Close;
use mooring_core::time::human;

/// `code=1005,age=45s,silent=20s,reason=ping timeout,pong=no,connect=yes,text=no,others=3,status=403,calls=unanswered`.
pub(super) fn parse(text: &str) -> Result<Saw, String> {
    let mut saw = Saw::default();
    let mut link = LinkSaw::default();
    let mut close = Close {
        code: None,
        reason: String::new(),
        by_us: false,
        age: Duration::ZERO,
        silent_for: Duration::ZERO,
        error: None,
    };
    let mut ended = false;
    for part in text.split(',') {
        let (key, value) =
            part.split_once('=').ok_or_else(|| format!("`{part}` is not `fact=value`, such as code=1006"))?;
        let time = || human::parse(value).map_err(|e| format!("{key}: {e}"));
        let number = || value.parse::<u16>().map_err(|_| format!("{key}: `{value}` is not a number"));
        let truth = || match value {
            "yes" | "true" => Ok(Some(true)),
            "no" | "false" => Ok(Some(false)),
            _ => Err(format!("{key}: `{value}` is neither yes nor no")),
        };
        match key.trim() {
            "code" => {
                ended = true;
                // What libraries report where there was no Close frame (RFC 6455 §7.1.5).
                close.code = Some(number()?).filter(|code| *code != 1006);
            }
            "reason" => value.clone_into(&mut close.reason),
            "age" => close.age = time()?,
            "silent" => close.silent_for = time()?,
            "pong" => link.sent_pong = truth()?,
            "connect" => link.sent_connect = truth()?,
            "text" => link.sent_text = truth()?,
            "others" => link.others = u32::from(number()?),
            "calls" => match value {
                "unanswered" => link.calls_unanswered = Some(true),
                "answered" => link.calls_unanswered = Some(false),
                _ => return Err(format!("calls: `{value}` is neither answered nor unanswered")),
            },
            "status" => {
                saw.answer = Some(HttpAnswer { status: number()?, ..HttpAnswer::default() });
            }
            other => {
                return Err(format!(
                    "`{other}` is not known: code, reason, age, silent, pong, connect, text, others, calls, status"
                ));
            }
        }
    }
    link.age = close.age;
    link.silent_for = close.silent_for;
    saw.close = ended.then_some(close);
    saw.established = ended;
    saw.link = ended.then_some(link);
    if saw.close.is_none() && saw.answer.is_none() {
        return Err("say how it ended: code=1006, or status=403 for a refusal".to_owned());
    }
    Ok(saw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_becomes_facts() {
        let saw = parse("code=1006,age=60s,silent=60s,others=3").unwrap();
        let close = saw.close.unwrap();
        assert_eq!(
            (close.code, close.age, close.silent_for),
            (None, Duration::from_secs(60), Duration::from_secs(60))
        );
        assert_eq!(saw.link.unwrap().others, 3);
        let saw = parse("code=1005,pong=no").unwrap();
        assert_eq!((saw.close.unwrap().code, saw.link.unwrap().sent_pong), (Some(1005), Some(false)));
        assert_eq!(parse("status=403").unwrap().answer.unwrap().status, 403);
        for (text, part) in [
            ("1006", "fact=value"),
            ("code=abc", "not a number"),
            ("pong=maybe", "neither"),
            ("colour=red", "not known"),
            ("age=60s", "how it ended"),
            ("code=1006,age=soon", "age"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
