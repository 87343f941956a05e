//! `--nginx-config` and its kin: the configurations on the way, read for what keeps sessions from passing.
//!
//! What is asked of them is what the examination is about: its path, its host, its port, what is spoken there, and how
//! often the server was seen to ping. With several proxies on the way a file is asked about the place whose port it
//! listens on, else about the outermost whose path it passes on.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mooring_core::cause::{Cause, Lang};
use mooring_core::diagnosis::Case;
use mooring_core::kind::Kind;
use mooring_proto::v1::DiagnosisLint;
use mooring_proxyconf::{Examined, Expect, Question, Software, SourceFile, lint, no_includes, patch_text};
use mooring_wire::Url;

use super::disk;
use crate::failure::{Failure, Outcome};
use crate::text::either;

/// Most configurations of one kind.
const MOST: usize = 4;

/// The configurations of proxies on the way.
#[derive(Debug, Default, Clone, clap::Args)]
#[command(next_help_heading = "Configurations of the proxies on the way")]
pub(super) struct Configs {
    /// nginx's main file, a file of its sites, or the output of `nginx -T`; `-` for standard input. Up to 4.
    #[arg(long, value_name = "FILE")]
    pub(super) nginx_config: Vec<PathBuf>,
    /// Apache's main file or one of its sites; `-` for standard input. Up to 4.
    #[arg(long, value_name = "FILE")]
    pub(super) apache_config: Vec<PathBuf>,
    /// HAProxy's file; several are read as one, as with its own `-f`. `-` for standard input. Up to 4.
    #[arg(long, value_name = "FILE")]
    pub(super) haproxy_config: Vec<PathBuf>,
    /// The path that is asked about, where no URL says it: nothing is examined then, the files are only read.
    #[arg(long, value_name = "PATH")]
    pub(super) path: Option<String>,
}

/// One configuration, read.
#[derive(Debug)]
pub(super) struct Given {
    software: Software,
    files: Vec<SourceFile>,
    /// The file itself, whose includes are on this disk; none for standard input, which may come from anywhere.
    from: Option<PathBuf>,
}

/// What the questions are made of.
#[derive(Debug, Default)]
pub(super) struct About {
    /// The places, from the outside in.
    places: Vec<Url>,
    /// Whether the last of them is the gateway itself.
    direct: bool,
    path: Option<String>,
    expects: Option<Expect>,
    ping: Option<Duration>,
}

impl About {
    /// `urls` from the outside in; `ping` is how often the gateway is said to ping.
    pub(super) fn new(
        configs: &Configs,
        urls: impl Iterator<Item = String>,
        direct: bool,
        expect: Option<Kind>,
        ping: Option<Duration>,
    ) -> Outcome<Self> {
        let parse = |url: String| {
            // A query may hold a token.
            let shown = url.split('?').next().unwrap_or_default().to_owned();
            url.parse::<Url>().map_err(|e| Failure::Usage(format!("`{shown}`: {e}")))
        };
        let places = urls.map(parse).collect::<Outcome<Vec<Url>>>()?;
        let engine = |path: &str, query: Option<&str>| {
            ["/socket.io", "/engine.io"].iter().any(|known| path.contains(known))
                || query.is_some_and(|q| q.contains("EIO="))
        };
        let by_url = places.first().is_some_and(|url| engine(url.path(), url.query()));
        let by_path = configs.path.as_deref().is_some_and(|path| engine(path, Some(path)));
        let speaks = by_url || by_path || matches!(expect, Some(Kind::Socketio | Kind::Evolution));
        Ok(Self {
            places,
            direct,
            path: configs.path.clone(),
            expects: speaks.then_some(Expect::SocketIo),
            ping,
        })
    }

    /// Whether there is something to ask, of somebody who has `given` what to ask it of: heard of before anything is
    /// examined.
    pub(super) fn ready(&self, given: &[Given]) -> Outcome<()> {
        if given.is_empty() { Ok(()) } else { self.questions().map(drop) }
    }

    /// With what was learnt of the pings, unless they were told.
    pub(super) fn learnt(mut self, case: &Case) -> Self {
        self.ping = self.ping.or_else(|| case.server_ping());
        self
    }

    /// The path as clients of what is spoken there dial it.
    pub(super) fn path_of(&self, path: &str) -> String {
        let engine = ["/socket.io", "/engine.io"].iter().any(|known| path.contains(known));
        // Engine.IO has a path of its own, whatever was given.
        if self.expects.is_some() && !engine { "/socket.io/".to_owned() } else { path.to_owned() }
    }

