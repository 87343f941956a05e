//! What is kept of sessions: how they ended, and numbers.
//!
//! Ends are in the store only, so a list of them needs it. Numbers are in memory too, and are shown from there while the
//! database is away.

use mooring_core::id::GatewayRef;
use mooring_proto::{operator, v1};
use mooring_store::CountsRecord;
use tonic::Status;

use crate::api::page::{self, Kind, Page, Query, TokenError};
use crate::api::request::{Parent, SessionParent};
use crate::api::{Shared, filter};

/// Rows read from the store at once while a page is filled.
const PORTION: u32 = 500;
/// Portions looked at for one page.
const PORTIONS: usize = 20;

/// Ends, newest first.
///
/// # Errors
/// INVALID_ARGUMENT for a bad parent, filter, token or size; NOT_FOUND for a parent that does not exist; UNAVAILABLE while
/// the database is away.
pub async fn closes(
    shared: &Shared,
    request: &v1::ListSessionClosesRequest,
) -> Result<v1::ListSessionClosesResponse, Status> {
    let parent = SessionParent::parse(&request.parent)?;
    let filter = filter::parse(&request.filter, &filter::CLOSES)?;
    let mut page = Page::new(page::size(request.page_size)?);
    let query = Query::of(&[&request.parent, &request.filter]);
    let mut before: Option<i64> =
        match shared.tokens.position(Kind::SessionCloses, query, &request.page_token)? {
            None => None,
            Some(number) => Some(number.parse().map_err(|_| TokenError::Invalid)?),
        };
    parent.check(&shared.parts.fleet.read())?;
    let mut more = true;
    'portions: for _ in 0..PORTIONS {
        let portion = shared.need(shared.parts.store.closes_before(&parent.scope, before, PORTION)).await?;
        for found in &portion {
            let matches = (parent.instance.is_none() || found.close.instance == parent.instance)
                && filter.matches(found);
            if matches
                && (page.is_full()
                    || page.push(operator::session_close(&found.gateway, &found.close)).is_err())
            {
                break 'portions;
            }
            before = Some(found.number);
        }
        if portion.len() < PORTION as usize {
            more = false;
            break;
        }
    }
    let next_page_token = match before {
        Some(number) if more => shared.tokens.seal(Kind::SessionCloses, query, number.to_string().as_bytes()),
        _ => String::new(),
    };
    Ok(v1::ListSessionClosesResponse { closes: page.into_items(), next_page_token })
}

/// Numbers, by the gateways' names.
///
/// # Errors
/// INVALID_ARGUMENT for a bad parent, token or size; NOT_FOUND for a parent that does not exist.
pub async fn counts(
    shared: &Shared,
    request: &v1::ListSessionCountsRequest,
) -> Result<v1::ListSessionCountsResponse, Status> {
    let parent = Parent::parse(&request.parent, true)?;
    let size = page::size(request.page_size)?;
    let query = Query::of(&[&request.parent]);
    let after: Option<GatewayRef> =
        match shared.tokens.position(Kind::SessionCounts, query, &request.page_token)? {
            None => None,
            Some(name) => Some(name.parse().map_err(|_| TokenError::Invalid)?),
        };
    parent.check(&shared.parts.fleet.read())?;
    let scope = parent.scope();
    // One more than the page holds tells whether there is a next one.
    let wanted = size + 1;
    let rows = u32::try_from(wanted).unwrap_or(u32::MAX);
    let stored = shared.try_ask(shared.parts.store.session_counts(&scope, after.as_ref(), rows)).await?;
    let found = match stored {
        Some(found) => found,
        None => {
            let state = shared.parts.fleet.read();
            let all = state.agents().flat_map(|a| state.gateways_of(a));
            let all = all.filter(|g| scope.holds(&g.record.gateway));
            let all = all.filter(|g| after.as_ref().is_none_or(|after| g.record.gateway > *after));
            let told = all.filter_map(|g| g.sessions.as_deref().map(|told| (&g.record.gateway, told)));
            told.take(wanted)
                .map(|(gateway, (counts, at))| CountsRecord {
                    gateway: gateway.clone(),
                    counts: counts.clone(),
                    at: *at,
                })
                .collect()
        }
    };
    let mut page = Page::new(size);
    let (mut last, mut more) = (None, false);
    for told in &found {
        if page.is_full()
            || page.push(operator::session_counts(&told.gateway, &told.counts, told.at)).is_err()
        {
            more = true;
            break;
        }
        last = Some(&told.gateway);
    }
    let next_page_token = match last {
        Some(last) if more => shared.tokens.seal(Kind::SessionCounts, query, last.to_string().as_bytes()),
        _ => String::new(),
    };
    Ok(v1::ListSessionCountsResponse { counts: page.into_items(), next_page_token })
}
