//! Examines an endpoint step by step from one or more places, asking the engine what to look at next.
