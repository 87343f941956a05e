//! What a gateway says of itself: the agent's local API, and what its reports mean.
//!
//! Two halves that know nothing of each other but [`meaning::Reported`]. The **API** ([`ReportServer`]) listens on a Unix
//! socket and on a loopback port, both for gRPC (`mooring.report.v1`) and for plain HTTP with JSON. It checks, bounds and
//! counts what comes in, hands it to the agent through the [`hub`], and brings orders to whoever of the gateway takes them.
//! The **meaning** ([`meaning::Book`]) is pure: reports and time in, claims of conditions, ends of sessions and lists of
//! sessions out.
//!
//! One line is all a gateway needs:
//!
//! ```text
//! curl --json '{"events":[{"open":{}}]}' localhost:7613/v1/gateways/-/instances/acct-1:report
//! ```

mod api;
mod bucket;
mod check;
mod config;
mod desk;
mod directory;
mod grpc;
mod http;
mod hub;
pub mod meaning;
mod refusal;
mod server;

pub use config::{
    GatewayEntry, GatewayReport, MAX_EVENTS, MOST_INSTANCES, ReportConfig, ReportLimits, SOCKET_NAME,
    SocketMode,
};
pub use directory::Directory;
pub use hub::{Hub, HubEnd, NOT_KNOWN, OrderRequest, QUEUE, hub, hub_of};
pub use meaning::Reported;
pub use server::{ReportServer, StartError};
