//! The table, cut in every way that can matter.

use std::collections::BTreeSet;

use mooring_wire::frames::cases::{self, Case};
use mooring_wire::frames::{
    Counts, PayloadKey, ScanLimits, Scanner, Seen, Sender, Violation, ViolationKind, close, ping, pong,
};

/// What is seen in these pieces, and the scanner after them.
fn scan<'a>(
    case: &Case,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Seen>, Result<(), Violation>, Scanner) {
    let mut scanner = case.scanner();
    let mut seen = Vec::new();
    let end = pieces.into_iter().try_for_each(|piece| scanner.scan(piece, &mut |one| seen.push(one)));
    (seen, end, scanner)
}

fn holds<'a>(case: &Case, how: &str, pieces: impl IntoIterator<Item = &'a [u8]>) {
    let (seen, end, scanner) = scan(case, pieces);
    let name = &case.name;
    assert_eq!(seen, case.sees, "{name}, {how}");
    assert_eq!(end.err(), case.fails, "{name}, {how}");
    assert_eq!(scanner.at_boundary(), case.at_boundary, "{name}, {how}");
}

#[test]
fn every_case_is_seen_right_however_it_is_cut() {
    for case in cases::all() {
        let bytes = case.bytes.as_slice();
        holds(&case, "whole", [bytes]);
        holds(&case, "byte by byte", bytes.chunks(1));
        holds(&case, "in sevens, with nothing between", bytes.chunks(7).flat_map(|piece| [piece, b""]));
        // Large ones differ in their payload only, which is all alike: the cuts near the beginning tell.
        for at in 0..bytes.len().min(400) {
            let (a, b) = bytes.split_at(at);
            holds(&case, &format!("cut at {at}"), [a, b]);
        }
    }
}

#[test]
fn the_table_knows_every_rule_and_its_streams_end_where_it_says() {
    let cases = cases::all();
    let broken: BTreeSet<&str> = cases
        .iter()
        .flat_map(|case| {
            let seen = case.sees.iter().filter_map(|seen| match seen {
                Seen::Violated(violation) => Some(violation.kind.name()),
                _ => None,
            });
            seen.chain(case.fails.map(|violation| violation.kind.name()))
        })
        .collect();
    assert_eq!(broken, ViolationKind::ALL.iter().map(|kind| kind.name()).collect());
    for case in &cases {
        assert_eq!(
            case.fails.is_some(),
            case.fails.is_some_and(|v| v.kind.fatal_to_framing()),
            "{}",
            case.name
        );
        assert!(case.fails.is_none() || !case.at_boundary, "{}", case.name);
    }
    assert!(cases.len() > 250, "{}", cases.len());
}

#[test]
fn what_a_relay_sends_of_its_own_is_valid_for_either_side() {
    for (sender, mask) in [(Sender::Client, Some([9, 8, 7, 6])), (Sender::Server, None)] {
        let mut scanner = Scanner::new(sender, ScanLimits::default());
        let mut seen = Vec::new();
        let stream = [
            &*ping(b"mooring", mask),
            &*pong(&[1; 125], mask),
            &*ping(b"", mask),
            &*close(1012, "back soon", mask),
        ]
        .concat();
        scanner.scan(&stream, &mut |one| seen.push(one)).unwrap();
        let key = PayloadKey::of;
        assert_eq!(seen[0], Seen::Ping { key: key(b"mooring") });
        assert_eq!(seen[1], Seen::Pong { key: key(&[1; 125]) });
        assert_eq!(seen[2], Seen::Ping { key: key(b"") });
        assert!(
            matches!(&seen[3..], [Seen::Close { code: Some(1012), reason }] if reason.as_bytes() == b"back soon")
        );
        assert!(scanner.at_boundary() && scanner.closed());
        assert_eq!(scanner.counts(), Counts { frames: 4, messages: 0, payload: 7 + 125 + 11 });
    }
}

#[test]
fn a_ping_may_be_put_at_a_boundary_and_nowhere_else() {
    // Put into every place of a fragmented message: seen right exactly where the scanner allows it.
    let case = cases::all().into_iter().find(|case| case.name == "message/fragments/three/client").unwrap();
    let ours = ping(b"ours", Some([1, 2, 3, 4]));
    let mut allowed = 0;
    for at in 0..=case.bytes.len() {
        let (before, after) = case.bytes.split_at(at);
        let (_, _, scanner) = scan(&case, [before]);
        let (seen, end, _) = scan(&case, [before, &ours, after]);
        let mut others = seen.clone();
        others.retain(|one| *one != Seen::Ping { key: PayloadKey::of(b"ours") });
        let unharmed = end.is_ok() && others == case.sees && seen.len() == others.len() + 1;
        assert_eq!(unharmed, scanner.at_boundary(), "at {at}");
        allowed += usize::from(unharmed);
    }
    assert_eq!(allowed, 4);
}
