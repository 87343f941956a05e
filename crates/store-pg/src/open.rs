//! Opening the store: where it is, how many connections, and every bound on how long a statement may take.
//!
//! A bound stands at each level, because each catches what the others cannot: the server ends a statement that is slow
//! (`statement_timeout`) or waits for a lock (`lock_timeout`), the pool gives up on getting a connection, and the whole
//! call is given up when the server does not even answer (a frozen host, a network that drops packets).

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};

/// How the pool is sized and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// Most connections at once, at least 1. Deciding takes few: group commit and the admission of orders are short.
    pub max_connections: u32,
    /// How long a call waits for a connection, new or from the pool.
    pub acquire_timeout: Duration,
    /// How long the server may work on one statement. Loading the fleet at a start has its own bound, two minutes.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
    /// How long a whole call may take, every statement and try included.
    pub call_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
        }
    }
}

/// Why the store could not be opened. Every message says what to do; none holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL cannot be read. It is not repeated, as it may hold a password.
    #[error(
        "the database URL cannot be read: {what}; write postgres://user:password@host:5432/database, or postgres:///database?host=/socket/folder&user=name"
    )]
    Url {
        /// What is wrong with it.
        what: String,
    },
    /// No connection.
    #[error("cannot connect to {url}: {what}; {advice}")]
    Connect {
        /// Where to, without the password.
        url: String,
        /// What happened.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// The server is a standby, which takes no writes.
    #[error(
        "{url} is a standby and takes no writes; give the address of the primary (with CloudNativePG the service ending in -rw)"
    )]
    Standby {
        /// Where to.
        url: String,
    },
    /// The database was migrated by a newer Mooring.
    #[error(
        "the database has migration {found}, this Mooring knows up to {known}: it was migrated by a newer version; run that version or a newer one (nothing was changed)"
    )]
    Newer {
        /// The migration that is not known here.
        found: i64,
        /// The newest that is.
        known: i64,
    },
    /// A migration that was applied is not the one that is known here.
    #[error(
        "migration {version} was applied in another form than this Mooring has it; run the build that made the database, or restore the database from a backup (nothing was changed)"
    )]
    Edited {
        /// Which.
        version: i64,
    },
    /// Another process holds the migration lock.
    #[error(
        "another process has been migrating the database for {waited:?}; wait for it to end, and if there is none, end the session that holds advisory lock {lock} (see pg_locks)"
    )]
    Locked {
        /// How long it was waited for.
        waited: Duration,
        /// The lock's number.
        lock: i64,
    },
    /// A migration failed.
    #[error(
        "migrating the database failed: {what}; the step was rolled back, mend the cause and start again"
    )]
    Migrate {
        /// What happened.
        what: String,
    },
}

/// Reads a database URL, as libpq writes them. What it leaves out comes from `PGHOST` and its kin.
///
/// # Errors
/// [`OpenError::Url`].
pub fn parse_url(url: &str) -> Result<PgConnectOptions, OpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(OpenError::Url { what: "it does not begin with postgres://".to_owned() });
    }
    url.parse().map_err(|error: sqlx::Error| OpenError::Url {
        // The driver's words name the part that is wrong, and never quote the user's part.
        what: match error {
            sqlx::Error::Configuration(inner) => inner.to_string(),
            _ => "it is not well formed".to_owned(),
        },
    })
}

/// Where the options lead, for people: never with a password, though with a mark where there may be one.
pub(crate) fn shown(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    };
    let database = options.get_database().unwrap_or(options.get_username());
    format!("postgres://{}:***@{host}:{}/{database}", options.get_username(), options.get_port())
}

/// The bounds as the server knows them, and a name that `pg_stat_activity` shows.
pub(crate) fn bounded(options: PgConnectOptions, settings: &PoolSettings) -> PgConnectOptions {
    let millis = |d: Duration| d.as_millis().max(1).to_string();
    let named = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("mooring"),
    };
    named.options([
        ("statement_timeout", millis(settings.statement_timeout)),
        ("lock_timeout", millis(settings.lock_timeout)),
        ("idle_in_transaction_session_timeout", millis(settings.call_timeout * 2)),
    ])
}

/// One connection, to see that it works and to say well why not; then the pool.
pub(crate) async fn open(options: &PgConnectOptions, settings: &PoolSettings) -> Result<PgPool, OpenError> {
    let url = shown(options);
    let probe = async {
        let mut connection = options.connect().await?;
        let standby: bool =
            sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok::<bool, sqlx::Error>(standby)
    };
    let standby = match tokio::time::timeout(settings.acquire_timeout, probe).await {
        Ok(Ok(standby)) => standby,
        Ok(Err(error)) => return Err(cannot_connect(url, &error)),
        Err(_elapsed) => {
            let what = format!("no answer within {:?}", settings.acquire_timeout);
            return Err(OpenError::Connect {
                url,
                what,
                advice: "check the address, the network and the server's load",
            });
        }
    };
    if standby {
        return Err(OpenError::Standby { url });
    }
    Ok(pool(options.clone(), settings))
}

fn pool(options: PgConnectOptions, settings: &PoolSettings) -> PgPool {
    let pool = PgPoolOptions::new()
        .max_connections(settings.max_connections.max(1))
        .acquire_timeout(settings.acquire_timeout)
        // After a failover the name may lead to a standby for a while: such a connection is of no use.
        .after_connect(|connection, _meta| {
            Box::pin(async move {
                let standby: bool =
                    sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut *connection).await?;
                let refused = || sqlx::Error::Io(std::io::Error::other("the server is a standby"));
                if standby { Err(refused()) } else { Ok(()) }
            })
        });
    pool.connect_lazy_with(options)
}

pub(crate) fn cannot_connect(url: String, error: &sqlx::Error) -> OpenError {
    let state = match error {
        sqlx::Error::Database(db) => db.code().unwrap_or_default(),
        _ => std::borrow::Cow::Borrowed(""),
    };
    let advice = match (error, &*state) {
        (_, "28P01" | "28000") => "check the user and the password, and the server's pg_hba.conf",
        (_, "3D000") => "create the database (createdb), or correct its name",
        (_, "57P03") => "the server is starting up: try again in a moment",
        (_, "53300") => "raise max_connections on the server, or lower the pools of its clients",
        (sqlx::Error::Tls(_), _) => "check sslmode and sslrootcert in the URL, and the server's certificate",
        _ => "is Postgres running there, and does the host answer on that port?",
    };
    let what = match error {
        sqlx::Error::Database(db) => db.message().to_owned(),
        other => other.to_string(),
    };
    OpenError::Connect { url, what, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let options = parse_url("postgres://ann:s3cret@db.example:6000/fleet").unwrap();
        assert_eq!(shown(&options), "postgres://ann:***@db.example:6000/fleet");
        for bad in [
            "s3cret",
            "mysql://ann:s3cret@h/x",
            "postgres://ann:s3cret@h:port/x",
            "postgres://ann:s3cret@h/x?sslmode=s",
        ] {
            let error = parse_url(bad).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
            assert!(error.contains("write postgres://"), "{error}");
        }
    }
}
