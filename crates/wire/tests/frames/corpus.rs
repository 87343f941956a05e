//! The fuzzer's corpus, replayed on the stable toolchain by the fuzzer's own check.
//!
//! Its seeds are made from the table. `MOORING_WRITE_CORPUS=1 cargo test -p mooring-wire --test frames corpus` writes them
//! anew after a change of the table; inputs the fuzzer found may lie beside them, and stay.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mooring_wire::frames::cases;
use mooring_wire::frames::check;

/// Seeds of more bytes than this teach the fuzzer nothing and slow it down.
const MOST_BYTES: usize = 700;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/scanner")
}

/// Families of cases of which the others tell the fuzzer as much: prefixes, and numbers that are in its dictionary.
const LEFT_OUT: [&str; 3] = ["truncated/", "close/code/", "rule/opcode/"];

/// The seeds by file name.
fn seeds() -> BTreeMap<String, Vec<u8>> {
    cases::all()
        .iter()
        .enumerate()
        .filter(|(_, case)| case.bytes.len() <= MOST_BYTES)
        .filter(|(_, case)| !LEFT_OUT.iter().any(|family| case.name.starts_with(family)))
        .map(|(i, case)| (case.name.replace('/', "-"), check::input(case, i as u8)))
        .collect()
}

#[test]
fn the_corpus_holds_and_its_seeds_are_those_of_the_table() {
    let folder = folder();
    let seeds = seeds();
    if std::env::var_os("MOORING_WRITE_CORPUS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, input) in &seeds {
            fs::write(folder.join(name), input).unwrap();
        }
    }
    let files: BTreeMap<String, Vec<u8>> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    for (name, input) in &seeds {
        assert_eq!(files.get(name), Some(input), "{name} is not what the table makes: write the corpus anew");
    }
    for (name, input) in &files {
        println!("{name}");
        check::scanner(input);
    }
    let bytes: usize = files.values().map(Vec::len).sum();
    assert!(bytes < 100_000, "the corpus has grown to {bytes} bytes: minimise it (cargo fuzz cmin)");
}

#[test]
fn the_whole_table_passes_the_fuzzers_check() {
    for case in cases::all() {
        println!("{}", case.name);
        check::scanner(&check::input(&case, 3));
    }
}
