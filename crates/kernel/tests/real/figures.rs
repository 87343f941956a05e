//! The figures against what was done to the connection.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test is the report, outside the test functions as well"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use mooring_kernel::judge::{Event, Judge, JudgeConfig, Kind};
use mooring_kernel::{Connection, Reader, Selector, TcpInfo, Timer};

use mooring_core::time::Mono;

use crate::support::{Cable, cookie, eventually, own, pair, root_with_ip, scan};

fn look(reader: &mut Reader, port: u16, cookie: u64) -> (Connection, TcpInfo) {
    let (seen, _) = scan(reader, &Selector::new().port(port));
    let found = seen[&cookie];
    (found, found.info.expect("has figures"))
}

#[test]
fn bytes_queues_and_times() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut dialled, mut accepted) = pair(&listener, address);
    let mut reader = own();
    let port = address.port();
    let name = cookie(&accepted);
    let (before, info) = look(&mut reader, port, name);
    assert_eq!((before.rqueue, before.wqueue), (0, 0));
    assert_eq!(info.bytes_received, Some(0));

    dialled.write_all(&[7; 12_345]).unwrap();
    let (found, info) = eventually("all has arrived", Duration::from_secs(5), || {
        Some(look(&mut reader, port, name)).filter(|(c, _)| c.rqueue == 12_345)
    });
    assert_eq!(info.bytes_received, Some(12_345));
    assert!(info.last_data_recv < 2_000);
    assert!(info.rtt.is_some_and(|rtt| rtt < 1_000_000) && info.total_retrans == 0);
    assert_eq!(found.uid, rustix::process::getuid().as_raw());

    accepted.read_exact(&mut [0; 12_345]).unwrap();
    accepted.write_all(&[1; 777]).unwrap();
    let acked = info.bytes_acked.expect("this kernel counts");
    let (found, after) = eventually("the answer is acknowledged", Duration::from_secs(5), || {
        Some(look(&mut reader, port, name)).filter(|(_, i)| i.bytes_acked == Some(acked + 777))
    });
    assert_eq!((found.rqueue, found.wqueue, after.unacked), (0, 0, 0));

    // Its clocks run: nothing more comes for three tenths of a second.
    let begun = Instant::now();
    let quiet = eventually("time passes", Duration::from_secs(5), || {
        Some(look(&mut reader, port, name).1).filter(|i| i.last_data_recv >= after.last_data_recv + 300)
    });
    let passed = u32::try_from(begun.elapsed().as_millis()).unwrap();
    assert!(quiet.last_data_recv <= after.last_data_recv + passed + 50);
    assert!(quiet.last_data_sent >= 250 && quiet.bytes_received == Some(12_345));
}

#[test]
fn a_peer_that_does_not_read_shuts_its_window() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (dialled, mut accepted) = pair(&listener, address);
    accepted.set_nonblocking(true).unwrap();
    let block = [0; 65_536];
    while accepted.write(&block).is_ok() {}
    let mut reader = own();
    let name = cookie(&accepted);
    let port = address.port();
    let config = JudgeConfig { peer_stalled: Duration::from_secs(1), ..JudgeConfig::default() };
    let mut judge = Judge::new(config);
    let begun = Instant::now();
    let finding = eventually("it is found stalled", Duration::from_secs(15), || {
        let (seen, stats) = scan(&mut reader, &Selector::new().port(port));
        let mut found = None;
        judge.begin(Mono(u64::try_from(begun.elapsed().as_micros()).unwrap()));
        let mut out = |event| {
            if let Event::Raised(finding) = event {
                found = Some(finding);
            }
        };
        seen.values().for_each(|c| judge.see(c, &mut out));
        judge.finish(stats.complete, &mut out);
        found
    });
    assert_eq!(finding.kind, Kind::PeerStalled, "{finding}");
    let info = finding.connection.info.unwrap();
    assert_eq!(finding.connection.timer, Timer::ZeroWindow);
    assert!(info.snd_wnd.is_some_and(|window| window < info.snd_mss));
    assert!(finding.connection.wqueue > 0);
    // The far end is the gateway that does not read, seen from its own port.
    let (seen, _) = scan(&mut reader, &Selector::new().port(dialled.local_addr().unwrap().port()));
    assert!(seen[&cookie(&dialled)].rqueue > 0);
    let (_, info) = look(&mut reader, port, name);
    assert!(info.rwnd_limited.is_some_and(|micros| micros > 0));
}

#[test]
fn half_open_when_nothing_comes_back() {
    if root_with_ip("half_open_when_nothing_comes_back") {
        let (tries, fresh) = half_open_within_its_limit(Cable::swallow);
        assert!(tries.is_sorted() && tries.last() > Some(&2), "sent again and again: {tries:?}");
        assert_eq!(fresh, [Kind::HalfOpen], "the doubled timeouts tell");
    }
}

#[test]
fn half_open_without_carrier() {
    if root_with_ip("half_open_without_carrier") {
        // Nothing leaves the host, so the kernel does not count it as sent again; the timeouts are there all the same.
        half_open_within_its_limit(Cable::pull);
    }
}

