//! `PauseService`: stopping orders for a while.
//!
//! A pause that covers nothing because of a typing error would be found out at the worst moment, so its scope must
//! exist. Every pause has an end.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::gate::{Pause, PauseScope};
use mooring_core::id::Target;
use mooring_core::time::{Timestamp, human};
use mooring_proto::operator::{pause, pause_name_from, scope, scope_from};
use mooring_proto::v1::pause_service_server::PauseService;
use mooring_proto::{duration_from, timestamp_from, v1};
use mooring_runtime::telemetry::trace_context;
use mooring_store::{EventKind, NewEvent, NewPause};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::auth::Caller;
use super::page::{self, Kind, Page, Query, TokenError};
use super::{Shared, request, status};

/// Longest pause: a longer one is a policy (`dry_run`), or forgotten.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// The service.
pub struct Pauses(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl PauseService for Pauses {
    async fn create_pause(
        &self,
        request: Request<v1::CreatePauseRequest>,
    ) -> Result<Response<v1::Pause>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let wanted = request.pause.ok_or_else(|| status::bad_field("pause", "is required"))?;
        let now = Shared::now();
        let new = Pause {
            id: Uuid::now_v7(),
            scope: scope_from(&wanted.scope).map_err(|e| status::invalid(&e))?,
            reason: request::reason("pause.reason", &wanted.reason)?,
            by: format!("operator:{}", caller.name),
            created_at: now,
            until: until(&wanted, now)?,
        };
        let request_id = request::request_id(&request.request_id)?;
        self.check(&new.scope)?;
        let words = format!("paused for {}: {}", human::format(new.until.since(now)), new.reason);
        let event = event(&new.scope, words, &caller);
        let made = NewPause { pause: new.clone(), request_id };
        let made = self.0.need(self.0.parts.store.create_pause(&made, &event)).await?;
        if made.id != new.id && (&made.scope, &made.reason, &made.by) != (&new.scope, &new.reason, &new.by) {
            let first = format!("pauses/{}", made.id);
            let what = format!("was used for another request, which made {first}; use a new one");
            let more = [("pause", first.as_str())];
            return Err(status::bad_field_for(status::Reason::RequestIdReused, "request_id", &what, &more));
        }
        tracing::warn!(scope = %scope(&made.scope), by = %made.by, reason = %made.reason, "orders are paused");
        self.0.parts.desk.look();
        Ok(self.0.answer(pause(&made)))
    }

    async fn list_pauses(
        &self,
        request: Request<v1::ListPausesRequest>,
    ) -> Result<Response<v1::ListPausesResponse>, Status> {
        let request = request.into_inner();
        let mut page = Page::new(page::size(request.page_size)?);
        let query = Query::of(&[]);
        let after = match self.0.tokens.position(Kind::Pauses, query, &request.page_token)? {
            None => None,
            Some(position) => Some(place(&position).ok_or(TokenError::Invalid)?),
        };
        let mut pauses = self.0.pauses(Shared::now()).await?;
        pauses.sort_by_key(|p| (p.created_at, p.id));
        let mut next_page_token = String::new();
        let mut last = None;
        for p in pauses {
            let key = (p.created_at, p.id);
            if after.is_some_and(|after| key <= after) {
                continue;
            }
            if page.is_full() || page.push(pause(&p)).is_err() {
                let (at, id): (Timestamp, Uuid) = last.unwrap_or(key);
                next_page_token =
                    self.0.tokens.seal(Kind::Pauses, query, format!("{} {id}", at.0).as_bytes());
                break;
            }
            last = Some(key);
        }
        Ok(self.0.answer(v1::ListPausesResponse { pauses: page.into_items(), next_page_token }))
    }

    async fn delete_pause(&self, request: Request<v1::DeletePauseRequest>) -> Result<Response<()>, Status> {
        let caller = Caller::of(&request);
        let name = request.into_inner().name;
        let id = pause_name_from(&name).map_err(|e| status::invalid(&e))?;
        let now = Shared::now();
        let in_force = self.0.need(self.0.parts.store.pauses(now)).await?;
        let found =
            in_force.into_iter().find(|p| p.id == id).ok_or_else(|| status::not_found("Pause", &name))?;
        let event =
            event(&found.scope, format!("the pause was ended early; it was for: {}", found.reason), &caller);
        let ended = self.0.need(self.0.parts.store.end_pause(id, now, &event)).await?;
        // Somebody else ended it, or it ran out, between the two.
        ended.ok_or_else(|| status::not_found("Pause", &name))?;
        tracing::warn!(pause = %id, by = %caller.name, "a pause was ended early");
        self.0.parts.desk.look();
        Ok(self.0.answer(()))
    }
}

