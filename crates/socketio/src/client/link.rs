//! Engine.IO packets in both directions, whichever way they travel.

use std::time::Duration;

use mooring_core::observation::Close;
use tokio::time::Instant;

use super::polling::Polling;
use super::web::Web;
use crate::packet::PacketError;
use crate::packet::engine::Packet;
use crate::refusal::EngineError;

/// Something that came.
pub(super) enum Heard {
    Packet(Packet),
    /// A sign of life without content.
    Alive,
    /// A message larger than what is read; its size.
    Dropped(usize),
    /// Not Engine.IO; its size.
    Unreadable(usize, PacketError),
    Closed(Close),
}

pub(super) enum Link {
    Web(Box<Web>),
    Polling(Box<Polling>),
}

impl Link {
    /// The next thing. Cancel-safe. After [`Heard::Closed`] it is that for ever.
    pub(super) async fn hear(&mut self) -> Heard {
        match self {
            Self::Web(web) => web.hear().await,
            Self::Polling(polling) => polling.hear().await,
        }
    }

    /// Queues a packet; it goes out while somebody hears. False when it was not queued.
    pub(super) fn say(&mut self, packet: Packet) -> bool {
        match self {
            Self::Web(web) => web.say(&packet),
            Self::Polling(polling) => polling.say(packet),
        }
    }

    /// Engine.IO's own refusal in the middle of a session, where there was one.
    pub(super) fn refused(&self) -> Option<&EngineError> {
        match self {
            Self::Web(_) => None,
            Self::Polling(polling) => polling.refused(),
        }
    }

    /// Ends the session properly, unless it is over; what is queued goes out first.
    pub(super) async fn end(self, over: Option<Close>, time_limit: Duration) -> Close {
        match self {
            Self::Web(web) => web.end(over, time_limit).await,
            Self::Polling(polling) => polling.end(over, time_limit).await,
        }
    }
}

/// When a session began and was last heard of, for the record of its end.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) opened: Instant,
    pub(super) heard: Instant,
}

impl Times {
    pub(super) fn since(opened: Instant) -> Self {
        Self { opened, heard: opened }
    }

    pub(super) fn hear(&mut self) {
        self.heard = Instant::now();
    }

    pub(super) fn close(
        &self,
        code: Option<u16>,
        reason: String,
        by_us: bool,
        error: Option<String>,
    ) -> Close {
        Close { code, reason, by_us, age: self.opened.elapsed(), silent_for: self.heard.elapsed(), error }
    }
}
