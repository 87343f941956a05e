//! A byte a second: from somebody who never finishes a handshake, and from an honest client on a very slow link.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use mooring_tests::relay::{Kind, Relay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Holding, facts, fill};
use crate::relay::Options;
use crate::relay::echo::Echo;
use crate::relay::frames;

/// Clients of each kind at once.
const CLIENTS: usize = 50;

/// Runs it.
pub async fn run(options: &Options, kinds: &[Kind]) -> Result<()> {
    let limit = Duration::from_secs(if options.quick { 12 } else { 40 });
    // All at once: it is waiting, mostly.
    let columns: Vec<Result<Vec<String>>> =
        futures_util::future::join_all(kinds.iter().map(|kind| measure(options, *kind, limit))).await;
    let columns: Vec<Vec<String>> = columns.into_iter().collect::<Result<_>>()?;
    let mut table = facts(kinds);
    let rows = ["a handshake that never ends", "an open session, a message of 4 B", "descriptors and memory"];
    fill(&mut table, &rows, &columns);
    table.print(&format!(
        "relay-faults: {CLIENTS} clients each send a byte a second, watched for {} s",
        limit.as_secs()
    ));
    Ok(())
}

async fn measure(options: &Options, kind: Kind, limit: Duration) -> Result<Vec<String>> {
    let echo = Echo::start().await?;
    let relay = Relay::start_with(kind, &echo.address, &options.flags_of(kind)).await?;
    let before = Holding::of(&relay).await;
    let address = &relay.address;
    let handshakes = futures_util::future::join_all((0..CLIENTS).map(|_| handshake(address, limit)));
    let sessions = futures_util::future::join_all((0..CLIENTS).map(|_| session(address)));
    let (handshakes, sessions) = tokio::join!(handshakes, sessions);
    for session in sessions {
        session.with_context(|| kind.name())?;
    }
    let ended: Vec<(Duration, String)> =
        handshakes.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    let shown = match ended.iter().max() {
        None => format!("open after {} s", limit.as_secs()),
        Some((last, said)) => {
            format!("{} of {CLIENTS} ended within {:.1} s, with {said}", ended.len(), last.as_secs_f64())
        }
    };
    Ok(vec![shown, "answered".to_owned(), before.again(&relay).await?])
}

/// Sends a request, a byte a second. When it was ended, and what was said; none at the limit.
async fn handshake(address: &str, limit: Duration) -> Result<Option<(Duration, String)>> {
    let mut stream = TcpStream::connect(address).await?;
    let start = Instant::now();
    let request = frames::upgrade(address);
    let mut said = Vec::new();
    for byte in request {
        if start.elapsed() > limit {
            return Ok(None);
        }
        // A relay that has gone may be noticed by the write as well.
        let written = stream.write_all(&[byte]).await;
        let mut buffer = [0; 512];
        loop {
            match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut buffer)).await {
                Ok(Ok(n @ 1..)) => said.extend_from_slice(&buffer[..n]),
                Ok(_) => {
                    let said = String::from_utf8_lossy(&said);
                    let line = said.lines().next().unwrap_or("no word").to_owned();
                    return Ok(Some((start.elapsed(), line)));
                }
                Err(_) if written.is_err() => return Ok(Some((start.elapsed(), "a reset".to_owned()))),
                Err(_) => break,
            }
        }
    }
    bail!("the request is longer than the limit");
}

/// Opens a session quickly, sends a message of ten bytes slowly, and awaits its answer.
async fn session(address: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&frames::upgrade(address)).await?;
    let mut head = Vec::new();
    while frames::head_end(&head).is_none() {
        ensure!(stream.read_buf(&mut head).await? > 0, "no upgrade: {:?}", String::from_utf8_lossy(&head));
    }
    let (mut message, mut expected) = (Vec::new(), Vec::new());
    frames::push_masked(&mut message, frames::TEXT, b"slow");
    frames::push_unmasked(&mut expected, frames::TEXT, b"slow");
    for byte in message {
        stream.write_all(&[byte]).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut answer = vec![0; expected.len()];
    tokio::time::timeout(Duration::from_secs(10), stream.read_exact(&mut answer))
        .await
        .context("no answer")??;
    ensure!(answer == expected, "{answer:?} is not {expected:?}");
    Ok(())
}
