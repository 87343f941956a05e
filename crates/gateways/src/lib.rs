//! Adapters: what Mooring knows of each kind of gateway beyond its wire. Each reads its gateway's own interfaces (REST,
//! events, health), finds its instances, says how they are, and carries out what can be done to them, with the effect
//! verified.
//!
//! **Adding a kind** is one folder with an [`Adapter`] and its settings, and one line where the agent makes adapters.

pub mod adapter;
pub mod bisheng;
pub mod evolution;
pub mod http;
pub mod onebot11;
pub mod waha;

pub use adapter::{Adapter, Ask, Desk, Doing, Said, Word};
