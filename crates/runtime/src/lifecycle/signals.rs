//! The signals a supervised process answers to, as data, so that tests (and `mooring up`) can send their own.

use std::fmt;
use std::io;

use futures_util::Stream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::task::AbortOnDropHandle;

/// A signal, by what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: shut down; a second one shuts down hard.
    Terminate,
    /// SIGINT: as SIGTERM.
    Interrupt,
    /// SIGHUP: read settings, certificates and tokens again.
    Reload,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Reload => "SIGHUP",
        })
    }
}

/// This process's signals from now on. From this call on they no longer kill the process.
///
/// # Errors
///
/// When the handlers cannot be installed.
pub fn os_signals() -> io::Result<impl Stream<Item = Signal> + Send + Unpin> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // The channel is as bounded as its source: the kernel and tokio fold repeated signals into one.
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let pump = AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                Some(()) = terminate.recv() => Signal::Terminate,
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = hangup.recv() => Signal::Reload,
                else => return,
            };
            if sender.send(signal).is_err() {
                return;
            }
        }
    }));
    Ok(UnboundedReceiverStream::new(receiver).map(move |signal| {
        let _keep_alive = &pump;
        signal
    }))
}
