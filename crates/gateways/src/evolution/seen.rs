//! What can be seen of an instance: the word of REST, the row of the database, an event. Read from what the gateway sends
//! and reduced to what a decision needs, here and at once: tokens, QR codes, numbers and messages stop at this door.

use serde_json::Value;

use super::name::MAX_NAME;

/// What the process says of an instance's connection (`connectionState`, `/metrics`, `connection.update`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Connected, as far as the process knows.
    Open,
    /// Connecting, or waiting for a QR code to be scanned.
    Connecting,
    /// Not connected, and not trying.
    Close,
    /// The limit of QR codes is reached: deaf until somebody asks for a new one.
    Refused,
    /// In the database, and not in the process.
    NotLoaded,
    /// A word that is not known to us.
    Odd,
}

impl State {
    /// From the word.
    #[must_use]
    pub fn read(word: &str) -> Self {
        match word {
            "open" => Self::Open,
            "connecting" => Self::Connecting,
            "close" | "closed" => Self::Close,
            "refused" => Self::Refused,
            _ => Self::Odd,
        }
    }

    /// The word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Connecting => "connecting",
            Self::Close => "close",
            Self::Refused => "refused",
            Self::NotLoaded => "absent",
            Self::Odd => "unknown word",
        }
    }
}

/// Of a row of `fetchInstances`, what matters. It is late by design: during a storm it still says `open`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The instance's name.
    pub name: String,
    /// Its connection, as last stored.
    pub status: State,
    /// The code of its last final close.
    pub code: Option<u16>,
    /// Whether an account was ever paired.
    pub paired: bool,
    /// Whether its own settings send events into a namespace of its own.
    pub events: bool,
}

impl Row {
    /// Reads one; `None` without a usable name.
    #[must_use]
    pub fn read(row: &Value) -> Option<Self> {
        let name = row.get("name")?.as_str()?;
        if name.is_empty() || name.len() > MAX_NAME {
            return None;
        }
        let text = |key: &str| row.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let events = row.get("Websocket").is_some_and(|set| {
            let on = set.get("enabled").and_then(Value::as_bool) == Some(true);
            let listed = set.get("events").and_then(Value::as_array);
            on && listed.is_some_and(|events| events.iter().any(|e| e.as_str() == Some("CONNECTION_UPDATE")))
        });
        Some(Self {
            name: name.to_owned(),
            status: State::read(text("connectionStatus").unwrap_or_default()),
            code: row.get("disconnectionReasonCode").and_then(code),
            paired: text("ownerJid").is_some(),
            events,
        })
    }
}

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// `connection.update`: a login begins. Also the only sign of a drop that is retried.
    Connecting,
    /// `connection.update`: logged in.
    Open,
    /// `connection.update` or `status.instance`: closed, and not retried.
    Close(Option<u16>),
    /// `connection.update`: `refused`, the limit of QR codes.
    Refused,
    /// `logout.instance`.
    LoggedOut,
    /// A QR code waits to be scanned.
    Qr,
    /// There will be no further QR code.
    QrLimit,
    /// Made through the API.
    Created,
    /// Deleted through the API.
    Removed,
    /// Something that only the chat network can have caused (a message, a receipt, a presence).
    Traffic,
    /// Anything else.
    Other,
}

impl Happened {
    /// Reads an event; `None` when it does not say of which instance.
    #[must_use]
    pub fn read(event: &str, envelope: &Value) -> Option<(String, Self)> {
        let instance = envelope.get("instance")?.as_str()?;
        if instance.is_empty() || instance.len() > MAX_NAME {
            return None;
        }
        let data = envelope.get("data").unwrap_or(&Value::Null);
        Some((instance.to_owned(), Self::of(event, data)))
    }

    fn of(event: &str, data: &Value) -> Self {
        let reason = |key: &str| data.get(key).and_then(code);
        match event {
            "connection.update" => {
                match data.get("state").and_then(Value::as_str).map_or(State::Odd, State::read) {
                    State::Connecting => Self::Connecting,
                    State::Open => Self::Open,
                    State::Close => Self::Close(reason("statusReason")),
                    State::Refused => Self::Refused,
                    State::NotLoaded | State::Odd => Self::Other,
                }
            }
            "status.instance" if data.get("status").and_then(Value::as_str) == Some("closed") => {
                Self::Close(reason("disconnectionReasonCode"))
            }
            "logout.instance" => Self::LoggedOut,
            "qrcode.updated" if data.get("qrcode").is_some() => Self::Qr,
            "qrcode.updated" => Self::QrLimit,
            "instance.create" => Self::Created,
            "instance.delete" | "remove.instance" => Self::Removed,
            "messages.upsert" | "messages.update" | "presence.update" | "call" | "chats.update" => {
                Self::Traffic
            }
            _ => Self::Other,
        }
    }
}

