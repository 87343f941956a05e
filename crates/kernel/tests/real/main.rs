//! The kernel's word against what the test itself did: sockets on loopback and in network namespaces of its own.
//!
//! Every expectation is from the other side of the kernel: addresses and cookies from the sockets in hand, bytes from what
//! was written, errors from the calls of the processes concerned. What needs root says so and is skipped without it.

#![cfg(target_os = "linux")]

mod cut;
mod figures;
mod netns;
mod privileges;
mod scan;
mod support;
