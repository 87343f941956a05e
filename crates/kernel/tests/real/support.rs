//! Sockets, namespaces, patience.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test is the report, outside the test functions as well"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mooring_kernel::{Connection, Namespace, Reader, ScanStats, Selector};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Whether this test may run; says why not.
pub fn root_with_ip(test: &str) -> bool {
    let reason = if !rustix::process::geteuid().is_root() {
        "it needs root"
    } else if Command::new("ip").arg("-V").output().is_err() {
        "it needs ip(8)"
    } else {
        return true;
    };
    println!("{test} skipped: {reason}");
    false
}

/// Everything a scan shows, by cookie.
pub fn scan(reader: &mut Reader, selector: &Selector) -> (BTreeMap<u64, Connection>, ScanStats) {
    let mut seen = BTreeMap::new();
    let stats = reader
        .scan(selector, &mut |connection| {
            assert!(seen.insert(connection.cookie, *connection).is_none(), "each once");
        })
        .expect("a scan");
    assert_eq!(stats.visited + stats.orphans, seen.len());
    (seen, stats)
}

pub fn own() -> Reader {
    Reader::open(Namespace::Own).expect("the own namespace can be read")
}

/// A connection: the dialled and the accepted end.
pub fn pair(listener: &TcpListener, to: SocketAddr) -> (TcpStream, TcpStream) {
    let dialled = TcpStream::connect(to).expect("connects");
    let (accepted, from) = listener.accept().expect("accepts");
    assert_eq!(from.port(), dialled.local_addr().unwrap().port());
    for end in [&dialled, &accepted] {
        end.set_nodelay(true).unwrap();
        end.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    (dialled, accepted)
}

pub fn cookie(socket: &TcpStream) -> u64 {
    rustix::net::sockopt::socket_cookie(socket).expect("a cookie")
}

/// Waits for a condition, and says what it waited for.
pub fn eventually<T>(what: &str, most: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < most, "{what}: not within {most:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("ip runs");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A network namespace with loopback up, removed when dropped.
pub struct Netns {
    pub name: String,
}

impl Netns {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mrk{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&format!("netns add {name}"));
        let made = Self { name };
        ip(&format!("-n {} link set lo up", made.name));
        made
    }

    pub fn path(&self) -> std::path::PathBuf {
        format!("/run/netns/{}", self.name).into()
    }

    /// Does something on a thread that is in this namespace; sockets made there stay there.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let file = std::fs::File::open(self.path()).expect("is there");
                    move_into_link_name_space(
                        std::os::fd::AsFd::as_fd(&file),
                        Some(LinkNameSpaceType::Network),
                    )
                    .expect("root may");
                    what()
                })
                .join()
                .expect("no panic inside")
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Not `ip()`: a panic while panicking would hide the first.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Two namespaces joined by a cable: 10.77.0.1 here, 10.77.0.2 there.
pub struct Cable {
    pub here: Netns,
    pub there: Netns,
}

impl Cable {
    pub fn new() -> Self {
        let (here, there) = (Netns::new(), Netns::new());
        ip(&format!("-n {} link add v0 type veth peer name v0 netns {}", here.name, there.name));
        for (side, host) in [(&here, 1), (&there, 2)] {
            ip(&format!("-n {} addr add 10.77.0.{host}/24 dev v0", side.name));
            ip(&format!("-n {} link set v0 up", side.name));
        }
        Self { here, there }
    }

    /// A connection over it: the end dialled from `there`, and the end accepted `here` on this port.
    pub fn connect(&self, port: u16) -> (TcpStream, TcpStream, TcpListener) {
        let address: SocketAddr = ([10, 77, 0, 1], port).into();
        let listener = self.here.inside(|| TcpListener::bind(address).expect("binds"));
        let dialled = self.there.inside(|| {
            eventually("the cable carries", Duration::from_secs(10), || {
                TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()
            })
        });
        let (accepted, _) = listener.accept().expect("accepts");
        (dialled, accepted, listener)
    }

    /// A narrow path in both directions, with a deep queue before it: 2 kB a second. What is sent in a burst waits there for
    /// seconds, what is sent alone does not. Whether tc(8) and the kernel could do it.
    pub fn narrow(&self) -> bool {
        let shape = "qdisc add dev v0 root tbf rate 16kbit burst 1600 limit 60000";
        [&self.here, &self.there].into_iter().all(|side| {
            let arguments = format!("-n {} {shape}", side.name);
            Command::new("tc")
                .args(arguments.split_whitespace())
                .status()
                .is_ok_and(|status| status.success())
        })
    }

    /// What the far end would answer is dropped there: packets from here arrive, and nothing comes back.
    pub fn swallow(&self) {
        ip(&format!("-n {} route add blackhole 10.77.0.1/32", self.there.name));
    }

    /// Pulls the far end out: the near interface has no carrier, and packets are dropped before they leave.
    pub fn pull(&self) {
        ip(&format!("-n {} link set v0 down", self.there.name));
    }
}
