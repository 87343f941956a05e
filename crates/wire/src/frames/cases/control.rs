//! Pings and pongs.

use super::super::{Sender, ViolationKind};
use super::{CONT, Case, FIN, PING, PONG, RSV1, TEXT, wide, wider};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in [0_usize, 1, 4, 5, 16, 124, 125] {
        let payload: Vec<u8> = (0..len).map(|i| 0xff - i as u8).collect();
        cases.extend(Case::both(&format!("control/length/{len}"), |case| {
            case.frame(FIN | PING, &payload).frame(FIN | PONG, &payload).ping(&payload).pong(&payload)
        }));
    }
    for len in [126_usize, 127, 65_535, 65_536] {
        cases.extend(Case::both(&format!("control/too-long/{len}"), |case| {
            case.frame(FIN | PING, &vec![1; len])
                .frame(FIN | TEXT, b"next")
                .broken(0, ViolationKind::ControlTooLong)
                .text(4)
        }));
    }
    cases.extend(Case::both("control/fragmented", |case| {
        case.frame(PING, b"a")
            .frame(FIN | CONT, b"b")
            .frame(FIN | PONG, b"c")
            .broken(0, ViolationKind::FragmentedControl)
            .broken(1, ViolationKind::ContinuationWithoutStart)
            .pong(b"c")
    }));
    cases.extend(Case::both("control/fragmented-and-too-long", |case| {
        case.frame(PONG, &[0; 200])
            .broken(0, ViolationKind::FragmentedControl)
            .broken(0, ViolationKind::ControlTooLong)
    }));
    cases.extend(Case::both("control/long-form", |case| {
        let masked = case.sender == Sender::Client;
        case.raw(FIN | PING, masked, wide(3), b"abc")
            .raw(FIN | PONG, masked, wider(3), b"abc")
            .broken(0, ViolationKind::NonMinimalLength)
            .ping(b"abc")
            .broken(1, ViolationKind::NonMinimalLength)
            .pong(b"abc")
    }));
    cases.extend(Case::both("control/compressed", |case| {
        case.with_deflate().frame(FIN | RSV1 | PING, b"").broken(0, ViolationKind::ReservedBits).ping(b"")
    }));
    cases.extend(Case::both("control/unsolicited-pong", |case| {
        case.frame(FIN | PONG, b"hello").pong(b"hello")
    }));
    cases.extend(Case::both("control/storm", |case| {
        (0..1000_u16).fold(case, |case, i| case.frame(FIN | PING, &i.to_be_bytes()).ping(&i.to_be_bytes()))
    }));
    cases.extend(Case::both("control/storm-in-a-message", |case| {
        let case = case.frame(TEXT, b"begin");
        (0..200).fold(case, |case, _| case.frame(FIN | PING, b"").ping(b"")).frame(FIN | CONT, b"end").text(8)
    }));
    cases
}
