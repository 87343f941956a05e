//! The operator API, as a test sees it.

use mooring_proto::v1;
use mooring_proto::v1::event_service_client::EventServiceClient;
use mooring_proto::v1::fleet_service_client::FleetServiceClient;
use mooring_proto::v1::order_service_client::OrderServiceClient;
use mooring_proto::v1::pause_service_client::PauseServiceClient;
use mooring_proto::v1::policy_service_client::PolicyServiceClient;
use mooring_proto::v1::session_service_client::SessionServiceClient;
use tonic::Status;
use tonic::transport::Channel;

use crate::wait::until;

/// A client of one controller. Connects when it is first used, and again when the controller returns.
#[derive(Debug, Clone)]
pub struct Api {
    /// Fleet.
    pub fleet: FleetServiceClient<Channel>,
    /// Orders.
    pub orders: OrderServiceClient<Channel>,
    /// Policies.
    pub policies: PolicyServiceClient<Channel>,
    /// Pauses.
    pub pauses: PauseServiceClient<Channel>,
    /// Events.
    pub events: EventServiceClient<Channel>,
    /// Sessions.
    pub sessions: SessionServiceClient<Channel>,
}

impl Api {
    /// A client for `127.0.0.1:PORT`.
    ///
    /// # Panics
    /// When the address is none.
    #[must_use]
    pub fn new(address: &str) -> Self {
        let channel = Channel::from_shared(format!("http://{address}")).expect("an address").connect_lazy();
        Self {
            fleet: FleetServiceClient::new(channel.clone()),
            orders: OrderServiceClient::new(channel.clone()),
            policies: PolicyServiceClient::new(channel.clone()),
            pauses: PauseServiceClient::new(channel.clone()),
            events: EventServiceClient::new(channel.clone()),
            sessions: SessionServiceClient::new(channel),
        }
    }

    /// One instance.
    ///
    /// # Errors
    /// The controller's.
    pub async fn instance(&self, name: &str) -> Result<v1::Instance, Status> {
        let request = v1::GetInstanceRequest { name: name.to_owned() };
        Ok(self.fleet.clone().get_instance(request).await?.into_inner())
    }

    /// All orders, newest first, of the first page.
    ///
    /// # Errors
    /// The controller's.
    pub async fn orders(&self) -> Result<Vec<v1::Order>, Status> {
        let request = v1::ListOrdersRequest { page_size: 1_000, ..Default::default() };
        Ok(self.orders.clone().list_orders(request).await?.into_inner().orders)
    }

    /// All events, newest first, of the first page.
    ///
    /// # Errors
    /// The controller's.
    pub async fn events(&self) -> Result<Vec<v1::Event>, Status> {
        let request = v1::ListEventsRequest { page_size: 1_000, ..Default::default() };
        Ok(self.events.clone().list_events(request).await?.into_inner().events)
    }

    /// Sessions of a parent that a filter lets through, worst first, of the first page.
    ///
    /// # Errors
    /// The controller's.
    pub async fn sessions(&self, parent: &str, filter: &str) -> Result<v1::ListSessionsResponse, Status> {
        let request = v1::ListSessionsRequest {
            parent: parent.to_owned(),
            page_size: 1_000,
            filter: filter.to_owned(),
            ..Default::default()
        };
        Ok(self.sessions.clone().list_sessions(request).await?.into_inner())
    }

