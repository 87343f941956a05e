//! What the driver's errors mean to the caller.
//!
//! The question is only whether trying again later can help. Everything that says "the server is not there, not ready, too
//! busy or not the one to write to" is [`StoreError::Away`]; a row that cannot be read, or a statement the server rejects
//! on its merits, is [`StoreError::Broken`]. SQLSTATE classes: PostgreSQL documentation, appendix A.

use mooring_store::StoreError;

/// An error inside a transaction, before it is known whether it is tried again.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The driver's.
    Sql(sqlx::Error),
    /// Ours, with its meaning.
    Store(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// A row that cannot be.
    pub(crate) fn broken(table: &str, what: impl std::fmt::Display) -> Self {
        Self::Store(StoreError::Broken(format!("table {table}: {what}")))
    }

    /// Whether the same transaction may well succeed at once: it lost a deadlock or a race for a unique name. After a
    /// race the second try finds what the faster one wrote.
    pub(crate) fn worth_retrying(&self) -> bool {
        matches!(self.sqlstate().as_deref(), Some("40001" | "40P01" | "23505"))
    }

    fn sqlstate(&self) -> Option<String> {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => error.code().map(std::borrow::Cow::into_owned),
            _ => None,
        }
    }
}

/// SQLSTATEs of a server that cannot do it now: connection exceptions, read-only transaction (a standby), rejected
/// credentials (rotated, or wrong), database missing, deadlock and serialization (tries used up), insufficient
/// resources, lock not available, cancelled or shut down or starting, system error.
fn passes_by_itself(state: &str) -> bool {
    let class = state.get(..2).unwrap_or("");
    matches!(class, "08" | "28" | "40" | "53" | "57" | "58") || matches!(state, "25006" | "3D000" | "55P03")
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let error = match fault {
            Fault::Store(error) => return error,
            Fault::Sql(error) => error,
        };
        match &error {
            sqlx::Error::Database(db) => {
                let state = db.code().unwrap_or_default();
                if passes_by_itself(&state) {
                    Self::Away(format!("{} (SQLSTATE {state})", db.message()))
                } else if state == "23505" {
                    Self::Conflict(format!("{} (SQLSTATE {state})", db.message()))
                } else {
                    let table = db.table().map(|t| format!("table {t}: ")).unwrap_or_default();
                    Self::Broken(format!("{table}{} (SQLSTATE {state})", db.message()))
                }
            }
            sqlx::Error::PoolTimedOut => Self::Away(
                "no connection was to be had in time: the database is away, or all connections are in use".to_owned(),
            ),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            // Also what a connection says that broke in the middle of a message.
            | sqlx::Error::Protocol(_) => Self::Away(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself() {
        let table = [
            ("57P01", true),  // admin_shutdown
            ("57P03", true),  // cannot_connect_now: starting up
            ("57014", true),  // query_canceled: statement timeout
            ("53300", true),  // too_many_connections
            ("53100", true),  // disk_full
            ("55P03", true),  // lock_not_available
            ("25006", true),  // read_only_sql_transaction
            ("08006", true),  // connection_failure
            ("28P01", true),  // invalid_password
            ("40P01", true),  // deadlock_detected, tries used up
            ("42P01", false), // undefined_table
            ("23503", false), // foreign_key_violation
            ("22021", false), // character_not_in_repertoire
        ];
        for (state, passes) in table {
            assert_eq!(passes_by_itself(state), passes, "{state}");
        }
    }

    #[test]
    fn the_drivers_errors_are_sorted() {
        let away = |e: sqlx::Error| matches!(StoreError::from(Fault::from(e)), StoreError::Away(_));
        assert!(away(sqlx::Error::PoolTimedOut));
        assert!(away(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())));
        assert!(!away(sqlx::Error::RowNotFound));
        assert!(!away(sqlx::Error::ColumnNotFound("x".to_owned())));
    }
}
