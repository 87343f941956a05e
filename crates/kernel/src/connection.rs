//! One TCP connection as the kernel describes it.
//!
//! [`Connection`] is plain `Copy` data: a scan makes one on the stack for each socket. Field names are the kernel's
//! (`struct inet_diag_msg`, `struct tcp_info`), units are in the types or the comment. What the kernel may lack, because
//! it is older or because the socket is past having it (TIME_WAIT), is an `Option`: unknown is not zero.

use std::net::SocketAddr;
use std::time::Duration;

/// A TCP state (`include/net/tcp_states.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Open in both directions.
    Established = 1,
    /// We dial; no answer yet.
    SynSent = 2,
    /// A peer dials; the handshake is not complete.
    SynRecv = 3,
    /// Closed here first; the FIN is not acknowledged.
    FinWait1 = 4,
    /// Closed here first; waiting for the peer's FIN.
    FinWait2 = 5,
    /// Closed in order, here first; the kernel keeps the pair of addresses for a minute.
    TimeWait = 6,
    /// Not connected.
    Close = 7,
    /// The peer has closed; our process has not yet.
    CloseWait = 8,
    /// Both have closed, the peer first; our FIN is not acknowledged.
    LastAck = 9,
    /// Waits for connections.
    Listen = 10,
    /// Both closed at once.
    Closing = 11,
    /// A state this program does not know.
    Other = 0,
}

impl State {
    /// From the kernel's number. 12 is `TCP_NEW_SYN_RECV`, which the kernel itself reports as SYN_RECV.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynRecv,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => Self::Other,
        }
    }

    /// The name `ss(8)` and RFC 9293 use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN-SENT",
            Self::SynRecv => "SYN-RECEIVED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::TimeWait => "TIME-WAIT",
            Self::Close => "CLOSED",
            Self::CloseWait => "CLOSE-WAIT",
            Self::LastAck => "LAST-ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
            Self::Other => "unknown",
        }
    }

    /// A connection that has two ends and is not yet over: what may be cut.
    #[must_use]
    pub fn is_connected(self) -> bool {
        matches!(
            self,
            Self::Established
                | Self::FinWait1
                | Self::FinWait2
                | Self::CloseWait
                | Self::LastAck
                | Self::Closing
        )
    }
}

/// Which kind of socket it is for the kernel. A v6 socket may carry a v4 connection (`::ffff:192.0.2.1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Family {
    /// `AF_INET`.
    V4 = 2,
    /// `AF_INET6`, v4-mapped addresses included.
    V6 = 10,
}

/// Which timer is set (`idiag_timer`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// None.
    Off,
    /// Data is in flight: retransmission, tail loss probe or reordering.
    Retransmit,
    /// Keepalive (or, in a closing state, the end of FIN-WAIT-2).
    Keepalive,
    /// The end of TIME-WAIT.
    TimeWait,
    /// The peer's window is shut: the next zero-window probe.
    ZeroWindow,
    /// A number this program does not know.
    Other(u8),
}

impl Timer {
    /// From `idiag_timer`.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Off,
            1 => Self::Retransmit,
            2 => Self::Keepalive,
            3 => Self::TimeWait,
            4 => Self::ZeroWindow,
            other => Self::Other(other),
        }
    }
}

/// The sender's congestion state (`tcpi_ca_state`, `enum tcp_ca_state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Congestion {
    /// Nothing amiss.
    Open,
    /// Duplicate acknowledgements or SACK: looking closer.
    Disorder,
    /// Reducing, after ECN or local congestion.
    Cwr,
    /// Fast retransmit.
    Recovery,
    /// A retransmission timeout: everything in flight is taken for lost.
    Loss,
    /// A number this program does not know.
    Other(u8),
}

impl Congestion {
    /// From `tcpi_ca_state`.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Open,
            1 => Self::Disorder,
            2 => Self::Cwr,
            3 => Self::Recovery,
            4 => Self::Loss,
            other => Self::Other(other),
        }
    }
}

