//! Real processes: shells that obey, refuse, crash and hang, and an agent that dies.

use std::fs;
use std::path::Path;

use mooring_core::id::GatewayId;
use mooring_core::observation::Observation;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::executor::process::{signal_group, signal_process};
use crate::executor::{Sighting, procfs};

const LONG: Duration = Duration::from_secs(20);

struct World {
    folder: TempDir,
    config: SuperviseConfig,
}

struct Agent {
    handle: SupervisedHandle,
    sightings: mpsc::Receiver<Sighting>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl World {
    /// A gateway that is this shell script. `ready` in its output is what tests wait for.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = script.replace("DIR", folder.path().to_str().unwrap());
        let config = SuperviseConfig::new(["/bin/sh", "-c", &script].map(str::to_owned).to_vec());
        Self { folder, config }
    }

    fn agent(&self) -> Agent {
        let (tx, sightings) = mpsc::channel(64);
        let gateway: GatewayId = "chat".parse().unwrap();
        let (handle, supervised) = Supervised::new(gateway, self.config.clone(), self.folder.path(), tx);
        let stop = CancellationToken::new();
        let task = tokio::spawn(supervised.run(stop.clone()));
        Agent { handle, sightings, stop, task }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for World {
    /// What a failing test leaves behind must not outlive it.
    fn drop(&mut self) {
        let owner = format!("{}/chat", fs::canonicalize(self.folder.path()).unwrap().display());
        for left in procfs::marked("MOORING_SUPERVISED_AS", &owner, "MOORING_INCARNATION") {
            signal_process(left.pid, Signal::KILL);
        }
    }
}

impl Agent {
    async fn see(&mut self) -> Observation {
        tokio::time::timeout(LONG, self.sightings.recv()).await.unwrap().unwrap().observation
    }

    async fn started(&mut self) -> (Incarnation, u32) {
        match self.see().await {
            Observation::ProcessStarted { incarnation, pid } => (incarnation, pid),
            other => panic!("{other:?}"),
        }
    }

    async fn exited(&mut self) -> (Option<i32>, Option<i32>, bool) {
        match self.see().await {
            Observation::ProcessExited { code, signal, expected } => (code, signal, expected),
            other => panic!("{other:?}"),
        }
    }

    async fn prints(&self, wanted: &str) {
        until(async || self.handle.tail().await.contains(wanted)).await;
    }

    /// As `kill -9` ends an agent: nothing is told, nothing is stopped.
    async fn die(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(LONG, self.task).await.unwrap().unwrap();
    }
}

/// Asks until it is so; the interval is between questions, not a guess at how long something takes.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, asked).await.expect("it never became so");
}

fn alive(pid: u32) -> bool {
    procfs::identity(pid).is_some()
}

fn number(path: &Path) -> u32 {
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn it_is_started_restarted_and_stopped_in_order() {
    let world = World::new("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    let mut agent = world.agent();
    let (first, pid) = agent.started().await;
    agent.prints("ready").await;
    let outcome = agent.handle.restart(LONG).await;
    assert!(
        outcome.ok && outcome.message.contains("stopped with SIGTERM: it exited with code 0"),
        "{outcome:?}"
    );
    assert!(outcome.output.contains("ready"), "the last output of the old run is missing: {outcome:?}");
    assert_eq!(agent.exited().await, (Some(0), None, true));
    let (second, new_pid) = agent.started().await;
    assert!(second > first && new_pid != pid && !alive(pid) && alive(new_pid));
    let status = agent.handle.status().borrow().clone();
    assert_eq!((status.incarnation, status.pid, status.adopted), (Some(second), Some(new_pid), false));
    agent.prints("ready").await;
    agent.end().await;
    assert!(!alive(new_pid));
}

#[tokio::test]
async fn it_stands_in_a_group_of_its_own() {
    let world = World::new("echo ready; exec sleep 1000");
    let mut agent = world.agent();
    let (_, pid) = agent.started().await;
    agent.prints("ready").await;
    let pid = crate::executor::process::to_pid(pid).unwrap();
    assert_eq!(rustix::process::getpgid(Some(pid)).unwrap(), pid);
    assert_ne!(rustix::process::getpgid(None).unwrap(), pid);
    agent.end().await;
}

#[tokio::test]
async fn ends_of_its_own_are_reported_with_code_or_signal_and_not_undone() {
    let world = World::new("echo out of luck >&2; exit 7");
    let mut agent = world.agent();
    let (run, _) = agent.started().await;
    assert_eq!(agent.exited().await, (Some(7), None, false));
    let status = agent.handle.status().borrow().clone();
    assert_eq!((status.pid, status.incarnation), (None, Some(run)));
    assert_eq!(agent.handle.tail().await, "out of luck\n");
    // A restart of what does not run is a start.
    let outcome = agent.handle.restart(LONG).await;
    assert!(outcome.ok && outcome.message.contains("it was not running"), "{outcome:?}");
    agent.end().await;

    let world = World::new("kill -SEGV $$; sleep 1000");
    let mut agent = world.agent();
    agent.started().await;
    assert_eq!(agent.exited().await, (None, Some(11), false));
    agent.end().await;
}

#[tokio::test]
async fn one_that_ignores_the_signal_is_killed_with_all_it_started() {
    let mut world = World::new(
        "trap '' TERM; sleep 1000 & echo $! > DIR/child; echo ready; while :; do sleep 0.01; done",
    );
    world.config.grace = HumanDuration::from_millis(100);
    let mut agent = world.agent();
    let (_, pid) = agent.started().await;
    agent.prints("ready").await;
    let child = number(&world.path("child"));
    assert!(alive(child));
    let outcome = agent.handle.restart(LONG).await;
    assert!(
        outcome.ok && outcome.message.contains("killed: it had not ended 100ms after SIGTERM"),
        "{outcome:?}"
    );
    assert_eq!(agent.exited().await, (None, Some(9), true));
    assert!(!alive(pid));
    until(async || !alive(child)).await;
    agent.handle.stop().await;
    agent.end().await;
}

#[tokio::test]
async fn a_stopped_one_is_woken_to_obey_or_killed() {
    let world = World::new("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    let mut agent = world.agent();
    let (_, pid) = agent.started().await;
    agent.prints("ready").await;
    signal_process(pid, Signal::STOP);
    assert!(agent.handle.stop().await.ok);
    assert_eq!(agent.exited().await, (Some(3), None, true));
    agent.end().await;

    // One that does not obey even when woken, stopped again as often as it is woken.
    let mut world = World::new("trap '' TERM; echo ready; while :; do kill -STOP $$; done");
    world.config.grace = HumanDuration::from_millis(100);
    let mut agent = world.agent();
    agent.started().await;
    agent.prints("ready").await;
    assert!(agent.handle.stop().await.ok);
    assert_eq!(agent.exited().await, (None, Some(9), true));
    agent.end().await;
}

#[tokio::test]
async fn the_orders_time_limit_shortens_the_grace() {
    let mut world = World::new("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    world.config.grace = HumanDuration::from_secs(3600);
    let mut agent = world.agent();
    agent.started().await;
    agent.prints("ready").await;
    let outcome = agent.handle.restart(Duration::from_millis(200)).await;
    assert!(outcome.ok && outcome.message.contains("100ms after SIGTERM"), "{outcome:?}");
    signal_group(agent.handle.status().borrow().pid.unwrap(), Signal::KILL);
    assert_eq!(agent.exited().await, (None, Some(9), true));
    agent.end().await;
}

#[tokio::test]
async fn what_a_crashed_one_had_started_is_cleared_away() {
    let world = World::new("sleep 1000 & echo $! > DIR/child; echo ready; read never < DIR/never");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        world.path("never"),
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    let mut agent = world.agent();
    let (_, pid) = agent.started().await;
    agent.prints("ready").await;
    let child = number(&world.path("child"));
    signal_process(pid, Signal::KILL);
    assert_eq!(agent.exited().await, (None, Some(9), false));
    until(async || !alive(child)).await;
    agent.end().await;
}

#[tokio::test]
async fn what_cannot_be_started_is_said_and_can_be_mended() {
    let mut world = World::new("");
    world.config.command = vec!["/no/such/program".to_owned()];
    let mut agent = world.agent();
    let mut status = agent.handle.status();
    let failed = status.wait_for(|s| s.problem.is_some());
    let problem = tokio::time::timeout(LONG, failed).await.unwrap().unwrap().problem.clone().unwrap();
    assert!(problem.contains("/no/such/program") && problem.contains("No such file"), "{problem}");
    assert!(!agent.handle.restart(LONG).await.ok);
    let mended = SuperviseConfig::new(["/bin/sleep", "1000"].map(str::to_owned).to_vec());
    agent.handle.configure(mended).await;
    assert!(agent.handle.restart(LONG).await.ok);
    agent.started().await;
    assert_eq!(agent.handle.status().borrow().problem, None);
    agent.end().await;
}

#[tokio::test]
async fn its_environment_is_what_is_configured_and_not_the_agents_own() {
    let mut world = World::new("echo $A-$B-$MOORING_AGENT__X-$MOORING_INCARNATION; exec sleep 1000");
    fs::write(world.path("env"), "B=from file\n").unwrap();
    world.config.env.insert("A".to_owned(), "given".to_owned());
    world.config.env_files.push(world.path("env"));
    let mut agent = world.agent();
    let (run, _) = agent.started().await;
    agent.prints(&format!("given-from file--{}\n", run.0)).await;
    agent.end().await;
}

#[tokio::test]
async fn much_output_is_bounded_on_disk_and_at_hand() {
    let mut world = World::new("yes 0123456789abcdef | head -c 6000000; echo ready; exec sleep 1000");
    world.config.output_tail = ByteSize::kib(4);
    let mut agent = world.agent();
    agent.started().await;
    agent.prints("ready").await;
    let tail = agent.handle.tail().await;
    assert!(tail.len() <= 4096 + '…'.len_utf8() && tail.starts_with('…'), "{} bytes", tail.len());
    let file = world.path("processes/chat.out");
    until(async || fs::metadata(&file).unwrap().len() <= 1024 * 1024).await;
    agent.prints("ready").await;
    agent.end().await;
}

#[tokio::test]
async fn after_the_agents_death_the_next_adopts_it() {
    let world = World::new("trap 'exit 5' TERM; echo ready; while :; do echo tick; sleep 0.01; done");
    let mut agent = world.agent();
    let (run, pid) = agent.started().await;
    agent.prints("ready").await;
    agent.die().await;
    assert!(alive(pid));

    let mut agent = world.agent();
    assert_eq!(agent.started().await, (run, pid), "the same process, in the same run");
    assert!(agent.handle.status().borrow().adopted);
    // It prints on: its output did not break with the agent, and is at hand again.
    fs::write(world.path("mark"), "").unwrap();
    let file = world.path("processes/chat.out");
    let length = fs::metadata(&file).unwrap().len();
    until(async || fs::metadata(&file).unwrap().len() > length).await;
    agent.prints("ready").await;
    // And it is ours to restart: never two at once.
    assert!(agent.handle.restart(LONG).await.ok);
    assert_eq!(agent.exited().await, (None, None, true));
    let (next, new_pid) = agent.started().await;
    assert!(next > run && !alive(pid) && alive(new_pid));
    agent.end().await;
    assert!(!alive(new_pid));
}

#[tokio::test]
async fn the_end_of_an_adopted_one_is_noticed() {
    let world = World::new("echo ready; exec sleep 1000");
    let mut agent = world.agent();
    let (_, pid) = agent.started().await;
    agent.prints("ready").await;
    agent.die().await;
    let mut agent = world.agent();
    agent.started().await;
    signal_process(pid, Signal::KILL);
    assert_eq!(agent.exited().await, (None, None, false));
    agent.end().await;
}

#[tokio::test]
async fn one_that_was_never_recorded_is_found_by_its_mark() {
    let world = World::new("echo ready; exec sleep 1000");
    let mut agent = world.agent();
    let (run, pid) = agent.started().await;
    agent.prints("ready").await;
    agent.die().await;
    fs::remove_file(world.path("processes/chat.json")).unwrap();
    let mut agent = world.agent();
    assert_eq!(agent.started().await, (run, pid));
    agent.end().await;
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_stranger_with_the_recorded_id_is_left_alone() {
    let world = World::new("echo ready; exec sleep 1000");
    let stranger = std::process::id();
    fs::create_dir(world.path("processes")).unwrap();
    let record = format!(r#"{{"incarnation":9,"process":{{"pid":{stranger},"identity":"another boot:1"}}}}"#);
    fs::write(world.path("processes/chat.json"), record).unwrap();
    let mut agent = world.agent();
    let (run, pid) = agent.started().await;
    assert!(pid != stranger && run.0 > 9);
    agent.end().await;
}

#[tokio::test]
async fn what_a_dead_one_left_while_no_agent_ran_is_cleared_away() {
    let world = World::new("sleep 1000 & echo $! > DIR/child; echo ready; exec sleep 1000");
    let mut agent = world.agent();
    let (_, pid) = agent.started().await;
    agent.prints("ready").await;
    let child = number(&world.path("child"));
    agent.die().await;
    signal_process(pid, Signal::KILL);
    until(async || !alive(pid)).await;
    assert!(alive(child));
    let mut agent = world.agent();
    let (_, new_pid) = agent.started().await;
    assert_ne!(new_pid, pid);
    until(async || !alive(child)).await;
    agent.end().await;
}

#[tokio::test]
async fn it_can_be_left_running_when_the_agent_stops() {
    let mut world = World::new("echo ready; exec sleep 1000");
    world.config.on_agent_exit = OnAgentExit::Leave;
    let mut agent = world.agent();
    let (run, pid) = agent.started().await;
    agent.prints("ready").await;
    agent.end().await;
    assert!(alive(pid));
    world.config.on_agent_exit = OnAgentExit::Stop;
    let mut agent = world.agent();
    assert_eq!(agent.started().await, (run, pid));
    agent.end().await;
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_full_disk_does_not_keep_a_gateway_from_running() {
    let world = World::new("exec sleep 1000");
    fs::write(world.path("processes"), "a file where the folder should be").unwrap();
    let mut agent = world.agent();
    let (_, pid) = agent.started().await;
    agent.die().await;
    let mut agent = world.agent();
    assert_eq!(agent.started().await.1, pid, "found without a record");
    agent.end().await;
    assert!(!alive(pid));
}
