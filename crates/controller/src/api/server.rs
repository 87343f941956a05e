//! The server: all services behind the layers, with explicit limits.
//!
//! tonic's own defaults leave streams uncapped and keepalive off; here every number is said. Connections, sources and TLS
//! are the listener's.

use std::sync::Arc;
use std::time::Duration;

use mooring_proto::v1::diagnosis_service_server::DiagnosisServiceServer;
use mooring_proto::v1::event_service_server::EventServiceServer;
use mooring_proto::v1::fleet_service_server::FleetServiceServer;
use mooring_proto::v1::order_service_server::OrderServiceServer;
use mooring_proto::v1::pause_service_server::PauseServiceServer;
use mooring_proto::v1::policy_service_server::PolicyServiceServer;
use mooring_proto::v1::session_service_server::SessionServiceServer;
use mooring_runtime::lifecycle::Tokens;
use mooring_runtime::listener::Listener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tower::layer::util::{Identity, Stack};

use super::auth::AuthLayer;
use super::diagnosis_service::DiagnosisApi;
use super::event_service::Events;
use super::fleet_service::FleetApi;
use super::health::Health;
use super::observe::ObserveLayer;
use super::order_service::Orders;
use super::pause_service::Pauses;
use super::policy_service::PolicyApi;
use super::sessions::SessionsApi;
use super::{ApiParts, Shared};

/// The header of an answer that was given from memory because the database is away; its value is `true`.
pub const STALE_HEADER: &str = "mooring-stale";

/// Largest request: the largest sensible policy is far below it.
const MAX_REQUEST: usize = 256 * 1024;
/// Largest answer: pages are capped below, and a single resource is far below that.
const MAX_ANSWER: usize = 4 << 20;
/// Longest time until an answer begins. Streams may go on after it.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// What calls under way are given when the controller stops. Watches end by themselves; a health watch or an idle
/// reflection stream of a client would otherwise hold the whole shutdown up.
const DRAIN: Duration = Duration::from_secs(3);
/// Calls at once on one connection, watches included.
const CALLS_PER_CONNECTION: u32 = 256;

/// The API, ready for `serve_with_incoming_shutdown`.
pub type ApiRouter = Router<Stack<AuthLayer, Stack<ObserveLayer, Identity>>>;

/// All services behind authentication and measurement. Streams end with a word when `stopping` is cancelled, which must
/// happen before the server waits for its connections to end. [`Health::follow`] must be run beside it.
#[must_use]
pub fn router(parts: ApiParts, stopping: CancellationToken) -> (ApiRouter, Health) {
    let (health, health_service) = Health::new(parts.database.clone());
    let descriptors: [&[u8]; 4] = [
        mooring_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let meter = opentelemetry::global::meter("mooring.controller");
    let (auth, observe) =
        (AuthLayer::new(parts.tokens.clone()), ObserveLayer::new(&meter, &descriptors, TIME_LIMIT));
    let reflection = parts.config.reflection;
    let shared = Shared::new(parts, stopping);

    macro_rules! sized {
        ($service:expr) => {
            $service.max_decoding_message_size(MAX_REQUEST).max_encoding_message_size(MAX_ANSWER)
        };
    }
    let router = Server::builder()
        .layer(observe)
        .layer(auth)
        .max_concurrent_streams(Some(CALLS_PER_CONNECTION))
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION as usize)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .http2_max_header_list_size(Some(16 * 1024))
        .add_service(sized!(FleetServiceServer::new(FleetApi(Arc::clone(&shared)))))
        .add_service(sized!(OrderServiceServer::new(Orders(Arc::clone(&shared)))))
        .add_service(sized!(PolicyServiceServer::new(PolicyApi(Arc::clone(&shared)))))
        .add_service(sized!(PauseServiceServer::new(Pauses(Arc::clone(&shared)))))
        .add_service(sized!(SessionServiceServer::new(SessionsApi(Arc::clone(&shared)))))
        .add_service(sized!(DiagnosisServiceServer::new(DiagnosisApi(Arc::clone(&shared)))))
        .add_service(sized!(EventServiceServer::new(Events(shared))))
        .add_service(health_service);
    (if reflection { with_reflection(router) } else { router }, health)
}

/// Adds reflection, in the version that tools speak now and the one before. The types of error details are registered
/// too: without them a client shows them as bytes. Encoded sets are registered, since decoded ones lose custom options.
fn with_reflection(router: ApiRouter) -> ApiRouter {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(mooring_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("mooring.v1.FleetService")
            .with_service_name("mooring.v1.OrderService")
            .with_service_name("mooring.v1.PolicyService")
            .with_service_name("mooring.v1.PauseService")
            .with_service_name("mooring.v1.EventService")
            .with_service_name("mooring.v1.SessionService")
            .with_service_name("mooring.v1.DiagnosisService")
            .with_service_name("grpc.health.v1.Health")
    };
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => router.add_service(v1).add_service(v1alpha),
        (Err(e), _) | (_, Err(e)) => {
            // The descriptors are built in and a test reads them; the API itself works without.
            tracing::error!(error = %e, "reflection is not served");
            router
        }
    }
}

/// Serves the API on a listener until told to stop.
///
/// # Errors
/// When the transport fails.
pub async fn serve(
    listener: Listener,
    parts: ApiParts,
    tokens: Tokens,
) -> Result<(), tonic::transport::Error> {
    let stopping = CancellationToken::new();
    let (router, health) = router(parts, stopping.clone());
    let incoming = listener.incoming(tokens.soft.clone());
    let soft = tokens.soft.clone();
    let serving = router.serve_with_incoming_shutdown(incoming, async move {
        soft.cancelled().await;
        // Told first, so that watches end with a word instead of holding the server up.
        stopping.cancel();
    });
    let follow = health.follow(tokens.soft.clone());
    let drained = async {
        tokens.soft.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        outcome = async { tokio::join!(serving, follow).0 } => outcome,
        () = drained => Ok(()),
        () = tokens.hard.cancelled() => Ok(()),
    }
}
