//! Shell patterns, for whoever answers includes: `*`, `?` and `[a-z]`, and a `*` does not cross a `/`.

/// Whether `name` is one of the files that `pattern` means.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), name.split('/').collect());
    p.len() == n.len() && p.iter().zip(&n).all(|(p, n)| part(p.as_bytes(), n.as_bytes()))
}

/// Whether a pattern can mean several files.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// One component, with the usual two pointers: after a mismatch the last `*` takes one byte more, so the work is at most
/// the product of the lengths.
fn part(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(b'?') => {
                (p, n) = (p + 1, n + 1);
                continue;
            }
            Some(b'[') => {
                if let Some(len) = class(pattern.get(p + 1..).unwrap_or(&[]), c) {
                    (p, n) = (p + 1 + len, n + 1);
                    continue;
                }
            }
            Some(&want) if want == c => {
                (p, n) = (p + 1, n + 1);
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = star else { return false };
        star = Some((after, from + 1));
        (p, n) = (after, from + 1);
    }
    pattern.get(p..).unwrap_or(&[]).iter().all(|&b| b == b'*')
}

/// The length of the class after its `[`, if it contains `c`.
fn class(pattern: &[u8], c: u8) -> Option<usize> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let len = pattern.iter().skip(start + 1).position(|&b| b == b']')? + start + 1;
    let set = pattern.get(start..len)?;
    let mut i = 0;
    let mut found = false;
    while let Some(&from) = set.get(i) {
        match (set.get(i + 1), set.get(i + 2)) {
            (Some(b'-'), Some(&to)) => {
                found |= (from..=to).contains(&c);
                i += 3;
            }
            _ => {
                found |= from == c;
                i += 1;
            }
        }
    }
    (found != negated).then_some(len + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_as_includes_use_them() {
        for (pattern, name, want) in [
            ("/etc/nginx/conf.d/*.conf", "/etc/nginx/conf.d/a.conf", true),
            ("/etc/nginx/conf.d/*.conf", "/etc/nginx/conf.d/x/a.conf", false),
            ("sites-enabled/*", "sites-enabled/chat", true),
            ("sites-enabled/*", "sites-enabled/.hidden", false),
            ("mods-enabled/*.load", "mods-enabled/proxy.conf", false),
            ("[a-c]?.conf", "b1.conf", true),
            ("[!a]*", "abc", false),
            ("[", "[", false),
            ("*a*b*c", "aXbXXbc", true),
            ("a", "b", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }
}
