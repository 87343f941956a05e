//! The ledger's lines: a checksum and an entry as JSON, so that a person can read them and a torn one is noticed.
//!
//! ```text
//! 5f1c2a90 {"mark":"started","order":"0192…","at":1700000000000000}
//! ```
//!
//! The checksum is CRC-32 (ISO 3309, as in zip and Ethernet) of the text after it. It is there against torn writes and bad
//! blocks, not against people.

use mooring_core::id::{Fence, OrderId, Target};
use mooring_core::order::{Receipt, Stage};
use mooring_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Acceptance;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub(super) enum Entry {
    /// The last fence of a target of which no order is on record any more.
    Fence { target: String, fence: Fence },
    /// An order was accepted.
    Accepted {
        order: OrderId,
        target: String,
        fence: Fence,
        at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
    },
    /// It is about to be carried out.
    Started {
        order: OrderId,
        at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
    },
    /// It has ended.
    Finished {
        order: OrderId,
        stage: Stage,
        at: Timestamp,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        output: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
    },
    /// The controller knows how it ended.
    Acknowledged { order: OrderId },
}

impl Entry {
    pub(super) fn accepted(a: &Acceptance) -> Self {
        Self::Accepted {
            order: a.order,
            target: a.target.to_string(),
            fence: a.fence,
            at: a.at,
            traceparent: a.traceparent.clone(),
        }
    }

    pub(super) fn fence(target: &Target, fence: Fence) -> Self {
        Self::Fence { target: target.to_string(), fence }
    }

    pub(super) fn started(order: OrderId, at: Timestamp, traceparent: Option<String>) -> Self {
        Self::Started { order, at, traceparent }
    }

    pub(super) fn finished(r: &Receipt) -> Self {
        Self::Finished {
            order: r.order,
            stage: r.stage,
            at: r.at,
            message: r.message.clone(),
            output: r.output.clone(),
            traceparent: r.traceparent.clone(),
        }
    }

    pub(super) fn acknowledged(order: OrderId) -> Self {
        Self::Acknowledged { order }
    }
}

/// What could be read of a file.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The entries, in order.
    pub(super) entries: Vec<Entry>,
    /// Lines that are not as they were written. A last line without its end is not counted: it was never synced.
    pub(super) damaged: usize,
}

pub(super) fn write(entry: &Entry) -> Vec<u8> {
    // Strings, numbers and enums: none of them can fail to be JSON. An empty line is skipped when read.
    let json = serde_json::to_vec(entry).unwrap_or_default();
    let mut line = format!("{:08x} ", crc32(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    line
}

pub(super) fn read(bytes: &[u8]) -> Read {
    let mut out = Read::default();
    // The last part is empty in a file whose last line is whole, and torn otherwise.
    let (whole, _torn) = bytes.split_at(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
    for line in whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match parse(line) {
            Some(entry) => out.entries.push(entry),
            None => out.damaged += 1,
        }
    }
    out
}

fn parse(line: &[u8]) -> Option<Entry> {
    let (sum, json) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.strip_suffix(' ')?, 16).ok()?;
    if crc32(json) != sum {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// CRC-32, a bit at a time: a ledger writes a few hundred bytes per order.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_everybody_means() {
        // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn torn_and_damaged_lines_are_told_apart() {
        let entry = |n| Entry::acknowledged(OrderId(uuid::Uuid::from_u128(n)));
        let mut bytes: Vec<u8> = [1, 2, 3].into_iter().flat_map(|n| write(&entry(n))).collect();
        let whole = read(&bytes);
        assert_eq!((whole.entries, whole.damaged), (vec![entry(1), entry(2), entry(3)], 0));
        let length = bytes.len();
        for cut in 1..length / 3 {
            let torn = read(&bytes[..length - cut]);
            assert_eq!((torn.entries, torn.damaged), (vec![entry(1), entry(2)], 0), "{cut} bytes missing");
        }
        bytes[length / 3 + 30] ^= 1;
        let damaged = read(&bytes);
        assert_eq!((damaged.entries, damaged.damaged), (vec![entry(1), entry(3)], 1));
        assert_eq!(read(b"\n\n\xff\xff\n").damaged, 1);
    }
}