    /// The place behind this one, as proxies write it.
    pub(super) fn behind(&self, place: usize) -> Option<String> {
        self.places.get(place + 1).map(|url| format!("{}:{}", url.host(), url.port()))
    }

    /// The path of a place.
    pub(super) fn path_at(&self, place: usize) -> Option<String> {
        self.places.get(place).map(|url| self.path_of(url.path()))
    }

    fn questions(&self) -> Outcome<Vec<Question>> {
        let expects = self.expects.unwrap_or(Expect::WebSocket);
        // Proxies stand at all places but the gateway itself; the address alone has one, too.
        let proxies = if self.direct { self.places.len().saturating_sub(1) } else { self.places.len() };
        let mut questions: Vec<Question> = Vec::new();
        for (place, url) in self.places.iter().enumerate().take(proxies) {
            let mut question = Question::new(self.path_of(url.path()), expects);
            question.host = Some(url.host().to_string());
            question.port = Some(url.port());
            question.backend = self.behind(place);
            questions.push(question);
        }
        if questions.is_empty() {
            let path = match (&self.path, self.expects) {
                (Some(path), _) => self.path_of(path),
                (None, Some(_)) => self.path_of(""),
                (None, None) => {
                    return Err(Failure::Usage(
                        "say which path is asked about: a URL, or --path /ws".to_owned(),
                    ));
                }
            };
            let mut question = Question::new(path, expects);
            question.backend = self.places.first().map(|url| format!("{}:{}", url.host(), url.port()));
            questions.push(question);
        }
        for question in &mut questions {
            question.server_ping = self.ping;
        }
        Ok(questions)
    }
}

impl Configs {
    /// Reads all of them: before anything is examined, so that a mistyped name is heard of at once.
    pub(super) fn read(&self, mut stdin: impl Read) -> Outcome<Vec<Given>> {
        let all = [&self.nginx_config, &self.apache_config, &self.haproxy_config];
        if all.iter().any(|paths| paths.len() > MOST) {
            return Err(Failure::Usage(format!("at most {MOST} configurations of one proxy are read")));
        }
        if all.into_iter().flatten().filter(|path| *path == Path::new("-")).count() > 1 {
            return Err(Failure::Usage("standard input (`-`) can be one configuration only".to_owned()));
        }
        let mut one = |path: &PathBuf| -> Outcome<(SourceFile, Option<PathBuf>)> {
            let unread = |e| Failure::Usage(format!("{}: cannot read it: {e}", path.display()));
            if path == Path::new("-") {
                return Ok((SourceFile::new("stdin", disk::text(&mut stdin).map_err(unread)?), None));
            }
            Ok((disk::file(path).map_err(unread)?, Some(path.clone())))
        };
        let mut given = Vec::new();
        for (software, paths) in
            [(Software::Nginx, &self.nginx_config), (Software::Apache, &self.apache_config)]
        {
            for path in paths {
                let (file, from) = one(path)?;
                given.push(Given { software, files: vec![file], from });
            }
        }
        let files =
            self.haproxy_config.iter().map(|path| Ok(one(path)?.0)).collect::<Outcome<Vec<SourceFile>>>()?;
        if !files.is_empty() {
            given.push(Given { software: Software::Haproxy, files, from: None });
        }
        Ok(given)
    }
}

/// What is found in them, the worst first.
pub(super) fn check(given: &[Given], about: &About, lang: Lang) -> Outcome<Vec<DiagnosisLint>> {
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let questions = about.questions()?;
    let mut lints: Vec<DiagnosisLint> = given.iter().flat_map(|g| one(g, &questions, lang)).collect();
    let rank =
        |l: &DiagnosisLint| ["error", "warning", "note"].iter().position(|s| *s == l.severity).unwrap_or(3);
    lints.sort_by_key(rank);
    Ok(lints)
}

