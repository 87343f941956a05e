//! The folders of a private Postgres: where the cluster is, and where its socket.
//!
//! ```text
//! <data_dir>/lock             held by the Mooring that runs (lock.rs)
//! <data_dir>/postgres.log     the server's log, and the one before as postgres.log.1 (log.rs)
//! <data_dir>/postgres.place   only if the cluster is elsewhere: the folder that takes the place of <data_dir> below
//! <base>/postgres/            the cluster
//! <base>/postgres.new/        a cluster being made (cluster.rs)
//! <base>/socket/              the socket's folder, mode 0700
//! <base>/socket.place         only if that path is too long: the short folder that takes its place
//! ```
//!
//! `<base>` is the data folder, with one exception. When Mooring is root, the server's user must be able to pass through
//! every folder above the cluster, and a checkout under /root (mode 0700) does not let it. Opening /root is not for
//! Mooring to do, so a *new* cluster goes to a folder of its own under /var/lib/mooring/private, and the data folder
//! records where. A cluster that already exists is never moved: then the error names the folder that bars the way.
//!
//! Access lists and security modules beyond the permission bits are not considered.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::account::{Account, Me, Owned, choose};
use super::error::{Error, io};
use super::options::{Environment, Options, PORT};

/// The longest path of a socket, in bytes. `sun_path` is 108 bytes on Linux and 104 on macOS and the BSDs, with a NUL;
/// the smaller one everywhere keeps the behaviour the same.
pub(super) const SOCKET_PATH_LIMIT: usize = 103;

/// Settled folders and user.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) data_dir: PathBuf,
    pub(super) base: PathBuf,
    pub(super) account: Account,
}

impl Home {
    pub(super) fn cluster(&self) -> PathBuf {
        self.base.join("postgres")
    }

    pub(super) fn unfinished(&self) -> PathBuf {
        self.base.join("postgres.new")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.data_dir.join("postgres.log")
    }
}

/// Makes the data folder if it is absent, and gives its real path.
pub(super) fn make_data_dir(path: &Path) -> Result<PathBuf, Error> {
    make_passable(path, Me::now())?;
    path.canonicalize().map_err(io("find the data folder", path))
}

/// Makes a folder that others may pass through only if one of them is the server.
fn make_passable(path: &Path, me: Me) -> Result<(), Error> {
    let mode = if me.is_root() { 0o711 } else { 0o700 };
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(io("make the folder", path))
}

/// Decides the base folder and the server's user. Call with the lock held.
pub(super) fn settle(data_dir: &Path, options: &Options) -> Result<Home, Error> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let me = Me::now();
    let record = data_dir.join("postgres.place");
    let recorded = read_place(&record)?;
    let base = recorded.clone().unwrap_or_else(|| data_dir.to_owned());
    if recorded.is_some() && !base.is_dir() {
        return Err(Error::Moved { record, base });
    }

    let cluster = base.join("postgres");
    let existing = existing_owner(&cluster)?;
    let owned =
        existing.as_ref().map(|owner| Owned { cluster: &cluster, uid: owner.uid(), gid: owner.gid() });
    let account = choose(me, options.run_as.as_deref(), &passwd, owned)?;

    let home = Home { data_dir: data_dir.to_owned(), base, account };
    match barred(&home.base, &home.account)? {
        Some(_) if existing.is_none() && recorded.is_none() && me.is_root() => {
            relocate(home, &record, &options.environment, me)
        }
        Some((at, mode)) => Err(Error::Unreachable { user: home.account.name, path: cluster, at, mode }),
        None => Ok(home),
    }
}

/// The owner of what is in the cluster's place; `None` when nothing is, or an empty folder.
fn existing_owner(cluster: &Path) -> Result<Option<Metadata>, Error> {
    let metadata = match cluster.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io("look at", cluster))?,
    };
    // A folder that cannot be listed belongs to another user, and the choice of the user will say so.
    let empty = std::fs::read_dir(cluster).is_ok_and(|mut entries| entries.next().is_none());
    Ok((!empty).then_some(metadata))
}

/// The first folder above and including `path` that does not let the account pass, with its mode.
fn barred(path: &Path, account: &Account) -> Result<Option<(PathBuf, u32)>, Error> {
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    for folder in above {
        let metadata = folder.metadata().map_err(io("look at", folder))?;
        let mode = metadata.mode() & 0o7777;
        if !may_pass((metadata.uid(), metadata.gid(), mode), (account.uid, account.gid)) {
            return Ok(Some((folder.to_owned(), mode)));
        }
    }
    Ok(None)
}

