//! Small words for messages: durations people read at a glance, and quotes of a peer's text that can do no harm.

use std::time::Duration;

/// `250 ms`, `4.2 s`, `60 s`, `12 min`: three digits at most, unit in words of the SI.
pub(crate) fn short(d: Duration) -> String {
    let s = d.as_secs_f64();
    if s < 0.001 {
        format!("{} µs", d.as_micros())
    } else if s < 0.9995 {
        format!("{:.0} ms", s * 1e3)
    } else if s < 9.95 {
        format!("{s:.1} s")
    } else if s < 600.0 {
        format!("{s:.0} s")
    } else {
        format!("{:.0} min", s / 60.0)
    }
}

/// A peer's text, cut to `max` characters, on one line, without control characters (they would drive a terminal) and
/// without query strings (servers echo the URL, and tokens travel in queries).
pub(crate) fn quote(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut in_query = false;
    let mut space = false;
    for c in text.chars() {
        if out.chars().count() >= max {
            out.push('…');
            break;
        }
        let ends_query = c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`');
        if in_query && !ends_query {
            continue;
        }
        in_query = false;
        if c.is_whitespace() || c.is_control() {
            space = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut space) {
            out.push(' ');
        }
        out.push(c);
        if c == '?' {
            in_query = true;
            out.push('…');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = Duration::from_millis;
        for (d, text) in [(ms(0), "0 µs"), (ms(250), "250 ms"), (ms(1000), "1.0 s"), (ms(4210), "4.2 s")] {
            assert_eq!(short(d), text);
        }
        assert_eq!(short(ms(60_050)), "60 s");
        assert_eq!(short(ms(720_000)), "12 min");
    }

    #[test]
    fn quotes_are_harmless() {
        assert_eq!(quote("a\x1b[31m\r\n  b", 40), "a [31m b");
        assert_eq!(quote("<pre>Cannot GET /ws?token=s3cret</pre>", 60), "<pre>Cannot GET /ws?…</pre>");
        assert_eq!(quote("https://x/y?access_token=s3cret", 60), "https://x/y?…");
        assert_eq!(quote(&"x".repeat(50), 10), format!("{}…", "x".repeat(10)));
    }
}
