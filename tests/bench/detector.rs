//! The failure detector's mistakes and detection times: the example of `mooring-core`, which is arithmetic only.

use std::process::Command;

use anyhow::{Result, ensure};
use mooring_tests::process::root;

pub fn run() -> Result<()> {
    println!("### detector: mistakes a day and detection time, against the published ones\n");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut example = Command::new(cargo);
    example.args(["run", "--quiet", "--release", "--package", "mooring-core", "--example", "detector_qos"]);
    ensure!(example.current_dir(root()).status()?.success(), "the example failed");
    Ok(())
}
