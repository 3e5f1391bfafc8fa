//! What the client sends, and which switch, file or provider decides that.
//!
//! Metrics, error reports and feedback are on by default and off with a third-party provider; the
//! session quality survey is on whatever the provider.

use std::collections::BTreeMap;
use std::path::Path;

use super::Row;
use crate::escape::shown;
use crate::policy::claude::ClientSettings;
use crate::policy::claude::switches::{Meaning, Setter, Setting, Switch};

/// What is known of the clients of one config folder.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Its settings, those of the projects included.
    pub client: &'a ClientSettings,
    /// The switches in the environment of this process.
    pub environment: &'a BTreeMap<Switch, Meaning>,
}

impl Seen<'_> {
    /// The first of these switches that is set.
    fn set(&self, switches: &[Switch], project: Option<&Path>) -> Option<Setting> {
        let settings =
            switches.iter().filter_map(|switch| self.client.switch(*switch, project, self.environment));
        settings.filter(|setting| setting.is_set).find(|_| true)
    }

    /// The provider, where it is not the vendor itself.
    fn provider(&self, project: Option<&Path>) -> Option<(&'static str, Setting)> {
        const PROVIDERS: [(Switch, &str); 4] = [
            (Switch::Bedrock, "Amazon Bedrock"),
            (Switch::Vertex, "Google Vertex AI"),
            (Switch::Foundry, "Microsoft Foundry"),
            (Switch::PlatformOnAws, "Claude Platform on AWS"),
        ];
        PROVIDERS.into_iter().find_map(|(switch, name)| Some((name, self.set(&[switch], project)?)))
    }

    /// What is done about a subject in a project.
    fn does(&self, subject: &Subject, project: Option<&Path>) -> Does {
        if let Some(setting) = self.set(subject.off, project) {
            return Does::Off(setting.by);
        }
        if subject.follows_provider && self.provider(project).is_some() {
            let despite = subject.despite.is_some_and(|switch| self.set(&[switch], project).is_some());
            if !despite {
                return Does::Provider;
            }
        }
        if subject.subject == "survey"
            && let Some(file) = self.client.files().find(|file| file.has_no_surveys())
        {
            return Does::Off(Setter::File(file.kind, file.path.clone()));
        }
        Does::On
    }

    fn row(&self, subject: &Subject) -> Row {
        let Subject { subject: name, setting, .. } = *subject;
        match self.does(subject, None) {
            Does::On => Row::new(name, setting, "on", None),
            Does::Off(by) => Row::new(name, setting, "off", Some(&by)),
            Does::Provider => Row { decided_by: "provider", ..Row::new(name, setting, "off", None) },
        }
    }

    /// A row for everything that it sends.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Row> {
        SUBJECTS.iter().map(|subject| self.row(subject))
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

    /// The row of the provider.
    pub(super) fn provider_row(&self) -> Row {
        let settings = "CLAUDE_CODE_USE_BEDROCK, CLAUDE_CODE_USE_VERTEX, CLAUDE_CODE_USE_FOUNDRY, CLAUDE_CODE_USE_ANTHROPIC_AWS";
        let (name, by) = self.provider(None).unzip();
        Row::new("provider", settings, name.unwrap_or("Claude API"), by.map(|setting| setting.by).as_ref())
    }

    /// What repositories turn on that is off elsewhere.
    pub(super) fn overridden(&self) -> Vec<String> {
        let mut found = Vec::new();
        for project in self.client.projects.keys() {
            for subject in &SUBJECTS {
                let is_on = |project| matches!(self.does(subject, project), Does::On);
                if !is_on(None) && is_on(Some(project)) {
                    found.push(format!("{} in '{}'", subject.subject, shown(project)));
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
                format!("{} has a value that the client {means} ({place})", switch.name())
            })
            .collect()
    }
}

enum Does {
    On,
    Off(Setter),
    Provider,
}

/// Something the client sends.
pub(super) struct Subject {
    pub(super) subject: &'static str,
    pub(super) finding: &'static str,
    pub(super) setting: &'static str,
    /// Any of these turns it off.
    off: &'static [Switch],
    /// Whether a third-party provider turns it off.
    follows_provider: bool,
    /// What turns it on with a provider all the same.
    despite: Option<Switch>,
}

/// Everything that it sends.
pub(super) const SUBJECTS: [Subject; 4] = [
    Subject {
        subject: "metrics",
        finding: "client-metrics",
        setting: "DISABLE_TELEMETRY, DO_NOT_TRACK, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        off: &[Switch::EssentialOnly, Switch::NoTelemetry, Switch::DoNotTrack],
        follows_provider: true,
        despite: Some(Switch::ByHost),
    },
    Subject {
        subject: "error-reports",
        finding: "client-error-reports",
        setting: "DISABLE_ERROR_REPORTING, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        off: &[Switch::EssentialOnly, Switch::NoErrorReports],
        follows_provider: true,
        despite: None,
    },
    Subject {
        subject: "feedback",
        finding: "client-feedback",
        setting: "DISABLE_FEEDBACK_COMMAND, DISABLE_BUG_COMMAND, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        off: &[Switch::EssentialOnly, Switch::NoFeedback, Switch::NoBug],
        follows_provider: true,
        despite: None,
    },
    Subject {
        subject: "survey",
        finding: "client-survey",
        setting: "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY, DISABLE_TELEMETRY, DO_NOT_TRACK, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC, feedbackSurveyRate",
        off: &[Switch::EssentialOnly, Switch::NoSurvey, Switch::NoTelemetry, Switch::DoNotTrack],
        follows_provider: false,
        despite: None,
    },
];
