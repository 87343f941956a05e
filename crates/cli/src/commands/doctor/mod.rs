//! `mooring doctor`: what is wrong with an endpoint, why, and what to do.

mod disk;
mod lint;
mod remote;
mod seen;
mod snippets;
mod timers;

use std::path::PathBuf;
use std::time::Duration;

use mooring_core::diagnosis::{Case, Finding, Saw};
use mooring_core::kind::Kind;
use mooring_doctor::{Dial, Exam, examine};
use mooring_proto::operator::diagnosis as shown;
use mooring_proto::v1;
use mooring_runtime::config::HumanDuration;
use mooring_runtime::tls::{ClientTls, ClientTlsConfig};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::show::doctor as show;

/// Longest that sessions are held.
const MAX_WATCH: Duration = Duration::from_secs(600);

/// Examines a WebSocket endpoint step by step and says what is wrong, how sure that is, and which line to change.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring doctor wss://chat.example/ws
  mooring doctor wss://chat.example/ws --direct ws://10.0.0.7:8080/ws        is it the proxy or the gateway?
  mooring doctor wss://pub.example/api/v1/chat/1 --via ws://10.0.0.5:3001/api/v1/chat/1 --direct ws://10.0.0.7:7860/api/v1/chat/1
  mooring doctor chat                                                        a gateway, as its agent dials it
  mooring doctor wss://chat.example/ws --from host-a                         the same address, from there
  mooring doctor ws://10.0.0.9:2536/OneBotv11 --expect onebot11
  mooring doctor wss://evo.example/ --expect evolution --header-file apikey=/run/secrets/evo
  mooring doctor wss://chat.example/ws --watch 90s                           what cuts idle sessions?
  mooring doctor wss://chat.example/ws --seen code=1005,age=45s,pong=no      what a client's log says
  mooring doctor wss://chat.example/ws --watch 90s --proxy-idle nginx=60s --client-timeout 30s      do the timers fit?
  mooring doctor wss://chat.example/ws --nginx-config /etc/nginx/nginx.conf  which line to change
  ssh proxy nginx -T | mooring doctor wss://chat.example/ws --nginx-config -
  mooring doctor --apache-config site.conf --path /ws                        read the file, dial nobody

Places are given from the outside in: the address as users dial it, each hop with --via, the gateway itself with --direct.
A gateway's name, or --from with the name of a gateway or an agent, has that agent look: with the headers and secrets of its
own configuration, and, unless that allows more, at hosts of its own gateways only.
Nothing is changed, and nothing is sent that an application could take for a message.

Exit codes: 0 all is well, 1 something is wrong, timers that certainly contradict each other among it (what only may become
a fault is a note and no 1), 2 wrong usage, 3 the controller cannot be reached, 64+n it or the agent refused with gRPC
status n.")]
pub(crate) struct Arguments {
    /// The address as users dial it: ws:// or wss://; or the name of a gateway, to have its agent look at it.
    #[arg(
        value_name = "URL|GATEWAY",
        required_unless_present_any = ["from", "nginx_config", "apache_config", "haproxy_config"]
    )]
    url: Option<String>,
    /// Have an agent look, instead of this machine: the name of a gateway, or of an agent.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["subprotocol", "header", "header_file", "trust", "seen"])]
    from: Option<String>,
    /// A hop between that address and the gateway; several from the outside in.
    #[arg(long, value_name = "URL")]
    via: Vec<String>,
    /// The gateway itself, behind every proxy.
    #[arg(long, value_name = "URL")]
    direct: Option<String>,
    /// What is said to be there: websocket (ws), socketio, evolution, onebot11, bisheng, waha.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    expect: Option<Kind>,
    /// Hold sessions open for so long, to learn what cuts them; at most 10m.
    #[arg(long, value_name = "DURATION")]
    watch: Option<HumanDuration>,
    /// The origin of a page, to look at CORS with: https://app.example.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The Socket.IO namespace to join; default /.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// A subprotocol that must be chosen.
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// A request header, `Name: value`. Not for secrets.
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// A request header whose value is in a file, because it is secret: `Name=FILE`.
    #[arg(long, value_name = "NAME=FILE")]
    header_file: Vec<String>,
    /// Authorities to trust for wss instead of the system's (PEM).
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// What a client saw, from its log: code=1006,age=60s,silent=60s (also: reason, pong, connect, text, others, status,
    /// calls). Several are several sessions.
    #[arg(long, value_name = "FACTS", value_parser = seen::parse)]
    seen: Vec<Saw>,
    #[command(flatten)]
    timers: Box<timers::Flags>,
    #[command(flatten)]
    configs: Box<lint::Configs>,
}

