//! The terminal while the live table is shown: alternate screen, no cursor, keys at once. Whatever happens, the terminal is
//! given back as it was: at the end, on an error, and before a panic says anything.

use std::io::{self, Stdout, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};

static ENTERED: AtomicBool = AtomicBool::new(false);

/// The terminal, taken.
#[derive(Debug)]
pub(crate) struct Screen {
    out: Stdout,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn enter() -> io::Result<Self> {
        restore_before_panics();
        enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        // From here on dropping this gives it back, even if the next line fails.
        let mut screen = Self { out: io::stdout() };
        execute!(screen.out, EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Shows these lines in place of the last ones. In one update, and without clearing first: nothing flickers.
    pub(crate) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        queue!(self.out, BeginSynchronizedUpdate, MoveTo(0, 0))?;
        for (row, line) in (0_u16..).zip(lines) {
            queue!(self.out, MoveTo(0, row), Print(line), Clear(ClearType::UntilNewLine))?;
        }
        queue!(self.out, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        // There is nothing better to do about a terminal that is gone.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

fn restore_before_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
    });
}
