//! What is found of the clients.

use super::{ClientFacts, Row};
use crate::check::facts::Facts;
use crate::check::{Finding, some};
use crate::services::{KEPT, Kept, PROVIDERS, SERVICES, Service, Usual};

/// Adds what is found.
pub(in crate::check) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
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
    for (service, finding) in SERVICES.iter().filter_map(|service| Some((service, service.finding?))) {
        add(
            finding,
            of(&|client| {
                let row = client.rows.iter().find(|row| row.subject == service.id)?;
                (row.state == "on").then(|| format!("none of these is set: {}", service.setting))
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
            Some(format!("{} ({}): {}", row.state, row.decided_by, defaults(&row.state)))
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
        let classes = KEPT.iter().map(Kept::sentence).collect();
        findings.push(Finding::new("server-side-retention", classes));
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
