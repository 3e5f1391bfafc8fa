//! Whether data is kept as the policy says, and whether that can be shown.

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::{Amount, Facts, LedgerFact, RunFacts, StoreFacts};
use super::{Finding, FindingId, Severity, some};
use crate::escape::shown;
use crate::words::{counted, grouped, size};

/// A run that ended well this long ago is too long ago, unless the schedule has longer steps.
const LATE: TimeDelta = TimeDelta::days(3);
/// What to do about what no run acts on.
const AUDITED: &str = "the policy is in audit mode, so runs report and change nothing: look with \
     `ccretain enforce --dry-run`, then set \"mode\" to \"enforce\" in the policy";
/// So many more unrecognised files than before are worth telling.
const GROWTH: u64 = 10;

/// Adds what is found.
pub(super) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    policy(facts, findings);
    due(facts, findings);
    runs(facts, findings);
    ledger(&facts.runs, findings);
    sealed(facts, findings);
    unruled(facts, findings);
    roots(facts, findings);
}

fn policy(facts: &Facts, findings: &mut Vec<Finding>) {
    let policy = &facts.policy;
    if let Some(why) = &policy.invalid {
        findings.push(Finding::new(FindingId::PolicyInvalid, vec![why.clone()]));
    }
    if !policy.complaints.is_empty() {
        findings.push(Finding::new(FindingId::PolicyComplaint, some(policy.complaints.iter().cloned())));
    }
    if !policy.ignored.is_empty() {
        findings.push(Finding::new(FindingId::PolicyIgnored, some(policy.ignored.iter().cloned())));
    }
    if let Some(why) = &policy.suspended {
        findings.push(Finding::new(FindingId::PolicySuspended, vec![why.clone()]));
    }
    if policy.audits {
        findings.push(Finding::new(FindingId::AuditMode, Vec::new()));
    }
}

/// The amounts of all stores of which there are any: together, and a sentence each.
fn of_stores(facts: &Facts, of: impl Fn(&StoreFacts) -> Amount, age: &str) -> Option<(Amount, Vec<String>)> {
    let found: Vec<(&StoreFacts, Amount)> =
        facts.stores.iter().map(|store| (store, of(store))).filter(|(_, amount)| !amount.is_none()).collect();
    let all = found.iter().fold(Amount::default(), |all, (_, amount)| all.plus(amount));
    let lines = found.iter().map(|(store, amount)| {
        let mut words = Vec::new();
        for (count, noun) in [(amount.sessions, "session"), (amount.files, "file"), (amount.lines, "line")] {
            words.extend((count > 0).then(|| counted(count, noun)));
        }
        words.push(size(amount.bytes));
        words.extend(amount.oldest.map(|at| format!("{age} {}", days(facts, at))));
        format!("'{}': {}", store.root, words.join(", "))
    });
    (!all.is_none()).then(|| (all, some(lines)))
}

/// How long ago a moment is. No date: a verdict is read in many time zones, and its `now` says when it was given.
fn days(facts: &Facts, at: DateTime<Utc>) -> String {
    match facts.now.signed_duration_since(at).num_days() {
        ..1 => "less than a day".to_owned(),
        some => counted(some.unsigned_abs(), "day"),
    }
}

fn due(facts: &Facts, findings: &mut Vec<Finding>) {
    let amount = |id, found: Option<(Amount, Vec<String>)>, findings: &mut Vec<Finding>| {
        if let Some((all, lines)) = found {
            let finding = Finding::new(id, lines).count(all.files + all.lines).bytes(all.bytes);
            // A run would change nothing, so to run is no remedy.
            findings.push(if facts.policy.audits { finding.remedy(AUDITED) } else { finding });
        }
    };
    amount(FindingId::Overdue, of_stores(facts, |store| store.overdue, "due for up to"), findings);
    amount(FindingId::Unsealed, of_stores(facts, |store| store.unsealed, "due for up to"), findings);
    amount(FindingId::Leftovers, of_stores(facts, |store| store.leftovers, "there for up to"), findings);
}

