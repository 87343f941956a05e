//! Packages from PyPI, exactly as `tests/tools/requirements.txt` says, in a virtual environment under the target folder.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::workspace::Workspace;
use crate::{needs, process};

const REQUIREMENTS: &str = "tests/tools/requirements.txt";

/// Installs them, again only when the requirements change. Returns where the programs are, `python` among them.
pub fn install(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    needs::ensure(&[needs::PYTHON])?;
    let venv = workspace.scratch("python");
    let stamp = venv.join("requirements.txt");
    let wanted = fs::read_to_string(workspace.path(REQUIREMENTS))
        .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        process::run(workspace.command("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let pip = venv.join("bin/pip");
        let install =
            ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", REQUIREMENTS];
        process::run(workspace.command(pip).args(install))?;
        fs::write(&stamp, wanted)?;
    }
    Ok(venv.join("bin"))
}
