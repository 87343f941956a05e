//! Proto3 JSON of any of our messages, exactly as `grpcurl` prints and takes it: one mapping, taken from the descriptors.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).ok());

/// Why JSON is not one of our messages: what is wrong with it, and where. Safe to send back.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotMessage(String);

/// A message from its proto3 JSON. Unknown fields are refused: they are typing errors. `name` is its full name.
///
/// # Errors
/// When the text is not JSON, or not of that message, or the name is not one of our messages.
pub fn from_json<M: Message + Default>(name: &str, json: &[u8]) -> Result<M, NotMessage> {
    let descriptor = POOL
        .as_ref()
        .and_then(|pool| pool.get_message_by_name(name))
        .ok_or_else(|| NotMessage(format!("there is no message {name}")))?;
    let mut text = serde_json::Deserializer::from_slice(json);
    let dynamic =
        DynamicMessage::deserialize(descriptor, &mut text).map_err(|e| NotMessage(e.to_string()))?;
    text.end().map_err(|e| NotMessage(e.to_string()))?;
    dynamic.transcode_to().map_err(|e| NotMessage(e.to_string()))
}

/// Why a message has no JSON form.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be shown as JSON: {why}")]
pub struct JsonError {
    name: String,
    why: String,
}

/// A message as a proto3 JSON value. `name` is its full name, e.g. `mooring.v1.Instance`. Fields with their default
/// value are left out, as the mapping has it.
///
/// # Errors
/// When the name is not one of our messages.
pub fn to_json(name: &str, message: &impl Message) -> Result<serde_json::Value, JsonError> {
    let fail = |why: String| JsonError { name: name.to_owned(), why };
    let pool = POOL.as_ref().ok_or_else(|| fail("the built-in descriptors are damaged".to_owned()))?;
    let descriptor =
        pool.get_message_by_name(name).ok_or_else(|| fail("there is no such message".to_owned()))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|e| fail(e.to_string()))?;
    dynamic
        .serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
        .map_err(|e| fail(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enums_by_name_times_as_text_defaults_left_out() {
        let order = crate::v1::Order {
            name: "orders/x".to_owned(),
            state: crate::v1::OrderState::Failed.into(),
            fence: 7,
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            ..Default::default()
        };
        let json = to_json("mooring.v1.Order", &order).unwrap();
        let want = serde_json::json!({
            "name": "orders/x", "state": "ORDER_STATE_FAILED", "fence": "7", "createTime": "1970-01-01T00:00:00Z"
        });
        assert_eq!(json, want);
    }

    #[test]
    fn both_ways_and_typing_errors_are_named() {
        use crate::report_v1::{Event, event::What};
        let text = br#"{"instance":"a","ago":"1.500s","closed":{"code":428,"closeCode":1006}}"#;
        let event: Event = from_json("mooring.report.v1.Event", text).unwrap();
        assert!(
            matches!(&event.what, Some(What::Closed(c)) if c.code == Some(428) && c.close_code == Some(1006))
        );
        let again = to_json("mooring.report.v1.Event", &event).unwrap();
        assert_eq!(again, serde_json::from_slice::<serde_json::Value>(text).unwrap());
        for (bad, says) in [
            (r#"{"instnce":"a"}"#, "instnce"),
            (r#"{"ago":5}"#, "invalid type"),
            (r#"{"instance":"a"} x"#, "trailing"),
            (r#"{"open":{},"closed":{}}"#, "oneof"),
            ("", "EOF"),
        ] {
            let why = from_json::<Event>("mooring.report.v1.Event", bad.as_bytes()).unwrap_err().to_string();
            assert!(why.contains(says), "{bad}: {why}");
        }
    }

    #[test]
    fn an_unknown_message_is_an_error() {
        assert!(to_json("mooring.v1.Nothing", &()).is_err());
    }
}
