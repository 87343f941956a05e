//! What may be done to a session, and when it is believed to have been done. Pure.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::time::Mono;

use super::api::Status;
use crate::adapter::Doing;

/// A call of WAHA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `POST /api/sessions/{name}/start`
    Start,
    /// `POST /api/sessions/{name}/restart`
    Restart,
}

impl Call {
    /// The last part of its path.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Restart => "restart",
        }
    }
}

/// Which call an order comes to, or why it is refused. `cause`: what is known to be wrong with the session's account;
/// `stuck`: it has been starting for too long.
///
/// # Errors
/// In words for the operator.
pub fn permit(doing: Doing, status: Status, cause: Option<Cause>, stuck: bool) -> Result<Call, String> {
    let never = match cause {
        Some(Cause::LoginRevoked) => {
            Some("the account was logged out (401): it has to be paired again by hand")
        }
        Some(Cause::PairingNeeded) => {
            Some("it waits for its login: scan the QR code or enter the pairing code")
        }
        Some(Cause::SessionReplaced) => Some(
            "another client took the account over (440): starting it again would only throw that one out",
        ),
        Some(Cause::AccountForbidden) => Some("the account is refused (403): trying again makes it worse"),
        Some(Cause::ClientOutdated) => Some("the client's version is refused (405): upgrade WAHA"),
        _ => None,
    };
    if let Some(why) = never {
        return Err(format!("refused: {why}"));
    }
    match (status, doing) {
        (Status::ScanQrCode, _) => {
            Err("refused: it shows a QR code, and a restart would take it from whoever is about to scan it"
                .to_owned())
        }
        (Status::Starting, _) if !stuck => {
            Err("refused: it is starting, as it does of itself now and then; let it come up".to_owned())
        }
        (Status::Stopped | Status::Failed, _) => Ok(Call::Start),
        (Status::Working | Status::Starting, Doing::Reconnect | Doing::Restart) => Ok(Call::Restart),
        (Status::Other, _) => {
            Err("refused: its status is a word that this version of Mooring does not know".to_owned())
        }
    }
}

/// Waits for the effect: the session leaves the status it had, comes to `WORKING`, and stays there.
#[derive(Debug)]
pub struct Verify {
    call: Call,
    before: Status,
    hold: Duration,
    began: Mono,
    left: bool,
    last: Status,
    working: Option<Mono>,
}

impl Verify {
    /// A call was made now on a session of this status.
    #[must_use]
    pub fn new(call: Call, before: Status, hold: Duration, now: Mono) -> Self {
        Self { call, before, hold, began: now, left: false, last: before, working: None }
    }

    /// A status was seen, by whichever source, in an answer that was asked for at `asked`; a verdict, where there is one.
    pub fn see(&mut self, now: Mono, asked: Mono, status: Status) -> Option<Result<String, String>> {
        if asked < self.began {
            return None;
        }
        self.last = status;
        self.left |= status != self.before;
        if !self.left {
            // `WORKING` right after a restart may be the old session's word.
            return None;
        }
        let after = || format!("{} after POST {}", now_words(now.since(self.began)), self.call.verb());
        match status {
            Status::Working => {
                let since = *self.working.get_or_insert(now);
                let held = now.since(since);
                (held >= self.hold)
                    .then(|| Ok(format!("WORKING, and has stayed so for {}, {}", now_words(held), after())))
            }
            Status::ScanQrCode => Some(Err(format!(
                "it asks for a new login ({}): the pairing is gone, a human has to scan the code",
                after()
            ))),
            Status::Failed => Some(Err(format!("it failed again, {}", after()))),
            Status::Stopped | Status::Starting | Status::Other => {
                self.working = None;
                None
            }
        }
    }

    /// The time is over: why the effect is not known.
    #[must_use]
    pub fn give_up(&self) -> String {
        let verb = self.call.verb();
        if !self.left {
            let before = self.before.word();
            return format!(
                "POST {verb} was answered, but the session never left {before}: no effect was seen"
            );
        }
        match self.working {
            Some(_) => format!("WORKING after POST {verb}, but not for long enough to be believed"),
            None => format!("after POST {verb} it came no further than {}", self.last.word()),
        }
    }
}

