//! Whether an order may be carried out: a pure function of the order, of what is on record, and of what is there.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::id::{Fence, InstanceRef, Target};
use mooring_core::order::{Action, Receipt, Stage};
use mooring_core::time::human;
use mooring_proto::link::OrderMessage;

use super::catalogue::{Catalogue, GatewayHands};
use super::lanes::MAX_QUEUED;
use crate::executor::{Executor, Sightings};

/// What is done about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be put on record.
    Accept,
    /// It is on record: what was last said of it is said again.
    Known(Receipt),
    /// It will not be done: refused or expired, and why.
    No(Stage, String),
}

/// What is known when an order comes.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// What was last said of this very order.
    pub(super) last: Option<Receipt>,
    /// The fence of the last order taken for its target.
    pub(super) fence: Option<Fence>,
    /// How long ago it was received.
    pub(super) age: Duration,
    /// Orders of its gateway that run or wait.
    pub(super) queued: usize,
}

/// Judges an order that has just come.
pub(super) fn on_receipt(order: &OrderMessage, catalogue: &Catalogue, facts: &Facts) -> Verdict {
    if let Some(last) = &facts.last {
        return Verdict::Known(last.clone());
    }
    if let Some(last) = facts.fence
        && order.fence <= last
    {
        let why =
            format!("its fence {} is not above {}, the last one taken for its target", order.fence.0, last.0);
        return Verdict::No(Stage::Refused, why);
    }
    if facts.age >= order.valid_for {
        let why = format!(
            "it was valid for {} and is {} old",
            human::format(order.valid_for),
            human::format(facts.age)
        );
        return Verdict::No(Stage::Expired, why);
    }
    if let Err(why) = hands(order, catalogue) {
        return Verdict::No(Stage::Refused, why);
    }
    if facts.queued >= MAX_QUEUED {
        let why =
            format!("{} orders on this gateway run or wait already, at most {MAX_QUEUED} may", facts.queued);
        return Verdict::No(Stage::Refused, why);
    }
    Verdict::Accept
}

/// Judges an accepted order when its turn has come: the world may have changed meanwhile.
pub(super) fn on_turn(
    order: &OrderMessage,
    catalogue: &Catalogue,
    age: Duration,
) -> Result<(Arc<dyn Executor>, Sightings), String> {
    if age >= order.valid_for {
        return Err(format!(
            "it was valid for {} and has waited {} behind other orders",
            human::format(order.valid_for),
            human::format(age)
        ));
    }
    hands(order, catalogue)
}

/// What carries the order out, if anything here does and the process is the one it is aimed at; and who is to know.
fn hands(order: &OrderMessage, catalogue: &Catalogue) -> Result<(Arc<dyn Executor>, Sightings), String> {
    let target = order.target.gateway();
    let gateway =
        catalogue.gateway(target).ok_or_else(|| format!("{target} is not watched by this agent"))?;
    let nothing = |what: &str| {
        format!("nothing is configured that could {what}: see `reconnect` and `restart` in the agent's file")
    };
    let instance = |name: &InstanceRef| {
        gateway.instances.get(&name.instance).ok_or_else(|| format!("{name} is not watched by this agent"))
    };
    let executor = match (order.action, &order.target) {
        (Action::RestartGateway, Target::Gateway(_)) => {
            gateway.restart.as_ref().ok_or_else(|| nothing("restart this gateway"))?
        }
        (Action::RestartInstance, Target::Instance(name)) => {
            instance(name)?.restart.as_ref().ok_or_else(|| nothing("restart this instance"))?
        }
        (Action::Reconnect | Action::ReconnectSlowly, Target::Instance(name)) => &instance(name)?.reconnect,
        (Action::CloseSession, Target::Session(_))
        | (Action::CloseSessions, Target::Gateway(_))
        | (Action::Drain | Action::Resume, Target::Gateway(_)) => sessions(gateway)?,
        (Action::CloseSessions, Target::Instance(name)) => {
            instance(name)?;
            sessions(gateway)?
        }
        (action, Target::Gateway(_)) => {
            return Err(format!("{action} is aimed at an instance or a session, not at a whole gateway"));
        }
        (action, Target::Instance(_)) => {
            return Err(format!("{action} is aimed at a gateway or a session, not at an instance"));
        }
        (action, Target::Session(_)) => {
            return Err(format!("{action} is aimed at a gateway or an instance, not at a session"));
        }
    };
    // An agent that does not run the process knows of no runs; what is aimed at one may still be meant.
    if let (Some(aimed), Some(current)) = (order.incarnation, gateway.incarnation())
        && aimed != current
    {
        return Err(format!(
            "it is aimed at run {} of the gateway's process, which is in run {}",
            aimed.0, current.0
        ));
    }
    Ok((Arc::clone(executor), gateway.sightings.clone()))
}

fn sessions(gateway: &GatewayHands) -> Result<&Arc<dyn Executor>, String> {
    gateway.sessions.as_ref().ok_or_else(|| {
        "nobody sees this gateway's real sessions: add relay, kernel or report to its `watch`".to_owned()
    })
}
