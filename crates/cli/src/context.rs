//! What every command works with: the global arguments, the language, the time, and where output goes.
//!
//! Standard output is a value here, so that a test can read what a command wrote. A closed pipe is not an error of ours:
//! it ends the command quietly, through [`Failure::Closed`].

use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use mooring_core::cause::Lang;
use mooring_core::time::Timestamp;
use mooring_runtime::clock::SystemClock;
use prost::Message;

use crate::args::{Format, Globals};
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::show::Look;

/// Everything around a command.
pub(crate) struct Context {
    /// What was given for every command.
    pub(crate) globals: Globals,
    look: Look,
    out: Mutex<Box<dyn Write + Send>>,
    notes: Mutex<Box<dyn Write + Send>>,
    /// Whether standard output is a terminal.
    pub(crate) terminal: bool,
    /// Whether there is somebody to ask.
    pub(crate) interactive: bool,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("globals", &self.globals)
            .field("look", &self.look)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// For this process.
    pub(crate) fn of_process(globals: Globals) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let tag = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find(|name| set(name));
        let tag = tag.and_then(|name| std::env::var(name).ok()).unwrap_or_default();
        let width =
            if terminal { crossterm::terminal::size().ok().map(|(columns, _)| columns) } else { None };
        let look = Look {
            lang: globals.lang.unwrap_or_else(|| Lang::from_tag(&tag)),
            color: terminal && !globals.no_color && !set("NO_COLOR"),
            width,
            wide: globals.output == Format::Wide,
            now: Timestamp(SystemClock::unix_micros()),
        };
        Self {
            interactive: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            terminal,
            out: Mutex::new(Box::new(std::io::stdout())),
            notes: Mutex::new(Box::new(std::io::stderr())),
            look,
            globals,
        }
    }

    /// For a test: neither terminal nor colours, output into these.
    #[cfg(test)]
    pub(crate) fn for_test(
        globals: Globals,
        now: Timestamp,
        out: Box<dyn Write + Send>,
        notes: Box<dyn Write + Send>,
    ) -> Self {
        let lang = globals.lang.unwrap_or_default();
        let look = Look { lang, color: false, width: None, wide: globals.output == Format::Wide, now };
        Self {
            globals,
            look,
            out: Mutex::new(out),
            notes: Mutex::new(notes),
            terminal: false,
            interactive: false,
        }
    }

    /// The language of the words.
    pub(crate) fn lang(&self) -> Lang {
        self.look.lang
    }

    /// How things are to look, at this moment.
    pub(crate) fn look(&self) -> Look {
        self.look
    }

    /// How things are to look, later: for commands that run on.
    pub(crate) fn look_now(&self) -> Look {
        Look { now: Timestamp(SystemClock::unix_micros()), ..self.look }
    }

    /// Whether answers go out as JSON.
    pub(crate) fn json(&self) -> bool {
        self.globals.output == Format::Json
    }

    /// A connection to the controller.
    pub(crate) async fn connect(&self) -> Outcome<Client> {
        Client::connect(&self.globals, self.lang()).await
    }

    /// Writes to standard output and flushes: a pipe's reader should see each line when it happens.
    pub(crate) fn print(&self, text: &str) -> Outcome<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Writes a line to standard error; nobody listening there is nobody's loss.
    pub(crate) fn note(&self, text: &str) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(notes, "{text}");
    }

    /// As [`note`](Self::note), only when asked to say more.
    pub(crate) fn verbose(&self, text: &str) {
        if self.globals.verbose {
            self.note(text);
        }
    }

    /// Shows an answer in the format that was asked for. `name` is the message's full name, `resources` the names of
    /// what is in it, `text` the form for people.
    pub(crate) fn show(
        &self,
        name: &str,
        message: &impl Message,
        resources: impl IntoIterator<Item = String>,
        text: impl FnOnce(&Look) -> String,
    ) -> Outcome<()> {
        match self.globals.output {
            Format::Table | Format::Wide => self.print(&text(&self.look)),
            Format::Name => self.print(&resources.into_iter().map(|name| name + "\n").collect::<String>()),
            Format::Json => {
                let json = mooring_proto::json::to_json(name, message)?;
                let text =
                    serde_json::to_string_pretty(&json).map_err(|e| Failure::Problem(e.to_string()))?;
                self.print(&text)
            }
        }
    }

    /// Prints one message of a stream as one line of JSON.
    pub(crate) fn json_line(&self, name: &str, message: &impl Message) -> Outcome<()> {
        self.print(&mooring_proto::json::to_json(name, message)?.to_string())
    }
}
