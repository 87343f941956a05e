//! `mooring sessions`: the worst of them, one of them, how they ended, how many there are.

mod ended;
mod watch;

use clap::ValueEnum;
use mooring_proto::v1::{ListSessionsRequest, ListSessionsResponse, Session, SessionSummary, Unanswered};
use mooring_runtime::config::HumanDuration;
use tonic::Code;

use crate::client::{Client, pages};
use crate::context::Context;
use crate::failure::{Failure, Outcome, PROBLEM};
use crate::show::session;
use crate::target::session::{Place, SessionName, find, place};
use crate::text::Text;

/// How many sessions are shown when nobody says how many: they and their summary fit a screen.
const DEFAULT_LIMIT: usize = 20;

/// Real sessions, the worst first, as their agents see them at this moment; or one with everything known of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring sessions                                        the worst of the fleet, and all of them in a line of numbers
  mooring sessions chat --filter 'silent > 30s AND source = KERNEL'
  mooring sessions chat/acct-1 --sort rtt -o wide
  mooring sessions chat --watch                           again and again
  mooring sessions r1f                                    one session: what is wrong with it, and what to do
  mooring sessions chat --closes --since 1h               how sessions ended
  mooring sessions --counts                               every gateway in running numbers

Sessions are asked for at their agents. One that does not answer is named on standard error, and what is shown is not
everything; exit code 1 when for that reason nothing is known at all. Ends and counts come from the database.
In a pipe, --watch prints one block for each look; as JSON, one object a line.")]
pub(crate) struct Arguments {
    /// Whose: an agent, a gateway or an instance; or a session (r1f, chat/r1f). A full name, or the end of it.
    name: Option<String>,
    /// Only those that match, e.g. `cause : *`, `rtt > 200ms`; with --closes e.g. `cause = "IdleCut"`.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "FILTER",
        conflicts_with = "counts"
    )]
    filter: String,
    /// What comes first; always the greatest.
    #[arg(long, value_enum, default_value_t = Sort::Worst, value_name = "ORDER", conflicts_with_all = ["closes", "counts"])]
    sort: Sort,
    /// At most so many. Default: 20; with --counts all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Look again and again.
    #[arg(long, short, conflicts_with_all = ["closes", "counts"])]
    watch: bool,
    /// How often to look, from 1s. Default: 2s.
    #[arg(long, value_name = "DURATION", requires = "watch")]
    every: Option<HumanDuration>,
    /// Sessions that ended, the newest first: when, how, why.
    #[arg(long, conflicts_with = "counts")]
    closes: bool,
    /// Only ends not older than this.
    #[arg(long, value_name = "DURATION", requires = "closes")]
    since: Option<HumanDuration>,
    /// Gateways with their sessions in running numbers.
    #[arg(long)]
    counts: bool,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// What is wrong, then the longest silent.
    Worst,
    /// The longest silent.
    Silent,
    /// The slowest round trip.
    Rtt,
    /// The most retransmissions.
    Retransmits,
    /// The oldest.
    Age,
}

