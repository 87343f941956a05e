//! The report API, opened when a gateway is watched that way.

use std::path::Path;

use mooring_report::{ReportServer, StartError, hub};
use mooring_runtime::lifecycle::{Handle, Kind, Stage};
use tokio::sync::mpsc;

use crate::config::AgentConfig;
use crate::sessions::report::Adoption;
pub(super) use crate::sessions::report::Reporting;
use mooring_core::session::Source;

/// Opens the API if a gateway of this configuration reports.
pub(super) fn open(
    config: &AgentConfig,
    data_dir: &Path,
    handle: &Handle,
    adopt: mpsc::Sender<Adoption>,
) -> Result<Option<Reporting>, StartError> {
    if !config.gateways.iter().any(|gateway| gateway.watched_by(Source::Report)) {
        return Ok(None);
    }
    let (hub, end) = hub();
    let server = ReportServer::bind(&config.report, Vec::new(), data_dir, hub)?;
    let (reporting, pump) = Reporting::new(server.directory(), end.orders, end.reports, adopt);
    handle.spawn(Stage::Intake, Kind::Critical, "report api", move |tokens| server.serve(tokens));
    handle.spawn(Stage::Work, Kind::Critical, "reports", move |tokens| pump.run(tokens.soft));
    Ok(Some(reporting))
}
