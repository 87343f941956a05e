//! What it means when the framework, or the implementation's own server, does not take us. Pure.
//!
//! Each server has its own way of saying no, and some say the same for everything; what was observed of each is in the
//! table below. What cannot be told apart from one answer is said as such, in the words.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::{RecentCloses, UpgradeFacts, cause_of_close, refusal_from_answer};
use mooring_core::handshake::HttpAnswer;
use mooring_core::observation::Close;

/// Why it was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Named.
    pub cause: Cause,
    /// In words.
    pub message: String,
    /// A 403 without a word: what NoneBot says to an id that it believes connected, among other things.
    pub bare_403: bool,
}

/// Judges an answer other than 101. `token`: whether we sent one.
#[must_use]
pub fn of_answer(answer: &HttpAnswer, path: &str, token: bool, took: Duration) -> Refusal {
    let bare = answer.headers.is_empty();
    let hypercorn = answer.header("server").is_some_and(|s| s.starts_with("hypercorn"));
    let empty = answer.body_start.trim().is_empty();
    let other = |cause, message: String| Refusal { cause, message, bare_403: false };
    match answer.status {
        // TRSS-Yunzai since 2024-12-25.
        404 if bare => other(
            Cause::WrongPath,
            format!(
                "HTTP 404 without any header, as TRSS-Yunzai says to `{path}`: it wants `/OneBotv11`, in this case, without a query; set it in `rewrite`"
            ),
        ),
        404 => other(
            Cause::WrongPath,
            format!(
                "HTTP 404: the framework does not know `{path}`; set the right one in `rewrite` or `forward_to`"
            ),
        ),
        400 if hypercorn => other(
            Cause::HeaderMissing,
            "HTTP 400 by aiocqhttp: X-Self-ID or X-Client-Role is missing or wrong".to_owned(),
        ),
        401 if !token => other(
            Cause::TokenMissing,
            "HTTP 401: the framework demands an access token; set `forward_token_file`".to_owned(),
        ),
        401 => {
            other(Cause::TokenRefused, "HTTP 401: the framework does not accept the access token".to_owned())
        }
        403 if hypercorn && token => {
            other(Cause::TokenRefused, "HTTP 403 by aiocqhttp: the access token is wrong".to_owned())
        }
        // uvicorn: path, X-Self-ID, token, an id that is taken. Only the first two can be ruled out from here.
        403 if empty && !hypercorn => Refusal {
            cause: Cause::CredentialsRefused,
            message: format!(
                "HTTP 403 without a word, as NoneBot says to a wrong path (`{path}`), a {} token, or an id that is connected already",
                if token { "wrong" } else { "missing" }
            ),
            bare_403: true,
        },
        403 if !token => other(Cause::TokenMissing, "HTTP 403, and no access token was sent".to_owned()),
        403 => other(Cause::TokenRefused, "HTTP 403: the access token is not accepted".to_owned()),
        _ => {
            let facts = UpgradeFacts { took, ..UpgradeFacts::default() };
            match refusal_from_answer(answer, &facts) {
                Some(refusal) => other(refusal.cause, refusal.message),
                None => other(Cause::HandshakeRefused, format!("HTTP {}", answer.status)),
            }
        }
    }
}

/// Judges the end of a connection that was accepted. `spoke`: whether it ever said anything.
#[must_use]
pub fn of_close(close: &Close, recent: &RecentCloses, path: &str, spoke: bool) -> (Cause, String) {
    let young = close.age < Duration::from_millis(100);
    let code = close.code.unwrap_or(1006);
    let reason = close.reason.to_ascii_lowercase();
    match code {
        // Koishi says which.
        1008 if reason.contains("x-self-id") || reason.contains("x-client-role") => (
            Cause::HeaderMissing,
            format!(
                "accepted, then closed with 1008 `{}`: Koishi has no bot of this id, or wants the role Universal",
                close.reason
            ),
        ),
        3002 if young => (
            Cause::TokenMissing,
            "accepted, then closed with 3002: node-karin demands an access token".to_owned(),
        ),
        3001 if young => (
            Cause::TokenRefused,
            "accepted, then closed with 3001: node-karin does not accept the access token".to_owned(),
        ),
        // Koishi hangs up on an unknown path within milliseconds, node-karin after 3 s, Yunzai of 2024 at once.
        1005 | 1006 if !spoke && (young || (code == 1005 && about(close.age, 3))) => (
            Cause::WrongPath,
            format!(
                "accepted at `{path}`, then dropped after {:.3} s without a word, as Koishi, node-karin and Yunzai do with a path that they do not know",
                close.age.as_secs_f64()
            ),
        ),
        1006 if about(close.age, 60) => (
            Cause::ApiUnresponsive,
            "dropped after 60 s, as Yunzai does when a call of its was not answered".to_owned(),
        ),
        _ => {
            let verdict = cause_of_close(close, recent);
            (verdict.cause, verdict.message)
        }
    }
}

fn about(age: Duration, seconds: u64) -> bool {
    age.abs_diff(Duration::from_secs(seconds)) < Duration::from_millis(500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> HttpAnswer {
        HttpAnswer {
            status,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            ..HttpAnswer::default()
        }
    }

    #[test]
    fn each_framework_says_no_in_its_own_way() {
        let plain = [("content-type", "text/plain"), ("connection", "close")];
        let hypercorn = [("server", "hypercorn-h11")];
        for (answer, token, cause, bare) in [
            (answer(404, &[]), true, Cause::WrongPath, false),
            (answer(403, &plain), true, Cause::CredentialsRefused, true),
            (answer(403, &hypercorn), true, Cause::TokenRefused, false),
            (answer(401, &hypercorn), false, Cause::TokenMissing, false),
            (answer(400, &hypercorn), true, Cause::HeaderMissing, false),
            (answer(401, &[]), false, Cause::TokenMissing, false),
            (answer(401, &[]), true, Cause::TokenRefused, false),
            (answer(502, &plain), true, Cause::BackendDown, false),
        ] {
            let refusal = of_answer(&answer, "/x", token, Duration::from_millis(5));
            assert_eq!((refusal.cause, refusal.bare_403), (cause, bare), "{answer:?}");
        }
    }

    #[test]
    fn and_some_only_after_they_said_yes() {
        let close = |code: Option<u16>, reason: &str, age: u64| Close {
            code,
            reason: reason.to_owned(),
            by_us: false,
            age: Duration::from_millis(age),
            silent_for: Duration::from_millis(age),
            error: None,
        };
        let recent = RecentCloses::default();
        for (close, spoke, cause) in [
            (close(Some(1008), "invalid x-self-id", 2), false, Cause::HeaderMissing),
            (close(Some(3002), "", 4), false, Cause::TokenMissing),
            (close(Some(3001), "", 4), false, Cause::TokenRefused),
            (close(Some(1005), "", 4), false, Cause::WrongPath),
            (close(Some(1005), "", 3005), false, Cause::WrongPath),
            (close(None, "", 2), false, Cause::WrongPath),
            (close(None, "", 60_020), true, Cause::ApiUnresponsive),
            (close(Some(1012), "", 60_020), true, Cause::GatewayRestarting),
            (close(None, "", 100_000), true, Cause::SessionLost),
        ] {
            assert_eq!(of_close(&close, &recent, "/x", spoke).0, cause, "{close:?}");
        }
    }
}
