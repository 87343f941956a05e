//! Engine.IO and Socket.IO, in their own protocol.

use mooring_core::diagnosis::Saw;

use crate::exam::{Exam, Spot};

pub(super) async fn polling(_exam: &Exam, _spot: &Spot) -> Saw {
    Saw::default()
}
pub(super) async fn sticky(_exam: &Exam, _spot: &Spot) -> Saw {
    Saw::default()
}
pub(super) async fn cors(_exam: &Exam, _spot: &Spot, _origin: &str) -> Saw {
    Saw::default()
}
pub(super) async fn namespace(_exam: &Exam, _spot: &Spot) -> Saw {
    Saw::default()
}
