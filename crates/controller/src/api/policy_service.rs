//! `PolicyService`: what Mooring may do by itself, read and changed.
//!
//! Policies of the controller's file are shown and not changed: a file under version control that something else
//! overrules would be a trap. Changes carry the etag they are based on.

use std::sync::Arc;

use mooring_core::id::PolicyId;
use mooring_core::policy::{Policy, StoredPolicy};
use mooring_proto::operator::{
    MASK_PATHS, etag, etag_from, policy, policy_from, policy_name, policy_name_from,
};
use mooring_proto::v1;
use mooring_proto::v1::policy_service_server::PolicyService;
use mooring_runtime::telemetry::trace_context;
use mooring_store::{EventKind, NewEvent, PolicyChange};
use tonic::{Request, Response, Status};

use super::Shared;
use super::auth::Caller;
use super::page::{self, Kind, Page, Query};
use super::status::{self, Reason};

/// The service.
pub struct PolicyApi(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl PolicyService for PolicyApi {
    async fn list_policies(
        &self,
        request: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        let request = request.into_inner();
        let mut page = Page::new(page::size(request.page_size)?);
        let query = Query::of(&[]);
        let after = self.0.tokens.position(Kind::Policies, query, &request.page_token)?;
        let mut next_page_token = String::new();
        let mut last = String::new();
        for stored in self.0.parts.policies.all() {
            if after.as_deref().is_some_and(|after| stored.id.as_str() <= after) {
                continue;
            }
            if page.is_full() || page.push(policy(&stored)).is_err() {
                next_page_token = self.0.tokens.seal(Kind::Policies, query, last.as_bytes());
                break;
            }
            last = stored.id.to_string();
        }
        Ok(self.0.answer(v1::ListPoliciesResponse { policies: page.into_items(), next_page_token }))
    }

    async fn get_policy(
        &self,
        request: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        let stored = self.find("name", &request.into_inner().name)?;
        Ok(self.0.answer(policy(&stored)))
    }

    async fn create_policy(
        &self,
        request: Request<v1::CreatePolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let id =
            PolicyId::new(&request.policy_id).map_err(|e| status::bad_field("policy_id", &e.to_string()))?;
        let wanted = request.policy.unwrap_or_default();
        if !wanted.name.is_empty() && wanted.name != policy_name(&id) {
            let what =
                format!("is {}, but policy_id makes it {}; leave it empty", wanted.name, policy_name(&id));
            return Err(status::bad_field("policy.name", &what));
        }
        let new = policy_from(&wanted, Policy::default(), &MASK_PATHS).map_err(|e| status::invalid(&e))?;
        sound(&new)?;
        match self.0.parts.policies.get(&id) {
            Some(old) if old.from_file => return Err(from_file(&id)),
            Some(old) if old.version > 0 => return Err(exists(&id)),
            _ => {}
        }
        if request.validate_only {
            return Ok(self.0.answer(shown(id, new, 0)));
        }
        let event = event(&id, "made", &caller);
        let change = self.0.need(self.0.parts.store.put_policy(&id, &new, None, &event)).await?;
        match change {
            PolicyChange::Done(stored) => Ok(self.0.answer(self.take_in(*stored))),
            PolicyChange::OtherVersion(_) | PolicyChange::Missing => {
                self.refresh().await?;
                Err(exists(&id))
            }
        }
    }

    async fn update_policy(
        &self,
        request: Request<v1::UpdatePolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let wanted = request.policy.ok_or_else(|| status::bad_field("policy", "is required"))?;
        let old = self.find("policy.name", &wanted.name)?;
        if old.from_file {
            return Err(from_file(&old.id));
        }
        let version = version("policy.etag", &wanted.etag)?;
        let mask = request.update_mask.unwrap_or_default();
        let paths: Vec<&str> = match mask.paths.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => {
                return Err(status::bad_field(
                    "update_mask",
                    "is required: name the fields to change, or * for all",
                ));
            }
            ["*"] => MASK_PATHS.to_vec(),
            some => some.to_vec(),
        };
        let new = policy_from(&wanted, old.policy.clone(), &paths).map_err(|e| status::invalid(&e))?;
        sound(&new)?;
        if version != Some(old.version) {
            return Err(status::etag_mismatch(&wanted.name, &wanted.etag, Some(&etag(old.version))));
        }
        if request.validate_only {
            return Ok(self.0.answer(shown(old.id, new, old.version)));
        }
        // The built-in default has version 0 and is stored with its first change.
        let expected = (old.version > 0).then_some(old.version);
        let event = event(&old.id, &format!("changed ({})", paths.join(", ")), &caller);
        let change = self.0.need(self.0.parts.store.put_policy(&old.id, &new, expected, &event)).await?;
        match change {
            PolicyChange::Done(stored) => Ok(self.0.answer(self.take_in(*stored))),
            PolicyChange::OtherVersion(now) => {
                self.refresh().await?;
                Err(status::etag_mismatch(&wanted.name, &wanted.etag, Some(&etag(now))))
            }
            PolicyChange::Missing => {
                self.0.parts.policies.remove(&old.id);
                Err(status::not_found("Policy", &wanted.name))
            }
        }
    }

    async fn delete_policy(&self, request: Request<v1::DeletePolicyRequest>) -> Result<Response<()>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let old = self.find("name", &request.name)?;
        if old.from_file {
            return Err(from_file(&old.id));
        }
        let version = version("etag", &request.etag)?;
        if old.version == 0 {
            let message = format!("{} is built in: it can be changed, but not deleted", request.name);
            return Err(status::precondition(Reason::PolicyBuiltIn, &request.name, &message, &[]));
        }
        if version != Some(old.version) {
            return Err(status::etag_mismatch(&request.name, &request.etag, Some(&etag(old.version))));
        }
        let event = event(&old.id, "deleted: the group falls back to the default", &caller);
        let change = self.0.need(self.0.parts.store.delete_policy(&old.id, old.version, &event)).await?;
        match change {
            PolicyChange::Done(_) => {
                self.0.parts.policies.remove(&old.id);
                self.0.parts.desk.look();
                tracing::info!(policy = %old.id, by = %caller.name, "a policy was deleted");
                Ok(self.0.answer(()))
            }
            PolicyChange::OtherVersion(now) => {
                self.refresh().await?;
                Err(status::etag_mismatch(&request.name, &request.etag, Some(&etag(now))))
            }
            PolicyChange::Missing => {
                self.0.parts.policies.remove(&old.id);
                Err(status::not_found("Policy", &request.name))
            }
        }
    }
}

