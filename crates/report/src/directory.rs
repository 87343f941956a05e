//! Who may report: the gateways, their instances, who speaks for each, and what has been taken already.
//!
//! One lock, held for microseconds. Everything in it is bounded by the configuration: instances by their number, names by
//! their length, events by a rate.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mooring_core::id::{GatewayId, InstanceId};
use mooring_core::time::Mono;
use tonic::Code;

use crate::bucket::Bucket;
use crate::config::{GatewayEntry, GatewayReport, ReportLimits};
use crate::refusal::Refusal;

/// What is kept of an instance.
#[derive(Debug, Default)]
struct Known {
    configured: bool,
    /// Who reported it last; empty: nobody who gave a name.
    client: Arc<str>,
    /// The last number taken of that client.
    taken: u64,
    /// When the newest of its numbered events happened.
    newest: Mono,
}

#[derive(Debug)]
struct Gateway {
    report: GatewayReport,
    instances: HashMap<InstanceId, Known>,
    bucket: Bucket,
}

/// The gateways that may report. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    gateways: Arc<Mutex<BTreeMap<GatewayId, Gateway>>>,
    limits: ReportLimits,
}

impl Directory {
    pub(crate) fn new(gateways: Vec<GatewayEntry>, limits: ReportLimits, now: Mono) -> Self {
        let directory = Self { gateways: Arc::default(), limits };
        directory.replace(gateways, now);
        directory
    }

    /// The gateways as they are configured now. Instances that made themselves known stay known, up to the new bound; one
    /// that was taken out of the configuration stays too where instances may register.
    pub fn replace(&self, gateways: Vec<GatewayEntry>, now: Mono) {
        let mut known = self.lock();
        let mut old = std::mem::take(&mut *known);
        for entry in gateways {
            let limits = self.limits;
            let mut gateway = old.remove(&entry.id).unwrap_or_else(|| Gateway {
                report: entry.report,
                instances: HashMap::new(),
                bucket: Bucket::new(limits.events_per_second, limits.burst, now),
            });
            gateway.report = entry.report;
            for state in gateway.instances.values_mut() {
                state.configured = false;
            }
            for instance in entry.instances {
                gateway.instances.entry(instance).or_default().configured = true;
            }
            gateway.instances.retain(|_, state| state.configured || entry.report.register);
            known.insert(entry.id, gateway);
        }
    }

    /// The gateway of this name; empty or `-`: the only one.
    pub(crate) fn resolve(&self, name: &str) -> Result<GatewayId, Refusal> {
        let known = self.lock();
        let names = || known.keys().map(GatewayId::as_str).collect::<Vec<_>>().join(", ");
        if matches!(name, "" | "-") {
            let mut ids = known.keys();
            return match (ids.next(), ids.next()) {
                (Some(only), None) => Ok(only.clone()),
                (None, _) => Err(Refusal::new(
                    Code::NotFound,
                    "NO_GATEWAY",
                    "no gateway of this agent is configured to report",
                )
                .hint("write `watch = [\"report\"]` for it in the agent's configuration")),
                _ => Err(Refusal::invalid("gateway", "several gateways report here")
                    .hint(format!("say which: {}", names()))),
            };
        }
        let id = GatewayId::new(name).map_err(|e| Refusal::invalid("gateway", e))?;
        if known.contains_key(&id) {
            return Ok(id);
        }
        let refusal =
            Refusal::new(Code::NotFound, "NO_GATEWAY", format!("no gateway `{id}` reports to this agent"));
        Err(refusal.hint(format!("it has: {}", names())))
    }

    /// Takes room for so many events.
    pub(crate) fn admit(&self, gateway: &GatewayId, events: usize, now: Mono) -> Result<(), Refusal> {
        let mut known = self.lock();
        let Some(state) = known.get_mut(gateway) else { return Err(gone(gateway)) };
        state.bucket.take(now, u32::try_from(events.max(1)).unwrap_or(u32::MAX)).map_err(|wait| {
            let rate = self.limits.events_per_second;
            Refusal::new(
                Code::ResourceExhausted,
                "TOO_MANY_EVENTS",
                format!("gateway `{gateway}` reports more than {rate} events a second"),
            )
            .hint("send less often, or raise `report.limits.events_per_second`")
            .retry_after(wait)
        })
    }

