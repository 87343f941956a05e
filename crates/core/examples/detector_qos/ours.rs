//! Mooring's detector, driven as the agent drives it: asked when to look, and looked at then, or, when the observer was
//! stopped, on waking and before anything is read. No lag is reported to it; it has to notice by itself.

use std::time::Duration;

use mooring_core::detector::{Detector, DetectorConfig, Expect};
use mooring_core::time::Mono;

use super::Quality;
use super::rivals::crash_after;
use super::worlds::World;

/// An hour of head start keeps all times positive.
fn mono(s: f64) -> Mono {
    // Rounded, not cut: a time that came out of `seconds` must come back as itself.
    Mono(((s + 3600.0) * 1e6).round() as u64)
}

fn seconds(m: Mono) -> f64 {
    m.0 as f64 / 1e6 - 3600.0
}

struct Watch<'a> {
    detector: Detector,
    pauses: &'a [(f64, f64)],
    mistakes: u64,
}

impl Watch<'_> {
    /// When something wanted at `t` really runs.
    fn runs(&mut self, t: f64) -> f64 {
        while self.pauses.first().is_some_and(|(_, end)| *end <= t - 60.0) {
            self.pauses = &self.pauses[1..];
        }
        self.pauses
            .iter()
            .take_while(|(start, _)| *start <= t)
            .find(|(_, end)| t < *end)
            .map_or(t, |(_, end)| *end)
    }

    /// Looks whenever the detector wants, until just before `t`.
    fn until(&mut self, t: f64) {
        while let Some(at) = self.detector.next_check().map(seconds) {
            let at = self.runs(at);
            if at >= t {
                return;
            }
            if self.detector.check(mono(at)).suspicion().is_some() {
                self.mistakes += 1;
            }
        }
    }
}

pub fn measure_ours(world: &World, config: DetectorConfig) -> Quality {
    let mut watch = Watch { detector: Detector::new(config, mono(0.0)), pauses: &world.pauses, mistakes: 0 };
    let mut detection = Vec::new();
    let asks = config.expect == Expect::Answers;
    // What is seen, in order of being seen, with the time it was asked for.
    let mut seen: Vec<(f64, f64)> =
        world.beats.iter().filter(|b| b.seen.is_finite()).map(|b| (b.seen, b.due)).collect();
    seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut next_ask = 0.0;
    let mut asked_at = Vec::with_capacity(world.beats.len());
    for (at, due) in seen {
        while asks && next_ask <= at {
            let asked = watch.runs(next_ask);
            if asked > at {
                break;
            }
            watch.until(asked);
            watch.detector.asked(mono(asked));
            asked_at.push(asked);
            next_ask += 1.0;
        }
        watch.until(at);
        if asks {
            let asked = asked_at.get(due as usize).copied().unwrap_or(at);
            watch.detector.answered(mono(at), Duration::from_secs_f64((at - asked).max(0.0)));
        } else {
            watch.detector.alive(mono(at));
        }
        let Some(crash) = crash_after(due) else { continue };
        let mut last = watch.detector;
        if asks {
            last.asked(mono(next_ask.max(due + 1.0)));
        }
        // The verdict itself, with the second look that precedes it.
        while let Some(look) = last.next_check() {
            if last.check(look).suspicion().is_some() {
                detection.push((seconds(look) - crash).max(0.0));
            }
        }
    }
    Quality { mistakes: watch.mistakes, detection }
}
