//! The server: listens, answers requests, turns upgrades into sessions, and lets the faults pass or come.
//!
//! One task owns everything. The listener, the timer of the fault and the mood are its branches, the connections its
//! children, so that dropping a [`Gateway`] leaves nothing behind.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{error, info, warn};

use crate::control::Verb;
use crate::http::{Answer, HeadError, MAX_HEAD, Request, finish, read_head};
use crate::misbehaviour::Misbehaviour;
use crate::options::{Mood, Options};
use crate::route::{Route, is_back_door, route};
use crate::schedule::Schedule;
use crate::session;
use crate::world::{Ended, Stage, Stats};

/// Connections beside the sessions: health checks, refused upgrades, control requests.
const SPARE_CONNECTIONS: usize = 64;

/// How long to wait before listening or accepting is tried again after it failed.
const RETRY: Duration = Duration::from_millis(50);

/// How long the farewell of all sessions may take.
const GRACE: Duration = Duration::from_secs(1);

/// Longest time to write an answer and to see the peer close.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What a connection needs to know.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: Options,
    pub(crate) stage: Stage,
}

/// The gateway could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another --listen, or port 0 for any")]
pub struct StartError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

/// A running gateway. Dropping it cuts every connection and frees the port.
#[derive(Debug)]
pub struct Gateway {
    context: Arc<Context>,
    address: SocketAddr,
    task: JoinHandle<Ended>,
}

impl Gateway {
    /// Binds and serves.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let failed = |source| StartError { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        info!("listening on {address}, WebSocket at {}", options.path);
        let context = Arc::new(Context { options, stage: Stage::default() });
        let task = tokio::spawn(serve(listener, address, Arc::clone(&context)));
        Ok(Self { context, address, task })
    }

    /// The address it is bound to, with the real port.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Does what the control endpoint would do, without one.
    pub fn apply(&self, verb: &Verb) {
        self.context.stage.apply(verb);
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.context.stage.stats()
    }

    /// Stops listening and closes every session with 1001. [`Gateway::wait`] tells when that is done.
    pub fn terminate(&self) {
        self.context.stage.end(Ended::Terminated);
    }

    /// Waits for the end, by [`Gateway::terminate`] or by dying. To be awaited once.
    ///
    /// # Errors
    /// When the server panicked, which is a bug.
    pub async fn wait(&mut self) -> Result<Ended, JoinError> {
        (&mut self.task).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, address: SocketAddr, cx: Arc<Context>) -> Ended {
    let mut connections = JoinSet::new();
    let how = tokio::select! {
        how = cx.stage.ending() => how,
        never = accept(listener, address, &cx, &mut connections) => match never {},
        never = heal_when_due(&cx.stage) => match never {},
        never = follow_mood(&cx) => match never {},
    };
    // The branches are dropped here, and the listener with them.
    if how == Ended::Terminated {
        info!("going away");
        let all_gone = async { while connections.join_next().await.is_some() {} };
        if timeout(GRACE, all_gone).await.is_err() {
            warn!("{} connections did not end in {GRACE:?} and are cut", connections.len());
        }
    }
    connections.shutdown().await;
    how
}

/// Accepts connections, except while it refuses them; then binds the same port again.
async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    cx: &Arc<Context>,
    connections: &mut JoinSet<()>,
) -> Infallible {
    let most = cx.options.max_sessions + SPARE_CONNECTIONS;
    let mut world = cx.stage.watch();
    let mut listener = Some(listener);
    loop {
        let refusing = world.borrow_and_update().fault == Some(Misbehaviour::Refuse);
        if refusing {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address)
                .await
                .inspect_err(|error| warn!("cannot listen on {address} again: {error}; trying on"))
                .ok();
        }
        let room = connections.len() < most;
        let wait = async {
            match &listener {
                Some(listener) if room => listener.accept().await.map(Some),
                Some(_) => std::future::pending().await,
                None => {
                    sleep(RETRY).await;
                    Ok(None)
                }
            }
        };
        tokio::select! {
            _ = world.changed() => {}
            accepted = wait => match accepted {
                Ok(Some((stream, peer))) => {
                    let cx = Arc::clone(cx);
                    connections.spawn(async move { connection(stream, peer, &cx).await });
                }
                Ok(None) => {}
                Err(error) => {
                    // Out of descriptors, mostly: a pause lets some be closed.
                    warn!("cannot accept: {error}; pausing for {RETRY:?}");
                    sleep(RETRY).await;
                }
            },
            Some(done) = connections.join_next() => {
                if let Err(error) = done {
                    error!("a connection's task failed: {error}");
                }
            }
        }
    }
}

async fn heal_when_due(stage: &Stage) -> Infallible {
    let mut world = stage.watch();
    loop {
        let due = world.borrow_and_update().heals_at;
        tokio::select! {
            _ = world.changed() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                stage.heal_if_due(Instant::now());
            }
        }
    }
}

