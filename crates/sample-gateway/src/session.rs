//! One open session: ticks, echoes and pongs while all is well, and the ways it ends.
//!
//! tungstenite answers a ping when the stream is read again after it. So a session falls silent in the same way a
//! stuck event loop does: it is simply no longer polled, and the bytes pile up in the kernel.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::misbehaviour::Misbehaviour;
use crate::server::Context;
use crate::world::{Cut, Ended, World};

/// A peer that does not take a frame for this long is cut, so that it cannot hold up an order to the session.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// How long to wait for the peer's Close after ours. Shorter than the grace of the whole process.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// The default of 128 KiB is really touched, which makes 137 kB a session; the rest bounds what a peer can make us
/// keep.
fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(4 * 1024)
        .max_write_buffer_size(256 * 1024)
        .max_frame_size(Some(64 * 1024))
        .max_message_size(Some(64 * 1024))
}

/// Serves a session on a stream that has just switched protocols. `early` is what the client sent with its request,
/// `seen` the number of cuts when the session was counted: later ones are meant for it.
pub(crate) async fn run(stream: TcpStream, early: Vec<u8>, cx: &Context, seen: u64) {
    let mut world = cx.stage.watch();
    let mut socket = WebSocketStream::from_partially_read(stream, early, Role::Server, Some(limits())).await;
    match talk(&mut socket, cx, &mut world, seen).await {
        Leave::Gone => {}
        // The FIN goes out even where bytes lie unread, for which a plain close would send a reset alone.
        Leave::Cut(Cut::Drop) => drop(socket.get_mut().shutdown().await),
        Leave::Cut(Cut::Close { code, reason }) => close(&mut socket, code, reason).await,
    }
}

/// Why a session is over.
enum Leave {
    /// The peer left or broke the protocol; tungstenite has answered what there is to answer.
    Gone,
    /// We leave, like this.
    Cut(Cut),
}

async fn talk(
    socket: &mut WebSocketStream<TcpStream>,
    cx: &Context,
    world: &mut watch::Receiver<World>,
    seen: u64,
) -> Leave {
    let mut ticks = ticker(cx.options.tick);
    let mut hello = cx.options.hello.clone();
    let mut count = 0_u64;
    loop {
        let silent = {
            let now = world.borrow_and_update();
            if let Some(leave) = leave(&now, seen) {
                return leave;
            }
            now.silent()
        };
        if !silent && let Some(text) = hello.take() {
            if send(socket, Message::text(text)).await.is_err() {
                return Leave::Gone;
            }
            continue;
        }
        let reply = tokio::select! {
            // First, so that nothing is read any more once a fault has been set.
            biased;
            changed = world.changed() => match changed {
                Ok(()) => None,
                Err(_) => return Leave::Gone,
            },
            received = socket.next(), if !silent => match received {
                Some(Ok(message)) => take(message, cx),
                Some(Err(_)) | None => return Leave::Gone,
            },
            () = tick(&mut ticks), if !silent => {
                count += 1;
                Some(Message::text(format!(r#"{{"tick":{count}}}"#)))
            }
        };
        if let Some(message) = reply
            && send(socket, message).await.is_err()
        {
            return Leave::Gone;
        }
    }
}

/// Whether the world asks this session to end: it was cut since it began, or everything ends.
fn leave(now: &World, seen: u64) -> Option<Leave> {
    if now.cuts > seen {
        return now.cut.clone().map(Leave::Cut);
    }
    match now.ending? {
        Ended::Terminated if now.fault != Some(Misbehaviour::Hang) => {
            Some(Leave::Cut(Cut::Close { code: CloseCode::Away.into(), reason: "going away".to_owned() }))
        }
        // One that hangs ends as it lived: without a word.
        Ended::Terminated | Ended::Died => Some(Leave::Gone),
    }
}

/// Counts a message, and says what to send back.
fn take(message: Message, cx: &Context) -> Option<Message> {
    match message {
        Message::Ping(_) => {
            cx.stage.pings.fetch_add(1, Ordering::Relaxed);
            None
        }
        Message::Text(_) | Message::Binary(_) => {
            cx.stage.messages.fetch_add(1, Ordering::Relaxed);
            cx.options.echo.then_some(message)
        }
        Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
    }
}

/// A write that failed or took too long; either way the session is over.
struct NotSent;

async fn send(socket: &mut WebSocketStream<TcpStream>, message: Message) -> Result<(), NotSent> {
    match timeout(WRITE_LIMIT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(NotSent),
    }
}

/// The closing handshake (RFC 6455 §7.1.2): our Close, then whatever the peer still sends up to its own.
async fn close(socket: &mut WebSocketStream<TcpStream>, code: u16, reason: String) {
    let frame = CloseFrame { code: code.into(), reason: reason.into() };
    let farewell = async {
        if socket.close(Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // A peer that does not answer is left with the Close it has.
    drop(timeout(CLOSE_LIMIT, farewell).await);
}

fn ticker(period: Duration) -> Option<Interval> {
    (!period.is_zero()).then(|| {
        let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    })
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}
