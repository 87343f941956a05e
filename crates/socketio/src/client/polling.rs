//! Packets in HTTP requests. One GET always waits for news; a POST brings ours, one at a time, as the server ends the
//! session of a client that lets two of a kind overlap.
//!
//! The requests under way are kept here and not in [`Polling::hear`], so that who stops waiting does not break one off: a
//! server takes a poll that breaks off for the end of the session.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::observation::Close;
use mooring_wire::{Ask, Cookies, Exchange, Redactor, Target, exchange};
use tokio::time::{Instant, timeout_at};

use super::link::{Heard, Times};
use crate::endpoint::Way;
use crate::packet::engine::{Packet, decode_payload, encode_payload};
use crate::refusal::EngineError;

/// Most packets of ours that wait.
const MAX_OUT: usize = 64;
/// What the answer to a POST may be.
const MAX_RECEIPT: usize = 256;
/// Beyond the promise of pings, until a poll counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

type Running = Option<BoxFuture<'static, Exchange>>;

pub(super) struct Polling {
    /// With the session's id.
    target: Target,
    cookies: Cookies,
    redactor: Redactor,
    keep: usize,
    get: Running,
    post: Running,
    out: VecDeque<Packet>,
    heard: VecDeque<Heard>,
    times: Times,
    over: Option<Close>,
    refused: Option<EngineError>,
}

impl Polling {
    /// A session that was opened by a request; `target` holds its id, `silence` is what the server promised at most.
    pub(super) fn new(mut target: Target, cookies: Cookies, silence: Duration, keep: usize) -> Self {
        target.timeouts.answer = silence.saturating_add(PATIENCE);
        Self {
            redactor: Redactor::of(&target),
            target,
            cookies,
            keep,
            get: None,
            post: None,
            out: VecDeque::new(),
            heard: VecDeque::new(),
            times: Times::since(Instant::now()),
            over: None,
            refused: None,
        }
    }

    /// Packets that came with the opening.
    pub(super) fn push(&mut self, packets: impl IntoIterator<Item = Packet>) {
        for packet in packets {
            if packet == Packet::Close {
                self.over = Some(self.times.close(Some(1000), "close packet".to_owned(), false, None));
                return;
            }
            self.heard.push_back(Heard::Packet(packet));
        }
    }

    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return heard;
            }
            if let Some(close) = &self.over {
                return Heard::Closed(close.clone());
            }
            self.begin();
            tokio::select! {
                biased;
                got = next(&mut self.get) => {
                    self.get = None;
                    self.got(&got);
                }
                sent = next(&mut self.post) => {
                    self.post = None;
                    self.check(&sent);
                }
            }
        }
    }

    pub(super) fn say(&mut self, packet: Packet) -> bool {
        if self.over.is_some() || self.out.len() >= MAX_OUT {
            return false;
        }
        self.out.push_back(packet);
        true
    }

    pub(super) fn refused(&self) -> Option<&EngineError> {
        self.refused.as_ref()
    }

    fn begin(&mut self) {
        if self.get.is_none() {
            self.get = Some(run(&self.target, Ask::get(self.keep), &self.cookies));
        }
        if self.post.is_none() && !self.out.is_empty() {
            let packets: Vec<Packet> = self.out.drain(..).collect();
            self.post =
                Some(run(&self.target, Ask::post(encode_payload(&packets), MAX_RECEIPT), &self.cookies));
        }
    }

    fn got(&mut self, got: &Exchange) {
        if !self.check(got) {
            return;
        }
        self.times.hear();
        let size = got.body.len();
        if !got.complete {
            self.heard.push_back(Heard::Dropped(size));
            return;
        }
        match decode_payload(&String::from_utf8_lossy(&got.body)) {
            Ok(packets) => self.push(packets),
            Err(why) => self.heard.push_back(Heard::Unreadable(size, why)),
        }
    }

    /// Whether a request was taken; the session is over if not.
    fn check(&mut self, done: &Exchange) -> bool {
        let error = match &done.outcome {
            Ok(answer) if answer.status == 200 => return true,
            Ok(answer) => {
                self.refused = EngineError::of_body(&done.body);
                let words = self.refused.as_ref().map(|e| self.redactor.clean(&e.words(Way::Polling)));
                words.unwrap_or_else(|| format!("HTTP {} instead of 200", answer.status))
            }
            Err(refusal) => refusal.message.clone(),
        };
        // After a proper end, what the other request says is of no interest.
        if self.over.is_none() {
            self.over = Some(self.times.close(None, String::new(), false, Some(error)));
        }
        false
    }

    pub(super) async fn end(mut self, over: Option<Close>, time_limit: Duration) -> Close {
        if let Some(close) = over.or_else(|| self.over.clone()) {
            return close;
        }
        let until = Instant::now() + time_limit;
        let leave = async {
            // Two of a kind must not overlap. What is queued goes before the close packet and not with it: a server closes
            // before it has looked at what came along.
            if self.post.is_some() {
                let _ = next(&mut self.post).await;
            }
            let last: Vec<Packet> = self.out.drain(..).collect();
            if !last.is_empty() {
                let _ = run(&self.target, Ask::post(encode_payload(&last), MAX_RECEIPT), &self.cookies).await;
            }
            let body = encode_payload(&[Packet::Close]);
            let post = run(&self.target, Ask::post(body, MAX_RECEIPT), &self.cookies);
            // The server answers the poll that waits, and it is read, so that nothing is broken off.
            let poll = async {
                if self.get.is_some() {
                    let _ = next(&mut self.get).await;
                }
            };
            tokio::join!(post, poll).0
        };
        match timeout_at(until, Box::pin(leave)).await {
            Ok(done) if done.outcome.as_ref().is_ok_and(|a| a.status == 200) => {
                self.times.close(Some(1000), "close packet".to_owned(), true, None)
            }
            Ok(_) => {
                self.times.close(None, String::new(), true, Some("the close packet was refused".to_owned()))
            }
            Err(_) => {
                let error = format!("the close packet was not answered within {time_limit:?}");
                self.times.close(None, String::new(), true, Some(error))
            }
        }
    }
}

fn run(target: &Target, ask: Ask, cookies: &Cookies) -> BoxFuture<'static, Exchange> {
    let (target, ask) = (target.clone(), ask.cookies(cookies));
    async move { exchange(&target, &ask).await }.boxed()
}

/// The end of a request under way; never, where there is none.
async fn next(running: &mut Running) -> Exchange {
    match running {
        Some(future) => future.await,
        None => pending().await,
    }
}
