//! The search for the installed server, over invented file systems.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::super::Error;
use super::super::discover::{Files, Places, Platform, Version, discover};

/// Executable files with their real path, and what each real `postgres` prints.
#[derive(Default)]
struct Invented {
    files: BTreeMap<PathBuf, PathBuf>,
    versions: BTreeMap<PathBuf, String>,
    os_release: String,
}

impl Invented {
    fn with(mut self, folder: &str, version: &str) -> Self {
        let folder = Path::new(folder);
        for name in ["postgres", "initdb"] {
            self.files.insert(folder.join(name), folder.join(name));
        }
        self.versions.insert(folder.join("postgres"), format!("postgres (PostgreSQL) {version}\n"));
        self
    }

    fn link(mut self, from: &str, to: &str) -> Self {
        self.files.insert(from.into(), to.into());
        self
    }

    fn on(mut self, os_release: &str) -> Self {
        self.os_release = os_release.to_owned();
        self
    }
}

impl Files for Invented {
    fn names(&self, folder: &Path) -> Vec<OsString> {
        let inside = self.files.keys().filter_map(|file| file.strip_prefix(folder).ok()?.iter().next());
        inside.map(OsString::from).collect()
    }

    fn executable(&self, path: &Path) -> Option<PathBuf> {
        self.files.get(path).cloned()
    }

    fn version_text(&self, postgres: &Path) -> Option<String> {
        self.versions.get(postgres).cloned()
    }

    fn os_release(&self) -> String {
        self.os_release.clone()
    }
}

fn path(folders: &[&str]) -> Places {
    Places { path: folders.iter().map(PathBuf::from).collect(), ..Places::default() }
}

fn found(places: &Places, files: &Invented, major: Option<u32>) -> PathBuf {
    discover(places, files, major.map(|major| (Path::new("/data/postgres"), major))).unwrap().bin_dir
}

#[test]
fn a_new_cluster_takes_the_first_of_path_then_the_newest_of_the_usual_folders() {
    let debian = || {
        Invented::default()
            .with("/usr/lib/postgresql/9.6/bin", "9.6.24")
            .with("/usr/lib/postgresql/15/bin", "15.18")
    };
    let table = [
        (debian(), "/usr/lib/postgresql/15/bin"),
        (debian().with("/usr/lib/postgresql/17/bin", "17.2"), "/usr/lib/postgresql/17/bin"),
        (debian().with("/own/bin", "14.1"), "/own/bin"),
        (
            Invented::default().with("/usr/pgsql-16/bin", "16.4").with("/usr/pgsql-15/bin", "15.8"),
            "/usr/pgsql-16/bin",
        ),
        (Invented::default().with("/usr/lib/postgresql16/bin", "16.4"), "/usr/lib/postgresql16/bin"),
        (
            Invented::default().with("/opt/homebrew/opt/postgresql@17/bin", "17.2 (Homebrew)"),
            "/opt/homebrew/opt/postgresql@17/bin",
        ),
        (
            Invented::default().with("/usr/local/opt/postgresql@14/bin", "14.3 (Homebrew)"),
            "/usr/local/opt/postgresql@14/bin",
        ),
        (Invented::default().with("/usr/bin", "18beta1"), "/usr/bin"),
    ];
    for (files, expected) in table {
        assert_eq!(found(&path(&["/sbin", "/own/bin"]), &files, None), Path::new(expected));
    }
}

#[test]
fn an_existing_cluster_takes_the_installation_of_its_own_major_version() {
    let files = Invented::default().with("/own/bin", "17.2").with("/usr/lib/postgresql/15/bin", "15.18");
    assert_eq!(found(&path(&["/own/bin"]), &files, Some(15)), Path::new("/usr/lib/postgresql/15/bin"));
    assert_eq!(found(&path(&["/own/bin"]), &files, Some(17)), Path::new("/own/bin"));

    let error = discover(&path(&["/own/bin"]), &files, Some((Path::new("/data/postgres"), 16))).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::WrongMajor { cluster_major: 16, .. }));
    for part in ["/data/postgres", "Postgres 16", "17.2 in /own/bin", "15.18 in", "Nothing was changed"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn a_link_to_the_server_leads_to_the_folder_that_has_both_programs() {
    let files = Invented::default()
        .with("/usr/lib/postgresql/15/bin", "15.18")
        .link("/usr/local/bin/postgres", "/usr/lib/postgresql/15/bin/postgres");
    assert_eq!(found(&path(&["/usr/local/bin"]), &files, None), Path::new("/usr/lib/postgresql/15/bin"));
}

#[test]
fn a_named_folder_is_the_only_candidate() {
    let files = Invented::default().with("/usr/lib/postgresql/15/bin", "15.18").with("/named/bin", "14.1");
    let configured =
        Places { configured: Some("/named/bin".into()), environment: Some("/other".into()), ..path(&[]) };
    assert_eq!(found(&configured, &files, None), Path::new("/named/bin"));

    let from_environment = Places { environment: Some("/other".into()), ..path(&["/named/bin"]) };
    let error = discover(&from_environment, &files, None).unwrap_err();
    assert!(matches!(&error, Error::BinDir { missing: "postgres", .. }), "{error}");
    assert!(error.to_string().contains("MOORING_PG_BINDIR"), "{error}");

    let half = Invented::default().link("/half/postgres", "/half/postgres");
    let configured = Places { configured: Some("/half".into()), ..path(&[]) };
    assert!(matches!(discover(&configured, &half, None), Err(Error::BinDir { missing: "initdb", .. })));
}

#[test]
fn nothing_installed_names_the_command_and_the_folders() {
    let table = [
        ("ID=debian\n", "`apt-get install postgresql`"),
        ("NAME=Mint\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "`apt-get install postgresql`"),
        ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "`dnf install postgresql-server`"),
        ("ID=fedora\n", "`dnf install postgresql-server`"),
    ];
    for (os_release, command) in table {
        // A client alone is not a server, and a relative folder is not searched.
        let files =
            Invented::default().link("/own/bin/psql", "/own/bin/psql").with("here", "15.18").on(os_release);
        let error = discover(&path(&["/own/bin", "here"]), &files, None).unwrap_err();
        let Error::NotInstalled { searched, .. } = &error else { panic!("{error}") };
        assert_eq!(searched[0], Path::new("/own/bin"));
        assert!(
            searched.contains(&PathBuf::from("/usr/lib/postgresql"))
                && searched.contains(&PathBuf::from("/usr/bin"))
        );
        if cfg!(target_os = "linux") {
            assert!(error.to_string().contains(command), "{error}");
        }
    }
    assert!(Platform::Other.install_hint().contains("brew install postgresql@17"));
}

#[test]
fn an_old_server_is_found_and_refused() {
    let files = Invented::default().with("/usr/lib/postgresql/12/bin", "12.20").on("ID=debian");
    assert!(matches!(discover(&path(&[]), &files, None), Err(Error::TooOld { .. })));
    assert!(matches!(discover(&path(&[]), &files, Some((Path::new("/c"), 12))), Err(Error::TooOld { .. })));
}

#[test]
fn versions_are_read_as_the_server_prints_them() {
    let table = [
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
        ("postgres (PostgreSQL) 18beta1", Some(18)),
        ("postgres (PostgreSQL) 9.6.24", Some(9)),
        ("postgres (PostgreSQL) devel", None),
        ("psql 15", None),
        ("", None),
    ];
    for (printed, major) in table {
        assert_eq!(Version::parse(printed).map(|version| version.major), major, "{printed:?}");
    }
}
