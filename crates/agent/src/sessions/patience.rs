//! For a source that cannot look: it is said once, and tried less and less often while that does not help.

/// At most so many turns from one try to the next; the first come after 1, 2, 4, ….
const PATIENCE: u32 = 32;

/// Complains once, and looks less often while it does not help.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Whether the last look went well; `None` before the first.
    well: Option<bool>,
    wait: u32,
    left: u32,
}

impl Patience {
    /// Whether this look is left out.
    pub(super) fn waits(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    /// It failed; `true` for the first time in a row.
    pub(super) fn failed(&mut self) -> bool {
        self.wait = (self.wait * 2).clamp(1, PATIENCE);
        self.left = self.wait;
        self.well.replace(false) != Some(false)
    }

    /// It went well; `true` for the first time in a row.
    pub(super) fn relieved(&mut self) -> bool {
        (self.wait, self.left) = (0, 0);
        self.well.replace(true) != Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_less_and_less_often_and_said_once() {
        let mut patience = Patience::default();
        let mut looks = Vec::new();
        for turn in 0..200 {
            if !patience.waits() {
                assert_eq!(patience.failed(), looks.is_empty(), "said the first time only");
                looks.push(turn);
            }
        }
        assert_eq!(looks, [0, 1, 3, 7, 15, 31, 63, 95, 127, 159, 191]);
        assert!(patience.relieved() && !patience.relieved(), "and once that it is over");
        assert!(!patience.waits() && patience.failed());
    }
}
