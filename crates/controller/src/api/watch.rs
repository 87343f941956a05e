//! Watches: everything as it is, a bookmark, then each change.
//!
//! A watch is pulled, not pushed: nothing is prepared for a client that does not read, so a slow one costs nothing but
//! its position. The belief's ring of recent changes is the only buffer; who falls out of it is told (OUT_OF_RANGE) and
//! begins anew. The snapshot is taken in portions; changes since its beginning follow it, so what is shown is right from
//! the first bookmark on, and something may be shown twice but never an older state after a newer one.
//!
//! A resume token is the revision up to which everything was sent, sealed with the filter. Changes carry the state as it
//! is when they are sent: of three changes in between, a watcher may see the last only.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use mooring_core::id::InstanceRef;
use mooring_core::time::Timestamp;
use mooring_proto::v1::watch_response::Item;
use mooring_proto::{operator, v1};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::Status;

use super::filter::{self, Filter};
use super::page::{Kind, Query, TokenError};
use super::records::InstanceRow;
use super::{Shared, convert, status};
use crate::fleet::{Changed, State};

/// Instances of a snapshot taken under one lock.
const PORTION: usize = 256;
/// Changes taken under one lock.
const CHANGES: usize = 512;
/// After so long without a change, a bookmark says that the watch lives.
const IDLE: Duration = Duration::from_secs(15);

/// One watch.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    filter: Filter,
    query: Query,
    stage: Stage,
    ready: VecDeque<v1::WatchResponse>,
    matched: Matched,
    changes: watch::Receiver<u64>,
    database: watch::Receiver<Option<Timestamp>>,
    _permit: OwnedSemaphorePermit,
}

enum Stage {
    /// Sending everything; changes since `base` come afterwards.
    Snapshot { after: Option<InstanceRef>, base: u64 },
    /// Everything up to this revision was sent.
    Live { revision: u64 },
    /// An error was sent.
    Over,
}

impl Watcher {
    /// # Errors
    /// For a bad filter or token, a position that is too old, or too many watches.
    pub(super) fn new(shared: &Arc<Shared>, request: &v1::WatchRequest) -> Result<Self, Status> {
        let filter = filter::parse(&request.filter, &filter::INSTANCES)?;
        let query = Query::of(&[&request.filter]);
        let resumed = resume(shared, query, &request.resume_token)?;
        let permit = shared.watch_permit()?;
        let changes = shared.parts.fleet.changes();
        let stage = {
            let state = shared.parts.fleet.read();
            match resumed {
                None => Stage::Snapshot { after: None, base: state.revision() },
                Some(revision) if state.since(revision).is_some() => Stage::Live { revision },
                Some(_) => return Err(fell_behind()),
            }
        };
        Ok(Self {
            shared: Arc::clone(shared),
            filter,
            query,
            stage,
            ready: VecDeque::new(),
            // What the client holds is not known here after a resume: then everything counts as shown.
            matched: Matched { words: Vec::new(), beyond: resumed.is_some() },
            changes,
            database: shared.parts.database.watch(),
            _permit: permit,
        })
    }

    /// The watch as a stream; it ends only with an error.
    pub(super) fn stream(self) -> impl Stream<Item = Result<v1::WatchResponse, Status>> + Send {
        futures_util::stream::unfold(self, |mut watcher| async move {
            let next = watcher.next().await?;
            Some((next, watcher))
        })
    }

