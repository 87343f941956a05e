//! Who may call at all.
//!
//! The port is on loopback, where the operator's browser is too, with pages of strangers in it. Three things keep those
//! out. A page may send a POST across origins without asking only with a few content types, and JSON is none of them; it
//! may ask first, and gets no permission (there are no CORS headers here). A page whose name was rebound to 127.0.0.1 is of
//! our origin then, but sends its own name as `Host`, which is checked. And whatever bears the marks of a browser
//! (`Origin`, `Referer`, `Sec-Fetch-Site`) is refused: no gateway sends them. (Node's `fetch` sends `Sec-Fetch-Mode`, which
//! therefore says nothing.) Other users of the machine are kept out by the token, or by the socket's mode.

use http::{Request, header};
use mooring_runtime::auth::TokenSet;
use mooring_runtime::listener::{Peer, PeerInfo};
use tonic::Code;
use tonic::body::Body;

use crate::refusal::Refusal;

/// Checks a request before anything else looks at it.
pub(super) fn check(request: &Request<Body>, tokens: Option<&TokenSet>) -> Result<(), Refusal> {
    let headers = request.headers();
    for mark in ["origin", "referer", "sec-fetch-site"] {
        if headers.contains_key(mark) {
            let refusal = Refusal::new(Code::PermissionDenied, "BROWSER", "browsers may not call this API");
            return Err(refusal.hint(format!("the request has `{mark}`, which only browsers send")));
        }
    }
    let over_tcp =
        request.extensions().get::<PeerInfo>().is_none_or(|info| matches!(info.peer, Peer::Tcp(_)));
    // With a token, a rebound name gets nowhere; and names by which a sidecar is called cannot be known here.
    if over_tcp && tokens.is_none() {
        let host = match request.uri().host() {
            Some(host) => Some(host),
            None => headers.get(header::HOST).and_then(|value| value.to_str().ok()).map(without_port),
        };
        if !host.is_some_and(is_loopback) {
            let refusal =
                Refusal::new(Code::PermissionDenied, "WRONG_HOST", "this port is called by another name");
            return Err(refusal.hint("call it localhost or 127.0.0.1, or set `report.token_file`"));
        }
    }
    if let Some(tokens) = tokens {
        let shown = headers.get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
        tokens
            .check(shown)
            .map_err(|denied| Refusal::new(Code::Unauthenticated, "TOKEN", denied.to_string()))?;
    }
    Ok(())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host: &str, extra: Option<(&'static str, &str)>) -> Option<&'static str> {
        let mut request = Request::builder().uri("/").header(header::HOST, host);
        if let Some((name, value)) = extra {
            request = request.header(name, value);
        }
        check(&request.body(Body::empty()).unwrap(), None).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn only_local_names_and_no_browsers() {
        for host in
            ["localhost", "localhost:7613", "127.0.0.1:7613", "127.8.8.8", "[::1]:7613", "LOCALHOST:1"]
        {
            assert_eq!(refused(host, None), None, "{host}");
        }
        for host in
            ["evil.example", "evil.example:7613", "127.0.0.1.evil.example", "", "192.168.0.1:7613", "[::2]"]
        {
            assert_eq!(refused(host, None), Some("WRONG_HOST"), "{host}");
        }
        for mark in ["origin", "referer", "sec-fetch-site"] {
            assert_eq!(refused("localhost", Some((mark, "null"))), Some("BROWSER"), "{mark}");
        }
        assert_eq!(refused("localhost", Some(("sec-fetch-mode", "cors"))), None, "Node's fetch");
    }
}
