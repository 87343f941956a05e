//! `struct tcp_info` (`linux/tcp.h`): grows at its end with every few kernels, and never changes otherwise.
//!
//! A kernel sends as much of it as it has. The part up to `tcpi_total_retrans` has been there since Linux 2.6; what comes
//! after is `None` where the structure ends before it.

use super::{u32_at, u64_at};
use crate::connection::{Congestion, TcpInfo};

/// Parses what the kernel sent. `None` if it is shorter than any kernel's.
pub(super) fn parse(bytes: &[u8]) -> Option<TcpInfo> {
    Some(TcpInfo {
        congestion: Congestion::from_number(*bytes.get(1)?),
        retransmits: *bytes.get(2)?,
        probes: *bytes.get(3)?,
        backoff: *bytes.get(4)?,
        // 5: options, 6: window scales, 7: flags.
        rto: u32_at(bytes, 8)?,
        // 12: ato.
        snd_mss: u32_at(bytes, 16)?,
        // 20: rcv_mss.
        unacked: u32_at(bytes, 24)?,
        // 28: sacked.
        lost: u32_at(bytes, 32)?,
        // 36: retrans, 40: fackets.
        last_data_sent: u32_at(bytes, 44)?,
        // 48: last_ack_sent, never set.
        last_data_recv: u32_at(bytes, 52)?,
        last_ack_recv: u32_at(bytes, 56)?,
        // 60: pmtu, 64: rcv_ssthresh.
        rtt: u32_at(bytes, 68).map(|rtt| (rtt != 0).then_some(rtt))?,
        rttvar: u32_at(bytes, 72)?,
        // 76: snd_ssthresh, 80: snd_cwnd, 84: advmss, 88: reordering, 92: rcv_rtt, 96: rcv_space.
        total_retrans: u32_at(bytes, 100)?,
        // 104: pacing_rate, 112: max_pacing_rate.
        bytes_acked: u64_at(bytes, 120),
        bytes_received: u64_at(bytes, 128),
        // 136: segs_out, 140: segs_in.
        notsent_bytes: u32_at(bytes, 144),
        // The kernel's "no sample yet" is all ones.
        min_rtt: u32_at(bytes, 148).filter(|rtt| *rtt != u32::MAX),
        // 152: data_segs_in, 156: data_segs_out, 160: delivery_rate.
        busy_time: u64_at(bytes, 168),
        rwnd_limited: u64_at(bytes, 176),
        sndbuf_limited: u64_at(bytes, 184),
        delivered: u32_at(bytes, 192),
        // 196: delivered_ce.
        bytes_sent: u64_at(bytes, 200),
        bytes_retrans: u64_at(bytes, 208),
        // 216: dsack_dups, 220: reord_seen, 224: rcv_ooopack.
        snd_wnd: u32_at(bytes, 228),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte tells its offset, so that a wrong offset shows.
    fn sample(length: u8) -> Vec<u8> {
        (0..length).collect()
    }

    fn word(at: u8) -> u32 {
        u32::from_ne_bytes([at, at + 1, at + 2, at + 3])
    }

    #[test]
    fn offsets() {
        let info = parse(&sample(248)).expect("whole");
        assert_eq!((info.retransmits, info.probes, info.backoff), (2, 3, 4));
        assert_eq!((info.rto, info.unacked, info.lost), (word(8), word(24), word(32)));
        assert_eq!(
            (info.last_data_sent, info.last_data_recv, info.last_ack_recv),
            (word(44), word(52), word(56))
        );
        assert_eq!((info.rtt, info.rttvar, info.total_retrans), (Some(word(68)), word(72), word(100)));
        assert_eq!((info.notsent_bytes, info.min_rtt), (Some(word(144)), Some(word(148))));
        assert_eq!((info.delivered, info.snd_wnd), (Some(word(192)), Some(word(228))));
        let low = |value: Option<u64>| value.map(|v| v.to_ne_bytes()[0]);
        assert_eq!((low(info.bytes_acked), low(info.bytes_received)), (Some(120), Some(128)));
        assert_eq!((low(info.busy_time), low(info.rwnd_limited)), (Some(168), Some(176)));
        assert_eq!((low(info.bytes_sent), low(info.bytes_retrans)), (Some(200), Some(208)));
    }

    #[test]
    fn older_kernels_send_less() {
        assert_eq!(parse(&sample(103)), None);
        let old = parse(&sample(104)).expect("Linux 2.6");
        assert_eq!((old.bytes_acked, old.min_rtt, old.snd_wnd), (None, None, None));
        let middle = parse(&sample(192)).expect("Linux 4.10");
        assert!(middle.rwnd_limited.is_some() && middle.delivered.is_none());
    }
}
