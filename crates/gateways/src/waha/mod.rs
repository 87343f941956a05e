//! WAHA: sessions API and events.
