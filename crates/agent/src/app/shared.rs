//! What all watches of an agent share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mooring_runtime::lifecycle::Handle;
use tokio::sync::{broadcast, mpsc};

use super::heritage::Heritage;
use super::reporting::Reporting;
use crate::metrics::Metrics;
use crate::outbox::Outgoing;
use crate::sessions::Directory;
use crate::sessions::report::Adoption;

/// What every watch is given.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) handle: Handle,
    pub(super) outgoing: Outgoing,
    pub(super) metrics: Metrics,
    pub(super) lag: broadcast::Sender<Duration>,
    pub(super) data_dir: Arc<Path>,
    /// Where questions about sessions are answered from.
    pub(super) directory: Directory,
    /// Where gateways report.
    pub(super) reporting: Option<Reporting>,
    /// Where instances that gateways make known are asked to be watched.
    pub(super) adopt: mpsc::Sender<Adoption>,
    /// Listeners that an agent before this one handed over, and those to be handed on.
    pub(super) heritage: Heritage,
}
