//! What holds whatever a gateway says, in whatever order.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::{GatewayId, InstanceId};
use mooring_core::session::SessionQuery;
use mooring_core::time::{Mono, Now, Timestamp};
use proptest::prelude::*;

use super::{Book, Closed, Event, MeaningConfig, Protocol, Registration, Reported};

fn event() -> impl Strategy<Value = Event> {
    let code = prop_oneof![Just(None), (400i32..520).prop_map(Some), any::<i32>().prop_map(Some)];
    prop_oneof![
        Just(Event::Connecting),
        Just(Event::Closing),
        Just(Event::WaitingForLogin),
        Just(Event::Open { peer: String::new() }),
        Just(Event::Beat { rtt: None }),
        Just(Event::Line("x".to_owned())),
        (code, any::<Option<u16>>()).prop_map(|(code, close_code)| {
            Event::Closed(Box::new(Closed { code, close_code, ..Closed::default() }))
        }),
        (any::<bool>(), any::<bool>(), 0u32..3).prop_map(|(baileys, beats, pid)| {
            let heartbeat = beats.then(|| (Duration::from_secs(5), Duration::from_secs(5)));
            let protocol = if baileys { Protocol::Baileys } else { Protocol::WebSocket };
            Event::Registered(Box::new(Registration { protocol, heartbeat, pid, ..Registration::default() }))
        }),
    ]
}

/// Time that passes before, age of the event, whose, which connection, what; and whether the shell looks at its timers.
type Told = (u64, u64, u8, u8, Event, bool);

fn told() -> impl Strategy<Value = Vec<Told>> {
    let one = (0u64..40_000_000, 0u64..60_000_000, 0u8..2, 0u8..3, event(), any::<bool>());
    prop::collection::vec(one, 1..60)
}

proptest! {
    /// True is claimed only by an open or a beat, as old as that is; a close that is newer than the newest open is
    /// never followed by True without a newer open; ages are never negative; deadlines are never in the past for long;
    /// what began and has not ended is what is listed.
    #[test]
    fn whatever_is_said(story in told()) {
        let mut book = Book::new(MeaningConfig::default());
        let mut mono = 1_000_000_000u64;
        let mut newest_open = [None::<u64>; 2];
        let mut newest_end = [None::<u64>; 2];
        for (pass, age, who, session, event, looks) in story {
            mono += pass;
            let now = Now { mono: Mono(mono), wall: Timestamp(0) };
            let instance = InstanceId::new(format!("i{who}")).unwrap();
            let index = usize::from(who);
            let at = mono - age;
            if looks {
                for outcome in book.tick(now) {
                    for claim in &outcome.step.claims {
                        prop_assert_ne!(claim.status, Status::True, "time alone makes nothing well");
                        prop_assert!(claim.cause.is_some() && !claim.message.is_empty());
                    }
                }
                if let Some(due) = book.next_check() {
                    prop_assert!(due > now.mono, "what was due is done");
                }
            }
            let name: Arc<str> = if session == 0 { Arc::default() } else { format!("s{session}").into() };
            let anonymous = session == 0;
            let reported = Reported {
                gateway: GatewayId::new("g").unwrap(),
                instance: instance.clone(),
                at: Now { mono: Mono(at), wall: Timestamp(0) },
                session: name,
                event: event.clone(),
            };
            let outcome = book.take(now, &reported);
            prop_assert_eq!(&outcome.instance, &instance);
            let well = outcome.step.claims.iter().any(|c| c.status == Status::True);
            match &event {
                Event::Open { .. } if well => newest_open[index] = newest_open[index].max(Some(at)),
                Event::Beat { .. } if well => prop_assert!(newest_open[index].is_some()),
                _ => prop_assert!(!well, "{:?} makes nothing well", event),
            }
            if let (Event::Closed(_), true) = (&event, anonymous) {
                newest_end[index] = newest_end[index].max(Some(at));
            }
            if well {
                prop_assert!(newest_open[index] >= newest_end[index], "well although it was closed later");
            }
            for claim in &outcome.step.claims {
                prop_assert!(claim.age <= Duration::from_micros(age) || claim.status != Status::True);
                if claim.status == Status::True {
                    prop_assert_eq!(claim.age, Duration::from_micros(age), "as old as its fact");
                    prop_assert!(claim.cause.is_none());
                } else {
                    prop_assert!(claim.cause.is_some());
                }
                prop_assert!(claim.kind != ConditionKind::Stable && claim.kind != ConditionKind::Delivering);
            }
            let counts = book.counts();
            let listed = book.sessions(now, &SessionQuery { limit: 10, ..SessionQuery::default() });
            let listed = u64::try_from(listed.sessions.len()).unwrap();
            // A superseded session may still be waiting for its end to be told: one for each instance.
            prop_assert!(counts.opened >= counts.closed + listed, "{counts:?} {listed}");
            prop_assert!(counts.opened <= counts.closed + listed + 2, "{counts:?} {listed}");
            prop_assert!(counts.sick <= listed && counts.open <= listed);
        }
    }
}
