//! `grpc.health.v1`: the server as a whole, and each service by its name.
//!
//! While the database is away only `OrderService`, `PolicyService` and `PauseService` are not serving: they change
//! things, and that needs it. Reads and watches go on, and so does the server: an orchestrator must not take the one
//! process away that still watches. When the controller stops, everything is not serving before anything is closed.

use mooring_proto::v1::diagnosis_service_server::DiagnosisServiceServer;
use mooring_proto::v1::event_service_server::EventServiceServer;
use mooring_proto::v1::fleet_service_server::FleetServiceServer;
use mooring_proto::v1::order_service_server::OrderServiceServer;
use mooring_proto::v1::pause_service_server::PauseServiceServer;
use mooring_proto::v1::policy_service_server::PolicyServiceServer;
use mooring_proto::v1::session_service_server::SessionServiceServer;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::server::HealthReporter;

use super::diagnosis_service::DiagnosisApi;
use super::event_service::Events;
use super::fleet_service::FleetApi;
use super::order_service::Orders;
use super::pause_service::Pauses;
use super::policy_service::PolicyApi;
use super::sessions::SessionsApi;
use crate::database::Database;

/// Serving as long as the process does.
const READS: [&str; 5] = [
    "",
    <FleetServiceServer<FleetApi> as NamedService>::NAME,
    <EventServiceServer<Events> as NamedService>::NAME,
    <SessionServiceServer<SessionsApi> as NamedService>::NAME,
    <DiagnosisServiceServer<DiagnosisApi> as NamedService>::NAME,
];
/// Serving while the database is there.
const WRITES: [&str; 3] = [
    <OrderServiceServer<Orders> as NamedService>::NAME,
    <PolicyServiceServer<PolicyApi> as NamedService>::NAME,
    <PauseServiceServer<Pauses> as NamedService>::NAME,
];

/// Keeps the statuses up to date.
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
    database: Database,
}

impl Health {
    pub(super) fn new(database: Database) -> (Self, HealthServer<impl HealthApi>) {
        let (reporter, service) = tonic_health::server::health_reporter();
        (Self { reporter, database }, service)
    }

    /// Follows the database until `stop` is cancelled, then reports that nothing is served.
    pub async fn follow(self, stop: CancellationToken) {
        let mut changes = self.database.watch();
        loop {
            let writes = match *changes.borrow_and_update() {
                None => ServingStatus::Serving,
                Some(_) => ServingStatus::NotServing,
            };
            self.report(&READS, ServingStatus::Serving).await;
            self.report(&WRITES, writes).await;
            tokio::select! {
                () = stop.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
        }
        self.report(&READS, ServingStatus::NotServing).await;
        self.report(&WRITES, ServingStatus::NotServing).await;
    }

    async fn report(&self, services: &[&str], status: ServingStatus) {
        for service in services {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
