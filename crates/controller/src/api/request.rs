//! What requests have in common: names, parents, reasons, request ids.

use mooring_core::id::{AgentId, GatewayId, GatewayRef, InstanceId, InstanceRef, SessionRef, Target};
use mooring_core::limits::MAX_REASON;
use mooring_proto::link::printable;
use mooring_store::SessionScope;
use tonic::Status;
use uuid::Uuid;

use super::convert::agent_name;
use super::status;
use crate::fleet::State;

/// Longest resource name looked at, in bytes; longer text is no name.
const MAX_NAME: usize = 512;

/// Whose gateways or instances are listed: `None` for any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parent {
    /// The agent.
    pub agent: Option<AgentId>,
    /// The gateway.
    pub gateway: Option<GatewayId>,
}

impl Parent {
    /// From `agents/{agent}` or, where `gateways` says so, `agents/{agent}/gateways/{gateway}`; `-` stands for any, and
    /// empty for all.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when it has another form.
    pub fn parse(text: &str, gateways: bool) -> Result<Self, Status> {
        let form = if gateways { "agents/{agent}[/gateways/{gateway}]" } else { "agents/{agent}" };
        let wrong =
            || status::bad_field("parent", &format!("must be empty or {form}, where - stands for any"));
        let parts: Vec<&str> = text.split('/').take(5).collect();
        let (agent, gateway) = match parts.as_slice() {
            [""] => ("-", "-"),
            ["agents", agent] => (*agent, "-"),
            ["agents", agent, "gateways", gateway] if gateways => (*agent, *gateway),
            _ => return Err(wrong()),
        };
        let bad = |e: mooring_core::id::NameError| status::bad_field("parent", &e.to_string());
        let some = |id: &str| (id != "-").then(|| id.to_owned());
        Ok(Self {
            agent: some(agent).map(AgentId::new).transpose().map_err(bad)?,
            gateway: some(gateway).map(GatewayId::new).transpose().map_err(bad)?,
        })
    }

    /// The same for the store.
    #[must_use]
    pub fn scope(&self) -> SessionScope {
        SessionScope { agent: self.agent.clone(), gateway: self.gateway.clone() }
    }

    /// # Errors
    /// NOT_FOUND when a parent that is named in full does not exist: an empty list would hide a typing error.
    pub fn check(&self, state: &State) -> Result<(), Status> {
        let Some(agent) = &self.agent else { return Ok(()) };
        if state.agent(agent).is_none() {
            return Err(status::not_found("Agent", &agent_name(agent)));
        }
        let Some(gateway) = &self.gateway else { return Ok(()) };
        let reference = GatewayRef { agent: agent.clone(), gateway: gateway.clone() };
        match state.gateway(&reference) {
            Some(_) => Ok(()),
            None => Err(status::not_found("Gateway", &reference.to_string())),
        }
    }
}

/// Whose sessions are meant: `None` for any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionParent {
    /// Agent and gateway.
    pub scope: SessionScope,
    /// The instance.
    pub instance: Option<InstanceId>,
}

impl SessionParent {
    /// From `agents/{agent}[/gateways/{gateway}[/instances/{instance}]]`; `-` stands for any, and empty for all.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when it has another form.
    pub fn parse(text: &str) -> Result<Self, Status> {
        let (above, instance) = match text.rsplit_once("/instances/") {
            // Behind an agent alone the rest would be taken for a gateway's parent and refused with the wrong words.
            Some((above, instance)) if above.matches('/').count() == 3 => (above, instance),
            _ => (text, "-"),
        };
        let instance = (instance != "-").then(|| InstanceId::new(instance));
        let instance = instance.transpose().map_err(|e| status::bad_field("parent", &e.to_string()))?;
        let above = Parent::parse(above, true).map_err(|_| {
            let form = "agents/{agent}[/gateways/{gateway}[/instances/{instance}]]";
            status::bad_field("parent", &format!("must be empty or {form}, where - stands for any"))
        })?;
        Ok(Self { scope: above.scope(), instance })
    }

    /// # Errors
    /// NOT_FOUND when a parent that is named in full does not exist: an empty list would hide a typing error.
    pub fn check(&self, state: &State) -> Result<(), Status> {
        let Self { scope: SessionScope { agent, gateway }, instance } = self;
        Parent { agent: agent.clone(), gateway: gateway.clone() }.check(state)?;
        let (Some(gateway), Some(instance)) = (self.scope.single(), instance) else { return Ok(()) };
        let name = gateway.instance(instance.clone());
        if state.has(&Target::Instance(name.clone())) {
            return Ok(());
        }
        Err(status::not_found("Instance", &name.to_string()))
    }
}

fn short<'a>(field: &str, name: &'a str) -> Result<&'a str, Status> {
    if name.len() > MAX_NAME {
        return Err(status::bad_field(
            field,
            &format!("has {} bytes; no name is longer than {MAX_NAME}", name.len()),
        ));
    }
    Ok(name)
}

