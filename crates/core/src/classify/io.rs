//! What went wrong below HTTP, by kind of fault and step of the handshake.

use std::io::ErrorKind;
use std::time::Duration;

use super::text::{quote, short};
use crate::cause::Cause;
use crate::handshake::{Refusal, Step};
use crate::limits::{MAX_MESSAGE, clip};

/// A fault of name resolution, TCP, TLS or the byte stream, stripped to what matters for the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IoFault {
    /// RST in answer to our SYN.
    Refused,
    /// The step's time limit passed.
    TimedOut,
    /// No route, network or host unreachable, or forbidden by a local firewall.
    Unreachable,
    /// RST on an open connection, or a write after the peer's end.
    Reset,
    /// FIN: the peer ended the stream.
    Eof,
    /// The name has no address, or the resolver did not answer.
    NotResolved,
    /// A certificate past its end.
    CertificateExpired,
    /// A certificate before its beginning, or a clock that is wrong.
    CertificateEarly,
    /// A certificate for another name.
    CertificateName,
    /// A certificate of nobody who is trusted.
    CertificateUntrusted,
    /// A certificate that is not accepted for another reason.
    Certificate,
    /// No TLS version in common (RFC 8446 §6.2: alert 70).
    TlsVersion,
    /// TLS was spoken to something that does not speak it, or the reverse.
    NotTls,
    /// TLS failed for another reason: alert, no common version, bytes that are not TLS.
    Tls,
    /// Bytes that are not what the protocol asks for: not HTTP, not a frame.
    Malformed,
    /// More than our limits allow (header block, frame).
    TooLarge,
    /// Our own host is short of descriptors, ports, memory or buffers: says nothing about the gateway.
    LocalResources,
    /// Anything else.
    Other,
}

impl From<ErrorKind> for IoFault {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::TimedOut,
            ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::PermissionDenied => Self::Unreachable,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected => Self::Reset,
            ErrorKind::UnexpectedEof => Self::Eof,
            ErrorKind::InvalidData => Self::Malformed,
            // Out of ephemeral ports shows as "address not available".
            ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse | ErrorKind::OutOfMemory => {
                Self::LocalResources
            }
            _ => Self::Other,
        }
    }
}

impl IoFault {
    /// From an error of the operating system: as its kind says, with the shortages that have no kind of their own.
    #[must_use]
    pub fn of(error: &std::io::Error) -> Self {
        // ENFILE, EMFILE, ENOBUFS on Linux: numbers, since naming them would bring a libc dependency into the core.
        match error.raw_os_error() {
            Some(23 | 24 | 105) => Self::LocalResources,
            _ => error.kind().into(),
        }
    }
}

/// The cause of a fault at a step of the handshake.
#[must_use]
pub fn cause_of_io(fault: IoFault, step: Step) -> Cause {
    use IoFault as F;
    match (step, fault) {
        (_, F::LocalResources) => Cause::ObserverStalled,
        (_, F::Unreachable) => Cause::NetworkUnreachable,
        (_, F::CertificateExpired) => Cause::CertificateExpired,
        (_, F::CertificateEarly) => Cause::CertificateNotYetValid,
        (_, F::CertificateName) => Cause::CertificateNameMismatch,
        (_, F::CertificateUntrusted) => Cause::CertificateNotTrusted,
        (_, F::Certificate) => Cause::CertificateInvalid,
        (_, F::TlsVersion) => Cause::TlsVersionRefused,
        (_, F::NotTls) => Cause::SchemeSwapped,
        (Step::Resolve, _) | (_, F::NotResolved) => Cause::NameNotResolved,

        (Step::Connect, F::Refused) => Cause::ConnectionRefused,
        (Step::Connect, F::TimedOut) => Cause::ConnectTimedOut,
        (Step::Connect, F::Reset | F::Eof) => Cause::ClosedBeforeAnswer,
        (Step::Connect, _) => Cause::NetworkUnreachable,

        // A stream that ends inside the TLS handshake is more often a dying process than a wrong scheme, and the
        // milder cause leads to a second look instead of to a human.
        (Step::Tls, F::Reset | F::Eof | F::Refused) => Cause::ClosedBeforeAnswer,
        (Step::Tls, F::TimedOut) => Cause::HandshakeTimedOut,
        (_, F::Tls) | (Step::Tls, _) => Cause::TlsFailed,

        (Step::FirstFrame | Step::Close, F::Malformed) => Cause::ProtocolViolated,
        (Step::FirstFrame | Step::Close, F::TooLarge) => Cause::MessageTooBig,
        (Step::FirstFrame, _) => Cause::NoFirstFrame,
        (Step::Close, _) => Cause::SessionLost,

        (_, F::TimedOut) => Cause::HandshakeTimedOut,
        (_, F::Malformed | F::TooLarge) => Cause::WrongProtocol,
        (_, F::Reset | F::Eof | F::Refused | F::Other) => Cause::ClosedBeforeAnswer,
    }
}