/// Misbehaves now and then. Waits for a good moment first: a fault on top of another would show neither.
async fn follow_mood(cx: &Context) -> Infallible {
    let options = &cx.options;
    let seed = options.seed.unwrap_or_else(rand::random);
    let schedule = Schedule::new(seed, &options.misbehave, options.every);
    let (Mood::Moody, Some(mut schedule)) = (options.mood, schedule) else {
        return std::future::pending().await;
    };
    info!("moody, about every {:?}; --seed {seed} repeats it", options.every);
    let mut world = cx.stage.watch();
    loop {
        let (wait, what) = schedule.draw();
        sleep(wait).await;
        let lasts = what.heals_by_itself().then_some(options.lasts);
        if cx.stage.fault().is_none() {
            cx.stage.apply(&Verb::Misbehave { what, lasts });
        }
        // The sender lives as long as the context, which is borrowed here.
        drop(world.wait_for(|it| it.fault.is_none()).await);
    }
}

async fn connection(mut stream: TcpStream, peer: SocketAddr, cx: &Context) {
    // A tick must not wait for the acknowledgement of the one before it. Without it all still works.
    drop(stream.set_nodelay(true));
    let mut early = Vec::new();
    let received = tokio::select! {
        _ = cx.stage.ending() => None,
        received = receive(&mut stream, &mut early, cx) => received,
    };
    let (route, head_only) = match received {
        None => return,
        Some(Err(answer)) => (Route::Answer(answer), false),
        Some(Ok(request)) => {
            let loopback = peer.ip().to_canonical().is_loopback();
            (route(&request, &cx.options, loopback, cx.stage.fault()), request.method == "HEAD")
        }
    };
    match route {
        Route::Answer(it) => answer(&mut stream, &it, head_only).await,
        Route::Stats => answer(&mut stream, &Answer::json(200, &json!(cx.stage.stats())), false).await,
        Route::Control(verb) => control(&mut stream, verb, cx).await,
        Route::Upgrade(head) => open(stream, early, &head, cx).await,
    }
}

/// Reads the request; `Err` is the answer to one that cannot be used, `None` where there is nobody to answer.
async fn receive(
    stream: &mut TcpStream,
    early: &mut Vec<u8>,
    cx: &Context,
) -> Option<Result<Request, Answer>> {
    let read = timeout(cx.options.handshake_timeout, read_head(stream, early)).await;
    let request = match read {
        Ok(Ok(request)) => Ok(request),
        Ok(Err(HeadError::Gone)) => return None,
        Ok(Err(HeadError::Malformed)) => Err(Answer::text(400, "this is not a request\n")),
        Ok(Err(HeadError::TooLarge)) => Err(Answer::text(431, "the most is 16 KiB and 64 headers\n")),
        Err(_) => Err(Answer::text(408, "the request did not come in time\n")),
    };
    if !request.as_ref().is_ok_and(|it| is_back_door(it, &cx.options)) {
        hold_while_hanging(stream, early, cx).await?;
    }
    Some(request)
}

/// Keeps a connection without a word for as long as the gateway hangs; `None` when the peer gave up first.
async fn hold_while_hanging(stream: &mut TcpStream, early: &mut Vec<u8>, cx: &Context) -> Option<()> {
    let mut world = cx.stage.watch();
    loop {
        tokio::select! {
            biased;
            over = world.wait_for(|it| it.fault != Some(Misbehaviour::Hang)) => return over.is_ok().then_some(()),
            read = stream.read_buf(early), if early.len() < MAX_HEAD => if !matches!(read, Ok(1..)) {
                return None;
            },
        }
    }
}

async fn answer(stream: &mut TcpStream, answer: &Answer, head_only: bool) {
    // A peer that does not wait for its answer is its own affair.
    drop(timeout(ANSWER_LIMIT, finish(stream, &answer.render(head_only))).await);
}

/// Does what was asked and answers, so that whoever has the answer knows it is done; only a death answers first.
async fn control(stream: &mut TcpStream, mut verb: Verb, cx: &Context) {
    if let Verb::Misbehave { what: Misbehaviour::Refuse, lasts } = &mut verb {
        // While it refuses, nobody can come and ask it to heal.
        lasts.get_or_insert(cx.options.lasts);
    }
    let dies = matches!(verb, Verb::Misbehave { what: Misbehaviour::Die, .. });
    if !dies {
        cx.stage.apply(&verb);
    }
    answer(stream, &Answer::json(200, &json!({ "done": verb.name(), "stats": cx.stage.stats() })), false)
        .await;
    if dies {
        cx.stage.apply(&verb);
    }
}

/// Switches protocols and serves the session, or says that there is no room.
async fn open(mut stream: TcpStream, early: Vec<u8>, head: &str, cx: &Context) {
    // Before the session is counted: a test that has seen it counted may cut it.
    let seen = cx.stage.cuts();
    let Some(_seat) = cx.stage.enter(cx.options.max_sessions) else {
        warn!("refused a session: {} are open, which is the most", cx.options.max_sessions);
        answer(&mut stream, &Answer::text(503, "too many sessions\n"), false).await;
        return;
    };
    if matches!(timeout(ANSWER_LIMIT, stream.write_all(head.as_bytes())).await, Ok(Ok(()))) {
        session::run(stream, early, cx, seen).await;
    }
}
