//! The vendor's table of services and providers for this machine: what holds by default, what holds here, who decides.

use serde::Serialize;

use super::sends::{Does, Seen};
use crate::client::switches::Setter;
use crate::escape::text;
use crate::services::{PROVIDERS, Provider, SERVICES};

/// A service with one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRow {
    /// The id of the service.
    pub service: &'static str,
    pub name: &'static str,
    /// The id of the provider.
    pub provider: &'static str,
    #[serde(skip)]
    pub provider_name: &'static str,
    /// What holds where nothing is set: `on`, `off`, `on (Pro, Max)`.
    pub default: &'static str,
    /// What turns it off.
    pub setting: &'static str,
    /// What an earlier version of the vendor's page said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<&'static str>,
    /// What holds here; absent for providers that are not in use here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<Here>,
}

/// What holds on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Here {
    /// `on`, `off`, or as the default has it.
    pub state: &'static str,
    /// `managed`, `local`, `project`, `user`, `environment`, `provider` or `default`.
    pub decided_by: &'static str,
    /// The variable or the key that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<&'static str>,
    /// The settings file that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Here {
    fn set(state: &'static str, variable: &'static str, by: &Setter) -> Self {
        Self { state, decided_by: by.word(), variable: Some(variable), path: by.path().map(text) }
    }
}

impl Seen<'_> {
    /// The provider in use, and who chose it.
    pub fn provider_in_use(&self) -> (&'static Provider, Option<Here>) {
        let (provider, by) = self.provider(None);
        (provider, by.map(|setting| Here::set("on", provider.variable.unwrap_or_default(), &setting.by)))
    }

    /// A row a service and provider, those of the provider in use first.
    pub fn services(&self) -> Vec<ServiceRow> {
        let (in_use, _) = self.provider(None);
        let others = PROVIDERS.iter().filter(|provider| *provider != in_use);
        let all = std::iter::once(in_use).chain(others);
        all.flat_map(|provider| {
            SERVICES.iter().map(move |service| ServiceRow {
                service: service.id,
                name: service.name,
                provider: provider.id,
                provider_name: provider.name,
                default: service.usual(provider).word(),
                setting: service.setting,
                changed: service.changed,
                here: (provider == in_use).then(|| match self.does(service, None) {
                    Does::Off(variable, by) => Here::set("off", variable, &by),
                    Does::On(Some((variable, by))) => Here::set("on", variable, &by),
                    Does::On(None) | Does::Provider => Here {
                        state: service.usual(provider).word(),
                        decided_by: if provider.variable.is_some() { "provider" } else { "default" },
                        variable: None,
                        path: None,
                    },
                }),
            })
        })
        .collect()
    }
}
