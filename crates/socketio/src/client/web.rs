//! Packets in a WebSocket session: one message each.

use std::time::Duration;

use mooring_core::observation::Close;
use mooring_wire::{Body, End, Event, Session};
use tokio::time::{Instant, timeout_at};

use super::link::{Heard, Times};
use crate::packet::engine::Packet;

pub(super) struct Web {
    session: Session,
    times: Times,
}

impl Web {
    pub(super) fn new(mut session: Session, keep: usize) -> Self {
        session.keep(keep);
        let times = Times::since(session.opened());
        Self { session, times }
    }

    pub(super) async fn hear(&mut self) -> Heard {
        let event = self.session.event().await;
        let heard = match event {
            Event::Data(data) => match data.body {
                Body::Text(text) => {
                    Packet::decode(&text).map_or_else(|why| Heard::Unreadable(data.size, why), Heard::Packet)
                }
                Body::Binary(bytes) => Heard::Packet(Packet::Binary(bytes)),
                Body::Dropped => Heard::Dropped(data.size),
            },
            Event::Ping | Event::Pong(_) => Heard::Alive,
            Event::Close(code, reason) => {
                return Heard::Closed(self.times.close(Some(code), reason, false, None));
            }
            Event::Ended(End { error, violation }) => {
                if let Some(code) = violation {
                    self.session.close(code, "");
                }
                return Heard::Closed(self.times.close(None, String::new(), violation.is_some(), error));
            }
        };
        self.times.hear();
        heard
    }

    pub(super) fn say(&mut self, packet: &Packet) -> bool {
        self.session.send_text(packet.encode())
    }

    pub(super) async fn end(mut self, over: Option<Close>, time_limit: Duration) -> Close {
        let close = match over {
            Some(close) => close,
            None => self.leave(time_limit).await,
        };
        self.session.finish().await;
        close
    }

    async fn leave(&mut self, time_limit: Duration) -> Close {
        self.session.close(1000, "");
        let until = Instant::now() + time_limit;
        while Instant::now() < until {
            match timeout_at(until, self.hear()).await {
                Ok(Heard::Closed(close)) => return Close { by_us: true, ..close },
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let error = format!("no Close frame in answer to ours within {time_limit:?}");
        self.times.close(None, String::new(), true, Some(error))
    }
}
