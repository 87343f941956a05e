//! `INET_DIAG_REQ_BYTECODE`: the part of a selection that the kernel can do, so that the sockets of others are not even
//! copied out.
//!
//! The program is a row of tests, each a conditional jump *forward* (`struct inet_diag_bc_op`: code u8, yes u8, no u16,
//! relative to the test itself). A socket passes if execution arrives exactly at the end; a jump four bytes beyond
//! refuses it. The kernel audits the program first and refuses one whose jumps do not land on an instruction.
//!
//! Here it is always "one of these, and one of those": local ports, then remote addresses. It is only a saving: the
//! selector is applied again to what comes out, so a kernel that did it differently could not mislead us.

use std::net::IpAddr;

use super::{AF_INET, AF_INET6};
use crate::selector::Remote;

// Codes from `linux/inet_diag.h`. INET_DIAG_BC_S_EQ would be shorter but is only in Linux 5.16.
const JMP: u8 = 1;
const S_GE: u8 = 2;
const S_LE: u8 = 3;
const D_COND: u8 = 8;
/// `sizeof(struct inet_diag_bc_op)`.
const OP: usize = 4;
/// Programs longer than this are not sent; the selector does all the work then. `no` has 16 bits.
const LONGEST: usize = 32 * 1024;

/// The program for "local port among `ports` and remote end among `remotes`", an empty list allowing all. Empty where
/// there is nothing to test.
pub(crate) fn program(ports: &[u16], remotes: &[Remote]) -> Vec<u8> {
    let mut out = Vec::new();
    let ports: Vec<Vec<u8>> = ports.iter().map(|port| local_port(*port)).collect();
    let remotes: Vec<Vec<u8>> = remotes.iter().map(remote).collect();
    let total = size(&ports) + size(&remotes);
    if total > LONGEST {
        return out;
    }
    for group in [&ports, &remotes] {
        // Where the next group begins: to be jumped to as soon as one alternative holds.
        let end = out.len() + size(group);
        for (n, alternative) in group.iter().enumerate() {
            let last = n + 1 == group.len();
            let refuse = if last { total + OP } else { out.len() + alternative.len() + OP };
            append(&mut out, alternative, refuse);
            if !last {
                let distance = end - out.len();
                op(&mut out, JMP, OP, distance);
            }
        }
    }
    out
}

/// Bytes of a group: its alternatives, and a jump after each but the last.
fn size(group: &[Vec<u8>]) -> usize {
    group.iter().map(|alternative| alternative.len() + OP).sum::<usize>().saturating_sub(OP)
}

/// Appends the tests of an alternative with their `no` aimed at `refuse`.
fn append(out: &mut Vec<u8>, alternative: &[u8], refuse: usize) {
    let mut rest = alternative;
    while let [code, yes, _, _, tail @ ..] = rest {
        let length = usize::from(*yes).max(OP);
        let distance = refuse - out.len();
        op(out, *code, length, distance);
        let arguments = (length - OP).min(tail.len());
        out.extend(&tail[..arguments]);
        rest = &tail[arguments..];
    }
}

fn op(out: &mut Vec<u8>, code: u8, yes: usize, no: usize) {
    // Both are bounded: `yes` by the longest test (28 bytes), `no` by LONGEST.
    out.extend([code, u8::try_from(yes).unwrap_or(u8::MAX)]);
    out.extend(u16::try_from(no).unwrap_or(u16::MAX).to_ne_bytes());
}

/// Source port at least and at most `port`. The port stands in the `no` of an operation that follows as argument.
fn local_port(port: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 * OP);
    for code in [S_GE, S_LE] {
        op(&mut out, code, 2 * OP, 0);
        op(&mut out, 0, 0, usize::from(port));
    }
    out
}

/// `struct inet_diag_hostcond`: family u8, prefix u8, (2 bytes of padding), port i32 (-1 for any), address.
fn remote(remote: &Remote) -> Vec<u8> {
    let mut out = Vec::new();
    let (family, octets) = match remote.address() {
        // Matches v4-mapped peers of v6 sockets too: the kernel looks behind the mapping.
        Some(IpAddr::V4(v4)) => (AF_INET, v4.octets().to_vec()),
        Some(IpAddr::V6(v6)) => (AF_INET6, v6.octets().to_vec()),
        None => (0, Vec::new()),
    };
    op(&mut out, D_COND, OP + 8 + octets.len(), 0);
    out.extend([family, remote.prefix(), 0, 0]);
    out.extend(remote.port().map_or(-1, i32::from).to_ne_bytes());
    out.extend(octets);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's interpreter (`inet_diag_bc_run`), for ports and v4 peers.
    fn run(program: &[u8], sport: u16, dst: [u8; 4], dport: u16) -> bool {
        let mut at = 0i64;
        let length = i64::try_from(program.len()).unwrap();
        while at < length {
            let here = &program[usize::try_from(at).unwrap()..];
            let no = |at: usize| u16::from_ne_bytes([here[at + 2], here[at + 3]]);
            let yes = match here[0] {
                JMP => false,
                S_GE => sport >= no(4),
                S_LE => sport <= no(4),
                D_COND => {
                    let port = i32::from_ne_bytes(here[8..12].try_into().unwrap());
                    let address = here[4] == 0
                        || here[4] == AF_INET && {
                            let mask = u32::MAX.checked_shl(32 - u32::from(here[5])).unwrap_or(0);
                            let want = u32::from_be_bytes(here[12..16].try_into().unwrap());
                            (want ^ u32::from_be_bytes(dst)) & mask == 0
                        };
                    address && (port == -1 || port == i32::from(dport))
                }
                other => panic!("code {other}"),
            };
            at += if yes { i64::from(here[1]) } else { i64::from(no(0)) };
        }
        at == length
    }

    #[test]
    fn one_of_these_and_one_of_those() {
        let remotes: Vec<Remote> =
            ["192.0.2.0/24", "198.51.100.7:443", ":9000"].map(|text| text.parse().unwrap()).to_vec();
        for ports in [&[][..], &[80], &[80, 8080, 65535]] {
            for remotes in [&remotes[..0], &remotes[..1], &remotes] {
                let program = program(ports, remotes);
                assert_eq!(program.is_empty(), ports.is_empty() && remotes.is_empty());
                for sport in [0, 79, 80, 81, 8080, 65535] {
                    for (dst, dport) in [
                        ([192, 0, 2, 9], 1),
                        ([192, 0, 3, 9], 1),
                        ([198, 51, 100, 7], 443),
                        ([198, 51, 100, 7], 444),
                        ([10, 0, 0, 1], 9000),
                    ] {
                        let peer = (IpAddr::from(dst), dport).into();
                        let expected = (ports.is_empty() || ports.contains(&sport))
                            && (remotes.is_empty() || remotes.iter().any(|r| r.matches(peer)));
                        assert_eq!(run(&program, sport, dst, dport), expected, "{sport} {dst:?}:{dport}");
                    }
                }
            }
        }
    }

    #[test]
    fn too_long_is_left_to_the_selector() {
        let ports: Vec<u16> = (1..=5000).collect();
        assert!(program(&ports, &[]).is_empty());
    }
}
