//! The rows. A test in `crates/report` holds the client for Node to them.

use std::time::Duration;

use super::{AfterRule, CodeRule, Protocol, Retry, Weight, WindowRule};
use crate::cause::Cause;
use crate::order::Action;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How a human is told to keep his keys.
const KEYS: &str = "look at the stored keys, and delete none without a copy";

/// A row for Baileys that is a fault at once.
const fn row(
    code: Option<i32>,
    words: &'static [&'static str],
    cause: Cause,
    retry: Retry,
    order: Option<Action>,
    said: &'static str,
    human: &'static str,
) -> CodeRule {
    let (protocol, weight) = (Protocol::Baileys, Weight::Fault);
    CodeRule { protocol, code, words, cause, weight, retry, order, said, human }
}

/// What each code means by itself.
pub const RULES: &[CodeRule] = &[
    row(
        Some(408),
        &["qr refs", "qr code"],
        Cause::PairingNeeded,
        Retry::Never,
        None,
        "nobody scanned the QR code in time",
        "connect again when somebody is there to scan",
    ),
    row(
        Some(408),
        &[],
        Cause::ReportedClosed,
        Retry::Backoff,
        Some(Action::Reconnect),
        "the connection was lost or never came about",
        "",
    ),
    row(
        Some(428),
        &[],
        Cause::ReportedClosed,
        Retry::Backoff,
        Some(Action::Reconnect),
        "the connection was closed",
        "",
    ),
    CodeRule {
        protocol: Protocol::Baileys,
        code: Some(515),
        words: &[],
        cause: Cause::RestartExpected,
        weight: Weight::After(s(30), Cause::ReportedClosed),
        retry: Retry::Now,
        order: None,
        said: "restarts as it does after pairing",
        human: "",
    },
    row(
        Some(503),
        &[],
        Cause::ServiceUnavailable,
        Retry::Slowly,
        Some(Action::ReconnectSlowly),
        "the service is unavailable",
        "",
    ),
    row(Some(500), &[], Cause::ReportedClosed, Retry::Few, Some(Action::Reconnect), "bad session", ""),
    row(
        Some(440),
        &[],
        Cause::SessionReplaced,
        Retry::Never,
        None,
        "another client took the session over",
        "find the other client and stop one of the two",
    ),
    row(Some(401), &[], Cause::LoginRevoked, Retry::Never, None, "logged out", "pair the account anew"),
    row(
        Some(402),
        &[],
        Cause::AccountForbidden,
        Retry::Never,
        None,
        "the account is refused",
        "wait until the block is lifted, and find out what it was for",
    ),
    row(
        Some(403),
        &[],
        Cause::AccountForbidden,
        Retry::Never,
        None,
        "the account is refused",
        "look at the account in the app: it may have to be appealed for",
    ),
    row(
        Some(405),
        &[],
        Cause::ClientOutdated,
        Retry::Never,
        None,
        "the client's version is refused",
        "upgrade the client, or the version it states",
    ),
    row(
        Some(406),
        &[],
        Cause::AccountForbidden,
        Retry::Never,
        None,
        "the account is refused",
        "the account is banned: appeal in the app",
    ),
    row(
        Some(411),
        &[],
        Cause::AccountForbidden,
        Retry::Never,
        None,
        "the account is not set up for linked devices",
        "update the app on the phone and link the device again",
    ),
    // The client for Node ends what is stuck in these words.
    row(
        None,
        &["nothing was heard for"],
        Cause::ConnectingStuck,
        Retry::Backoff,
        Some(Action::Reconnect),
        "stuck while connecting",
        "",
    ),
    row(None, &[], Cause::ReportedClosed, Retry::Now, Some(Action::Reconnect), "closed without a code", ""),
];

/// What a code means that has no row.
pub const UNKNOWN: CodeRule = row(
    None,
    &[],
    Cause::ReportedClosed,
    Retry::Backoff,
    Some(Action::Reconnect),
    "closed with a code that is not known",
    "",
);

/// What some codes mean when one instance repeats them.
pub const WINDOWS: &[WindowRule] = &[
    WindowRule {
        protocol: Protocol::Baileys,
        code: 440,
        times: 5,
        within: s(30),
        cause: Cause::TakeoverWar,
        retry: Retry::Never,
        human: "two clients hold the same login and throw each other out: stop one of them",
    },
    WindowRule {
        protocol: Protocol::Baileys,
        code: 500,
        times: 3,
        within: s(600),
        cause: Cause::BadSession,
        retry: Retry::Never,
        human: KEYS,
    },
];

/// The login that is not settled yet when a pairing has just restarted the connection.
pub const AFTER_RESTART: AfterRule =
    AfterRule { protocol: Protocol::Baileys, code: 401, after: 515, within: s(30) };
