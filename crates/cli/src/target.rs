//! Names as people type them: a full resource name, or its end where that is unambiguous.
//!
//! `chat`, `chat/acct-1` and `host-a/chat/acct-1` are looked up among what there is; a full name is taken as it stands,
//! without asking. What is ambiguous is refused with the candidates: an order on the wrong gateway is worse than one
//! more line of typing. Sessions live on the agents and are looked up otherwise: see [`session`].

pub(crate) mod session;

use mooring_core::id::{AgentId, GatewayRef, InstanceRef, Target};
use mooring_proto::v1::{ListAgentsRequest, ListGatewaysRequest, ListInstancesRequest};

use crate::client::{Client, pages};
use crate::failure::{Failure, Outcome};

/// Most candidates that an error lists.
const MAX_LISTED: usize = 10;

/// What kind of thing is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// An instance; the name of a gateway that has just one stands for it.
    Instance,
    /// A gateway.
    Gateway,
    /// A gateway or an instance; a name that is both is the gateway's.
    Either,
}

impl Want {
    fn noun(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Gateway => "gateway",
            Self::Either => "gateway or instance",
        }
    }
}

/// Finds what is meant.
pub(crate) async fn resolve(client: &Client, given: &str, want: Want) -> Outcome<Target> {
    if given.starts_with("agents/") {
        return full(given, want);
    }
    let ids = ids(given)?;
    let gateways = gateways(client, &ids).await?;
    let instances = instances(client, &ids, &gateways).await?;
    choose(given, &ids, want, &gateways, &instances)
}

/// As [`resolve`], for an instance.
pub(crate) async fn resolve_instance(client: &Client, given: &str) -> Outcome<String> {
    Ok(resolve(client, given, Want::Instance).await?.to_string())
}

/// Finds who is to look at something: an agent or one of its gateways, by name. A name that is both is the gateway's.
pub(crate) async fn resolve_post(client: &Client, given: &str) -> Outcome<String> {
    if let Some(agent) = given.strip_prefix("agents/").filter(|rest| !rest.contains('/')) {
        let agent = AgentId::new(agent).map_err(|e| Failure::Usage(e.to_string()))?;
        return Ok(format!("agents/{agent}"));
    }
    if given.starts_with("agents/") {
        return Ok(full(given, Want::Gateway)?.to_string());
    }
    let ids = ids(given)?;
    let gateways = gateways(client, &ids).await?;
    let agents = agents(client).await?;
    post(given, &ids, &gateways, &agents)
}

async fn agents(client: &Client) -> Outcome<Vec<AgentId>> {
    let (all, _) = pages(None, async |page_size, page_token| {
        let request = ListAgentsRequest { page_size, page_token, ..ListAgentsRequest::default() };
        let answer = client.call(client.fleet().list_agents(request)).await?;
        Ok((answer.agents, answer.next_page_token))
    })
    .await?;
    Ok(all.iter().filter_map(|a| AgentId::new(a.name.strip_prefix("agents/")?).ok()).collect())
}

/// The decision: pure.
fn post(given: &str, ids: &[String], gateways: &[GatewayRef], agents: &[AgentId]) -> Outcome<String> {
    match candidates(ids, Want::Gateway, gateways, &[]).as_slice() {
        [one] => Ok(one.to_string()),
        [] => match ids {
            [id] if agents.iter().any(|agent| agent.as_str() == id) => Ok(format!("agents/{id}")),
            _ => Err(Failure::Problem(format!(
                "there is no gateway or agent `{given}`; `mooring gateways` and `mooring agents` show what there is"
            ))),
        },
        several => Err(ambiguous(given, several)),
    }
}

fn full(given: &str, want: Want) -> Outcome<Target> {
    let target: Target = given.parse().map_err(|e| Failure::Usage(format!("{e}")))?;
    match (want, &target) {
        (Want::Instance, Target::Gateway(gateway)) => Err(Failure::Usage(format!(
            "{given} is a gateway, and an instance is needed: {gateway}/instances/..., or the end of its name"
        ))),
        (Want::Gateway, Target::Instance(instance)) => Err(Failure::Usage(format!(
            "{given} is an instance, and a gateway is needed: {}",
            instance.gateway
        ))),
        (_, Target::Session(_)) => Err(Failure::Usage(format!(
            "{given} is a session, and this needs a name of its {}; `mooring close` renews one session",
            want.noun()
        ))),
        _ => Ok(target),
    }
}

