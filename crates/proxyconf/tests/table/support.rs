//! A configuration in, findings out; and the configuration with every fix applied.

use mooring_proxyconf::{
    Examined, Expect, Fix, ParseError, Question, Severity, Software, SourceFile, apply, lint, no_includes,
};

pub fn ws(path: &str) -> Question {
    Question::new(path, Expect::WebSocket)
}

pub fn socket_io() -> Question {
    Question::new("/socket.io/", Expect::SocketIo)
}

pub fn try_examine(software: Software, text: &str, question: &Question) -> Result<Examined, ParseError> {
    lint(software, &[SourceFile::new("proxy.conf", text)], &no_includes, question)
}

pub fn examine(software: Software, text: &str, question: &Question) -> Examined {
    try_examine(software, text, question).unwrap()
}

/// `cause severity line` of each finding but notes, in order.
pub fn found(software: Software, text: &str, question: &Question) -> Vec<String> {
    let examined = examine(software, text, question);
    let mut found: Vec<String> = examined
        .lints
        .iter()
        .filter(|l| l.severity != Severity::Note)
        .map(|l| format!("{} {} {}", l.cause, l.severity.name(), l.line))
        .collect();
    found.sort();
    found
}

/// The text with every suggested fix, over again until nothing more is suggested.
pub fn mended(software: Software, text: &str, question: &Question) -> String {
    let mut text = text.to_owned();
    for _ in 0..4 {
        let examined = examine(software, &text, question);
        let fixes: Vec<Fix> = examined.lints.into_iter().map(|l| l.fix).collect();
        if fixes.iter().all(Fix::is_empty) {
            return text;
        }
        text = apply("proxy.conf", &text, &fixes);
    }
    panic!("the fixes do not come to an end:\n{text}");
}

/// Checks the findings, and that with the fixes applied none is left.
pub fn check(software: Software, text: &str, question: &Question, want: &[&str]) {
    assert_eq!(found(software, text, question), want, "in\n{text}");
    let mended = mended(software, text, question);
    assert_eq!(found(software, &mended, question), [""; 0], "after mending to\n{mended}");
}
