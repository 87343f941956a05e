//! Every bound on what a peer or an operator can make us hold, in one place.

/// Longest message of a condition or receipt, bytes.
pub const MAX_MESSAGE: usize = 512;
/// Most evidence entries of one condition.
pub const MAX_EVIDENCE: usize = 16;
/// Longest evidence key, bytes.
pub const MAX_EVIDENCE_KEY: usize = 64;
/// Longest evidence value, bytes.
pub const MAX_EVIDENCE_VALUE: usize = 512;
/// Most labels of a gateway.
pub const MAX_LABELS: usize = 32;
/// Longest label key or value, bytes.
pub const MAX_LABEL: usize = 63;
/// Longest reason of an order or pause, bytes.
pub const MAX_REASON: usize = 1024;
/// Longest output tail of an execution kept in a receipt, bytes.
pub const MAX_OUTPUT_TAIL: usize = 4096;
/// Most steps of one ladder.
pub const MAX_LADDER: usize = 16;
/// Most tries of one case: as many as the longest ladder can have.
pub const MAX_CASE_TRIES: u32 = 1600;

/// Cuts text to at most `max` bytes at a character boundary, marking the cut with `…`.
#[must_use]
pub fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mark = '…';
    let mut end = max.saturating_sub(mark.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = text[..end].to_owned();
    out.push(mark);
    out
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn clip_keeps_boundaries() {
        assert_eq!(clip("short", 10), "short");
        assert_eq!(clip("网关网关网关", 10), "网关…");
        assert!(clip(&"é".repeat(300), 512).len() <= 512);
    }
}