impl Sort {
    /// As the API has it.
    fn name(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Silent => "silent",
            Self::Rtt => "rtt",
            Self::Retransmits => "retransmits",
            Self::Age => "age",
        }
    }
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let client = context.connect().await?;
        let place = match &self.name {
            Some(given) => place(&client, given).await?,
            None => Place::Parent(String::new()),
        };
        if self.counts {
            return ended::counts(&self, context, &client, &place).await;
        }
        if self.closes {
            return ended::closes(&self, context, &client, &place).await;
        }
        if self.watch {
            return Box::pin(watch::run(&self, context, &client, &place)).await;
        }
        match &place {
            Place::Session(name) => self.one(context, &client, name).await,
            Place::Parent(parent) => self.list(context, &client, parent).await,
        }
    }

    fn limit(&self) -> usize {
        self.limit.map_or(DEFAULT_LIMIT, |n| usize::try_from(n).unwrap_or(usize::MAX))
    }

    /// Where to look and what for: a session is its gateway's, filtered by its id.
    fn parent_and_filter(&self, place: &Place) -> (String, String) {
        match place {
            Place::Parent(parent) => (parent.clone(), self.filter.clone()),
            Place::Session(name) => (name.parent(), and(&self.filter, &name.filter())),
        }
    }

    async fn list(&self, context: &Context, client: &Client, parent: &str) -> Outcome {
        let answer = gather(client, parent, &self.filter, self.sort.name(), self.limit()).await?;
        let names: Vec<String> = answer.sessions.iter().map(|s| s.name.clone()).collect();
        context.show("mooring.v1.ListSessionsResponse", &answer, names, |look| {
            let shown = (!answer.next_page_token.is_empty()).then_some(answer.sessions.len());
            let summary = answer.summary.as_ref().map(|s| session::summary(s, shown, look));
            format!("{}\n{}", session::list(&answer.sessions, look), summary.unwrap_or_default())
        })?;
        warn(context, &answer.unanswered);
        let nothing = answer.sessions.is_empty() && answer.summary.as_ref().is_none_or(|s| s.open == 0);
        Ok(if nothing && !answer.unanswered.is_empty() { PROBLEM } else { 0 })
    }

    async fn one(&self, context: &Context, client: &Client, name: &SessionName) -> Outcome {
        let given = self.name.as_deref().unwrap_or_default();
        if !self.filter.is_empty() || self.limit.is_some() {
            return Err(Failure::Usage(format!(
                "{given} is one session: --filter and --limit are for lists"
            )));
        }
        let found = match find(client, given, name).await {
            Err(Failure::Refused(status)) if status.code() == Code::NotFound => {
                let hint = Text::MayHaveEnded.of(context.lang());
                context.note(&format!("{hint}: mooring sessions {given} --closes"));
                return Err(Failure::Refused(status));
            }
            found => found?,
        };
        context
            .show("mooring.v1.Session", &found, [found.name.clone()], |look| session::detail(&found, look))?;
        Ok(0)
    }
}

/// A list of sessions in one answer, however many pages it takes; the summary is the first page's.
pub(super) async fn gather(
    client: &Client,
    parent: &str,
    filter: &str,
    order_by: &str,
    limit: usize,
) -> Outcome<ListSessionsResponse> {
    let mut summary: Option<SessionSummary> = None;
    let mut unanswered: Vec<Unanswered> = Vec::new();
    let (sessions, next_page_token): (Vec<Session>, String) =
        pages(Some(limit), async |page_size, page_token| {
            let request = ListSessionsRequest {
                parent: parent.to_owned(),
                page_size,
                page_token,
                filter: filter.to_owned(),
                order_by: order_by.to_owned(),
            };
            let answer = client.ask(client.sessions().list_sessions(request)).await?;
            summary = summary.take().or(answer.summary);
            for silent in answer.unanswered {
                // Who is silent is so for every page.
                if unanswered.iter().all(|known| known.name != silent.name) {
                    unanswered.push(silent);
                }
            }
            Ok((answer.sessions, answer.next_page_token))
        })
        .await?;
    Ok(ListSessionsResponse { sessions, next_page_token, summary, unanswered })
}

/// Says on standard error who did not answer.
pub(super) fn warn(context: &Context, unanswered: &[Unanswered]) {
    for line in session::unanswered(unanswered, &context.look()) {
        context.note(&line);
    }
}

/// Both filters, either of which may be empty.
fn and(theirs: &str, ours: &str) -> String {
    match (theirs.trim(), ours) {
        ("", one) | (one, "") => one.to_owned(),
        // Theirs may be wrong; in parentheses it stays wrong by itself.
        (theirs, ours) => format!("({theirs}) AND {ours}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_joined_without_changing_either() {
        assert_eq!(and("", "a = 1"), "a = 1");
        assert_eq!(and(" b = 2 OR c = 3 ", "a = 1"), "(b = 2 OR c = 3) AND a = 1");
        assert_eq!(and("b = 2", ""), "b = 2");
        assert_eq!(and("", ""), "");
    }

    #[test]
    fn every_order_has_the_name_the_core_has() {
        let known: Vec<&str> =
            mooring_core::session::SessionOrder::ALL.iter().map(|(_, _, name)| *name).collect();
        let ours: Vec<&str> = Sort::value_variants().iter().map(|sort| sort.name()).collect();
        assert_eq!(ours, known);
    }
}
