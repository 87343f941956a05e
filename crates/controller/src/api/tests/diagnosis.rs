//! Examinations, as operators ask for them.

use mooring_proto::examine::AT_ONCE;
use mooring_proto::v1::DiagnoseRequest;
use mooring_proto::v1::diagnose_response::Event;
use tonic::metadata::MetadataValue;
use tonic::{Request, Streaming};

use super::crowd::{Crowd, Manners};
use super::*;

fn of(name: &str) -> DiagnoseRequest {
    DiagnoseRequest { name: name.to_owned(), ..DiagnoseRequest::default() }
}

type Steps = Streaming<mooring_proto::v1::DiagnoseResponse>;

async fn begin(world: &World, request: impl tonic::IntoRequest<DiagnoseRequest>) -> Result<Steps, Status> {
    Ok(world.diagnosis_client().diagnose(request).await?.into_inner())
}

async fn next(steps: &mut Steps) -> Result<Option<Event>, Status> {
    let step = tokio::time::timeout(PATIENCE, steps.message()).await.expect("nothing was said")?;
    Ok(step.and_then(|s| s.event))
}

#[tokio::test]
async fn findings_come_as_they_are_made_and_the_diagnosis_last() {
    let world = World::start().await;
    let _feed = small(&world).await;
    let crowd = Crowd::attach(&world, "a", Manners::Answers);
    let mut request = Request::new(of(&name("a/g")));
    request.metadata_mut().insert("accept-language", MetadataValue::from_static("zh-CN"));
    let mut steps = begin(&world, request).await.unwrap();
    assert!(matches!(next(&mut steps).await, Ok(Some(Event::Finding(_)))));
    assert!(matches!(next(&mut steps).await, Ok(Some(Event::Diagnosis(_)))));
    assert_eq!(next(&mut steps).await.unwrap(), None);
    // The agent makes the words: it is told in which language.
    assert_eq!(crowd.examined()[0].language, "zh-CN");
    let german = DiagnoseRequest { language: "en".to_owned(), ..of(&name("a/g")) };
    next(&mut begin(&world, german).await.unwrap()).await.unwrap();
    assert_eq!(crowd.examined()[0].language, "en");
}

#[tokio::test]
async fn what_cannot_be_examined_is_refused_with_a_reason() {
    let world = World::start().await;
    let _feed = small(&world).await;
    let ask = async |request: DiagnoseRequest| {
        let mut steps = begin(&world, request).await?;
        next(&mut steps).await
    };
    let (_, info) = refused(ask(of(&name("a/g"))).await, Code::Unavailable);
    assert_eq!(info.reason, "AGENT_NOT_ATTACHED");
    let (_, info) = refused(ask(of("agents/b")).await, Code::InvalidArgument);
    assert_eq!((info.reason.as_str(), info.metadata["field"].as_str()), ("INVALID_FIELD", "url"));
    let url = "ws://10.0.0.7/ws".to_owned();
    let (_, info) =
        refused(ask(DiagnoseRequest { url: url.clone(), ..of("agents/b") }).await, Code::NotFound);
    assert_eq!(info.metadata["type"], "Agent");
    let (_, info) = refused(ask(of("agents/a/gateways/none")).await, Code::NotFound);
    assert_eq!(info.metadata["type"], "Gateway");

    let crowd = Crowd::attach_old(&world, "a");
    let (_, info) = refused(ask(of(&name("a/g"))).await, Code::FailedPrecondition);
    assert_eq!((info.reason.as_str(), crowd.examined().len()), ("AGENT_TOO_OLD", 0));
    drop(crowd);

    let _crowd = Crowd::attach(&world, "a", Manners::Declines);
    let foreign = DiagnoseRequest { url, ..of("agents/a") };
    let (status, info) = refused(ask(foreign).await, Code::FailedPrecondition);
    assert_eq!(info.reason, "EXAMINATION_REFUSED");
    assert!(status.message().contains("not a host of its gateways"), "{status:?}");
}

#[tokio::test]
async fn there_are_only_so_many_and_who_goes_away_leaves_a_place() {
    let world = World::start().await;
    let _feed = small(&world).await;
    let _crowd = Crowd::attach(&world, "a", Manners::Silent);
    let mut open = Vec::new();
    for _ in 0..AT_ONCE {
        open.push(begin(&world, of(&name("a/g"))).await.unwrap());
    }
    let (_, info) = refused(begin(&world, of(&name("a/g"))).await.map(|_| ()), Code::ResourceExhausted);
    assert_eq!(info.reason, "AGENT_BUSY");
    open.pop();
    // The transport tells of it in its own time.
    let again = async {
        while begin(&world, of(&name("a/g"))).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("the place is not given back");
    world.stop.cancel();
    let (_, info) = refused(next(&mut open[0]).await, Code::Unavailable);
    assert_eq!(info.reason, "STOPPING");
}
