//! What an operator wants to know of a cause beyond its [words](super::Words): may it be tried again, which order is the
//! cheapest that helps, what a person has to do, what it looks like on the wire, what it is mistaken for, and the very
//! lines to paste.
//!
//! One constant per cause, named in the row of the table, so that the compiler refuses a cause without a guide. What two
//! causes are told apart by is written down once for both (`apart`): so it is there from either side and cannot
//! contradict itself. Guides inform people and the examination; orders follow [`Policy`](crate::policy::Policy), and the
//! tests hold the two together.
//!
//! Facts of these texts were observed with the named software unless they say that they were read in its source.

pub(super) mod access;
pub(super) mod account;
mod apart;
pub(super) mod knowledge;
pub(super) mod link;
pub(super) mod network;
pub(super) mod process;
pub(super) mod proxy;
pub(super) mod session;
pub(super) mod silence;
mod snippets;
pub(super) mod socketio;
pub(super) mod tls;
pub(super) mod upgrade;

use std::time::Duration;

use super::{Both, Cause};
use crate::order::Action;

/// A text in every language.
pub type Text = Both<&'static str>;

/// Whether whoever met a cause may try again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once, or there is nothing to retry.
    Yes,
    /// With growing, jittered pauses.
    WithBackoff,
    /// After this time: before it, a try cannot succeed or does harm.
    AfterAWait(Duration),
    /// Not before somebody has changed something.
    No,
}

/// What a snippet is a piece of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Software {
    /// nginx.
    Nginx,
    /// Apache httpd.
    Apache,
    /// HAProxy.
    HaProxy,
    /// The community's ingress-nginx for Kubernetes.
    IngressNginx,
    /// Lagrange.OneBot v1, `appsettings.json`.
    Lagrange,
    /// Evolution API, `.env`.
    EvolutionEnv,
    /// NoneBot2, `.env`.
    NonebotEnv,
    /// A Node.js program.
    Node,
    /// A Python program.
    Python,
    /// A command to type.
    Shell,
    /// Mooring's own `agent.toml`.
    Mooring,
}

impl Software {
    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "Apache",
            Self::HaProxy => "HAProxy",
            Self::IngressNginx => "ingress-nginx",
            Self::Lagrange => "Lagrange.OneBot appsettings.json",
            Self::EvolutionEnv => "Evolution API .env",
            Self::NonebotEnv => "NoneBot2 .env",
            Self::Node => "Node.js",
            Self::Python => "Python",
            Self::Shell => "Shell",
            Self::Mooring => "Mooring agent.toml",
        }
    }

    /// The language of its text, as Markdown's fences name it.
    #[must_use]
    pub fn fence(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::HaProxy => "haproxy",
            Self::IngressNginx => "yaml",
            Self::Lagrange => "json",
            Self::EvolutionEnv | Self::NonebotEnv => "ini",
            Self::Node => "js",
            Self::Python => "python",
            Self::Shell => "sh",
            Self::Mooring => "toml",
        }
    }
}

/// Lines to paste.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snippet {
    /// Into what.
    pub software: Software,
    /// Where in it, or what for.
    pub place: Text,
    /// The lines, without a line break at the end. Names, paths and addresses are examples.
    pub text: &'static str,
}

/// What is known of one cause.
#[derive(Debug, Clone, Copy)]
pub struct Guide {
    /// May it be tried again?
    pub retry: Retry,
    /// The cheapest order that helps; `None` where none does.
    pub order: Option<Action>,
    /// What a person must do, beyond the remedy; `None` where it mends itself.
    pub human: Option<Text>,
    /// What one sees: exact statuses, bodies and ages.
    pub seen_as: Text,
    /// Lines to paste, where a setting mends it.
    pub snippets: &'static [Snippet],
    /// Where it is written: sections of RFCs, documentation, reports of users.
    pub sources: &'static [&'static str],
}

impl Cause {
    /// The causes that this one is mistaken for, each with how the two are told apart.
    pub fn confused_with(self) -> impl Iterator<Item = (Cause, Text)> {
        apart::all().filter_map(move |pair| pair.other(self).map(|other| (other, pair.apart)))
    }
}

#[cfg(test)]
mod tests;
