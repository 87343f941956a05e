//! Exactly the right sockets, among others.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test is the report, outside the test functions as well"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mooring_kernel::{Family, Process, Remote, ScanError, Selector, State};

use crate::support::{cookie, eventually, own, pair, scan};

#[test]
fn by_port_and_by_remote() {
    let mine = TcpListener::bind("127.0.0.1:0").unwrap();
    let also = TcpListener::bind("127.0.0.2:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = |l: &TcpListener| l.local_addr().unwrap();
    let pairs: Vec<_> = (0..5).map(|_| pair(&mine, address(&mine))).collect();
    let (_far, near) = pair(&also, address(&also));
    let _noise: Vec<_> = (0..5).map(|_| pair(&other, address(&other))).collect();
    let mut reader = own();

    let one_port = Selector::new().port(address(&mine).port());
    let (seen, stats) = scan(&mut reader, &one_port);
    let expected: Vec<u64> = pairs.iter().map(|(_, accepted)| cookie(accepted)).collect();
    assert_eq!(
        seen.keys().copied().collect::<std::collections::BTreeSet<_>>(),
        expected.into_iter().collect()
    );
    assert!(stats.complete);
    for (dialled, accepted) in &pairs {
        let found = &seen[&cookie(accepted)];
        assert_eq!(found.local, accepted.local_addr().unwrap());
        assert_eq!(found.remote, dialled.local_addr().unwrap());
        assert_eq!((found.family, found.state), (Family::V4, State::Established));
        assert!(found.inode != 0 && !found.orphan);
    }

    let two_ports = one_port.clone().port(address(&also).port());
    let (seen, _) = scan(&mut reader, &two_ports);
    assert_eq!(seen.len(), 6);
    assert!(seen.contains_key(&cookie(&near)));

    // The dialling ends, by where they go.
    let (seen, stats) = scan(&mut reader, &Selector::new().remote(Remote::exactly(address(&mine))));
    assert_eq!(seen.len(), 5);
    assert!(pairs.iter().all(|(dialled, _)| seen.contains_key(&cookie(dialled))));
    assert_eq!(stats.others, 0, "the kernel left them out already");
    let net: Remote = format!("127.0.0.2/32:{}", address(&also).port()).parse().unwrap();
    assert_eq!(scan(&mut reader, &Selector::new().remote(net)).0.len(), 1);

    // Both: the accepted end whose peer is that one.
    let peer = Remote::exactly(pairs[3].0.local_addr().unwrap());
    let (seen, _) = scan(&mut reader, &one_port.clone().remote(peer));
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), [cookie(&pairs[3].1)]);
    let nobody = Selector::new().port(address(&other).port()).remote(peer);
    assert!(scan(&mut reader, &nobody).0.is_empty());
}

#[test]
fn ipv6_and_v4_behind_it() {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let v6 = pair(&listener, ([0, 0, 0, 0, 0, 0, 0, 1], port).into());
    let mapped = pair(&listener, ([127, 0, 0, 1], port).into());
    let mut reader = own();
    let (seen, stats) = scan(&mut reader, &Selector::new().port(port));
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[&cookie(&v6.1)].remote, v6.0.local_addr().unwrap());
    // The kernel's socket is v6, but the addresses are what they stand for.
    let found = &seen[&cookie(&mapped.1)];
    assert_eq!((found.family, found.remote), (Family::V6, mapped.0.local_addr().unwrap()));
    assert_eq!(found.local, SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(stats.listeners.len(), 1);
    assert_eq!(stats.listeners[0].family, Family::V6);
    // Chosen by the v4 address, in the kernel's filter as well.
    let v4 = Remote::exactly(mapped.0.local_addr().unwrap());
    let (seen, _) = scan(&mut reader, &Selector::new().port(port).remote(v4));
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), [cookie(&mapped.1)]);
    let loopback6: Remote = "::1".parse().unwrap();
    let (seen, _) = scan(&mut reader, &Selector::new().port(port).remote(loopback6));
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), [cookie(&v6.1)]);
}

#[test]
fn listeners_and_what_waits_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let selector = Selector::new().port(address.port());
    let mut reader = own();
    let dialled: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let (seen, stats) = eventually("three wait", Duration::from_secs(5), || {
        Some(scan(&mut reader, &selector))
            .filter(|(_, stats)| stats.listeners.first().is_some_and(|l| l.waiting == 3))
    });
    assert_eq!((stats.listeners[0].local, stats.listeners.len()), (address, 1));
    assert!(stats.listeners[0].backlog >= 3);
    assert_eq!(seen.len(), 3);
    assert!(seen.values().all(|c| c.inode == 0), "nobody has accepted them");
    drop((listener, dialled));
    let (_, stats) = scan(&mut reader, &selector);
    assert!(stats.listeners.is_empty(), "nobody listens");
}

