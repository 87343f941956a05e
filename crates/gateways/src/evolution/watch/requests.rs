//! What is asked of REST, when, and what is done with the answers.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::id::InstanceId;
use mooring_core::time::Mono;

use super::{AT_ONCE, LIST_EVERY, METRICS_AGAIN, Watch, now};
use crate::evolution::name::id_of;
use crate::evolution::rest::{Answered, Trouble};
use crate::evolution::seen::{Row, State};
use crate::evolution::version::Version;

/// A close look: so many words, this far apart. It covers the tenth of a second in which a takeover shows, several times
/// at the pace at which takeovers are fought back.
const CLOSELY: (u32, Duration) = (60, Duration::from_millis(40));
/// A row older than this is read again with a look at an instance that is not open.
const ROW_AGE: Duration = Duration::from_secs(5);

/// A request has ended.
pub(super) enum Done {
    Version(Result<Option<Version>, Trouble>),
    Alive(Mono, Result<(), Trouble>),
    List(Mono, Result<Vec<Row>, Trouble>),
    Metrics(Mono, Result<Option<Vec<(String, State)>>, Trouble>),
    Look {
        id: InstanceId,
        closely: Closely,
        words: Vec<(Mono, State)>,
        row: Option<(Mono, Row)>,
        trouble: Option<Trouble>,
    },
    Ordered {
        id: InstanceId,
        answer: Result<Answered, Trouble>,
    },
}

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closely {
    No,
    Yes,
}

