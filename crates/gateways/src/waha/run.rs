//! The loop: looks, events, orders. What they mean is decided in [`super::state`] and [`super::orders`].

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::{InstanceId, NameError, OrderId};
use mooring_core::time::Mono;
use mooring_runtime::tls::TlsError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::api::Status;
use super::client::Client;
use super::events;
use super::orders::{Call, Verify};
use super::settings::Settings;
use super::state::{Event, GATEWAY, State};
use crate::adapter::{Adapter, Ask, Desk, Said, Word};

/// Events that wait for the loop.
const QUEUE: usize = 256;
/// Most orders at once.
const MAX_ORDERS: usize = 64;
/// Most sessions that are asked at once why they failed.
const EXPLAIN: usize = 8;
/// Between looks at a session that an order is about.
const CLOSE_LOOK: Duration = Duration::from_millis(300);
/// Between two looks at the clock, for what is late.
const TICK: Duration = Duration::from_secs(1);

/// Why an adapter could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The settings are unusable.
    #[error("{0}")]
    Settings(String),
    /// The files for TLS are.
    #[error("TLS for WAHA: {0}")]
    Tls(#[from] TlsError),
    /// Ours; cannot happen.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// The adapter.
#[derive(Debug)]
pub struct Waha {
    client: Arc<Client>,
    gateway: InstanceId,
    state: State,
}

/// What comes back from tasks.
#[derive(Debug)]
enum Back {
    Event(Event),
    /// The one look at the list that was under way.
    Listed(Event),
    /// The one look at a session that has failed.
    Explained(String, Option<Event>),
    /// The one look at a session of this order.
    Looked(OrderId, Option<Event>),
    /// The call of this order was answered, or could not be made.
    Called(OrderId, Result<(), String>),
}

/// An order that is under way.
#[derive(Debug)]
struct Order {
    id: OrderId,
    name: String,
    verify: Verify,
    deadline: Instant,
    looking: bool,
    reply: oneshot::Sender<Result<String, String>>,
}

impl Waha {
    /// An adapter for these settings.
    ///
    /// # Errors
    /// When they are unusable; [`Settings::problems`] says it better and earlier.
    pub fn new(settings: Settings) -> Result<Self, MakeError> {
        let problems: Vec<_> = settings.problems("waha").iter().map(ToString::to_string).collect();
        if !problems.is_empty() {
            return Err(MakeError::Settings(problems.join("; ")));
        }
        let gateway = InstanceId::new(GATEWAY)?;
        let state = State::new(&settings, gateway.clone());
        Ok(Self { client: Arc::new(Client::new(settings)?), gateway, state })
    }

    async fn watch(self, mut desk: Desk, stop: CancellationToken) {
        let (to, mut back) = mpsc::channel(QUEUE);
        // Ends with this loop, however that ends.
        let stop = stop.child_token();
        let _ends = stop.clone().drop_guard();
        if self.client.settings.events {
            listen(&self.client, &to, &stop);
        }
        let mut shift = Shift {
            client: self.client,
            state: self.state,
            began: Instant::now(),
            words: desk.words.clone(),
            to,
            orders: Vec::new(),
            listing: false,
            explaining: Vec::new(),
        };
        let here = Word { instance: self.gateway, said: Said::Here };
        if shift.words.send(here).await.is_err() {
            return;
        }
        let now = Instant::now();
        let (mut next_list, mut next_tick, mut next_look) = (now, now + TICK, now);
        let mut asking = true;
        loop {
            let wake = next_list.min(next_tick);
            let wake = if shift.orders.is_empty() { wake } else { wake.min(next_look) };
            let alive = tokio::select! {
                ask = desk.asks.recv(), if asking => match ask {
                    Some(ask) => { shift.begin(ask); true }
                    None => { asking = false; true }
                },
                Some(back) = back.recv() => shift.hear(back).await,
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    if now >= next_list {
                        next_list = now + shift.client.settings.poll.get();
                        shift.list();
                    }
                    if now >= next_look {
                        next_look = now + CLOSE_LOOK;
                        shift.pursue();
                    }
                    if now >= next_tick {
                        next_tick = now + TICK;
                        shift.event(Event::Tick).await
                    } else {
                        true
                    }
                }
            };
            if !alive {
                return;
            }
        }
    }
}

impl Adapter for Waha {
    fn run(self: Box<Self>, desk: Desk, stop: CancellationToken) -> BoxFuture<'static, ()> {
        // Told to stop, it ends wherever it is: the socket's task leaves properly, and a call that was made is made.
        async move { stop.clone().run_until_cancelled_owned(self.watch(desk, stop)).await.unwrap_or_default() }
            .boxed()
    }
}

fn listen(client: &Arc<Client>, to: &mpsc::Sender<Back>, stop: &CancellationToken) {
    let (events, mut heard) = mpsc::channel(QUEUE);
    tokio::spawn(events::listen(Arc::clone(client), events, stop.clone()));
    let to = to.clone();
    tokio::spawn(async move {
        while let Some(event) = heard.recv().await {
            if to.send(Back::Event(event)).await.is_err() {
                return;
            }
        }
    });
}

/// The loop's own things.
struct Shift {
    client: Arc<Client>,
    state: State,
    began: Instant,
    words: mpsc::Sender<Word>,
    to: mpsc::Sender<Back>,
    orders: Vec<Order>,
    listing: bool,
    /// Sessions that are being asked why they failed.
    explaining: Vec<String>,
}

