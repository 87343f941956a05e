//! Tables in Markdown, and the figures in them.

use std::time::Duration;

/// A table that prints itself.
pub struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    /// An empty table with the usual heads.
    pub fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// A figure with its target and how it stands to it. Empty where there is none.
    pub fn row(&mut self, what: impl Into<String>, measured: String, target: &str, ratio: String) {
        self.rows.push([what.into(), measured, target.to_owned(), ratio]);
    }

    /// A figure that stands for itself.
    pub fn fact(&mut self, what: impl Into<String>, measured: String) {
        self.row(what, measured, "", String::new());
    }

    /// Prints it under a title.
    pub fn print(&self, title: &str) {
        println!("### {title}\n");
        println!("| figure | measured | target (floor; goal) | measured ÷ limit |");
        println!("|---|---|---|---|");
        for [what, measured, target, ratio] in &self.rows {
            println!("| {what} | {measured} | {target} | {ratio} |");
        }
        println!();
    }
}

/// A part of sorted samples: 0.5 is the median.
pub fn part(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((last as f64) * share).round() as usize).copied().unwrap_or_default()
}

/// Microseconds or milliseconds, as reads better.
pub fn time(d: Duration) -> String {
    let micros = d.as_secs_f64() * 1e6;
    if micros < 1_000.0 { format!("{micros:.0} µs") } else { format!("{:.2} ms", micros / 1e3) }
}

/// `12.3 k`, `4.56 M`.
pub fn big(n: f64) -> String {
    match n {
        n if n >= 1e6 => format!("{:.2} M", n / 1e6),
        n if n >= 1e4 => format!("{:.1} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// Bytes.
pub fn bytes(n: f64) -> String {
    match n {
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        n if n >= 1e4 => format!("{:.1} kB", n / 1e3),
        n => format!("{n:.0} B"),
    }
}