/// An agent's name.
///
/// # Errors
/// INVALID_ARGUMENT when it is none.
pub fn agent(name: &str) -> Result<AgentId, Status> {
    let id = short("name", name)?
        .strip_prefix("agents/")
        .ok_or_else(|| status::bad_field("name", "must be of the form agents/{agent}"))?;
    AgentId::new(id).map_err(|e| status::bad_field("name", &e.to_string()))
}

/// A gateway's name.
///
/// # Errors
/// INVALID_ARGUMENT when it is none.
pub fn gateway(name: &str) -> Result<GatewayRef, Status> {
    short("name", name)?
        .parse()
        .map_err(|e: mooring_core::id::NameError| status::bad_field("name", &e.to_string()))
}

/// An instance's name.
///
/// # Errors
/// INVALID_ARGUMENT when it is none.
pub fn instance(name: &str) -> Result<InstanceRef, Status> {
    short("name", name)?
        .parse()
        .map_err(|e: mooring_core::id::NameError| status::bad_field("name", &e.to_string()))
}

/// A session's name.
///
/// # Errors
/// INVALID_ARGUMENT when it is none.
pub fn session(name: &str) -> Result<SessionRef, Status> {
    short("name", name)?
        .parse()
        .map_err(|e: mooring_core::id::NameError| status::bad_field("name", &e.to_string()))
}

/// A reason: required, kept, shown in terminals.
///
/// # Errors
/// INVALID_ARGUMENT when it is missing or too long.
pub fn reason(field: &str, text: &str) -> Result<String, Status> {
    let text = text.trim();
    if text.is_empty() {
        return Err(status::bad_field(field, "is required: it is kept, for whoever looks at this later"));
    }
    if text.len() > MAX_REASON {
        return Err(status::bad_field(
            field,
            &format!("has {} bytes, at most {MAX_REASON} are kept", text.len()),
        ));
    }
    Ok(printable(text))
}

/// A request id, if there is one, in the one form it is compared in (AIP-155).
///
/// # Errors
/// INVALID_ARGUMENT when it is no UUID.
pub fn request_id(text: &str) -> Result<Option<String>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    match Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() => Ok(Some(id.hyphenated().to_string())),
        _ => Err(status::bad_field("request_id", "must be a UUID of your making, such as uuidgen prints")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents() {
        let of = |text, gateways| {
            Parent::parse(text, gateways).map(|p| (p.agent.is_some(), p.gateway.is_some())).ok()
        };
        assert_eq!(of("", true), Some((false, false)));
        assert_eq!(of("agents/-", false), Some((false, false)));
        assert_eq!(of("agents/a", false), Some((true, false)));
        assert_eq!(of("agents/-/gateways/g", true), Some((false, true)));
        assert_eq!(of("agents/a/gateways/-", true), Some((true, false)));
        assert_eq!(of("agents/a/gateways/g", true), Some((true, true)));
        for (bad, gateways) in [
            ("agents", true),
            ("agents/", true),
            ("agents/a/gateways/g", false),
            ("x/y", true),
            ("agents/a/gateways/g/instances/i", true),
            ("agents/A", true),
            ("/", true),
        ] {
            assert_eq!(of(bad, gateways), None, "{bad}");
        }
    }

    #[test]
    fn parents_of_sessions() {
        let of = |text| {
            let found = SessionParent::parse(text).ok()?;
            let is = |some: bool| if some { '1' } else { '-' };
            let SessionParent { scope, instance } = found;
            Some(
                [scope.agent.is_some(), scope.gateway.is_some(), instance.is_some()].map(is).iter().collect(),
            )
        };
        for (text, want) in [
            ("", "---"),
            ("agents/-", "---"),
            ("agents/a", "1--"),
            ("agents/-/gateways/g", "-1-"),
            ("agents/a/gateways/g", "11-"),
            ("agents/a/gateways/g/instances/i", "111"),
            ("agents/-/gateways/-/instances/i", "--1"),
            ("agents/a/gateways/g/instances/-", "11-"),
        ] {
            assert_eq!(of(text), Some(want.to_owned()), "{text}");
        }
        for bad in [
            "agents",
            "agents/a/instances/i",
            "agents/a/gateways/g/instances/I",
            "agents/a/gateways/g/instances",
            "agents/a/gateways/g/instances/i/x",
            "agents/a/gateways/g/sessions/r1",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn reasons_and_request_ids() {
        assert_eq!(reason("reason", "  tidy \u{202e}up ").unwrap(), "tidy \u{fffd}up");
        assert!(reason("reason", " \n").is_err() && reason("reason", &"x".repeat(MAX_REASON + 1)).is_err());
        let id = "5F2B6C1E-0000-4000-8000-00000000000A";
        assert_eq!(request_id(id).unwrap(), Some(id.to_lowercase()));
        assert_eq!(request_id("").unwrap(), None);
        assert!(request_id("7").is_err() && request_id("00000000-0000-0000-0000-000000000000").is_err());
    }
}
