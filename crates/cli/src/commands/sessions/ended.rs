//! What the database keeps of sessions: how they ended, and numbers.

use mooring_core::id::GatewayRef;
use mooring_proto::v1::{
    ListSessionClosesRequest, ListSessionClosesResponse, ListSessionCountsRequest, ListSessionCountsResponse,
};

use super::{Arguments, and};
use crate::client::{Client, pages};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::show::{rfc3339, session};
use crate::target::session::Place;

/// How sessions ended; a session may be named as well, which is then looked for among the dead.
pub(super) async fn closes(
    arguments: &Arguments,
    context: &Context,
    client: &Client,
    place: &Place,
) -> Outcome {
    let (parent, mut filter) = arguments.parent_and_filter(place);
    if let Some(since) = arguments.since {
        let oldest = mooring_proto::timestamp(context.look().now.before(since.get()));
        filter = and(&filter, &format!("time > \"{}\"", rfc3339(&oldest)));
    }
    let (closes, next_page_token) = pages(Some(arguments.limit()), async |page_size, page_token| {
        let (parent, filter) = (parent.clone(), filter.clone());
        let request = ListSessionClosesRequest { parent, page_size, page_token, filter };
        let answer = client.call(client.sessions().list_session_closes(request)).await?;
        Ok((answer.closes, answer.next_page_token))
    })
    .await?;
    let names: Vec<String> = closes.iter().map(|c| c.session.clone()).collect();
    let answer = ListSessionClosesResponse { closes, next_page_token };
    let name = "mooring.v1.ListSessionClosesResponse";
    context.show(name, &answer, names, |look| session::closes(&answer.closes, look))?;
    Ok(0)
}

/// Gateways in numbers.
pub(super) async fn counts(
    arguments: &Arguments,
    context: &Context,
    client: &Client,
    place: &Place,
) -> Outcome {
    let parent = match place {
        Place::Parent(parent) if !parent.contains("/instances/") => parent.clone(),
        _ => {
            let given = arguments.name.as_deref().unwrap_or_default();
            let gateway = gateway(place).map(|g| format!(": {g}")).unwrap_or_default();
            return Err(Failure::Usage(format!(
                "{given} is neither an agent nor a gateway, and only those are counted{gateway}"
            )));
        }
    };
    let limit = arguments.limit.map(|_| arguments.limit());
    let (counts, next_page_token) = pages(limit, async |page_size, page_token| {
        let request = ListSessionCountsRequest { parent: parent.clone(), page_size, page_token };
        let answer = client.call(client.sessions().list_session_counts(request)).await?;
        Ok((answer.counts, answer.next_page_token))
    })
    .await?;
    let names: Vec<String> = counts.iter().map(|c| c.gateway.clone()).collect();
    let answer = ListSessionCountsResponse { counts, next_page_token };
    let name = "mooring.v1.ListSessionCountsResponse";
    context.show(name, &answer, names, |look| session::counts(&answer.counts, look))?;
    Ok(0)
}

/// The gateway that was probably meant.
fn gateway(place: &Place) -> Option<GatewayRef> {
    match place {
        Place::Parent(parent) => parent.split("/instances/").next()?.parse().ok(),
        Place::Session(name) => Some(name.full()?.gateway),
    }
}
