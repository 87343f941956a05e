//! The frame scanner against the table of RFC 6455, against tungstenite on streams of tungstenite's own making, against
//! itself on streams cut in other places, and against the fuzzer's corpus.
#![expect(clippy::unwrap_used, reason = "the helpers of tests panic as the tests do: that is the report")]

mod corpus;
mod oracle;
mod streams;
mod table;
