//! What a REST answer of Bisheng's says: by its body, because HTTP says 200 whatever happened.

use mooring_core::cause::Cause;
use mooring_core::limits::{MAX_EVIDENCE_VALUE, clip};
use serde_json::Value;

use crate::http::{Answer, HttpError};

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It says that all is well.
    Fine,
    /// It says something else, or not what an API says.
    Wrong {
        /// Why.
        cause: Cause,
        /// In words: codes and the start of the answer.
        words: String,
    },
    /// Nothing listens.
    Refused(String),
    /// Connected, and no answer in time.
    Mute(String),
    /// No answer for another reason.
    Failed(String),
}

/// Judges `GET /health`: `{"status":"OK"}` and nothing else.
#[must_use]
pub fn health(answer: &Result<Answer, HttpError>) -> Told {
    let answer = match got(answer) {
        Ok(answer) => answer,
        Err(told) => return told,
    };
    let body = answer.json();
    let status = body.as_ref().and_then(|b| b.get("status")).and_then(Value::as_str);
    if answer.status == 200 && status.is_some_and(|s| s.eq_ignore_ascii_case("ok")) {
        return Told::Fine;
    }
    if let Some(told) = page(answer) {
        return told;
    }
    wrong(Cause::BackendUnhealthy, answer)
}

/// Judges any other call: `status_code` 200 in the body.
#[must_use]
pub fn call(answer: &Result<Answer, HttpError>) -> Told {
    let answer = match got(answer) {
        Ok(answer) => answer,
        Err(told) => return told,
    };
    if let Some(told) = page(answer) {
        return told;
    }
    let code = answer.json().and_then(|body| body.get("status_code").and_then(Value::as_u64));
    match (answer.status, code) {
        (200..=299, Some(200)) => Told::Fine,
        (401 | 403, _) | (_, Some(401 | 403)) => wrong(Cause::CredentialsRefused, answer),
        (404, _) => wrong(Cause::WrongPath, answer),
        _ => wrong(Cause::BackendUnhealthy, answer),
    }
}

fn got(answer: &Result<Answer, HttpError>) -> Result<&Answer, Told> {
    answer.as_ref().map_err(|error| match error {
        HttpError::Connect(_) => Told::Refused(error.to_string()),
        HttpError::TimedOut(_) => Told::Mute(error.to_string()),
        _ => Told::Failed(error.to_string()),
    })
}

/// An HTML page where an API should answer: the address is the front end's.
fn page(answer: &Answer) -> Option<Told> {
    let html = answer.header("content-type").is_some_and(|t| t.starts_with("text/html"));
    (html && answer.status == 200).then(|| Told::Wrong {
        cause: Cause::SpaFallback,
        words: "a web page answers: this is the front end's address, not the API's".to_owned(),
    })
}

fn wrong(cause: Cause, answer: &Answer) -> Told {
    let body = answer.json();
    let field = |name: &str| body.as_ref().and_then(|b| b.get(name));
    let mut words = format!("HTTP {}", answer.status);
    if let Some(code) = field("status_code") {
        words.push_str(&format!(", but status_code {} in the body", clip(&code.to_string(), 20)));
    }
    // Of a JSON body only what is meant for people: the rest may be anybody's data.
    let said = ["status_message", "detail", "status"].into_iter().find_map(|n| field(n)?.as_str());
    match (said, &body) {
        (Some(said), _) => words.push_str(&format!(": {said}")),
        (None, Some(_)) => {}
        (None, None) => words.push_str(&format!(": {}", answer.text(120).escape_debug())),
    }
    Told::Wrong { cause, words: clip(&words, MAX_EVIDENCE_VALUE) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn answer(status: u16, kind: &str, body: &str) -> Result<Answer, HttpError> {
        Ok(Answer {
            status,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: body.to_owned().into(),
        })
    }

    fn cause(told: &Told) -> Option<Cause> {
        match told {
            Told::Wrong { cause, .. } => Some(*cause),
            _ => None,
        }
    }

    #[test]
    fn health_is_ok_and_nothing_else() {
        let json = "application/json";
        assert_eq!(health(&answer(200, json, r#"{"status":"OK"}"#)), Told::Fine);
        let rows = [
            (200, json, r#"{"status":"degraded"}"#, Cause::BackendUnhealthy),
            (200, json, r#"{"status_code":500,"status_message":"db away"}"#, Cause::BackendUnhealthy),
            (200, json, "OK", Cause::BackendUnhealthy),
            (503, json, r#"{"status":"OK"}"#, Cause::BackendUnhealthy),
            (200, "text/html; charset=utf-8", "<!doctype html>", Cause::SpaFallback),
        ];
        for (status, kind, body, expected) in rows {
            assert_eq!(cause(&health(&answer(status, kind, body))), Some(expected), "{status} {body}");
        }
    }

    #[test]
    fn a_call_is_judged_by_its_body() {
        let json = "application/json";
        assert_eq!(call(&answer(200, json, r#"{"status_code":200,"data":{}}"#)), Told::Fine);
        assert_eq!(call(&answer(201, json, r#"{"status_code":200}"#)), Told::Fine);
        let rows = [
            (
                200,
                json,
                r#"{"status_code":500,"status_message":"An error occurred"}"#,
                Cause::BackendUnhealthy,
            ),
            (200, json, r#"{"status_code":401}"#, Cause::CredentialsRefused),
            (200, json, r#"{"status_code":403}"#, Cause::CredentialsRefused),
            (401, json, r#"{"detail":"x"}"#, Cause::CredentialsRefused),
            (404, json, r#"{"detail":"Not Found"}"#, Cause::WrongPath),
            (200, json, "[]", Cause::BackendUnhealthy),
            (500, "text/plain", "Internal Server Error", Cause::BackendUnhealthy),
            (200, "text/html", "<html>", Cause::SpaFallback),
        ];
        for (status, kind, body, expected) in rows {
            assert_eq!(cause(&call(&answer(status, kind, body))), Some(expected), "{status} {body}");
        }
        let Told::Wrong { words, .. } =
            call(&answer(200, json, r#"{"status_code":500,"status_message":"An error occurred"}"#))
        else {
            panic!("it is wrong")
        };
        assert_eq!(words, "HTTP 200, but status_code 500 in the body: An error occurred");
    }

    #[test]
    fn no_answer_is_told_apart() {
        assert!(matches!(health(&Err(HttpError::Connect("refused".to_owned()))), Told::Refused(_)));
        assert!(matches!(health(&Err(HttpError::TimedOut(Duration::from_secs(1)))), Told::Mute(_)));
        assert!(matches!(call(&Err(HttpError::Broken("eof".to_owned()))), Told::Failed(_)));
    }
}
