//! Socket.IO 5 packets: type, number of attachments, namespace, acknowledgement number, JSON.
//!
//! Binary data is not inside a packet but in the binary messages after it; the JSON has placeholders, which are left in
//! place. How many are to come is part of the packet, and counting them is the session's.

use serde_json::{Value, json};

use super::{MAX_ATTACHMENTS, MAX_NAMESPACE, PacketError};

/// The namespace everybody joins who asks for none.
pub const MAIN: &str = "/";
/// Names that stand for something else in the reference implementation, and end the session there.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// A packet.
#[derive(Clone, PartialEq)]
pub struct Packet {
    /// Which namespace it belongs to.
    pub namespace: String,
    /// What it is.
    pub kind: Kind,
}

/// What a packet is.
#[derive(Clone, PartialEq)]
pub enum Kind {
    /// From the client: let me in, with this. From the server: you are in, with `{"sid": …}`.
    Connect(Option<Value>),
    /// Out of the namespace; the session stays.
    Disconnect,
    /// Something happened.
    Event {
        /// To be acknowledged under this number.
        id: Option<u64>,
        /// Its name. The reference allows numbers too; they are read as their text.
        name: String,
        /// Its arguments.
        args: Vec<Value>,
        /// How many binary messages follow.
        attachments: u32,
    },
    /// The answer to an event.
    Ack {
        /// To which.
        id: u64,
        /// Its arguments.
        args: Vec<Value>,
        /// How many binary messages follow.
        attachments: u32,
    },
    /// From the server: you are not let in. `{"message": …, "data": …}`, or text from Socket.IO 2.
    ConnectError(Value),
}

impl Packet {
    /// Asks to be let into a namespace.
    #[must_use]
    pub fn connect(namespace: &str, auth: Option<Value>) -> Self {
        Self { namespace: namespace.to_owned(), kind: Kind::Connect(auth) }
    }

    /// Leaves a namespace.
    #[must_use]
    pub fn disconnect(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), kind: Kind::Disconnect }
    }

    /// How many binary messages follow.
    #[must_use]
    pub fn attachments(&self) -> u32 {
        match &self.kind {
            Kind::Event { attachments, .. } | Kind::Ack { attachments, .. } => *attachments,
            Kind::Connect(_) | Kind::Disconnect | Kind::ConnectError(_) => 0,
        }
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// When it is none, or beyond the bounds.
    pub fn decode(text: &str) -> Result<Self, PacketError> {
        let kind = text.chars().next().ok_or(PacketError::Empty)?;
        let mut rest = &text[kind.len_utf8()..];
        let mut attachments = 0;
        if matches!(kind, '5' | '6') {
            let (number, after) = rest.split_once('-').ok_or(PacketError::Attachments)?;
            attachments = digits(number).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            if !(1..=MAX_ATTACHMENTS).contains(&attachments) {
                return Err(PacketError::Attachments);
            }
            rest = after;
        }
        let mut namespace = MAIN;
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
            if namespace.len() > MAX_NAMESPACE {
                return Err(PacketError::Namespace);
            }
        }
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, json) = rest.split_at(end);
        let id = match number {
            "" => None,
            number => Some(digits(number).ok_or(PacketError::Id)?),
        };
        let payload = match json {
            "" => None,
            json => Some(serde_json::from_str(json).map_err(|_| PacketError::Payload)?),
        };
        Ok(Self { namespace: namespace.to_owned(), kind: Kind::of(kind, id, attachments, payload)? })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> String {
        let attachments = self.attachments();
        let (kind, id, payload) = match &self.kind {
            Kind::Connect(auth) => ('0', None, auth.clone()),
            Kind::Disconnect => ('1', None, None),
            Kind::Event { id, name, args, .. } => {
                let all = std::iter::once(json!(name)).chain(args.iter().cloned()).collect();
                (if attachments > 0 { '5' } else { '2' }, *id, Some(Value::Array(all)))
            }
            Kind::Ack { id, args, .. } => {
                (if attachments > 0 { '6' } else { '3' }, Some(*id), Some(Value::Array(args.clone())))
            }
            Kind::ConnectError(why) => ('4', None, Some(why.clone())),
        };
        let mut out = String::from(kind);
        if attachments > 0 {
            out.push_str(&format!("{attachments}-"));
        }
        if self.namespace != MAIN {
            out.push_str(&self.namespace);
            out.push(',');
        }
        if let Some(id) = id {
            out.push_str(&id.to_string());
        }
        if let Some(payload) = payload {
            out.push_str(&payload.to_string());
        }
        out
    }
}

