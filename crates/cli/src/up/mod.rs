//! `mooring up`: a private Postgres, a controller and an agent in one process, and, for a demonstration, three gateways of
//! which one misbehaves.
//!
//! The parts are the very ones that are deployed, started from the very files they are deployed with; nothing here is a
//! special case of them. What is shown comes over the operator API, as for any client: if `up` shows it, `grpcurl` does.
//!
//! Order matters at the end: first the agent (it stops the gateways it runs and says goodbye), then the controller,
//! whose last act is to stop its Postgres.

mod files;
mod hints;
mod layout;
mod live;
mod model;
mod parts;
mod piped;
mod view;

use std::net::SocketAddr;
use std::path::PathBuf;

use futures_util::{Stream, StreamExt as _};
use mooring_runtime::lifecycle::{Signal, os_signals};

use crate::context::Context;
use crate::failure::{Failure, Outcome, PROBLEM};
use crate::text::either;
use layout::Layout;
use parts::System;

/// Run everything on this machine: a private Postgres, a controller, an agent.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  mooring up --demo
  mooring up --demo --api 127.0.0.1:0 | tee changes.log
  mooring up --data-dir /srv/mooring --agent-config agent.toml

The first start writes controller.toml, agent.toml and policy.toml into the data folder; edit them as you like, they are
not written again. A second start finds the state of the first. In a terminal a live table is shown, otherwise one line
for each change. Ctrl-C ends everything in order, a second one at once. `r` in the live table, or SIGHUP where lines are
printed, reads the configuration again. The log is mooring.log in the data folder.")]
pub(crate) struct Arguments {
    /// Where everything is kept.
    #[arg(long, default_value = ".mooring", value_name = "DIR")]
    data_dir: PathBuf,
    /// With three sample gateways, of which one hangs, dies and drops its sessions now and then.
    #[arg(long)]
    demo: bool,
    /// The operator API's address; port 0 takes a free one. Default: as configured, at first 127.0.0.1:7600.
    #[arg(long, value_name = "ADDR")]
    api: Option<SocketAddr>,
    /// The agents' address. Default: as configured, at first 127.0.0.1:7601.
    #[arg(long, value_name = "ADDR")]
    agents: Option<SocketAddr>,
    /// The address of the controller's page with probes and metrics. Default: as configured, at first 127.0.0.1:7602.
    #[arg(long, value_name = "ADDR")]
    health: Option<SocketAddr>,
    /// A controller's configuration to use instead of the data folder's.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An agent's configuration to use instead of the data folder's.
    #[arg(long, value_name = "FILE")]
    agent_config: Option<PathBuf>,
    /// One line for each change, even in a terminal.
    #[arg(long)]
    plain: bool,
}

/// Why the showing ended.
#[derive(Debug)]
enum End {
    /// Somebody wanted it to.
    Asked,
    /// A part ended although nobody wanted it to.
    Died(&'static str),
    /// The output was closed, or the API refuses to be watched.
    Failed(Failure),
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let lang = context.lang();
        let live = context.terminal && !self.plain;
        let layout = Layout::settle(&self)?;
        for line in layout.words(lang) {
            context.print(&line)?;
        }
        let mut signals = os_signals()?;
        context.print(either(
            lang,
            "Starting a private Postgres, the controller and the agent ...",
            "正在启动私有 Postgres、控制器和代理……",
        ))?;
        if layout.first {
            context.print(either(
                lang,
                "(the first start makes the database's files, which takes some seconds)",
                "（首次启动需要初始化数据库文件，约需数秒）",
            ))?;
        }
        let mut system = System::start(&layout, &mut signals).await?;
        let end = match system.words(&layout, context) {
            Ok(()) if live => live::show(context, &mut system, &mut signals).await,
            Ok(()) => piped::show(context, &mut system, &mut signals).await,
            Err(failure) => End::Failed(failure),
        };
        finish(context, system, &mut signals, end).await
    }
}

/// Ends everything in order, and says so; a closed output keeps nothing from being ended.
async fn finish(
    context: &Context,
    system: System,
    signals: &mut (impl Stream<Item = Signal> + Unpin),
    end: End,
) -> Outcome {
    let lang = context.lang();
    if let End::Died(part) = &end {
        context.note(&format!(
            "{part}: {}",
            either(lang, "ended unexpectedly; ending everything", "意外退出，正在结束全部")
        ));
    }
    let log = system.log.display().to_string();
    let well = system
        .stop(
            signals,
            |what| {
                // Nobody may be reading any more; that must not stop the stopping.
                let _ = context.print(what);
            },
            lang,
        )
        .await;
    match end {
        End::Failed(failure) => Err(failure),
        End::Asked if well => Ok(0),
        End::Asked | End::Died(_) => {
            context.note(&format!(
                "{}: {log}",
                either(lang, "not everything went well; the log says what", "并非一切正常，详见日志")
            ));
            Ok(PROBLEM)
        }
    }
}

/// Whether a signal asks for the end; passes on the one that does not.
async fn next_end(signals: &mut (impl Stream<Item = Signal> + Unpin), hangup_ends: bool) -> Option<Signal> {
    loop {
        match signals.next().await {
            Some(Signal::Reload) if hangup_ends => return Some(Signal::Terminate),
            Some(signal) => return Some(signal),
            // The stream of a process's signals does not end; one that did has nothing more to say.
            None => std::future::pending().await,
        }
    }
}
