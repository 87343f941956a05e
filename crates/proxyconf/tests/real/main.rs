//! The real nginx, Apache and HAProxy: the fault is there before the suggested edits and gone after them.
#![expect(clippy::unwrap_used, reason = "a panic here is the report")]

mod apache;
mod haproxy;
mod nginx;
mod remedy;
mod shipped;
mod support;
