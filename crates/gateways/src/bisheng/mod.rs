//! Bisheng: backend, each proxy hop, health.
