//! What the chores need from the machine, and how it gets there.
//!
//! Installing on somebody's machine is only done where it is plainly allowed: as root, or with a `sudo` that asks for no
//! password, with Debian's own package manager. What is installed and why is printed before. Anywhere else the exact
//! command is named and nothing is touched.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::{postgres, process};

/// One thing a chore needs.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// What it is, for people.
    pub what: &'static str,
    /// Why it is needed, for people.
    pub why: &'static str,
    /// Whether it is here already.
    pub found: fn() -> bool,
    /// Debian's packages that bring it.
    pub debian: &'static [&'static str],
    /// Homebrew's packages that bring it.
    pub brew: &'static [&'static str],
}

/// The Postgres server programs. Debian's package also starts a server of its own on port 5432, which Mooring leaves alone.
pub const POSTGRES: Need = Need {
    what: "PostgreSQL server programs (initdb, postgres) and psql",
    why: "`up` and the tests run a private server of their own, on a Unix socket",
    found: || postgres::programs().is_ok(),
    debian: &["postgresql"],
    brew: &["postgresql@17"],
};

/// A C compiler. aws-lc-sys, the cryptography under TLS, ships bindings made in advance for Linux on x86_64 and aarch64
/// and builds there with nothing more: neither cmake nor bindgen.
pub const C_COMPILER: Need = Need {
    what: "a C compiler",
    why: "aws-lc-sys, the cryptography under TLS, is C and assembly, and Rust links with it",
    found: || std::env::var_os("CC").is_some() || process::on_path("cc").is_some(),
    debian: &["gcc", "libc6-dev"],
    brew: &["gcc"],
};

/// A C++ compiler.
pub const CXX_COMPILER: Need = Need {
    what: "a C++ compiler",
    why: "libFuzzer, which the frame scanner is fuzzed with, is C++",
    found: || std::env::var_os("CXX").is_some() || process::on_path("c++").is_some(),
    debian: &["g++"],
    brew: &["gcc"],
};

/// The programs that make network namespaces.
pub const IPROUTE: Need = Need {
    what: "ip (iproute2)",
    why: "connections are watched and cut in network namespaces of the tests' own",
    found: || server_on_path("ip"),
    debian: &["iproute2"],
    brew: &[],
};

/// Node and npm.
pub const NODE: Need = Need {
    what: "Node.js and npm",
    why: "the tests watch gateways written with npm's `ws`, and buf comes from npm",
    found: || process::on_path("node").is_some() && process::on_path("npm").is_some(),
    debian: &["nodejs", "npm"],
    brew: &["node"],
};

/// A Python that can make virtual environments.
pub const PYTHON: Need = Need {
    what: "Python 3 with venv",
    why: "kubernetes-validate, which checks the manifests offline, and a peer of the relay are Python packages",
    found: || process::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])),
    debian: &["python3", "python3-venv"],
    brew: &["python3"],
};

/// nginx, for the relay's benchmark. Run from a configuration of its own, unprivileged; Debian's package may also start a
/// server on port 80, as it would for anybody.
pub const NGINX: Need = Need {
    what: "nginx",
    why: "the relay is measured beside it, and it is the proxy whose idle limit is learnt",
    found: || server_on_path("nginx"),
    debian: &["nginx"],
    brew: &["nginx"],
};

/// HAProxy, for the relay's benchmark, as nginx.
pub const HAPROXY: Need = Need {
    what: "HAProxy",
    why: "the relay is measured beside it",
    found: || server_on_path("haproxy"),
    debian: &["haproxy"],
    brew: &["haproxy"],
};

/// Apache's httpd, as nginx. Debian's package starts a server of its own on port 80, as it would for anybody.
pub const APACHE: Need = Need {
    what: "Apache httpd",
    why: "it is one of the proxies whose faults are told apart, and whose mended configuration is tried out",
    found: || server_on_path("apache2") || server_on_path("httpd"),
    debian: &["apache2"],
    brew: &["httpd"],
};

/// Debian puts servers where only root's path looks.
fn server_on_path(program: &str) -> bool {
    process::on_path(program).is_some() || Path::new("/usr/sbin").join(program).is_file()
}

/// How packages can be installed on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installer {
    /// apt-get, run directly by root.
    AptAsRoot,
    /// apt-get, through a sudo that asks nothing.
    AptWithSudo,
    /// apt-get is here, but installing takes a person's password.
    AptAsPerson,
    /// Homebrew, which changes a person's own set-up: named, never run.
    Brew,
    /// Something else.
    Unknown,
}

