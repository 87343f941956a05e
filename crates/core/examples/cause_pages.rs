//! Writes the documentation's pages about causes, or says which are not what the code says.
//!
//! `cargo run -p mooring-core --example cause_pages -- FOLDER [--check]`; `cargo xtask docs` calls it with `docs/causes`.
//!
//! A page of a cause that is no more is removed; a file that was not made by this program is left alone.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use mooring_core::cause::page::{NOTICE, file, index, index_file, page};
use mooring_core::cause::{Cause, Lang};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, check) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [folder] => (Path::new(folder), false),
        [folder, "--check"] => (Path::new(folder), true),
        _ => return Err("usage: cause_pages FOLDER [--check]".into()),
    };
    let wanted = pages(folder);
    let mut wrong = Vec::new();
    for (path, text) in &wanted {
        if read(path)?.as_ref() == Some(text) {
            continue;
        }
        if check {
            wrong.push(format!("{} is not what the code says", path.display()));
        } else {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(path, text)?;
        }
    }
    for path in made_before(folder)? {
        if wanted.contains_key(&path) {
            continue;
        }
        if check {
            wrong.push(format!("{} is of a cause that is no more", path.display()));
        } else {
            fs::remove_file(&path)?;
        }
    }
    if wrong.is_empty() {
        println!("{} pages", wanted.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}\n`cargo xtask docs` writes them anew", wrong.join("\n"));
    Ok(ExitCode::FAILURE)
}

fn pages(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    for lang in [Lang::En, Lang::ZhCn] {
        pages.insert(folder.join(index_file(lang)), index(lang));
        pages.extend(Cause::all().map(|cause| (folder.join(file(cause, lang)), page(cause, lang))));
    }
    pages
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The pages in both folders that this program made.
fn made_before(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for lang in [Lang::En, Lang::ZhCn] {
        let index = folder.join(index_file(lang));
        let Some(folder) = index.parent().filter(|folder| folder.is_dir()) else { continue };
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md")
                && read(&path)?.is_some_and(|text| text.starts_with(NOTICE))
            {
                found.push(path);
            }
        }
    }
    Ok(found)
}
