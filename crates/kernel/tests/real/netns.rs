//! Other network namespaces, without moving.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use mooring_kernel::{Namespace, OpenError, Reader, Selector};

use crate::support::{Netns, cookie, own, root_with_ip, scan};

#[test]
fn by_path_and_by_process() {
    if !root_with_ip("by_path_and_by_process") {
        return;
    }
    let netns = Netns::new();
    let before = std::fs::read_link("/proc/self/ns/net").unwrap();
    let (listener, dialled, accepted) = netns.inside(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = listener.accept().unwrap().0;
        (listener, dialled, accepted)
    });
    let address: SocketAddr = listener.local_addr().unwrap();
    let selector = Selector::new().port(address.port());
    let (seen, _) = scan(&mut own(), &selector);
    assert!(!seen.contains_key(&cookie(&accepted)), "not in this namespace");

    let mut there = Reader::open(Namespace::AtPath(netns.path())).expect("root may");
    let (seen, stats) = scan(&mut there, &selector);
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), [cookie(&accepted)]);
    assert_eq!(stats.listeners.len(), 1);

    // `ip netns exec` becomes the command it is given: its id is the command's, once that is in.
    let mut child = Command::new("ip")
        .args(["netns", "exec", &netns.name, "sh", "-c", "echo in; read -r _"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    let mut same = Reader::open(Namespace::OfProcess(child.id())).expect("root may");
    drop(child.stdin.take());
    child.wait().unwrap();
    // The reader stays in it, though the process has ended.
    assert_eq!(scan(&mut same, &selector).0.into_keys().collect::<Vec<_>>(), [cookie(&accepted)]);

    assert_eq!(std::fs::read_link("/proc/self/ns/net").unwrap(), before, "this process has not moved");
    drop((dialled, accepted));
}

#[test]
fn what_is_not_there() {
    for namespace in
        [Namespace::OfProcess(u32::MAX), Namespace::AtPath("/run/netns/no-such-mooring-netns".into())]
    {
        let error = Reader::open(namespace).expect_err("there is none");
        assert!(matches!(error, OpenError::Gone(_)), "{error}");
        assert!(error.to_string().contains("no such namespace"));
    }
    // A file that is no namespace.
    let error = Reader::open(Namespace::AtPath("/proc/self/status".into())).expect_err("is none");
    assert!(matches!(error, OpenError::Other(..)), "{error}");
    // Our own by way of /proc, which takes no privilege.
    Reader::open(Namespace::OfProcess(std::process::id())).expect("is here");
}
