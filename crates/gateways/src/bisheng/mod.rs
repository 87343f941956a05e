//! Bisheng: the backend, each proxy before it, and what it says of its own health.
//!
//! Bisheng is FastAPI under uvicorn, behind an nginx of its own, and mostly behind a second proxy of the operator's. Its
//! faults are faults of that chain, and they look alike from outside: a stripped upgrade at either proxy is the same 404.
//! So the same handshake is made at the backend and at each hop, at the same moment, and the first that fails, counted
//! from the inside, is where the fault is ([`locate`]). What cannot be judged by HTTP's status is judged by the body,
//! because Bisheng's REST answers 200 to everything ([`rest`]).
//!
//! **Why the probe harms no workflow.** A workflow that was begun without a `chat_id` is stopped when its session ends,
//! and older versions keep sessions in a table by workflow id and `chat_id`, where a second one throws the first out.
//! Either way what a session can harm is what shares its key. The probe therefore dials a workflow id that it makes up
//! for each dial ([`settings::Settings::chat_path`] must hold the place for it, and must not hold a `chat_id`): no
//! workflow has it, no session shares it. It sends no message, so that nothing is begun under it, and without that there
//! is nothing to stop. It pings once (a control frame, which uvicorn answers and the application never sees), closes with
//! 1000 and waits for the answer; nothing is held open.
//!
//! **What is never done.** The sessions are browsers' own; whoever closes one may cancel its workflow, and nobody but the
//! browser can open it again. And a container's restart ends every workflow of every user, and runs migrations, whose
//! failure a second restart does not cure. Both orders are refused with the words an operator needs ([`orders`]).

pub mod locate;
pub mod orders;
pub mod probe;
pub mod rest;
mod run;
pub mod settings;
pub mod state;

pub use run::{Bisheng, MakeError};
pub use settings::{Hop, Settings};
