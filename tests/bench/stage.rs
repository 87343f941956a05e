//! A Postgres that forces its commits to disk, and a release controller on it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use mooring_core::order::State;
use mooring_proto::v1::GetFleetRequest;
use mooring_store_pg::private::{Options, PrivatePostgres};
use mooring_tests::client::Api;
use mooring_tests::gateway::free_port;
use mooring_tests::process::{Process, root};
use mooring_tests::wait::until;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Row as _};
use tempfile::TempDir;
use tokio::process::Command;

const DATABASE: &str = "bench";

/// No brake bites: what is measured is the way of an order, not its being held back.
pub const OPEN_POLICY: &str = r#"
[policy.default]
act_after = "0s"
cooldown = "0s"
stable_for = "1s"
order_ttl = "60s"
verify_within = "60s"
backoff = { base = "100ms", cap = "100ms" }
budget = { in_flight = 100000, in_flight_percent = 100, per_minute = 1000000 }
restarts = { count = 100000, window = "10m" }
storm = { percent = 100, at_least = 1000000, cooldown = "1s" }
"#;

/// Everything is seen and planned for, nothing is old enough to be ordered.
pub const WATCHING_POLICY: &str = "[policy.default]\nact_after = \"1h\"\n";

/// A running controller with what it stands on. Dropping it ends all of it.
pub struct Stage {
    /// The controller.
    pub controller: Process,
    /// The Postgres.
    pub postgres: PrivatePostgres,
    /// The operator API.
    pub api: Api,
    /// Where agents attach.
    pub agents: String,
    _dir: TempDir,
}

impl Stage {
    /// Starts one. `agents` is more TOML for the `[agents]` section.
    pub async fn set(policy: &str, agents: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("mooring-bench-").tempdir()?;
        // Passable: root's Postgres runs as another user.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
        let postgres =
            PrivatePostgres::start(Options::new(dir.path())).await.context("Postgres does not start")?;
        postgres.create_database(DATABASE).await?;
        let address = || format!("127.0.0.1:{}", free_port());
        let (api, link) = (address(), address());
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("url"), postgres.url(DATABASE))?;
        std::fs::write(path("policy.toml"), policy)?;
        let config = format!(
            "data_dir = {:?}\ndatabase_file = {:?}\npolicy_file = {:?}\n\
             [api]\nlisten = \"{api}\"\n[agents]\nlisten = \"{link}\"\n{agents}\n\
             [health]\nlisten = \"{}\"\n[telemetry]\nlog_filter = \"warn\"\n",
            path("data"),
            path("url"),
            path("policy.toml"),
            address(),
        );
        std::fs::write(path("controller.toml"), config)?;
        let mut command = Command::new(binary("mooring-controller").await?);
        command.arg("--config").arg(path("controller.toml"));
        let controller = Process::start("controller", &mut command);
        let api = Api::new(&api);
        until("the controller to answer", || async {
            let fleet = api.fleet.clone().get_fleet(GetFleetRequest {}).await;
            fleet.map_err(|e| format!("{e}\n{}", controller.log()))
        })
        .await;
        Ok(Self { controller, postgres, api, agents: link, _dir: dir })
    }

    /// How to connect to its database.
    pub fn database(&self) -> PgConnectOptions {
        self.postgres.connect_options(DATABASE)
    }

    /// A connection to its database.
    pub async fn connect(&self) -> Result<PgConnection> {
        Ok(self.database().connect().await?)
    }

    /// Rows written to the tables, and bytes to the log, so far. To be asked while nobody writes: backends hand their
    /// counts in when they end, so the controller's are ended, and come back by themselves.
    pub async fn written(&self) -> Result<Written> {
        let mut connection = self.connect().await?;
        let others = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query(others).execute(&mut connection).await?;
        let written = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::float8 AS rows,
                       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS wal FROM pg_stat_user_tables";
        let row = sqlx::query(written).fetch_one(&mut connection).await?;
        Ok(Written { rows: row.try_get("rows")?, wal: row.try_get("wal")? })
    }

    /// Orders as the database has them: how many ended or are in each state, and with which words.
    pub async fn orders(&self) -> Result<Vec<(String, i64)>> {
        let mut connection = self.connect().await?;
        let sql = "SELECT state, outcome, count(*) AS n FROM orders GROUP BY state, outcome ORDER BY n DESC";
        let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
        let of = |row: &sqlx::postgres::PgRow| -> Result<(String, i64)> {
            let state = State::from_code(row.try_get::<i16, _>("state")?).map_or("?", State::name);
            Ok((format!("{state}: {}", row.try_get::<String, _>("outcome")?), row.try_get("n")?))
        };
        rows.iter().map(of).collect()
    }

    /// Events of conditions.
    pub async fn transitions(&self) -> Result<i64> {
        let mut connection = self.connect().await?;
        let row = sqlx::query("SELECT count(*) AS n FROM events WHERE condition IS NOT NULL");
        Ok(row.fetch_one(&mut connection).await?.try_get("n")?)
    }
}

/// See [`Stage::written`].
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Rows inserted, updated and deleted.
    pub rows: f64,
    /// Bytes of write-ahead log.
    pub wal: f64,
}

/// A binary of this build, built if need be.
async fn binary(name: &str) -> Result<PathBuf> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--package", name]).current_dir(root());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    ensure!(command.status().await?.success(), "{name} does not build");
    let me = std::env::current_exe()?;
    Ok(me.parent().context("a program is in a folder")?.join(name))
}

/// RSS is read only when allocators and connections have come to rest.
pub async fn rest() {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
}