/// The ids in a shortened name; the names of collections may stand between them.
fn ids(given: &str) -> Outcome<Vec<String>> {
    let ids: Vec<String> = given
        .split('/')
        .filter(|part| !matches!(*part, "agents" | "gateways" | "instances"))
        .map(str::to_owned)
        .collect();
    let well =
        (1..=3).contains(&ids.len()) && ids.iter().all(|id| mooring_core::id::InstanceId::new(id).is_ok());
    if well {
        return Ok(ids);
    }
    Err(Failure::Usage(format!(
        "`{given}` is not a name: write GATEWAY, GATEWAY/INSTANCE or AGENT/GATEWAY/INSTANCE, or a full resource name"
    )))
}

fn of_gateway(gateway: &GatewayRef) -> [&str; 2] {
    [gateway.agent.as_str(), gateway.gateway.as_str()]
}

fn of_instance(instance: &InstanceRef) -> [&str; 3] {
    let [agent, gateway] = of_gateway(&instance.gateway);
    [agent, gateway, instance.instance.as_str()]
}

fn ends_with(name: &[&str], ids: &[String]) -> bool {
    name.len() >= ids.len() && name[name.len() - ids.len()..].iter().zip(ids).all(|(a, b)| a == b)
}

async fn gateways(client: &Client, ids: &[String]) -> Outcome<Vec<GatewayRef>> {
    if ids.len() > 2 {
        return Ok(Vec::new());
    }
    let (all, _) = pages(None, async |page_size, page_token| {
        let request = ListGatewaysRequest { page_size, page_token, ..ListGatewaysRequest::default() };
        let answer = client.call(client.fleet().list_gateways(request)).await?;
        Ok((answer.gateways, answer.next_page_token))
    })
    .await?;
    Ok(all.into_iter().filter_map(|g| g.name.parse().ok()).collect())
}

/// The instances that may be meant: no more is fetched than the name leaves open.
async fn instances(client: &Client, ids: &[String], gateways: &[GatewayRef]) -> Outcome<Vec<InstanceRef>> {
    let parent = match ids {
        [agent, gateway, _] => format!("agents/{agent}/gateways/{gateway}"),
        [gateway, _] => format!("agents/-/gateways/{gateway}"),
        // A gateway of that name: its instances will do. Otherwise it is an instance's, anywhere.
        [one] if gateways.iter().any(|g| g.gateway.as_str() == one) => format!("agents/-/gateways/{one}"),
        _ => String::new(),
    };
    let (all, _) = pages(None, async |page_size, page_token| {
        let request = ListInstancesRequest {
            parent: parent.clone(),
            page_size,
            page_token,
            ..ListInstancesRequest::default()
        };
        let answer = client.call(client.fleet().list_instances(request)).await?;
        Ok((answer.instances, answer.next_page_token))
    })
    .await?;
    Ok(all.into_iter().filter_map(|i| i.name.parse().ok()).collect())
}

/// The decision: pure.
fn choose(
    given: &str,
    ids: &[String],
    want: Want,
    gateways: &[GatewayRef],
    instances: &[InstanceRef],
) -> Outcome<Target> {
    match candidates(ids, want, gateways, instances).as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::Problem(format!(
            "there is no {} `{given}`; `mooring instances` and `mooring gateways` show what there is",
            want.noun()
        ))),
        several => Err(ambiguous(given, several)),
    }
}

/// Refuses a name that fits several, and lists them.
fn ambiguous(given: &str, several: &[impl std::fmt::Display]) -> Failure {
    let mut listed: Vec<String> = several.iter().take(MAX_LISTED).map(|t| format!("  {t}")).collect();
    if several.len() > MAX_LISTED {
        listed.push(format!("  ... and {} more", several.len() - MAX_LISTED));
    }
    Failure::Usage(format!("`{given}` is ambiguous; it may be\n{}", listed.join("\n")))
}

