//! What is fuzzed, compiled here from its own source.
//!
//! The scanner is a folder of `mooring-wire`. Depending on that crate would build its TLS stack, C and assembler included,
//! under the sanitizer, which takes minutes; the folder needs nothing of it.

#[path = "../../crates/wire/src/frames/mod.rs"]
pub mod frames;
