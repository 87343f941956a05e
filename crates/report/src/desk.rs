//! Orders on their way to a gateway: who takes them, and what came of them.
//!
//! An order waits for a taker: whoever watches or polls the gateway's orders and speaks for the order's instance. It is
//! given to one of them, at most once: nobody knows what a taker that has gone away did with it, and doing it twice would
//! interrupt an account twice. So what ends without an answer ends as *not known*, never as done and never as not done.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mooring_core::id::{GatewayId, InstanceId};
use mooring_proto::report_v1 as v1;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::directory::Directory;
use crate::hub::{NOT_KNOWN, OrderRequest};
use crate::refusal::Refusal;

/// How long an order waits for a taker: the gap between two polls, and a client that is just starting.
const CLAIM: Duration = Duration::from_secs(3);
/// How long an answer may still come after its taker's stream has ended.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// Orders of one gateway at once.
const MOST: usize = 1_000;
/// Ended orders that are remembered, so that an answer sent twice is not an error.
const REMEMBERED: usize = 1_024;
/// Orders in one answer to a poll.
const PAGE: usize = 50;

/// Where an order is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Waiting,
    Taken,
    /// Its taker said that it has begun.
    Started,
    /// Its taker's stream is gone.
    Left,
    Ended(Result<String, String>),
}

#[derive(Debug)]
struct Slip {
    order: v1::Order,
    instance: Option<InstanceId>,
    ends: Instant,
    stage: watch::Sender<Stage>,
}

#[derive(Debug, Default)]
struct Room {
    waiting: VecDeque<String>,
    slips: HashMap<String, Slip>,
    /// Takers that listen now, by the client they are.
    takers: BTreeMap<Arc<str>, usize>,
    bell: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Rooms {
    rooms: HashMap<GatewayId, Room>,
    ended: VecDeque<(GatewayId, String)>,
}

/// The orders of all gateways. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    directory: Directory,
    rooms: Arc<Mutex<Rooms>>,
}

impl Desk {
    pub fn new(directory: Directory) -> Self {
        Self { directory, rooms: Arc::default() }
    }

