//! A relay as a process of its own, for benchmarks and tests.
//!
//! ```text
//! relay LISTEN UPSTREAM [--threads N] [--tls CERT KEY] [--proxy] [--proxy-out v1|v2] [--hold SECONDS]
//!       [--keepalive SECONDS] [--handover PATH] [--take PATH]
//! ```
//!
//! Addresses are `host:port` or `unix:PATH`. It prints `ready` once it accepts. SIGTERM closes all sessions with 1001 and
//! ends it; with `--handover` it ends the same way once another process has taken its sockets (`--take`).

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mooring_relay::{
    CloseOrder, ListenAddress, NoSink, ProxyVersion, Relay, RelayConfig, RelayHandle, Upstream,
    UpstreamAddress, handover,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};

type Error = Box<dyn std::error::Error + Send + Sync>;

struct Options {
    config: RelayConfig,
    threads: usize,
    offer: Option<PathBuf>,
    take: Option<PathBuf>,
}

fn listen_address(text: &str) -> Result<ListenAddress, Error> {
    Ok(match text.strip_prefix("unix:") {
        Some(path) => ListenAddress::Unix { path: path.into(), mode: 0o600 },
        None => ListenAddress::Tcp(text.parse()?),
    })
}

fn upstream_address(text: &str) -> Result<UpstreamAddress, Error> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(UpstreamAddress::Unix(path.into()));
    }
    if let Ok(address) = text.parse() {
        return Ok(UpstreamAddress::Tcp(address));
    }
    let (host, port) = text.rsplit_once(':').ok_or("the upstream is host:port or unix:PATH")?;
    Ok(UpstreamAddress::Name { host: host.to_owned(), port: port.parse()? })
}

fn server_tls(cert: &str, key: &str) -> Result<Arc<rustls::ServerConfig>, Error> {
    let chain = CertificateDer::pem_file_iter(Path::new(cert))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(Path::new(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

fn options() -> Result<Options, Error> {
    let mut args = std::env::args().skip(1);
    let mut next = |what: &str| args.next().ok_or_else(|| format!("{what} is missing"));
    let listen = listen_address(&next("LISTEN")?)?;
    let upstream = Upstream::new(upstream_address(&next("UPSTREAM")?)?);
    let mut options =
        Options { config: RelayConfig::new(listen, upstream), threads: 1, offer: None, take: None };
    let seconds = |text: String| text.parse::<f64>().map(Duration::from_secs_f64);
    while let Ok(option) = next("") {
        match option.as_str() {
            "--threads" => options.threads = next("N")?.parse()?,
            "--tls" => options.config.listeners[0].tls = Some(server_tls(&next("CERT")?, &next("KEY")?)?),
            "--proxy" => options.config.listeners[0].proxy = true,
            "--proxy-out" => {
                options.config.upstream.proxy = Some(match next("v1 or v2")?.as_str() {
                    "v1" => ProxyVersion::V1,
                    "v2" => ProxyVersion::V2,
                    other => return Err(format!("no PROXY version: {other}").into()),
                });
            }
            "--hold" => {
                options.config.hold.time = seconds(next("SECONDS")?)?;
                options.config.hold.when_refused = true;
            }
            "--keepalive" => {
                let every = seconds(next("SECONDS")?)?;
                options.config.keepalive.client = Some(every);
                options.config.keepalive.gateway = Some(every);
            }
            "--handover" => options.offer = Some(next("PATH")?.into()),
            "--take" => options.take = Some(next("PATH")?.into()),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(options)
}

async fn run(options: Options) -> Result<(), Error> {
    let (listeners, confirm) = match &options.take {
        Some(path) => {
            let (listeners, confirm) = handover::take(path).await?.into_parts();
            (listeners, Some(confirm))
        }
        None => (Vec::new(), None),
    };
    let relay = Relay::start(options.config, listeners, Arc::new(NoSink))?;
    if let Some(confirm) = confirm {
        confirm.ready().await?;
    }
    let offer = options.offer.as_deref().map(handover::Offer::bind).transpose()?;
    let mut terminate = signal(SignalKind::terminate())?;
    for listener in relay.listeners() {
        println!("listening {}", listener.local_addr().map_or_else(String::new, |a| a.to_string()));
    }
    println!("ready");
    tokio::select! {
        _ = terminate.recv() => {}
        () = offered(offer.as_ref(), &relay) => {}
    }
    let order = CloseOrder { code: 1001, reason: "relay ends".to_owned(), ..CloseOrder::default() };
    let closed = relay.shutdown(&order).await;
    println!("closed {closed:?}");
    Ok(())
}

async fn offered(offer: Option<&handover::Offer>, relay: &RelayHandle) {
    let Some(offer) = offer else { return std::future::pending().await };
    while let Err(error) = offer.serve(relay).await {
        eprintln!("{error}");
    }
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| {
        let mut builder = match options.threads {
            1 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.worker_threads(options.threads.max(1)).enable_all().build()?.block_on(run(options))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error}");
            ExitCode::FAILURE
        }
    }
}
