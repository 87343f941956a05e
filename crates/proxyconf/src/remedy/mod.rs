//! Lines to paste, for whoever's configuration we have not seen.
//!
//! Each [`snippet`] is whole enough to work where it is pasted and says where that is; the tests put those for nginx,
//! Apache and HAProxy into the real ones. What the text itself cannot say comes beside it in both languages. The
//! annotations of the Kubernetes controllers are as their documentation has them; they were not run.

mod ingress;
mod servers;

use std::time::Duration;

use mooring_core::cause::Cause;

/// What stands between client and gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proxy {
    /// nginx.
    Nginx,
    /// Apache 2.4.47 or newer.
    Apache,
    /// Apache before 2.4.47, with `mod_proxy_wstunnel` and `mod_rewrite`.
    ApacheOld,
    /// HAProxy.
    Haproxy,
    /// The Kubernetes community's ingress-nginx.
    IngressNginx,
    /// F5's (NGINX Inc) ingress controller.
    NginxIncIngress,
    /// `haproxy-ingress.github.io`.
    HaproxyIngress,
    /// HAProxy Technologies' controller, `haproxy.org`.
    HaproxyTechIngress,
    /// Traefik.
    Traefik,
    /// Caddy.
    Caddy,
}

impl Proxy {
    /// Every one, the most frequent first.
    pub const ALL: &'static [Proxy] = &[
        Self::Nginx,
        Self::Apache,
        Self::ApacheOld,
        Self::Haproxy,
        Self::IngressNginx,
        Self::NginxIncIngress,
        Self::HaproxyIngress,
        Self::HaproxyTechIngress,
        Self::Traefik,
        Self::Caddy,
    ];

    /// As it is headed in a list.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "Apache 2.4.47+",
            Self::ApacheOld => "Apache < 2.4.47",
            Self::Haproxy => "HAProxy",
            Self::IngressNginx => "Ingress (ingress-nginx)",
            Self::NginxIncIngress => "Ingress (F5 NGINX)",
            Self::HaproxyIngress => "Ingress (haproxy-ingress)",
            Self::HaproxyTechIngress => "Ingress (haproxy.org)",
            Self::Traefik => "Traefik",
            Self::Caddy => "Caddy",
        }
    }
}

/// What is known of the case.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The path of the URL, e.g. `/socket.io/`; a query is ignored.
    pub path: String,
    /// The gateway as `host:port`, where known.
    pub backend: Option<String>,
    /// The idle time after which sessions were seen to be cut.
    pub cut_after: Option<Duration>,
}

/// Lines to paste and a sentence beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The lines; empty when nothing needs to be set.
    pub text: String,
    /// Where they go or what to know, in English.
    pub en: &'static str,
    /// The same in Simplified Chinese.
    pub zh: &'static str,
}

/// What a proxy's configuration can be at fault for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Upgrade,
    Idle,
    Sticky,
    Buffering,
}

impl Fault {
    fn of(cause: Cause) -> Option<Self> {
        Some(match cause {
            Cause::ProxyStrippedUpgrade | Cause::UpstreamHttp10 | Cause::SpaFallback => Self::Upgrade,
            Cause::IdleCut => Self::Idle,
            Cause::StickySessionsMissing => Self::Sticky,
            Cause::ProxyBuffering => Self::Buffering,
            _ => return None,
        })
    }
}

/// Facts made fit to stand in a configuration.
struct Case {
    path: String,
    backend: String,
    seconds: u64,
}

impl Case {
    /// `None` when the path would break out of the line it is put into.
    fn of(facts: &Facts) -> Option<Self> {
        let plain = |t: &str| {
            !t.contains(|c: char| {
                c.is_whitespace() || c.is_control() || "\"'\\{};#$%<>`*?[]()|^+".contains(c)
            })
        };
        let path = facts.path.split('?').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let backend = facts.backend.clone().filter(|b| plain(b)).unwrap_or_else(|| "GATEWAY:PORT".to_owned());
        let seconds =
            facts.cut_after.map_or(0, |d| d.as_secs().saturating_mul(2)).max(crate::timers::WANTED_SECS);
        plain(&path).then_some(Self { path, backend, seconds })
    }
}

/// What to write where, for a cause; `None` for causes that no proxy's configuration mends, and for paths that cannot
/// stand in a configuration as they are.
#[must_use]
pub fn snippet(proxy: Proxy, cause: Cause, facts: &Facts) -> Option<Snippet> {
    let fault = Fault::of(cause)?;
    let case = Case::of(facts)?;
    match proxy {
        Proxy::Nginx => servers::nginx(fault, &case),
        Proxy::Apache => servers::apache(fault, &case),
        Proxy::ApacheOld => servers::apache_old(fault, &case),
        Proxy::Haproxy => servers::haproxy(fault, &case),
        Proxy::Caddy => servers::caddy(fault, &case),
        Proxy::Traefik => ingress::traefik(fault),
        Proxy::IngressNginx => ingress::ingress_nginx(fault, &case),
        Proxy::NginxIncIngress => ingress::nginx_inc(fault, &case),
        Proxy::HaproxyIngress => ingress::haproxy(fault, &case),
        Proxy::HaproxyTechIngress => ingress::haproxy_tech(fault, &case),
    }
}
