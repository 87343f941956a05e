//! Short connections, one after the other: what is left behind by each shows after a million.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mooring_tests::cost;
use mooring_tests::relay::{Kind, Relay};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::{Holding, facts, fill};
use crate::relay::Options;
use crate::relay::echo::Echo;
use crate::relay::frames;
use crate::relay::report::number;
use crate::stage::rest;

/// Under way at once.
const AT_ONCE: usize = 64;
/// What `--full` asks for.
const MILLION: u64 = 1_000_000;

/// How long it goes on.
#[derive(Debug, Clone, Copy)]
enum Until {
    Time(Duration),
    Count(u64),
}

/// Runs it: ours for a minute or a million, the others for comparison for ten seconds.
pub async fn run(options: &Options, kinds: &[Kind]) -> Result<()> {
    let mut columns = Vec::new();
    for kind in kinds {
        let until = match kind {
            _ if options.quick => Until::Time(Duration::from_secs(2)),
            Kind::Mooring if options.full => Until::Count(MILLION),
            Kind::Mooring => Until::Time(Duration::from_secs(60)),
            _ => Until::Time(Duration::from_secs(10)),
        };
        columns.push(measure(options, *kind, until).await.with_context(|| kind.name())?);
    }
    let mut table = facts(kinds);
    let rows = [
        "connections, all answered and closed with 1000",
        "a second",
        "processor time of the relay each, µs",
        "memory after a quarter → at the end, MB",
        "descriptors and memory",
    ];
    fill(&mut table, &rows, &columns);
    table.print("relay-faults: short connections (handshake, one message of 64 B, Close)");
    Ok(())
}

async fn measure(options: &Options, kind: Kind, until: Until) -> Result<Vec<String>> {
    let echo = Echo::start().await?;
    let relay = Relay::start_with(kind, &echo.address, &options.flags_of(kind)).await?;
    let pids = relay.pids();
    let before = Holding::of(&relay).await;
    let ran = cost::ran(&pids);
    let start = Instant::now();
    // In two parts: allocators and tables reach their size in the first.
    let (first, second) = match until {
        Until::Time(time) => (Until::Time(time / 4), Until::Time(time * 3 / 4)),
        Until::Count(n) => (Until::Count(n / 4), Until::Count(n - n / 4)),
    };
    let mut count = tokio::task::block_in_place(|| churn(&relay.address, first))?;
    let mut seconds = start.elapsed().as_secs_f64();
    rest().await;
    let early = cost::rss(&pids);
    let again = Instant::now();
    count += tokio::task::block_in_place(|| churn(&relay.address, second))?;
    seconds += again.elapsed().as_secs_f64();
    let each = (cost::ran(&pids) - ran) as f64 / count as f64 / 1e3;
    rest().await;
    let late = cost::rss(&pids);
    Ok(vec![
        number(count as f64),
        number(count as f64 / seconds),
        number(each),
        format!("{:.1} → {:.1}", early as f64 / 1e6, late as f64 / 1e6),
        before.again(&relay).await?,
    ])
}

/// One connection after another, some at once.
fn churn(address: &str, until: Until) -> Result<u64> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let request = frames::upgrade(address);
    let mut words = Vec::new();
    frames::push_masked(&mut words, frames::TEXT, &[b'x'; 64]);
    frames::push_masked(&mut words, frames::CLOSE, &1_000u16.to_be_bytes());
    let mut expected = Vec::new();
    frames::push_unmasked(&mut expected, frames::TEXT, &[b'x'; 64]);
    frames::push_unmasked(&mut expected, frames::CLOSE, &1_000u16.to_be_bytes());

    let mut slots: Vec<Option<(TcpStream, Vec<u8>, bool)>> = (0..AT_ONCE).map(|_| None).collect();
    let mut events = Vec::with_capacity(AT_ONCE);
    let mut buffer = vec![0; 4_096];
    let (start, mut begun, mut done) = (Instant::now(), 0u64, 0u64);
    let mut last = start;
    loop {
        let over = match until {
            Until::Time(time) => start.elapsed() >= time,
            Until::Count(n) => begun >= n,
        };
        if over && done == begun {
            return Ok(done);
        }
        for at in (0..AT_ONCE).filter(|_| !over) {
            if slots[at].is_some() {
                continue;
            }
            if matches!(until, Until::Count(n) if begun >= n) {
                break;
            }
            let mut stream = TcpStream::connect(address).context("connecting")?;
            stream.set_nodelay(true)?;
            stream.write_all(&request)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(at as u64), EventFlags::IN)?;
            slots[at] = Some((stream, Vec::new(), false));
            begun += 1;
        }
        events.clear();
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&second)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        ensure!(last.elapsed() < Duration::from_secs(20), "{} connections wait for 20 s", begun - done);
        for event in &events {
            let at = event.data.u64() as usize;
            let Some((stream, heard, open)) = slots[at].as_mut() else { continue };
            match stream.read(&mut buffer) {
                Ok(n @ 1..) => heard.extend_from_slice(&buffer[..n]),
                Ok(_) => {
                    ensure!(*open && *heard == expected, "ended with {:?}", String::from_utf8_lossy(heard));
                    slots[at] = None;
                    done += 1;
                    last = Instant::now();
                    continue;
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(e) => return Err(e).context("receiving"),
            }
            if !*open && let Some(end) = frames::head_end(heard) {
                ensure!(
                    heard.starts_with(b"HTTP/1.1 101"),
                    "no upgrade: {:?}",
                    String::from_utf8_lossy(heard)
                );
                heard.drain(..end);
                *open = true;
                // So few bytes always find room in a new socket.
                stream.write_all(&words)?;
            }
        }
    }
}
