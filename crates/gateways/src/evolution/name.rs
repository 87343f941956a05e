//! The names of instances: Evolution takes nearly any text, an [`InstanceId`] does not.
//!
//! A name that is an id already stays as it is, so that what an operator typed there is what they type here. Any other is
//! spelt with what is allowed and gets a tail made from the whole of it: the same name always gets the same id, also after
//! a restart, and two names that look alike (`Sales` and `sales!`) get two.

use mooring_core::id::InstanceId;

/// Longest name that is looked at, bytes. Evolution's own column holds 255.
pub const MAX_NAME: usize = 255;
/// Of an id that had to be spelt anew, this many characters are the name's.
const STEM: usize = 48;

/// The id of an instance of this name; `None` for one that is empty or longer than [`MAX_NAME`].
#[must_use]
pub fn id_of(name: &str) -> Option<InstanceId> {
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    if let Ok(id) = InstanceId::new(name) {
        return Some(id);
    }
    let stem: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(STEM)
        .collect();
    let stem = stem.trim_matches('-');
    let dash = if stem.is_empty() { "x" } else { "-" };
    InstanceId::new(format!("{stem}{dash}{:08x}", tail(name))).ok()
}

/// FNV-1a, folded: it need not withstand an enemy, who could only confuse instances of their own gateway; a second name
/// with the same id is refused where instances are taken in.
fn tail(name: &str) -> u32 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = (hash ^ (hash >> 32)) & u64::from(u32::MAX);
    u32::try_from(folded).unwrap_or(u32::MAX)
}

/// The name as a part of a URL's path or query.
#[must_use]
pub fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Whether a name is one of these: each is a name, or the beginning of names when it ends with `*`.
#[must_use]
pub fn listed(name: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_gets_an_id_of_its_own() {
        assert_eq!(id_of("sales-1").unwrap().as_str(), "sales-1");
        let odd = ["Sales", "sales!", "Vendas São Paulo", "客服", "-", "..", &"x".repeat(255), "a/b", "Ä"];
        let mut ids: Vec<_> = odd.iter().map(|name| id_of(name).unwrap()).collect();
        assert_eq!(ids, odd.iter().map(|name| id_of(name).unwrap()).collect::<Vec<_>>());
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), odd.len());
        assert_eq!(id_of(""), None);
        assert_eq!(id_of(&"x".repeat(256)), None);
    }

    #[test]
    fn a_name_stays_within_its_part_of_a_path() {
        assert_eq!(encoded("a/../b c?é"), "a%2F..%2Fb%20c%3F%C3%A9");
    }

    #[test]
    fn lists_take_names_and_beginnings() {
        let list = ["a".to_owned(), "test-*".to_owned()];
        assert!(listed("a", &list) && listed("test-7", &list));
        assert!(!listed("ab", &list) && !listed("tes", &list));
    }
}
