//! What a scan costs, with several thousand connections. A test binary of its own: it takes most of the descriptors.

#![cfg(target_os = "linux")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use mooring_core::time::Mono;
use mooring_kernel::judge::{Judge, JudgeConfig};
use mooring_kernel::{Namespace, Process, Reader, Remote, Selector};

/// Processor time of this thread, from the scheduler.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the scheduler counts");
    Duration::from_nanos(text.split_whitespace().next().expect("first field").parse().expect("nanoseconds"))
}

fn main_pairs(listener: &TcpListener, address: SocketAddr, count: usize) -> Vec<(TcpStream, TcpStream)> {
    (0..count)
        .map(|_| (TcpStream::connect(address).expect("connects"), listener.accept().expect("accepts").0))
        .collect()
}

#[test]
fn thousands_in_a_few_milliseconds() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = usize::try_from(limit.min(20_000).saturating_sub(500) / 2).expect("fits").min(9_000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _pairs = main_pairs(&listener, address, count);
    let mut reader = Reader::open(Namespace::Own).unwrap();
    let me = Process::of(std::process::id()).unwrap();
    let by_port = Selector::new().port(address.port());
    let by_peer = Selector::new().remote(Remote::exactly(address));
    let by_process = Selector::new().port(address.port()).process(me);
    for (name, selector) in [("port", &by_port), ("remote", &by_peer), ("process", &by_process)] {
        let mut judge = Judge::new(JudgeConfig::default());
        let begun = Instant::now();
        let mut spent = Duration::ZERO;
        let mut first = Duration::ZERO;
        let rounds = 20u32;
        for round in 0..=rounds {
            let before = cpu();
            judge.begin(Mono(u64::from(round) * 2_000_000));
            let stats = reader
                .scan(selector, &mut |c| judge.see(c, &mut |event| panic!("all are well: {event:?}")))
                .expect("a scan");
            let report = judge.finish(stats.complete, &mut |event| panic!("none ended: {event:?}"));
            assert_eq!(
                (stats.visited, report.open, stats.complete),
                (count, count, true),
                "{name}: {stats:?}"
            );
            let took = cpu() - before;
            if round == 0 { first = took } else { spent += took }
        }
        let per_10k = |d: Duration| d.as_secs_f64() * 1e3 * 10_000.0 / count as f64;
        println!(
            "{name}: {count} connections of {}: {:.1} ms processor time per 10,000 and scan (judge included; the first {:.1} \
             ms), {:.0} bytes remembered of each, wall {:?} for {} scans",
            2 * count,
            per_10k(spent / rounds),
            per_10k(first),
            judge.memory() as f64 / count as f64,
            begun.elapsed(),
            rounds + 1
        );
        // Measured far below; unoptimised and on a busy machine it must still be nothing next to two seconds.
        assert!(per_10k(spent / rounds) < 400.0);
    }
}
