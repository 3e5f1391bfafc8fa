//! What the client itself keeps, sends and writes, and which source decides that.
//!
//! One row a subject, as the vendor's data-usage page names them (code.claude.com/docs/en/data-usage):
//! metrics, error reports and feedback are on by default and off with a third-party provider; the
//! session quality survey is on whatever the provider.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::facts::Facts;
use super::{Finding, some};
use crate::escape::{shown, text};
use crate::inventory::{Evidence, Inventory};
use crate::period::{Length, Period};
use crate::plan::{Decision, Keep, Plan};
use crate::policy::Policy;
use crate::policy::claude::switches::{Meaning, Setting, Switch};
use crate::policy::claude::{ClientSettings, Number, SourceKind, Sweep};

/// What one config folder's clients do.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientFacts {
    /// The config folder, as it is shown; empty where there is none.
    pub store: String,
    /// One row a subject.
    pub rows: Vec<Row>,
    /// How its period compares with the policy.
    #[serde(skip)]
    pub period: PeriodFacts,
    /// What repositories turn on that other settings turn off.
    #[serde(skip)]
    pub overridden: Vec<String>,
    /// Switches with a value that may not mean what was meant.
    #[serde(skip)]
    pub odd: Vec<String>,
}

/// A subject: what the client does about it, and who decides that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The subject.
    pub subject: &'static str,
    /// The keys that decide it.
    pub setting: &'static str,
    /// What holds: `on`, `off`, a number of days, a provider.
    pub state: String,
    /// `managed`, `local`, `project`, `user`, `environment`, `provider` or `default`.
    pub decided_by: &'static str,
    /// The settings file that decides, if one does.
    pub path: Option<String>,
    /// Whether users cannot change it.
    pub pinned: bool,
}

/// How the client's period compares with the policy.
#[derive(Debug, Clone, Default)]
pub struct PeriodFacts {
    /// The client's period where it is shorter than the policy's floor, with the floor.
    pub shorter: Option<(u64, String)>,
    /// The client's period where it is longer than the policy's, with the policy's.
    pub longer: Option<(u64, String)>,
    /// Why its sweep is paused.
    pub paused: Option<String>,
    /// Repositories that set a period of their own, a sentence each.
    pub overridden: Vec<String>,
    /// Files with a period of 0.
    pub zero: Vec<String>,
    /// Held sessions that it will remove, and when the first goes.
    pub held: (u64, Option<DateTime<Utc>>),
    /// Sessions of the desktop application that it never removes.
    pub desktop: u64,
}

/// What the policy says of periods.
#[derive(Debug, Clone, Default)]
pub struct PolicyPeriods {
    /// The longest period of any rule for sessions; `None` where one is without end, or none is there.
    pub longest: Option<Period>,
    /// What nothing younger than is deleted.
    pub floor: Option<Period>,
}

impl PolicyPeriods {
    /// Those of a policy.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let periods = session_periods(policy);
        let endless = periods.iter().any(|period| period.length() == Length::Never);
        let longest = periods.into_iter().max_by_key(Period::length).filter(|_| !endless);
        let floors = policy.mandates.iter().filter_map(|mandate| Some(mandate.keep_at_least.clone()?.value));
        Self { longest, floor: floors.max_by_key(Period::length) }
    }
}

/// Every `deleteAfter` that concerns whole sessions.
#[must_use]
pub fn session_periods(policy: &Policy) -> Vec<Period> {
    let of_sessions = |rule: &&crate::policy::Rule| {
        rule.selector.kinds.as_ref().is_none_or(|kinds| kinds.contains(&crate::catalogue::Kind::Transcript))
    };
    let layers = policy.mandates.iter().flat_map(|mandate| &mandate.layers);
    let rules = layers.flat_map(|layer| layer.rules.iter().filter(of_sessions));
    rules.filter_map(|rule| rule.delete_after.clone()).collect()
}

