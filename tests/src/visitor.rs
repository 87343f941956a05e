//! Clients of a gateway as there are many: each keeps one WebSocket session open, and comes back when it ends.
//!
//! What happens to a visitor is written down where it happens to it: how often it got in, with which Close frames its
//! sessions ended, how often the connection ended without one, and every time it was turned away.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::wait::until;

/// A visitor's pause before it comes back; a browser's is longer.
const PAUSE: Duration = Duration::from_millis(50);

/// What happened to one visitor, or to several.
#[derive(Clone, Default)]
pub struct Visits {
    /// Sessions open now.
    pub open: usize,
    /// Sessions opened so far.
    pub opened: usize,
    /// Messages received so far.
    pub messages: usize,
    /// Close frames received, with the moment; each was answered, and the connection then ended as it should.
    pub closes: Vec<(u16, String, Instant)>,
    /// Connections that ended without a Close frame, in words.
    pub torn: Vec<(String, Instant)>,
    /// Times it was not let in: an HTTP status, or what connecting ended with.
    pub refused: Vec<String>,
}

impl Visits {
    /// The codes of the Close frames.
    #[must_use]
    pub fn codes(&self) -> Vec<u16> {
        self.closes.iter().map(|(code, ..)| *code).collect()
    }
}

impl fmt::Debug for Visits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let few = |all: Vec<String>| all.into_iter().take(5).collect::<Vec<_>>();
        f.debug_struct("Visits")
            .field("open", &self.open)
            .field("opened", &self.opened)
            .field("messages", &self.messages)
            .field("closes", &self.closes.len())
            .field("closed_with", &few(self.closes.iter().map(|(c, r, _)| format!("{c} {r}")).collect()))
            .field("torn", &self.torn.len())
            .field("torn_by", &few(self.torn.iter().map(|(t, _)| t.clone()).collect()))
            .field("refused", &self.refused.len())
            .field("refused_by", &few(self.refused.clone()))
            .finish()
    }
}

/// One who keeps a session open, until dropped.
#[derive(Debug)]
pub struct Visitor {
    visits: Arc<Mutex<Visits>>,
    task: JoinHandle<()>,
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Visitor {
    /// Visits `ADDRESS` (`127.0.0.1:PORT`) on a path, from now on.
    #[must_use]
    pub fn of(address: &str, path: &str) -> Self {
        Self::saying(address, path, None)
    }

    /// The same, and says something as soon as it is in.
    #[must_use]
    pub fn saying(address: &str, path: &str, hello: Option<String>) -> Self {
        let visits = Arc::<Mutex<Visits>>::default();
        let (address, url) = (address.to_owned(), format!("ws://{address}{path}"));
        let kept = Arc::clone(&visits);
        let task = tokio::spawn(async move {
            loop {
                visit(&address, &url, hello.as_deref(), &kept).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { visits, task }
    }

    /// What happened so far.
    #[must_use]
    pub fn visits(&self) -> Visits {
        lock(&self.visits).clone()
    }

    /// Waits until what happened so far is as wanted; returns it.
    pub async fn when(&self, what: &str, wanted: impl Fn(&Visits) -> bool) -> Visits {
        until(what, || async {
            let visits = self.visits();
            if wanted(&visits) { Ok(visits) } else { Err(visits) }
        })
        .await
    }
}

/// Many of them.
#[derive(Debug)]
pub struct Crowd(pub Vec<Visitor>);

impl Crowd {
    /// So many at one address.
    #[must_use]
    pub fn of(n: usize, address: &str, path: &str) -> Self {
        Self((0..n).map(|_| Visitor::of(address, path)).collect())
    }

    /// What happened to all of them.
    #[must_use]
    pub fn visits(&self) -> Visits {
        let mut all = Visits::default();
        for one in self.0.iter().map(Visitor::visits) {
            all.open += one.open;
            all.opened += one.opened;
            all.messages += one.messages;
            all.closes.extend(one.closes);
            all.torn.extend(one.torn);
            all.refused.extend(one.refused);
        }
        all
    }

    /// Waits until what happened to all of them is as wanted; returns it.
    pub async fn when(&self, what: &str, wanted: impl Fn(&Visits) -> bool) -> Visits {
        until(what, || async {
            let visits = self.visits();
            if wanted(&visits) { Ok(visits) } else { Err(visits) }
        })
        .await
    }

    /// Waits until each has a session.
    pub async fn all_in(&self) -> Visits {
        self.when("all visitors to be in", |v| v.open == self.0.len()).await
    }
}

fn lock(visits: &Mutex<Visits>) -> MutexGuard<'_, Visits> {
    visits.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One session on a path, or why there is none: an HTTP status, or what connecting ended with.
///
/// # Errors
/// In words.
///
/// # Panics
/// When the URL is none.
pub async fn connect(address: &str, url: &str) -> Result<WebSocketStream<TcpStream>, String> {
    let request = url.into_client_request().expect("a URL");
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    match client_async(request, stream).await {
        Ok((session, _)) => Ok(session),
        Err(Error::Http(answer)) => Err(answer.status().as_u16().to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn visit(address: &str, url: &str, hello: Option<&str>, visits: &Mutex<Visits>) {
    let mut session = match connect(address, url).await {
        Ok(session) => session,
        Err(why) => return lock(visits).refused.push(why),
    };
    {
        let mut visits = lock(visits);
        visits.open += 1;
        visits.opened += 1;
    }
    if let Some(hello) = hello {
        // If it is not taken, the session has ended, and that is read below.
        let _ = session.send(Message::text(hello)).await;
    }
    let mut close = None;
    let end = loop {
        match session.next().await {
            Some(Ok(Message::Close(frame))) => close = Some(frame),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => lock(visits).messages += 1,
            Some(Ok(_)) => {}
            Some(Err(error)) => break Some(error.to_string()),
            None => break None,
        }
    };
    let mut visits = lock(visits);
    visits.open -= 1;
    match (close, end) {
        (Some(frame), None) => {
            let (code, reason) =
                frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
            visits.closes.push((code, reason, Instant::now()));
        }
        (Some(_), Some(error)) => visits.torn.push((format!("after Close: {error}"), Instant::now())),
        (None, error) => visits.torn.push((error.unwrap_or_else(|| "end".to_owned()), Instant::now())),
    }
}
