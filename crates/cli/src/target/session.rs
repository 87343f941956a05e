//! Names of sessions, and of places where sessions are.
//!
//! A session is `r1f` where that is unique, `chat/r1f`, `host/chat/r1f`, or a full name; with `sessions` in between
//! (`chat/sessions/r1f`) where an instance bears the same name. Sessions live on the agents and ids are unique on one
//! gateway only, so a short name is looked for by asking the agents; one that has not answered may have a session of that
//! name, too. Whoever only looks is shown what was found; whoever cuts needs to be certain.
//!
//! For listing, a name that several gateways bear is no mistake: all of them are meant.

use mooring_core::id::{AgentId, GatewayId, GatewayRef, InstanceId, SessionId, SessionRef, Target};
use mooring_proto::v1::{GetSessionRequest, ListSessionsRequest, Session, Unanswered};

use super::{MAX_LISTED, Want, ambiguous, candidates, gateways, instances};
use crate::client::{Client, pages};
use crate::failure::{Failure, Outcome};

/// Where to look for sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Those of an agent, a gateway or an instance, as the API names it; `-` may stand for any.
    Parent(String),
    /// Just one.
    Session(SessionName),
}

/// A session as it was named: what is not known of it is left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionName {
    agent: Option<AgentId>,
    gateway: Option<GatewayId>,
    id: SessionId,
}

impl SessionName {
    /// Of one to three ids, the last of which is its own.
    fn of(ids: &[String]) -> Option<Self> {
        let (agent, gateway, id) = match ids {
            [id] => (None, None, id),
            [gateway, id] => (None, Some(gateway), id),
            [agent, gateway, id] => (Some(agent), Some(gateway), id),
            _ => return None,
        };
        Some(Self {
            agent: agent.map(AgentId::new).transpose().ok()?,
            gateway: gateway.map(GatewayId::new).transpose().ok()?,
            id: SessionId::new(id).ok()?,
        })
    }

    /// The full name, if nothing is left open.
    pub(crate) fn full(&self) -> Option<SessionRef> {
        let gateway = GatewayRef { agent: self.agent.clone()?, gateway: self.gateway.clone()? };
        Some(gateway.session(self.id.clone()))
    }

    /// Where it can be, as the API names it.
    pub(crate) fn parent(&self) -> String {
        let or_any = |id: Option<&str>| id.unwrap_or("-").to_owned();
        match (&self.agent, &self.gateway) {
            (None, None) => String::new(),
            (agent, gateway) => format!(
                "agents/{}/gateways/{}",
                or_any(agent.as_ref().map(AgentId::as_str)),
                or_any(gateway.as_ref().map(GatewayId::as_str))
            ),
        }
    }

    /// The filter that leaves nothing but it in its [`parent`](Self::parent), for sessions as for their ends: one by which
    /// an agent knows that nothing else is wanted. What can be an id needs no quoting.
    pub(crate) fn filter(&self) -> String {
        format!("session = \"{}\"", self.id)
    }
}

/// What a name is, as far as its form tells.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    /// A parent, in full.
    Parent(String),
    /// A session, and nothing else.
    Session(SessionName),
    /// The end of some name.
    Loose(Vec<String>),
}

fn form(given: &str) -> Outcome<Form> {
    let wrong = || {
        Failure::Usage(format!(
            "`{given}` is not a name: write GATEWAY, GATEWAY/INSTANCE, GATEWAY/SESSION or AGENT/GATEWAY/SESSION, or a \
             full resource name"
        ))
    };
    let parts: Vec<&str> = given.split('/').collect();
    let id = |part: &&str| *part == "-" || InstanceId::new(part).is_ok();
    let owned = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    match parts.as_slice() {
        ["agents", a, "gateways", g, "sessions", s] => {
            SessionName::of(&owned(&[a, g, s])).map(Form::Session).ok_or_else(wrong)
        }
        ["agents", ids @ ..] => {
            let well = match ids {
                [a] => id(a),
                [a, "gateways", g] => id(a) && id(g),
                [a, "gateways", g, "instances", i] => id(a) && id(g) && id(i),
                _ => false,
            };
            if well { Ok(Form::Parent(given.to_owned())) } else { Err(wrong()) }
        }
        [before @ .., "sessions", s] => {
            let mut ids: Vec<&str> = before.iter().copied().filter(|part| *part != "gateways").collect();
            ids.push(s);
            SessionName::of(&owned(&ids)).map(Form::Session).ok_or_else(wrong)
        }
        _ => Ok(Form::Loose(super::ids(given).map_err(|_| wrong())?)),
    }
}

