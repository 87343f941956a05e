//! The crowd: what many real sessions mean for their instance.

mod ends;
mod looks;
mod properties;
mod support;
