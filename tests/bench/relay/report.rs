//! A table with a column for each relay, medians over rounds, and how ours stands to the others.

use mooring_tests::relay::Kind;

use super::names;

/// The table.
pub struct Report {
    /// Above it.
    pub title: String,
    /// Samples that calibration dropped.
    pub dropped: usize,
    kinds: Vec<Kind>,
    rows: Vec<Vec<String>>,
}

impl Report {
    /// An empty one.
    pub fn new(kinds: &[Kind]) -> Self {
        Self { title: String::new(), dropped: 0, kinds: kinds.to_vec(), rows: Vec::new() }
    }

    /// A figure: for each round, a number for direct (not a number where there is none) and for each relay.
    pub fn row(&mut self, name: &str, rounds: Vec<Vec<f64>>, target: &str) {
        let mut row = vec![name.to_owned()];
        for column in 0..=self.kinds.len() {
            let mut values: Vec<f64> = rounds.iter().map(|r| r[column]).collect();
            row.push(number(median(&mut values)));
        }
        for other in [Kind::Nginx, Kind::HaproxyTcp] {
            row.push(self.ratio(&rounds, other));
        }
        row.push(target.to_owned());
        self.rows.push(row);
    }

    /// Ours to another: the median over rounds of the ratio in each, and its range.
    fn ratio(&self, rounds: &[Vec<f64>], other: Kind) -> String {
        let column = |kind| self.kinds.iter().position(|k| *k == kind).map(|at| at + 1);
        let (Some(ours), Some(theirs)) = (column(Kind::Mooring), column(other)) else { return String::new() };
        // What a relay adds can be less than the noise: of that there is no ratio.
        let sound = |r: &&Vec<f64>| r[ours] > 0.0 && r[theirs] > 0.0;
        let mut ratios: Vec<f64> = rounds.iter().filter(sound).map(|r| r[ours] / r[theirs]).collect();
        let middle = median(&mut ratios);
        match (ratios.first(), ratios.last()) {
            (Some(least), Some(most)) if ratios.len() > 1 => {
                format!("**{middle:.2}** ({least:.2}–{most:.2})")
            }
            (Some(_), _) => format!("{middle:.2}"),
            _ => "–".to_owned(),
        }
    }

    /// Prints it.
    pub fn print(&self) {
        println!("### {}\n", self.title);
        let names = names(&self.kinds).join(" | ");
        println!("| figure | {names} | ÷ nginx | ÷ HAProxy tcp | target (floor; goal) |");
        println!("|{}", "---|".repeat(self.kinds.len() + 5));
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
        println!();
    }
}

/// A table of words with a column for each relay.
pub struct Facts {
    names: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Facts {
    /// An empty one.
    pub fn new(names: Vec<&'static str>) -> Self {
        Self { names, rows: Vec::new() }
    }

    /// A row of it. A cell for each column.
    pub fn row(&mut self, name: &str, cells: Vec<String>) {
        self.rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
    }

    /// Prints it under a title.
    pub fn print(&self, title: &str) {
        println!("### {title}\n");
        println!("| | {} |", self.names.join(" | "));
        println!("|{}", "---|".repeat(self.names.len() + 1));
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
        println!();
    }
}

/// Sorts, and takes the middle; not a number of none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// Three or four digits that say something.
pub fn number(value: f64) -> String {
    match value {
        v if v.is_nan() => "–".to_owned(),
        v if v.abs() >= 1_000.0 => {
            let whole = format!("{v:.0}");
            let mut text = String::new();
            for (at, digit) in whole.chars().enumerate() {
                if at > 0 && (whole.len() - at).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        v if v.abs() >= 100.0 => format!("{v:.0}"),
        v if v.abs() >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut report = Report::new(&[Kind::Nginx, Kind::Mooring]);
        report.row(
            "a",
            vec![vec![f64::NAN, 10.0, 5.0], vec![f64::NAN, 20.0, 16.0], vec![f64::NAN, 4.0, 4.0]],
            "",
        );
        assert_eq!(report.rows[0], ["a", "–", "10.0", "5.00", "**0.80** (0.50–1.00)", "", ""]);
    }

    #[test]
    fn numbers_are_read_easily() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!([number(999.4), number(47.16), number(0.424)], ["999", "47.2", "0.42"]);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
