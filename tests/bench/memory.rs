//! Memory of the controller per instance: the slope over fleets of 10,000 to 100,000.

use anyhow::Result;
use mooring_tests::agents::{Settings, Shape};

use crate::crowd::{attach, safe};
use crate::procfs::rss;
use crate::stage::{Stage, WATCHING_POLICY, rest};
use crate::table::{Table, big, bytes};

/// Instances of one agent.
const EACH: u32 = 10_000;
/// Agents at each measuring point.
const POINTS: [usize; 4] = [1, 2, 5, 10];

pub async fn run() -> Result<()> {
    let stage = Stage::set(WATCHING_POLICY, "").await?;
    let pid = stage.controller.pid();
    let settings = Settings::default();
    let shape = Shape::new(EACH / 100, 100);
    rest().await;
    let mut table = Table::new();
    table.fact("RSS without any agent", bytes(rss(pid)));
    let mut crowd = Vec::new();
    let mut points: Vec<(f64, f64)> = Vec::new();
    for agents in POINTS {
        let first = crowd.len();
        crowd.extend(attach(&stage.agents, first, agents - first, &shape, &settings).await?);
        rest().await;
        let instances = agents as f64 * f64::from(EACH);
        let now = rss(pid);
        table.fact(format!("RSS at {} instances", big(instances)), bytes(now));
        points.push((instances, now));
    }
    safe(&settings.tally)?;
    table.row(
        "slope over all points",
        bytes(slope(&points)),
        "≤ 160 B; ≤ 96 B",
        format!("{:.1} × floor", slope(&points) / 160.0),
    );
    // The ring of recent changes (65,536 of them) is filled once, by the first 22,000 instances.
    let filled = slope(&points[1..]);
    table.row(
        "slope from 20,000 on",
        bytes(filled),
        "≤ 160 B; ≤ 96 B",
        format!("{:.1} × floor", filled / 160.0),
    );
    table.print("memory: of the controller per instance, all indexes, two conditions known of each");
    Ok(())
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let over: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    over / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}
