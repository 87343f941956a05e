//! The client against a small server of our own: what goes over the wire, not what we think goes over it.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use mooring_proto::v1::fleet_service_server::{FleetService, FleetServiceServer};
use mooring_proto::v1::order_service_server::{OrderService, OrderServiceServer};
use mooring_proto::v1::session_service_server::SessionServiceServer;
use mooring_proto::v1::watch_response::Item;
use mooring_proto::v1::*;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::sessions::Sessions;
use super::{Buffer, NOW, healthy, order, sick};
use crate::args::Cli;
use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// What the server was asked, and how far its script is.
#[derive(Debug, Default)]
pub(super) struct Seen {
    tokens: Vec<String>,
    languages: Vec<String>,
    pub(super) created: Vec<CreateOrderRequest>,
    watched: Vec<WatchRequest>,
    asked: usize,
}

#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) seen: Arc<Mutex<Seen>>,
    /// The states that `GetOrder` goes through.
    pub(super) life: Vec<OrderState>,
    /// Whether orders are refused by a gate.
    pub(super) shut: bool,
    /// The target of which orders are refused.
    pub(super) refused: &'static str,
    pub(super) sessions: Sessions,
}

impl Server {
    fn note<T>(&self, request: &Request<T>) {
        let text = |key: &str| {
            request.metadata().get(key).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
        };
        let mut seen = self.seen.lock().unwrap();
        seen.tokens.push(text("authorization"));
        seen.languages.push(text("accept-language"));
    }

    pub(super) async fn start(self) -> (SocketAddr, Arc<Mutex<Seen>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::clone(&self.seen);
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(FleetServiceServer::new(self.clone()))
                .add_service(SessionServiceServer::new(self.sessions.clone()))
                .add_service(OrderServiceServer::new(self))
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        (address, seen)
    }
}

type Watching = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

fn item(item: Item, token: &str) -> Result<WatchResponse, Status> {
    Ok(WatchResponse { item: Some(item), resume_token: token.to_owned() })
}

#[tonic::async_trait]
impl FleetService for Server {
    type WatchStream = Watching;

    async fn get_fleet(&self, request: Request<GetFleetRequest>) -> Result<Response<Fleet>, Status> {
        self.note(&request);
        let phases = [("Healthy".to_owned(), 1), ("Down".to_owned(), 1)].into();
        Ok(Response::new(Fleet { instances: 2, phases, version: "9.9.9".to_owned(), ..Fleet::default() }))
    }

    async fn list_instances(
        &self,
        request: Request<ListInstancesRequest>,
    ) -> Result<Response<ListInstancesResponse>, Status> {
        // Two pages of one, whatever was asked for: as a server may.
        let first = request.get_ref().page_token.is_empty();
        Ok(Response::new(ListInstancesResponse {
            instances: vec![if first { healthy("h", "chat", "acct-1") } else { sick("h", "moody", "moody") }],
            next_page_token: if first { "two".to_owned() } else { String::new() },
        }))
    }