/// Finds where to look for sessions: at an agent, a gateway, an instance; or a session itself, when nothing else bears
/// the name.
pub(crate) async fn place(client: &Client, given: &str) -> Outcome<Place> {
    let ids = match form(given)? {
        Form::Parent(name) => return Ok(Place::Parent(name)),
        Form::Session(name) => return Ok(Place::Session(name)),
        Form::Loose(ids) => ids,
    };
    let gateways = gateways(client, &ids).await?;
    let instances = instances(client, &ids, &gateways).await?;
    choose(given, &ids, &gateways, &instances)
}

/// The decision: pure.
fn choose(
    given: &str,
    ids: &[String],
    gateways: &[GatewayRef],
    instances: &[mooring_core::id::InstanceRef],
) -> Outcome<Place> {
    let found = candidates(ids, Want::Either, gateways, instances);
    match (found.as_slice(), ids) {
        ([one], _) => Ok(Place::Parent(one.to_string())),
        ([], [agent]) if gateways.iter().any(|g| g.agent.as_str() == agent) => {
            Ok(Place::Parent(format!("agents/{agent}")))
        }
        ([], _) => SessionName::of(ids)
            .map(Place::Session)
            .ok_or_else(|| Failure::Usage(format!("`{given}` is not a name"))),
        (several, [gateway]) if several.iter().all(|t| matches!(t, Target::Gateway(_))) => {
            Ok(Place::Parent(format!("agents/-/gateways/{gateway}")))
        }
        (several, _) => Err(ambiguous(given, several)),
    }
}

/// A session that is open now, to be looked at.
pub(crate) async fn find(client: &Client, given: &str, name: &SessionName) -> Outcome<Session> {
    if let Some(full) = name.full() {
        let request = GetSessionRequest { name: full.to_string() };
        return client.ask(client.sessions().get_session(request)).await;
    }
    Ok(look_up(client, given, name).await?.0)
}

/// A session to be acted on: a full name is taken as it stands, a shorter one only when it is certain who is meant.
pub(crate) async fn resolve(client: &Client, given: &str) -> Outcome<SessionRef> {
    let name = match form(given)? {
        Form::Session(name) => Some(name),
        Form::Loose(ids) => SessionName::of(&ids),
        Form::Parent(_) => None,
    };
    let Some(name) = name else {
        return Err(Failure::Usage(format!(
            "{given} is no session; `mooring close --all {given}` closes all there are"
        )));
    };
    if let Some(full) = name.full() {
        return Ok(full);
    }
    let (found, unanswered) = look_up(client, given, &name).await?;
    if let Some(silent) = unanswered.first() {
        return Err(Failure::Problem(format!(
            "`{given}` may be {}, but {} did not answer ({}) and may have a session of that name, too: write the full name",
            found.name, silent.name, silent.reason
        )));
    }
    found.name.parse().map_err(|e| Failure::Problem(format!("the controller sent a name that is none: {e}")))
}

