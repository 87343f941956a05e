//! Close frames: every class of code, and the malformed ones.

use super::super::ViolationKind;
use super::{CLOSE, CONT, Case, FIN, PING, TEXT};

/// Codes that may be sent (RFC 6455 §7.4.1, the IANA registry, §7.4.2).
const GOOD: [u16; 16] =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
/// Codes that may not.
const BAD: [u16; 16] =
    [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 32_768, 49_151, 65_535];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Case::both("close/empty", |case| case.frame(FIN | CLOSE, b"").close(None, b""));
    cases.extend(Case::both("close/half-a-code", |case| {
        case.frame(FIN | CLOSE, b"\x03").broken(0, ViolationKind::CloseTruncated).close(None, b"")
    }));
    for code in GOOD {
        let payload = code.to_be_bytes();
        cases.extend(Case::both(&format!("close/code/{code}"), |case| {
            case.frame(FIN | CLOSE, &payload).close(Some(code), b"")
        }));
    }
    for code in BAD {
        let payload = code.to_be_bytes();
        cases.extend(Case::both(&format!("close/code/{code}"), |case| {
            case.frame(FIN | CLOSE, &payload).broken(0, ViolationKind::CloseCode).close(Some(code), b"")
        }));
    }
    let with = |reason: &[u8]| [b"\x03\xe8", reason].concat();
    let longest = "é".repeat(61) + "x";
    for (name, reason) in [("short", "Goodbye"), ("unicode", "tschüß 👋"), ("longest", &longest)] {
        cases.extend(Case::both(&format!("close/reason/{name}"), |case| {
            case.frame(FIN | CLOSE, &with(reason.as_bytes())).close(Some(1000), reason.as_bytes())
        }));
    }
    let broken: [(&str, &[u8]); 4] = [
        ("stray", b"\xff"),
        ("cut", b"caf\xc3"),
        ("surrogate", b"\xed\xa0\x80"),
        ("in-the-middle", b"a\xc0b"),
    ];
    for (name, reason) in broken {
        cases.extend(Case::both(&format!("close/reason/utf8/{name}"), |case| {
            case.frame(FIN | CLOSE, &with(reason))
                .broken(0, ViolationKind::CloseReasonUtf8)
                .close(Some(1000), reason)
        }));
    }
    cases.extend(Case::both("close/code-and-reason-bad", |case| {
        case.frame(FIN | CLOSE, b"\x03\xee\xff")
            .broken(0, ViolationKind::CloseCode)
            .broken(0, ViolationKind::CloseReasonUtf8)
            .close(Some(1006), b"\xff")
    }));
    cases.extend(Case::both("close/too-long", |case| {
        case.frame(FIN | CLOSE, &with(&[b'x'; 124])).broken(0, ViolationKind::ControlTooLong)
    }));
    cases.extend(Case::both("close/fragmented", |case| {
        case.frame(CLOSE, b"\x03\xe8").broken(0, ViolationKind::FragmentedControl)
    }));
    cases.extend(after());
    cases
}

/// What comes after a Close. Endpoints stop reading there, so whether they take it is not asked (`refused`).
fn after() -> Vec<Case> {
    let closed = |case: Case| case.frame(FIN | CLOSE, b"\x03\xe8").close(Some(1000), b"");
    let mut cases = Case::both("close/then/data", |case| {
        closed(case).frame(FIN | TEXT, b"late").broken(1, ViolationKind::DataAfterClose).text(4)
    });
    cases.extend(Case::both("close/then/rest-of-message", |case| {
        closed(case.frame(TEXT, b"a"))
            .frame(FIN | CONT, b"b")
            .broken(2, ViolationKind::DataAfterClose)
            .text(2)
    }));
    cases.extend(Case::both("close/then/reserved-opcodes", |case| {
        closed(case)
            .frame(FIN | 3, b"data")
            .frame(FIN | 11, b"control")
            .broken(1, ViolationKind::DataAfterClose)
            .broken(1, ViolationKind::ReservedOpcode)
            .broken(2, ViolationKind::ReservedOpcode)
    }));
    cases.extend(Case::both("close/then/ping", |case| {
        closed(case).frame(FIN | PING, b"").ping(b"").refused()
    }));
    cases.extend(Case::both("close/then/close", |case| {
        closed(case).frame(FIN | CLOSE, b"\x03\xe9again").close(Some(1001), b"again").refused()
    }));
    cases
}
