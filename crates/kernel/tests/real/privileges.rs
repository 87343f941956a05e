//! Without privileges it says what is missing, and does nothing.

use std::io::{Read, Write};
use std::net::TcpListener;

use mooring_kernel::{Ability, CutError, Namespace, OpenError, Reader, Selector, Target, capabilities};
use rustix::thread::{CapabilitySet, capabilities as held, set_capabilities};

use crate::support::{Netns, cookie, own, pair, root_with_ip, scan};

/// Does something on a thread that has given up these capabilities (they are each thread's own).
fn without<T: Send>(given_up: CapabilitySet, what: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let mut sets = held(None).expect("can be read");
                sets.effective -= given_up;
                set_capabilities(None, sets).expect("less is always allowed");
                what()
            })
            .join()
            .expect("no panic inside")
    })
}

#[test]
fn root_can_everything() {
    if !root_with_ip("root_can_everything") {
        return;
    }
    let can = capabilities();
    assert_eq!((&can.read, &can.tcp_info), (&Ability::Yes, &Ability::Yes));
    assert_eq!(can.enter_namespaces, Ability::Yes);
    assert_eq!(can.destroy, Ability::Yes, "where the kernel has CONFIG_INET_DIAG_DESTROY");
}

#[test]
fn not_allowed_to_cut() {
    if !root_with_ip("not_allowed_to_cut") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut dialled, mut accepted) = pair(&listener, address);
    let selector = Selector::new().port(address.port());
    without(CapabilitySet::NET_ADMIN, || {
        let mut reader = own();
        let (seen, _) = scan(&mut reader, &selector);
        let target = Target::from(&seen[&cookie(&accepted)]);
        let error = reader.cut(&target, &selector).expect_err("not allowed");
        assert!(matches!(error, CutError::NotAllowed), "{error}");
        let can = capabilities();
        assert_eq!((can.read, can.tcp_info), (Ability::Yes, Ability::Yes), "reading takes no privilege");
        assert!(matches!(can.destroy, Ability::No(why) if why.contains("CAP_NET_ADMIN")));
    });
    dialled.write_all(b"alive").unwrap();
    accepted.read_exact(&mut [0; 5]).unwrap();
}

#[test]
fn not_allowed_to_enter() {
    if !root_with_ip("not_allowed_to_enter") {
        return;
    }
    let netns = Netns::new();
    without(CapabilitySet::SYS_ADMIN, || {
        let error = Reader::open(Namespace::AtPath(netns.path())).expect_err("not allowed");
        assert!(matches!(error, OpenError::MayNotEnter(..)), "{error}");
        assert!(error.to_string().contains("CAP_SYS_ADMIN"), "{error}");
        assert!(matches!(capabilities().enter_namespaces, Ability::No(why) if why.contains("CAP_SYS_ADMIN")));
        own();
    });
}