/// Asks the agents for a session that is named in part; gives those that did not answer, too.
async fn look_up(client: &Client, given: &str, name: &SessionName) -> Outcome<(Session, Vec<Unanswered>)> {
    let mut unanswered: Vec<Unanswered> = Vec::new();
    // One more than is listed, to tell that there are more. Pages may be empty before the last.
    let (found, _) = pages(Some(MAX_LISTED + 1), async |page_size, page_token| {
        let request = ListSessionsRequest {
            parent: name.parent(),
            page_size,
            page_token,
            filter: name.filter(),
            ..ListSessionsRequest::default()
        };
        let answer = client.ask(client.sessions().list_sessions(request)).await?;
        unanswered.extend(answer.unanswered);
        Ok((answer.sessions, answer.next_page_token))
    })
    .await?;
    let mut found = found.into_iter();
    match (found.next(), found.as_slice()) {
        (Some(one), []) => Ok((one, unanswered)),
        (Some(first), more) => {
            let names: Vec<&str> = std::iter::once(&first).chain(more).map(|s| s.name.as_str()).collect();
            Err(ambiguous(given, &names))
        }
        (None, _) => {
            let mut words = format!("there is no session `{given}` open now");
            if let Some(silent) = unanswered.first() {
                words =
                    format!("{words} where one answered, but {} did not ({})", silent.name, silent.reason);
            }
            Err(Failure::Problem(format!("{words}; `mooring sessions {given} --closes` shows how it ended")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(given: &str) -> Result<Place, String> {
        let all = ["agents/a/gateways/chat/instances/acct-1", "agents/a/gateways/feed/instances/feed"];
        let more = ["agents/b/gateways/feed/instances/feed", "agents/b/gateways/other/instances/acct-1"];
        let instances: Vec<mooring_core::id::InstanceRef> =
            all.iter().chain(&more).map(|n| n.parse().unwrap()).collect();
        let gateways: Vec<GatewayRef> = instances.iter().map(|i| i.gateway.clone()).collect();
        match form(given).map_err(|e| e.to_string())? {
            Form::Parent(name) => Ok(Place::Parent(name)),
            Form::Session(name) => Ok(Place::Session(name)),
            Form::Loose(ids) => choose(given, &ids, &gateways, &instances).map_err(|e| e.to_string()),
        }
    }

    #[test]
    fn what_is_not_a_session_is_a_place_to_look() {
        for (given, parent) in [
            ("chat", "agents/a/gateways/chat"),
            ("chat/acct-1", "agents/a/gateways/chat/instances/acct-1"),
            ("a", "agents/a"),
            ("b/feed", "agents/b/gateways/feed"),
            // Looking at two of that name harms nobody.
            ("feed", "agents/-/gateways/feed"),
            ("agents/x", "agents/x"),
            ("agents/-/gateways/y", "agents/-/gateways/y"),
            ("agents/x/gateways/y/instances/z", "agents/x/gateways/y/instances/z"),
        ] {
            assert_eq!(placed(given), Ok(Place::Parent(parent.to_owned())), "{given}");
        }
        assert!(placed("acct-1").unwrap_err().contains("ambiguous"));
    }

    #[test]
    fn a_session_is_named_by_the_end_of_its_name() {
        for (given, parent, id) in [
            ("r1f", "", "r1f"),
            ("chat/r1f", "agents/-/gateways/chat", "r1f"),
            ("a/chat/r1f", "agents/a/gateways/chat", "r1f"),
            ("agents/a/gateways/chat/sessions/r1f", "agents/a/gateways/chat", "r1f"),
            // Said outright, it is a session even where an instance bears the name.
            ("chat/sessions/acct-1", "agents/-/gateways/chat", "acct-1"),
            ("gateways/chat/sessions/acct-1", "agents/-/gateways/chat", "acct-1"),
        ] {
            let Ok(Place::Session(name)) = placed(given) else { panic!("{given}: {:?}", placed(given)) };
            assert_eq!(
                (name.parent().as_str(), name.filter()),
                (parent, format!("session = \"{id}\"")),
                "{given}"
            );
        }
    }

    #[test]
    fn what_is_no_name_is_wrong_usage() {
        for wrong in [
            "",
            "UPPER",
            "a/b/c/d",
            "a//b",
            "r1\" OR id = \"x",
            "agents/",
            "agents/a/gateways",
            "agents/a/gateways/g/sessions/",
            "agents/-/gateways/g/sessions/r1",
            "sessions/",
        ] {
            let error = form(wrong).err().unwrap_or_else(|| panic!("`{wrong}` was taken"));
            assert_eq!(error.exit_code(), crate::failure::USAGE, "{wrong}");
        }
    }
}
