//! Scripted servers, and what every report must satisfy.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use mooring_core::handshake::{HandshakeReport, Step};
use mooring_wire::{Dialled, Session, Target};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Far beyond anything that should take long; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: nothing within {PATIENCE:?}"))
}

/// Serves one connection with a script that gets the stream and the request's head.
pub async fn serve<F, R, T>(script: F) -> (SocketAddr, JoinHandle<T>)
where
    F: FnOnce(TcpStream, String) -> R + Send + 'static,
    R: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_head(&mut stream).await;
        script(stream, request).await
    });
    (address, task)
}

pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "the request ended early");
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Sends an answer, ends the stream and reads to the client's end: an error here is a reset.
pub async fn answer_and_end(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    read_to_fin(&mut stream).await
}

pub async fn read_to_fin(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut scratch = [0; 4096];
    while stream.read(&mut scratch).await? != 0 {}
    Ok(())
}

pub fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let prefix = format!("{}:", name.to_ascii_lowercase());
    let line = request.lines().find(|l| l.to_ascii_lowercase().starts_with(&prefix));
    line.unwrap_or_else(|| panic!("no {name} in {request}"))[prefix.len()..].trim()
}

/// A proper 101 for a request, with further header lines.
pub fn switching(request: &str, more: &str) -> String {
    let accept = derive_accept_key(header(request, "Sec-WebSocket-Key").as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

pub async fn switch(stream: &mut (impl AsyncWrite + Unpin), request: &str) {
    stream.write_all(switching(request, "").as_bytes()).await.unwrap();
}

pub fn target(address: SocketAddr) -> Target {
    Target::new(&format!("ws://{address}/ws")).unwrap()
}

/// Dials and checks the report.
pub async fn dial(target: &Target) -> Dialled {
    let dialled = soon("dial", mooring_wire::dial(target)).await;
    assert_eq!(dialled.session.is_some(), dialled.report.outcome.is_ok());
    check(&dialled.report);
    dialled
}

pub async fn opened(target: &Target) -> Session {
    let Dialled { report, session } = dial(target).await;
    session.unwrap_or_else(|| panic!("{report:?}"))
}

/// What holds for every report.
pub fn check(report: &HandshakeReport) {
    let steps = &report.steps;
    assert!(steps.windows(2).all(|w| w[0].step < w[1].step && w[0].at <= w[1].at), "order: {report:?}");
    assert!(steps.iter().all(|s| s.took <= s.at && s.at <= report.took), "times: {report:?}");
    match &report.outcome {
        Ok(_) => assert!(steps.iter().all(|s| s.ok || s.step == Step::Close), "{report:?}"),
        Err(refusal) => {
            let (last, before) = steps.split_last().unwrap();
            assert!(!last.ok && last.step == refusal.step && before.iter().all(|s| s.ok), "{report:?}");
            assert!(!refusal.message.is_empty());
        }
    }
}

pub fn names(report: &HandshakeReport) -> Vec<&'static str> {
    report.steps.iter().map(|s| s.step.name()).collect()
}
