//! `cargo xtask bench doctor`: every fault of the catalogue against every verdict, the scenes in which nothing is wrong among
//! them.
//!
//! The engine's numbers are judgement, and this is what they answer to: how often the cause is named, how often somebody
//! else's, how often it is said that nothing is certain, and whether a scene that is well is called so. Each fault is built
//! with the software that shows it and looked at twice, from all places and from the address alone; a fault of one place
//! only is looked at once and counts in both tables.
//!
//! `--at-once=N` scenes stand at the same time (2 unless told): what is told apart by its times is told apart worse on a
//! machine that is busy with other things. `--rows=H1-nginx,L4` takes these alone.

mod outcome;
mod print;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use mooring_tests::faults::judge::{Eyes, judge};
use mooring_tests::faults::{self, Fault};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use outcome::Row;

/// Longest that building a scene and examining it may take.
const LONGEST: Duration = Duration::from_secs(180);

/// What was asked for.
#[derive(Debug)]
pub struct Options {
    at_once: usize,
    rows: Vec<String>,
}

impl Options {
    /// Takes its flags out of those given; the others are somebody else's.
    pub fn take(flags: &mut Vec<String>) -> Result<Self> {
        let mut options = Self { at_once: 2, rows: Vec::new() };
        let (ours, others): (Vec<String>, Vec<String>) =
            flags.drain(..).partition(|f| f.starts_with("--at-once=") || f.starts_with("--rows="));
        *flags = others;
        for flag in ours {
            match flag.split_once('=') {
                Some(("--at-once", n)) => {
                    options.at_once =
                        n.parse().ok().filter(|n| (1..=16).contains(n)).context("--at-once: 1 to 16")?;
                }
                Some((_, ids)) => options.rows = ids.split(',').map(str::to_owned).collect(),
                None => {}
            }
        }
        Ok(options)
    }

    fn faults(&self) -> Result<Vec<Fault>> {
        let all = faults::all();
        if let Some(id) = self.rows.iter().find(|id| !all.iter().any(|f| f.id == **id)) {
            bail!("there is no fault `{id}`");
        }
        Ok(all
            .into_iter()
            .filter(|f| self.rows.is_empty() || self.rows.iter().any(|id| id == f.id))
            .collect())
    }
}

/// Runs it. What does not stand, or dies, is told, and is a failure at the end.
pub async fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let faults = options.faults()?;
    let places = Arc::new(Semaphore::new(options.at_once));
    let mut running = JoinSet::new();
    let mut ids = Vec::new();
    for fault in &faults {
        let (fault, places) = (*fault, Arc::clone(&places));
        let handle = running.spawn(async move {
            let _place = places.acquire().await;
            tokio::time::timeout(LONGEST, Box::pin(both(fault))).await
        });
        ids.push((handle.id(), fault.id));
    }
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    while let Some(done) = running.join_next_with_id().await {
        match done {
            Ok((_, Ok(found))) => rows.extend(found),
            Ok((task, Err(_))) => broken.push(format!("{}: not over after {LONGEST:?}", name(&ids, task))),
            Err(e) => broken.push(format!("{}: {e}", name(&ids, e.id()))),
        }
    }
    let order = |row: &Row| faults.iter().position(|f| f.id == row.fault.id);
    rows.sort_by_key(order);
    let at_once = options.at_once;
    println!(
        "### doctor: {} scenes, {at_once} at once, in {:.0} s\n",
        faults.len(),
        start.elapsed().as_secs_f64()
    );
    for (eyes, title) in [(Eyes::All, "from all places"), (Eyes::Outermost, "from the outermost place alone")]
    {
        let seen: Vec<&Row> = rows.iter().filter(|row| row.seen_by(eyes)).collect();
        print::summary(title, &seen);
        print::confusion(&seen);
        print::list(&seen);
    }
    for line in &broken {
        println!("**{line}**");
    }
    let dead = rows.iter().filter(|row| !row.dead.is_empty()).count();
    ensure!(
        broken.is_empty() && dead == 0,
        "{} scenes did not stand, in {dead} something died",
        broken.len()
    );
    Ok(())
}

fn name(ids: &[(tokio::task::Id, &'static str)], task: tokio::task::Id) -> &'static str {
    ids.iter().find(|(id, _)| *id == task).map_or("?", |(_, name)| *name)
}

/// From all places, and from the outermost alone where there are more: each time a scene that nobody has touched, because
/// some things happen once.
async fn both(fault: Fault) -> Vec<Row> {
    let scene = (fault.build)().await;
    let alone = scene.via.is_empty() && scene.direct.is_none();
    let judged = Box::pin(judge(&fault, &scene, Eyes::All)).await;
    let mut rows = vec![Row::new(fault, (!alone).then_some(Eyes::All), &judged, scene.dead())];
    drop(scene);
    if !alone {
        let scene = (fault.build)().await;
        let judged = Box::pin(judge(&fault, &scene, Eyes::Outermost)).await;
        rows.push(Row::new(fault, Some(Eyes::Outermost), &judged, scene.dead()));
    }
    rows
}
