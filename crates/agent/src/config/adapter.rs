//! The sections of adapters: one per kind that has interfaces of its own, under the kind's name.
//!
//! **Adding one** is a line in the table below and a field in [`super::GatewayConfig`].

use mooring_core::kind::Kind;
use mooring_core::session::Source;
use mooring_gateways::{Adapter, bisheng, evolution, onebot11, waha};
use mooring_runtime::config::{Problem, SecretFile};
use mooring_runtime::tls::ClientTlsConfig;

use super::GatewayConfig;

/// What an adapter is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdapterSettings {
    /// Evolution API.
    Evolution(Box<evolution::Settings>),
    /// OneBot v11.
    Onebot11(Box<onebot11::Settings>),
    /// Bisheng.
    Bisheng(Box<bisheng::Settings>),
    /// WAHA.
    Waha(Box<waha::Settings>),
}

impl AdapterSettings {
    /// The sections that stand in a gateway's configuration.
    pub fn of(config: &GatewayConfig) -> impl Iterator<Item = Self> {
        let boxed = [
            config.evolution.clone().map(Self::Evolution),
            config.onebot11.clone().map(Self::Onebot11),
            config.bisheng.clone().map(Self::Bisheng),
            config.waha.clone().map(Self::Waha),
        ];
        boxed.into_iter().flatten()
    }

    /// The kind it is for, which is also the section's name.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Evolution(_) => Kind::Evolution,
            Self::Onebot11(_) => Kind::Onebot11,
            Self::Bisheng(_) => Kind::Bisheng,
            Self::Waha(_) => Kind::Waha,
        }
    }

    /// What is wrong with it; `key` is the section's key path.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        match self {
            Self::Evolution(settings) => settings.problems(key),
            Self::Onebot11(settings) => settings.problems(key),
            Self::Bisheng(settings) => settings.problems(key),
            Self::Waha(settings) => settings.problems(key),
        }
    }

    /// Whether it can renew one instance's connection.
    #[must_use]
    pub fn reconnects(&self) -> bool {
        // A reconnect there would close a chat's socket, and with it a workflow that runs.
        !matches!(self, Self::Bisheng(_))
    }

    /// Whether it can restart what serves one instance.
    #[must_use]
    pub fn restarts(&self) -> bool {
        matches!(self, Self::Evolution(_) | Self::Waha(_))
    }

    /// The adapter. Reads the files it names.
    ///
    /// # Errors
    /// In words, when it cannot be made.
    pub fn make(&self) -> Result<Box<dyn Adapter>, String> {
        match self.clone() {
            Self::Evolution(settings) => evolution::adapter(*settings),
            Self::Onebot11(settings) => Ok(Box::new(onebot11::OneBot11::new(*settings))),
            Self::Bisheng(settings) => {
                bisheng::Bisheng::new(*settings).map(|a| Box::new(a) as _).map_err(|e| e.to_string())
            }
            Self::Waha(settings) => {
                waha::Waha::new(*settings).map(|a| Box::new(a) as _).map_err(|e| e.to_string())
            }
        }
    }
}

/// The way to what an adapter watches, for who wants to look at it from outside.
#[derive(Debug, Clone, Default)]
pub struct Endpoint {
    /// The outermost address that is known, `ws://` or `wss://`; empty: none.
    pub url: String,
    /// Hops behind it, from the outside in.
    pub via: Vec<String>,
    /// The gateway itself, where it is not the address.
    pub direct: Option<String>,
    /// Headers that go along: name, what stands before the secret, and the file with it.
    pub secret: Vec<(&'static str, &'static str, SecretFile)>,
    /// Whom to trust.
    pub tls: Option<ClientTlsConfig>,
}

impl AdapterSettings {
    /// Every address in it, whatever it is for.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        match self {
            Self::Evolution(s) => vec![s.url.clone()],
            Self::Onebot11(s) => {
                let listen = s.listen.map(|listen| listen.to_string());
                [s.url.clone(), s.forward_to.clone()].into_iter().chain(listen).collect()
            }
            Self::Bisheng(s) => s.hops.iter().map(|hop| hop.url.clone()).chain([s.backend.clone()]).collect(),
            Self::Waha(s) => vec![s.url.clone()],
        }
    }

    /// The way to its WebSocket.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        let secret = |name, prefix, file: &Option<SecretFile>| {
            file.iter().map(|file| (name, prefix, file.clone())).collect::<Vec<_>>()
        };
        match self {
            Self::Evolution(s) => Endpoint {
                url: socket(&s.url, "/"),
                secret: secret("apikey", "", &s.api_key_file),
                tls: Some(s.tls.clone()),
                ..Endpoint::default()
            },
            Self::Onebot11(s) => {
                let forward = s.mode == onebot11::Mode::Forward;
                let (url, token) =
                    if forward { (&s.url, &s.token_file) } else { (&s.forward_to, &s.forward_token_file) };
                Endpoint {
                    url: url.clone(),
                    secret: secret("Authorization", "Bearer ", token),
                    tls: Some(s.tls.clone()),
                    ..Endpoint::default()
                }
            }
            Self::Bisheng(s) => {
                // Nobody's: closing a session of a real workflow can stop it.
                let path = s.chat_path.replace("{id}", &uuid::Uuid::new_v4().simple().to_string());
                let mut places: Vec<String> = s
                    .hops
                    .iter()
                    .rev()
                    .map(|hop| socket(&hop.url, &path))
                    .chain([socket(&s.backend, &path)])
                    .collect();
                let url = places.remove(0);
                let direct = places.pop();
                Endpoint {
                    url,
                    via: places,
                    direct,
                    secret: secret("Cookie", "access_token_cookie=", &s.cookie_file),
                    tls: Some(s.tls.clone()),
                }
            }
            Self::Waha(s) => Endpoint {
                url: socket(&s.url, "/ws"),
                secret: secret("X-Api-Key", "", &s.api_key_file),
                tls: Some(s.tls.clone()),
                ..Endpoint::default()
            },
        }
    }
}

/// A WebSocket address at the place of an HTTP one.
fn socket(url: &str, path: &str) -> String {
    let url = match url.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        _ => url.to_owned(),
    };
    format!("{}{path}", url.trim_end_matches('/'))
}

/// How a kind is watched when nobody says otherwise.
#[must_use]
pub(super) fn default_ways(kind: Kind) -> Vec<Source> {
    match kind {
        Kind::Baileys => vec![Source::Report],
        Kind::Evolution | Kind::Onebot11 | Kind::Bisheng | Kind::Waha => vec![Source::Adapter],
        _ => vec![Source::Canary],
    }
}
