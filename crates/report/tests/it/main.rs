//! The API as its callers see it: over HTTP, over gRPC, and from Node with the real Baileys.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod grpc;
mod http;
mod node;
mod orders;
mod support;
