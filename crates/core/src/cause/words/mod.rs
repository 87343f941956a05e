//! The words of the causes, in both languages, by what they are about. Each is one constant, which the table names.

pub(super) mod access;
pub(super) mod account;
pub(super) mod knowledge;
pub(super) mod link;
pub(super) mod network;
pub(super) mod process;
pub(super) mod proxy;
pub(super) mod session;
pub(super) mod silence;
pub(super) mod socketio;
pub(super) mod tls;
pub(super) mod upgrade;

use super::{Both, Words};

const fn texts(
    en_summary: &'static str,
    en_remedy: &'static str,
    zh_summary: &'static str,
    zh_remedy: &'static str,
) -> Both<Words> {
    Both {
        en: Words { summary: en_summary, remedy: en_remedy },
        zh: Words { summary: zh_summary, remedy: zh_remedy },
    }
}
