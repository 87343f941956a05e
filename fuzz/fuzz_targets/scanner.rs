//! The frame scanner: cut in any way it sees the same, it never panics, it stands at a boundary exactly where one is. The
//! check itself is the library's, where the replay of the corpus uses it too.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| mooring_fuzz::frames::check::scanner(input));
