//! Which user the server runs as.
//!
//! Postgres refuses to run as root, and rightly. So when Mooring is root the server gets an unprivileged user, and when
//! Mooring is not root there is no choice. The owner of an existing cluster comes before `postgres`: files made by one
//! user cannot be served by another, and Mooring may be run as root one day and as somebody else the next.
//!
//! `nobody` is the last resort for a machine where Postgres was installed without its user: other services that run as
//! `nobody` could then read the cluster.
//!
//! Users are looked up in /etc/passwd, since the C library's lookup needs unsafe code; one known only to a directory
//! service can be given by its number.

use std::path::Path;
use std::process::Command;

use super::error::Error;
use super::options::Environment;

/// The user a server runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Mooring runs as somebody else (root), and must switch.
    pub(super) switch: bool,
}

/// Who Mooring runs as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Me {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Me {
    pub(super) fn now() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    pub(super) fn is_root(self) -> bool {
        self.uid == 0
    }
}

/// An existing cluster and its owner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned<'a> {
    pub(super) cluster: &'a Path,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Decides the server's user from who Mooring is, whom the configuration names, the text of /etc/passwd, and the owner
/// of the cluster when there is one.
pub(super) fn choose(
    me: Me,
    run_as: Option<&str>,
    passwd: &str,
    owned: Option<Owned<'_>>,
) -> Result<Account, Error> {
    let named = run_as
        .map(|name| look_up(name, passwd).ok_or_else(|| refused(name, "there is no such user")))
        .transpose()?;
    let account = if me.is_root() {
        let owner = owned.filter(|owned| owned.uid != 0).map(|owned| of_ids(owned.uid, owned.gid, passwd));
        let account =
            named.or(owner).or_else(|| look_up("postgres", passwd)).or_else(|| look_up("nobody", passwd));
        account.map(|account| Account { switch: true, ..account }).ok_or_else(|| {
            refused("an unprivileged user", "there is neither `postgres` nor `nobody`; name one in run_as")
        })?
    } else {
        let account = named.unwrap_or_else(|| of_ids(me.uid, me.gid, passwd));
        if account.uid != me.uid {
            return Err(refused(&account.name, "only root can switch users; leave run_as out"));
        }
        account
    };
    if account.uid == 0 {
        return Err(refused(&account.name, "Postgres refuses to run as root; name an unprivileged user"));
    }
    match owned {
        Some(owned) if owned.uid != account.uid => Err(Error::WrongOwner {
            cluster: owned.cluster.to_owned(),
            owner: owned.uid,
            user: account.name,
            uid: account.uid,
        }),
        _ => Ok(account),
    }
}

fn refused(wanted: &str, why: &'static str) -> Error {
    Error::Account { wanted: wanted.to_owned(), why }
}

/// The lines of passwd(5) as accounts: name, password, user id, group id, and the rest.
fn accounts(passwd: &str) -> impl Iterator<Item = Account> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { name, uid, gid, switch: false })
    })
}

fn look_up(name: &str, passwd: &str) -> Option<Account> {
    let by_name = accounts(passwd).find(|account| account.name == name);
    // A number that no line carries is its own group: the usual arrangement in containers.
    by_name.or_else(|| name.parse().ok().map(|uid| of_ids(uid, uid, passwd)))
}

fn of_ids(uid: u32, gid: u32, passwd: &str) -> Account {
    let known = accounts(passwd).find(|account| account.uid == uid);
    known.unwrap_or_else(|| Account { name: format!("user id {uid}"), uid, gid, switch: false })
}

impl Account {
    /// A command that runs as this user, in its own process group, with a bare environment.
    ///
    /// Its own group, because a terminal's Ctrl-C goes to the whole foreground group: the server would shut down under a
    /// controller that still has something to commit. The root folder is the working folder, because the server's user
    /// may not be able to enter Mooring's, and `initdb` gives up if it cannot.
    ///
    /// Switching drops root's supplementary groups: the standard library empties them whenever root sets a user id.
    pub(super) fn command(&self, program: &Path, environment: &Environment) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(program);
        command.current_dir("/").process_group(0).env_clear().env("LC_ALL", "C");
        command.envs(environment.inherited.iter().map(|(name, value)| (name, value)));
        if self.switch {
            command.gid(self.gid).uid(self.uid);
        }
        command
    }

    /// Gives a folder to this user, when Mooring runs as another.
    pub(super) fn give(&self, folder: &Path) -> Result<(), Error> {
        if self.switch {
            let given = std::os::unix::fs::lchown(folder, Some(self.uid), Some(self.gid));
            given.map_err(super::error::io("hand over to the server's user", folder))?;
        }
        Ok(())
    }
}
