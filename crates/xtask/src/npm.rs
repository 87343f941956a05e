//! Packages from npm, exactly as their lock file says.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::process;
use crate::workspace::Workspace;

/// Installs what `folder`'s lock file names, unless that is what is there already.
///
/// npm leaves its own copy of the lock in `node_modules`; ours is compared by age with it, since `npm ci` empties the folder
/// and takes seconds even when nothing has changed.
pub fn install(workspace: &Workspace, folder: &str) -> anyhow::Result<()> {
    let path = workspace.path(folder);
    let lock = path.join("package-lock.json");
    let installed = path.join("node_modules/.package-lock.json");
    if is_newer(&installed, &lock).with_context(|| format!("{} must be committed", lock.display()))? {
        return Ok(());
    }
    process::run(workspace.command("npm").args(["ci", "--no-audit", "--no-fund", "--prefix", folder]))
}

fn is_newer(installed: &Path, lock: &Path) -> std::io::Result<bool> {
    let wanted = fs::metadata(lock)?.modified()?;
    Ok(fs::metadata(installed).and_then(|found| found.modified()).is_ok_and(|found| found >= wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_or_absent_install_is_renewed() {
        let folder = std::env::temp_dir().join(format!("mooring-xtask-npm-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (lock, installed) = (folder.join("lock"), folder.join("installed"));
        assert!(is_newer(&installed, &lock).is_err(), "a lock file that is not there is an error");
        fs::write(&lock, "").unwrap();
        assert!(!is_newer(&installed, &lock).unwrap());
        let file = fs::File::create(&installed).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert!(!is_newer(&installed, &lock).unwrap());
        file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(1)).unwrap();
        assert!(is_newer(&installed, &lock).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }
}