    async fn next(&mut self) -> Option<Result<v1::WatchResponse, Status>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            match self.stage {
                Stage::Over => return None,
                Stage::Snapshot { .. } => self.snapshot(),
                Stage::Live { revision } => match self.catch_up(revision) {
                    Err(status) => return Some(Err(self.end(status))),
                    Ok(true) => {}
                    Ok(false) => {
                        if let Err(status) = self.wait(revision).await {
                            return Some(Err(self.end(status)));
                        }
                    }
                },
            }
        }
    }

    fn end(&mut self, status: Status) -> Status {
        self.stage = Stage::Over;
        status
    }

    /// Takes the next portion of the snapshot; after the last one, the orders and the bookmark.
    fn snapshot(&mut self) {
        let Stage::Snapshot { after, base } = &self.stage else { return };
        let (after, base) = (after.clone(), *base);
        let shared = Arc::clone(&self.shared);
        let away = shared.is_away();
        let state = shared.parts.fleet.read();
        let mut at = None;
        for (gateway, id, index) in state.instances_after(after.as_ref()).take(PORTION) {
            at = Some((gateway, id));
            if let Some(instance) = self.take(&state, index, away) {
                self.push(Item::Instance(instance), None);
            }
        }
        if let Some((gateway, id)) = at {
            let after = Some(gateway.record.gateway.instance(id.clone()));
            self.stage = Stage::Snapshot { after, base };
            return;
        }
        let mut live: Vec<_> = state.orders().filter(|o| !o.state.ended()).collect();
        live.sort_by_key(|o| o.id);
        for order in live {
            self.push(Item::Order(operator::order(order)), None);
        }
        self.push(Item::Bookmark(v1::Bookmark { snapshot_complete: true, database_away: away }), Some(base));
        self.stage = Stage::Live { revision: base };
    }

    /// Takes the next changes. `false`: there was none.
    fn catch_up(&mut self, revision: u64) -> Result<bool, Status> {
        let shared = Arc::clone(&self.shared);
        let away = shared.is_away();
        let state = shared.parts.fleet.read();
        let entries = state.since(revision).ok_or_else(fell_behind)?;
        let mut seen: HashSet<Changed> = HashSet::new();
        let mut reached = revision;
        for entry in entries.take(CHANGES) {
            reached = entry.revision;
            if let (Changed::Row(index), Some(gone)) = (entry.what, &entry.gone) {
                // The row may be another instance's by now, and then there is an entry for that one after this.
                seen.remove(&entry.what);
                if self.matched.set(index, false) {
                    self.push(Item::Gone(gone.to_string()), Some(reached));
                }
                continue;
            }
            if !seen.insert(entry.what) {
                continue;
            }
            match entry.what {
                Changed::Row(index) => self.row(&state, index, away, reached),
                Changed::Order(id) => {
                    if let Some(order) = state.order(id) {
                        self.push(Item::Order(operator::order(order)), Some(reached));
                    }
                }
            }
        }
        self.stage = Stage::Live { revision: reached };
        Ok(reached != revision)
    }

    fn row(&mut self, state: &State, index: u32, away: bool, reached: u64) {
        if let Some(instance) = self.take(state, index, away) {
            self.push(Item::Instance(instance), Some(reached));
        } else if let Some(full) = state.full(index)
            && self.matched.set(index, false)
        {
            self.push(Item::Gone(full.name.to_string()), Some(reached));
        }
    }

    /// The instance in a row, if it matches; it then counts as shown.
    fn take(&mut self, state: &State, index: u32, away: bool) -> Option<v1::Instance> {
        let row = state.row(index)?;
        let gateway = state.gateway_of(row)?;
        if !self.filter.matches(&InstanceRow { state, gateway, row, index, away }) {
            return None;
        }
        self.matched.set(index, true);
        Some(convert::instance(&state.full(index)?, away))
    }

    /// Waits for something to happen; a bookmark if nothing does.
    async fn wait(&mut self, revision: u64) -> Result<(), Status> {
        let quiet = tokio::select! {
            biased;
            () = self.shared.stopping.cancelled() => return Err(status::stopping()),
            changed = self.changes.changed() => {
                changed.map_err(|_| status::stopping())?;
                false
            }
            changed = self.database.changed() => {
                changed.map_err(|_| status::stopping())?;
                true
            }
            () = tokio::time::sleep(IDLE) => true,
        };
        if quiet {
            let database_away = self.shared.is_away();
            self.push(
                Item::Bookmark(v1::Bookmark { snapshot_complete: false, database_away }),
                Some(revision),
            );
        }
        Ok(())
    }

    fn push(&mut self, item: Item, revision: Option<u64>) {
        let resume_token =
            revision.map(|r| self.shared.tokens.seal(Kind::Watch, self.query, &r.to_be_bytes()));
        self.ready.push_back(v1::WatchResponse {
            item: Some(item),
            resume_token: resume_token.unwrap_or_default(),
        });
    }
}

fn fell_behind() -> Status {
    status::watch_too_old("more has changed since this position than is remembered")
}

/// The revision in a resume token, if there is one.
fn resume(shared: &Shared, query: Query, token: &str) -> Result<Option<u64>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let bad = |e: TokenError| match e {
        TokenError::OtherLife => status::watch_too_old("the position is from another life of the controller"),
        TokenError::Invalid => status::bad_field_for(
            status::Reason::PageTokenInvalid,
            "resume_token",
            "is not a token that this API gave out",
            &[],
        ),
        TokenError::OtherQuery => status::bad_field_for(
            status::Reason::PageTokenMismatch,
            "resume_token",
            "belongs to a watch with another filter",
            &[],
        ),
    };
    let position = shared.tokens.open(Kind::Watch, query, token).map_err(bad)?;
    let bytes: [u8; 8] = position.try_into().map_err(|_| bad(TokenError::Invalid))?;
    Ok(Some(u64::from_be_bytes(bytes)))
}

/// Which rows the client was shown and not told to be gone: a bit each.
struct Matched {
    words: Vec<u64>,
    /// What rows beyond the last word count as.
    beyond: bool,
}

impl Matched {
    /// Sets a row's bit; returns what it was.
    fn set(&mut self, index: u32, to: bool) -> bool {
        let (word, bit) = (index as usize / 64, 1u64 << (index % 64));
        if word >= self.words.len() {
            if self.beyond == to {
                return to;
            }
            self.words.resize(word + 1, if self.beyond { u64::MAX } else { 0 });
        }
        let before = self.words[word] & bit != 0;
        if to {
            self.words[word] |= bit;
        } else {
            self.words[word] &= !bit;
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_bits_remember(beyond: bool, steps in proptest::collection::vec((0u32..300, any::<bool>()), 0..200)) {
            let mut bits = Matched { words: Vec::new(), beyond };
            let mut model = std::collections::HashMap::new();
            for (index, to) in steps {
                prop_assert_eq!(bits.set(index, to), model.insert(index, to).unwrap_or(beyond));
            }
        }
    }
}
