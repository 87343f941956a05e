//! Where things are: the root of the checkout and cargo's target folder.
//!
//! Asked of cargo at run time rather than baked in at compile time, so that a moved checkout, a git worktree and
//! `CARGO_TARGET_DIR` all work.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use cargo_metadata::MetadataCommand;

/// The checkout this command was started in.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the workspace around the current folder.
    pub fn find() -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec().context("cargo cannot read this workspace")?;
        Ok(Self {
            root: metadata.workspace_root.into_std_path_buf(),
            target: metadata.target_directory.into_std_path_buf(),
        })
    }

    /// The folder that holds the workspace's `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path inside the checkout.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A folder for this crate's own leavings, inside cargo's target folder, which git ignores.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(name)
    }

    /// A program built in the development profile.
    pub fn debug_program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// A command that runs in the root of the checkout.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// `cargo`, in the root, building offline against the committed query data.
    ///
    /// `cargo run`, which started this program, describes this package to it in variables. Build scripts that watch
    /// them would run again each time the caller changes, so they are taken away.
    pub fn cargo(&self) -> Command {
        let mut command = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for (name, _) in std::env::vars_os() {
            if let Some(text) = name.to_str()
                && (text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_"))
            {
                command.env_remove(text);
            }
        }
        command.env("SQLX_OFFLINE", "true");
        command
    }
}