impl Pauses {
    /// # Errors
    /// INVALID_ARGUMENT when nothing is covered.
    fn check(&self, scope: &PauseScope) -> Result<(), Status> {
        let state = self.0.parts.fleet.read();
        let exists = match scope {
            PauseScope::All => true,
            PauseScope::Group(group) => {
                state.groups().contains(group) || self.0.parts.policies.get(group).is_some()
            }
            // A session is closed and gone: what can be paused are the orders on its gateway.
            PauseScope::Target(Target::Session(_)) => false,
            PauseScope::Target(target) => state.has(target),
        };
        if exists {
            return Ok(());
        }
        let what = match scope {
            PauseScope::Target(Target::Instance(_)) => {
                "there is no such instance, so nothing would be paused"
            }
            PauseScope::Target(Target::Session(session)) => {
                let gateway = &session.gateway;
                let what = format!("a session cannot be paused: pause its gateway, {gateway}, instead");
                return Err(status::bad_field("pause.scope", &what));
            }
            PauseScope::Target(Target::Gateway(_)) => "there is no such gateway, so nothing would be paused",
            PauseScope::Group(_) | PauseScope::All => {
                "no gateway is in this group, so nothing would be paused"
            }
        };
        Err(status::bad_field("pause.scope", what))
    }
}

/// When a pause ends: by `ttl` or `expire_time`, one of them.
fn until(wanted: &v1::Pause, now: Timestamp) -> Result<Timestamp, Status> {
    let until = match (&wanted.ttl, &wanted.expire_time) {
        (Some(_), Some(_)) => {
            return Err(status::bad_field("pause.ttl", "give ttl or expire_time, not both"));
        }
        (None, None) => {
            return Err(status::bad_field(
                "pause.ttl",
                "is required (or expire_time): every pause has an end",
            ));
        }
        (Some(ttl), None) => match duration_from(ttl).filter(|d| !d.is_zero()) {
            Some(ttl) => now.after(ttl),
            None => return Err(status::bad_field("pause.ttl", "must be more than nothing")),
        },
        (None, Some(at)) => match timestamp_from(at).filter(|at| *at > now) {
            Some(at) => at,
            None => return Err(status::bad_field("pause.expire_time", "must lie in the future")),
        },
    };
    if until.since(now) > LONGEST {
        let field = if wanted.ttl.is_some() { "pause.ttl" } else { "pause.expire_time" };
        let most = human::format(LONGEST);
        return Err(status::bad_field(
            field,
            &format!("a pause is {most} long at most; for longer, use a policy with dry_run"),
        ));
    }
    Ok(until)
}

fn place(position: &str) -> Option<(Timestamp, Uuid)> {
    let (at, id) = position.split_once(' ')?;
    Some((Timestamp(at.parse().ok()?), Uuid::try_parse(id).ok()?))
}

fn event(of: &PauseScope, message: String, caller: &Caller) -> NewEvent {
    let by = format!("operator:{}", caller.name);
    NewEvent {
        at: Shared::now(),
        kind: EventKind::Pause,
        subject: scope(of),
        message: mooring_core::limits::clip(
            &format!("{message} (by {by})"),
            mooring_core::limits::MAX_MESSAGE,
        ),
        condition: None,
        cause: None,
        evidence: vec![("by".to_owned(), by)],
        trace_id: trace_context::current_trace_id(),
    }
}
