//! Reverse mode: the door, the accounts behind it, and who hears of what.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mooring_core::id::InstanceId;
use mooring_wire::Url;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account::{Account, Event};
use super::clock::now;
use super::door::{Admitted, Strangers, TurnedAway};
use super::front::{Host, serve};
use super::secrets::Secrets;
use super::settings::Settings;
use super::socket::Stream;
use crate::adapter::{Desk, Word};

/// A pause between two tries to get the address.
const BIND_AGAIN: Duration = Duration::from_secs(2);
/// One wrong dial may be anybody's; a program dials again.
const SURE: u64 = 2;

/// See the module.
pub(super) struct House {
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    url: Url,
    words: mpsc::Sender<Word>,
    accounts: Mutex<HashMap<InstanceId, mpsc::UnboundedSender<Event>>>,
    strangers: Mutex<Strangers>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl House {
    /// The inbox of an account; made, if there is room and `make` says so.
    fn inbox(&self, id: &InstanceId, make: bool) -> Option<mpsc::UnboundedSender<Event>> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = accounts.get(id) {
            return Some(inbox.clone());
        }
        if !make || accounts.len() >= self.settings.instances {
            return None;
        }
        let (events, inbox) = mpsc::unbounded_channel();
        accounts.insert(id.clone(), events.clone());
        let run = Account::run(
            id.clone(),
            Arc::clone(&self.settings),
            Arc::clone(&self.secrets),
            self.url.clone(),
            (events.clone(), inbox),
            self.words.clone(),
            self.stop.clone(),
        );
        self.tasks.spawn(run);
        Some(events)
    }
}

impl Host for House {
    fn room(&self, admitted: &Admitted) -> Result<(), String> {
        let full = || {
            format!("there are {} accounts already, which is the most (`instances`)", self.settings.instances)
        };
        self.inbox(&admitted.id, true).map(|_| ()).ok_or_else(full)
    }

    fn arrived(&self, admitted: Admitted, ws: WebSocketStream<Stream>, peer: SocketAddr) {
        if let Some(inbox) = self.inbox(&admitted.id, true) {
            // The account has ended: the agent stops.
            let _ = inbox.send(Event::Arrived(Box::new(admitted), Box::new(ws), peer));
        }
    }

    fn turned_away(&self, away: &TurnedAway, from: IpAddr) {
        let at = now().mono;
        let noticed = self.strangers.lock().unwrap_or_else(PoisonError::into_inner).tried(at, from, away);
        if noticed.log {
            let (status, tries) = (away.status.as_u16(), noticed.tries);
            tracing::warn!(%from, path = %away.path, status, tries, words = %away.words, "a OneBot dial-in was turned away");
        }
        let Some(cause) = away.cause.filter(|_| noticed.tries >= SURE) else { return };
        // Who says no known name, and cannot be believed, is the only account there is, where there is but one.
        let only = || {
            let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            accounts.keys().next().filter(|_| accounts.len() == 1).cloned()
        };
        let Some(id) = away.id.clone().filter(|id| self.inbox(id, away.believed).is_some()).or_else(only)
        else {
            return;
        };
        if let Some(inbox) = self.inbox(&id, false) {
            let evidence = noticed.evidence(from, away);
            let _ = inbox.send(Event::TurnedAway(cause, away.words.clone(), evidence));
        }
    }
}

/// Runs until told to stop. `bound` is told the address once it is had.
pub(super) async fn run(
    settings: Arc<Settings>,
    mut desk: Desk,
    bound: Option<tokio::sync::oneshot::Sender<SocketAddr>>,
    stop: CancellationToken,
) {
    let (Some(listen), Ok(url)) = (settings.listen, settings.forward_to.parse::<Url>()) else {
        // The configuration is checked before it comes here; there is nothing to run.
        tracing::error!("a OneBot gateway in reverse mode needs `listen` and `forward_to`");
        return stop.cancelled().await;
    };
    let house = Arc::new(House {
        secrets: Arc::new(Secrets::new(&settings)),
        url,
        words: desk.words.clone(),
        accounts: Mutex::default(),
        strangers: Mutex::default(),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
        settings: Arc::clone(&settings),
    });
    for id in settings.self_ids.iter().filter_map(|id| InstanceId::new(id).ok()) {
        house.inbox(&id, true);
    }
    let listener = tokio::select! {
        () = stop.cancelled() => return,
        listener = bind(listen) => listener,
    };
    if let (Some(bound), Ok(address)) = (bound, listener.local_addr()) {
        let _ = bound.send(address);
    }
    let host: Arc<dyn Host> = Arc::clone(&house) as Arc<dyn Host>;
    house.tasks.spawn(serve(listener, Arc::clone(&settings), Arc::clone(&house.secrets), host, stop.clone()));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            ask = desk.asks.recv() => {
                let Some(ask) = ask else { break };
                match house.inbox(&ask.instance, false) {
                    Some(inbox) => drop(inbox.send(Event::Ask(ask))),
                    None => {
                        let why = format!("account {} has never dialled in", ask.instance);
                        let _ = ask.reply.send(Err(why));
                    }
                }
            }
        }
    }
    stop.cancelled().await;
    house.tasks.close();
    house.tasks.wait().await;
}

async fn bind(listen: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::error!(%listen, %error, "cannot listen for OneBot implementations; trying again");
                tokio::time::sleep(BIND_AGAIN).await;
            }
        }
    }
}
