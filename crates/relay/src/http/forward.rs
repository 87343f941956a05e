//! What is changed in a head on its way (RFC 9110 §7.6): hop-by-hop fields end here, and the gateway learns who the
//! client is.

use std::net::IpAddr;

use super::body::Body;
use super::head::{Answer, Headers, Request};

/// Fields that belong to one connection (RFC 9110 §7.6.1, and older ones that still travel).
const HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
    "trailer",
];
/// Fields a `Connection` field cannot take away: the message would be another one without them.
const KEPT: [&str; 4] = ["host", "content-length", "content-type", "authorization"];

/// Whether a field says who the client is, as others say it: `Forwarded` (RFC 7239), every `X-Forwarded-*`, `X-Real-IP`.
/// Many gateways hand fields to their programs as variables (RFC 3875 §4.1.18), where `_` and `-` are one.
fn said(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    name.starts_with("x-forwarded-") || matches!(name.as_str(), "forwarded" | "x-real-ip")
}

/// Removes what belongs to this connection, including what `Connection` names. What proxies say of the client is not for
/// `Connection` to take away: the client may have written that, and its address would be the proxy's.
fn end_hop(headers: &mut Headers) {
    let named: Vec<String> = headers
        .list("connection")
        .filter(|name| !KEPT.iter().any(|kept| kept.eq_ignore_ascii_case(name)) && !said(name))
        .map(str::to_ascii_lowercase)
        .collect();
    headers.0.retain(|h| !HOP.iter().any(|hop| h.is(hop)) && !named.iter().any(|name| h.is(name)));
}

/// Who the client is, as far as this relay knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From<'a> {
    /// Its address; none behind a Unix socket.
    pub(crate) address: Option<IpAddr>,
    /// It came by TLS.
    pub(crate) tls: bool,
    /// What it says of others is believed.
    pub(crate) trusted: bool,
    /// Whether the gateway is to be told.
    pub(crate) tell: bool,
    /// The Host it asked for.
    pub(crate) host: &'a str,
}

/// Says who the client is. From a source that is not trusted nothing is believed, even where nothing is told.
fn tell(headers: &mut Headers, from: &From<'_>) {
    if !from.trusted {
        headers.0.retain(|h| !said(&h.name));
    }
    if !from.tell {
        return;
    }
    if let Some(address) = from.address {
        let before: Vec<String> = headers.list("x-forwarded-for").map(str::to_owned).collect();
        headers.remove("x-forwarded-for");
        let all = before.into_iter().chain([address.to_canonical().to_string()]).collect::<Vec<_>>();
        headers.push("X-Forwarded-For", all.join(", "));
    }
    if !headers.has("x-forwarded-proto") {
        headers.push("X-Forwarded-Proto", if from.tls { "https" } else { "http" });
    }
    if !headers.has("x-forwarded-host") && !from.host.is_empty() {
        headers.push("X-Forwarded-Host", from.host);
    }
}

/// An upgrade request as the gateway gets it.
pub(crate) fn upgrade_request(mut request: Request, from: &From<'_>) -> Request {
    end_hop(&mut request.headers);
    tell(&mut request.headers, from);
    request.headers.push("Connection", "Upgrade");
    request.headers.push("Upgrade", "websocket");
    request
}

/// Any other request as the gateway gets it. Its connection is kept.
pub(crate) fn request(mut request: Request, body: Body, from: &From<'_>) -> Request {
    end_hop(&mut request.headers);
    tell(&mut request.headers, from);
    settle_length(&mut request.headers, body);
    if !request.headers.has("host") {
        // HTTP/1.0 knows none, and what goes on is 1.1 (RFC 9112 §3.2).
        request.headers.push("Host", "");
    }
    request.headers.push("Connection", "keep-alive");
    request
}

/// One Content-Length where there may have been several equal ones, or the chunked coding.
fn settle_length(headers: &mut Headers, body: Body) {
    match body {
        Body::Length(n) => {
            headers.remove("content-length");
            headers.push("Content-Length", n.to_string());
        }
        Body::Chunked => headers.push("Transfer-Encoding", "chunked"),
        // `Content-Length: 0`, and that of an answer to HEAD, are told as they are.
        Body::None | Body::UntilClose => {}
    }
}

