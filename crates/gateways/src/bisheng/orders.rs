//! What Bisheng is never asked to do, and the words that go back instead.
//!
//! Every order is refused. That is no gap: the sessions are other people's, and the processes are containers whose order
//! of restart matters. What can be said is what a human has to do, and in which order.

use crate::adapter::Doing;

/// The answer to an order.
#[must_use]
pub fn refusal(doing: Doing) -> &'static str {
    match doing {
        Doing::Reconnect => {
            "refused: Bisheng's sessions are its users' own. Closing one that has no chat_id stops the workflow that \
             runs in it, and only the user's browser can open it again. Mooring holds no session of its own there that \
             could be renewed"
        }
        Doing::Restart => {
            "refused: Bisheng has no restart of one session, and restarting its container ends every running workflow. \
             By hand: read the log of `bisheng-backend` for a failed migration first (it runs at each start, and a \
             second restart does not cure it); then restart `bisheng-backend`, wait for GET /health to say OK, and \
             only then restart `bisheng-backend-worker`. MySQL and Redis must be up before either"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_why_and_what_instead() {
        let reconnect = refusal(Doing::Reconnect);
        assert!(reconnect.contains("chat_id") && reconnect.starts_with("refused: "));
        let restart = refusal(Doing::Restart);
        let api = restart.find("restart `bisheng-backend`").unwrap();
        let worker = restart.find("restart `bisheng-backend-worker`").unwrap();
        assert!(restart.find("migration").unwrap() < api && api < worker, "the order is the point");
    }
}