    /// Carries orders until told to stop; those without an answer then end as not known.
    pub async fn run(self, mut orders: mpsc::Receiver<OrderRequest>, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = under_way.join_next() => {}
                order = orders.recv() => match order {
                    Some(order) => {
                        under_way.spawn(self.clone().carry(order, stop.clone()));
                    }
                    None => break,
                },
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn carry(self, request: OrderRequest, stop: CancellationToken) {
        let (gateway, id) = (request.gateway.clone(), request.id.to_string());
        let ends = Instant::now() + request.time_limit;
        let mut stage = match self.put(&request, ends) {
            Ok(stage) => stage,
            Err(why) => return drop(request.reply.send(Err(why))),
        };
        let mut reply = request.reply;
        let mut until = ends.min(Instant::now() + CLAIM);
        let outcome = loop {
            let seen = stage.borrow_and_update().clone();
            match &seen {
                Stage::Waiting => {}
                Stage::Taken | Stage::Started => until = ends,
                Stage::Left => until = ends.min(Instant::now() + AFTERWARDS),
                Stage::Ended(outcome) => break outcome.clone(),
            }
            tokio::select! {
                biased;
                changed = stage.changed() => if changed.is_err() {
                    break Err(format!("{NOT_KNOWN}: the order was forgotten"));
                },
                () = reply.closed() => break Err("no longer wanted".to_owned()),
                () = stop.cancelled() => break Err(match seen {
                    Stage::Waiting => "the agent stops; nobody has taken the order".to_owned(),
                    _ => format!("{NOT_KNOWN}: the agent stops before the gateway has answered"),
                }),
                // None: taken in this very moment; what came of it is told by its stage.
                () = tokio::time::sleep_until(until) => {
                    if let Some(why) = self.give_up(&gateway, &id, request.time_limit) {
                        break Err(why);
                    }
                }
            }
        };
        self.remove(&gateway, &id);
        let _ = reply.send(outcome);
    }

    fn put(&self, request: &OrderRequest, ends: Instant) -> Result<watch::Receiver<Stage>, String> {
        let mut rooms = self.lock();
        let room = rooms.rooms.entry(request.gateway.clone()).or_default();
        if room.slips.len() >= MOST {
            return Err(format!("{MOST} orders of gateway `{}` are under way already", request.gateway));
        }
        let id = request.id.to_string();
        if room.slips.contains_key(&id) {
            return Err(format!("order {id} is under way already"));
        }
        let order = v1::Order {
            id: id.clone(),
            action: request.action.name().to_owned(),
            instance: request.instance.as_ref().map(ToString::to_string).unwrap_or_default(),
            session: request.session.clone(),
            delay: request.delay.map(mooring_proto::duration),
            reason: request.reason.clone(),
            time_limit: None,
        };
        let (stage, seen) = watch::channel(Stage::Waiting);
        let instance = request.instance.clone();
        room.slips.insert(id.clone(), Slip { order, instance, ends, stage });
        room.waiting.push_back(id);
        room.bell.notify_waiters();
        Ok(seen)
    }

    /// What to say when an order's time is over; `None` when it was taken meanwhile and has time left.
    fn give_up(&self, gateway: &GatewayId, id: &str, limit: Duration) -> Option<String> {
        let mut rooms = self.lock();
        let room = rooms.rooms.get_mut(gateway)?;
        let slip = room.slips.get(id)?;
        let stage = slip.stage.borrow().clone();
        let secs = limit.as_secs_f64();
        match stage {
            Stage::Waiting => {
                let owner = slip.instance.as_ref().map(|i| self.directory.client_of(gateway, i));
                let others: usize = room.takers.values().sum();
                Some(match (owner, others) {
                    (_, 0) => format!("no client of gateway `{gateway}` is listening for orders"),
                    (Some(owner), n) => format!(
                        "no client that speaks for this instance is listening for orders (it was last reported by \
                         `{owner}`; {n} others listen)"
                    ),
                    (None, _) => "nobody took the order in time".to_owned(),
                })
            }
            Stage::Left => {
                Some(format!("{NOT_KNOWN}: the client that took the order disconnected without an answer"))
            }
            Stage::Taken if Instant::now() >= slip.ends => {
                Some(format!("{NOT_KNOWN}: a client took the order and said nothing within {secs} s"))
            }
            Stage::Started if Instant::now() >= slip.ends => Some(format!(
                "{NOT_KNOWN}: a client began to carry the order out and had not ended within {secs} s"
            )),
            Stage::Taken | Stage::Started | Stage::Ended(_) => None,
        }
    }

    fn remove(&self, gateway: &GatewayId, id: &str) {
        let mut rooms = self.lock();
        if let Some(room) = rooms.rooms.get_mut(gateway) {
            room.slips.remove(id);
            room.waiting.retain(|waiting| waiting != id);
        }
    }

    /// The orders for a taker: those that wait, or the first that comes within `wait`.
    pub async fn next(&self, gateway: &GatewayId, client: &Arc<str>, wait: Duration) -> Vec<v1::Order> {
        let taker = self.listen(gateway, client);
        let end = Instant::now() + wait;
        loop {
            let rung = taker.bell.notified();
            tokio::pin!(rung);
            // Enlisted before looking, so that nothing can come in between.
            rung.as_mut().enable();
            let orders = self.take(gateway, client);
            if !orders.is_empty() {
                return orders;
            }
            if tokio::time::timeout_at(end, rung).await.is_err() {
                return Vec::new();
            }
        }
    }

    fn take(&self, gateway: &GatewayId, client: &Arc<str>) -> Vec<v1::Order> {
        let mut rooms = self.lock();
        let Some(room) = rooms.rooms.get_mut(gateway) else { return Vec::new() };
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        for id in std::mem::take(&mut room.waiting) {
            let Some(slip) = room.slips.get_mut(&id) else { continue };
            let may = taken.len() < PAGE
                && (client.is_empty()
                    || slip.instance.as_ref().is_none_or(|instance| {
                        let owner = self.directory.client_of(gateway, instance);
                        owner.is_empty() || owner == *client
                    }));
            if !may {
                left.push_back(id);
                continue;
            }
            let mut order = slip.order.clone();
            order.time_limit = Some(mooring_proto::duration(slip.ends - Instant::now()));
            slip.stage.send_replace(Stage::Taken);
            taken.push(order);
        }
        room.waiting = left;
        taken
    }

    /// Counts a taker for as long as the answer lives.
    fn listen(&self, gateway: &GatewayId, client: &Arc<str>) -> Taker {
        let mut rooms = self.lock();
        let room = rooms.rooms.entry(gateway.clone()).or_default();
        *room.takers.entry(Arc::clone(client)).or_default() += 1;
        let bell = Arc::clone(&room.bell);
        Taker { desk: self.clone(), gateway: gateway.clone(), client: Arc::clone(client), bell }
    }

    /// A stream that took these orders is gone.
    pub fn left(&self, gateway: &GatewayId, ids: &[String]) {
        let rooms = self.lock();
        let Some(room) = rooms.rooms.get(gateway) else { return };
        for slip in ids.iter().filter_map(|id| room.slips.get(id)) {
            slip.stage.send_if_modified(|stage| {
                let open = matches!(stage, Stage::Taken | Stage::Started);
                if open {
                    *stage = Stage::Left;
                }
                open
            });
        }
    }

    /// What a taker says of an order.
    pub fn answer(&self, gateway: &GatewayId, id: &str, stage: &str, message: String) -> Result<(), Refusal> {
        let stage = match stage {
            "started" => Stage::Started,
            "done" => Stage::Ended(Ok(message)),
            "failed" if message.is_empty() => Stage::Ended(Err("failed, without a word why".to_owned())),
            "failed" => Stage::Ended(Err(message)),
            other => {
                let problem =
                    format!("`{}` is not one of: started, done, failed", crate::check::words(other, 40));
                return Err(Refusal::invalid("stage", problem));
            }
        };
        let mut rooms = self.lock();
        let ended = matches!(stage, Stage::Ended(_));
        let slip = rooms.rooms.get(gateway).and_then(|room| room.slips.get(id));
        let known = match slip {
            Some(slip) => slip.stage.send_if_modified(|now| {
                let open = matches!(now, Stage::Taken | Stage::Started | Stage::Left);
                if open {
                    *now = stage;
                }
                open
            }),
            None => false,
        };
        let key = (gateway.clone(), id.to_owned());
        if known {
            if ended {
                if rooms.ended.len() == REMEMBERED {
                    rooms.ended.pop_front();
                }
                rooms.ended.push_back(key);
            }
            return Ok(());
        }
        if rooms.ended.contains(&key) {
            return Ok(());
        }
        let shown = crate::check::words(id, 60);
        Err(Refusal::new(Code::NotFound, "NO_ORDER", format!("no order `{shown}` awaits an answer"))
            .hint("its time is over, or it was never taken"))
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A taker that listens.
struct Taker {
    desk: Desk,
    gateway: GatewayId,
    client: Arc<str>,
    bell: Arc<Notify>,
}

impl Drop for Taker {
    fn drop(&mut self) {
        let mut rooms = self.desk.lock();
        let Some(room) = rooms.rooms.get_mut(&self.gateway) else { return };
        if let Some(count) = room.takers.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                room.takers.remove(&self.client);
            }
        }
    }
}