fn runs(facts: &Facts, findings: &mut Vec<Finding>) {
    let runs = &facts.runs;
    let is_late = |at: DateTime<Utc>| {
        // By a schedule of every week a run of five days ago is no late one.
        let answered = runs.schedules.iter().any(|schedule| schedule.missed == Some(0));
        facts.now.signed_duration_since(at) > LATE.max(facts.grace) && !answered
    };
    match (runs.last, runs.last_well) {
        (_, Some(at)) if is_late(at) => {
            let line = format!("the last run that succeeded was {} ago", days(facts, at));
            findings.push(Finding::new(FindingId::RunLate, vec![line]));
        }
        // One that ended well in time is enough; that the last one failed is told below.
        (_, Some(_)) => {}
        (None, None) => {
            findings.push(Finding::new(FindingId::RunMissing, Vec::new()));
        }
        (Some((at, exit)), None) => {
            let line = format!("the only recorded run, {} ago, ended with exit {exit}", days(facts, at));
            findings.push(Finding::new(FindingId::RunMissing, vec![line]));
        }
    }
    // Beside the others: that one ended well in time says nothing of the newest.
    if let Some((at, exit)) = runs.last.filter(|(_, exit)| *exit != 0) {
        let line = format!("it ended with exit {exit}, {} ago", days(facts, at));
        findings.push(Finding::new(FindingId::RunFailed, vec![line]));
    }
    if !runs.refusals.is_empty() {
        findings.push(Finding::new(FindingId::GuardRefusal, some(runs.refusals.iter().cloned())));
    }
    if let Some(why) = &runs.state {
        findings.push(Finding::new(FindingId::StateUnreadable, vec![why.clone()]));
    }
    if !runs.locked.is_empty() {
        let lines = runs.locked.iter().map(|(root, since)| format!("'{root}' for {}", days(facts, *since)));
        findings.push(Finding::new(FindingId::LockHeld, some(lines)).count(runs.locked.len() as u64));
    }
    schedules(runs, findings);
}

fn schedules(runs: &RunFacts, findings: &mut Vec<Finding>) {
    let named = |schedule: &super::facts::ScheduleFact| {
        let whose = if schedule.is_system { "the machine's" } else { "the user's" };
        format!("{whose} {} in '{}'", schedule.backend, schedule.place)
    };
    if let Some(why) = &runs.schedules_unknown {
        findings.push(Finding::new(FindingId::ScheduleUnknown, vec![why.clone()]));
    } else if runs.schedules.is_empty() {
        findings.push(Finding::new(FindingId::ScheduleMissing, Vec::new()));
    }
    let broken: Vec<String> = runs
        .schedules
        .iter()
        .filter_map(|schedule| {
            let why = if !schedule.starts {
                "its program is not there or does not start"
            } else if schedule.active == Some(false) {
                "the scheduler does not have it running"
            } else {
                return None;
            };
            Some(format!("{}: {why}", named(schedule)))
        })
        .collect();
    if !broken.is_empty() {
        findings.push(Finding::new(FindingId::ScheduleBroken, broken));
    }
    let others: Vec<String> = runs
        .schedules
        .iter()
        .filter_map(|schedule| Some(format!("{}: '{}'", named(schedule), schedule.other_version.as_ref()?)))
        .collect();
    if !others.is_empty() {
        findings.push(Finding::new(FindingId::ScheduleVersion, others));
    }
    if runs.schedules.len() > 1 {
        findings.push(Finding::new(FindingId::ScheduleTwice, runs.schedules.iter().map(named).collect()));
    }
}

/// What is found where only the policy and the ledger of the machine are looked at.
#[cfg(unix)]
pub fn of_machine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    policy(facts, &mut findings);
    ledger(&facts.runs, &mut findings);
    findings
}

fn ledger(runs: &RunFacts, findings: &mut Vec<Finding>) {
    match &runs.ledger {
        LedgerFact::Sound | LedgerFact::Elsewhere => {}
        LedgerFact::Broken(why) => findings.push(Finding::new(FindingId::LedgerBroken, vec![why.clone()])),
        LedgerFact::Cut(records) => findings.push(Finding::new(FindingId::LedgerCut, records.clone())),
        LedgerFact::Unreadable(why) => {
            findings.push(Finding::new(FindingId::LedgerUnreadable, vec![why.clone()]))
        }
    }
    if let Some(why) = &runs.unwritable {
        findings.push(Finding::new(FindingId::LedgerUnwritable, vec![why.clone()]));
    }
}

