//! The quality of the failure detector, as a table: mistakes a day, and how long a real crash goes unnoticed.
//!
//! `cargo run --release -p mooring-core --example detector_qos [days]`
//!
//! One sign of life a second through several environments (see [`worlds`]), watched by Mooring's detector and by those
//! it was chosen over (see [`rivals`]). Metrics after Chen, Toueg and Aguilera: the mistake rate λ_M and the detection
//! time T_D, the latter for crashes spread evenly over the run and over the second. Everything is seeded: the same
//! command prints the same table.

mod ours;
mod rivals;
mod worlds;

use std::time::Duration;

use mooring_core::detector::{DetectorConfig, Expect};
use ours::measure_ours;
use rivals::{Bertier, Fixed, Phi, Rival, measure};
use worlds::World;

/// What was measured of one detector in one world.
pub struct Quality {
    mistakes: u64,
    detection: Vec<f64>,
}

impl Quality {
    fn mean(&self) -> f64 {
        self.detection.iter().sum::<f64>() / self.detection.len().max(1) as f64
    }

    fn p99(&mut self) -> f64 {
        self.detection.sort_by(f64::total_cmp);
        let i = (self.detection.len() * 99 / 100).min(self.detection.len().saturating_sub(1));
        self.detection.get(i).copied().unwrap_or(f64::NAN)
    }
}

fn main() {
    let days: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(14);
    println!(
        "One sign of life a second, {days} days in each environment. λ: mistakes a day. T_D: detection time in seconds, mean (99 %).\n"
    );
    println!(
        "| environment | Mooring, pings | Mooring, beats | fixed 3 s | fixed 10 s | φ-accrual 8 | Bertier |"
    );
    println!("|---|---|---|---|---|---|---|");
    let worlds = World::all(days);
    let config = |expect| DetectorConfig { expect, ..Default::default() };
    for world in &worlds {
        let mut cells = vec![
            cell(measure_ours(world, config(Expect::Answers)), days),
            cell(measure_ours(world, config(Expect::Beats)), days),
        ];
        let rivals: [Box<dyn Rival>; 4] = [
            Box::new(Fixed::new(3.0)),
            Box::new(Fixed::new(10.0)),
            Box::new(Phi::new(8.0)),
            Box::new(Bertier::new()),
        ];
        cells.extend(rivals.into_iter().map(|r| cell(measure(world, r), days)));
        println!("| {} | {} |", world.name, cells.join(" | "));
    }

    println!(
        "\nThe same at no more than one mistake a day, each tuned in hindsight (mean T_D in seconds, with its setting; margins up to 30 s):\n"
    );
    println!(
        "| environment | Mooring, pings (margin floor) | Mooring, beats (margin floor) | fixed timeout | constant deadline on the true schedule (bound) |"
    );
    println!("|---|---|---|---|---|");
    // A pause of the observer cannot be tuned for.
    for world in worlds.iter().filter(|w| w.pauses.is_empty()) {
        let floor = |expect, s: f64| {
            let margin = Duration::from_secs_f64(s);
            DetectorConfig {
                floor: margin,
                initial: margin.max(Duration::from_secs(3)),
                cap: margin.max(Duration::from_secs(10)),
                ..config(expect)
            }
        };
        let ours = |expect| tuned(days, 0.001, |s| measure_ours(world, floor(expect, s)));
        let fixed = tuned(days, 1.0, |s| measure(world, Box::new(Fixed::new(s))));
        println!(
            "| {} | {} | {} | {fixed} | {} |",
            world.name,
            ours(Expect::Answers),
            ours(Expect::Beats),
            bound(world, days)
        );
    }
}

fn cell(mut q: Quality, days: u64) -> String {
    let rate = q.mistakes as f64 / days as f64;
    let rate = if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.2}") };
    format!("λ {rate}, T_D {:.2} ({:.2})", q.mean(), q.p99())
}

/// The least setting with at most one mistake a day, by bisection.
fn tuned(days: u64, least: f64, run: impl Fn(f64) -> Quality) -> String {
    let (mut low, mut high) = (least, least + 30.0);
    if run(high).mistakes > days {
        return "not reached".to_owned();
    }
    if run(low).mistakes <= days {
        high = low;
    }
    while high - low > 0.005 {
        let middle = f64::midpoint(low, high);
        if run(middle).mistakes > days { low = middle } else { high = middle }
    }
    format!("{:.2} ({high:.2})", run(high).mean())
}

/// Chen's NFD-S with known clock and delays: suspicion whenever the sign of life of a second has not been seen, nor a
/// later one, a constant time after it was due. Its mean T_D is that constant less half a second.
fn bound(world: &World, days: u64) -> String {
    // By when the k-th or any later sign of life has been seen.
    let mut seen: Vec<f64> = world.beats.iter().map(|b| b.seen).collect();
    for i in (1..seen.len()).rev() {
        seen[i - 1] = seen[i - 1].min(seen[i]);
    }
    let mistakes = |d: f64| {
        // One silence is one mistake, however many signs of life fell into it.
        let (mut count, mut ended) = (0, f64::NEG_INFINITY);
        for (beat, seen) in world.beats.iter().zip(&seen) {
            let suspected = beat.due + d;
            if *seen > suspected {
                count += u64::from(suspected > ended);
                ended = ended.max(*seen);
            }
        }
        count
    };
    let (mut low, mut high) = (0.0, 60.0);
    while high - low > 0.001 {
        let middle = f64::midpoint(low, high);
        if mistakes(middle) > days { low = middle } else { high = middle }
    }
    format!("{:.2}", high + 0.5)
}
