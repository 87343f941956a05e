//! Keys and resizes. Reading them blocks, so it has a thread; the thread ends with its owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

/// How soon the thread notices that it is to end.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// The end.
    Quit,
    /// Settings are to be read again.
    Reload,
    /// The size has changed.
    Redraw,
}

/// Reads keys until it is dropped.
#[derive(Debug)]
pub(crate) struct Keys {
    received: mpsc::Receiver<Key>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Keys {
    /// Begins to read.
    pub(crate) fn read() -> std::io::Result<Self> {
        let (sender, received) = mpsc::channel(16);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while !told.load(Ordering::Relaxed) {
                // A terminal that cannot be read any more has hung up: the signal says so.
                match event::poll(LOOK_UP).and_then(|ready| ready.then(event::read).transpose()) {
                    Ok(Some(event)) => {
                        if let Some(key) = key(&event)
                            && sender.blocking_send(key).is_err()
                        {
                            return;
                        }
                    }
                    Ok(None) => {}
                    Err(_) => return,
                }
            }
        })?;
        Ok(Self { received, stop, thread: Some(thread) })
    }

    /// The next key.
    pub(crate) async fn next(&mut self) -> Key {
        match self.received.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.received.close();
        if let Some(thread) = self.thread.take() {
            // It is back within a tenth of a second; a panic in it has been reported.
            let _ = thread.join();
        }
    }
}

fn key(event: &Event) -> Option<Key> {
    match event {
        Event::Resize(..) => Some(Key::Redraw),
        Event::Key(key) if key.kind != KeyEventKind::Release => match key.code {
            // In raw mode Ctrl-C is a key like any other.
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
            KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
            KeyCode::Char('r') => Some(Key::Reload),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyEvent;

    #[test]
    fn keys_mean_what_the_footer_says() {
        let press = |code, modifiers| key(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::Quit));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(press(KeyCode::Char('r'), KeyModifiers::NONE), Some(Key::Reload));
        assert_eq!(key(&Event::Resize(1, 1)), Some(Key::Redraw));
    }
}