impl Kind {
    fn of(
        kind: char,
        id: Option<u64>,
        attachments: u32,
        payload: Option<Value>,
    ) -> Result<Self, PacketError> {
        match (kind, payload) {
            ('0', payload @ (None | Some(Value::Object(_)))) => Ok(Self::Connect(payload)),
            ('1', None) => Ok(Self::Disconnect),
            ('2' | '5', Some(Value::Array(mut args))) => {
                if args.is_empty() {
                    return Err(PacketError::Payload);
                }
                let name = match args.remove(0) {
                    Value::String(name) => name,
                    Value::Number(number) => number.to_string(),
                    _ => return Err(PacketError::Payload),
                };
                Ok(Self::Event { id, name, args, attachments })
            }
            ('3' | '6', Some(Value::Array(args))) => {
                Ok(Self::Ack { id: id.ok_or(PacketError::Id)?, args, attachments })
            }
            ('4', Some(why @ (Value::Object(_) | Value::String(_)))) => Ok(Self::ConnectError(why)),
            ('0'..='6', _) => Err(PacketError::Payload),
            _ => Err(PacketError::Type),
        }
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} in {}", self.kind, self.namespace)
    }
}

/// Says what it is, not what is in it.
impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect(_) => "connect",
            Self::Disconnect => "disconnect",
            Self::Event { .. } => "event",
            Self::Ack { .. } => "ack",
            Self::ConnectError(_) => "connect error",
        })
    }
}

/// Whether a namespace can be asked for: it begins with `/`, holds no comma (which ends it on the wire), no question mark
/// (which Socket.IO 2 cut off there) and no control character, and is not too long.
#[must_use]
pub fn is_namespace(name: &str) -> bool {
    let bad = |c: char| matches!(c, ',' | '?') || c.is_control();
    name.starts_with('/') && name.len() <= MAX_NAMESPACE && !name.contains(bad)
}

/// Whether an event may have this name.
#[must_use]
pub fn is_event(name: &str) -> bool {
    !RESERVED.contains(&name)
}