/// What would keep a handshake from succeeding is no error where it was seen to succeed: the gateway is more patient
/// than others (Node takes HTTP/1.0), or the file is not the one in use. It is still worth a word.
pub(super) fn settle(lints: &mut [DiagnosisLint], healthy: bool, lang: Lang) {
    const OF_HANDSHAKES: &[Cause] = &[
        Cause::ProxyStrippedUpgrade,
        Cause::UpstreamHttp10,
        Cause::SpaFallback,
        Cause::UpgradeNotPerformed,
        Cause::Redirected,
        Cause::CredentialsRefused,
        Cause::WrongPath,
    ];
    for lint in lints.iter_mut().filter(|l| healthy && l.severity == "error") {
        if OF_HANDSHAKES.iter().any(|cause| cause.name() == lint.cause) {
            "warning".clone_into(&mut lint.severity);
            lint.text.push_str(either(
                lang,
                "; sessions open nevertheless: this gateway tolerates it, or this is not the file in use",
                "；但会话仍能建立：该网关能够容忍，或者这不是正在使用的配置",
            ));
        }
    }
}

fn one(given: &Given, questions: &[Question], lang: Lang) -> Vec<DiagnosisLint> {
    let include = |pattern: &str| {
        given.from.as_deref().map_or_else(|| no_includes(pattern), |main| disk::included(main, pattern))
    };
    let mut best: Option<(bool, bool, &Question, Examined)> = None;
    for question in questions {
        let examined = match lint(given.software, &given.files, &include, question) {
            Ok(examined) => examined,
            Err(error) => {
                let text = format!(
                    "{}: {}",
                    either(
                        lang,
                        "it cannot be read, and the proxy would refuse it, too",
                        "无法解析，反向代理同样会拒绝"
                    ),
                    error.words
                );
                let (file, severity) = (error.file, "error".to_owned());
                return vec![DiagnosisLint {
                    severity,
                    file,
                    line: error.line,
                    text,
                    ..DiagnosisLint::default()
                }];
            }
        };
        let listens = question.port.is_some_and(|port| listens(&examined.files, port));
        // The first of equals stays: the outermost place.
        if best.as_ref().is_none_or(|(l, r, ..)| (listens, examined.reached) > (*l, *r)) {
            best = Some((listens, examined.reached, question, examined));
        }
    }
    best.map_or_else(Vec::new, |(_, _, question, examined)| told(&examined, question, lang))
}

/// Whether a line says that the proxy listens there. Good enough to choose between places, and used for nothing else.
fn listens(files: &[SourceFile], port: u16) -> bool {
    let port = port.to_string();
    files.iter().flat_map(|f| f.text.lines()).any(|line| {
        let mut words = line.split(|c: char| c.is_whitespace() || matches!(c, ';' | '{' | '>' | ':' | ','));
        let first = words.find(|w| !w.is_empty()).unwrap_or_default();
        let opens = ["listen", "bind", "<virtualhost"].iter().any(|w| first.eq_ignore_ascii_case(w));
        opens && words.any(|w| w == port)
    })
}

fn told(examined: &Examined, question: &Question, lang: Lang) -> Vec<DiagnosisLint> {
    let say = |en: &str, zh: &str| if lang == Lang::ZhCn { zh.to_owned() } else { en.to_owned() };
    let mut out: Vec<DiagnosisLint> = Vec::new();
    for l in &examined.lints {
        // One file may be edited by several of the fix's edits, and be at hand several times.
        let mut names: Vec<&str> = l.fix.edits.iter().map(|e| e.file.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let patch = names
            .into_iter()
            .filter_map(|name| examined.files.iter().find(|f| f.name == name))
            .map(|f| patch_text(&f.name, &f.text, std::slice::from_ref(&l.fix)))
            .collect();
        out.push(DiagnosisLint {
            cause: l.cause.name().to_owned(),
            severity: l.severity.name().to_owned(),
            file: l.file.clone(),
            line: l.line,
            place: l.place.clone(),
            text: say(&l.en, &l.zh),
            patch,
            found: l.found.clone(),
        });
    }
    for d in &examined.doubts {
        out.push(DiagnosisLint {
            severity: "doubt".to_owned(),
            file: d.file.clone(),
            line: d.line,
            text: say(&d.en, &d.zh),
            ..DiagnosisLint::default()
        });
    }
    if !examined.reached && examined.lints.is_empty() {
        let text = match lang {
            Lang::En => format!("nothing here passes {} on to a gateway", question.path),
            Lang::ZhCn => format!("此处没有将 {} 转发到网关的规则", question.path),
        };
        let file = examined.files.first().map_or_else(String::new, |f| f.name.clone());
        out.push(DiagnosisLint {
            severity: "doubt".to_owned(),
            file,
            line: 1,
            text,
            ..DiagnosisLint::default()
        });
    }
    out
}

#[cfg(test)]
mod tests;
