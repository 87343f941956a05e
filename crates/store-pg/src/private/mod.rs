//! Private Postgres: a server that Mooring itself runs, for `mooring up`, for tests and for a single host.
//!
//! Nobody should have to set up a database to try Mooring, and a single host should not need an administrator for one. So
//! Mooring finds the installed server ([`discover`]), makes a cluster in its own data folder, and runs it as a child: on a
//! Unix socket in a folder that is closed to others, never on the network, started and stopped with the controller.
//!
//! What it promises:
//!
//! - **Data outlives everything.** The cluster gets its name only when it is whole; nothing here deletes one; a cluster of
//!   another major version is refused and left as it was.
//! - **A start recovers.** After a kill of the server, of Mooring, or of both, after a power failure, `start` ends what is
//!   left, removes what is provably stale, and lets Postgres replay its log.
//! - **One Mooring per data folder**, by a lock that the kernel releases.
//! - **An ordered end.** Ctrl-C does not reach the server; [`PrivatePostgres::stop`] is the controller's last act.
//!
//! Who can connect: the server's user and root. Whoever can open the socket is the superuser [`ROLE`], which is no more
//! than the same user could do to the files. Settings that would open the server further are refused.
//!
//! Which folders, and what happens when Mooring is root: see `home.rs` and `account.rs`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::Either;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tempfile::TempDir;

use self::home::{Home, SocketDir};
use self::lock::Lock;
use self::server::{Farewell, Server};

mod account;
mod cluster;
pub mod discover;
mod error;
mod home;
mod leftovers;
mod lock;
mod log;
mod options;
mod server;
#[cfg(test)]
mod tests;

pub use self::discover::{BIN_DIR_VARIABLE, Installation, OLDEST_MAJOR, Platform, Version};
pub use self::error::Error;
pub use self::options::{Durability, Environment, Options, ROLE};
pub use self::server::{Exit, Stopped};

/// The database that is always there, for statements about databases.
const MAINTENANCE: &str = "postgres";

/// The longest database name that Postgres keeps whole, in bytes (`NAMEDATALEN` - 1).
const NAME_LIMIT: usize = 63;

/// A private Postgres: its cluster, the lock on its data folder, and, unless stopped, its running server.
///
/// Dropping it asks a running server for a fast shutdown without waiting; [`stop`](Self::stop) waits. Dropping a
/// [`Durability::Throwaway`] one ends the server at once and blocks until it is gone, 10 s at most. It belongs to the
/// runtime it was started on, which must have its I/O and time drivers enabled: the server's end is noticed there.
#[derive(Debug)]
pub struct PrivatePostgres {
    // The order is the order of dropping: the server before its socket's folder, the lock when nothing more is touched,
    // a temporary data folder last.
    server: Option<Server>,
    socket: SocketDir,
    home: Home,
    installation: Installation,
    options: Options,
    arguments: Vec<OsString>,
    farewell: Farewell,
    _lock: Lock,
    _temporary: Option<TempDir>,
}

impl PrivatePostgres {
    /// Makes the cluster if there is none, recovers from whatever an earlier run left, starts the server and waits until
    /// it answers. Dropping the future half-way ends what it had started.
    ///
    /// # Errors
    /// Each variant of [`Error`] but those about databases; every message says what to do.
    pub async fn start(options: Options) -> Result<Self, Error> {
        Self::start_in(options, None).await
    }

