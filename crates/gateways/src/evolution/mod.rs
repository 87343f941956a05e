//! Evolution API: many WhatsApp accounts behind REST and Socket.IO.
pub mod fleet;
pub mod name;
pub mod seen;
pub mod settings;
pub mod state;
pub mod trace;
pub mod version;
