//! The policy in one sentence.

use crate::document::{Hue, Line};
use crate::period::{Length, Period};
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
        rules().filter(general).filter_map(of).min_by_key(|period| match period.length() {
            Length::Immediately => (0, chrono::TimeDelta::zero()),
            Length::Span(span) => (1, span),
            Length::Never => (2, chrono::TimeDelta::zero()),
        })
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

/// What is said of a session that was touched within the quiet period, of which the longest counts.
pub fn active_within(policy: &Policy) -> String {
    let quiet = policy.mandates.iter().map(|mandate| &mandate.quiet.value);
    let span = |period: &Period| match period.length() {
        Length::Immediately => chrono::TimeDelta::zero(),
        Length::Span(span) => span,
        Length::Never => chrono::TimeDelta::MAX,
    };
    match quiet.max_by_key(|period| span(period)) {
        Some(period) if span(period) != chrono::TimeDelta::hours(1) => {
            format!("active within the last {period}")
        }
        _ => "active within the last hour".to_owned(),
    }
}

/// Whether nobody has said anything, so that the built-in rule holds.
pub fn is_built_in(policy: &Policy) -> bool {
    let mut layers = policy.mandates.iter().flat_map(|mandate| &mandate.layers);
    layers.all(|layer| layer.rules.is_empty() || layer.source.layer == Layer::BuiltIn)
}