/// Whole days that a period has at least; `None` where it has no end.
fn days(period: &Period) -> Option<u64> {
    match period.length() {
        Length::Immediately => Some(0),
        Length::Never => None,
        Length::Span(span) => {
            let seconds = u64::try_from(span.num_seconds()).unwrap_or(0);
            Some(seconds.div_ceil(86_400))
        }
    }
}

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
            return Does::Off(Some(setting));
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
            use crate::policy::claude::switches::Setter;
            let by = Setter::File(file.kind, file.path.clone());
            return Does::Off(Some(Setting { is_set: true, is_odd: false, by }));
        }
        Does::On
    }

    fn row(&self, subject: &Subject) -> Row {
        let of =
            |setting: &Setting| (setting.by.word(), setting.by.path().map(text), setting.by.is_managed());
        let (state, (decided_by, path, pinned)) = match self.does(subject, None) {
            Does::On => ("on", ("default", None, false)),
            Does::Provider => ("off", ("provider", None, false)),
            Does::Off(Some(setting)) => ("off", of(&setting)),
            Does::Off(None) => ("off", ("default", None, false)),
        };
        Row {
            subject: subject.subject,
            setting: subject.setting,
            state: state.to_owned(),
            decided_by,
            path,
            pinned,
        }
    }
}

enum Does {
    On,
    Off(Option<Setting>),
    Provider,
}

/// Something the client sends.
struct Subject {
    subject: &'static str,
    finding: &'static str,
    setting: &'static str,
    /// Any of these turns it off.
    off: &'static [Switch],
    /// Whether a third-party provider turns it off.
    follows_provider: bool,
    /// What turns it on with a provider all the same.
    despite: Option<Switch>,
}

const SUBJECTS: [Subject; 4] = [
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

/// Looks at the clients of one config folder.
#[must_use]
pub fn look(store: &str, seen: &Seen<'_>, periods: &PolicyPeriods) -> ClientFacts {
    let client = seen.client;
    let mut rows = vec![cache_row(client), desktop_row(client)];
    rows.extend(SUBJECTS.iter().map(|subject| seen.row(subject)));
    rows.push(switch_row(seen, "nonessential-traffic", Switch::EssentialOnly, ["on", "off"]));
    rows.push(provider_row(seen));
    rows.push(switch_row(seen, "transcripts", Switch::NoTranscripts, ["written", "not written"]));
    rows.push(Row {
        subject: "server-side-retention",
        setting: "",
        state: "unknown".to_owned(),
        decided_by: "default",
        path: None,
        pinned: false,
    });
    let mut odd = Vec::new();
    for switch in Switch::ALL {
        if let Some(setting) = client.switch(*switch, None, seen.environment).filter(|setting| setting.is_odd)
        {
            let means = if setting.is_set { "takes as set" } else { "does not take as set" };
            odd.push(format!(
                "{} has a value that the client {means} ({})",
                switch.name(),
                place(setting.by.word(), setting.by.path())
            ));
        }
    }
    ClientFacts {
        store: store.to_owned(),
        rows,
        period: period(client, periods),
        overridden: overridden(seen),
        odd,
    }
}

fn place(word: &str, path: Option<&Path>) -> String {
    path.map_or_else(|| word.to_owned(), |path| format!("{word}, '{}'", shown(path)))
}

fn switch_row(seen: &Seen<'_>, subject: &'static str, switch: Switch, states: [&str; 2]) -> Row {
    let setting = seen.client.switch(switch, None, seen.environment);
    let is_set = setting.as_ref().is_some_and(|setting| setting.is_set);
    Row {
        subject,
        setting: switch.name(),
        state: states[usize::from(is_set)].to_owned(),
        decided_by: setting.as_ref().map_or("default", |setting| setting.by.word()),
        path: setting.as_ref().and_then(|setting| setting.by.path().map(text)),
        pinned: setting.is_some_and(|setting| setting.by.is_managed()),
    }
}

fn provider_row(seen: &Seen<'_>) -> Row {
    let provider = seen.provider(None);
    Row {
        subject: "provider",
        setting: "CLAUDE_CODE_USE_BEDROCK, CLAUDE_CODE_USE_VERTEX, CLAUDE_CODE_USE_FOUNDRY, CLAUDE_CODE_USE_ANTHROPIC_AWS",
        state: provider.as_ref().map_or("Claude API", |(name, _)| name).to_owned(),
        decided_by: provider.as_ref().map_or("default", |(_, setting)| setting.by.word()),
        path: provider.as_ref().and_then(|(_, setting)| setting.by.path().map(text)),
        pinned: provider.is_some_and(|(_, setting)| setting.by.is_managed()),
    }
}

fn cache_row(client: &ClientSettings) -> Row {
    let (state, path) = match client.sweep(None) {
        Sweep::Runs { days, path } => (format!("{days} days"), path),
        Sweep::Paused { .. } => ("paused".to_owned(), None),
    };
    let decided = path.as_deref().and_then(|path| client.files().find(|file| file.path == path));
    let word = decided.map_or("default", |file| kind_word(file.kind));
    Row {
        subject: "cache-period",
        setting: "cleanupPeriodDays",
        state,
        decided_by: word,
        path: path.as_deref().map(text),
        pinned: word == "managed",
    }
}

fn desktop_row(client: &ClientSettings) -> Row {
    let removal = client.removal(DateTime::UNIX_EPOCH, None, true);
    let path = removal.as_ref().and_then(|removal| removal.path.clone());
    let decided = path.as_deref().and_then(|path| client.files().find(|file| file.path == path));
    let word = decided.map_or("default", |file| kind_word(file.kind));
    Row {
        subject: "desktop-cache-period",
        setting: "desktopSessionCleanupPeriodDays, cleanupPeriodDays",
        state: removal.map_or_else(|| "never".to_owned(), |removal| format!("{} days", removal.days)),
        decided_by: word,
        path: path.as_deref().map(text),
        pinned: word == "managed",
    }
}

fn kind_word(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::User => "user",
        SourceKind::Project => "project",
        SourceKind::Local => "local",
        SourceKind::Server | SourceKind::Preferences | SourceKind::Managed => "managed",
    }
}

