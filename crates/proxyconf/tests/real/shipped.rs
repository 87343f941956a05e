//! What the distribution ships is the commonest configuration of all: it is read whole, with all of its includes.

use std::path::Path;

use mooring_proxyconf::{Expect, Question, Software, SourceFile, glob, lint};

/// Includes answered from the disk, as `mooring doctor` does.
fn from_disk(folder: &Path, pattern: &str) -> Vec<SourceFile> {
    let full = folder.join(pattern).to_string_lossy().into_owned();
    let base = full.split(['*', '?', '[']).next().unwrap().rsplit_once('/').unwrap().0.to_owned();
    let mut found = Vec::new();
    let mut open = vec![base.into()];
    while let Some(path) = open.pop() {
        let path: std::path::PathBuf = path;
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if glob::matches(&full, &path.to_string_lossy())
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            found.push(SourceFile::new(path.to_string_lossy(), text));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

#[test]
fn what_debian_ships_is_read_without_a_doubt() {
    for (software, path, least) in [
        (Software::Nginx, "/etc/nginx/nginx.conf", 2),
        (Software::Apache, "/etc/apache2/apache2.conf", 5),
        (Software::Haproxy, "/etc/haproxy/haproxy.cfg", 1),
    ] {
        let path = Path::new(path);
        let Ok(text) = std::fs::read_to_string(path) else {
            // Another distribution; the other tests of this file's kind still hold there.
            continue;
        };
        let folder = path.parent().unwrap();
        let include = |pattern: &str| from_disk(folder, pattern);
        let question = Question::new("/socket.io/", Expect::SocketIo);
        let examined =
            lint(software, &[SourceFile::new(path.to_string_lossy(), text)], &include, &question).unwrap();
        assert!(examined.files.len() >= least, "{software:?}: {} files", examined.files.len());
        assert!(examined.doubts.is_empty(), "{:?}", examined.doubts);
        assert!(!examined.reached);
    }
}