/// The whole refusal for a fault at a step: cause and a line with the numbers of this case. `took` is the time from the
/// start of the step to its end, `detail` the error's own text (quoted, cut).
#[must_use]
pub fn refusal_from_io(fault: IoFault, step: Step, took: Duration, detail: &str) -> Refusal {
    let cause = cause_of_io(fault, step);
    let t = short(took);
    let mut message = match cause {
        Cause::NameNotResolved => format!("the name was not resolved ({t})"),
        Cause::ConnectionRefused => format!("the connection was refused after {t}: nothing listens there"),
        Cause::ConnectTimedOut => format!("no answer to the connection attempt within {t}"),
        Cause::NetworkUnreachable => "there is no way to the address from this host".to_owned(),
        Cause::CertificateInvalid
        | Cause::CertificateExpired
        | Cause::CertificateNotYetValid
        | Cause::CertificateNameMismatch
        | Cause::CertificateNotTrusted => "the TLS certificate is not valid".to_owned(),
        Cause::TlsVersionRefused => "the two ends have no TLS version in common".to_owned(),
        Cause::SchemeSwapped => {
            "TLS meets plain HTTP: ws and wss are swapped, or the port is another's".to_owned()
        }
        Cause::TlsFailed => "the TLS handshake failed: is this a plain port (ws, not wss)?".to_owned(),
        Cause::HandshakeTimedOut => {
            format!("the connection was accepted, then no answer to the {step} step for {t}")
        }
        Cause::ClosedBeforeAnswer => closed_before_answer(took),
        Cause::NoFirstFrame => format!("the handshake was fine, but no valid first frame came within {t}"),
        Cause::ProtocolViolated => "what came after the handshake is not a WebSocket frame".to_owned(),
        Cause::MessageTooBig => "the first message is larger than the limit".to_owned(),
        Cause::ObserverStalled => {
            "this host is short of descriptors, ports or memory: nothing was learnt".to_owned()
        }
        _ => format!("{cause} at the {step} step after {t}"),
    };
    let detail = quote(detail, 160);
    if !detail.is_empty() {
        message.push_str(": ");
        message.push_str(&detail);
    }
    Refusal { step, cause, message: clip(&message, MAX_MESSAGE) }
}

/// The age of a silent end tells who ended it: Engine.IO destroys foreign upgrades after 1.00 s (measured 1.00–1.01 s),
/// an upgrade handler that destroys the socket on purpose does so within milliseconds.
fn closed_before_answer(took: Duration) -> String {
    let t = short(took);
    if is_engine_io_grace(took) {
        format!(
            "closed without a byte after {t}: Socket.IO refuses a raw WebSocket client like this; is the path right?"
        )
    } else if took < Duration::from_millis(20) {
        format!(
            "closed without a byte after {t}: the upgrade handler dropped the connection on purpose, or the process died"
        )
    } else {
        format!("closed without a byte after {t}")
    }
}

/// Whether a time is Engine.IO's default grace for foreign upgrades, with the few milliseconds a proxy adds.
pub(super) fn is_engine_io_grace(took: Duration) -> bool {
    (Duration::from_millis(990)..Duration::from_millis(1100)).contains(&took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        use IoFault as F;
        let rows = [
            (F::NotResolved, Step::Resolve, Cause::NameNotResolved),
            (F::TimedOut, Step::Resolve, Cause::NameNotResolved),
            (F::Refused, Step::Connect, Cause::ConnectionRefused),
            (F::TimedOut, Step::Connect, Cause::ConnectTimedOut),
            (F::Unreachable, Step::Connect, Cause::NetworkUnreachable),
            (F::LocalResources, Step::Connect, Cause::ObserverStalled),
            (F::LocalResources, Step::Resolve, Cause::ObserverStalled),
            (F::Certificate, Step::Tls, Cause::CertificateInvalid),
            (F::Tls, Step::Tls, Cause::TlsFailed),
            (F::Malformed, Step::Tls, Cause::TlsFailed),
            (F::Eof, Step::Tls, Cause::ClosedBeforeAnswer),
            (F::TimedOut, Step::Tls, Cause::HandshakeTimedOut),
            (F::TimedOut, Step::Status, Cause::HandshakeTimedOut),
            (F::Eof, Step::Status, Cause::ClosedBeforeAnswer),
            (F::Reset, Step::Request, Cause::ClosedBeforeAnswer),
            (F::Malformed, Step::Status, Cause::WrongProtocol),
            (F::TimedOut, Step::FirstFrame, Cause::NoFirstFrame),
            (F::Malformed, Step::FirstFrame, Cause::ProtocolViolated),
        ];
        for (fault, step, cause) in rows {
            assert_eq!(cause_of_io(fault, step), cause, "{fault:?} at {step}");
        }
    }

    #[test]
    fn the_operating_system_is_understood() {
        for (errno, fault) in
            [(111, IoFault::Refused), (24, IoFault::LocalResources), (113, IoFault::Unreachable)]
        {
            assert_eq!(IoFault::of(&std::io::Error::from_raw_os_error(errno)), fault, "errno {errno}");
        }
    }

    #[test]
    fn the_age_of_a_silent_end_is_read() {
        let say = |ms| refusal_from_io(IoFault::Eof, Step::Status, Duration::from_millis(ms), "").message;
        assert!(say(1005).contains("Socket.IO"));
        assert!(say(2).contains("on purpose"));
        assert!(!say(400).contains("on purpose") && !say(400).contains("Socket.IO"));
    }
}
