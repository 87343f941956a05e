//! The terminal as a screen with keys: for what is redrawn in place (`mooring up`, `mooring sessions --watch`).

mod keys;
mod screen;

pub(crate) use keys::{Key, Keys};
pub(crate) use screen::Screen;