fn kind(text: &str) -> Result<Kind, String> {
    if text == "ws" { Ok(Kind::Websocket) } else { text.parse() }
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let address = |text: &&String| text.starts_with("ws://") || text.starts_with("wss://");
        let url = self.url.as_ref().filter(address);
        if url.is_some() && self.configs.path.is_some() {
            return Err(Failure::Usage("--path is for when no URL says the path".to_owned()));
        }
        // What is no address but has a scheme was meant to be one.
        let named = self.url.as_ref().filter(|text| !address(text) && !text.contains("://"));
        match (&self.from, named, url) {
            (Some(from), None, url) => {
                return Box::pin(remote::run(&self, context, from, url)).await;
            }
            (None, Some(name), None) => {
                return Box::pin(remote::run(&self, context, name, None)).await;
            }
            (Some(_), Some(name), _) => {
                return Err(Failure::Usage(format!(
                    "`{name}` is no address: with --from only ws:// or wss:// may follow"
                )));
            }
            _ => {}
        }
        let lang = context.lang();
        let (direct, ping) = (self.direct.is_some(), self.timers.server_ping());
        let about = lint::About::new(&self.configs, self.addresses(), direct, self.expect, ping)?;
        let given = self.configs.read(std::io::stdin())?;
        about.ready(&given)?;
        let Some(url) = &self.url else {
            let lints = lint::check(&given, &about, lang)?;
            let healthy = !lints.iter().any(|l| l.severity == "error");
            return tell(context, &v1::Diagnosis { healthy, lints, ..v1::Diagnosis::default() }, false);
        };
        let exam = self.exam(url)?;
        let live = context.terminal && !context.json();
        let report = |case: &Case, finding: &Finding| {
            if live {
                context.note(&show::step(&shown::finding(case, finding, lang), &context.look()));
            }
        };
        let over = Box::pin(examine(&exam, report)).await;
        let misfit = over.diagnosis.notes.iter().any(|note| note.certain);
        let about = about.learnt(&over.case);
        let mut diagnosis = shown::diagnosis(&over.case, &over.diagnosis, over.took, over.cut_short, lang);
        snippets::fill(&mut diagnosis, &over.case, &over.diagnosis, &about, lang);
        diagnosis.lints = lint::check(&given, &about, lang)?;
        lint::settle(&mut diagnosis.lints, diagnosis.healthy, lang);
        Ok(tell(context, &diagnosis, live)?.max(u8::from(misfit)))
    }

    /// The addresses, from the outside in.
    fn addresses(&self) -> impl Iterator<Item = String> {
        self.url.iter().chain(&self.via).chain(&self.direct).cloned()
    }

    fn exam(&self, url: &str) -> Outcome<Exam> {
        let usage = |e: &dyn std::fmt::Display| Failure::Usage(e.to_string());
        if self.watch.is_some_and(|w| w.get() > MAX_WATCH || w.get() < Duration::from_secs(1)) {
            return Err(Failure::Usage("--watch takes 1s to 10m".to_owned()));
        }
        let mut headers = Vec::new();
        for header in &self.header {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| Failure::Usage(format!("--header `{header}` is not `Name: value`")))?;
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        for given in &self.header_file {
            let (name, file) = given
                .split_once('=')
                .ok_or_else(|| Failure::Usage(format!("--header-file `{given}` is not `Name=FILE`")))?;
            let value = std::fs::read_to_string(file)
                .map_err(|e| Failure::Usage(format!("--header-file {name}: {file}: {e}")))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let tls_wanted = self.trust.is_some() || self.addresses().any(|url| url.starts_with("wss:"));
        let config = ClientTlsConfig { ca: self.trust.clone(), ..ClientTlsConfig::default() };
        // Without it the other scheme cannot be tried; only where TLS was asked for is that a reason to stop.
        let tls = ClientTls::load(&config).and_then(|tls| tls.rustls(&[b"http/1.1"]));
        let tls = match tls {
            Ok(tls) => Some(tls),
            Err(e) if tls_wanted => return Err(usage(&e)),
            Err(_) => None,
        };
        let dial = Dial { headers, subprotocols: self.subprotocol.clone(), tls, ..Dial::default() };
        let mut exam = Exam::new(url, dial).map_err(|e| usage(&e))?;
        for url in &self.via {
            exam = exam.via(url).map_err(|e| usage(&e))?;
        }
        if let Some(url) = &self.direct {
            exam = exam.direct(url).map_err(|e| usage(&e))?;
        }
        exam.expect = self.expect;
        exam.watch = self.watch.map(|w| w.get());
        exam.origin.clone_from(&self.origin);
        exam.namespace.clone_from(&self.namespace);
        exam.told.clone_from(&self.seen);
        exam.timers = self.timers.timers().map_err(Failure::Usage)?;
        Ok(exam)
    }
}

/// Shows the whole, and gives the exit code.
fn tell(context: &Context, diagnosis: &v1::Diagnosis, steps_shown: bool) -> Outcome {
    let faults = diagnosis.faults.iter().flat_map(|f| f.candidates.first()).map(|c| c.cause.clone());
    let errors = || diagnosis.lints.iter().filter(|l| l.severity == "error");
    let mut causes: Vec<String> = faults.chain(errors().map(|l| l.cause.clone())).collect();
    causes.retain(|cause| !cause.is_empty());
    causes.dedup();
    context.show("mooring.v1.Diagnosis", diagnosis, causes, |look| {
        show::diagnosis(diagnosis, steps_shown, look)
    })?;
    Ok(u8::from(!diagnosis.healthy || !diagnosis.faults.is_empty() || errors().next().is_some()))
}