/// What `struct tcp_info` says. The plain fields are in every kernel since 2.6; the optional ones came later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// Congestion state of the sender.
    pub congestion: Congestion,
    /// Retransmission timeouts in a row without an answer.
    pub retransmits: u8,
    /// Zero-window or keepalive probes in a row without an answer.
    pub probes: u8,
    /// How often the timeout has been doubled.
    pub backoff: u8,
    /// The present retransmission timeout, doublings included, µs.
    pub rto: u32,
    /// The largest segment sent, bytes.
    pub snd_mss: u32,
    /// Segments in flight.
    pub unacked: u32,
    /// Segments taken for lost.
    pub lost: u32,
    /// Milliseconds since data was last sent; retransmissions count. Since connecting, when none ever was.
    pub last_data_sent: u32,
    /// Milliseconds since data last came in. Since connecting, when none ever did.
    pub last_data_recv: u32,
    /// Milliseconds since any acknowledgement came in, one without news included.
    pub last_ack_recv: u32,
    /// Smoothed round trip, µs. `None`: not measured yet.
    pub rtt: Option<u32>,
    /// Its mean deviation, µs.
    pub rttvar: u32,
    /// Retransmitted segments over the connection's life.
    pub total_retrans: u32,
    /// Payload bytes acknowledged by the peer (Linux 4.1).
    pub bytes_acked: Option<u64>,
    /// Payload bytes received in order (Linux 4.1).
    pub bytes_received: Option<u64>,
    /// Bytes written by the process and not yet sent once (Linux 4.6).
    pub notsent_bytes: Option<u32>,
    /// Smallest round trip of late, µs (Linux 4.6). `None` too when not measured yet.
    pub min_rtt: Option<u32>,
    /// Microseconds with something to send (Linux 4.10).
    pub busy_time: Option<u64>,
    /// Of those, held up by the peer's window (Linux 4.10).
    pub rwnd_limited: Option<u64>,
    /// Of those, held up by our send buffer (Linux 4.10).
    pub sndbuf_limited: Option<u64>,
    /// Segments delivered (Linux 4.18).
    pub delivered: Option<u32>,
    /// Payload bytes sent, retransmissions included (Linux 4.19).
    pub bytes_sent: Option<u64>,
    /// Payload bytes sent again (Linux 4.19).
    pub bytes_retrans: Option<u64>,
    /// The window the peer offers, bytes (Linux 5.4). Zero: it does not read.
    pub snd_wnd: Option<u32>,
}

/// One TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The kernel's name for this socket: never given twice while the kernel runs. Kept from connecting to TIME-WAIT.
    pub cookie: u64,
    /// The socket's family.
    pub family: Family,
    /// Our end. v4-mapped addresses are shown as the v4 addresses they stand for.
    pub local: SocketAddr,
    /// The peer's end, shown likewise.
    pub remote: SocketAddr,
    /// Index of the interface the socket is bound to; 0 for none.
    pub interface: u32,
    /// Its state.
    pub state: State,
    /// Inode of the socket, as in `/proc/PID/fd`. 0: no process holds it (not accepted yet, or closed already).
    pub inode: u32,
    /// Numeric user that opened it.
    pub uid: u32,
    /// Bytes received and not yet read by the process.
    pub rqueue: u32,
    /// Bytes written by the process and not yet acknowledged by the peer.
    pub wqueue: u32,
    /// Which timer is set.
    pub timer: Timer,
    /// When it fires.
    pub expires: Duration,
    /// The figures; `None` for TIME-WAIT and the like.
    pub info: Option<TcpInfo>,
    /// Chosen by process, but no process holds it: known to be the gateway's only to one who saw its cookie before.
    pub orphan: bool,
}

/// A listening socket that the selector names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub local: SocketAddr,
    /// Its family. A v6 one on `[::]` usually takes v4 as well.
    pub family: Family,
    /// Inode of the socket.
    pub inode: u32,
    /// Connections that wait to be accepted.
    pub waiting: u32,
    /// How many may wait; more are refused or dropped.
    pub backlog: u32,
}