    /// A server for tests: its own new data folder under the system's temporary folder, [`Durability::Throwaway`], and
    /// nothing left when it is dropped.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn temporary() -> Result<Self, Error> {
        use std::os::unix::fs::PermissionsExt;
        let parent = std::env::temp_dir();
        // Passable, because root's server runs as another user. The folders inside are closed.
        let open = std::fs::Permissions::from_mode(0o711);
        let folder = tempfile::Builder::new().prefix("mooring-").permissions(open).tempdir_in(&parent);
        let folder = folder.map_err(error::io("make a temporary folder in", &parent))?;
        let options = Options { durability: Durability::Throwaway, ..Options::new(folder.path()) };
        Self::start_in(options, Some(folder)).await
    }

    async fn start_in(options: Options, temporary: Option<TempDir>) -> Result<Self, Error> {
        let data_dir = home::make_data_dir(&options.data_dir)?;
        let lock = Lock::take(&data_dir)?;
        let home = home::settle(&data_dir, &options)?;
        let existing = cluster::major(&home.cluster())?;
        let installation = find(&options, existing.map(|major| (home.cluster(), major))).await?;
        if existing.is_none() {
            cluster::make(&home, &installation, &options).await?;
        }
        let socket = SocketDir::settle(&home, &options.environment)?;
        let arguments = options::arguments(&home.cluster(), &socket.path, &options)?;
        let farewell = match options.durability {
            Durability::Durable => Farewell::Ask,
            // A test's folder is deleted right after, and must not be written to meanwhile.
            Durability::Throwaway => Farewell::EndAndWait,
        };
        let mut this = Self {
            server: None,
            socket,
            home,
            installation,
            options,
            arguments,
            farewell,
            _lock: lock,
            _temporary: temporary,
        };
        this.start_again().await?;
        Ok(this)
    }

    /// Starts the server again after [`stop`](Self::stop) or after it died, on the same socket. Nothing happens while it
    /// runs.
    ///
    /// # Errors
    /// [`Error::Exited`], [`Error::NotReady`], [`Error::SingleUser`], [`Error::Survivors`], [`Error::Io`].
    pub async fn start_again(&mut self) -> Result<(), Error> {
        if self.server.as_ref().is_some_and(|server| !server.has_ended()) {
            return Ok(());
        }
        self.server = None;
        leftovers::clear(&self.home.cluster(), &self.socket.socket()).await?;
        let environment = &self.options.environment;
        let server =
            Server::spawn(&self.home, &self.installation, &self.arguments, environment, self.farewell)?;
        let options = self.connect_options(MAINTENANCE);
        let ready = server.ready(&options, self.options.start_timeout, &self.home.log()).await;
        if let Err(error) = ready {
            if let Err(error) = server.stop(Duration::from_secs(2)).await {
                tracing::warn!(%error, "a server that did not get ready could not be stopped either");
            }
            return Err(error);
        }
        self.server = Some(server);
        Ok(())
    }

    /// Stops the server and waits for its end: a fast shutdown within `stop_timeout`, else an immediate one, else
    /// SIGKILL. The data folder stays locked until this value is dropped.
    ///
    /// # Errors
    /// [`Error::Unkillable`].
    pub async fn stop(&mut self) -> Result<Stopped, Error> {
        let Some(server) = &self.server else { return Ok(Stopped::NotRunning) };
        let stopped = server.stop(self.options.stop_timeout).await?;
        self.server = None;
        Ok(stopped)
    }

    /// [`stop`](Self::stop), then [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// Those of the two.
    pub async fn restart(&mut self) -> Result<Stopped, Error> {
        let stopped = self.stop().await?;
        self.start_again().await?;
        Ok(stopped)
    }

    /// Resolves when the running server ends without having been told to, so that its owner can
    /// [`start_again`](Self::start_again). It speaks of the server that runs now: ask again after each start. It never
    /// resolves for a server that was stopped, nor while there is none.
    pub fn died(&self) -> impl Future<Output = Exit> + Send + use<> {
        match &self.server {
            Some(server) => Either::Left(server.died()),
            None => Either::Right(std::future::pending()),
        }
    }

    /// The server's process id; `None` while it is stopped. A server that has died keeps its number until it is started
    /// again.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    /// The server that was found.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The cluster's folder.
    pub fn cluster_dir(&self) -> PathBuf {
        self.home.cluster()
    }

    /// The server's log. The one of the run before has `.1` after its name.
    pub fn log_path(&self) -> PathBuf {
        self.home.log()
    }

    /// The folder of the Unix socket. It stays the same over [`restart`](Self::restart).
    pub fn socket_dir(&self) -> &Path {
        &self.socket.path
    }

    /// How to connect to a database with sqlx.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.socket_dir())
            .port(options::PORT)
            .username(ROLE)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// The URL of a database, as sqlx, `psql` and other clients of libpq read it.
    pub fn url(&self, database: &str) -> String {
        let socket_dir = percent_encoded(self.socket_dir().as_os_str().as_bytes());
        let database = percent_encoded(database.as_bytes());
        format!("postgres://{ROLE}@{socket_dir}:{}/{database}?sslmode=disable", options::PORT)
    }

    /// Makes a database; `false` when there was one of that name.
    ///
    /// # Errors
    /// [`Error::DatabaseName`], [`Error::Database`].
    pub async fn create_database(&self, name: &str) -> Result<bool, Error> {
        let statement = format!("CREATE DATABASE {}", quoted(name)?);
        match self.maintain("create the database", name, statement).await {
            Ok(()) => Ok(true),
            Err(Error::Database { source: sqlx::Error::Database(error), .. })
                if error.code().as_deref() == Some("42P04") =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Drops a database, disconnecting its clients; nothing happens when there is none of that name.
    ///
    /// # Errors
    /// [`Error::DatabaseName`], [`Error::Database`].
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name)?);
        self.maintain("drop the database", name, statement).await
    }

    async fn maintain(&self, what: &'static str, name: &str, statement: String) -> Result<(), Error> {
        let options = self.connect_options(MAINTENANCE);
        let run = async {
            let mut connection: PgConnection = options.connect().await?;
            // The only part that is not constant is the name, quoted below.
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
            connection.close().await
        };
        run.await.map_err(|source| Error::Database { what, database: name.to_owned(), source })
    }
}

/// The search runs `postgres --version`, which blocks.
async fn find(options: &Options, cluster: Option<(PathBuf, u32)>) -> Result<Installation, Error> {
    let places = options.places();
    let search = move || {
        let cluster = cluster.as_ref().map(|(folder, major)| (folder.as_path(), *major));
        discover::discover(&places, &discover::Machine, cluster)
    };
    tokio::task::spawn_blocking(search).await.map_err(|_interrupted| Error::Interrupted)?
}

/// A name as an SQL identifier.
fn quoted(name: &str) -> Result<String, Error> {
    if name.is_empty() || name.len() > NAME_LIMIT || name.contains('\0') {
        return Err(Error::DatabaseName { name: name.to_owned() });
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// RFC 3986 §2.1, with everything but the unreserved characters encoded.
fn percent_encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