/// Everything that a name may mean.
fn candidates(ids: &[String], want: Want, gateways: &[GatewayRef], instances: &[InstanceRef]) -> Vec<Target> {
    let named: Vec<&GatewayRef> = gateways.iter().filter(|g| ends_with(&of_gateway(g), ids)).collect();
    let mut found: Vec<Target> = match want {
        Want::Gateway | Want::Either => named.iter().map(|g| Target::Gateway((*g).clone())).collect(),
        Want::Instance => {
            instances.iter().filter(|i| named.contains(&&i.gateway)).cloned().map(Target::Instance).collect()
        }
    };
    if want == Want::Gateway {
        return found;
    }
    // An instance on a gateway that is meant itself (`chat/chat` for `chat`) is no second candidate.
    let own = instances.iter().filter(|i| ends_with(&of_instance(i), ids) && !named.contains(&&i.gateway));
    found.extend(own.cloned().map(Target::Instance));
    let exact = instances.iter().filter(|i| named.contains(&&i.gateway) && ends_with(&of_instance(i), ids));
    if want == Want::Instance {
        let exact: Vec<Target> = exact.cloned().map(Target::Instance).collect();
        if exact.len() == 1 && found.iter().all(|t| t.instance().is_some_and(|i| named.contains(&&i.gateway)))
        {
            found = exact;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCES: [&str; 6] = [
        "agents/a/gateways/chat/instances/acct-1",
        "agents/a/gateways/chat/instances/acct-2",
        "agents/a/gateways/feed/instances/feed",
        "agents/b/gateways/feed/instances/feed",
        "agents/b/gateways/lone/instances/only",
        "agents/b/gateways/other/instances/acct-2",
    ];

    fn found(given: &str, want: Want) -> Result<String, String> {
        if given.starts_with("agents/") {
            return full(given, want).map(|t| t.to_string()).map_err(|e| e.to_string());
        }
        let instances: Vec<InstanceRef> = INSTANCES.iter().map(|n| n.parse().unwrap()).collect();
        let mut gateways: Vec<GatewayRef> = instances.iter().map(|i| i.gateway.clone()).collect();
        gateways.dedup();
        let ids = ids(given).map_err(|e| e.to_string())?;
        choose(given, &ids, want, &gateways, &instances).map(|t| t.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_end_of_a_name_is_enough() {
        for (given, want, name) in [
            ("acct-1", Want::Instance, INSTANCES[0]),
            ("chat/acct-2", Want::Instance, INSTANCES[1]),
            ("b/other/acct-2", Want::Instance, INSTANCES[5]),
            ("a/feed", Want::Instance, INSTANCES[2]),
            ("b/feed/feed", Want::Either, INSTANCES[3]),
            ("lone", Want::Instance, INSTANCES[4]),
            ("only", Want::Either, INSTANCES[4]),
            ("chat", Want::Either, "agents/a/gateways/chat"),
            ("b/feed", Want::Either, "agents/b/gateways/feed"),
            ("gateways/chat/instances/acct-1", Want::Instance, INSTANCES[0]),
            ("agents/x/gateways/y", Want::Either, "agents/x/gateways/y"),
            ("agents/x/gateways/y", Want::Gateway, "agents/x/gateways/y"),
            ("lone", Want::Gateway, "agents/b/gateways/lone"),
            ("agents/x/gateways/y/instances/z", Want::Instance, "agents/x/gateways/y/instances/z"),
        ] {
            assert_eq!(found(given, want).as_deref(), Ok(name), "{given} {want:?}");
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused_with_the_candidates() {
        let error = found("acct-2", Want::Instance).unwrap_err();
        assert!(error.contains(INSTANCES[1]) && error.contains(INSTANCES[5]), "{error}");
        let error = found("feed", Want::Either).unwrap_err();
        assert!(
            error.contains("agents/a/gateways/feed\n") && error.contains("agents/b/gateways/feed"),
            "{error}"
        );
        let error = found("chat", Want::Instance).unwrap_err();
        assert!(error.contains(INSTANCES[0]) && error.contains(INSTANCES[1]), "{error}");
        assert!(found("feed", Want::Instance).is_err());
        assert!(found("feed", Want::Gateway).is_err());
    }

    #[test]
    fn who_looks_is_a_gateway_or_else_an_agent() {
        let gateways: Vec<GatewayRef> =
            ["agents/a/gateways/chat", "agents/b/gateways/chat", "agents/b/gateways/a"]
                .map(|n| n.parse().unwrap())
                .to_vec();
        let agents = ["a", "b"].map(|id| AgentId::new(id).unwrap());
        let found = |given: &str| post(given, &ids(given)?, &gateways, &agents);
        assert_eq!(found("a/chat").unwrap(), "agents/a/gateways/chat");
        assert_eq!(found("a").unwrap(), "agents/b/gateways/a");
        assert_eq!(found("b").unwrap(), "agents/b");
        assert!(found("chat").unwrap_err().to_string().contains("ambiguous"));
        assert!(found("c").unwrap_err().to_string().contains("there is no gateway or agent `c`"));
    }

    #[test]
    fn what_is_not_there_or_no_name_is_refused() {
        assert!(
            found("nothing", Want::Either).unwrap_err().contains("there is no gateway or instance `nothing`")
        );
        // A gateway is needed: neither an instance, however unambiguous, nor a session will do.
        assert!(found("only", Want::Gateway).unwrap_err().contains("there is no gateway `only`"));
        assert!(
            found(INSTANCES[0], Want::Gateway).unwrap_err().contains("is needed: agents/a/gateways/chat")
        );
        for want in [Want::Instance, Want::Gateway, Want::Either] {
            assert!(found("agents/a/gateways/chat/sessions/r1", want).unwrap_err().contains("is a session"));
        }
        for wrong in ["", "a/b/c/d", "UPPER", "a//b", "agents/x", "agents/x/gateways/y"] {
            assert!(found(wrong, Want::Instance).is_err(), "`{wrong}` was taken");
        }
    }
}
