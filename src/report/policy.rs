//! The policy in one sentence, and what it would come to.

use chrono::{DateTime, TimeDelta, Utc};

use super::human::{counted, grouped};
use crate::document::{Hue, Line};
use crate::inventory::Inventory;
use crate::period::{Length, Period};
use crate::plan::{self, Decision, Keep, Plan, Verdict};
use crate::policy::{Layer, Mode, Policy, Rule};

/// What a policy does with most sessions, and who says so.
pub fn sentence(policy: &Policy) -> Line {
    if let Some(why) = &policy.suspended {
        return Line::of("nothing is deleted: ", Hue::Warn).and(why.clone(), Hue::Plain);
    }
    let layers = || policy.mandates.iter().flat_map(|mandate| &mandate.layers);
    let mut names: Vec<Layer> =
        layers().filter(|layer| !layer.rules.is_empty()).map(|layer| layer.source.layer).collect();
    names.sort_unstable();
    names.dedup();
    let rules = || layers().flat_map(|layer| &layer.rules);
    let general = |rule: &&Rule| {
        let of = &rule.selector;
        of.projects.is_none() && of.kinds.is_none() && of.sessions.is_none() && !of.desktop_deleted
    };
    let shortest = |of: fn(&Rule) -> Option<&Period>| {
        rules().filter(general).filter_map(of).min_by_key(|period| period.length())
    };
    let mut acts: Vec<String> = Vec::new();
    for (word, period) in [
        ("encrypt", shortest(|rule| rule.seal_after.as_ref())),
        ("delete", shortest(|rule| rule.delete_after.as_ref())),
    ] {
        acts.extend(period.map(|period| match period.length() {
            Length::Never => format!("{word} never"),
            Length::Immediately => format!("{word} at once"),
            Length::Span(_) => format!("{word} after {period}"),
        }));
    }
    let special = rules().filter(|rule| !general(rule)).count();
    match special {
        0 if acts.is_empty() => acts.push("no rules: nothing is deleted".to_owned()),
        0 => {}
        1 => acts.push("1 rule for some of them".to_owned()),
        more => acts.push(format!("{more} rules for some of them")),
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let by = if names.is_empty() { String::new() } else { format!("{}: ", names.join(", ")) };
    let line = Line::from(format!("{by}{}", acts.join(", ")));
    match policy.mode() {
        Mode::Enforce => line,
        Mode::Audit => line.and("; audit mode only reports", Hue::Warn),
    }
}

/// Whether nobody has said anything, so that the built-in rule holds.
pub fn is_built_in(policy: &Policy) -> bool {
    let mut layers = policy.mandates.iter().flat_map(|mandate| &mandate.layers);
    layers.all(|layer| layer.rules.is_empty() || layer.source.layer == Layer::BuiltIn)
}

/// How many of the sessions here a policy would delete by when, were it alone; holds of other files bind whatever it
/// says.
pub fn preview(
    policy: &Policy,
    without_rule: usize,
    inventory: &Inventory,
    in_force: Option<&Plan>,
    now: DateTime<Utc>,
) -> String {
    let all = inventory.sessions.len() as u64;
    let plan = plan::plan(inventory, policy, now);
    let is_held = |verdict: &Verdict| matches!(verdict.decision, Decision::Keep(Keep::Held(_)));
    let is_held_by_others = |at: usize| in_force.and_then(|plan| plan.sessions.get(at)).is_some_and(is_held);
    let due = |days: i64, held: bool| {
        let end = now + TimeDelta::days(days);
        let is_due = |verdict: &Verdict| match verdict.decision {
            Decision::Keep(Keep::KeepAtLeast(until)) => until <= end,
            _ => verdict.deletion.is_some_and(|(due, _)| due <= end),
        };
        let all = plan.sessions.iter().enumerate();
        let due = all.filter(|(at, one)| is_due(one) && held == (is_held(one) || is_held_by_others(*at)));
        due.count() as u64
    };
    let within = |days: i64| grouped(due(days, false));
    let held = match due(30, true) {
        0 => String::new(),
        held => format!("; {} held", grouped(held)),
    };
    let covered = match without_rule as u64 {
        0 if all == 0 => "no sessions are here to try it on".to_owned(),
        0 => format!("all {} here are covered by a delete rule", counted(all, "session")),
        none => format!(
            "{} of {} here are never deleted: no rule matches",
            grouped(none),
            counted(all, "session")
        ),
    };
    format!(
        "{covered}\ndue for deletion by it: {} now, {} in 7 days, {} in 30 days{held}\n",
        within(0),
        within(7),
        within(30)
    )
}
