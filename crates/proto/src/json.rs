//! Proto3 JSON of any of our messages, exactly as `grpcurl` prints it: one mapping, taken from the descriptors.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).ok());

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
    fn an_unknown_message_is_an_error() {
        assert!(to_json("mooring.v1.Nothing", &()).is_err());
    }
}