impl Shift {
    fn mono(&self) -> Mono {
        Mono(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// False: nobody listens any more.
    async fn hear(&mut self, back: Back) -> bool {
        match back {
            Back::Event(event) => self.event(event).await,
            Back::Listed(event) => {
                self.listing = false;
                self.event(event).await
            }
            Back::Explained(name, event) => {
                self.explaining.retain(|n| *n != name);
                match event {
                    Some(event) => self.event(event).await,
                    None => true,
                }
            }
            Back::Looked(id, event) => {
                if let Some(order) = self.orders.iter_mut().find(|o| o.id == id) {
                    order.looking = false;
                }
                match event {
                    Some(event) => self.event(event).await,
                    None => true,
                }
            }
            Back::Called(id, result) => {
                if let Err(why) = result {
                    self.end(id, Err(why));
                }
                true
            }
        }
    }

    async fn event(&mut self, event: Event) -> bool {
        let now = self.mono();
        let mut seen: Vec<(String, Status)> = Vec::new();
        // What was asked before an order began tells nothing of its effect.
        let mut asked = now;
        match &event {
            Event::List(Ok(list), took) => {
                asked = now.before(*took);
                seen.extend(list.iter().map(|s| (s.name.clone(), s.status)));
            }
            Event::One(one, took) => {
                asked = now.before(*took);
                seen.push((one.name.clone(), one.status));
            }
            Event::Status(name, status) => seen.push((name.clone(), *status)),
            _ => {}
        }
        for word in self.state.step(now, event) {
            if self.words.send(word).await.is_err() {
                return false;
            }
        }
        let mut ended = Vec::new();
        for order in &mut self.orders {
            let status = seen.iter().find(|(name, _)| *name == order.name).map(|(_, status)| *status);
            if let Some(verdict) = status.and_then(|status| order.verify.see(now, asked, status)) {
                ended.push((order.id, verdict));
            }
        }
        for (id, verdict) in ended {
            self.end(id, verdict);
        }
        self.explain();
        true
    }

    /// Asks why sessions have failed, a few at a time.
    fn explain(&mut self) {
        for name in self.state.unexplained(EXPLAIN) {
            if self.explaining.len() >= EXPLAIN || self.explaining.contains(&name) {
                continue;
            }
            self.explaining.push(name.clone());
            let (client, to) = (Arc::clone(&self.client), self.to.clone());
            tokio::spawn(async move {
                let event = look(&client, &name).await;
                let _ = to.send(Back::Explained(name, event)).await;
            });
        }
    }

    /// Looks at the list, unless it is still being looked at.
    fn list(&mut self) {
        if std::mem::replace(&mut self.listing, true) {
            return;
        }
        let (client, to) = (Arc::clone(&self.client), self.to.clone());
        tokio::spawn(async move {
            let began = Instant::now();
            let list = client.list().await;
            // Nobody waits for it any more when the adapter has ended.
            let _ = to.send(Back::Listed(Event::List(list, began.elapsed()))).await;
        });
    }

    /// Begins an order, or refuses it.
    fn begin(&mut self, ask: Ask) {
        let now = self.mono();
        let permitted = if self.orders.len() >= MAX_ORDERS {
            Err(format!("refused: {MAX_ORDERS} orders are under way already"))
        } else {
            self.state.permit(now, &ask.instance, ask.doing)
        };
        let busy = |name: &String| self.orders.iter().any(|o| o.name == *name);
        let (name, before, call) = match permitted {
            Ok((name, ..)) if busy(&name) => {
                return answer(ask, Err("refused: another order on it is under way".to_owned()));
            }
            Ok(permitted) => permitted,
            Err(why) => return answer(ask, Err(why)),
        };
        tracing::info!(order = %ask.order, instance = %ask.instance, call = call.verb(), reason = %ask.reason, "WAHA is asked");
        let verify = Verify::new(call, before, self.client.settings.hold.get(), now);
        // The answer must be there by the limit, and has a way to go.
        let deadline = Instant::now() + ask.time_limit.mul_f64(0.95);
        let order =
            Order { id: ask.order, name: name.clone(), verify, deadline, looking: false, reply: ask.reply };
        self.orders.push(order);
        self.call(ask.order, name, call);
    }

    fn call(&self, id: OrderId, name: String, call: Call) {
        let (client, to) = (Arc::clone(&self.client), self.to.clone());
        tokio::spawn(async move {
            let result = client.call(&name, call).await;
            let _ = to.send(Back::Called(id, result)).await;
        });
    }

    /// Looks closely at what orders are about, and ends those whose time is over.
    fn pursue(&mut self) {
        let now = Instant::now();
        let over: Vec<_> =
            self.orders.iter().filter(|o| now >= o.deadline).map(|o| (o.id, o.verify.give_up())).collect();
        for (id, why) in over {
            self.end(id, Err(why));
        }
        for order in self.orders.iter_mut().filter(|o| !o.looking) {
            order.looking = true;
            let (client, to) = (Arc::clone(&self.client), self.to.clone());
            let (id, name) = (order.id, order.name.clone());
            tokio::spawn(async move {
                let event = look(&client, &name).await;
                let _ = to.send(Back::Looked(id, event)).await;
            });
        }
    }

    fn end(&mut self, id: OrderId, verdict: Result<String, String>) {
        if let Some(at) = self.orders.iter().position(|o| o.id == id) {
            let order = self.orders.swap_remove(at);
            tracing::info!(order = %id, session = %order.name, verdict = ?verdict, "WAHA's order has ended");
            // Who asked may have gone.
            let _ = order.reply.send(verdict);
        }
    }
}

async fn look(client: &Client, name: &str) -> Option<Event> {
    let began = Instant::now();
    let seen = client.one(name).await.ok()?;
    Some(Event::One(seen, began.elapsed()))
}

fn answer(ask: Ask, verdict: Result<String, String>) {
    tracing::info!(order = %ask.order, instance = %ask.instance, doing = ?ask.doing, "refused for WAHA");
    let _ = ask.reply.send(verdict);
}
