//! Waiting for conditions, with a limit and a last word.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Generous: machines that run tests are small and busy.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Waits until `look` returns `Ok`; panics with its last `Err` at the limit.
///
/// # Panics
/// At the limit.
pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(last) => {
                assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} for {what}; last seen: {last:#?}");
                tokio::time::sleep(POLL).await;
            }
        }
    }
}
