//! A small real WebSocket server that can be told, or left, to misbehave.
//!
//! It serves the local demo and the end-to-end tests, so its faults are the faults gateways have in the field, each
//! made with the means that produce it for real: a hang is a socket nobody reads, a drop is a FIN without a Close
//! frame, a death is the end of the process. Nothing here knows that it is being watched.
//!
//! The decisions are plain functions (`route`, `control`, `schedule`); `world` holds the one piece of shared state,
//! a watch channel every connection listens to; `server` and `session` move bytes.
//!
//! The binary prints one line of JSON when it is bound. The same server runs inside a test through [`Gateway`]:
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use mooring_sample_gateway::{Ended, Gateway, Options};
//! let options = Options { echo: true, ..Options::default() };
//! let mut gateway = Gateway::start(options).await.unwrap();
//! assert_ne!(gateway.local_addr().port(), 0);
//! gateway.terminate();
//! assert_eq!(gateway.wait().await.unwrap(), Ended::Terminated);
//! # });
//! ```

mod control;
mod http;
mod misbehaviour;
mod options;
mod route;
mod schedule;
mod server;
mod session;
mod world;

pub use control::{ControlError, Verb};
pub use misbehaviour::{Misbehaviour, UnknownMisbehaviour};
pub use options::{Mood, Options};
pub use server::{Gateway, StartError};
pub use world::{Ended, Stats};

/// The exit code of the process when it misbehaves by dying, so that a watcher can tell it from a crash of another
/// kind (1 is an error of start-up, 2 a wrong flag, 101 a panic).
pub const EXIT_DIED: u8 = 3;