    /// Ends of sessions of a parent, newest first, of the first page.
    ///
    /// # Errors
    /// The controller's.
    pub async fn closes(&self, parent: &str) -> Result<Vec<v1::SessionClose>, Status> {
        let request = v1::ListSessionClosesRequest {
            parent: parent.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        Ok(self.sessions.clone().list_session_closes(request).await?.into_inner().closes)
    }

    /// Sessions of a parent's gateways in running numbers.
    ///
    /// # Errors
    /// The controller's.
    pub async fn counts(&self, parent: &str) -> Result<Vec<v1::SessionCounts>, Status> {
        let request = v1::ListSessionCountsRequest { parent: parent.to_owned(), ..Default::default() };
        Ok(self.sessions.clone().list_session_counts(request).await?.into_inner().counts)
    }

    /// Waits until an end of a session of a parent is on record that is as wanted; returns it.
    pub async fn close_of(
        &self,
        parent: &str,
        wanted: impl Fn(&v1::SessionClose) -> bool,
    ) -> v1::SessionClose {
        until(&format!("the end of a session of {parent}"), || async {
            let closes = self.closes(parent).await;
            let found = closes.as_ref().ok().and_then(|c| c.iter().find(|c| wanted(c))).cloned();
            found.ok_or(closes)
        })
        .await
    }

    /// Waits until exactly so many sessions of a parent are listed that a filter lets through; returns them.
    pub async fn listed(&self, parent: &str, filter: &str, n: usize) -> Vec<v1::Session> {
        until(&format!("{n} sessions of {parent} with `{filter}`"), || async {
            match self.sessions(parent, filter).await {
                Ok(answer) if answer.sessions.len() == n => Ok(answer.sessions),
                other => Err(other),
            }
        })
        .await
    }

    /// Makes an order for a reason of the test's.
    ///
    /// # Errors
    /// The controller's.
    pub async fn order(&self, target: &str, action: v1::OrderAction) -> Result<v1::Order, Status> {
        self.order_over(target, action, None).await
    }

    /// Makes an order that closes sessions over a time.
    ///
    /// # Errors
    /// The controller's.
    pub async fn order_over(
        &self,
        target: &str,
        action: v1::OrderAction,
        spread: Option<std::time::Duration>,
    ) -> Result<v1::Order, Status> {
        let request = v1::CreateOrderRequest {
            target: target.to_owned(),
            action: action.into(),
            reason: "the test asks for it".to_owned(),
            spread: spread.and_then(|s| s.try_into().ok()),
            ..Default::default()
        };
        Ok(self.orders.clone().create_order(request).await?.into_inner())
    }

    /// Makes an order, as soon as the gates let it through, and waits for its end; it is to succeed.
    ///
    /// # Panics
    /// When it is refused or does not succeed.
    pub async fn done(&self, target: &str, action: v1::OrderAction) -> v1::Order {
        let order = until("the gates to let the order through", || async {
            match self.order(target, action).await {
                Err(gate) if gate.code() == tonic::Code::ResourceExhausted => Err(gate),
                made => Ok(made.expect("the order is made")),
            }
        })
        .await;
        let ended = self.ended(&order.name).await;
        assert_eq!(ended.state(), v1::OrderState::Succeeded, "{ended:#?}");
        ended
    }

    /// Waits until an instance is in a phase; returns it.
    pub async fn phase(&self, name: &str, phase: v1::Phase) -> v1::Instance {
        until(&format!("{name} to be {phase:?}"), || async {
            match self.instance(name).await {
                Ok(i) if i.phase() == phase => Ok(i),
                other => Err(other),
            }
        })
        .await
    }

    /// Waits until an instance is not True in some condition because of a cause; returns that condition.
    pub async fn cause(&self, name: &str, cause: &str) -> v1::Condition {
        until(&format!("{name} to be sick of {cause}"), || async {
            let instance = self.instance(name).await;
            let found =
                instance.as_ref().ok().and_then(|i| i.conditions.iter().find(|c| c.cause == cause)).cloned();
            found.ok_or(instance)
        })
        .await
    }

    /// Waits until an event says that a condition became False for a cause: what came and went is found, too.
    pub async fn event_of(&self, subject: &str, cause: &str) -> v1::Event {
        until(&format!("an event about {subject} because of {cause}"), || async {
            let events = self.events().await;
            let found = events
                .as_ref()
                .ok()
                .and_then(|e| e.iter().find(|e| e.subject == subject && e.cause == cause))
                .cloned();
            found.ok_or(events)
        })
        .await
    }

    /// Waits until there is an order on a target in a state; returns it.
    pub async fn order_in(&self, target: &str, state: v1::OrderState) -> v1::Order {
        until(&format!("an order on {target} to be {state:?}"), || async {
            let orders = self.orders().await;
            let found = orders
                .as_ref()
                .ok()
                .and_then(|o| o.iter().find(|o| o.target == target && o.state() == state))
                .cloned();
            found.ok_or(orders)
        })
        .await
    }

    /// Waits until an order has ended; returns it.
    pub async fn ended(&self, order: &str) -> v1::Order {
        until(&format!("{order} to end"), || async {
            let request = v1::GetOrderRequest { name: order.to_owned() };
            match self.orders.clone().get_order(request).await.map(tonic::Response::into_inner) {
                Ok(o) if o.end_time.is_some() => Ok(o),
                other => Err(other),
            }
        })
        .await
    }
}
