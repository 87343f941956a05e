//! Files of configurations, and what they include, from the disk of whoever asks.
//!
//! A pattern is somebody else's input: no more is looked at than its own wildcards mean, nothing but regular files is
//! opened (a pipe would be waited for), and all of it is bounded.

use std::io::Read;
use std::path::{Path, PathBuf};

use mooring_proxyconf::{MAX_BYTES, MAX_FILES, SourceFile, glob};

/// Where the main files of proxies are: a part of a configuration includes relative to these.
const MAIN: &[&str] = &["nginx.conf", "apache2.conf", "httpd.conf"];
/// Most folder entries looked at for one pattern.
const MAX_ENTRIES: usize = 20_000;

/// The whole of a text of bounded size. What is no UTF-8 (comments in old encodings) does not matter to us.
pub(super) fn text(mut from: impl Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    from.by_ref().take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Err(std::io::Error::other(format!("larger than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One file.
pub(super) fn file(path: &Path) -> std::io::Result<SourceFile> {
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    Ok(SourceFile::new(path.to_string_lossy(), text(std::fs::File::open(path)?)?))
}

/// The files an include of the configuration `main` means, by name. What cannot be read is left out: that an include was
/// not at hand is said by who asked for it.
pub(super) fn included(main: &Path, pattern: &str) -> Vec<SourceFile> {
    if Path::new(pattern).is_absolute() {
        return matching(pattern);
    }
    // Relative to its own folder; a file from `sites-enabled` means the folder of the main file, further up.
    let own = main.parent().unwrap_or(Path::new(""));
    let above = own.ancestors().skip(1).filter(|dir| MAIN.iter().any(|name| dir.join(name).is_file()));
    let bases = std::iter::once(own).chain(above);
    bases
        .map(|base| matching(&base.join(pattern).to_string_lossy()))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// All files of a pattern, component by component, as the proxies expand them.
fn matching(pattern: &str) -> Vec<SourceFile> {
    let mut open = vec![PathBuf::from(if pattern.starts_with('/') { "/" } else { "" })];
    let mut seen = 0;
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if !glob::is_pattern(part) {
            open = open.into_iter().map(|dir| dir.join(part)).collect();
            continue;
        }
        let mut next = Vec::new();
        for dir in &open {
            let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            let Ok(entries) = std::fs::read_dir(here) else { continue };
            for entry in entries.flatten() {
                seen += 1;
                if seen > MAX_ENTRIES {
                    break;
                }
                let name = entry.file_name();
                if glob::matches(part, &name.to_string_lossy()) {
                    next.push(dir.join(name));
                }
            }
        }
        open = next;
    }
    open.sort();
    open.truncate(MAX_FILES);
    open.iter().filter_map(|path| file(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_found_from_the_folder_of_the_main_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for dir in ["sites-enabled", "snippets", "conf.d/folder.conf"] {
            std::fs::create_dir_all(at(dir)).unwrap();
        }
        for name in ["nginx.conf", "snippets/ws.conf", "conf.d/b.conf", "conf.d/a.conf", "conf.d/.c.conf"] {
            std::fs::write(at(name), name).unwrap();
        }
        let found = |main: &str, pattern: &str| -> Vec<String> {
            included(&at(main), pattern).into_iter().map(|f| f.text).collect()
        };
        assert_eq!(found("nginx.conf", "conf.d/*.conf"), ["conf.d/a.conf", "conf.d/b.conf"]);
        assert_eq!(found("sites-enabled/chat", "snippets/ws.conf"), ["snippets/ws.conf"]);
        assert_eq!(found("nginx.conf", &at("*/ws.c?nf").to_string_lossy()), ["snippets/ws.conf"]);
        assert_eq!(found("nginx.conf", "nothing/*"), [""; 0]);
    }

    #[test]
    fn a_text_has_an_end() {
        assert_eq!(text(&b"a \xff"[..]).unwrap(), "a \u{fffd}");
        assert!(text(std::io::repeat(b'x')).unwrap_err().to_string().contains("16 MiB"));
    }
}