/// Decimal digits, at least one, at most what JavaScript counts exactly.
fn digits(text: &str) -> Option<u64> {
    let sound = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| sound && *n < 1 << 53)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Value> {
        prop::collection::btree_map(".{0,6}", value(), 0..4)
            .prop_map(|m| Value::Object(m.into_iter().collect()))
    }

    fn packet() -> impl Strategy<Value = Packet> {
        let args = || prop::collection::vec(value(), 0..4);
        let id = || 0..(1_u64 << 53);
        let kind = prop_oneof![
            prop::option::of(object()).prop_map(Kind::Connect),
            Just(Kind::Disconnect),
            (prop::option::of(id()), ".{0,12}", args(), 0..=MAX_ATTACHMENTS)
                .prop_map(|(id, name, args, attachments)| Kind::Event { id, name, args, attachments }),
            (id(), args(), 0..=MAX_ATTACHMENTS).prop_map(|(id, args, attachments)| Kind::Ack {
                id,
                args,
                attachments
            }),
            object().prop_map(Kind::ConnectError),
            ".{0,12}".prop_map(|s| Kind::ConnectError(s.into())),
        ];
        let namespace = prop_oneof![Just(MAIN.to_owned()), "/[^,?\\p{Cc}]{1,12}"];
        (namespace, kind).prop_map(|(namespace, kind)| Packet { namespace, kind })
    }

    proptest! {
        #[test]
        fn packets_come_back(packet in packet()) {
            prop_assert!(is_namespace(&packet.namespace));
            prop_assert_eq!(Packet::decode(&packet.encode()).unwrap(), packet);
        }

        #[test]
        fn anything_is_read_or_refused(
            text in prop_oneof![".{0,64}", "[0-6][0-9]{0,3}-?(/[a-z]{0,3},?)?[0-9]{0,20}[\\[\\]{}\",0-9a]{0,12}"]
        ) {
            if let Ok(packet) = Packet::decode(&text) {
                prop_assert_eq!(Packet::decode(&packet.encode()).unwrap(), packet);
            }
        }
    }

    #[test]
    fn as_the_reference_writes_them() {
        let event = |id, name: &str, args: Vec<Value>, attachments| Kind::Event {
            id,
            name: name.to_owned(),
            args,
            attachments,
        };
        let rows = [
            ("0", "/", Kind::Connect(None)),
            (r#"0{"token":"123"}"#, "/", Kind::Connect(Some(json!({"token": "123"})))),
            (r#"0/admin,{"sid":"x"}"#, "/admin", Kind::Connect(Some(json!({"sid": "x"})))),
            ("1/admin,", "/admin", Kind::Disconnect),
            (r#"2["foo"]"#, "/", event(None, "foo", vec![], 0)),
            (r#"2/admin,["bar"]"#, "/admin", event(None, "bar", vec![], 0)),
            (r#"212["foo",1]"#, "/", event(Some(12), "foo", vec![json!(1)], 0)),
            (
                r#"3/admin,13["bar"]"#,
                "/admin",
                Kind::Ack { id: 13, args: vec![json!("bar")], attachments: 0 },
            ),
            (
                r#"4/x,{"message":"Invalid namespace"}"#,
                "/x",
                Kind::ConnectError(json!({"message": "Invalid namespace"})),
            ),
            (
                r#"51-["baz",{"_placeholder":true,"num":0}]"#,
                "/",
                event(None, "baz", vec![json!({"_placeholder": true, "num": 0})], 1),
            ),
            (
                r#"61-/admin,15[{"_placeholder":true,"num":0}]"#,
                "/admin",
                Kind::Ack { id: 15, args: vec![json!({"_placeholder": true, "num": 0})], attachments: 1 },
            ),
        ];
        for (text, namespace, kind) in rows {
            let packet = Packet { namespace: namespace.to_owned(), kind };
            assert_eq!(Packet::decode(text).unwrap(), packet, "{text}");
            assert_eq!(packet.encode(), text);
        }
        // Read, though written otherwise: a namespace without its comma, an event named by a number.
        assert_eq!(Packet::decode("1/admin").unwrap(), Packet::disconnect("/admin"));
        assert!(matches!(Packet::decode("2[7]").unwrap().kind, Kind::Event { name, .. } if name == "7"));
    }

    #[test]
    fn what_is_refused() {
        let long = format!("1/{},", "x".repeat(MAX_NAMESPACE));
        for (text, error) in [
            ("", PacketError::Empty),
            ("7", PacketError::Type),
            ("x", PacketError::Type),
            ("0[]", PacketError::Payload),
            ("1{}", PacketError::Payload),
            ("2", PacketError::Payload),
            ("2[]", PacketError::Payload),
            ("2[null]", PacketError::Payload),
            ("2{", PacketError::Payload),
            ("3[]", PacketError::Id),
            ("4", PacketError::Payload),
            ("5[\"x\"]", PacketError::Attachments),
            ("50-[\"x\"]", PacketError::Attachments),
            ("565-[\"x\"]", PacketError::Attachments),
            ("2999999999999999999999[\"x\"]", PacketError::Id),
            (&long, PacketError::Namespace),
        ] {
            assert_eq!(Packet::decode(text).unwrap_err(), error, "{text}");
        }
        let deep = format!("2[\"x\",{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Packet::decode(&deep).unwrap_err(), PacketError::Payload);
    }

    #[test]
    fn names() {
        assert!(is_namespace("/") && is_namespace("/a b/c") && is_namespace("/实例"));
        assert!(!is_namespace("") && !is_namespace("x") && !is_namespace("/a,b") && !is_namespace("/a?b"));
        assert!(is_event("message") && !is_event("disconnect"));
        assert_eq!(format!("{:?}", Packet::connect("/x", Some(json!("s3cret")))), "connect in /x");
    }
}
