//! HAProxy: which backend takes the path, and whether an upgrade reaches it and lives.
//!
//! HAProxy passes upgrades by itself, so there is less to find than elsewhere: rules that take the headers away, the time
//! a silent tunnel may live, and how sessions are spread. Its `option httpclose` and `http-server-close`, long blamed, let
//! an upgrade through (tried with 2.6).

mod acl;
mod checks;
mod parse;
mod rules;

use acl::{Request, holds};
use parse::{Config, Kind, Section};

use crate::sources::Sources;
use crate::{Examined, ParseError, Question, SourceFile, no_includes};

/// Most frontends that are walked through.
const MAX_FRONTENDS: usize = 200;

pub(crate) fn examine(files: &[SourceFile], question: &Question) -> Result<Examined, ParseError> {
    let mut sources = Sources::new(&no_includes);
    let config = Config { sections: parse::parse(files, &mut sources)? };
    let mut lints = Vec::new();
    let mut reached = false;

    let fronts = frontends(&config, question);
    for front in fronts.iter().take(MAX_FRONTENDS) {
        let request = Request::new(question, tls(front, question.port));
        let mut scene = Scene {
            config: &config,
            front,
            question,
            request,
            sources: &mut sources,
            alone: fronts.len() == 1,
        };
        if config.is_http(front) {
            if rules::answers(&mut scene, front, &mut lints) {
                continue;
            }
        } else {
            let at = config.setting(front, &["mode"]).unwrap_or(&front.head).at;
            scene.sources.doubt(
                at,
                format!(
                    "{} is in mode tcp: neither path nor headers are looked at, everything passes",
                    front.name
                ),
                format!("{} 处于 tcp 模式：不查看路径与请求头，全部透传", front.name),
            );
        }
        let Some(back) = backend(&mut scene) else { continue };
        if !has_servers(back) {
            continue;
        }
        reached = true;
        if config.is_http(back) && !std::ptr::eq(*front, back) && rules::answers(&mut scene, back, &mut lints)
        {
            continue;
        }
        rules::stripped(&mut scene, front, &mut lints);
        if !std::ptr::eq(*front, back) {
            rules::stripped(&mut scene, back, &mut lints);
        }
        checks::tunnel(&scene, back, &mut lints);
        checks::sticky(&scene, back, &mut lints);
        checks::forceclose(&scene, back, &mut lints);
    }
    let (files, doubts) = sources.into_parts();
    Ok(Examined { lints, doubts, files, reached })
}

/// What the checks look at.
struct Scene<'s, 'a> {
    config: &'s Config,
    front: &'s Section,
    question: &'s Question,
    request: Request,
    sources: &'s mut Sources<'a>,
    /// Whether only one frontend can be meant.
    alone: bool,
}

fn has_servers(section: &Section) -> bool {
    section.lines.iter().any(|l| matches!(l.word(0), "server" | "server-template" | "dispatch"))
}

/// Those that listen on the asked port, or all.
fn frontends<'a>(config: &'a Config, question: &Question) -> Vec<&'a Section> {
    let all: Vec<&Section> = config
        .sections
        .iter()
        .filter(|s| matches!(s.kind, Kind::Frontend | Kind::Listen))
        .filter(|s| !binds(s).is_empty())
        // A page of statistics and nothing else.
        .filter(|s| s.kind == Kind::Frontend || has_servers(s) || has_routes(s))
        .collect();
    let here: Vec<&Section> = all
        .iter()
        .copied()
        .filter(|s| question.port.is_some_and(|p| binds(s).iter().any(|b| b.0 == p)))
        .collect();
    if here.is_empty() { all } else { here }
}

fn has_routes(section: &Section) -> bool {
    section
        .lines
        .iter()
        .any(|l| matches!(l.word(0), "use_backend" | "default_backend" | "redirect" | "http-request"))
}

/// Port and TLS of each address it listens on.
fn binds(section: &Section) -> Vec<(u16, bool)> {
    let lines = section.lines.iter().filter(|l| l.word(0) == "bind");
    let mut out: Vec<(u16, bool)> = lines
        .flat_map(|l| {
            let tls = l.words.iter().skip(2).any(|w| w.text == "ssl");
            l.word(1).split(',').map(move |a| (port_of(a), tls)).collect::<Vec<_>>()
        })
        .collect();
    // The old form: `listen name :80`.
    let old = section.head.word(2);
    if old.contains(':') {
        out.push((port_of(old), false));
    }
    out
}

/// Zero for what is no TCP port (a Unix socket, a variable).
fn port_of(address: &str) -> u16 {
    let port = address.rsplit(':').next().unwrap_or("");
    port.split('-').next().and_then(|p| p.parse().ok()).unwrap_or(0)
}

fn tls(section: &Section, port: Option<u16>) -> Option<bool> {
    let all = binds(section);
    let mut kinds =
        all.iter().filter(|b| port.is_none_or(|p| p == b.0 || all.iter().all(|b| b.0 != p))).map(|b| b.1);
    let first = kinds.next()?;
    kinds.all(|k| k == first).then_some(first)
}

/// The first `use_backend` that holds, the default, or itself.
fn backend<'s>(scene: &mut Scene<'s, '_>) -> Option<&'s Section> {
    let config = scene.config;
    let kinds = [Kind::Backend, Kind::Listen];
    for line in scene.front.lines.iter().filter(|l| l.word(0) == "use_backend") {
        let name = line.word(1);
        match holds(&line.texts(), scene.front, &scene.request) {
            Some(true) => match config.named(&kinds, name) {
                Some(section) => return Some(section),
                None => {
                    scene.sources.doubt(
                        line.at,
                        format!("backend `{name}` is not among the sections at hand"),
                        format!("现有配置段中没有名为 `{name}` 的 backend"),
                    );
                    return None;
                }
            },
            Some(false) => {}
            None => scene.sources.doubt(
                line.at,
                format!("whether `{}` applies is not known here; it was taken not to", line.text()),
                format!("无法判断 `{}` 是否适用，按不适用处理", line.text()),
            ),
        }
    }
    let default = config.setting(scene.front, &["default_backend"]).map(|l| l.word(1));
    match default {
        Some(name) => config.named(&kinds, name),
        None => (scene.front.kind == Kind::Listen).then_some(scene.front),
    }
}
