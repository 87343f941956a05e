//! Data messages: every form of length, fragments, compression, and streams that end anywhere.

use super::super::{Opcode, PeekFor, Sender};
use super::{BIN, CLOSE, CONT, Case, FIN, PING, PONG, RSV1, TEXT};

pub(super) fn cases() -> Vec<Case> {
    // RFC 6455 §5.7, byte for byte.
    let mut rfc = Case::new("message/rfc", Sender::Server).text(5).text(5);
    rfc.bytes = b"\x81\x05Hello\x01\x03Hel\x80\x02lo".to_vec();
    let mut masked = Case::new("message/rfc/masked", Sender::Client).text(5);
    masked.bytes = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec();
    let mut cases = vec![Case::new("message/nothing", Sender::Client), rfc, masked];
    cases.extend(lengths());
    cases.extend(fragments());
    cases.extend(compression());
    cases.extend(truncated());
    // UTF-8 is the endpoints' to check: seen as any text, refused by them.
    let rows: [(&str, &[u8]); 5] = [
        ("stray", b"\x80"),
        ("cut", b"caf\xc3"),
        ("overlong", b"\xc0\xaf"),
        ("surrogate", b"\xed\xa0\x80"),
        ("beyond", b"\xf4\x90\x80\x80"),
    ];
    for (name, text) in rows {
        cases.extend(Case::both(&format!("message/utf8/{name}"), |case| {
            case.frame(FIN | TEXT, text).text(text.len() as u64).refused()
        }));
    }
    cases.extend(Case::both("message/utf8/split-character", |case| {
        case.frame(TEXT, b"caf\xc3").frame(FIN | CONT, b"\xa9").text(5)
    }));
    cases
}

fn lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 255, 256, 65_535, 65_536, 65_537] {
        let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
        cases.extend(Case::both(&format!("message/length/{len}"), |case| {
            // The frame after it shows that the length was followed to the byte.
            case.frame(FIN | BIN, &payload).frame(FIN | TEXT, b"next").binary(len as u64).text(4)
        }));
    }
    cases
}

fn fragments() -> Vec<Case> {
    let mut cases = Case::both("message/fragments/three", |case| {
        case.frame(TEXT, b"one").frame(CONT, b"two").frame(FIN | CONT, b"three").text(11)
    });
    cases.extend(Case::both("message/fragments/empty", |case| {
        case.frame(BIN, b"").frame(CONT, b"").frame(FIN | CONT, b"").binary(0)
    }));
    cases.extend(Case::both("message/fragments/last-empty", |case| {
        case.frame(TEXT, b"all").frame(FIN | CONT, b"").text(3)
    }));
    cases.extend(Case::both("message/fragments/control-between", |case| {
        case.frame(TEXT, b"a")
            .frame(FIN | PING, b"p")
            .frame(CONT, b"b")
            .frame(FIN | PONG, b"")
            .frame(FIN | CONT, b"c")
            .frame(FIN | CLOSE, b"\x03\xe8")
            .ping(b"p")
            .pong(b"")
            .text(3)
            .close(Some(1000), b"")
    }));
    cases.extend(Case::both("message/fragments/close-between", |case| {
        case.frame(TEXT, b"a").frame(FIN | CLOSE, b"\x03\xe9bye").close(Some(1001), b"bye")
    }));
    cases.extend(Case::both("message/fragments/many", |case| {
        let case = case.frame(BIN, b"0");
        (0..500).fold(case, |case, _| case.frame(CONT, b"1")).frame(FIN | CONT, b"2").binary(502)
    }));
    cases.extend(Case::both("message/fragments/large", |case| {
        case.frame(BIN, &[1; 300]).frame(CONT, &[2; 1000]).frame(FIN | CONT, &[3; 126]).binary(1426)
    }));
    cases.extend(Case::both("message/many-tiny", |case| {
        (0..1000).fold(case, |case, _| case.frame(FIN | TEXT, b"").text(0))
    }));
    cases
}

fn compression() -> Vec<Case> {
    // RFC 7692 §7.2.3: "Hello" in one frame, in two, and sent stored.
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    let mut cases = Case::both("message/deflate/one", |case| {
        case.with_deflate().frame(FIN | RSV1 | TEXT, &hello).deflated(Opcode::Text, 7)
    });
    cases.extend(Case::both("message/deflate/two", |case| {
        case.with_deflate()
            .frame(RSV1 | TEXT, &hello[..3])
            .frame(FIN | CONT, &hello[3..])
            .deflated(Opcode::Text, 7)
    }));
    cases.extend(Case::both("message/deflate/stored", |case| {
        case.with_deflate().frame(FIN | RSV1 | BIN, &stored).deflated(Opcode::Binary, 11)
    }));
    cases.extend(Case::both("message/deflate/not-this-one", |case| {
        case.with_deflate().frame(FIN | TEXT, b"plain").text(5)
    }));
    // Compressed bytes that begin like a beat are none.
    cases.extend(Case::both("message/deflate/no-peek", |case| {
        case.with_deflate().peeking(PeekFor::Any).frame(FIN | RSV1 | TEXT, b"2").deflated(Opcode::Text, 1)
    }));
    cases
}

/// Streams that end after each byte of a ping, then of a Close, then of a message with a 16-bit, then a 64-bit length.
fn truncated() -> Vec<Case> {
    let mut cases = Vec::new();
    for sender in [Sender::Client, Sender::Server] {
        let who = if sender == Sender::Client { "client" } else { "server" };
        let whole = |first, payload: &[u8]| Case::new("", sender).frame(first, payload).bytes;
        let frames = [
            ("ping", whole(FIN | PING, b"abc")),
            ("close", whole(FIN | CLOSE, b"\x03\xe8by")),
            ("text", whole(FIN | TEXT, b"2probe")),
            ("wide", whole(FIN | BIN, &[7; 126])[..12].to_vec()),
            ("wider", whole(FIN | BIN, &[7; 65_536])[..18].to_vec()),
            ("fragment", whole(TEXT, b"frag")),
        ];
        for (name, frame) in frames {
            for end in 1..frame.len() {
                let mut case = Case::new(format!("truncated/{name}/{end}/{who}"), sender)
                    .peeking(PeekFor::Any)
                    .frame(FIN | TEXT, b"before")
                    .text(6)
                    .cut();
                case.bytes.extend(&frame[..end]);
                cases.push(case);
            }
        }
        // A fragmented message that ends between its frames: a boundary, though not a message.
        cases.push(
            Case::new(format!("truncated/between-fragments/{who}"), sender)
                .frame(TEXT, b"a")
                .frame(CONT, b"b"),
        );
    }
    cases
}
