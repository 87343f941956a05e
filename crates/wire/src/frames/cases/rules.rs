//! Every other rule of §5, broken alone and together. After each the stream is followed further, but after the last.

use super::super::{Opcode, Sender, ViolationKind};
use super::{BIN, CLOSE, CONT, Case, FIN, PING, PONG, RSV1, TEXT, short, wide, wider};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = masks();
    cases.extend(reserved());
    cases.extend(order());
    cases.extend(lengths());
    cases.extend(limits());
    cases
}

fn masks() -> Vec<Case> {
    Case::both("rule/mask", |case| {
        let wrong = case.sender == Sender::Server;
        case.raw(FIN | TEXT, wrong, short(5), b"Hello")
            .raw(FIN | PING, wrong, short(1), b"p")
            .raw(FIN | CLOSE, wrong, short(2), b"\x03\xe8")
            .broken(0, ViolationKind::WrongMask)
            .text(5)
            .broken(1, ViolationKind::WrongMask)
            .ping(b"p")
            .broken(2, ViolationKind::WrongMask)
            .close(Some(1000), b"")
    })
}

fn reserved() -> Vec<Case> {
    let mut cases = Vec::new();
    for bits in 1..8_u8 {
        let compressed = bits & 4 != 0;
        cases.extend(Case::both(&format!("rule/rsv/{bits}"), |case| {
            let case = case.frame(FIN | bits << 4 | BIN, b"x").broken(0, ViolationKind::ReservedBits);
            if compressed { case.deflated(Opcode::Binary, 1) } else { case.binary(1) }
        }));
    }
    cases.extend(Case::both("rule/rsv/2-and-3-with-deflate", |case| {
        case.with_deflate().frame(FIN | 0x20 | BIN, b"x").broken(0, ViolationKind::ReservedBits).binary(1)
    }));
    cases.extend(Case::both("rule/rsv/continuation-with-deflate", |case| {
        case.with_deflate()
            .frame(RSV1 | TEXT, b"x")
            .frame(FIN | RSV1 | CONT, b"y")
            .broken(1, ViolationKind::ReservedBits)
            .deflated(Opcode::Text, 2)
    }));
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.extend(Case::both(&format!("rule/opcode/{opcode}"), |case| {
            // Skipped wherever it stands; the message around it goes on.
            case.frame(TEXT, b"a")
                .frame(FIN | opcode, b"who knows")
                .frame(FIN | CONT, b"b")
                .broken(1, ViolationKind::ReservedOpcode)
                .text(2)
        }));
    }
    cases
}

fn order() -> Vec<Case> {
    let mut cases = Case::both("rule/continuation-of-nothing", |case| {
        case.frame(FIN | CONT, b"x")
            .frame(CONT, b"y")
            .frame(FIN | TEXT, b"z")
            .broken(0, ViolationKind::ContinuationWithoutStart)
            .broken(1, ViolationKind::ContinuationWithoutStart)
            .text(1)
    });
    cases.extend(Case::both("rule/continuation-after-the-end", |case| {
        case.frame(TEXT, b"x")
            .frame(FIN | CONT, b"y")
            .frame(FIN | CONT, b"z")
            .text(2)
            .broken(2, ViolationKind::ContinuationWithoutStart)
    }));
    cases.extend(Case::both("rule/message-in-message", |case| {
        case.frame(TEXT, b"lost")
            .frame(FIN | BIN, b"new")
            .frame(FIN | CONT, b"x")
            .broken(1, ViolationKind::InterleavedMessage)
            .binary(3)
            .broken(2, ViolationKind::ContinuationWithoutStart)
    }));
    cases.extend(Case::both("rule/message-in-message/fragmented", |case| {
        case.frame(TEXT, b"lost")
            .frame(BIN, b"new")
            .frame(FIN | CONT, b"er")
            .broken(1, ViolationKind::InterleavedMessage)
            .binary(5)
    }));
    // All that one frame can break at once, in the order in which it is reported.
    cases.push(
        Case::new("rule/all-at-once", Sender::Client)
            .limited(3, 3)
            .frame(TEXT, b"")
            .frame(FIN | CLOSE, b"")
            .close(None, b"")
            .raw(FIN | 0x70 | BIN, false, wider(4), b"more")
            .broken(2, ViolationKind::WrongMask)
            .broken(2, ViolationKind::ReservedBits)
            .broken(2, ViolationKind::NonMinimalLength)
            .broken(2, ViolationKind::DataAfterClose)
            .broken(2, ViolationKind::FrameTooLarge)
            .broken(2, ViolationKind::InterleavedMessage)
            .broken(2, ViolationKind::MessageTooLarge)
            .deflated(Opcode::Binary, 4),
    );
    cases
}

fn lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    for (len, form) in [(0, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65_535, 64)] {
        cases.extend(Case::both(&format!("rule/length/{len}-in-{form}-bits"), |case| {
            let masked = case.sender == Sender::Client;
            let length = if form == 16 { wide(len) } else { wider(len) };
            case.raw(FIN | BIN, masked, length, &vec![9; len as usize])
                .frame(FIN | PONG, b"next")
                .broken(0, ViolationKind::NonMinimalLength)
                .binary(len)
                .pong(b"next")
        }));
    }
    for (name, len) in [("high-bit", 1 << 63), ("all-bits", u64::MAX)] {
        cases.extend(Case::both(&format!("rule/length/{name}"), |case| {
            let masked = case.sender == Sender::Client;
            case.frame(FIN | TEXT, b"before")
                .raw(FIN | BIN, masked, wider(len), b"whatever follows")
                .text(6)
                .fails(1, ViolationKind::LengthHighBit)
        }));
    }
    cases.extend(Case::both("rule/length/high-bit-on-a-ping", |case| {
        let masked = case.sender == Sender::Client;
        case.raw(PING, masked, wider(1 << 63), b"").fails(0, ViolationKind::LengthHighBit)
    }));
    cases
}

fn limits() -> Vec<Case> {
    let mut cases = Case::both("rule/limit/frame", |case| {
        case.limited(10, 100)
            .frame(FIN | BIN, &[0; 10])
            .frame(FIN | BIN, &[0; 11])
            .frame(FIN | PING, &[0; 50])
            .binary(10)
            .broken(1, ViolationKind::FrameTooLarge)
            .binary(11)
            .ping(&[0; 50])
    });
    cases.extend(Case::both("rule/limit/message", |case| {
        case.limited(10, 15)
            .frame(BIN, &[0; 10])
            .frame(CONT, &[0; 5])
            .frame(CONT, &[0; 1])
            .frame(FIN | CONT, &[0; 1])
            .frame(FIN | BIN, &[0; 10])
            .broken(2, ViolationKind::MessageTooLarge)
            .binary(17)
            .binary(10)
    }));
    // As a header only: what it announces never comes.
    cases.extend(Case::both("rule/limit/announced", |case| {
        let masked = case.sender == Sender::Client;
        case.raw(FIN | BIN, masked, wider((1 << 63) - 1), b"a few bytes of it")
            .broken(0, ViolationKind::FrameTooLarge)
            .broken(0, ViolationKind::MessageTooLarge)
            .cut()
    }));
    cases.extend(Case::both("rule/limit/reserved-opcode", |case| {
        case.limited(10, 100)
            .frame(FIN | 3, &[0; 11])
            .broken(0, ViolationKind::FrameTooLarge)
            .broken(0, ViolationKind::ReservedOpcode)
    }));
    cases
}
