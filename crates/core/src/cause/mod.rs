//! Causes: why a condition is not True. A closed enum with stable names and codes, each with what it means and what to
//! do about it, in English and Simplified Chinese.
//!
//! A row of the table has a cause's code (on the agent link and on disk: never reuse one), how it is to be handled,
//! and names its words and its [`guide`]; the compiler refuses a cause that lacks either. How a cause is *recognised* is
//! in [`crate::classify`] and the trackers; which orders it leads to is policy, except that [`Handling::Human`] never
//! leads to one.

pub mod guide;
pub mod page;
mod table;
mod words;

use std::fmt;
use std::str::FromStr;

pub use table::Cause;

/// How a cause is to be handled when no policy says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Handling {
    /// The session is in doubt, the gateway is not: reconnect first, then restart.
    Reconnect,
    /// The process is dead, deaf or hung: only a restart helps.
    Restart,
    /// Acting would not help or would harm; it passes by itself or belongs to somebody else's recovery.
    Wait,
    /// Must never be retried: configuration, credentials or software is wrong, and a human has to change it.
    Human,
}

/// Language of the words shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    ZhCn,
}

impl Lang {
    /// From a locale or language tag (`zh_CN.UTF-8`, `zh-Hans`, `en`): Chinese for anything that begins with `zh`.
    #[must_use]
    pub fn from_tag(tag: &str) -> Self {
        if tag.trim().to_ascii_lowercase().starts_with("zh") { Self::ZhCn } else { Self::En }
    }
}

/// The words of one cause in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// What it means: one sentence.
    pub summary: &'static str,
    /// What to do: one to three sentences.
    pub remedy: &'static str,
}

/// The same in every language that Mooring speaks: a text without its translation cannot be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Both<T> {
    /// English.
    pub en: T,
    /// Simplified Chinese.
    pub zh: T,
}

impl<T: Copy> Both<T> {
    /// In one language.
    #[must_use]
    pub const fn of(&self, lang: Lang) -> T {
        match lang {
            Lang::En => self.en,
            Lang::ZhCn => self.zh,
        }
    }
}

impl Cause {
    /// Every cause.
    pub fn all() -> impl Iterator<Item = Cause> {
        table::ROWS.iter().map(|r| r.cause)
    }

    fn row(self) -> &'static table::Row {
        // The table is generated from the enum, in order: the position is the discriminant.
        &table::ROWS[self as usize]
    }

    /// The stable name, e.g. `ConnectionRefused`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The stable code; never zero.
    #[must_use]
    pub fn code(self) -> u16 {
        self.row().code
    }

    /// The cause with this code.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        table::ROWS.iter().find(|r| r.code == code).map(|r| r.cause)
    }

    /// How it is handled by default.
    #[must_use]
    pub fn handling(self) -> Handling {
        self.row().handling
    }

    /// What it means and what to do, in words.
    #[must_use]
    pub fn words(self, lang: Lang) -> Words {
        self.row().words.of(lang)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Cause {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        table::ROWS
            .iter()
            .find(|r| r.name == s)
            .map(|r| r.cause)
            .ok_or_else(|| format!("`{s}` is not a cause; `mooring explain --causes` lists them"))
    }
}

impl serde::Serialize for Cause {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Cause {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = String::deserialize(d)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_and_names_are_unique_and_round_trip() {
        let mut codes = HashSet::new();
        let mut names = HashSet::new();
        for c in Cause::all() {
            assert!(c.code() != 0 && codes.insert(c.code()), "code of {c}");
            assert!(names.insert(c.name()), "name of {c}");
            assert_eq!(Cause::from_code(c.code()), Some(c));
            assert_eq!(c.name().parse(), Ok(c));
        }
    }

    fn has_han(text: &str) -> bool {
        text.chars().any(|ch| ('\u{4e00}'..='\u{9fff}').contains(&ch))
    }

    #[test]
    fn every_cause_has_words_in_both_languages() {
        for c in Cause::all() {
            for lang in [Lang::En, Lang::ZhCn] {
                let w = c.words(lang);
                assert!(w.summary.len() > 10 && w.remedy.len() > 10, "{c} {lang:?}");
            }
            let (en, zh) = (c.words(Lang::En), c.words(Lang::ZhCn));
            for (en, zh) in [(en.summary, zh.summary), (en.remedy, zh.remedy)] {
                assert!(has_han(zh) && zh.ends_with('。'), "{c}: {zh}");
                assert!(!has_han(en) && en.ends_with('.'), "{c}: {en}");
                assert!(!en.contains("TODO") && !zh.contains("TODO"), "{c}");
            }
            assert!(en.remedy != en.summary && zh.remedy != zh.summary, "{c}");
        }
    }
}
