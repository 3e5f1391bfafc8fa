//! What is found of the clients.

use chrono::{DateTime, Utc};

use super::{ClientFacts, Row};
use crate::check::facts::Facts;
use crate::check::{Finding, FindingId, some};
use crate::services::{KEPT, Kept, PROVIDERS, SERVICES, Service, Usual};
use crate::words::counted;

/// Adds what is found.
pub(in crate::check) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let clients = Clients(&facts.clients);
    for (id, lines) in clients.periods(facts.now).into_iter().chain(clients.sends()) {
        if !lines.is_empty() {
            findings.push(Finding::new(id, some(lines)));
        }
    }
    if !facts.clients.is_empty() {
        let classes = KEPT.iter().map(Kept::sentence).collect();
        findings.push(Finding::new(FindingId::ServerSideRetention, classes));
    }
}

/// What the settings say, a Claude Code a config folder.
struct Clients<'a>(&'a [ClientFacts]);

impl Clients<'_> {
    /// A line of each, with the store where there are several.
    fn each(&self, line: impl Fn(&ClientFacts) -> Option<String>) -> Vec<String> {
        let several = self.0.len() > 1;
        let mut lines: Vec<String> = self
            .0
            .iter()
            .filter_map(|client| {
                let line = line(client)?;
                Some(if several { format!("'{}': {line}", client.store) } else { line })
            })
            .collect();
        lines.dedup();
        lines
    }

    /// The lines of all, each once.
    fn all(&self, lines: impl Fn(&ClientFacts) -> &Vec<String>) -> Vec<String> {
        let mut found: Vec<String> = self.0.iter().flat_map(|client| lines(client).iter().cloned()).collect();
        found.sort();
        found.dedup();
        found
    }

    /// How long each keeps sessions, beside the policy.
    fn periods(&self, now: DateTime<Utc>) -> Vec<(FindingId, Vec<String>)> {
        let shorter = self.each(|client| {
            let (days, floor) = client.period.shorter.as_ref()?;
            Some(format!("it removes after {days} days, and the policy keeps everything for {floor}"))
        });
        let held = self.each(|client| {
            let (count, first) = client.period.held;
            let days = first?.signed_duration_since(now).num_days();
            let when = if days < 1 {
                "at its next start".to_owned()
            } else {
                format!("in {}", counted(days.unsigned_abs(), "day"))
            };
            (count > 0).then(|| format!("{}, the first {when}", counted(count, "held session")))
        });
        let longer = self.each(|client| {
            let (days, ours) = client.period.longer.as_ref()?;
            let note = if *days >= 36_500 { ", which means never, as some tools set it" } else { "" };
            Some(format!("it keeps {days} days{note}; the policy {ours}"))
        });
        let desktop = self.each(|client| {
            (client.period.desktop > 0).then(|| format!("{} sessions", client.period.desktop))
        });
        vec![
            (FindingId::ClientPeriodShorter, shorter),
            (FindingId::ClientRemovesHeld, held),
            (FindingId::ClientPeriodLonger, longer),
            (FindingId::ClientSweepPaused, self.each(|client| client.period.paused.clone())),
            (FindingId::ClientPeriodOverridden, self.all(|client| &client.period.overridden)),
            (FindingId::ClientZeroPeriod, self.all(|client| &client.period.zero)),
            (FindingId::ClientDesktopKept, desktop),
        ]
    }

    /// What each sends, and what decides that.
    fn sends(&self) -> Vec<(FindingId, Vec<String>)> {
        let services = SERVICES.iter().filter_map(|service| Some((service, service.finding?)));
        let mut found: Vec<_> = services
            .map(|(service, id)| {
                let lines = self.each(|client| {
                    let row = client.rows.iter().find(|row| row.subject == service.id)?;
                    (row.state == "on").then(|| format!("none of these is set: {}", service.setting))
                });
                (id, lines)
            })
            .collect();
        let set = |client: &ClientFacts, subject: &str| -> Option<Row> {
            client.rows.iter().find(|row| row.subject == subject && row.decided_by != "default").cloned()
        };
        let provider = self.each(|client| {
            let row = set(client, "provider")?;
            Some(format!("{} ({}): {}", row.state, row.decided_by, defaults(&row.state)))
        });
        let unwritten = self.each(|client| {
            let row = set(client, "transcripts").filter(|row| row.state == "not written")?;
            Some(format!("{} is set ({})", row.setting, row.decided_by))
        });
        found.extend([
            (FindingId::ClientSwitchOverridden, self.all(|client| &client.overridden)),
            (FindingId::ClientSwitchOdd, self.all(|client| &client.odd)),
            (FindingId::ClientProvider, provider),
            (FindingId::ClientWritesNothing, unwritten),
        ]);
        found
    }
}

/// What a provider changes of what is sent by default, and where the vendor's page changed.
fn defaults(provider: &str) -> String {
    let provider = PROVIDERS.iter().find(|row| row.name == provider);
    let is_off = |service: &&Service| provider.is_some_and(|row| service.usual(row) == Usual::Off);
    let off: Vec<&str> = SERVICES.iter().filter(is_off).map(|service| service.name).collect();
    let changed =
        SERVICES.iter().filter_map(|service| Some(format!("; {}: {}", service.name, service.changed?)));
    format!("off by default: {}{}", off.join(", "), changed.collect::<String>())
}