fn now_words(d: Duration) -> String {
    format!("{:.1} s", d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_done_and_what_never() {
        use Status as S;
        let (c, r) = (Doing::Reconnect, Doing::Restart);
        type Row = (Doing, Status, Option<Cause>, bool, Option<Call>);
        let rows: &[Row] = &[
            (c, S::Stopped, None, false, Some(Call::Start)),
            (r, S::Stopped, None, false, Some(Call::Start)),
            (c, S::Failed, Some(Cause::ReportedClosed), false, Some(Call::Start)),
            (c, S::Working, None, false, Some(Call::Restart)),
            (r, S::Working, None, false, Some(Call::Restart)),
            (c, S::Starting, Some(Cause::ConnectingStuck), true, Some(Call::Restart)),
            (c, S::Starting, None, false, None),
            (c, S::ScanQrCode, None, false, None),
            (r, S::ScanQrCode, Some(Cause::PairingNeeded), false, None),
            (r, S::Failed, Some(Cause::LoginRevoked), false, None),
            (c, S::Failed, Some(Cause::PairingNeeded), false, None),
            (r, S::Working, Some(Cause::SessionReplaced), false, None),
            (r, S::Failed, Some(Cause::AccountForbidden), false, None),
            (c, S::Failed, Some(Cause::ClientOutdated), false, None),
            (r, S::Other, None, false, None),
        ];
        for (doing, status, cause, stuck, call) in rows {
            let permitted = permit(*doing, *status, *cause, *stuck);
            assert_eq!(
                permitted.as_ref().ok(),
                call.as_ref(),
                "{doing:?} {status:?} {cause:?}: {permitted:?}"
            );
        }
    }

    #[test]
    fn an_answer_from_before_the_order_proves_nothing() {
        let second = |s: u64| Mono(s * 1_000_000);
        let mut verify = Verify::new(Call::Restart, Status::Working, Duration::ZERO, second(5));
        assert_eq!(verify.see(second(6), second(4), Status::Starting), None);
        assert_eq!(verify.see(second(7), second(7), Status::Working), None);
        assert!(verify.give_up().contains("never left WORKING"));
    }

    #[test]
    fn an_effect_is_believed_when_it_lasts() {
        use Status as S;
        let second = |s: u64| Mono(s * 1_000_000);
        let run = |before, seen: &[(u64, Status)]| {
            let mut verify = Verify::new(Call::Restart, before, Duration::from_secs(3), second(0));
            let verdict = seen.iter().find_map(|(at, status)| verify.see(second(*at), second(*at), *status));
            verdict.unwrap_or_else(|| Err(format!("time: {}", verify.give_up())))
        };
        assert!(run(S::Working, &[(1, S::Starting), (2, S::Working), (5, S::Working)]).is_ok());
        assert!(run(S::Failed, &[(1, S::Working), (5, S::Working)]).is_ok());
        type Row = (Status, &'static [(u64, Status)], &'static str);
        let bad: &[Row] = &[
            // #531: restart has no effect.
            (S::Working, &[(1, S::Working), (9, S::Working)], "never left WORKING"),
            (S::Failed, &[(1, S::Failed), (9, S::Failed)], "never left FAILED"),
            (S::Working, &[(1, S::Starting), (2, S::Working)], "not for long enough"),
            // The hold begins anew.
            (
                S::Working,
                &[(1, S::Starting), (2, S::Working), (3, S::Starting), (4, S::Working), (6, S::Working)],
                "not for long enough",
            ),
            (S::Stopped, &[(1, S::Starting), (9, S::Starting)], "no further than STARTING"),
            (S::Stopped, &[(1, S::Starting), (2, S::ScanQrCode)], "a human has to scan"),
            (S::Stopped, &[(1, S::Starting), (2, S::Failed)], "failed again"),
        ];
        for (before, seen, words) in bad {
            let verdict = run(*before, seen);
            assert!(verdict.as_ref().is_err_and(|e| e.contains(words)), "{seen:?}: {verdict:?}");
        }
    }
}
