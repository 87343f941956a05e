//! Plain requests: what a server answers to a page tells faults apart that look the same to an upgrade.

use mooring_core::diagnosis::{Failed, Saw};
use mooring_core::handshake::Step;
use mooring_wire::{Ask, Exchange, exchange};

use crate::exam::Spot;

/// `GET` of `/`.
pub(super) async fn root(spot: &Spot) -> Saw {
    match spot.target.at("/") {
        Ok(target) => saw(&exchange(&target, &Ask::get(1024)).await),
        Err(_) => Saw::default(),
    }
}

/// What an exchange shows.
pub(super) fn saw(exchange: &Exchange) -> Saw {
    let status = exchange.steps.iter().find(|s| s.step == Step::Status).or(exchange.steps.last());
    Saw {
        failed: exchange.outcome.as_ref().err().map(|refusal| Failed {
            step: refusal.step,
            cause: refusal.cause,
            message: refusal.message.clone(),
        }),
        answer: exchange.outcome.as_ref().ok().cloned(),
        took: status.map_or(exchange.took, |s| s.took),
        ..Saw::default()
    }
}