fn period(client: &ClientSettings, policy: &PolicyPeriods) -> PeriodFacts {
    let mut facts = PeriodFacts::default();
    match client.sweep(None) {
        Sweep::Paused { reason } => facts.paused = Some(reason),
        Sweep::Runs { days: usual, .. } => {
            if let Some(longest) = &policy.longest
                && days(longest).is_some_and(|ours| usual > ours.max(1))
            {
                facts.longer = Some((usual, longest.to_string()));
            }
        }
    }
    // One sweep covers the whole store, by the shortest period of all projects.
    if let (Some(removal), Some(floor)) = (client.removal(DateTime::UNIX_EPOCH, None, false), &policy.floor)
        && days(floor).is_none_or(|floor| removal.days < floor)
    {
        facts.shorter = Some((removal.days, floor.to_string()));
    }
    // A managed period is the one thing that no repository overrides.
    let is_pinned = client.managed.iter().any(|file| file.cleanup().days().is_some());
    for file in client.projects.values().flatten().filter(|_| !is_pinned) {
        match file.cleanup() {
            Number::Unset => {}
            Number::Days(days) => facts.overridden.push(format!("'{}': {days} days", shown(&file.path))),
            Number::Zero | Number::Invalid => {
                facts.overridden.push(format!("'{}': no valid period", shown(&file.path)));
            }
        }
    }
    let zero = client.files().filter(|file| file.cleanup() == Number::Zero);
    facts.zero = zero.map(|file| format!("'{}'", shown(&file.path))).collect();
    facts
}

/// What repositories turn on that is off elsewhere.
fn overridden(seen: &Seen<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for project in seen.client.projects.keys() {
        for subject in &SUBJECTS {
            let is_on = |project| matches!(seen.does(subject, project), Does::On);
            if !is_on(None) && is_on(Some(project)) {
                found.push(format!("{} in '{}'", subject.subject, shown(project)));
            }
        }
    }
    found
}

