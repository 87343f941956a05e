//! `mooring close`: a session, some of them, or all there are.

use mooring_core::id::{SessionRef, Target};
use mooring_proto::v1::{CreateOrderRequest, OrderAction};
use mooring_runtime::config::HumanDuration;

use super::asking::{agreed, asks, check};
use super::interrupting::Interruption;
use super::making::Making;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Failure, Outcome, PROBLEM};
use crate::target::session::resolve as resolve_session;
use crate::target::{Want, resolve};
use crate::text::{self, Text};

/// Most sessions that may be named at once; more is what --all is for.
const MAX_NAMED: usize = 100;

/// Close sessions properly, so that whoever is at the other end connects anew.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["sessions", "all"])), after_help = "\
Examples:
  mooring close chat/r1f --reason \"half open\" --wait
  mooring close r1f r20 k7 --reason \"stalled\" --yes
  mooring close --all chat --over 60s --reason \"new certificates\"      shows the plan and asks
  mooring close --all chat/acct-1 --reason \"moved\" --yes --wait        for scripts

A short name of a session is taken only when it is certain which one is meant. With several sessions each has an order
(and a JSON document) of its own; one that is refused does not keep the others, and the first refusal is the exit code.")]
pub(crate) struct Arguments {
    /// Sessions: the full name of each, or the end of it.
    #[arg(value_name = "SESSION")]
    sessions: Vec<String>,
    /// All sessions of this instance or gateway: its full name, or the end of it.
    #[arg(long, value_name = "INSTANCE|GATEWAY")]
    all: Option<String>,
    /// Over how much time, up to 1h, so that not all of them come back at once. Default: as the gateway is configured.
    // That it needs --all clap forgets as soon as --all itself is excluded.
    #[arg(long, value_name = "DURATION", requires = "all", conflicts_with = "sessions")]
    over: Option<HumanDuration>,
    /// Do not ask. A single session is closed without asking anyhow.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    making: Making,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let several = self.all.is_some() || self.sessions.len() > 1;
        let asks = several && asks(context, self.yes, self.making.dry_run)?;
        if self.sessions.len() > MAX_NAMED {
            return Err(Failure::Usage(format!(
                "at most {MAX_NAMED} sessions at once; --all closes all there are"
            )));
        }
        let client = context.connect().await?;
        let Some(all) = &self.all else {
            return self.some(context, &client, asks).await;
        };
        let interruption = Interruption {
            target: resolve(&client, all, Want::Either).await?,
            action: OrderAction::CloseSessions,
            over: self.over,
            question: asks.then_some(Text::AskClose),
        };
        interruption.order(context, &client, &self.making).await
    }

    /// Closes those that are named. All names are looked up before anything is done.
    async fn some(&self, context: &Context, client: &Client, asks: bool) -> Outcome {
        let mut named: Vec<SessionRef> = Vec::new();
        for given in &self.sessions {
            let session = resolve_session(client, given).await?;
            if !named.contains(&session) {
                named.push(session);
            }
        }
        let action = OrderAction::CloseSession;
        let requests: Vec<CreateOrderRequest> = named
            .into_iter()
            .map(|session| self.making.request(context, &Target::Session(session), action))
            .collect();
        if asks {
            let mut plan = text::action(action, context.lang()).to_owned();
            for request in &requests {
                check(client, request).await?;
                plan.push_str(&format!("\n  {}", request.target));
            }
            context.note(&plan);
            if !agreed(context, Text::AskClose).await? {
                return Ok(PROBLEM);
            }
        }
        self.making.make_all(context, client, requests).await
    }
}
