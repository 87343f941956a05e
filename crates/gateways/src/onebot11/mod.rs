//! OneBot v11, as forward client and between the two ends in reverse mode.
