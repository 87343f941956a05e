//! What is known of one session while it lives, readable by everybody and written by its own task alone.
//!
//! The task that relays writes plain numbers with relaxed stores; the sweep, the lists and the orders read them. There is
//! no lock on the way of a byte: the one in here guards what is set once, at the end of a session's life. Times are
//! [`Mono`] microseconds, with zero for "never".

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use mooring_core::id::{InstanceId, SessionId};
use mooring_core::session::SessionState;
use mooring_core::time::Mono;

use crate::event::Side;
use crate::http::upgrade::Agreed;
use crate::order::{Closing, Ended};

/// The client's address, in less room than the standard library's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    V4([u8; 4], u16),
    V6([u8; 16], u16),
    /// Behind a Unix socket, with no word of who it is.
    Local,
}

impl From<Option<SocketAddr>> for Peer {
    fn from(address: Option<SocketAddr>) -> Self {
        match address.map(|a| (a.ip().to_canonical(), a.port())) {
            Some((std::net::IpAddr::V4(ip), port)) => Self::V4(ip.octets(), port),
            Some((std::net::IpAddr::V6(ip), port)) => Self::V6(ip.octets(), port),
            None => Self::Local,
        }
    }
}

impl Peer {
    pub(crate) fn address(self) -> Option<SocketAddr> {
        match self {
            Self::V4(ip, port) => Some((ip, port).into()),
            Self::V6(ip, port) => Some((ip, port).into()),
            Self::Local => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            // A proxy's header names no port.
            Some(address) if address.port() == 0 => address.ip().fmt(f),
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Payload bytes.
    pub(crate) bytes: AtomicU64,
    pub(crate) messages: AtomicU64,
    /// When data was last read.
    pub(crate) last: AtomicU64,
    /// Bytes read and not yet taken by the other side.
    pub(crate) waiting: AtomicU32,
    /// While bytes wait: when some were last taken, or when they began to wait.
    pub(crate) progress: AtomicU64,
}

/// Pings towards one side.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    /// Since when the oldest waits for its pong.
    pub(crate) since: AtomicU64,
    /// When the last of ours was sent.
    pub(crate) sent: AtomicU64,
    /// The last round trip, microseconds; zero: none yet.
    pub(crate) rtt: AtomicU32,
}

/// Heartbeats inside messages.
#[derive(Debug, Default)]
pub(crate) struct Beats {
    /// How often they come, milliseconds; zero: nothing is promised.
    pub(crate) interval: AtomicU32,
    /// How long may pass from one to the next, milliseconds.
    pub(crate) allowed: AtomicU32,
    pub(crate) last: AtomicU64,
    /// Whether the gateway sends them, and not the client.
    pub(crate) by_gateway: AtomicU8,
}

/// Things a session's task is asked to do: bits.
pub(crate) mod command {
    /// Close in good order, as [`Closing`](crate::order::Closing) says.
    pub(crate) const CLOSE: u8 = 1;
    /// Give up waiting: end the connections now.
    pub(crate) const CUT: u8 = 2;
    /// Ping the client.
    pub(crate) const PING_CLIENT: u8 = 4;
    /// Ping the gateway.
    pub(crate) const PING_GATEWAY: u8 = 8;
}

/// One session.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) instance: Option<InstanceId>,
    pub(crate) peer: Peer,
    /// Which listener it came by.
    pub(crate) listener: u16,
    state: AtomicU8,
    commands: AtomicU8,
    /// Set when it has ended, under the lock of `closing`.
    retired: AtomicU8,
    /// The codes of the Close frames seen, from client and gateway; 0: none seen, 1005: one without a code.
    codes: [AtomicU16; 2],
    /// Rules broken by client and gateway, up to 65535.
    pub(crate) violations: [AtomicU16; 2],
    /// When it was opened; before, when the upgrade request came.
    pub(crate) opened: AtomicU64,
    /// Client to gateway: what the gateway receives.
    pub(crate) up: Flow,
    /// Gateway to client: what the gateway sends.
    pub(crate) down: Flow,
    pub(crate) client: Pings,
    pub(crate) gateway: Pings,
    pub(crate) beats: Beats,
    /// Since when it is ending: a Close frame was seen, or one side's end.
    pub(crate) ending: AtomicU64,
    /// What was agreed on, where that is anything.
    pub(crate) agreed: OnceLock<Box<Agreed>>,
    waker: OnceLock<Waker>,
    closing: Mutex<Option<Box<Closing>>>,
}

impl Record {
    pub(crate) fn new(id: u64, instance: Option<InstanceId>, peer: Peer, listener: u16, now: Mono) -> Self {
        Self {
            id,
            instance,
            peer,
            listener,
            state: AtomicU8::new(SessionState::Opening.code()),
            commands: AtomicU8::new(0),
            retired: AtomicU8::new(0),
            codes: Default::default(),
            violations: Default::default(),
            opened: AtomicU64::new(now.0),
            up: Flow::default(),
            down: Flow::default(),
            client: Pings::default(),
            gateway: Pings::default(),
            beats: Beats::default(),
            ending: AtomicU64::new(0),
            agreed: OnceLock::new(),
            waker: OnceLock::new(),
            closing: Mutex::new(None),
        }
    }