/// Round trips that jump between nothing and seconds, with retransmissions for that reason alone, are no outage, though they
/// come near the limit.
#[test]
fn delay_and_jitter_are_no_outage() {
    if !root_with_ip("delay_and_jitter_are_no_outage") {
        return;
    }
    let cable = Cable::new();
    let (mut dialled, mut accepted, _listener) = cable.connect(7003);
    if !cable.narrow() {
        println!("delay_and_jitter_are_no_outage skipped: it needs tc(8) and sch_tbf");
        return;
    }
    let name = cookie(&accepted);
    let mut reader = Reader::open(mooring_kernel::Namespace::AtPath(cable.here.path())).unwrap();
    let selector = Selector::new().port(7003);
    let interval = Duration::from_millis(200);
    let config = JudgeConfig { half_open: Duration::from_secs(3), interval, ..JudgeConfig::default() };
    let mut judge = Judge::new(config);
    let reads = std::thread::spawn(move || std::io::copy(&mut dialled, &mut std::io::sink()).unwrap());
    // What fills the path is another's, and on the far side: the acknowledgements wait behind it.
    let other = cable.there.inside(|| std::net::UdpSocket::bind("10.77.0.2:0").unwrap());
    let (begun, mut written) = (Instant::now(), 0);
    let (mut slowest, mut again, mut waited) = (0, 0, 0);
    for round in 0..60 {
        for _ in 0..if round % 20 == 5 { 4 } else { 0 } {
            other.send_to(&[0; 1_150], "10.77.0.1:9").unwrap();
        }
        accepted.write_all(b"a message").unwrap();
        written += b"a message".len();
        judge.begin(Mono(u64::try_from(begun.elapsed().as_micros()).unwrap()));
        let mut out = |event| panic!("nothing is wrong with it: {event:?}");
        let (seen, stats) = scan(&mut reader, &selector);
        let info = seen[&name].info.unwrap();
        (slowest, again) = (slowest.max(info.rtt.unwrap_or(0)), again.max(info.total_retrans));
        waited = waited.max(info.last_ack_recv);
        seen.values().for_each(|c| judge.see(c, &mut out));
        judge.finish(stats.complete, &mut out);
        std::thread::sleep(interval);
    }
    println!(
        "round trips up to {slowest} us, {again} sent again, up to {waited} ms without an acknowledgement"
    );
    assert!(
        slowest > 100_000 && waited > 1_000 && again > 0,
        "the path was slow: {slowest} {waited} {again}"
    );
    drop(accepted);
    assert_eq!(reads.join().unwrap(), u64::try_from(written).unwrap());
}

/// A path dies under a connection; it is found half open in time. Returns how retransmissions rose, and what a watcher that
/// begins only then makes of its first scan.
fn half_open_within_its_limit(fault: fn(&Cable)) -> (Vec<u32>, Vec<Kind>) {
    let cable = Cable::new();
    let (mut dialled, mut accepted, _listener) = cable.connect(7001);
    let (mut idle_far, mut idle, _second) = cable.connect(7002);
    for (a, b) in [(&mut dialled, &mut accepted), (&mut idle_far, &mut idle)] {
        a.write_all(b"hello").unwrap();
        b.read_exact(&mut [0; 5]).unwrap();
    }
    let mut reader = Reader::open(mooring_kernel::Namespace::AtPath(cable.here.path())).unwrap();
    let selector = Selector::new().port(7001).port(7002);
    let limit = Duration::from_secs(3);
    let interval = Duration::from_millis(500);
    let mut judge = Judge::new(JudgeConfig { half_open: limit, interval, ..JudgeConfig::default() });
    let begun = Instant::now();
    let mut pulled: Option<Instant> = None;
    let mut tries = Vec::new();
    let name = cookie(&accepted);
    let (finding, when) = eventually("the outage is found", Duration::from_secs(20), || {
        std::thread::sleep(interval / 2);
        let (seen, stats) = scan(&mut reader, &selector);
        let mut found = None;
        judge.begin(Mono(u64::try_from(begun.elapsed().as_micros()).unwrap()));
        let mut out = |event| {
            if let Event::Raised(finding) = event {
                found = Some(finding);
            }
        };
        seen.values().for_each(|c| judge.see(c, &mut out));
        judge.finish(stats.complete, &mut out);
        if pulled.is_none() && begun.elapsed() > Duration::from_secs(1) {
            assert!(found.is_none(), "well until now");
            fault(&cable);
            accepted.write_all(b"anybody there?").unwrap();
            pulled = Some(Instant::now());
        }
        tries.push(seen[&name].info.unwrap().total_retrans);
        found.map(|finding| (finding, Instant::now()))
    });
    let took = when - pulled.expect("pulled");
    assert_eq!((finding.kind, finding.connection.cookie), (Kind::HalfOpen, name), "{finding}");
    // The kernel's timers, from which it may be told, are a few hundredths of a second off.
    assert!(took > limit - interval / 5 && took < limit + 3 * interval, "{took:?}");
    assert_eq!(tries[0], 0);
    println!("half open after {took:?} with a limit of {limit:?}: {finding}");
    // The idle one beside it is not judged: nothing was asked of it.
    assert!(judge.view(cookie(&idle)).expect("known").findings.is_empty());
    let mut fresh = Judge::new(JudgeConfig { half_open: limit, interval, ..JudgeConfig::default() });
    let mut kinds = Vec::new();
    fresh.begin(Mono(0));
    for c in scan(&mut reader, &selector).0.values() {
        fresh.see(c, &mut |event| {
            if let Event::Raised(finding) = event {
                kinds.push(finding.kind);
            }
        });
    }
    (tries, kinds)
}
