//! Evolution API.