fn sealed(facts: &Facts, findings: &mut Vec<Finding>) {
    let sealed = &facts.sealed;
    if sealed.to_others > 0 {
        let line = format!(
            "{} of {} sealed sessions are recorded as sealed to other recipients than the policy names; \
             to whom exactly an age file is sealed cannot be read from it",
            sealed.to_others, sealed.sessions
        );
        findings.push(Finding::new(FindingId::SealedToOthers, vec![line]).count(sealed.to_others));
    }
    if sealed.to_unknown > 0 && sealed.has_recipients {
        let line = format!("{} of {} sealed sessions", sealed.to_unknown, sealed.sessions);
        findings.push(Finding::new(FindingId::SealedToUnknown, vec![line]).count(sealed.to_unknown));
    }
    if sealed.redated > 0 {
        let line = format!("{} of {} sealed sessions", sealed.redated, sealed.sessions);
        findings.push(Finding::new(FindingId::SealedRedated, vec![line]).count(sealed.redated));
    }
    if !sealed.unreadable.is_empty() {
        let lines = sealed.unreadable.iter().map(|(session, why)| format!("session {session}: {why}"));
        findings.push(
            Finding::new(FindingId::SealedUnreadable, some(lines)).count(sealed.unreadable.len() as u64),
        );
    }
}

fn unruled(facts: &Facts, findings: &mut Vec<Finding>) {
    let unruled = &facts.unruled;
    for (id, count, noun) in [
        (FindingId::NoDeleteRule, unruled.no_delete_rule, "session"),
        (FindingId::FutureDated, unruled.future_dated, "session"),
        (FindingId::Undated, unruled.undated, "session"),
        (FindingId::OwnerUnknown, unruled.owner_unknown, "session"),
    ] {
        if count > 0 {
            let finding = Finding::new(id, vec![counted(count, noun)]).count(count);
            // Whoever dates his files ahead stops what the organisation demands.
            let is_graver = id == FindingId::FutureDated && unruled.future_is_managed;
            findings.push(if is_graver { finding.severity(Severity::Medium) } else { finding });
        }
    }
    if !facts.past_due.is_empty() {
        let count = facts.past_due.values().sum();
        let lines = facts.past_due.iter().map(|(reason, count)| format!("{reason}: {count}"));
        findings.push(Finding::new(FindingId::KeptPastDue, lines.collect()).count(count));
    }
    if unruled.unrecognised > 0 {
        let bytes = unruled.unrecognised_bytes;
        let line = format!("{}, {}", counted(unruled.unrecognised, "file"), size(bytes));
        findings
            .push(Finding::new(FindingId::Unrecognised, vec![line]).count(unruled.unrecognised).bytes(bytes));
    }
    if let Some(before) = unruled.unrecognised_before
        && unruled.unrecognised >= before.saturating_add(GROWTH)
    {
        let line = format!(
            "{}, where there were {} at most a month ago",
            counted(unruled.unrecognised, "file"),
            grouped(before)
        );
        findings.push(
            Finding::new(FindingId::UnrecognisedGrowing, vec![line]).count(unruled.unrecognised - before),
        );
    }
    let (copies, count) = &facts.left_copies;
    if *count > 0 {
        findings.push(Finding::new(FindingId::CopiesLeft, some(copies.iter().cloned())).count(*count));
    }
    if !facts.vanished.is_empty() {
        let count = facts.vanished.len() as u64;
        findings
            .push(Finding::new(FindingId::HeldVanished, some(facts.vanished.iter().cloned())).count(count));
    }
}

fn roots(facts: &Facts, findings: &mut Vec<Finding>) {
    for (id, is_missing) in [(FindingId::RootMissing, true), (FindingId::RootRefused, false)] {
        let lines: Vec<String> = facts
            .refused
            .iter()
            .filter(|refused| refused.is_missing == is_missing)
            .map(|refused| format!("'{}': {}", shown(&refused.path), refused.why))
            .collect();
        if !lines.is_empty() {
            let count = lines.len() as u64;
            findings.push(Finding::new(id, some(lines)).count(count));
        }
    }
    if !facts.out_of_reach.is_empty() {
        let lines = facts.out_of_reach.iter().map(|(path, why)| format!("'{path}': {why}"));
        findings
            .push(Finding::new(FindingId::OutOfReach, some(lines)).count(facts.out_of_reach.len() as u64));
    }
    if !facts.unread.is_empty() {
        let lines = facts.unread.iter().map(|(path, why)| format!("'{path}': {why}"));
        findings.push(Finding::new(FindingId::Unreadable, some(lines)).count(facts.unread.len() as u64));
    }
}
