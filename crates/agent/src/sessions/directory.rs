//! Which gateway has which sources: what questions from the controller are answered from.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::GatewayId;
use mooring_core::session::{SessionPage, SessionQuery};

use super::Sources;
use crate::uplink::SessionDesk;

/// The sources of all gateways; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Directory(Arc<RwLock<HashMap<GatewayId, Arc<Sources>>>>);

impl Directory {
    /// A gateway has these from now on, in place of those it had.
    pub fn put(&self, gateway: GatewayId, sources: Arc<Sources>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(gateway, sources);
    }

    /// A gateway is not watched any more.
    pub fn remove(&self, gateway: &GatewayId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(gateway);
    }

    fn get(&self, gateway: &GatewayId) -> Option<Arc<Sources>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(gateway).cloned()
    }
}

impl SessionDesk for Directory {
    fn answer(
        &self,
        gateway: GatewayId,
        query: SessionQuery,
    ) -> BoxFuture<'static, Result<SessionPage, String>> {
        let found = self.get(&gateway);
        async move {
            let Some(sources) = found else {
                return Err(format!("gateway `{gateway}` is not watched by this agent"));
            };
            let looked = tokio::task::spawn_blocking(move || {
                let page = sources.page(&query);
                // An empty list must not mean "there are none" when nobody could look.
                match sources.trouble(&query).filter(|_| page.summary.open == 0) {
                    Some(why) => Err(why),
                    None => Ok(page),
                }
            });
            looked.await.unwrap_or_else(|_| {
                Err("looking at the sessions failed by a mistake in the agent (its log says more)".to_owned())
            })
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gateway_that_is_not_watched_has_no_answer() {
        let directory = Directory::default();
        let gateway = GatewayId::new("chat").unwrap();
        let asked = directory.answer(gateway.clone(), SessionQuery::default()).await;
        assert!(asked.unwrap_err().contains("`chat` is not watched"));
        directory.put(gateway.clone(), Arc::new(Sources::default()));
        let page = directory.answer(gateway.clone(), SessionQuery::default()).await.unwrap();
        assert_eq!(page, SessionPage::default());
        directory.remove(&gateway);
        assert!(directory.answer(gateway, SessionQuery::default()).await.is_err());
    }
}