impl Installer {
    fn here() -> Self {
        if process::on_path("apt-get").is_some() {
            if postgres::running_as_root() {
                Self::AptAsRoot
            } else if process::succeeds(Command::new("sudo").args(["-n", "true"])) {
                Self::AptWithSudo
            } else {
                Self::AptAsPerson
            }
        } else if process::on_path("brew").is_some() {
            Self::Brew
        } else {
            Self::Unknown
        }
    }
}

/// What is to be done about missing things.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Run these command lines, in order.
    Run(Vec<Vec<String>>),
    /// Tell the person to run this.
    Tell(String),
}

/// Makes sure everything in `needs` is on this machine, installing what may be installed.
pub fn ensure(needs: &[Need]) -> anyhow::Result<()> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| !(need.found)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        println!("missing: {} ({})", need.what, need.why);
    }
    match plan(&missing, Installer::here()) {
        Plan::Tell(advice) => bail!("{advice}"),
        Plan::Run(lines) => {
            println!("installing: {}", packages(&missing, |need| need.debian).join(" "));
            for line in lines {
                let mut command = Command::new(&line[0]);
                command.args(&line[1..]);
                process::run(&mut command)?;
            }
        }
    }
    match missing.iter().find(|need| !(need.found)()) {
        Some(need) => bail!("the packages were installed, but {} is still not found", need.what),
        None => Ok(()),
    }
}

fn plan(missing: &[Need], installer: Installer) -> Plan {
    let debian = packages(missing, |need| need.debian);
    match installer {
        Installer::AptAsRoot => Plan::Run(apt(&["env"], &debian)),
        Installer::AptWithSudo => Plan::Run(apt(&["sudo", "-n", "env"], &debian)),
        Installer::AptAsPerson => Plan::Tell(format!(
            "run: sudo apt-get update && sudo apt-get install --no-install-recommends {}",
            debian.join(" ")
        )),
        Installer::Brew => {
            Plan::Tell(format!("run: brew install {}", packages(missing, |need| need.brew).join(" ")))
        }
        Installer::Unknown => Plan::Tell(format!(
            "install these with your system's package manager (the names are Debian's): {}",
            debian.join(" ")
        )),
    }
}

fn apt(prefix: &[&str], packages: &[String]) -> Vec<Vec<String>> {
    let line = |rest: &[&str]| -> Vec<String> {
        prefix
            .iter()
            .chain(&["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .chain(rest)
            .map(|word| (*word).to_owned())
            .collect()
    };
    let mut install = line(&["install", "--yes", "--no-install-recommends"]);
    install.extend_from_slice(packages);
    vec![line(&["update"]), install]
}

fn packages(missing: &[Need], of: impl Fn(&Need) -> &'static [&'static str]) -> Vec<String> {
    let names: BTreeSet<&str> = missing.iter().flat_map(|need| of(need).iter().copied()).collect();
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_installs_without_asking() {
        let Plan::Run(lines) = plan(&[NODE, POSTGRES], Installer::AptAsRoot) else {
            panic!("root may install")
        };
        assert_eq!(lines[0].join(" "), "env DEBIAN_FRONTEND=noninteractive apt-get update");
        assert_eq!(
            lines[1].join(" "),
            "env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends nodejs npm postgresql"
        );
    }

    #[test]
    fn sudo_never_waits_for_a_password() {
        let Plan::Run(lines) = plan(&[PYTHON], Installer::AptWithSudo) else { panic!("sudo may install") };
        assert!(lines.iter().all(|line| line[..2] == ["sudo", "-n"]), "{lines:?}");
    }

    #[test]
    fn without_the_right_the_command_is_named() {
        let told = |installer| match plan(&[C_COMPILER], installer) {
            Plan::Tell(advice) => advice,
            Plan::Run(lines) => panic!("{installer:?} must not install: {lines:?}"),
        };
        assert!(
            told(Installer::AptAsPerson)
                .contains("sudo apt-get install --no-install-recommends gcc libc6-dev")
        );
        assert!(told(Installer::Brew).contains("brew install gcc"));
        assert!(told(Installer::Unknown).contains("gcc"));
    }

    #[test]
    fn nothing_is_installed_when_nothing_is_missing() {
        let here = Need { what: "a shell", why: "", found: || true, debian: &["never-a-package"], brew: &[] };
        ensure(&[here]).unwrap();
    }
}