/// A code as a number or as digits; 200 is what Evolution writes when there is none.
fn code(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|code| *code != 0 && *code != 200)
}

/// The states that `/metrics` tells, by name: those in memory, all at once.
#[must_use]
pub fn metrics(text: &str) -> Vec<(String, State)> {
    text.lines()
        .filter_map(|line| line.strip_prefix("evolution_instance_state{"))
        .filter_map(|line| {
            let name = label(line, "instance")?;
            let state = State::read(&label(line, "state")?);
            (!name.is_empty() && name.len() <= MAX_NAME).then_some((name, state))
        })
        .collect()
}

/// The value of a label, its escapes undone.
fn label(mut text: &str, wanted: &str) -> Option<String> {
    loop {
        let (key, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next()? {
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (at, '"') => break at,
                (_, other) => value.push(other),
            }
        };
        if key.trim_start_matches(',') == wanted {
            return Some(value);
        }
        text = rest.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_read_without_what_is_secret() {
        let row = json!({
            "name": "a", "connectionStatus": "open", "ownerJid": "5511@s.whatsapp.net", "token": "SECRET",
            "disconnectionReasonCode": 401,
            "Websocket": {"enabled": true, "events": ["CONNECTION_UPDATE"]},
        });
        let row = Row::read(&row).unwrap();
        assert_eq!((row.status, row.code, row.paired, row.events), (State::Open, Some(401), true, true));
        assert!(!format!("{row:?}").contains("SECRET"));
        let bare = Row::read(&json!({"name": "b", "Websocket": null, "ownerJid": null})).unwrap();
        assert_eq!((bare.status, bare.code, bare.paired, bare.events), (State::Odd, None, false, false));
        assert_eq!(Row::read(&json!({"name": ""})), None);
        assert_eq!(Row::read(&json!([])), None);
    }

    #[test]
    fn events_are_read_as_they_were_recorded() {
        let read = |event: &str, data: Value| {
            let envelope = json!({"event": event, "instance": "a", "data": data, "apikey": "SECRET"});
            Happened::read(event, &envelope).unwrap().1
        };
        let update = |state: &str, reason: u16| json!({"state": state, "statusReason": reason});
        assert_eq!(read("connection.update", update("connecting", 200)), Happened::Connecting);
        assert_eq!(read("connection.update", update("open", 200)), Happened::Open);
        assert_eq!(read("connection.update", update("close", 401)), Happened::Close(Some(401)));
        assert_eq!(read("connection.update", update("refused", 428)), Happened::Refused);
        let closed = json!({"status": "closed", "disconnectionReasonCode": 403});
        assert_eq!(read("status.instance", closed), Happened::Close(Some(403)));
        assert_eq!(read("logout.instance", Value::Null), Happened::LoggedOut);
        assert_eq!(read("qrcode.updated", json!({"qrcode": {"code": "2@x"}})), Happened::Qr);
        let limit = json!({"message": "QR code limit reached", "statusCode": 500});
        assert_eq!(read("qrcode.updated", limit), Happened::QrLimit);
        assert_eq!(read("messages.upsert", json!({})), Happened::Traffic);
        assert_eq!(Happened::read("call", &json!({"data": 1})), None);
    }

    #[test]
    fn metrics_with_names_that_need_escaping() {
        let text = "# TYPE evolution_instance_state gauge\n\
            evolution_instance_up{instance=\"a\",integration=\"W\"} 1\n\
            evolution_instance_state{instance=\"a\",integration=\"W\",state=\"open\"} 1\n\
            evolution_instance_state{instance=\"b\\\"}\\\\,state=\",integration=\"W\",state=\"close\"} 1\n\
            evolution_instance_state{instance=\"cut";
        let expected = [("a".to_owned(), State::Open), ("b\"}\\,state=".to_owned(), State::Close)];
        assert_eq!(metrics(text), expected);
    }
}
