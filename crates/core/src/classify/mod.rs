//! From wire facts to causes: pure functions that name what was seen.
//!
//! One place knows what each signature means, so that the dialler, the watcher and the examination for people say the
//! same of the same facts. [`refusal_from_answer`] reads the HTTP answer to an upgrade, [`refusal_from_io`] what went
//! wrong below HTTP, [`cause_of_close`] how a session ended, the latter in the light of [`RecentCloses`]: one session
//! that ends without a Close frame says little, three that end after the same 60 s of silence name a proxy.
//!
//! The signatures were taken from real servers (`ws`, Socket.IO, Express, uvicorn, nginx, Apache, HAProxy), and the
//! tests hold the very bytes those send. A cause that leads to a human is only given where acting cannot help; in doubt
//! the milder cause is taken, as the tracker asks for a second occurrence before it believes either.

mod close;
mod http;
mod io;
mod text;

pub use close::{CloseVerdict, RecentCloses, cause_of_close};
pub(crate) use close::{IDLE_LEAST, PATTERN, YOUNG, agree};
pub use http::{UpgradeFacts, refusal_from_answer};
pub use io::{IoFault, cause_of_io, refusal_from_io};
pub(crate) use text::{quote, short};
