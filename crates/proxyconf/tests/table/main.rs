//! Configurations as people write them, what is found in them, and that the suggested edits leave nothing to find.
#![expect(clippy::unwrap_used, reason = "a panic here is the report")]

mod apache;
mod haproxy;
mod hostile;
mod nginx;
mod support;
