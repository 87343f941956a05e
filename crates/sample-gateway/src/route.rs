//! What a request is answered: a pure function of the request, the options and the fault of the moment.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::control::Verb;
use crate::http::{Answer, Request};
use crate::misbehaviour::Misbehaviour;
use crate::options::Options;

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Say this and close.
    Answer(Answer),
    /// Switch protocols with these bytes.
    Upgrade(String),
    /// A control request, to be carried out.
    Control(Verb),
    /// A request for the statistics.
    Stats,
}

/// The requests that are a test's back door: they are served during a hang too, or nobody could end one.
pub(crate) fn is_back_door(request: &Request, options: &Options) -> bool {
    options.control && matches!(request.path.as_str(), "/_control" | "/_stats")
}

/// Decides. `loopback` says where the peer is.
pub(crate) fn route(
    request: &Request,
    options: &Options,
    loopback: bool,
    fault: Option<Misbehaviour>,
) -> Route {
    if is_back_door(request, options) {
        return back_door(request, loopback);
    }
    if request.path == options.path {
        return websocket(request, options, fault);
    }
    if request.path == "/" {
        return Route::Answer(match request.method.as_str() {
            "GET" | "HEAD" => Answer::text(200, "ok\n"),
            _ => Answer::text(405, "only GET and HEAD here\n").with("Allow: GET, HEAD\r\n"),
        });
    }
    Route::Answer(Answer::text(404, "nothing here\n"))
}

fn back_door(request: &Request, loopback: bool) -> Route {
    // A browser sends Origin with a POST: a page must not be able to command a gateway on the developer's machine.
    if !loopback || request.all("origin").next().is_some() {
        return Route::Answer(Answer::text(403, "only for programs on this machine\n"));
    }
    match (request.path.as_str(), request.method.as_str()) {
        ("/_stats", "GET") => Route::Stats,
        ("/_stats", _) => Route::Answer(Answer::text(405, "use GET\n").with("Allow: GET\r\n")),
        (_, "POST") => match Verb::parse(&request.query) {
            Ok(verb) => Route::Control(verb),
            Err(error) => {
                Route::Answer(Answer::json(400, &serde_json::json!({ "error": error.to_string() })))
            }
        },
        _ => Route::Answer(Answer::text(405, "use POST\n").with("Allow: POST\r\n")),
    }
}

/// RFC 6455 §4.2.1, in the order of its list.
fn websocket(request: &Request, options: &Options, fault: Option<Misbehaviour>) -> Route {
    const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
    if fault == Some(Misbehaviour::HttpOnly) {
        return Route::Answer(Answer::text(200, "ok\n"));
    }
    if request.method != "GET" {
        return Route::Answer(Answer::text(405, "only GET here\n").with("Allow: GET\r\n"));
    }
    if !request.modern || !request.has("upgrade", "websocket") || !request.has("connection", "upgrade") {
        return Route::Answer(Answer::text(426, "this is a WebSocket endpoint\n").with(UPGRADE));
    }
    let Some(key) = request.only("sec-websocket-key").filter(|it| is_key(it)) else {
        return Route::Answer(Answer::text(400, "Sec-WebSocket-Key is missing or not 16 bytes in base64\n"));
    };
    if request.only("sec-websocket-version") != Some("13") {
        return Route::Answer(Answer::text(426, "only version 13 is spoken here\n").with(UPGRADE));
    }
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key.as_bytes())
    );
    if let Some(ours) = &options.subprotocol
        && request.elements("sec-websocket-protocol").any(|it| it == ours)
    {
        head.push_str(&format!("Sec-WebSocket-Protocol: {ours}\r\n"));
    }
    head.push_str("\r\n");
    Route::Upgrade(head)
}

