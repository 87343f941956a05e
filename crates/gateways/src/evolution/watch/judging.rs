//! What is said of the instances: each by its own past, all of them by what they have in common, and none of them by more
//! than can be seen.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Evidence, Status};
use mooring_core::id::InstanceId;
use mooring_core::time::Mono;

use super::instance::Instance;
use super::requests::Closely;
use super::{STALE, Watch};
use crate::adapter::{Said, Word};
use crate::evolution::fleet;
use crate::evolution::settings::EventsMode;
use crate::evolution::state::{Around, Facts, Finding, Verdict, verdict, wants_look};
use crate::evolution::version::Version;

impl Watch {
    pub(super) fn around(&self, name: &str, at: Mono) -> Around {
        let global = || {
            self.listening
                .global
                .filter(|_| self.settings.events == EventsMode::Global || self.listening.proven)
        };
        let since = global().or_else(|| self.listening.own.get(name).copied());
        Around {
            version: self.version.unwrap_or(Version::ASSUMED),
            listening: since.map(|since| at.since(since)),
            storming: self.storming,
            deprecated: self.deprecated,
        }
    }

    /// What the instances have in common now.
    pub(super) fn compare(&mut self, at: Mono) {
        let mut storming = 0;
        let mut outdated = Vec::new();
        for instance in self.instances.values() {
            let facts = Facts { trace: &instance.trace, now: at, around: self.around(&instance.name, at) };
            storming += usize::from(facts.storm());
            if facts.code() == Some(405) {
                outdated.push(instance.trace.code.map(|(at, _)| at));
            }
        }
        let all = self.instances.len();
        self.storming = fleet::shared(storming, all);
        self.deprecated = fleet::shared(fleet::together(&outdated), all).is_some();
    }

    /// Says of an instance what is new.
    pub(super) fn judge(&mut self, id: &InstanceId, at: Mono) {
        let Some(instance) = self.instances.get(id) else { return };
        let around = self.around(&instance.name, at);
        let facts = Facts { trace: &instance.trace, now: at, around };
        let mut verdict = verdict(&facts);
        // One at a time: it is many requests.
        let look = self.rest.keyed() && !self.looking_closely && !instance.looking && wants_look(&facts);
        if let Some(blind) = self.blind(instance, around, at) {
            verdict = blind;
        }
        let reachable = self.process.reachable(at);
        let beating = self.process.beating(at);
        let known = self.process.known();
        let Some(instance) = self.instances.get_mut(id) else { return };
        let findings = [
            (ConditionKind::Reachable, known.then_some(reachable)),
            (ConditionKind::Beating, known.then_some(beating)),
            (ConditionKind::Linked, verdict.linked),
            (ConditionKind::Delivering, verdict.delivering),
            (ConditionKind::Stable, verdict.stable),
        ];
        let claims: Vec<_> =
            findings.into_iter().filter_map(|(kind, finding)| instance.claim(at, kind, finding?)).collect();
        if !claims.is_empty() {
            self.out.push(Word { instance: id.clone(), said: Said::Claims(claims) });
        }
        if look && self.process.trouble().is_none() {
            self.look(id, Closely::Yes);
        }
    }

    /// What to say when nothing can be seen of it: a process that is away, a key that is refused, a word that has grown
    /// old.
    pub(super) fn blind(&self, instance: &Instance, around: Around, at: Mono) -> Option<Verdict> {
        let unknown = |cause: Cause, message: String| {
            let finding = Finding {
                status: Status::Unknown,
                cause: Some(cause),
                message,
                evidence: Evidence::new(),
                age: Duration::ZERO,
            };
            let delivering = instance.trace.traffic.map(|_| finding.clone());
            Some(Verdict { linked: Some(finding.clone()), stable: Some(finding), delivering })
        };
        if let Some((cause, words)) = self.process.trouble() {
            return unknown(cause, format!("not known while the gateway cannot be asked: {words}"));
        }
        let told = instance.trace.state.map(|(told, ..)| at.since(told));
        let other_ways = around.listening.is_some() || self.metrics.is_some();
        if let Some(cause) = self.locked_out.filter(|_| !other_ways) {
            let what = if cause == Cause::TokenMissing {
                "no API key is configured"
            } else {
                "the API key is refused"
            };
            return unknown(cause, format!("{what}, and neither events nor metrics tell its state"));
        }
        let most = self.interval() * STALE + Duration::from_secs(10);
        if self.locked_out.is_none() && told.is_some_and(|age| age > most) {
            return unknown(
                Cause::ApiUnresponsive,
                "the gateway answers, but not to questions about it".to_owned(),
            );
        }
        None
    }
}
