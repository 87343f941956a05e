//! The tables: how many were right, every expected cause against every verdict, and each scene in a line.

use std::collections::BTreeSet;

use super::outcome::{Outcome, Row, Said};
use crate::table::part;

/// Counts and times.
pub fn summary(title: &str, rows: &[&Row]) {
    let (faults, healthy): (Vec<&&Row>, Vec<&&Row>) = rows.iter().partition(|r| r.fault.cause.is_some());
    let count = |of: &[&&Row], outcome| of.iter().filter(|r| r.outcome == outcome).count();
    let mut times: Vec<_> = rows.iter().filter(|r| r.fault.watch.is_none()).map(|r| r.took).collect();
    times.sort_unstable();
    let mut watched: Vec<_> = rows.iter().filter_map(|r| r.took.checked_sub(r.fault.watch?)).collect();
    watched.sort_unstable();
    let seconds = |times: &[_], share| format!("{:.2} s", part(times, share).as_secs_f64());
    println!("#### {title}\n");
    println!("| figure | of {} faults | of {} healthy scenes |", faults.len(), healthy.len());
    println!("|---|---|---|");
    let line = |what: &str, outcome| {
        println!("| {what} | {} | {} |", count(&faults, outcome), count(&healthy, outcome));
    };
    line("right", Outcome::Right);
    line("another fault was named that looks the same from there", Outcome::Alike);
    line("not sure, and the cause is among the candidates", Outcome::NotSure);
    line("not sure, and it is not", Outcome::Missed);
    line("wrong verdict", Outcome::Wrong);
    line("false alarm", Outcome::FalseAlarm);
    let besides = |of: &[&&Row]| of.iter().filter(|r| !r.besides.is_empty()).count();
    println!("| a second verdict besides | {} | {} |", besides(&faults), besides(&healthy));
    let dead = |of: &[&&Row]| of.iter().filter(|r| !r.dead.is_empty()).count();
    println!("| something died of it | {} | {} |", dead(&faults), dead(&healthy));
    println!();
    println!(
        "Time until it was said, of {} that hold no session: median {}, 90 % {}, most {}; of {} that do, beyond the time that \
         was asked for: median {}, most {}.",
        times.len(),
        seconds(&times, 0.5),
        seconds(&times, 0.9),
        seconds(&times, 1.0),
        watched.len(),
        seconds(&watched, 0.5),
        seconds(&watched, 1.0),
    );
    let mut probes: Vec<usize> = rows.iter().map(|r| r.probes).collect();
    probes.sort_unstable();
    println!(
        "Probes: median {}, most {}.\n",
        probes.get(probes.len() / 2).copied().unwrap_or_default(),
        probes.last().copied().unwrap_or_default()
    );
}

/// Rows: what is so. Columns: what was said, in the same order, as numbers. What is right stands on the diagonal.
pub fn confusion(rows: &[&Row]) {
    let all: BTreeSet<Said> = rows.iter().flat_map(|r| [r.expected(), r.said]).collect();
    let columns: Vec<Said> = all.iter().copied().filter(|s| rows.iter().any(|r| r.said == *s)).collect();
    let number = |said: &Said| all.iter().position(|s| s == said).map_or(0, |n| n + 1);
    let name = |said: &Said| match said {
        Said::Cause(cause) => cause.name(),
        Said::Well => "(nothing is wrong)",
        Said::NotSure => "(not sure)",
    };
    println!("```text");
    let head: String = columns.iter().map(|c| format!("{:>3}", number(c))).collect();
    println!("{:>29}{head}", "said:");
    for expected in all.iter().filter(|e| rows.iter().any(|r| r.expected() == **e)) {
        let cells: String = columns
            .iter()
            .map(|said| match rows.iter().filter(|r| r.expected() == *expected && r.said == *said).count() {
                0 => "  .".to_owned(),
                n => format!("{n:>3}"),
            })
            .collect();
        println!("{:>3} {:<25}{cells}", number(expected), name(expected));
    }
    println!("```\n");
}

/// Each scene.
pub fn list(rows: &[&Row]) {
    println!("| scene | is | said | | how sure | runner-up | probes | after |");
    println!("|---|---|---|---|---|---|---|---|");
    let name = |said: Said| match said {
        Said::Cause(cause) => cause.name(),
        Said::Well => "well",
        Said::NotSure => "not sure",
    };
    for row in rows {
        let runner_up =
            row.runner_up.map_or_else(String::new, |(c, score)| format!("{} ({score})", c.name()));
        let mut said = name(row.said).to_owned();
        if let (Said::NotSure, Some(first)) = (row.said, row.first) {
            said.push_str(&format!(", first {}", first.name()));
        }
        for cause in &row.besides {
            said.push_str(&format!(" and {}", cause.name()));
        }
        if !row.dead.is_empty() {
            said.push_str(&format!("; **died: {}**", row.dead.join(", ")));
        }
        println!(
            "| {} | {} | {said} | {} | {} | {runner_up} | {} | {:.2} s |",
            row.fault.id,
            name(row.expected()),
            row.outcome.words(),
            row.sureness,
            row.probes,
            row.took.as_secs_f64()
        );
    }
    println!();
}