impl PolicyApi {
    fn find(&self, field: &str, name: &str) -> Result<StoredPolicy, Status> {
        let id = policy_name_from(field, name).map_err(|e| status::invalid(&e))?;
        self.0.parts.policies.get(&id).ok_or_else(|| status::not_found("Policy", name))
    }

    /// A change that is stored counts from now on.
    fn take_in(&self, stored: StoredPolicy) -> v1::Policy {
        let out = policy(&stored);
        tracing::info!(policy = %stored.id, version = stored.version, "a policy was changed");
        self.0.parts.policies.put(stored);
        self.0.parts.desk.look();
        out
    }

    /// Another controller has changed something: reads what is stored.
    async fn refresh(&self) -> Result<(), Status> {
        for stored in self.0.need(self.0.parts.store.policies()).await? {
            self.0.parts.policies.put(stored);
        }
        self.0.parts.desk.look();
        Ok(())
    }
}

fn shown(id: PolicyId, new: Policy, version: u64) -> v1::Policy {
    policy(&StoredPolicy { id, policy: new, version, from_file: false })
}

fn version(field: &str, given: &str) -> Result<Option<u64>, Status> {
    if given.is_empty() {
        return Err(status::bad_field(field, "is required: read the policy and send its etag back"));
    }
    Ok(etag_from(given))
}

fn from_file(id: &PolicyId) -> Status {
    let name = policy_name(id);
    let message =
        format!("{name} comes from the controller's policy file (policy_file); change it there, then reload");
    status::precondition(Reason::PolicyFromFile, &name, &message, &[("setting", "policy_file")])
}

fn exists(id: &PolicyId) -> Status {
    let name = policy_name(id);
    status::already_exists(
        Reason::ResourceExists,
        &format!("{name} exists already; update it"),
        &[("name", &name)],
    )
}

fn event(id: &PolicyId, what: &str, caller: &Caller) -> NewEvent {
    NewEvent {
        at: Shared::now(),
        kind: EventKind::Policy,
        subject: policy_name(id),
        message: format!("policy {id} {what}, by operator:{}", caller.name),
        condition: None,
        cause: None,
        evidence: vec![("by".to_owned(), format!("operator:{}", caller.name))],
        trace_id: trace_context::current_trace_id(),
    }
}

/// # Errors
/// INVALID_ARGUMENT with every number that makes no sense, under its name in the API.
fn sound(policy: &Policy) -> Result<(), Status> {
    let problems: Vec<(String, String)> =
        policy.problems().into_iter().map(|(key, what)| (field(&key), what)).collect();
    if problems.is_empty() { Ok(()) } else { Err(status::bad_fields(&problems)) }
}

/// A key of the policy file, as the field of the API.
fn field(key: &str) -> String {
    let flat = match key {
        "backoff.base" => "backoff_base",
        "backoff.cap" => "backoff_cap",
        "budget.in_flight" => "max_in_flight",
        "budget.in_flight_percent" => "max_in_flight_percent",
        "budget.per_minute" => "max_per_minute",
        "restarts.count" => "restart_count",
        "restarts.window" => "restart_window",
        "storm.percent" => "storm_percent",
        "storm.at_least" => "storm_at_least",
        "storm.cooldown" => "storm_cooldown",
        other => {
            return format!("policy.{}", other.replace("ladder[", "ladders[").replace(".step", ".steps"));
        }
    };
    format!("policy.{flat}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_problem_is_told_under_a_field_of_the_api() {
        let mut p = Policy {
            stable_for: Duration::ZERO,
            order_ttl: Duration::ZERO,
            verify_within: Duration::ZERO,
            ..Policy::default()
        };
        p.backoff.base = Duration::ZERO;
        p.backoff.cap = Duration::ZERO;
        (p.budget.in_flight, p.budget.in_flight_percent, p.budget.per_minute) = (0, 0, 0);
        p.restarts.window = Duration::ZERO;
        (p.storm.percent, p.storm.at_least) = (0, 0);
        let problems = p.problems();
        assert!(problems.len() >= 9, "{problems:?}");
        for (key, _) in problems {
            let field = field(&key);
            let name = field.strip_prefix("policy.").unwrap();
            assert!(MASK_PATHS.contains(&name), "{key} became {field}");
        }
        assert_eq!(field("ladder[1].step[0].times"), "policy.ladders[1].steps[0].times");
    }
}