/// Whether a folder `(owner, group, mode)` lets `(user, group)` pass. The first class that matches decides, as in
/// path_resolution(7): an owner without the bit is refused even when everybody else has it.
fn may_pass((owner, group, mode): (u32, u32, u32), (uid, gid): (u32, u32)) -> bool {
    let bit = if owner == uid {
        0o100
    } else if group == gid {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

/// Gives the cluster a base folder outside the data folder, and records it there before anything is put into it.
fn relocate(home: Home, record: &Path, environment: &Environment, me: Me) -> Result<Home, Error> {
    let base = environment.fallback_home.join(uuid::Uuid::new_v4().simple().to_string());
    make_passable(&base, me)?;
    if let Some((at, mode)) = barred(&base, &home.account)? {
        return Err(Error::Unreachable { user: home.account.name, path: base, at, mode });
    }
    write_place(record, &base)?;
    tracing::warn!(
        user = %home.account.name, data_dir = %home.data_dir.display(), base = %base.display(),
        "the server's user cannot reach the data folder: the cluster goes elsewhere, as postgres.place records"
    );
    Ok(Home { base, ..home })
}

/// The socket's folder. One that was made elsewhere is removed with its last user, if nothing is left in it.
#[derive(Debug)]
pub(super) struct SocketDir {
    pub(super) path: PathBuf,
    elsewhere: bool,
}

impl SocketDir {
    /// Makes the folder, or finds the one of the last run.
    ///
    /// Not beside the cluster when that path is too long for a socket address: then in a folder with an unguessable
    /// name under the first of the short folders that takes one.
    pub(super) fn settle(home: &Home, environment: &Environment) -> Result<Self, Error> {
        let wanted = home.base.join("socket");
        if fits(&wanted) {
            make_private(&wanted, &home.account)?;
            return Ok(Self { path: wanted, elsewhere: false });
        }
        let record = home.base.join("socket.place");
        if let Some(path) = read_place(&record)?
            && fits(&path)
            && is_private(&path, &home.account)
        {
            return Ok(Self { path, elsewhere: true });
        }
        for parent in &environment.short_dirs {
            let path = parent.join(format!("mooring-{}", uuid::Uuid::new_v4().simple()));
            if fits(&path) && path.is_absolute() && make_private(&path, &home.account).is_ok() {
                write_place(&record, &path)?;
                tracing::info!(socket.dir = %path.display(), "the data folder's path is too long for a socket");
                return Ok(Self { path, elsewhere: true });
            }
        }
        Err(Error::NoSocketDir { wanted, tried: environment.short_dirs.clone() })
    }

    /// The path of the socket itself.
    pub(super) fn socket(&self) -> PathBuf {
        self.path.join(format!(".s.PGSQL.{PORT}"))
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        if self.elsewhere {
            // Refused while the server's socket is in it; then the record lets the next run use it again.
            let _kept = std::fs::remove_dir(&self.path);
        }
    }
}

fn fits(folder: &Path) -> bool {
    folder.as_os_str().len() + format!("/.s.PGSQL.{PORT}").len() <= SOCKET_PATH_LIMIT
}

/// Makes a folder with mode 0700 that belongs to the server's user; one that is there must already be so.
fn make_private(path: &Path, account: &Account) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => account.give(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_private(path, account) => Ok(()),
        Err(error) => Err(io("make the private folder", path)(error)),
    }
}

/// A real folder, not a link to one; open to its owner alone; and the owner is the server's user.
fn is_private(path: &Path, account: &Account) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.is_dir() && it.uid() == account.uid && it.mode() & 0o077 == 0)
}

/// The path in a record; `None` when there is no record.
fn read_place(record: &Path) -> Result<Option<PathBuf>, Error> {
    match std::fs::read(record) {
        Ok(bytes) => {
            let bytes = bytes.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(bytes);
            Ok(Some(PathBuf::from(std::ffi::OsString::from_vec(bytes))))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", record)(error)),
    }
}

/// Writes a record whole or not at all, and makes it last.
fn write_place(record: &Path, place: &Path) -> Result<(), Error> {
    let fresh = record.with_extension("place.new");
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(place.as_os_str().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&fresh, record)).map_err(io("write", record))?;
    sync_folder(record)
}

/// Makes a rename in the folder of `path` survive a power failure.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    let Some(folder) = path.parent() else { return Ok(()) };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync the folder", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_class_decides_who_may_pass() {
        let user = (101, 104);
        let table = [
            ((0, 0, 0o755), true),
            ((0, 0, 0o700), false),
            ((0, 0, 0o711), true),
            ((101, 0, 0o700), true),
            ((101, 104, 0o077), false),
            ((0, 104, 0o710), true),
            ((0, 104, 0o701), false),
            ((0, 0, 0o1777), true),
        ];
        for (folder, passes) in table {
            assert_eq!(may_pass(folder, user), passes, "{folder:?}");
        }
    }

    #[test]
    fn a_place_is_read_back_as_written_even_when_it_is_not_text() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("postgres.place");
        assert_eq!(read_place(&record).unwrap(), None);
        let odd = PathBuf::from(std::ffi::OsString::from_vec(b"/a b/\xff".to_vec()));
        write_place(&record, &odd).unwrap();
        assert_eq!(read_place(&record).unwrap(), Some(odd));
    }

    #[test]
    fn a_socket_folder_is_refused_when_it_is_a_link_or_open_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let me = Me::now();
        let account = Account { name: "me".into(), uid: me.uid, gid: me.gid, switch: false };
        let real = folder.path().join("real");
        make_private(&real, &account).unwrap();
        make_private(&real, &account).unwrap();

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(make_private(&link, &account).is_err());

        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(make_private(&real, &account).is_err());
    }
}