    async fn list_gateways(
        &self,
        _: Request<ListGatewaysRequest>,
    ) -> Result<Response<ListGatewaysResponse>, Status> {
        let gateways = ["agents/h/gateways/chat", "agents/h/gateways/moody"];
        let gateways = gateways.map(|name| Gateway { name: name.to_owned(), ..Gateway::default() }).to_vec();
        Ok(Response::new(ListGatewaysResponse { gateways, next_page_token: String::new() }))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Watching>, Status> {
        let request = request.into_inner();
        let life = {
            let mut seen = self.seen.lock().unwrap();
            seen.watched.push(request.clone());
            seen.watched.len()
        };
        let items = match (life, request.resume_token.as_str()) {
            // The first breaks off in the middle of a change.
            (1, "") => vec![
                item(Item::Instance(healthy("h", "moody", "moody")), ""),
                item(Item::Bookmark(Bookmark { snapshot_complete: true, ..Bookmark::default() }), "t1"),
                Err(Status::unavailable("moving house")),
            ],
            // Where it would go on, it cannot.
            (2, "t1") => return Err(Status::out_of_range("too long ago")),
            (3, "") => vec![
                item(Item::Instance(sick("h", "moody", "moody")), ""),
                item(Item::Order(order(OrderState::Running)), ""),
                item(Item::Bookmark(Bookmark { snapshot_complete: true, ..Bookmark::default() }), "t2"),
                Err(Status::permission_denied("enough")),
            ],
            other => panic!("not in the script: {other:?}"),
        };
        Ok(Response::new(tokio_stream::iter(items).boxed()))
    }

    async fn list_agents(
        &self,
        _: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        Err(Status::unimplemented(""))
    }

    async fn get_agent(&self, _: Request<GetAgentRequest>) -> Result<Response<Agent>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_gateway(&self, _: Request<GetGatewayRequest>) -> Result<Response<Gateway>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_instance(&self, _: Request<GetInstanceRequest>) -> Result<Response<Instance>, Status> {
        Ok(Response::new(sick("h", "moody", "moody")))
    }

    async fn explain_instance(
        &self,
        request: Request<ExplainInstanceRequest>,
    ) -> Result<Response<ExplainInstanceResponse>, Status> {
        Ok(Response::new(ExplainInstanceResponse {
            instance: Some(sick("h", "moody", "moody")),
            summary: format!("in {}", request.get_ref().language),
            ..ExplainInstanceResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl OrderService for Server {
    async fn create_order(&self, request: Request<CreateOrderRequest>) -> Result<Response<Order>, Status> {
        let request = request.into_inner();
        self.seen.lock().unwrap().created.push(request.clone());
        if self.shut {
            let metadata = [
                ("gates", "paused"),
                ("target", &request.target),
                ("action", "reconnect"),
                ("paused.message", "paused until noon"),
            ];
            let metadata: HashMap<String, String> =
                metadata.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            let mut details = ErrorDetails::with_error_info("GATE_PAUSED", "mooring.v1", metadata);
            details.set_retry_info(Some(Duration::from_secs(90)));
            return Err(Status::with_error_details(Code::FailedPrecondition, "no", details));
        }
        if request.target == self.refused {
            return Err(Status::not_found("it is gone"));
        }
        let mut made = order(OrderState::Pending);
        made.target = request.target;
        made.action = request.action;
        Ok(Response::new(made))
    }

    async fn get_order(&self, _: Request<GetOrderRequest>) -> Result<Response<Order>, Status> {
        let mut seen = self.seen.lock().unwrap();
        let state = self.life[seen.asked.min(self.life.len() - 1)];
        seen.asked += 1;
        // The controller is replaced in the middle.
        if state == OrderState::Unspecified {
            return Err(Status::unavailable("restarting"));
        }
        Ok(Response::new(order(state)))
    }

    async fn list_orders(
        &self,
        _: Request<ListOrdersRequest>,
    ) -> Result<Response<ListOrdersResponse>, Status> {
        Ok(Response::new(ListOrdersResponse {
            orders: vec![order(OrderState::Succeeded)],
            ..Default::default()
        }))
    }

    async fn cancel_order(&self, _: Request<CancelOrderRequest>) -> Result<Response<Order>, Status> {
        Ok(Response::new(order(OrderState::Cancelled)))
    }
}

/// Runs a command line against a server. Gives what came of it, what it printed and what it noted.
pub(super) async fn run(address: SocketAddr, line: &str) -> (Outcome, String, String) {
    use clap::Parser as _;
    let server = format!("http://{address}");
    let words = ["mooring", "--server", &server].into_iter().chain(line.split(' '));
    let cli = Cli::try_parse_from(words).unwrap();
    let (out, notes) = (Buffer::default(), Buffer::default());
    let context = Context::for_test(cli.globals, NOW, Box::new(out.clone()), Box::new(notes.clone()));
    let outcome = cli.command.run(&context).await;
    (outcome, out.text(), notes.text())
}

#[tokio::test]
async fn json_is_the_message_and_all_pages_are_gathered() {
    let (address, _) = Server::default().start().await;
    let (outcome, printed, _) = run(address, "instances -o json").await;
    assert_eq!(outcome.unwrap(), 0);
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let both = vec![healthy("h", "chat", "acct-1"), sick("h", "moody", "moody")];
    let message = ListInstancesResponse { instances: both, next_page_token: String::new() };
    assert_eq!(json, mooring_proto::json::to_json("mooring.v1.ListInstancesResponse", &message).unwrap());
    assert_eq!(json["instances"][1]["phase"], "PHASE_DOWN");
    let (_, names, _) = run(address, "instances -o name").await;
    assert_eq!(names, "agents/h/gateways/chat/instances/acct-1\nagents/h/gateways/moody/instances/moody\n");
    let (_, limited, _) = run(address, "instances -o json --limit 1").await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&limited).unwrap()["nextPageToken"], "two");
}

#[tokio::test]
async fn status_can_tell_by_its_exit_code() {
    let (address, _) = Server::default().start().await;
    let (outcome, printed, _) = run(address, "status").await;
    assert_eq!(outcome.unwrap(), 0);
    assert!(printed.contains("instances    2  (Down 1, Healthy 1)\n"), "{printed}");
    assert_eq!(run(address, "status --exit-code").await.0.unwrap(), crate::failure::PROBLEM);
}

#[tokio::test]
async fn token_and_language_go_with_every_call() {
    let (address, seen) = Server::default().start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "ann:opensesame-opensesame\n").unwrap();
    let line = format!("status --lang zh-CN --token-file {}", file.path().display());
    run(address, &line).await.0.unwrap();
    assert_eq!(seen.lock().unwrap().tokens, ["Bearer opensesame-opensesame"]);
    assert_eq!(seen.lock().unwrap().languages, ["zh-CN"]);
    let (_, explained, _) = run(address, "explain moody --lang zh-CN").await;
    assert!(explained.contains("概要: in zh-CN"), "{explained}");
}

#[tokio::test]
async fn a_shut_gate_is_shown_with_its_numbers() {
    let (address, seen) = Server { shut: true, ..Server::default() }.start().await;
    let (outcome, _, _) = run(address, "reconnect chat/acct-1 --reason stale --dry-run").await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.exit_code(), 73);
    assert_eq!(
        failure.words(mooring_core::cause::Lang::En).unwrap(),
        "error: FAILED_PRECONDITION: reconnect agents/h/gateways/chat/instances/acct-1: not possible now\n  \
         reason: GATE_PAUSED\n  gate paused: paused until noon\n  try again in: 1m30s\n"
    );
    let seen = seen.lock().unwrap();
    let [asked] = seen.created.as_slice() else { panic!("{:?}", seen.created) };
    assert!(asked.validate_only && asked.reason == "stale" && asked.action() == OrderAction::Reconnect);
    assert!(uuid::Uuid::try_parse(&asked.request_id).is_ok());
}

#[tokio::test]
async fn waiting_follows_an_order_through_a_controllers_absence() {
    use OrderState::{Failed, Running, Succeeded, Unspecified, Verifying};
    let life = vec![Running, Unspecified, Verifying, Succeeded];
    let (address, _) = Server { life, ..Server::default() }.start().await;
    let (outcome, printed, _) = run(address, "restart moody --reason hangs --yes --wait").await;
    assert_eq!(outcome.unwrap(), 0);
    let states: Vec<&str> = printed.lines().filter_map(|l| l.split(") ").nth(1)?.split(':').next()).collect();
    assert_eq!(states, ["pending", "running", "verifying", "succeeded"]);

    let (address, _) = Server { life: vec![Failed], ..Server::default() }.start().await;
    let (outcome, _, _) = run(address, "restart moody --reason hangs --yes --wait").await;
    assert_eq!(outcome.unwrap_err().exit_code(), crate::failure::PROBLEM);
}

#[tokio::test]
async fn nobody_to_ask_is_wrong_usage_and_nothing_is_ordered() {
    let (address, seen) = Server::default().start().await;
    let (outcome, _, _) = run(address, "restart moody --reason hangs").await;
    assert_eq!(outcome.unwrap_err().exit_code(), crate::failure::USAGE);
    assert!(seen.lock().unwrap().created.is_empty());
}

#[tokio::test]
async fn a_watch_goes_on_after_a_break_and_says_nothing_twice() {
    let (address, seen) = Server::default().start().await;
    let (outcome, printed, notes) = run(address, "watch").await;
    assert_eq!(outcome.unwrap_err().exit_code(), 71, "a refusal that does not pass ends it");
    let lines: Vec<&str> =
        printed.lines().filter_map(|l| l.split_once("Z  ").map(|(_, line)| line)).collect();
    assert_eq!(
        lines,
        [
            "h/moody  Healthy",
            "h/moody  Down        Reachable ConnectionRefused: nothing listens on 127.0.0.1:7652",
            "h/moody  restart gateway (4fd3a6b2c901) running: ConnectionRefused for 4s",
        ]
    );
    assert!(notes.contains("connection lost"), "{notes}");
    let tokens: Vec<String> = seen.lock().unwrap().watched.iter().map(|w| w.resume_token.clone()).collect();
    assert_eq!(tokens, ["", "t1", ""]);
}

#[tokio::test]
async fn who_does_not_answer_is_told_from_who_is_not_there() {
    let (address, _) = Server::default().start().await;
    let late = run(address, "agents --timeout 50ms").await.0.unwrap_err();
    assert_eq!(late.exit_code(), 68, "DEADLINE_EXCEEDED");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = run(nobody, "status").await.0.unwrap_err();
    assert!(matches!(away, Failure::Unreachable { .. }), "{away:?}");
    assert_eq!(away.exit_code(), crate::failure::UNREACHABLE);
}

#[tokio::test]
async fn an_order_is_found_by_the_end_of_its_name() {
    let life = vec![OrderState::Failed];
    let (address, _) = Server { life, ..Server::default() }.start().await;
    let (outcome, printed, _) = run(address, "orders 4fd3a6b2c901").await;
    assert_eq!(outcome.unwrap(), 0);
    assert!(printed.starts_with("orders/0192f6c4-7f1e-7cc3-98a1-4fd3a6b2c901  failed\n"), "{printed}");
}

/// A pipe whose reader has gone.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly() {
    use clap::Parser as _;
    let cli = Cli::try_parse_from(["mooring", "explain", "--causes"]).unwrap();
    let context = Context::for_test(cli.globals, NOW, Box::new(Broken), Box::new(std::io::sink()));
    let failure = cli.command.run(&context).await.unwrap_err();
    assert_eq!((failure.exit_code(), failure.words(context.lang())), (0, None));
}