/// A process that dials and holds the connection until its standard input ends.
fn dialler(to: SocketAddr, nested: bool) -> Child {
    let dial = format!("exec 3<>/dev/tcp/{}/{}; echo up; read -r _", to.ip(), to.port());
    let command = if nested { format!("bash -c '{dial}' <&0 & wait") } else { dial };
    let mut child = Command::new("bash")
        .args(["-c", &command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash runs");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    child
}

#[test]
fn by_process() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut one = dialler(address, false);
    let (_one_end, from_one) = listener.accept().unwrap();
    let mut two = dialler(address, true);
    let (_two_end, from_two) = listener.accept().unwrap();
    let mut reader = own();
    let of = |child: &Child| Process::of(child.id()).expect("it runs");
    let dialled = |from: SocketAddr| {
        move |seen: &std::collections::BTreeMap<u64, mooring_kernel::Connection>| {
            // Those that nobody holds are other tests' remains.
            let held: Vec<_> = seen.values().filter(|c| !c.orphan).collect();
            held.len() == 1 && held.iter().all(|c| c.local == from && c.remote == address)
        }
    };
    let (seen, stats) = scan(&mut reader, &Selector::new().process(of(&one)));
    assert!(dialled(from_one)(&seen));
    assert!(stats.complete && stats.others > 0, "others were looked at and left out");
    // A second look knows them already, and a new connection of ours is not theirs.
    let noise = pair(&listener, address);
    assert!(dialled(from_one)(&scan(&mut reader, &Selector::new().process(of(&one))).0));
    drop(noise);

    let shell = of(&two);
    let (seen, _) = scan(&mut reader, &Selector::new().process(shell));
    assert!(seen.values().all(|c| c.orphan), "the shell's child dialled, not the shell");
    let (seen, _) = scan(&mut reader, &Selector::new().process(shell.with_descendants()));
    assert!(dialled(from_two)(&seen));

    let gone = of(&one);
    for child in [&mut one, &mut two] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    let error = reader.scan(&Selector::new().process(gone), &mut |_| {}).expect_err("it has ended");
    assert!(error.to_string().contains("is gone"), "{error}");
}

#[test]
fn connections_opened_later_are_found_and_the_closed_ones_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let me = Process::of(std::process::id()).unwrap();
    // By process and by far end, for other tests run in this process too.
    let selector = Selector::new().process(me).remote(Remote::exactly(address));
    let mut reader = own();
    let first = pair(&listener, address);
    assert!(scan(&mut reader, &selector).0.contains_key(&cookie(&first.0)));
    let second = pair(&listener, address);
    // Looking who holds it may wait for its turn.
    eventually("the second is attributed", Duration::from_secs(10), || {
        scan(&mut reader, &selector).0.contains_key(&cookie(&second.0)).then_some(())
    });
    // Closed by its process, the kernel goes on: nobody holds it, but its cookie is known.
    let known = cookie(&first.0);
    drop(first.0);
    let mut until = |state| {
        eventually("closing", Duration::from_secs(10), || {
            let (seen, stats) = scan(&mut reader, &selector);
            // A child another test is just starting may hold it for a moment more.
            seen.get(&known).filter(|c| c.orphan && c.state == state && stats.orphans == 1).map(|_| ())
        });
    };
    until(State::FinWait2);
    drop(first.1);
    // The same cookie to the very end.
    until(State::TimeWait);
}

#[test]
fn bounded_and_nothing_selected() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut pairs: Vec<_> = (0..10).map(|_| pair(&listener, address)).collect();
    let mut reader = own().max_connections(4);
    let (seen, stats) = scan(&mut reader, &Selector::new().port(address.port()));
    assert_eq!((seen.len(), stats.left_out, stats.complete), (4, 6, false));
    let error = reader.scan(&Selector::new(), &mut |_| panic!("nothing is selected")).expect_err("refused");
    assert!(matches!(error, ScanError::NothingSelected));
    assert!(pairs.iter_mut().all(|(dialled, _)| dialled.write_all(b"well").is_ok()));
}
