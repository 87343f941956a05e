//! Loading the fleet: everything, in one snapshot, streamed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::TryStreamExt;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::id::{AgentId, GatewayId, GatewayRef, Incarnation, InstanceId, InstanceRef, PolicyId};
use mooring_core::planner::Abilities;
use mooring_core::session::Source;
use mooring_store::{FleetRecord, GatewayRecord, InstanceRecord, StoreError};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::convert::{cause, known, pairs, small, timestamp};
use crate::errors::Fault;
use crate::{PgStore, agents, cases, orders, sessions};

/// A million instances with five conditions each take about ten seconds; a call's usual bounds are too short for it.
const LIMIT: Duration = Duration::from_secs(120);

impl PgStore {
    #[tracing::instrument(name = "db.agents.load", skip_all)]
    pub(crate) async fn load_fleet(&self) -> Result<FleetRecord, StoreError> {
        let load = async {
            let mut connection = self.pool.acquire().await?;
            let mut tx = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            // Must be LIMIT.
            sqlx::query!("SET LOCAL statement_timeout = '120s'").execute(&mut *tx).await?;
            let fleet = fleet(&mut tx).await?;
            tx.commit().await?;
            Ok::<_, Fault>(fleet)
        };
        match tokio::time::timeout(LIMIT, Box::pin(load)).await {
            Ok(done) => done.map_err(StoreError::from),
            Err(_elapsed) => Err(StoreError::Away(format!("the fleet could not be loaded within {LIMIT:?}"))),
        }
    }
}

async fn fleet(tx: &mut PgConnection) -> Result<FleetRecord, Fault> {
    let agents = agents::all(&mut *tx).await?;
    let gateways = gateways(&mut *tx).await?;
    let instances = instances(&mut *tx, &gateways).await?;
    let conditions = conditions(&mut *tx, &instances).await?;
    Ok(FleetRecord {
        agents,
        gateways: gateways.into_values().collect(),
        instances: instances.into_values().collect(),
        conditions,
        session_counts: sessions::all_counts(&mut *tx).await?,
        live_orders: orders::live(&mut *tx).await?,
        cases: cases::all(&mut *tx).await?,
    })
}

async fn gateways(tx: &mut PgConnection) -> Result<HashMap<Uuid, GatewayRecord>, Fault> {
    let mut rows = sqlx::query!(
        "SELECT key, agent, id, handle, kind, address, grp, labels, abilities, incarnation, watch FROM gateways"
    )
    .fetch(tx);
    let mut gateways = HashMap::new();
    while let Some(row) = rows.try_next().await? {
        let named = |e| Fault::broken("gateways", e);
        let labels: BTreeMap<String, String> = serde_json::from_value(row.labels)
            .map_err(|e| Fault::broken("gateways", format!("labels: {e}")))?;
        let record = GatewayRecord {
            gateway: GatewayRef {
                agent: AgentId::new(&row.agent).map_err(named)?,
                gateway: GatewayId::new(&row.id).map_err(named)?,
            },
            handle: small("gateways", "handle", row.handle)?,
            // A kind that a newer controller stored is as unknown as one of a newer agent.
            kind: row.kind.and_then(|kind| kind.parse().ok()),
            address: row.address,
            group: PolicyId::new(&row.grp).map_err(named)?,
            labels,
            abilities: Abilities::from_bits(u8::try_from(row.abilities).unwrap_or(0)),
            incarnation: row.incarnation.map(|i| Incarnation(i.cast_unsigned())),
            watch: watch(row.watch),
        };
        gateways.insert(row.key, record);
    }
    Ok(gateways)
}

async fn instances(
    tx: &mut PgConnection,
    gateways: &HashMap<Uuid, GatewayRecord>,
) -> Result<HashMap<Uuid, InstanceRecord>, Fault> {
    let mut rows = sqlx::query!("SELECT key, gateway_key, id, handle FROM instances").fetch(tx);
    let mut instances = HashMap::new();
    while let Some(row) = rows.try_next().await? {
        let gateway = gateways.get(&row.gateway_key).map(|g| &g.gateway);
        let gateway = known("instances", "gateway_key", row.gateway_key, gateway)?;
        let id = InstanceId::new(&row.id).map_err(|e| Fault::broken("instances", e))?;
        let handle = small("instances", "handle", row.handle)?;
        instances.insert(row.key, InstanceRecord { instance: gateway.instance(id), handle });
    }
    Ok(instances)
}

async fn conditions(
    tx: &mut PgConnection,
    instances: &HashMap<Uuid, InstanceRecord>,
) -> Result<Vec<(InstanceRef, Condition)>, Fault> {
    let mut rows = sqlx::query!(
        "SELECT instance_key, condition, status, cause, message, evidence, since FROM conditions"
    )
    .fetch(tx);
    let mut conditions = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let instance = instances.get(&row.instance_key).map(|i| &i.instance);
        let instance = known("conditions", "instance_key", row.instance_key, instance)?;
        let condition = Condition {
            kind: condition_kind("conditions", row.condition)?,
            status: status("conditions", row.status)?,
            cause: row.cause.map(cause),
            message: row.message,
            evidence: pairs("conditions", row.evidence)?,
            since: timestamp(row.since),
        };
        conditions.push((instance.clone(), condition));
    }
    Ok(conditions)
}

/// A condition from its code.
pub(crate) fn condition_kind(table: &str, code: i16) -> Result<ConditionKind, Fault> {
    let found = usize::try_from(code).ok().and_then(ConditionKind::from_index);
    known(table, "condition", code, found)
}

/// A status from its code.
pub(crate) fn status(table: &str, code: i16) -> Result<Status, Fault> {
    known(table, "status", code, u8::try_from(code).ok().and_then(Status::from_code))
}

/// A condition's code.
pub(crate) fn condition_code(kind: ConditionKind) -> i16 {
    i16::try_from(kind.index()).unwrap_or(0)
}

/// How a gateway is watched, as bits: 1 for the way with code 1, 2 for code 2, 4 for code 3, and so on.
pub(crate) fn watch_bits(watch: &[Source]) -> i16 {
    watch.iter().fold(0, |bits, source| bits | watch_bit(*source))
}

/// From bits; those of ways that only a newer controller knows are ignored.
fn watch(bits: i16) -> Vec<Source> {
    Source::ALL.iter().copied().filter(|source| bits & watch_bit(*source) != 0).collect()
}

fn watch_bit(source: Source) -> i16 {
    1 << (source.code() - 1)
}
