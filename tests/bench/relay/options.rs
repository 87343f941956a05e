//! The command line after `relay`.

use anyhow::{Context as _, Result, bail};
use mooring_tests::relay::Kind;
use rustix::process::{Resource, getrlimit};

/// Descriptors that are no session, in any of the processes.
const ROOM: u64 = 400;

/// What to run, and how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// A smoke run.
    pub quick: bool,
    /// Everything, however long.
    pub full: bool,
    /// How often each workload is measured with each relay.
    pub rounds: usize,
    with: Vec<Kind>,
    only: Vec<String>,
    flags: Vec<String>,
}

impl Options {
    /// Reads `--quick`, `--full`, `--rounds=N`, `--with=a,b`, `--only=a,b` and `--relay-flag=F`.
    pub fn read(flags: &[String]) -> Result<Self> {
        let quick = flags.iter().any(|f| f == "--quick");
        let mut options = Self {
            quick,
            full: false,
            rounds: if quick { 1 } else { 5 },
            with: Kind::ALL.to_vec(),
            only: Vec::new(),
            flags: Vec::new(),
        };
        for flag in flags {
            match flag.split_once('=') {
                None if flag == "--quick" => {}
                None if flag == "--full" => options.full = true,
                Some(("--rounds", n)) => {
                    options.rounds =
                        n.parse().ok().filter(|n| (1..=100).contains(n)).context("1 to 100 rounds")?;
                }
                Some(("--with", names)) => {
                    let known = |name: &str| Kind::ALL.into_iter().find(|k| k.flag() == name);
                    options.with = names
                        .split(',')
                        .map(|n| known(n).with_context(|| format!("there is no relay `{n}`")))
                        .collect::<Result<_>>()?;
                }
                Some(("--only", parts)) => options.only = parts.split(',').map(str::to_owned).collect(),
                Some(("--relay-flag", flag)) => options.flags.push(flag.to_owned()),
                _ => bail!(
                    "the flags are --quick, --full, --rounds=N, --with=RELAY,…, --only=PART,…, --relay-flag=FLAG; not `{flag}`"
                ),
            }
        }
        Ok(options)
    }

    /// The relays that are asked for and here. Says which are not.
    pub fn kinds(&self) -> Vec<Kind> {
        let (here, missing): (Vec<Kind>, Vec<Kind>) = self.with.iter().partition(|k| k.is_here());
        for kind in missing {
            println!("**{} is not installed and left out.**\n", kind.name());
        }
        here
    }

    /// Whether a part is asked for: all are, unless `--only` names some.
    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|p| p == part)
    }

    /// Flags for a relay.
    pub fn flags_of(&self, kind: Kind) -> Vec<&str> {
        if kind == Kind::Mooring { self.flags.iter().map(String::as_str).collect() } else { Vec::new() }
    }

    /// Sessions to hold at once: 10,000, or what a relay's two descriptors for each leave of the limit.
    pub fn sessions(&self) -> usize {
        if self.quick {
            return 1_000;
        }
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        match limit {
            20_400.. => 10_000,
            18_400.. => 9_000,
            limit => (limit.saturating_sub(ROOM) / 2) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &[&str]) -> Result<Options> {
        Options::read(&flags.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_are_read_and_others_refused() {
        let options =
            read(&["--quick", "--with=nginx,mooring", "--relay-flag=--threads", "--relay-flag=1"]).unwrap();
        assert!(options.quick && options.rounds == 1 && options.with == [Kind::Nginx, Kind::Mooring]);
        assert_eq!(options.flags_of(Kind::Mooring), ["--threads", "1"]);
        assert_eq!(options.flags_of(Kind::Nginx), Vec::<&str>::new());
        for wrong in ["--slow", "--rounds=0", "--with=squid", "--quick=yes"] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
    }
}
