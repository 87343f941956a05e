//! Diagnosis: evidence in, causes out.

pub mod codes;
