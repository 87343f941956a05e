//! Which directives hold: modules, conditional sections, and the virtual host that takes the request.

use std::collections::HashSet;

use super::parse::Directive;
use crate::Question;

/// What distributions compile in, so that no `LoadModule` names it.
const BUILT_IN: &[&str] =
    &["core", "so", "http_core", "http", "unixd", "log_config", "logio", "version", "watchdog", "systemd"];
/// The version conditions are held against: any recent 2.4.
const VERSION: [u32; 3] = [2, 4, 60];

/// The modules that are loaded, if the configuration at hand says anything about modules.
#[derive(Debug, Default)]
pub(super) struct Modules {
    loaded: HashSet<String>,
}

impl Modules {
    pub(super) fn of(items: &[Directive]) -> Self {
        let mut modules = Self::default();
        modules.collect(items);
        modules
    }

    fn collect(&mut self, items: &[Directive]) {
        for d in items {
            if d.name == "loadmodule" {
                self.loaded.insert(bare(d.arg(0)));
            }
            // A LoadModule inside a condition is counted whatever the condition: better no finding than a wrong one.
            self.collect(d.items());
        }
    }

    /// Whether a module (`proxy_http`) is missing for certain.
    pub(super) fn lacks(&self, module: &str) -> bool {
        !self.loaded.is_empty() && !self.loaded.contains(module) && !BUILT_IN.contains(&module)
    }
}

/// `mod_proxy.c`, `proxy_module` and `proxy` are one name.
fn bare(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("mod_").unwrap_or(&name);
    let name = name.strip_suffix(".c").unwrap_or(name);
    name.strip_suffix("_module").unwrap_or(name).to_owned()
}

/// The directives that hold on one level, conditional sections opened; other sections stay whole.
pub(super) fn flatten<'a>(items: &'a [Directive], modules: &Modules) -> Vec<&'a Directive> {
    let mut out = Vec::new();
    let defined: HashSet<&str> = items.iter().filter(|d| d.name == "define").map(|d| d.arg(0)).collect();
    flatten_into(items, modules, &defined, &mut out);
    out
}

fn flatten_into<'a>(
    items: &'a [Directive],
    modules: &Modules,
    defined: &HashSet<&str>,
    out: &mut Vec<&'a Directive>,
) {
    for d in items {
        let test = d.arg(0);
        let (negated, name) = match test.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, test),
        };
        let holds = match d.name.as_str() {
            "ifmodule" => modules.lacks(&bare(name)) == negated,
            "ifdefine" => defined.contains(name) != negated,
            "ifversion" => version_holds(d),
            // Files and directives of the machine itself are taken to be there.
            "iffile" | "ifdirective" | "ifsection" => !negated,
            _ => {
                out.push(d);
                continue;
            }
        };
        if holds {
            flatten_into(d.items(), modules, defined, out);
        }
    }
}

fn version_holds(d: &Directive) -> bool {
    let (operator, text) = if d.args.len() > 1 { (d.arg(0), d.arg(1)) } else { ("=", d.arg(0)) };
    let (negated, operator) = match operator.strip_prefix('!') {
        Some(operator) => (true, operator),
        None => (false, operator),
    };
    let mut asked = [0; 3];
    for (slot, part) in asked.iter_mut().zip(text.split('.')) {
        let Ok(number) = part.parse() else { return true };
        *slot = number;
    }
    let holds = match operator {
        ">=" => VERSION >= asked,
        ">" => VERSION > asked,
        "<=" => VERSION <= asked,
        "<" => VERSION < asked,
        _ => VERSION.get(..2) == asked.get(..2),
    };
    holds != negated
}

/// A virtual host, or the main server when there is none for the request.
pub(super) struct Host<'a> {
    /// The section; `None` for the main server.
    pub section: Option<&'a Directive>,
    /// What holds in it.
    pub items: Vec<&'a Directive>,
}

impl Host<'_> {
    pub(super) fn name(&self) -> String {
        let name = self.items.iter().find(|d| d.name == "servername").map(|d| host_of(d.arg(0)));
        match (name, self.section) {
            (Some(name), _) => name,
            (None, Some(section)) => format!("{} on line {}", section.arg(0), section.at.line),
            (None, None) => "(main)".to_owned(),
        }
    }

    fn ports(&self) -> Vec<Option<u16>> {
        let addresses = self.section.map(|s| s.args.as_slice()).unwrap_or_default();
        // `*` and `*:*` mean any port.
        addresses.iter().map(|a| a.text.rsplit(':').next().and_then(|p| p.parse().ok())).collect()
    }

    fn listens(&self, port: u16) -> bool {
        self.ports().iter().any(|p| p.is_none_or(|p| p == port))
    }

    fn is_called(&self, host: &str) -> bool {
        self.items.iter().any(|d| match d.name.as_str() {
            "servername" => host_of(d.arg(0)) == host,
            "serveralias" => d.args.iter().any(|a| crate::glob::matches(&a.text.to_ascii_lowercase(), host)),
            _ => false,
        })
    }

    pub(super) fn tls(&self) -> Option<bool> {
        match self.items.iter().rev().find(|d| d.name == "sslengine") {
            Some(d) => Some(d.arg(0).eq_ignore_ascii_case("on")),
            None => Some(self.ports().contains(&Some(443))),
        }
    }
}

/// `https://chat.example:443` names `chat.example`.
fn host_of(name: &str) -> String {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    name.split(':').next().unwrap_or(name).to_ascii_lowercase()
}

/// The hosts that may take the request: by port where it is asked, then by name as Apache does, else all of them.
pub(super) fn hosts<'a>(main: &[&'a Directive], modules: &Modules, question: &Question) -> Vec<Host<'a>> {
    let mut all: Vec<Host<'a>> = main
        .iter()
        .filter(|d| d.name == "virtualhost")
        .map(|d| Host { section: Some(d), items: flatten(d.items(), modules) })
        .collect();
    if let Some(port) = question.port.filter(|p| all.iter().any(|h| h.listens(*p))) {
        all.retain(|h| h.listens(port));
    }
    if let Some(host) = question.host_name() {
        if all.iter().any(|h| h.is_called(&host)) {
            all.retain(|h| h.is_called(&host));
        } else {
            // The first host of each address stands in for names that nobody has.
            let mut seen: Vec<Vec<Option<u16>>> = Vec::new();
            all.retain(|h| {
                let ports = h.ports();
                let new = !seen.contains(&ports);
                if new {
                    seen.push(ports);
                }
                new
            });
        }
        // Of several with the name on one address the first is taken.
        let mut seen: Vec<Vec<Option<u16>>> = Vec::new();
        all.retain(|h| {
            let ports = h.ports();
            let new = !seen.contains(&ports);
            if new {
                seen.push(ports);
            }
            new
        });
    }
    if all.is_empty() {
        all.push(Host { section: None, items: Vec::new() });
    }
    all
}
