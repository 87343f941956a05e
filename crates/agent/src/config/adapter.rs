//! The sections of adapters: one per kind that has interfaces of its own, under the kind's name.
//!
//! **Adding one** is a line in the table below and a field in [`super::GatewayConfig`].

use mooring_core::kind::Kind;
use mooring_core::session::Source;
use mooring_gateways::{Adapter, bisheng, evolution, onebot11, waha};
use mooring_runtime::config::Problem;

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

/// How a kind is watched when nobody says otherwise.
#[must_use]
pub(super) fn default_ways(kind: Kind) -> Vec<Source> {
    match kind {
        Kind::Baileys => vec![Source::Report],
        Kind::Evolution | Kind::Onebot11 | Kind::Bisheng | Kind::Waha => vec![Source::Adapter],
        _ => vec![Source::Canary],
    }
}