/// Sixteen bytes in base64 are 22 characters and two signs of padding.
fn is_key(text: &str) -> bool {
    text.strip_suffix("==").is_some_and(|it| {
        it.len() == 22 && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::read_head;

    const UPGRADE: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

    fn options(subprotocol: Option<&str>, control: bool) -> Options {
        Options { subprotocol: subprotocol.map(str::to_owned), control, ..Options::default() }
    }

    async fn routed(line: &str, headers: &str, options: &Options, fault: Option<Misbehaviour>) -> Route {
        let text = format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        let request = read_head(&mut text.as_bytes(), &mut Vec::new()).await.unwrap();
        route(&request, options, true, fault)
    }

    async fn status(line: &str, headers: &str) -> u16 {
        match routed(line, headers, &options(None, false), None).await {
            Route::Answer(answer) => answer.status,
            Route::Upgrade(_) => 101,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn upgrades_are_checked() {
        let full = format!("{UPGRADE}{KEY}{VERSION}");
        assert_eq!(status("GET /ws", &full).await, 101);
        assert_eq!(status("GET /ws?token=1", &full).await, 101);
        assert_eq!(status("GET /wss", &full).await, 404);
        assert_eq!(status("POST /ws", &full).await, 405);
        assert_eq!(status("GET /ws", "").await, 426);
        assert_eq!(status("GET /ws", &format!("{UPGRADE}{VERSION}")).await, 400);
        assert_eq!(status("GET /ws", &format!("{UPGRADE}{KEY}{KEY}{VERSION}")).await, 400);
        assert_eq!(
            status("GET /ws", &format!("{UPGRADE}Sec-WebSocket-Key: short==\r\n{VERSION}")).await,
            400
        );
        assert_eq!(status("GET /ws", &format!("{UPGRADE}{KEY}Sec-WebSocket-Version: 8\r\n")).await, 426);
        assert_eq!(status("GET /", "").await, 200);
        assert_eq!(status("DELETE /", "").await, 405);
    }

    #[tokio::test]
    async fn the_accept_key_is_the_one_of_the_rfc() {
        let Route::Upgrade(head) =
            routed("GET /ws", &format!("{UPGRADE}{KEY}{VERSION}"), &options(None, false), None).await
        else {
            panic!("no upgrade");
        };
        // RFC 6455 §1.3.
        assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    }

    #[tokio::test]
    async fn a_subprotocol_is_selected_only_when_offered() {
        let ours = options(Some("chat.v2"), false);
        for (offer, selected) in [
            ("", false),
            ("Sec-WebSocket-Protocol: chat.v1\r\n", false),
            ("Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n", true),
        ] {
            let route = routed("GET /ws", &format!("{UPGRADE}{KEY}{VERSION}{offer}"), &ours, None).await;
            let Route::Upgrade(head) = route else { panic!("no upgrade") };
            assert_eq!(head.contains("Sec-WebSocket-Protocol: chat.v2\r\n"), selected, "{offer}");
        }
    }

    #[tokio::test]
    async fn http_only_forgets_how_to_upgrade() {
        let full = format!("{UPGRADE}{KEY}{VERSION}");
        let route = routed("GET /ws", &full, &options(None, false), Some(Misbehaviour::HttpOnly)).await;
        assert_eq!(route, Route::Answer(Answer::text(200, "ok\n")));
    }

    #[tokio::test]
    async fn the_back_door_is_shut_unless_opened_and_local() {
        assert_eq!(status("POST /_control?do=heal", "").await, 404);
        assert_eq!(status("GET /_stats", "").await, 404);
        let open = options(None, true);
        assert_eq!(routed("POST /_control?do=heal", "", &open, None).await, Route::Control(Verb::Heal));
        assert_eq!(routed("GET /_stats", "", &open, None).await, Route::Stats);
        for (line, headers, expected) in [
            ("GET /_control?do=heal", "", 405),
            ("POST /_control?do=sulk", "", 400),
            ("POST /_control?do=heal", "Origin: http://evil.example\r\n", 403),
        ] {
            let Route::Answer(answer) = routed(line, headers, &open, None).await else { panic!("{line}") };
            assert_eq!(answer.status, expected, "{line}");
        }
        let text = "POST /_control?do=heal HTTP/1.1\r\nHost: x\r\n\r\n";
        let request = read_head(&mut text.as_bytes(), &mut Vec::new()).await.unwrap();
        let Route::Answer(answer) = route(&request, &open, false, None) else { panic!("let in") };
        assert_eq!(answer.status, 403);
    }
}