    /// Looks an instance up for an event, and notes who speaks for it. `register`: the event makes it known.
    ///
    /// `at`: when it happened, as far as its age tells.
    pub(crate) fn note(
        &self,
        gateway: &GatewayId,
        instance: &InstanceId,
        client: &Arc<str>,
        sequence: u64,
        register: bool,
        at: Mono,
    ) -> Result<Noted, Refusal> {
        let mut known = self.lock();
        let Some(state) = known.get_mut(gateway) else { return Err(gone(gateway)) };
        let before = state.instances.contains_key(instance);
        if !before && !register {
            return Err(Refusal::new(
                Code::NotFound,
                "REGISTER_FIRST",
                format!("instance `{instance}` of gateway `{gateway}` is not known: register first"),
            )
            .hint(format!("POST /v1/gateways/{gateway}/instances/{instance}:register")));
        }
        if !before && !state.report.register {
            return Err(Refusal::new(
                Code::PermissionDenied,
                "NOT_CONFIGURED",
                format!("instance `{instance}` is not in the configuration of gateway `{gateway}`"),
            )
            .hint("add it, or allow `report.register` for this gateway"));
        }
        if !before && state.instances.len() >= state.report.instances {
            return Err(Refusal::new(
                Code::ResourceExhausted,
                "TOO_MANY_INSTANCES",
                format!("gateway `{gateway}` has {} instances, which is its limit", state.instances.len()),
            )
            .hint("raise `report.instances` for this gateway"));
        }
        let entry = state.instances.entry(instance.clone()).or_default();
        if entry.client != *client {
            // Whoever spoke last speaks for it; its numbers begin anew.
            entry.client = Arc::clone(client);
            entry.taken = 0;
            entry.newest = Mono::default();
        }
        if sequence == 0 || client.is_empty() {
            return Ok(Noted { before, repeated: false, at });
        }
        if sequence <= entry.taken {
            return Ok(Noted { before, repeated: true, at });
        }
        entry.taken = sequence;
        // What is said later happened later: ages are told by when a request arrives, and one may have been on its way
        // for longer than the next. Without this an end within milliseconds of its beginning could be passed over as old.
        entry.newest = at.max(entry.newest);
        Ok(Noted { before, repeated: false, at: entry.newest })
    }