impl ClientFacts {
    /// Takes note of the sessions of the folder: which held ones the client will remove, and how many
    /// of the desktop application it never does.
    pub fn count(
        &mut self,
        client: &ClientSettings,
        store: usize,
        inventory: &Inventory,
        plan: &Plan,
        policy: &Policy,
    ) {
        for (session, verdict) in inventory.sessions.iter().zip(&plan.sessions) {
            if session.store.at() != store || session.evidence != Evidence::Transcript {
                continue;
            }
            let Some(modified) = session.modified else { continue };
            let project = session.project.as_deref().map(Path::new);
            let removal = client.removal(modified, project, session.is_desktop);
            match (removal, verdict.decision) {
                (None, _) => self.period.desktop += u64::from(session.is_desktop),
                (Some(removal), Decision::Keep(Keep::Held(hold)))
                    if policy.hold(hold).is_some_and(|hold| hold.is_active(removal.at)) =>
                {
                    let (count, first) = &mut self.period.held;
                    *count += 1;
                    *first = Some(first.map_or(removal.at, |first| first.min(removal.at)));
                }
                _ => {}
            }
        }
    }
}

/// Adds what is found.
pub(super) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut add = |id: &'static str, lines: Vec<String>| {
        if !lines.is_empty() {
            findings.push(Finding::new(id, some(lines)));
        }
    };
    let clients = &facts.clients;
    let of = |line: &dyn Fn(&ClientFacts) -> Option<String>| -> Vec<String> {
        let several = clients.len() > 1;
        let mut lines: Vec<String> = clients
            .iter()
            .filter_map(|client| {
                let line = line(client)?;
                Some(if several { format!("'{}': {line}", client.store) } else { line })
            })
            .collect();
        lines.dedup();
        lines
    };
    let all = |lines: &dyn Fn(&ClientFacts) -> &Vec<String>| -> Vec<String> {
        let mut found: Vec<String> =
            clients.iter().flat_map(|client| lines(client).iter().cloned()).collect();
        found.sort();
        found.dedup();
        found
    };
    add(
        "client-period-shorter",
        of(&|client| {
            let (days, floor) = client.period.shorter.as_ref()?;
            Some(format!("it removes after {days} days, and the policy keeps everything for {floor}"))
        }),
    );
    add(
        "client-removes-held",
        of(&|client| {
            let (count, first) = client.period.held;
            let first = first?.format("%Y-%m-%d");
            (count > 0).then(|| format!("{count} held sessions, the first on {first}, if it is started"))
        }),
    );
    add(
        "client-period-longer",
        of(&|client| {
            let (days, ours) = client.period.longer.as_ref()?;
            let note = if *days >= 36_500 { ", which means never, as some tools set it" } else { "" };
            Some(format!("it keeps {days} days{note}; the policy {ours}"))
        }),
    );
    add("client-sweep-paused", of(&|client| client.period.paused.clone()));
    add("client-period-overridden", all(&|client| &client.period.overridden));
    add("client-zero-period", all(&|client| &client.period.zero));
    add(
        "client-desktop-kept",
        of(&|client| (client.period.desktop > 0).then(|| format!("{} sessions", client.period.desktop))),
    );
    for subject in &SUBJECTS {
        add(
            subject.finding,
            of(&|client| {
                let row = client.rows.iter().find(|row| row.subject == subject.subject)?;
                (row.state == "on").then(|| format!("none of these is set: {}", subject.setting))
            }),
        );
    }
    add("client-switch-overridden", all(&|client| &client.overridden));
    add("client-switch-odd", all(&|client| &client.odd));
    let row = |client: &ClientFacts, subject: &str| -> Option<Row> {
        client.rows.iter().find(|row| row.subject == subject && row.decided_by != "default").cloned()
    };
    add(
        "client-provider",
        of(&|client| {
            let row = row(client, "provider")?;
            Some(format!(
                "{} ({}): metrics, error reports and /feedback are off by default, the survey is not",
                row.state, row.decided_by
            ))
        }),
    );
    add(
        "client-writes-nothing",
        of(&|client| {
            let row = row(client, "transcripts").filter(|row| row.state == "not written")?;
            Some(format!("{} is set ({})", row.setting, row.decided_by))
        }),
    );
    if !clients.is_empty() {
        add(
            "server-side-retention",
            vec![
                "consumer accounts: 5 years where the data may be used to improve models, else 30 days; \
                 commercial accounts: 30 days, or none under zero data retention; transcripts sent with \
                 /feedback: 5 years"
                    .to_owned(),
            ],
        );
    }
}
