//! Plain requests: what a server answers to a page tells faults apart that look the same to an upgrade.

use mooring_core::diagnosis::{Failed, Saw};
use mooring_core::handshake::Step;
use mooring_wire::{Ask, Exchange, Target, exchange};

use crate::exam::{Exam, Spot};

/// `GET` of a path; empty: the target's own.
pub(super) async fn get(_exam: &Exam, spot: &Spot, path: &str) -> Saw {
    let target = if path.is_empty() { Ok(spot.target.clone()) } else { spot.target.at(path) };
    match target {
        Ok(target) => saw(&request(&target).await),
        Err(_) => Saw::default(),
    }
}

async fn request(target: &Target) -> Exchange {
    exchange(target, &Ask::get(1024)).await
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