    pub(crate) fn state(&self) -> SessionState {
        SessionState::from_code(self.state.load(Relaxed)).unwrap_or(SessionState::Opening)
    }

    pub(crate) fn set_state(&self, state: SessionState) {
        self.state.store(state.code(), Relaxed);
    }

    /// Whether both ends have agreed: open or closing.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state(), SessionState::Open | SessionState::Closing)
    }

    /// Asks the task for something.
    pub(crate) fn command(&self, bits: u8) {
        // The waker is set before the task looks for commands the first time, so one of the two sees the other.
        self.commands.fetch_or(bits, std::sync::atomic::Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// The task's side of [`Self::command`]: says who is to be woken.
    pub(crate) fn listen(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// The task's side of [`Self::command`]: what is asked for. One load where nothing is.
    #[inline]
    pub(crate) fn commands(&self) -> u8 {
        if self.commands.load(std::sync::atomic::Ordering::SeqCst) == 0 {
            return 0;
        }
        self.commands.swap(0, std::sync::atomic::Ordering::SeqCst)
    }

    pub(crate) fn closing(&self) -> MutexGuard<'_, Option<Box<Closing>>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of the session, for the orders that wait for it. False when it has ended before.
    pub(crate) fn retire(&self, ended: Ended) -> bool {
        let mut closing = self.closing();
        if self.retired.swap(1, Relaxed) != 0 {
            return false;
        }
        if let Some(closing) = closing.take() {
            closing.tallies.iter().for_each(|tally| tally.add(ended));
        }
        true
    }

    /// Makes a close order this session's, or adds the tally to the one it has. False when the session has ended.
    pub(crate) fn order(&self, order: Closing) -> bool {
        let mut closing = self.closing();
        if self.retired.load(Relaxed) != 0 {
            return false;
        }
        match closing.as_mut() {
            Some(before) => before.tallies.extend(order.tallies),
            None => *closing = Some(Box::new(order)),
        }
        drop(closing);
        self.command(command::CLOSE);
        true
    }

    /// The code of the Close frame a side has sent; 1005 for one without.
    pub(crate) fn code(&self, side: Side) -> Option<u16> {
        Some(self.codes[side as usize].load(Relaxed)).filter(|code| *code != 0)
    }

    pub(crate) fn set_code(&self, side: Side, code: Option<u16>) {
        self.codes[side as usize].store(code.filter(|c| *c != 0).unwrap_or(1005), Relaxed);
    }

    /// Counts a broken rule; true for the side's first.
    pub(crate) fn violated(&self, side: Side) -> bool {
        let before = self.violations[side as usize].load(Relaxed);
        self.violations[side as usize].store(before.saturating_add(1), Relaxed);
        before == 0
    }

    pub(crate) fn pings(&self, side: Side) -> &Pings {
        match side {
            Side::Client => &self.client,
            Side::Gateway => &self.gateway,
        }
    }

    /// The beginning of the end, if it was not before.
    pub(crate) fn ends(&self, now: Mono) {
        if self.ending.load(Relaxed) == 0 {
            self.ending.store(now.0, Relaxed);
        }
    }

    /// Its id as told outside.
    pub(crate) fn session_id(&self) -> SessionId {
        id_of(self.id)
    }
}

/// The letters of an id: base 32 in an alphabet whose order is that of the values (RFC 4648 §7), so that ids of one
/// length sort as their numbers do.
const LETTERS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
/// Letters of an id: 64 bits.
const ID_LEN: usize = 13;

/// An id's text: `r` and thirteen letters.
pub(crate) fn id_text(id: u64) -> [u8; 1 + ID_LEN] {
    let mut text = [b'r'; 1 + ID_LEN];
    for (i, byte) in text[1..].iter_mut().enumerate() {
        *byte = LETTERS[(id >> (5 * (ID_LEN - 1 - i)) & 31) as usize];
    }
    text
}

#[expect(clippy::expect_used, reason = "fourteen letters and digits are a valid name")]
fn id_of(id: u64) -> SessionId {
    let text = id_text(id);
    SessionId::new(std::str::from_utf8(&text).unwrap_or_default()).expect("a valid name")
}

/// The number behind an id, if it is one of ours.
pub(crate) fn id_number(id: &SessionId) -> Option<u64> {
    let digits = id.as_str().strip_prefix('r').filter(|d| d.len() == ID_LEN)?;
    digits.bytes().try_fold(0u64, |n, byte| {
        let value = LETTERS.iter().position(|l| *l == byte)?;
        if n >> 59 != 0 { None } else { Some(n << 5 | value as u64) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_sort() {
        let ids = [0, 1, 31, 32, 1 << 20, u64::MAX - 1, u64::MAX];
        for id in ids {
            assert_eq!(id_number(&id_of(id)), Some(id));
        }
        assert!(ids.windows(2).all(|w| id_of(w[0]).as_str() < id_of(w[1]).as_str()));
        for other in ["r1", "k0000000000001", "rzzzzzzzzzzzzz", "rg000000000000"] {
            assert_eq!(id_number(&SessionId::new(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Record>() <= 288, "{}", size_of::<Record>());
    }
}
