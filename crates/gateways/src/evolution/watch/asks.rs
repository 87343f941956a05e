//! Orders: each looks first, is given once, and is answered when its effect was seen.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::id::InstanceId;
use mooring_core::time::Mono;

use super::instance::{Pending, Stage};
use super::requests::{Closely, Done};
use super::{Watch, now};
use crate::adapter::Ask;
use crate::evolution::order::{Act, Effect, Outcome, plan};
use crate::evolution::rest::{Answered, Trouble};
use crate::evolution::seen::{Happened, State};
use crate::evolution::state::{Facts, verdict};
use crate::http::HttpError;

/// The answer goes out this long before its time is over.
const MARGIN: Duration = Duration::from_millis(500);
/// How often an instance is looked at just after an order, and how long: a break takes a tenth of a second.
const CLOSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));
/// How often after that.
const FAR: Duration = Duration::from_millis(500);

impl Pending {
    /// REST was read.
    pub(super) fn rest(&mut self, at: Mono, state: State) {
        if let Stage::Watching(effect) = &mut self.stage {
            effect.rest(at, state);
        }
    }

    /// An event came.
    pub(super) fn event(&mut self, at: Mono, happened: Happened) {
        if let Stage::Watching(effect) = &mut self.stage {
            effect.event(at, happened);
        }
    }
}

impl Watch {
    /// An order came.
    pub(super) fn asked(&mut self, ask: Ask) {
        let at = now();
        let refuse = |ask: Ask, why: String| drop(ask.reply.send(Err(why)));
        if !self.rest.keyed() {
            return refuse(ask, "nothing can be ordered without a key; set `api_key_file`".into());
        }
        if self.locked_out.is_some() {
            return refuse(ask, "the gateway refuses the API key; correct the file it is in".into());
        }
        if let Some((_, words)) = self.process.trouble() {
            return refuse(ask, format!("the gateway cannot be reached: {words}"));
        }
        let Some(instance) = self.instances.get_mut(&ask.instance) else {
            return refuse(ask, "this gateway has no such instance".into());
        };
        if instance.order.is_some() {
            return refuse(ask, "another order to this instance is still under way".into());
        }
        let limit = ask.time_limit.saturating_sub(MARGIN).min(self.settings.effect_limit.get());
        let id = ask.instance.clone();
        let stage = Stage::Looking { since: at };
        instance.order = Some(Pending { ask, until: at.after(limit), stage, note: None });
        // A look that is under way began before the order: another follows it.
        instance.due = at;
        if !instance.looking {
            self.look(&id, Closely::No);
        }
    }

    /// An instance with an order was looked at; its state is of `asked`.
    pub(super) fn order_looked(
        &mut self,
        id: &InstanceId,
        asked: Option<Mono>,
        trouble: Option<&Trouble>,
        at: Mono,
    ) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let Some(Pending { stage: Stage::Looking { since }, .. }) = &instance.order else { return };
        if trouble.is_none() && asked.is_none_or(|asked| asked < *since) {
            instance.due = at;
            return;
        }
        if let Some(trouble) = trouble {
            return self
                .answer(id, Err(format!("nothing was ordered, for its state cannot be read: {trouble}")));
        }
        let Some(instance) = self.instances.get(id) else { return };
        let facts = Facts { trace: &instance.trace, now: at, around: self.around(&instance.name, at) };
        match plan(&facts, &verdict(&facts)) {
            Err(why) => self.answer(id, Err(why)),
            Ok(act) => self.give(id, act, at),
        }
    }

    fn give(&mut self, id: &InstanceId, act: Act, at: Mono) {
        let hold = self.settings.hold.get();
        let Some(instance) = self.instances.get_mut(id) else { return };
        let before = instance.trace.state.map(|(_, state, _)| state);
        let Some(order) = &mut instance.order else { return };
        order.stage = Stage::Watching(Effect::new(act, at, before, hold));
        instance.due = at;
        let order = order.ask.order;
        tracing::info!(instance.id = %id, order.id = %order, act = act.name(), "order is given to the gateway");
        let (rest, name, id) = (Arc::clone(&self.rest), instance.name.clone(), id.clone());
        self.tasks.push(Box::pin(async move {
            let answer = match act {
                Act::Connect => rest.connect(&name).await,
                Act::Restart => rest.restart(&name).await,
            };
            Done::Ordered { id, answer }
        }));
    }

    /// The gateway has answered an order.
    pub(super) fn ordered(&mut self, id: &InstanceId, answer: Result<Answered, Trouble>) {
        let mut note = |text: &str| {
            if let Some(order) = self.instances.get_mut(id).and_then(|i| i.order.as_mut()) {
                order.note = Some(text.to_owned());
            }
        };
        match answer {
            Ok(Answered::Taken) => {}
            // It may be an old one: what is asked of a hung login answers with the last code there ever was.
            Ok(Answered::Pairing) => note("its answer held a QR code, which may be an old one"),
            Ok(Answered::Error(words)) => {
                let why = format!("the gateway answered 200 with an error in it: {words}; nothing was done");
                self.answer(id, Err(why));
            }
            Err(Trouble::Http(HttpError::TimedOut(_) | HttpError::Broken(_))) => {
                note("its answer did not come, so whether it was taken is not known");
            }
            Err(trouble) => self.answer(id, Err(format!("the order was not taken: {trouble}"))),
        }
    }

    /// Looks at the orders that are under way.
    pub(super) fn advance_orders(&mut self, at: Mono) {
        let mut answers = Vec::new();
        for (id, instance) in &mut self.instances {
            let Some(order) = &mut instance.order else { continue };
            let Stage::Watching(effect) = &order.stage else {
                if at >= order.until {
                    answers.push((
                        id.clone(),
                        Err("nothing was ordered: its state could not be read in time".into()),
                    ));
                }
                continue;
            };
            match effect.outcome(at) {
                Outcome::Done(words) => answers.push((id.clone(), Ok(words))),
                Outcome::Failed(why) => answers.push((id.clone(), Err(why))),
                Outcome::Open if at >= order.until => {
                    let note = order.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
                    answers.push((id.clone(), Err(effect.overdue(at) + &note)));
                }
                Outcome::Open => {
                    let pace = if effect.age(at) < CLOSE.1 { CLOSE.0 } else { FAR };
                    instance.due = instance.due.min(at.after(pace));
                }
            }
        }
        for (id, answer) in answers {
            self.answer(&id, answer);
        }
    }

    fn answer(&mut self, id: &InstanceId, answer: Result<String, String>) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let Some(order) = instance.order.take() else { return };
        // Whoever asked may have gone; what was done is seen all the same.
        drop(order.ask.reply.send(answer));
        instance.due = now();
        instance.say_again();
    }
}
