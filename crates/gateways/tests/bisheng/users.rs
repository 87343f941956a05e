//! A user at a browser: a real WebSocket client that speaks Bisheng's messages.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_gateways::bisheng::Settings;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

const PATIENCE: Duration = Duration::from_secs(30);

pub struct User {
    socket: WebSocketStream<TcpStream>,
    opened: Instant,
    lasted: Duration,
}

impl User {
    pub async fn open(at: &str, settings: &Settings, workflow: &str, chat: Option<&str>) -> Self {
        let host = at.strip_prefix("http://").unwrap();
        let query = chat.map_or_else(String::new, |id| format!("?chat_id={id}"));
        let mut request =
            format!("ws://{host}/api/v1/workflow/chat/{workflow}{query}").into_client_request().unwrap();
        let token = std::fs::read_to_string(settings.cookie_file.as_ref().unwrap().path()).unwrap();
        request.headers_mut().insert("cookie", format!("access_token_cookie={token}").parse().unwrap());
        let stream = TcpStream::connect(host).await.unwrap();
        let (socket, _) = timeout(PATIENCE, client_async(request, stream)).await.unwrap().unwrap();
        Self { socket, opened: Instant::now(), lasted: Duration::ZERO }
    }

    async fn say(&mut self, message: Value) {
        self.socket.send(Message::Text(message.to_string().into())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.unwrap().unwrap().unwrap();
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Begins a workflow.
    pub async fn begin(&mut self) {
        self.say(json!({"action": "init_data", "data": {}})).await;
        assert_eq!(self.hear().await["type"], "begin");
    }

    /// Whether the workflow still runs: it takes an input.
    pub async fn alive(&mut self) {
        self.say(json!({"action": "input", "data": {}})).await;
        let answer = self.hear().await;
        assert_eq!((&answer["category"], &answer["type"]), (&json!("stream"), &json!("end")), "{answer}");
    }

    /// `begin`: it runs; `close`: it does not.
    pub async fn status(&mut self) -> String {
        self.say(json!({"action": "check_status"})).await;
        self.hear().await["type"].as_str().unwrap().to_owned()
    }

    pub async fn close(mut self) {
        self.socket.close(None).await.unwrap();
        while timeout(PATIENCE, self.socket.next()).await.unwrap().is_some_and(|m| m.is_ok()) {}
    }

    /// Waits for the end; the code of the Close frame, where one came.
    pub async fn ended(&mut self) -> Option<u16> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("it ends") {
                Some(Ok(Message::Close(frame))) => {
                    self.lasted = self.opened.elapsed();
                    return Some(frame.map_or(1005, |f| f.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.lasted = self.opened.elapsed();
                    return None;
                }
            }
        }
    }

    /// How long it was open, once it ended.
    pub fn age(&self) -> Duration {
        self.lasted
    }

    /// Whether it is still open after so long.
    pub async fn stays(&mut self, how_long: Duration) -> bool {
        let over = async {
            while let Some(Ok(message)) = self.socket.next().await {
                if matches!(message, Message::Close(_)) {
                    return;
                }
            }
        };
        timeout(how_long, over).await.is_err()
    }
}