/// A 101 as the client gets it.
pub(crate) fn switching(mut answer: Answer) -> Answer {
    end_hop(&mut answer.headers);
    // No body follows (RFC 9110 §8.6).
    answer.headers.remove("content-length");
    answer.headers.push("Connection", "Upgrade");
    answer.headers.push("Upgrade", "websocket");
    answer
}

/// A provisional answer (1xx) as the client gets it.
pub(crate) fn provisional(mut answer: Answer) -> Answer {
    end_hop(&mut answer.headers);
    answer.headers.remove("content-length");
    answer
}

/// Any other answer as the client gets it: `body` is how it is framed towards the client.
pub(crate) fn answer(mut answer: Answer, body: Body, keep: bool) -> Answer {
    let upgrade =
        (answer.status == 426).then(|| answer.headers.all("upgrade").next().map(<[u8]>::to_vec)).flatten();
    end_hop(&mut answer.headers);
    if answer.status == 204 {
        answer.headers.remove("content-length");
    }
    settle_length(&mut answer.headers, body);
    match upgrade {
        // What the client must upgrade to is the point of a 426.
        Some(to) => {
            answer.headers.push("Upgrade", to);
            answer.headers.push("Connection", if keep { "keep-alive, Upgrade" } else { "close, Upgrade" });
        }
        None => answer.headers.push("Connection", if keep { "keep-alive" } else { "close" }),
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_of(fields: &[(&str, &str)]) -> Request {
        let mut headers = Headers::default();
        fields.iter().for_each(|(n, v)| headers.push(n, *v));
        Request { method: "GET".into(), target: "/".into(), one_one: true, headers }
    }

    fn from(trusted: bool) -> From<'static> {
        From { address: Some([192, 0, 2, 1].into()), tls: true, trusted, tell: true, host: "h" }
    }

    #[test]
    fn hop_by_hop_fields_end_here() {
        let said = [
            ("Host", "h"),
            ("Connection", "X-Secret, Host, close, X-Forwarded-For"),
            ("X-Secret", "1"),
            ("Keep-Alive", "9"),
            ("TE", "trailers"),
            ("Proxy-Authorization", "x"),
            ("Cookie", "c"),
        ];
        let got = request(request_of(&said), Body::None, &from(false));
        let names: Vec<&str> = got.headers.0.iter().map(|h| h.name.as_str()).collect();
        assert_eq!(
            names,
            ["Host", "Cookie", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Connection"]
        );
    }

    #[test]
    fn only_the_trusted_are_believed() {
        let said = [
            ("Host", "h"),
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Forwarded-Proto", "http"),
            ("Forwarded", "for=x"),
            ("X_Real_IP", "203.0.113.9"),
            ("X-Forwarded-Port", "1"),
            ("Connection", "Upgrade, X-Forwarded-For"),
        ];
        let got = upgrade_request(request_of(&said), &from(false));
        assert_eq!(got.headers.only("x-forwarded-for"), Some("192.0.2.1"));
        assert_eq!(got.headers.only("x-forwarded-proto"), Some("https"));
        assert!(["forwarded", "x_real_ip", "x-forwarded-port"].iter().all(|name| !got.headers.has(name)));
        let got = upgrade_request(request_of(&said), &from(true));
        assert_eq!(got.headers.only("x-forwarded-for"), Some("203.0.113.9, 192.0.2.1"));
        assert_eq!(got.headers.only("x-forwarded-proto"), Some("http"));
        assert_eq!(got.headers.only("connection"), Some("Upgrade"));
    }

    #[test]
    fn what_has_no_body_tells_no_length() {
        let of = |status| {
            let mut headers = Headers::default();
            headers.push("Content-Length", "0");
            Answer { status, reason: String::new(), one_one: true, headers }
        };
        let got = [switching(of(101)), provisional(of(103)), answer(of(204), Body::None, true)];
        assert!(got.iter().all(|answer| !answer.headers.has("content-length")), "{got:?}");
        assert!(answer(of(200), Body::None, true).headers.has("content-length"));
    }

    #[test]
    fn every_request_goes_on_with_a_host() {
        let got = request(request_of(&[]), Body::None, &from(false));
        assert_eq!(got.headers.only("host"), Some(""));
    }
}
