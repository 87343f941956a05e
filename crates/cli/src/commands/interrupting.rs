//! Closing many sessions: what `close --all` and `drain` share. Shows whom it would hit, asks, then orders it.

use mooring_core::id::Target;
use mooring_proto::v1::{ListSessionsResponse, OrderAction};
use mooring_runtime::config::HumanDuration;

use super::asking::{agreed, check};
use super::making::Making;
use super::sessions::{gather, warn};
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Outcome, PROBLEM};
use crate::show::{Look, session};
use crate::text::{self, Text};

/// Sessions that a plan names.
const NAMED: usize = 10;

/// What is to be done to all sessions of something.
#[derive(Debug)]
pub(super) struct Interruption {
    /// Whose sessions.
    pub(super) target: Target,
    /// Close them, or drain.
    pub(super) action: OrderAction,
    /// Over how much time; `None`: as the agent is configured.
    pub(super) over: Option<HumanDuration>,
    /// What is asked, if anybody is.
    pub(super) question: Option<Text>,
}

impl Interruption {
    /// Does it, once it is agreed to.
    pub(super) async fn order(self, context: &Context, client: &Client, making: &Making) -> Outcome {
        let mut request = making.request(context, &self.target, self.action);
        request.spread = self.over.map(|over| mooring_proto::duration(over.get()));
        if self.question.is_some() || (making.dry_run && !context.json()) {
            let hit = gather(client, &self.target.to_string(), "", "worst", NAMED).await?;
            context.note(&self.plan(&hit, &context.look()));
            warn(context, &hit.unanswered);
        }
        if let Some(question) = self.question {
            check(client, &request).await?;
            if !agreed(context, question).await? {
                return Ok(PROBLEM);
            }
        }
        making.make(context, client, request).await
    }

    /// What would be interrupted.
    fn plan(&self, hit: &ListSessionsResponse, look: &Look) -> String {
        let lang = look.lang;
        let mut plan = format!("{} {}", text::action(self.action, lang), self.target);
        if let Some(over) = self.over {
            plan.push_str(&format!(", {} {}", Text::SpreadOver.of(lang), text::duration(over.get())));
        }
        let numbers = hit.summary.as_ref().map(|s| session::summary(s, None, look)).unwrap_or_default();
        plan.push_str(&format!("\n{}: {}", Text::Interrupts.of(lang), numbers.trim_end()));
        for session in hit.sessions.iter().take(NAMED) {
            plan.push_str("\n  ");
            plan.push_str(&session::line(session, look));
        }
        if !hit.next_page_token.is_empty() {
            plan.push_str("\n  ...");
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::look;
    use crate::tests::sessions::{sick, summary};
    use mooring_core::cause::Lang;

    #[test]
    fn the_plan_says_how_many_and_names_the_worst() {
        let interruption = Interruption {
            target: "agents/h/gateways/chat".parse().unwrap(),
            action: OrderAction::Drain,
            over: Some(HumanDuration::from_secs(300)),
            question: None,
        };
        let hit = ListSessionsResponse {
            sessions: vec![sick()],
            next_page_token: "more".to_owned(),
            summary: Some(summary()),
            unanswered: Vec::new(),
        };
        assert_eq!(
            interruption.plan(&hit, &look(Lang::En)),
            "drain agents/h/gateways/chat, over 5m\n\
             interrupts: 812 open; 14 sick: HalfOpen 9, PeerStalled 5; rtt 12ms/240ms; silent 3s/1m5s; age 1h/2d (p50/p99)\n  \
             h/chat/k7  open  silent 1m35s  HalfOpen\n  ..."
        );
        let chinese = interruption.plan(&hit, &look(Lang::ZhCn));
        assert!(
            chinese.starts_with("排空 agents/h/gateways/chat, 分散于 5m\n将中断: 打开 812; 异常 14: "),
            "{chinese}"
        );
    }
}
