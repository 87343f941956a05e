//! Policies, changed by version.

use async_trait::async_trait;
use mooring_core::id::PolicyId;
use mooring_core::policy::{Policy, StoredPolicy};
use mooring_store::{NewEvent, PolicyChange, PolicyStore, StoreError};
use serde_json::Value;
use sqlx::PgConnection;

use crate::errors::Fault;
use crate::{PgStore, events};

fn stored(id: &str, body: Value, version: i64) -> Result<StoredPolicy, Fault> {
    let broken = |what: String| Fault::broken("policies", format!("`{id}`: {what}"));
    Ok(StoredPolicy {
        id: PolicyId::new(id).map_err(|e| broken(e.to_string()))?,
        policy: serde_json::from_value(body).map_err(|e| broken(e.to_string()))?,
        version: version.cast_unsigned(),
        from_file: false,
    })
}

#[async_trait]
impl PolicyStore for PgStore {
    #[tracing::instrument(name = "db.policies.list", skip_all)]
    async fn policies(&self) -> Result<Vec<StoredPolicy>, StoreError> {
        self.once(async {
            let rows = sqlx::query!("SELECT id, body, version FROM policies ORDER BY id")
                .fetch_all(&self.pool)
                .await?;
            rows.into_iter().map(|row| stored(&row.id, row.body, row.version)).collect()
        })
        .await
    }

    #[tracing::instrument(name = "db.policies.put", skip_all, fields(policy = %id, expected))]
    async fn put_policy(
        &self,
        id: &PolicyId,
        policy: &Policy,
        expected: Option<u64>,
        event: &NewEvent,
    ) -> Result<PolicyChange, StoreError> {
        let put = Put { id, policy, expected, event };
        self.transact(put, |tx, put| Box::pin(put.run(tx))).await
    }

    #[tracing::instrument(name = "db.policies.delete", skip_all, fields(policy = %id, expected))]
    async fn delete_policy(
        &self,
        id: &PolicyId,
        expected: u64,
        event: &NewEvent,
    ) -> Result<PolicyChange, StoreError> {
        self.transact((id, expected, event), |tx, (id, expected, event)| {
            Box::pin(delete(tx, id, *expected, event))
        })
        .await
    }
}

/// The version of a policy, its row locked.
async fn version(tx: &mut PgConnection, id: &PolicyId) -> Result<Option<i64>, Fault> {
    let row = sqlx::query!("SELECT version FROM policies WHERE id = $1 FOR UPDATE", id.as_str());
    Ok(row.fetch_optional(tx).await?.map(|row| row.version))
}

struct Put<'a> {
    id: &'a PolicyId,
    policy: &'a Policy,
    expected: Option<u64>,
    event: &'a NewEvent,
}

impl Put<'_> {
    async fn run(&self, tx: &mut PgConnection) -> Result<PolicyChange, Fault> {
        let body = serde_json::to_value(self.policy).map_err(|e| Fault::broken("policies", e))?;
        let current = version(tx, self.id).await?.map(i64::cast_unsigned);
        let row = match (current, self.expected) {
            (None, Some(_)) => return Ok(PolicyChange::Missing),
            (Some(current), expected) if expected != Some(current) => {
                return Ok(PolicyChange::OtherVersion(current));
            }
            // Two that make the same policy at once: the slower one fails here and finds it on its next try.
            (None, None) => {
                let row = sqlx::query_scalar!(
                    "INSERT INTO policies (id, body, version) VALUES ($1, $2, nextval('policy_versions'))
                     RETURNING version",
                    self.id.as_str(),
                    body,
                );
                row.fetch_one(&mut *tx).await?
            }
            (Some(_), _) => {
                let row = sqlx::query_scalar!(
                    "UPDATE policies SET body = $2, version = nextval('policy_versions') WHERE id = $1
                     RETURNING version",
                    self.id.as_str(),
                    body,
                );
                row.fetch_one(&mut *tx).await?
            }
        };
        events::insert(tx, &[self.event]).await?;
        Ok(PolicyChange::Done(Box::new(StoredPolicy {
            id: self.id.clone(),
            policy: self.policy.clone(),
            version: row.cast_unsigned(),
            from_file: false,
        })))
    }
}

async fn delete(
    tx: &mut PgConnection,
    id: &PolicyId,
    expected: u64,
    event: &NewEvent,
) -> Result<PolicyChange, Fault> {
    let Some(current) = version(tx, id).await? else { return Ok(PolicyChange::Missing) };
    if current.cast_unsigned() != expected {
        return Ok(PolicyChange::OtherVersion(current.cast_unsigned()));
    }
    let body = sqlx::query_scalar!("DELETE FROM policies WHERE id = $1 RETURNING body", id.as_str())
        .fetch_one(&mut *tx)
        .await?;
    let gone = stored(id.as_str(), body, current)?;
    events::insert(tx, &[event]).await?;
    Ok(PolicyChange::Done(Box::new(gone)))
}