impl Watch {
    /// Sends what is due.
    pub(super) fn request(&mut self, at: Mono) {
        let keyed = self.rest.keyed();
        if at >= self.next_list && !self.listing {
            self.listing = true;
            let away = self.process.trouble().is_some();
            // While nothing else is asked, this is what tells whether it lives.
            let only = !keyed || away || self.locked_out.is_some();
            let pause = if only { self.jittered() } else { self.jittered() * LIST_EVERY };
            self.next_list = at.after(pause);
            let rest = Arc::clone(&self.rest);
            if keyed {
                self.tasks.push(Box::pin(async move { Done::List(now(), rest.rows(None).await) }));
            } else {
                self.tasks.push(Box::pin(async move { Done::Alive(now(), rest.alive().await) }));
            }
        }
        if self.process.trouble().is_some() {
            return;
        }
        if !self.asked_version && keyed && self.listed.is_some() {
            self.asked_version = true;
            let rest = Arc::clone(&self.rest);
            self.tasks.push(Box::pin(async move { Done::Version(rest.version().await) }));
        }
        if self.settings.metrics && at >= self.next_metrics {
            self.next_metrics = at.after(self.jittered());
            let rest = Arc::clone(&self.rest);
            self.tasks.push(Box::pin(async move { Done::Metrics(now(), rest.metrics().await) }));
        }
        if !keyed || self.locked_out.is_some() {
            return;
        }
        let due: Vec<InstanceId> = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.due <= at && !instance.looking)
            .take(AT_ONCE.saturating_sub(self.tasks.len()))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            self.look(&id, Closely::No);
        }
    }

    /// Looks at an instance.
    pub(super) fn look(&mut self, id: &InstanceId, closely: Closely) {
        let pause = self.jittered();
        let Some(instance) = self.instances.get_mut(id) else { return };
        let at = now();
        instance.looking = true;
        self.looking_closely |= closely == Closely::Yes;
        instance.due = at.after(pause);
        let ordered = instance.order.is_some();
        let fresh = instance.trace.row.as_ref().is_some_and(|(read, _)| at.since(*read) < ROW_AGE);
        let (rest, name, id) = (Arc::clone(&self.rest), instance.name.clone(), id.clone());
        let times = if closely == Closely::Yes { CLOSELY.0 } else { 1 };
        self.tasks.push(Box::pin(async move {
            let mut words = Vec::new();
            let mut trouble = None;
            for n in 0..times {
                if n > 0 {
                    tokio::time::sleep(CLOSELY.1).await;
                }
                let asked = now();
                match rest.state(&name).await {
                    Ok(state) => words.push((asked, state)),
                    Err(why) => {
                        trouble = Some(why);
                        break;
                    }
                }
            }
            // The row matters where the instance is not open, and before an order.
            let down = words.last().is_some_and(|(_, state)| *state != State::Open);
            let mut row = None;
            if trouble.is_none() && ((down && !fresh) || (ordered && times == 1 && !fresh)) {
                let asked = now();
                match rest.rows(Some(&name)).await {
                    Ok(rows) => row = rows.into_iter().find(|row| row.name == name).map(|row| (asked, row)),
                    Err(why) => trouble = Some(why),
                }
            }
            Done::Look { id, closely, words, row, trouble }
        }));
    }

    /// A request has ended.
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Version(Ok(Some(version))) => {
                tracing::info!(evolution.version = %version, "gateway's version");
                self.version = Some(version);
            }
            // Nothing hangs on it that the next start of the process would not tell.
            Done::Version(_) => {}
            Done::Alive(at, answer) => {
                self.listing = false;
                match answer {
                    Ok(()) => self.alive(at),
                    Err(trouble) => drop(self.process.failed(at, &trouble)),
                }
            }
            Done::List(at, answer) => {
                self.listing = false;
                match answer {
                    Ok(rows) => {
                        self.locked_out = None;
                        self.alive(at);
                        self.listed(at, rows);
                    }
                    Err(trouble) => self.troubled(at, &trouble),
                }
            }
            Done::Metrics(at, Ok(Some(states))) => {
                self.alive(at);
                self.metrics = Some(at);
                self.metrics_read(at, &states);
            }
            Done::Metrics(at, Ok(None)) => {
                self.metrics = None;
                self.next_metrics = at.after(METRICS_AGAIN);
            }
            // What does not answer is asked otherwise, too.
            Done::Metrics(_, Err(_)) => {}
            Done::Look { id, closely, words, row, trouble } => {
                self.looked(&id, closely, words, row, trouble.as_ref());
            }
            Done::Ordered { id, answer } => self.ordered(&id, answer),
        }
    }

    /// It answers; and if it did not before, everything is asked anew.
    fn alive(&mut self, at: Mono) {
        if self.process.answered(at) {
            self.asked_version = self.settings.version.is_some();
            self.look_at_all();
        }
    }

    pub(super) fn troubled(&mut self, at: Mono, trouble: &Trouble) {
        let answered = self.process.failed(at, trouble);
        match trouble {
            Trouble::Unauthorized if self.rest.keyed() => self.lock_out(),
            Trouble::Unknown => self.list_soon(),
            _ if !answered => self.next_list = self.next_list.min(at.after(self.jittered())),
            _ => {}
        }
    }

    fn lock_out(&mut self) {
        if self.locked_out.replace(Cause::TokenRefused).is_none() {
            tracing::warn!("the gateway refuses the API key; states cannot be read until it is corrected");
        }
    }

    /// Every state in memory was read at once. Those that are open need no look of their own.
    fn metrics_read(&mut self, at: Mono, states: &[(String, State)]) {
        let interval = self.interval();
        for (name, state) in states {
            let id = match id_of(name) {
                Some(id) if self.instances.contains_key(&id) => id,
                _ if self.rest.keyed() => {
                    self.stranger(name, at);
                    continue;
                }
                _ => match self.admit(name) {
                    Some(id) => id,
                    None => continue,
                },
            };
            let Some(instance) = self.instances.get_mut(&id).filter(|i| i.name == *name) else { continue };
            // `unknown` is what it writes for an instance without a state.
            if *state == State::Odd {
                continue;
            }
            instance.trace.rest(at, *state);
            if *state == State::Open && instance.order.is_none() {
                instance.due = instance.due.max(at.after(interval * 2));
            }
            self.judge(&id, at);
        }
    }

    fn looked(
        &mut self,
        id: &InstanceId,
        closely: Closely,
        words: Vec<(Mono, State)>,
        row: Option<(Mono, Row)>,
        trouble: Option<&Trouble>,
    ) {
        let at = now();
        if closely == Closely::Yes {
            self.looking_closely = false;
        }
        let asked = words.last().map(|(asked, _)| *asked);
        if let Some((asked, _)) = words.last() {
            self.alive(*asked);
        }
        if let Some(trouble) = trouble {
            self.troubled(at, trouble);
        }
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.looking = false;
        if closely == Closely::Yes {
            instance.trace.looked = Some(at);
        }
        for (asked, state) in words {
            instance.trace.rest(asked, state);
            if let Some(order) = &mut instance.order {
                order.rest(asked, state);
            }
        }
        if let Some((asked, row)) = row {
            instance.trace.stored(asked, row);
        }
        self.order_looked(id, asked, trouble, at);
        self.judge(id, at);
    }
}
