//! Readers that do not read: their sessions are sent to until nobody takes more. What a relay has taken by then lies in
//! somebody's memory, and others go on meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mooring_tests::cost;
use mooring_tests::relay::{Kind, Relay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Holding, facts, fill};
use crate::relay::Options;
use crate::relay::crowd::{Crowd, Load, Sample, Shape};
use crate::relay::echo::Echo;
use crate::relay::frames;
use crate::stage::rest;
use crate::table::{bytes, part, time};

/// Readers that do not read.
const READERS: usize = 20;
/// Payload of what they are sent.
const SIZE: usize = 16_384;
/// Nothing taken for so long: nobody will take more.
const STUCK: Duration = Duration::from_secs(1);
/// More than all kernel buffers on the way together: taken by a relay, it would be in its memory.
const MOST: usize = 256 << 20;

/// Runs it.
pub async fn run(options: &Options, kinds: &[Kind]) -> Result<()> {
    let mut columns = Vec::new();
    for kind in kinds {
        columns.push(measure(options, *kind).await.with_context(|| kind.name())?);
    }
    let mut table = facts(kinds);
    let rows = [
        "taken per reader before it is held back (kernel buffers included)",
        "memory of the relay per reader",
        "100 others at 1,000/s: p99 before",
        "p99 while the readers do not read",
        "read in the end, byte for byte",
        "descriptors and memory",
    ];
    fill(&mut table, &rows, &columns);
    table.print(&format!("relay-faults: {READERS} clients send messages of {SIZE} B and read no answer"));
    Ok(())
}

async fn measure(options: &Options, kind: Kind) -> Result<Vec<String>> {
    let echo = Echo::start().await?;
    let relay = Relay::start_with(kind, &echo.address, &options.flags_of(kind)).await?;
    let pids = relay.pids();
    let before = Holding::of(&relay).await;
    let calm = others(options, &relay)?;

    rest().await;
    let rss = cost::rss(&pids);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(Reader::open(&relay.address).await?);
    }
    let mut taken = 0;
    for filling in futures_util::future::join_all(readers.iter_mut().map(Reader::fill)).await {
        taken += filling?;
    }
    let grown = cost::rss(&pids).saturating_sub(rss);
    let disturbed = others(options, &relay)?;

    let mut read = 0;
    for draining in futures_util::future::join_all(readers.iter_mut().map(Reader::drain)).await {
        read += draining?;
    }
    drop(readers);
    let p99 = |sample: &Sample| time(part(&sample.took, 0.99));
    Ok(vec![
        bytes(taken as f64 / READERS as f64),
        bytes(grown as f64 / READERS as f64),
        p99(&calm),
        p99(&disturbed),
        format!("{read} messages"),
        before.again(&relay).await?,
    ])
}

fn others(options: &Options, relay: &Relay) -> Result<Sample> {
    tokio::task::block_in_place(|| {
        let span = Duration::from_secs(if options.quick { 1 } else { 3 });
        let mut crowd = Crowd::open(&relay.address, 100)?;
        crowd.run(&Load { size: 64, shape: Shape::Paced(1_000.0), warm: span / 4, span }, || 0.0)
    })
}

/// A client that sends and does not read, and in the end reads all.
struct Reader {
    stream: TcpStream,
    message: Vec<u8>,
    answer: Vec<u8>,
    /// Bytes of messages that were taken.
    sent: usize,
}

impl Reader {
    async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        // Small, so that not all of it goes into the client's own memory.
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 64 << 10)?;
        let payload: Vec<u8> = (0..SIZE).map(|i| b'a' + (i % 26) as u8).collect();
        let (mut message, mut answer) = (Vec::new(), Vec::new());
        frames::push_masked(&mut message, frames::TEXT, &payload);
        frames::push_unmasked(&mut answer, frames::TEXT, &payload);
        let mut reader = Self { stream, message, answer, sent: 0 };
        reader.stream.write_all(&frames::upgrade(address)).await?;
        let mut head = Vec::new();
        while frames::head_end(&head).is_none() {
            let n = reader.stream.read_buf(&mut head).await?;
            ensure!(n > 0, "no upgrade: {:?}", String::from_utf8_lossy(&head));
        }
        Ok(reader)
    }

    /// Sends until nothing is taken any more; returns how many bytes were.
    async fn fill(&mut self) -> Result<usize> {
        loop {
            let at = self.sent % self.message.len();
            match tokio::time::timeout(STUCK, self.stream.write(&self.message[at..])).await {
                Ok(n) => self.sent += n?,
                Err(_) => return Ok(self.sent),
            }
            ensure!(self.sent < MOST, "a reader that does not read was sent {} MB", MOST >> 20);
        }
    }

    /// Sends the rest of the last message and reads all answers; returns how many.
    async fn drain(&mut self) -> Result<usize> {
        let whole = self.sent.div_ceil(self.message.len());
        let rest = whole * self.message.len() - self.sent;
        let rest = self.message[self.message.len() - rest..].to_vec();
        let (mut from, mut to) = self.stream.split();
        let writing = async { to.write_all(&rest).await.context("the rest of a message") };
        let reading = async {
            let mut answer = vec![0; self.answer.len()];
            for n in 0..whole {
                let one = tokio::time::timeout(Duration::from_secs(20), from.read_exact(&mut answer));
                one.await.with_context(|| format!("answer {n} of {whole} does not come"))??;
                ensure!(answer == self.answer, "answer {n} is not what was sent");
            }
            Ok(whole)
        };
        let start = Instant::now();
        let ((), read) =
            tokio::try_join!(writing, reading).with_context(|| format!("after {:?}", start.elapsed()))?;
        Ok(read)
    }
}
