//! Takes our own secrets out of what a peer says.
//!
//! Servers echo: error pages hold the URL with its token, debug answers hold the request's headers. What comes back is
//! stored, sent and shown as evidence, so every configured header value and every value of the query is cut out of it
//! first — after the answer was judged, which needs it as it was. Short values and the protocol's own words are left:
//! `13` or `transport=websocket` is no secret, and cutting it would ruin the evidence.

use http::header::{HeaderName, ORIGIN, USER_AGENT};
use mooring_core::handshake::HttpAnswer;
use mooring_core::limits::{MAX_EVIDENCE_VALUE, clip};

use crate::target::Target;

/// Values shorter than this are not secrets.
const LEAST: usize = 6;
/// As much of a secret as gives it away when the text is cut off within it.
const LEAST_CUT: usize = 4;
/// Headers that hold no secret.
const PUBLIC: [HeaderName; 2] = [ORIGIN, USER_AGENT];
/// What stands instead.
const MARK: &str = "…";

/// What must not be repeated.
#[derive(Clone, Default)]
pub struct Redactor(Vec<String>);

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.0.len())
    }
}

impl Redactor {
    /// The secrets of this target: header values (an `Authorization` also without its scheme) and query values.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        let mut secrets = Vec::new();
        // Who asks is no secret, and an answer about an origin repeats it.
        for (_, value) in target.headers().iter().filter(|(n, _)| !PUBLIC.contains(n)) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            if let Some((_, token)) = value.split_once(' ') {
                secrets.push(token.trim().to_owned());
            }
            secrets.push(value);
        }
        for pair in target.url().query().unwrap_or_default().split('&') {
            secrets.push(pair.split_once('=').map_or(pair, |(_, value)| value).to_owned());
        }
        let known =
            |s: &str| matches!(s, "websocket" | "polling") || target.subprotocols().iter().any(|p| p == s);
        secrets.retain(|s| !known(s));
        Self::default().and(secrets)
    }

    /// And these: what is sent above the handshake. Short values stay, as everywhere here.
    #[must_use]
    pub fn and(mut self, secrets: impl IntoIterator<Item = String>) -> Self {
        self.0.extend(secrets.into_iter().filter(|s| s.len() >= LEAST));
        // The longest first: a token inside a longer value must not leave the rest of it behind.
        self.0.sort_by_key(|s| std::cmp::Reverse(s.len()));
        self
    }

    /// The text without them.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.0 {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), MARK);
            }
        }
        out
    }

    /// The same for the beginning of a longer text, which may have been cut off within a secret.
    fn clean_start(&self, text: &str) -> String {
        let mut out = self.clean(text);
        for secret in &self.0 {
            let most = secret.len().min(out.len());
            let cut =
                (LEAST_CUT..=most).rev().find(|&n| secret.is_char_boundary(n) && out.ends_with(&secret[..n]));
            if let Some(n) = cut {
                out.truncate(out.len() - n);
                out.push_str(MARK);
            }
        }
        out
    }

    /// An answer without them, its values cut to what evidence may hold.
    pub(crate) fn clean_answer(&self, answer: &mut HttpAnswer) {
        answer.reason = clip(&self.clean(&answer.reason), MAX_EVIDENCE_VALUE);
        for (_, value) in &mut answer.headers {
            *value = clip(&self.clean(value), MAX_EVIDENCE_VALUE);
        }
        answer.body_start = self.clean_start(&answer.body_start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        let target = Target::new("ws://a/x?EIO=4&transport=websocket&token=qu3ry-s3cret&v=1")
            .and_then(|t| t.header("Authorization", "Bearer b3arer-s3cret"))
            .and_then(|t| t.header("X-Self-ID", "10001"))
            .unwrap();
        Redactor::of(&target)
    }

    #[test]
    fn secrets_of_headers_and_query_are_cut() {
        let said = "GET /x?transport=websocket&token=qu3ry-s3cret for b3arer-s3cret (Bearer b3arer-s3cret), id 10001, v=1";
        assert_eq!(redactor().clean(said), "GET /x?transport=websocket&token=… for … (…), id 10001, v=1");
    }

    #[test]
    fn a_secret_cut_in_two_is_cut_whole() {
        let mut answer =
            HttpAnswer { body_start: "no such page: /x?token=qu3ry-s3".to_owned(), ..HttpAnswer::default() };
        answer.headers.push(("location".to_owned(), "/y?token=qu3ry-s3cret".to_owned()));
        redactor().clean_answer(&mut answer);
        assert_eq!(answer.body_start, "no such page: /x?token=…");
        assert_eq!(answer.header("location"), Some("/y?token=…"));
    }
}
