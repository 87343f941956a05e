//! Real sessions: who sees them, what is asked about them, and how they are closed.
//!
//! Each way to watch a gateway's real sessions (relay, kernel, report) is a [`SessionSource`]: it answers questions about
//! the sessions it sees now, and can end them. What happens on its own account goes another way, through a [`tap`]: to
//! the trackers as claims, to the outbox as numbers and ends, to the instruments.
//!
//! **Adding a source** is a file with a [`SessionSource`] and a line where a gateway's sources are begun.
//!
//! A question is answered from all sources of a gateway at once, on a thread that may take its time: with 100,000
//! sessions a look at all of them takes tens of milliseconds.

pub mod adapter;
mod directory;
pub mod kernel;
mod patience;
pub mod relay;
pub mod report;
pub mod tap;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mooring_core::id::{InstanceId, SessionId};
use mooring_core::session::{SessionPage, SessionQuery, Source};
use mooring_gateways::Ask;
use tokio::sync::mpsc;

pub use directory::Directory;

/// Which sessions are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(SessionId),
    /// All of an instance.
    Instance(InstanceId),
    /// All of the gateway.
    All,
}

/// Sessions are to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Which.
    pub which: Which,
    /// Over how much time; `None`: as the source is configured.
    pub spread: Option<Duration>,
    /// All of it must be over by then.
    pub limit: Duration,
}

/// What came of it. The source looked: a session that is counted here is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closed {
    /// With a closing handshake (RFC 6455 §7.1.1).
    pub properly: u64,
    /// Without: the connection was ended.
    pub cut: u64,
    /// Had ended before it was their turn.
    pub gone: u64,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.properly, "closed properly"), (self.cut, "cut"), (self.gone, "gone already")];
        let said: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        f.write_str(if said.is_empty() { "no session was open" } else { "" })?;
        f.write_str(&said.join(", "))
    }
}

/// One way to see the real sessions of one gateway.
pub trait SessionSource: Send + Sync + fmt::Debug {
    /// Which way.
    fn source(&self) -> Source;

    /// The sessions as they are now. Looks at all of them: not for a thread that others wait for.
    fn page(&self, query: &SessionQuery) -> SessionPage;

    /// Why the last [`page`](Self::page) is empty, where that is because nothing could be seen.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Ends sessions and waits until they have ended.
    fn close(&self, closing: Closing) -> BoxFuture<'_, Result<Closed, String>>;

    /// The way to keep new sessions out, where there is one.
    fn door(&self) -> Option<&dyn Door> {
        None
    }

    /// The way to ask the adapter of the gateway's kind, where it is one.
    fn asks(&self) -> Option<mpsc::Sender<Ask>> {
        None
    }
}

/// Where new sessions come in.
pub trait Door: Send + Sync {
    /// From now on new sessions wait (`true`), or are let in again (`false`). Bounded: who waits too long is turned away.
    fn hold(&self, on: bool);

    /// Ends all sessions over a time and lets no new one in, until [`resume`](Self::resume).
    fn drain(&self, spread: Option<Duration>, limit: Duration) -> BoxFuture<'_, Result<Closed, String>>;

    /// Ends a drain.
    fn resume(&self);
}

/// All sources of one gateway.
#[derive(Debug, Default)]
pub struct Sources(Vec<Arc<dyn SessionSource>>);

impl Sources {
    /// These.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn SessionSource>>) -> Self {
        Self(sources)
    }

    /// The one of this kind.
    #[must_use]
    pub fn get(&self, source: Source) -> Option<&Arc<dyn SessionSource>> {
        self.0.iter().find(|s| s.source() == source)
    }

    /// The one that sees a session: it made its id.
    #[must_use]
    pub fn of(&self, session: &SessionId) -> Option<&Arc<dyn SessionSource>> {
        self.get(source_of(session)?)
    }

    /// The one that ends sessions best: the relay closes them properly, the gateway itself knows how, the kernel cuts.
    #[must_use]
    pub fn closer(&self) -> Option<&Arc<dyn SessionSource>> {
        [Source::Relay, Source::Report, Source::Kernel].into_iter().find_map(|source| self.get(source))
    }

    /// The way to ask the gateway's adapter.
    #[must_use]
    pub fn adapter(&self) -> Option<mpsc::Sender<Ask>> {
        self.0.iter().find_map(|s| s.asks())
    }

    /// The one with a door.
    #[must_use]
    pub fn door(&self) -> Option<&dyn Door> {
        self.0.iter().find_map(|s| s.door())
    }

    /// The answer to a question, from all of them.
    #[must_use]
    pub fn page(&self, query: &SessionQuery) -> SessionPage {
        let mut all = SessionPage::default();
        for source in self.asked(query) {
            let page = source.page(query);
            all.sessions.extend(page.sessions);
            all.more |= page.more;
            all.summary.merge(&page.summary);
        }
        all.more |= query.page(&mut all.sessions);
        all
    }

    /// Why the last [`page`](Self::page) shows nothing, where somebody could not look.
    #[must_use]
    pub fn trouble(&self, query: &SessionQuery) -> Option<String> {
        self.asked(query).find_map(|source| source.trouble())
    }

    /// Those that a question is for.
    fn asked(&self, query: &SessionQuery) -> impl Iterator<Item = &Arc<dyn SessionSource>> {
        let wanted = query.source;
        self.0.iter().filter(move |source| wanted.is_none_or(|wanted| wanted == source.source()))
    }
}

/// Who made this id.
fn source_of(session: &SessionId) -> Option<Source> {
    match session.as_str().as_bytes().first()? {
        b'r' => Some(Source::Relay),
        b'k' => Some(Source::Kernel),
        b'p' => Some(Source::Report),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_closed_is_said_in_words() {
        assert_eq!(Closed::default().to_string(), "no session was open");
        let closed = Closed { properly: 3, cut: 1, gone: 0 };
        assert_eq!(closed.to_string(), "3 closed properly, 1 cut");
    }

    #[test]
    fn an_id_says_who_made_it() {
        let of = |id: &str| source_of(&SessionId::new(id).unwrap());
        assert_eq!(
            (of("r12"), of("kff"), of("p1"), of("x1")),
            (Some(Source::Relay), Some(Source::Kernel), Some(Source::Report), None)
        );
    }
}
