//! One connection is cut, and no other.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test is the report, outside the test functions as well"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use mooring_kernel::{Ability, CutError, Process, Reader, Refusal, Selector, State, Target, capabilities};

use crate::support::{cookie, eventually, own, pair, scan};

/// Whether cutting is possible here; says why not.
fn can_cut(test: &str) -> bool {
    match capabilities().destroy {
        Ability::Yes => true,
        why => {
            println!("{test} skipped: cutting is not possible here: {why}");
            false
        }
    }
}

fn target(reader: &mut Reader, selector: &Selector, end: &TcpStream) -> Target {
    Target::from(&scan(reader, selector).0[&cookie(end)])
}

fn still_works(a: &mut TcpStream, b: &mut TcpStream) {
    let mut buffer = [0; 4];
    a.write_all(b"ping").unwrap();
    b.read_exact(&mut buffer).unwrap();
    b.write_all(b"pong").unwrap();
    a.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"pong");
}

#[test]
fn a_client_in_read_is_woken_and_the_others_live() {
    if !can_cut("a_client_in_read_is_woken_and_the_others_live") {
        return;
    }
    for (bind, to) in [
        ("127.0.0.1:0", [127, 0, 0, 1].into()),
        ("[::]:0", [127, 0, 0, 1].into()),
        ("[::1]:0", "::1".parse::<std::net::IpAddr>().unwrap()),
    ] {
        let listener = TcpListener::bind(bind).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut pairs: Vec<_> = (0..3).map(|_| pair(&listener, (to, port).into())).collect();
        let (mut client, mut server) = pairs.remove(1);
        let selector = Selector::new().port(port);
        let mut reader = own();
        let target = target(&mut reader, &selector, &server);
        let (woken, wait) = mpsc::channel();
        let blocked = std::thread::spawn(move || {
            let result = client.read(&mut [0; 8]);
            woken.send(result.map_err(|error| error.kind())).unwrap();
        });
        let cut = reader.cut(&target, &selector).expect("is cut");
        assert_eq!(cut.connection.state, State::Established);
        let result = wait.recv_timeout(Duration::from_secs(5)).expect("woken");
        assert_eq!(result, Err(ErrorKind::ConnectionReset), "the far end gets a reset");
        blocked.join().unwrap();
        let near = server.read(&mut [0; 8]).expect_err("the near end is told").kind();
        assert_eq!(near, ErrorKind::ConnectionAborted);
        for (dialled, accepted) in &mut pairs {
            still_works(dialled, accepted);
        }
        assert_eq!(scan(&mut reader, &selector).0.len(), 2);
        // Again: it is gone, and it says so.
        let error = reader.cut(&target, &selector).expect_err("gone");
        assert!(matches!(error, CutError::Gone(_)), "{error}");
        // The gateway still listens.
        still_works_anew(&listener, (to, port).into());
    }
}

fn still_works_anew(listener: &TcpListener, to: std::net::SocketAddr) {
    let (mut a, mut b) = pair(listener, to);
    still_works(&mut a, &mut b);
}

#[test]
fn what_is_not_the_gateways_is_refused() {
    if !can_cut("what_is_not_the_gateways_is_refused") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut dialled, mut accepted) = pair(&listener, address);
    let selector = Selector::new().port(address.port());
    let mut reader = own();
    let good = target(&mut reader, &selector, &accepted);
    let refusal = |result: Result<_, CutError>| match result {
        Err(CutError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    };
    let other_port = Selector::new().port(address.port() ^ 1);
    assert_eq!(refusal(reader.cut(&good, &other_port)), Refusal::OtherAddresses);
    let other_peer = selector.clone().remote("192.0.2.1".parse().unwrap());
    assert_eq!(refusal(reader.cut(&good, &other_peer)), Refusal::OtherAddresses);
    assert_eq!(refusal(reader.cut(&good, &Selector::new())), Refusal::NoGuard);
    // Another process, which holds it not.
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let theirs = selector.clone().process(Process::of(child.id()).unwrap());
    assert_eq!(refusal(reader.cut(&good, &theirs)), Refusal::OtherProcess);
    child.kill().unwrap();
    child.wait().unwrap();
    let error = reader.cut(&good, &theirs).expect_err("the process is gone");
    assert!(matches!(error, CutError::HolderUnknown { .. }), "{error}");
    still_works(&mut dialled, &mut accepted);
    // Ours: that it is.
    let ours = selector.clone().process(Process::of(std::process::id()).unwrap());
    reader.cut(&good, &ours).expect("we hold it");

    // A connection nobody has accepted: the process does not hold it; by port it is the gateway's.
    let mut waiting = TcpStream::connect(address).unwrap();
    let (seen, _) = scan(&mut reader, &selector);
    let unaccepted = seen.values().find(|c| c.inode == 0 && c.state == State::Established).expect("is there");
    assert_eq!(refusal(reader.cut(&unaccepted.into(), &ours)), Refusal::OtherProcess);
    waiting.write_all(b"x").unwrap();
}

#[test]
fn a_listener_and_the_past_are_refused() {
    if !can_cut("a_listener_and_the_past_are_refused") {
        return;
    }
    use rustix::net::sockopt::socket_cookie;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let selector = Selector::new().port(address.port());
    let mut reader = own();
    // Its very cookie and addresses, as nobody would get them from a scan.
    let named = Target::new(
        socket_cookie(&listener).unwrap(),
        mooring_kernel::Family::V4,
        address,
        ([0, 0, 0, 0], 0).into(),
        0,
    );
    let error = reader.cut(&named, &selector).expect_err("refused");
    assert!(matches!(error, CutError::Refused { refusal: Refusal::State(State::Listen), .. }), "{error}");
    // A connection that has closed in order, here first: only TIME-WAIT is left.
    let (dialled, accepted) = pair(&listener, address);
    let past = target(&mut reader, &selector, &accepted);
    drop(accepted);
    drop(dialled);
    let error = eventually("it is past", Duration::from_secs(5), || {
        reader
            .cut(&past, &selector)
            .err()
            .filter(|_| scan(&mut own(), &selector).0.values().all(|c| c.state == State::TimeWait))
    });
    assert!(
        matches!(
            error,
            CutError::Gone(_) | CutError::Refused { refusal: Refusal::State(State::TimeWait), .. }
        ),
        "{error}"
    );
    // The same addresses, another cookie: a connection that took its place.
    let (mut dialled, mut accepted) = pair(&listener, address);
    let (seen, _) = scan(&mut reader, &selector);
    let c = seen[&cookie(&accepted)];
    let stale = Target::new(c.cookie ^ 1, c.family, c.local, c.remote, c.interface);
    assert!(matches!(reader.cut(&stale, &selector), Err(CutError::Gone(_))));
    still_works(&mut dialled, &mut accepted);
    still_works_anew(&listener, address);
}
