//! The rounds: each workload with each relay in turn, again and again.

use std::time::Duration;

use anyhow::{Context as _, Result};
use mooring_tests::cost;
use mooring_tests::relay::{Kind, Relay};

use super::crowd::{Crowd, Load, Sample, Shape};
use super::echo::Echo;
use super::report::{Report, median};
use super::workload::{self, Read, Workload};
use super::{Cores, Options, on_cores};

/// How far the direct rate of a round may be off its median.
const OFF: f64 = 0.25;

/// Measures everything and says how the relays compare.
pub fn run(options: &Options, echo: &Echo, relays: &[Relay]) -> Result<Report> {
    let kinds: Vec<Kind> = relays.iter().map(|r| r.kind).collect();
    let mut report = Report::new(&kinds);
    let mut rounds: Vec<Vec<Vec<Sample>>> = vec![Vec::new(); workload::ALL.len()];
    for _ in 0..options.rounds {
        for (at, workload) in workload::ALL.iter().enumerate() {
            let mut samples = vec![measure(options, workload, echo, None).context("direct")?];
            for relay in relays {
                let sample = measure(options, workload, echo, Some(relay));
                samples
                    .push(sample.with_context(|| format!("{}\n{}", relay.kind.name(), relay.process.log()))?);
            }
            rounds[at].push(samples);
        }
    }
    for (at, workload) in workload::ALL.iter().enumerate() {
        // At a fixed pace the rate says nothing of the machine: the same sessions without one do.
        let paced = matches!(workload.shape, Shape::Paced(_));
        let like = |w: &Workload| !matches!(w.shape, Shape::Paced(_)) && w.sessions == workload.sessions;
        let by = workload::ALL.iter().position(like).filter(|_| paced).unwrap_or(at);
        let kept: Vec<&Vec<Sample>> =
            rounds[at].iter().zip(calibrated(&rounds[by])).filter(|(_, fit)| *fit).map(|(r, _)| r).collect();
        report.dropped += rounds[at].len() - kept.len();
        for figure in workload.figures {
            let row = |samples: &&Vec<Sample>| -> Vec<f64> {
                let of = |sample| figure.read.of(sample, &samples[0]);
                let mut row: Vec<f64> = samples.iter().map(of).collect();
                if !figure.read.is_of_direct() {
                    row[0] = f64::NAN;
                }
                row
            };
            report.row(figure.name, kept.iter().map(row).collect(), figure.target);
        }
    }
    let threads = |r: &Relay| format!("{} {}", r.kind.name(), cost::thread_count(&r.pids()));
    let threads: Vec<String> = relays.iter().map(threads).collect();
    report.title = format!(
        "relay: side by side, {} rounds of {:.1} s ({} samples of {} dropped by calibration); threads: {}",
        options.rounds,
        span(options).as_secs_f64(),
        report.dropped,
        options.rounds * workload::ALL.len(),
        threads.join(", "),
    );
    Ok(report)
}

fn span(options: &Options) -> Duration {
    Duration::from_millis(if options.quick { 150 } else { 1_000 })
}

/// Whether the direct rate of each round is near the median of all.
fn calibrated(rounds: &[Vec<Sample>]) -> Vec<bool> {
    let rate = |samples: &Vec<Sample>| Read::Rate.of(&samples[0], &samples[0]);
    let middle = median(&mut rounds.iter().map(rate).collect::<Vec<_>>());
    rounds.iter().map(|samples| (rate(samples) / middle - 1.0).abs() <= OFF).collect()
}

fn measure(options: &Options, workload: &Workload, echo: &Echo, relay: Option<&Relay>) -> Result<Sample> {
    let (address, pids) = match relay {
        Some(relay) => (relay.address.clone(), relay.pids()),
        None => (echo.address.clone(), Vec::new()),
    };
    let ends = [0];
    cost::pin(&[echo.process.pid()], &ends);
    cost::pin(&pids, if workload.cores == Cores::One { &[0] } else { &[1] });
    let probe = || cost::ran(&pids) as f64;
    on_cores(&ends, || {
        let sessions = if options.quick { workload.sessions.min(200) } else { workload.sessions };
        let before = probe();
        let mut crowd = Crowd::open(&address, sessions)?;
        if workload.size == 0 {
            let cost = probe() - before;
            let seconds = crowd.opened_in.as_secs_f64();
            return Ok(Sample { trips: sessions as f64, seconds, cost, took: Vec::new() });
        }
        let span = span(options);
        crowd.run(&Load { size: workload.size, shape: workload.shape, warm: span / 4, span }, probe)
    })
}
