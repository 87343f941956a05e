//! The way to the controller: one channel, the operator's token on every call, a time limit on every answer.

mod feed;
mod order;
mod pages;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use mooring_core::cause::Lang;
use mooring_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use mooring_proto::v1::event_service_client::EventServiceClient;
use mooring_proto::v1::fleet_service_client::FleetServiceClient;
use mooring_proto::v1::order_service_client::OrderServiceClient;
use mooring_proto::v1::pause_service_client::PauseServiceClient;
use mooring_proto::v1::policy_service_client::PolicyServiceClient;
use mooring_proto::v1::session_service_client::SessionServiceClient;
use mooring_runtime::lifecycle::error_chain;
use mooring_runtime::tls::{ClientTls, ClientTlsConfig, install_provider};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::args::Globals;
use crate::failure::{Failure, Outcome, innermost};

pub(crate) use feed::{EventUpdate, SessionUpdate, Update, events, sessions, watch};
pub(crate) use order::{follow, over};
pub(crate) use pages::{MAX_PAGE, pages};
use token::Credentials;

/// Largest answer taken, in bytes. The server keeps its pages below the 4 MiB that grpcurl takes; an explanation with
/// long outputs may be larger.
const MAX_ANSWER: usize = 16 << 20;
/// How long a call may take when nobody says otherwise; and one for which the controller asks agents, for whom it waits
/// up to 15 s itself.
const TIMEOUT: Duration = Duration::from_secs(10);
const ASKING: Duration = Duration::from_secs(20);
/// A connection on which nothing is answered for this long is probed, then given up: a watch on a dead one would
/// otherwise be quiet for ever.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

type Wire = InterceptedService<Channel, Credentials>;

/// A connection to a controller; cheap to clone. It mends itself: a call after a break connects again.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    wire: Wire,
    server: Arc<str>,
    timeout: Duration,
    asking: Duration,
}

macro_rules! services {
    ($( $(#[$doc:meta])* $name:ident: $service:ident; )*) => {
        impl Client {
            $( $(#[$doc])* pub(crate) fn $name(&self) -> $service<Wire> {
                $service::new(self.wire.clone()).max_decoding_message_size(MAX_ANSWER)
            } )*
        }
    };
}

services! {
    /// Agents, gateways, instances.
    fleet: FleetServiceClient;
    /// Orders.
    orders: OrderServiceClient;
    /// Policies.
    policies: PolicyServiceClient;
    /// Pauses.
    pauses: PauseServiceClient;
    /// Events.
    events: EventServiceClient;
    /// Sessions.
    sessions: SessionServiceClient;
    /// Diagnoses.
    diagnoses: DiagnosisServiceClient;
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(globals: &Globals, lang: Lang) -> Outcome<Self> {
        let given = globals.timeout.map(|timeout| timeout.get());
        let timeout = given.unwrap_or(TIMEOUT);
        let endpoint = endpoint(globals, timeout)?;
        let credentials = Credentials::load(globals.token_file.as_deref(), lang)?;
        let unreachable = |why: String| Failure::Unreachable { server: globals.server.clone(), why };
        let channel = match tokio::time::timeout(timeout, endpoint.connect()).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => return Err(unreachable(innermost(&error))),
            Err(_) => {
                return Err(unreachable(format!("no connection within {}", crate::text::duration(timeout))));
            }
        };
        Ok(Self {
            wire: InterceptedService::new(channel, credentials),
            server: globals.server.as_str().into(),
            timeout,
            asking: given.unwrap_or(ASKING),
        })
    }

    /// Awaits an answer, for as long as one call may take. For a stream that is its beginning.
    pub(crate) async fn call<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Outcome<T> {
        self.within(self.timeout, call).await
    }

    /// As [`call`](Self::call), for what the controller asks agents about.
    pub(crate) async fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Outcome<T> {
        self.within(self.asking, call).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Outcome<T> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.failure(status)),
            Err(_) => {
                let limit = crate::text::duration(limit);
                Err(Failure::Refused(Box::new(Status::deadline_exceeded(format!(
                    "no answer within {limit}"
                )))))
            }
        }
    }

    /// What a status of this connection means.
    pub(crate) fn failure(&self, status: Status) -> Failure {
        Failure::of_status(status, &self.server)
    }
}

fn endpoint(globals: &Globals, timeout: Duration) -> Outcome<Endpoint> {
    let server = &globals.server;
    let usage = |why: &str| {
        Failure::Usage(format!("--server {server}: {why}; write http://host:port or https://host:port"))
    };
    let uri: Uri = server.parse().map_err(|_| usage("not a URL"))?;
    let scheme = uri.scheme_str().ok_or_else(|| usage("a URL begins with its scheme"))?.to_owned();
    let host = uri.host().ok_or_else(|| usage("it names no host"))?.to_owned();
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err(Failure::Usage("--server must not hold a name or password; use --token-file".to_owned()));
    }
    let endpoint = Endpoint::from(uri)
        .connect_timeout(timeout)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let endpoint = endpoint
        .user_agent(concat!("mooring/", env!("CARGO_PKG_VERSION")))
        .map_err(|e| Failure::Problem(innermost(&e)))?;
    match scheme.as_str() {
        "http" if globals.token_file.is_some() && !globals.insecure && !is_loopback(&host) => {
            Err(Failure::Usage(format!(
                "--server {server}: the token would be sent readable over the network; use https, or --insecure to allow it"
            )))
        }
        "http" => Ok(endpoint),
        "https" => {
            install_provider();
            let config = ClientTlsConfig {
                ca: globals.ca.clone(),
                server_name: globals.server_name.clone(),
                ..ClientTlsConfig::default()
            };
            let tls = ClientTls::load(&config).map_err(|e| Failure::Usage(error_chain(&e)))?;
            endpoint.tls_config(tls.tonic(timeout)).map_err(|e| Failure::Usage(innermost(&e)))
        }
        _ => Err(usage("neither http nor https")),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::globals;

    fn refused(server: &str, token: bool) -> Option<String> {
        let mut globals = globals(&[]);
        globals.server = server.to_owned();
        globals.token_file = token.then(|| "token".into());
        endpoint(&globals, Duration::from_secs(1)).err().map(|e| {
            assert_eq!(e.exit_code(), crate::failure::USAGE);
            e.to_string()
        })
    }

    #[test]
    fn a_token_is_not_sent_readable_to_others() {
        assert_eq!(refused("http://127.0.0.1:7600", true), None);
        assert_eq!(refused("http://[::1]:7600", true), None);
        assert_eq!(refused("http://localhost:7600", true), None);
        assert_eq!(refused("http://10.0.0.1:7600", false), None);
        assert!(refused("http://10.0.0.1:7600", true).unwrap().contains("--insecure"));
    }

    #[test]
    fn an_address_that_is_none_is_wrong_usage() {
        for wrong in ["", "127.0.0.1:7600", "ftp://127.0.0.1:1", "http://", "nonsense"] {
            assert!(refused(wrong, false).is_some(), "`{wrong}` was taken");
        }
        let secret = refused("http://me:hunter2@127.0.0.1:1", false).unwrap();
        assert!(!secret.contains("hunter2"), "{secret}");
    }
}