    /// Who speaks for an instance; empty: nobody in particular.
    pub(crate) fn client_of(&self, gateway: &GatewayId, instance: &InstanceId) -> Arc<str> {
        let known = self.lock();
        let found = known.get(gateway).and_then(|state| state.instances.get(instance));
        found.map(|entry| Arc::clone(&entry.client)).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GatewayId, Gateway>> {
        self.gateways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of an event's instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The instance was known before.
    pub before: bool,
    /// The event was taken before.
    pub repeated: bool,
    /// When it happened, not before what the same client numbered lower.
    pub at: Mono,
}

fn gone(gateway: &GatewayId) -> Refusal {
    Refusal::new(
        Code::NotFound,
        "NO_GATEWAY",
        format!("gateway `{gateway}` was taken out of the configuration"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, instances: &[&str], report: GatewayReport) -> GatewayEntry {
        let instances = instances.iter().map(|i| InstanceId::new(i).unwrap()).collect();
        GatewayEntry { id: GatewayId::new(id).unwrap(), instances, report }
    }

    fn directory(gateways: Vec<GatewayEntry>) -> Directory {
        Directory::new(gateways, ReportLimits::default(), Mono(0))
    }

    fn note(
        d: &Directory,
        instance: &str,
        client: &str,
        sequence: u64,
        register: bool,
    ) -> Result<Noted, &'static str> {
        let (gateway, instance) = (d.resolve("").unwrap(), InstanceId::new(instance).unwrap());
        d.note(&gateway, &instance, &Arc::from(client), sequence, register, Mono(7))
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn the_only_gateway_need_not_be_named() {
        let report = GatewayReport::default();
        let none = directory(vec![]);
        assert_eq!(none.resolve("").unwrap_err().reason, "NO_GATEWAY");
        let one = directory(vec![entry("bots", &[], report)]);
        assert_eq!(one.resolve("-").unwrap().as_str(), "bots");
        assert_eq!(one.resolve("other").unwrap_err().code, Code::NotFound);
        let two = directory(vec![entry("bots", &[], report), entry("chat", &[], report)]);
        assert!(two.resolve("").unwrap_err().hint.contains("bots, chat"));
    }

    #[test]
    fn strangers_register_first_if_they_may_and_are_counted() {
        let open =
            directory(vec![entry("bots", &["a"], GatewayReport { instances: 2, ..Default::default() })]);
        assert!(note(&open, "a", "", 0, false).unwrap().before, "configured: known from the start");
        assert_eq!(note(&open, "b", "", 0, false), Err("REGISTER_FIRST"));
        assert!(!note(&open, "b", "", 0, true).unwrap().before);
        assert!(note(&open, "b", "", 0, false).unwrap().before);
        assert_eq!(note(&open, "c", "", 0, true), Err("TOO_MANY_INSTANCES"));
        let closed =
            directory(vec![entry("bots", &["a"], GatewayReport { register: false, ..Default::default() })]);
        assert!(note(&closed, "a", "", 0, true).is_ok());
        assert_eq!(note(&closed, "b", "", 0, true), Err("NOT_CONFIGURED"));
    }

    #[test]
    fn what_was_taken_before_is_left_out_until_another_speaks() {
        let d = directory(vec![entry("bots", &["a"], GatewayReport::default())]);
        let repeated = |client: &str, sequence| note(&d, "a", client, sequence, false).unwrap().repeated;
        assert!(!repeated("one", 1) && !repeated("one", 5));
        assert!(repeated("one", 5) && repeated("one", 2));
        assert!(!repeated("one", 0), "not numbered");
        assert!(!repeated("two", 1), "a new run of the gateway");
        assert!(!repeated("", 1) && !repeated("", 1), "without a name there is nothing to count by");
    }

    #[test]
    fn what_one_client_numbers_happens_in_that_order() {
        let d = directory(vec![entry("bots", &["a", "b"], GatewayReport::default())]);
        let gateway = d.resolve("").unwrap();
        let at = |instance: &str, client: &str, sequence, micros| {
            let instance = InstanceId::new(instance).unwrap();
            d.note(&gateway, &instance, &Arc::from(client), sequence, false, Mono(micros)).unwrap().at.0
        };
        assert_eq!([at("a", "one", 1, 50), at("a", "one", 2, 40), at("a", "one", 3, 60)], [50, 50, 60]);
        assert_eq!(at("b", "one", 4, 10), 10, "another instance has its own order");
        assert_eq!([at("a", "one", 0, 20), at("a", "", 9, 20)], [20, 20], "not numbered, or by nobody");
        assert_eq!([at("a", "two", 1, 30), at("a", "two", 2, 20)], [30, 30], "a new run of the gateway");
    }

    #[test]
    fn a_reload_keeps_who_is_known() {
        let d = directory(vec![entry("bots", &["a"], GatewayReport::default())]);
        note(&d, "b", "", 0, true).unwrap();
        d.replace(vec![entry("bots", &["c"], GatewayReport::default())], Mono(0));
        assert!(note(&d, "a", "", 0, false).is_ok() && note(&d, "b", "", 0, false).is_ok());
        d.replace(
            vec![entry("bots", &["c"], GatewayReport { register: false, ..Default::default() })],
            Mono(0),
        );
        assert_eq!(note(&d, "b", "", 0, false), Err("REGISTER_FIRST"));
        assert!(note(&d, "c", "", 0, false).is_ok());
    }
}
