//! What the client sends, and which switch, file or provider decides that.
//!
//! What holds by default is in [`crate::services`].

use std::collections::BTreeMap;
use std::path::Path;

use super::Row;
use crate::client::ClientSettings;
use crate::client::switches::{Meaning, Setter, Setting, Switch};
use crate::escape::shown;
use crate::services::{PROVIDERS, Provider, SERVICES, Service, Usual};

/// What is known of the clients of one config folder.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Its settings, those of the projects included.
    pub client: &'a ClientSettings,
    /// The switches in the environment of this process.
    pub environment: &'a BTreeMap<Switch, Meaning>,
}

impl Seen<'_> {
    /// What sets a variable, where it counts as set.
    fn set(&self, variable: &str, project: Option<&Path>) -> Option<Setting> {
        let switch = Switch::named(variable)?;
        self.client.switch(switch, project, self.environment).filter(|setting| setting.is_set)
    }

    /// The provider, and what chose it; the vendor itself where nothing did.
    pub(super) fn provider(&self, project: Option<&Path>) -> (&'static Provider, Option<Setting>) {
        let [.., vendor] = &PROVIDERS;
        let chosen =
            PROVIDERS.iter().find_map(|provider| Some((provider, self.set(provider.variable?, project)?)));
        chosen.map_or((vendor, None), |(provider, by)| (provider, Some(by)))
    }

    /// What is done about a service in a project.
    pub(super) fn does(&self, service: &'static Service, project: Option<&Path>) -> Does {
        let mut names = service.setting.rsplit(", ");
        if let Some((name, by)) = names.clone().find_map(|name| Some((name, self.set(name, project)?.by))) {
            return Does::Off(name, by);
        }
        if service.usual(self.provider(project).0) == Usual::Off {
            let despite = service.despite.and_then(|name| Some((name, self.set(name, project)?.by)));
            return despite.map_or(Does::Provider, |by| Does::On(Some(by)));
        }
        let by_key = |name| {
            let (kind, path) = self.client.turning_off(name)?;
            Some(Does::Off(name, Setter::File(*kind, path.clone())))
        };
        names.find_map(by_key).unwrap_or(Does::On(None))
    }

    fn row(&self, service: &'static Service) -> Row {
        let Service { id, setting, .. } = *service;
        match self.does(service, None) {
            Does::On(_) => Row::new(id, setting, "on", None),
            Does::Off(_, by) => Row::new(id, setting, "off", Some(&by)),
            Does::Provider => Row { decided_by: "provider", ..Row::new(id, setting, "off", None) },
        }
    }

    /// A row for everything that it sends of sessions.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Row> {
        SERVICES.iter().filter(|service| service.finding.is_some()).map(|service| self.row(service))
    }

    /// The row of one switch: in the first state where it is not set, in the second where it is.
    pub(super) fn switch_row(&self, subject: &'static str, switch: Switch, states: [&str; 2]) -> Row {
        let setting = self.client.switch(switch, None, self.environment);
        let is_set = setting.as_ref().is_some_and(|setting| setting.is_set);
        Row::new(
            subject,
            switch.name(),
            states[usize::from(is_set)],
            setting.map(|setting| setting.by).as_ref(),
        )
    }

    pub(super) fn provider_row(&self) -> Row {
        let settings = "CLAUDE_CODE_USE_BEDROCK, CLAUDE_CODE_USE_VERTEX, CLAUDE_CODE_USE_FOUNDRY, CLAUDE_CODE_USE_ANTHROPIC_AWS";
        let (provider, by) = self.provider(None);
        Row::new("provider", settings, provider.name, by.map(|setting| setting.by).as_ref())
    }

    /// What repositories turn on that is off elsewhere.
    pub(super) fn overridden(&self) -> Vec<String> {
        let mut found = Vec::new();
        for project in self.client.projects.keys() {
            for service in SERVICES.iter().filter(|service| service.finding.is_some()) {
                let is_on = |project| matches!(self.does(service, project), Does::On(_));
                if !is_on(None) && is_on(Some(project)) {
                    found.push(format!("{} in '{}'", service.id, shown(project)));
                }
            }
        }
        found
    }

    /// Switches with a value that may not mean what was meant.
    pub(super) fn odd(&self) -> Vec<String> {
        let switches = Switch::ALL.iter().filter_map(|switch| {
            let setting = self.client.switch(*switch, None, self.environment)?;
            setting.is_odd.then_some((switch, setting))
        });
        switches
            .map(|(switch, setting)| {
                let means = if setting.is_set { "takes as set" } else { "does not take as set" };
                let place = match setting.by.path() {
                    Some(path) => format!("{}, '{}'", setting.by.word(), shown(path)),
                    None => setting.by.word().to_owned(),
                };
                format!("{} has a value that Claude Code {means} ({place})", switch.name())
            })
            .collect()
    }
}

/// What is done about a service, and what decides that.
pub(super) enum Does {
    /// It is sent; by this variable where one turns it on.
    On(Option<(&'static str, Setter)>),
    /// It is not, by this variable or key.
    Off(&'static str, Setter),
    /// It is not, because of the provider.
    Provider,
}
