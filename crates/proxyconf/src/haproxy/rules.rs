//! Rules on the request: those that answer it at once, and those that take the upgrade out of it.

use mooring_core::cause::Cause;

use super::Scene;
use super::acl::holds;
use super::parse::{Line, Section};
use crate::pattern::search;
use crate::sources::quote;
use crate::{Fix, Lint, Severity};

pub(super) fn place(section: &Section) -> String {
    match section.name.is_empty() {
        true => quote(&section.head.text()),
        false => quote(&format!("{} {}", section.head.word(0), section.name)),
    }
}

fn lint(scene: &Scene<'_, '_>, section: &Section, line: &Line, cause: Cause, severity: Severity) -> Lint {
    Lint {
        cause,
        severity,
        file: scene.sources.name(line.at.file).to_owned(),
        line: line.at.line,
        place: place(section),
        found: quote(&line.text()),
        en: String::new(),
        zh: String::new(),
        fix: Fix::default(),
    }
}

fn unknown(scene: &mut Scene<'_, '_>, line: &Line) {
    let text = quote(&line.text());
    scene.sources.doubt(
        line.at,
        format!("whether `{text}` applies is not known here; it was taken not to"),
        format!("无法判断 `{text}` 是否适用，按不适用处理"),
    );
}

/// Whether a rule answers the path before any backend sees it; a lint says so.
pub(super) fn answers(scene: &mut Scene<'_, '_>, section: &Section, lints: &mut Vec<Lint>) -> bool {
    // `http-request` comes before `redirect`, wherever they stand.
    let rules = section.lines.iter().filter(|l| l.word(0) == "http-request");
    for line in rules.chain(section.lines.iter().filter(|l| l.word(0) == "redirect")) {
        let action = if line.word(0) == "redirect" { "redirect" } else { line.word(1) };
        let ends = matches!(action, "redirect" | "deny" | "reject" | "return" | "tarpit" | "silent-drop");
        let rewrites = matches!(action, "set-path" | "replace-path" | "replace-uri" | "set-uri");
        if !ends && !rewrites {
            continue;
        }
        match holds(&line.texts(), section, &scene.request) {
            Some(false) => continue,
            Some(true) if ends => {}
            _ => {
                unknown(scene, line);
                continue;
            }
        }
        let certain = if scene.alone { Severity::Error } else { Severity::Warning };
        let path = scene.question.uri();
        let finding = match action {
            "redirect" => {
                let words = line.texts();
                let https = words.windows(2).any(|w| w == ["scheme", "https"])
                    || words.iter().any(|w| w.starts_with("https://"));
                let severity = if https && scene.question.port.is_none() { Severity::Note } else { certain };
                Lint {
                    en: "the path is answered with a redirect, which WebSocket clients do not follow: dial its target (wss:// for https)".to_owned(),
                    zh: "该路径以重定向应答，而 WebSocket 客户端不会跟随：请直接连接其目标（https 对应 wss://）".to_owned(),
                    ..lint(scene, section, line, Cause::Redirected, severity)
                }
            }
            "return" => Lint {
                en: format!("{path} is answered here and never reaches a backend"),
                zh: format!("{path} 在此直接应答，不会到达后端"),
                ..lint(scene, section, line, Cause::WrongPath, certain)
            },
            _ => Lint {
                en: format!("{path} is refused here and never reaches a backend"),
                zh: format!("{path} 在此被拒绝，不会到达后端"),
                ..lint(scene, section, line, Cause::CredentialsRefused, certain)
            },
        };
        lints.push(finding);
        return true;
    }
    false
}

/// Rules that take `Upgrade` or `Connection` away.
pub(super) fn stripped(scene: &mut Scene<'_, '_>, section: &Section, lints: &mut Vec<Lint>) {
    if !scene.config.is_http(section) {
        return;
    }
    for line in &section.lines {
        let strips = match line.word(0) {
            "http-request" => by_rule(line),
            // Gone since 2.1, still to be met.
            "reqdel" => by_pattern(line, false),
            "reqidel" => by_pattern(line, true),
            _ => false,
        };
        if !strips {
            continue;
        }
        match holds(&line.texts(), section, &scene.request) {
            Some(true) => {}
            Some(false) => continue,
            None => {
                unknown(scene, line);
                continue;
            }
        }
        let removal = scene.sources.removal(line.at.file, line.span.clone());
        lints.push(Lint {
            en: "this takes the upgrade out of the request; HAProxy passes it on by itself".to_owned(),
            zh: "该规则会去掉请求中的升级头；HAProxy 本身会自动转发它".to_owned(),
            fix: vec![removal].into(),
            ..lint(scene, section, line, Cause::ProxyStrippedUpgrade, Severity::Error)
        });
    }
}

fn by_rule(line: &Line) -> bool {
    let header = line.word(2).to_ascii_lowercase();
    let wanted = match header.as_str() {
        "upgrade" => "websocket",
        "connection" => "upgrade",
        _ => return false,
    };
    match line.word(1) {
        "del-header" => true,
        // A value with a variable may be anything.
        "set-header" => {
            let value = line.word(3).to_ascii_lowercase();
            !value.contains("%[") && !value.contains(wanted)
        }
        _ => false,
    }
}

fn by_pattern(line: &Line, ignore_case: bool) -> bool {
    ["Upgrade: websocket", "Connection: Upgrade"]
        .iter()
        .any(|header| search(line.word(1), ignore_case, header).is_yes())
}
