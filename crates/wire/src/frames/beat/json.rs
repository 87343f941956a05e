//! The members of the beginning of a JSON object, without building it.
//!
//! A search for `"interval":` would find it inside a chat message; a parser would refuse the text for being cut off. This
//! walks tokens, keeps the depth, and yields what stands on the first two levels with its value as written, as long as the
//! value is whole. It is never wrong about valid JSON; of invalid JSON it yields something or nothing, and ends.

/// A member whose value is a string, a number or a word. Strings, keys included, are as written, with their quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// The key of the object it stands in; empty on the first level.
    pub(super) parent: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Walks an object.
pub(super) struct Members<'a> {
    rest: &'a [u8],
    depth: usize,
    parent: &'a [u8],
}

impl<'a> Members<'a> {
    /// The members of the object that begins here.
    pub(super) fn of(json: &'a [u8]) -> Self {
        Self { rest: json, depth: 0, parent: b"" }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        while let [first, rest @ ..] = self.rest {
            match first {
                b'"' => {
                    let (key, after) = string(self.rest)?;
                    self.rest = after;
                    // A string before a colon is a key; all others are values of an array.
                    let [b':', after @ ..] = after.trim_ascii_start() else { continue };
                    let after = after.trim_ascii_start();
                    self.rest = after;
                    let (value, after) = match after.first()? {
                        b'{' | b'[' => {
                            if self.depth == 1 {
                                self.parent = key;
                            }
                            continue;
                        }
                        b'"' => string(after)?,
                        _ => word(after)?,
                    };
                    self.rest = after;
                    if self.depth == 1 || (self.depth == 2 && !self.parent.is_empty()) {
                        return Some(Member { parent: self.parent, key, value });
                    }
                }
                b'{' | b'[' => {
                    self.depth += 1;
                    self.rest = rest;
                }
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).filter(|depth| *depth > 0)?;
                    if self.depth == 1 {
                        self.parent = b"";
                    }
                    self.rest = rest;
                }
                _ => self.rest = rest,
            }
        }
        None
    }
}

/// The string that begins here, with its quotes, and what follows.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return text.split_at_checked(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The number or word that begins here, and what follows: it must be followed by something, or it may be half a number.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|b| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace())?;
    text.split_at_checked(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Vec<String> {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Members::of(json.as_bytes())
            .map(|m| format!("{}/{}={}", text(m.parent), text(m.key), text(m.value)))
            .collect()
    }

    #[test]
    fn two_levels_are_seen_and_nothing_deeper() {
        let json = r#"{"a":1,"b":{"c":"x\"y","d":{"e":2},"f":true},"g":[{"h":3},"i"],"j":null} {"k":1}"#;
        assert_eq!(members(json), [r#"/"a"=1"#, r#""b"/"c"="x\"y""#, r#""b"/"f"=true"#, r#"/"j"=null"#]);
    }

    #[test]
    fn broken_text_ends() {
        for json in [r#"{"a"#, r#"{"a":"#, r#"{"a":1"#, r#"{"a":"\"#, "}}}", "]", "", "{{{{{{", r#"{"a" 1}"#]
        {
            assert_eq!(members(json), Vec::<String>::new(), "{json}");
        }
    }
}
