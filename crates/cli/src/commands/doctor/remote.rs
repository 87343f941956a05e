//! The same from where an agent stands: asked of the controller, shown the same way.

use std::time::Duration;

use mooring_core::kind::Kind;
use mooring_proto::examine::{at_most, lang_tag};
use mooring_proto::v1::DiagnoseRequest;
use mooring_proto::v1::diagnose_response::Event;
use tonic::Status;

use super::{Arguments, MAX_WATCH, show, tell};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::target::resolve_post;

/// Has the agent of this name examine an address; none: its gateway.
pub(super) async fn run(
    arguments: &Arguments,
    context: &Context,
    name: &str,
    url: Option<&String>,
) -> Outcome {
    let local = [
        ("--subprotocol", arguments.subprotocol.is_empty()),
        ("--header", arguments.header.is_empty()),
        ("--header-file", arguments.header_file.is_empty()),
        ("--trust", arguments.trust.is_none()),
        ("--seen", arguments.seen.is_empty()),
        ("--nginx-config", arguments.configs.nginx_config.is_empty()),
        ("--apache-config", arguments.configs.apache_config.is_empty()),
        ("--haproxy-config", arguments.configs.haproxy_config.is_empty()),
    ];
    if let Some((flag, _)) = local.iter().find(|(_, absent)| !absent) {
        return Err(Failure::Usage(format!(
            "{flag} is for examinations from this machine: an agent takes what its configuration has for the gateway"
        )));
    }
    let watch = arguments.watch.map(|w| w.get());
    if watch.is_some_and(|w| w > MAX_WATCH || w < Duration::from_secs(1)) {
        return Err(Failure::Usage("--watch takes 1s to 10m".to_owned()));
    }
    let client = context.connect().await?;
    let name = resolve_post(&client, name).await?;
    if url.is_none() && !name.contains("/gateways/") {
        return Err(Failure::Usage(format!("{name} is an agent: say which address it is to look at")));
    }
    let request = DiagnoseRequest {
        name,
        url: url.cloned().unwrap_or_default(),
        via: arguments.via.clone(),
        direct: arguments.direct.clone().unwrap_or_default(),
        expect: arguments.expect.map(Kind::name).unwrap_or_default().to_owned(),
        origin: arguments.origin.clone().unwrap_or_default(),
        namespace: arguments.namespace.clone().unwrap_or_default(),
        watch: watch.map(mooring_proto::duration),
        language: lang_tag(context.lang()).to_owned(),
    };
    let live = context.terminal && !context.json();
    let examining = async {
        let mut steps = client.call(client.diagnoses().diagnose(request)).await?;
        loop {
            match steps.message().await.map_err(|status| client.failure(status))?.and_then(|s| s.event) {
                Some(Event::Finding(finding)) if live => context.note(&show::step(&finding, &context.look())),
                Some(Event::Finding(_)) => {}
                Some(Event::Diagnosis(diagnosis)) => return tell(context, &diagnosis, live),
                None => {
                    return Err(Failure::Problem("the controller ended the examination half-way".to_owned()));
                }
            }
        }
    };
    // The controller has a bound of its own, which is the first to be reached as long as it answers at all.
    let limit = at_most(watch) * 2;
    match tokio::time::timeout(limit, examining).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::Refused(Box::new(Status::deadline_exceeded(format!(
            "no diagnosis within {}",
            crate::text::duration(limit)
        ))))),
    }
}
