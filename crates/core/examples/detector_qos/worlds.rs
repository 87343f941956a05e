//! Environments: when signs of life are sent, and when they are seen.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// One sign of life (or ping), times in seconds.
pub struct Beat {
    /// When it was due: its number.
    pub due: f64,
    /// When the watcher had it before it; infinite when it was lost on the way.
    pub seen: f64,
}

/// A run of an environment.
pub struct World {
    pub name: &'static str,
    pub beats: Vec<Beat>,
    /// When the observer was stopped, from and to; in order.
    pub pauses: Vec<(f64, f64)>,
}

struct Law {
    base: f64,
    jitter: f64,
    /// Mean seconds between stalls of the node; none when zero.
    stalls: f64,
    loss: Option<Loss>,
    pause: f64,
}

/// Gilbert–Elliott: bursts of loss.
#[derive(Clone, Copy)]
struct Loss {
    to_bad: f64,
    to_good: f64,
    in_good: f64,
    in_bad: f64,
    /// Loss shows as delay: retransmission with doubling time-outs, and nothing overtakes.
    tcp: bool,
}

impl World {
    pub fn all(days: u64) -> Vec<World> {
        let lan = || Law { base: 0.0002, jitter: 0.0001, stalls: 0.0, loss: None, pause: 0.0 };
        let rare = Loss { to_bad: 0.0, to_good: 1.0, in_good: 1e-5, in_bad: 0.0, tcp: false };
        let bursts = Loss { to_bad: 0.0005, to_good: 0.4, in_good: 0.001, in_bad: 0.8, tcp: false };
        let wan = |loss| Law { base: 0.05, jitter: 0.01, loss: Some(loss), ..lan() };
        vec![
            lived("LAN, 1e-5 lost", days, Law { loss: Some(rare), ..lan() }, 1),
            lived("node stalls (6/h, Pareto 1.5, 50 ms–10 s)", days, Law { stalls: 600.0, ..lan() }, 2),
            lived("WAN datagrams, bursts of loss", days, wan(bursts), 3),
            lived("WAN over TCP (loss becomes delay)", days, wan(Loss { tcp: true, ..bursts }), 4),
            lived("LAN, observer stopped 2 s (24 a day)", days, Law { pause: 2.0, ..lan() }, 5),
            lived("LAN, observer stopped 10 s (24 a day)", days, Law { pause: 10.0, ..lan() }, 6),
        ]
    }
}

fn exponential(rng: &mut SmallRng, mean: f64) -> f64 {
    -mean * (1.0 - rng.random::<f64>()).ln()
}

fn lived(name: &'static str, days: u64, law: Law, seed: u64) -> World {
    let mut rng = SmallRng::seed_from_u64(seed);
    let n = days * 86_400;
    let mut pauses = Vec::new();
    if law.pause > 0.0 {
        let mut t = 0.0;
        loop {
            t += 60.0 + exponential(&mut rng, 3540.0);
            if t > n as f64 {
                break;
            }
            pauses.push((t, t + law.pause));
            t += law.pause;
        }
    }
    let mut pause = 0;
    let (mut stall_at, mut stall_end) = (exponential(&mut rng, law.stalls.max(1.0)), 0.0_f64);
    let mut bad = false;
    let mut newest = 0.0_f64;
    let mut beats = Vec::with_capacity(n as usize);
    for k in 0..n {
        let due = k as f64;
        while law.stalls > 0.0 && stall_at <= due {
            let length = (0.05 * (1.0 - rng.random::<f64>()).powf(-1.0 / 1.5)).min(10.0);
            stall_end = stall_end.max(stall_at + length);
            stall_at += exponential(&mut rng, law.stalls);
        }
        // Jitter regimes: every other hour it is ten times worse.
        let jitter = if law.stalls > 0.0 && (k / 3600) % 2 == 1 { 10.0 * law.jitter } else { law.jitter };
        let mut at = due.max(stall_end) + law.base + exponential(&mut rng, jitter);
        if let Some(loss) = law.loss {
            bad = if bad { rng.random::<f64>() >= loss.to_good } else { rng.random::<f64>() < loss.to_bad };
            let p = |bad| if bad { loss.in_bad } else { loss.in_good };
            let mut timeout = 0.3;
            let mut lost = rng.random::<f64>() < p(bad);
            // The burst goes on, or not, while the retransmission waits.
            let mut still_bad = bad;
            while lost && loss.tcp && timeout < 30.0 {
                at += timeout;
                still_bad = still_bad && rng.random::<f64>() < (1.0 - loss.to_good).powf(timeout);
                timeout *= 2.0;
                lost = rng.random::<f64>() < p(still_bad);
            }
            if loss.tcp {
                at = at.max(newest);
            } else if lost {
                at = f64::INFINITY;
            }
        }
        if at.is_finite() {
            newest = newest.max(at);
            while pauses.get(pause).is_some_and(|(_, end)| *end <= at) {
                pause += 1;
            }
            if let Some((start, end)) = pauses.get(pause)
                && *start <= at
            {
                // Read a moment after waking: whatever timers are due run first.
                at = end + 0.001;
            }
        }
        beats.push(Beat { due, seen: at });
    }
    World { name, beats, pauses }
}
