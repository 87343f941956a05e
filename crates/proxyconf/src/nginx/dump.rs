//! The output of `nginx -T`: the whole configuration in one text, which is the easiest thing to ask somebody for.
//!
//! It is cut at its marker lines into the files it was made of, so that lines and edits are those of the files on disk.

use crate::SourceFile;

const MARKER: &str = "# configuration file ";

/// The files of a dump, the main one first; `None` if the text is not one.
pub(super) fn split(text: &str) -> Option<Vec<SourceFile>> {
    let mut files: Vec<SourceFile> = Vec::new();
    for line in text.split_inclusive('\n') {
        let name = line.trim_end().strip_prefix(MARKER).and_then(|l| l.strip_suffix(':'));
        match (name, files.last_mut()) {
            (Some(name), _) => files.push(SourceFile::new(name, "")),
            (None, Some(file)) => file.text.push_str(line),
            // Before the first marker only what nginx says of the test.
            (None, None)
                if line.trim().is_empty() || line.starts_with("nginx: ") || line.contains("[warn]") => {}
            (None, None) => return None,
        }
    }
    (!files.is_empty()).then_some(files)
}

/// The files of a dump that an include means, relative to the folder of the main one.
pub(super) fn included(files: &[SourceFile], pattern: &str) -> Vec<SourceFile> {
    let folder = files.first().and_then(|f| f.name.rsplit_once('/')).map_or("", |(folder, _)| folder);
    let full = if pattern.starts_with('/') { pattern.to_owned() } else { format!("{folder}/{pattern}") };
    files.iter().filter(|f| crate::glob::matches(&full, &f.name)).cloned().collect()
}
