//! A connection for tests.

use std::time::Duration;

use crate::connection::{Congestion, Connection, Family, State, TcpInfo, Timer};

/// One that is well, and has had some traffic.
pub(super) fn connection(cookie: u64) -> Connection {
    Connection {
        cookie,
        family: Family::V4,
        local: ([192, 0, 2, 1], 8080).into(),
        remote: ([198, 51, 100, 7], 40_000).into(),
        interface: 0,
        state: State::Established,
        inode: 1,
        uid: 0,
        rqueue: 0,
        wqueue: 0,
        timer: Timer::Off,
        expires: Duration::ZERO,
        info: Some(TcpInfo {
            congestion: Congestion::Open,
            retransmits: 0,
            probes: 0,
            backoff: 0,
            rto: 204_000,
            snd_mss: 1448,
            unacked: 0,
            lost: 0,
            last_data_sent: 0,
            last_data_recv: 0,
            last_ack_recv: 0,
            rtt: Some(1_000),
            rttvar: 500,
            total_retrans: 0,
            bytes_acked: Some(1_000),
            bytes_received: Some(1_000),
            notsent_bytes: Some(0),
            min_rtt: Some(900),
            busy_time: Some(0),
            rwnd_limited: Some(0),
            sndbuf_limited: Some(0),
            delivered: Some(10),
            bytes_sent: Some(1_000),
            bytes_retrans: Some(0),
            snd_wnd: Some(65_535),
        }),
        orphan: false,
    }
}
