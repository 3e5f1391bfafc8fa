//! `ccretain policy show`: the policy in force, and who says so.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::context::{Context, Exit, Failure};
use crate::document::{Document, Fact, Hue, Line};
use crate::escape::{shown, text};
use crate::policy::show::{HoldRow, Row, RuleRow};
use crate::policy::{Policy, Source, show};
use crate::report::human::in_zone;
use crate::run;

/// How a run that only looked ends: things a later run would complain of are no success.
pub(super) fn ended(policy: &Policy) -> Exit {
    if policy.complaints.is_empty() && policy.suspended.is_none() { Exit::Done } else { Exit::Failed }
}

/// # Errors
/// The policy is invalid (2), or stdout cannot be written.
pub(super) fn print_policy(ctx: &Context) -> Result<Exit, Failure> {
    let policy = run::in_force(ctx)?;
    let (values, rules, holds) = (show::values(&policy), show::rules(&policy), show::holds(&policy));
    if ctx.console.wants_json() {
        ctx.console.json(&json!({
            "schema": "ccretain.policy-show/1",
            "sha256": policy.digest,
            "layers": policy.sources,
            "values": values,
            "rules": rules,
            "holds": holds,
            "suspended": policy.suspended,
            "complaints": policy.complaints,
            "notes": policy.all_notes(),
        }))?;
    } else {
        let paint = ctx.paint();
        let document = in_words(&policy, &values, &rules, &holds);
        ctx.console.data(&document.print(paint))?;
    }
    for note in &policy.all_notes() {
        ctx.console.note(note);
    }
    for complaint in policy.suspended.iter().map(|why| format!("the built-in rule deletes nothing: {why}")) {
        ctx.console.warning(&complaint);
    }
    for complaint in &policy.complaints {
        ctx.console.warning(complaint);
    }
    Ok(ended(&policy))
}

/// The policy in force, each line with who set it.
fn in_words(policy: &Policy, values: &[Row], rules: &[RuleRow], holds: &[HoldRow]) -> Document {
    let by = |source: &Source| format!("[{}]", set_by(source, &policy.sources));
    let mut document = Document::default();
    document.text(format!("policy {}", policy.digest));
    document.heading("sources, in ascending precedence");
    document.list(policy.sources.iter().map(|source| Line::from(place(source))).collect());
    document.heading("rules (first match wins within a file; across files the earliest date wins)");
    let mut facts: Vec<Fact> = Vec::new();
    for rule in rules {
        let periods = [("seal after", &rule.seal_after), ("delete after", &rule.delete_after)];
        let periods: Vec<String> =
            periods.iter().filter_map(|(word, p)| Some(format!("{word} {}", p.as_ref()?))).collect();
        let what = format!("{}{}", periods.join(", "), selected(&rule.selector));
        facts.push(Fact::new(format!("{}:", rule.name), what).aside(by(&rule.source)));
    }
    for hold in holds {
        let until = hold.ends.map(|until| format!(" until {}", in_zone(until))).unwrap_or_default();
        let advisory = if hold.binds_all { "" } else { " (does not bind the organisation's rules)" };
        let what = format!("{}{until}: {}{advisory}", selected(&hold.selector).trim_start(), hold.reason);
        facts.push(Fact::new(format!("hold {}:", hold.name), what).aside(by(&hold.source)));
    }
    document.facts(facts);
    document.heading("values");
    let mut facts: Vec<Fact> = Vec::new();
    for row in values {
        let whose = row.applies_to.map(|whose| format!(" ({whose})")).unwrap_or_default();
        facts.push(Fact::new(format!("{}{whose}:", row.key), plain(&row.value)).aside(by(&row.source)));
        for other in &row.shadowed {
            let value = Line::of(format!("not {}", plain(&other.value)), Hue::Dim);
            facts.push(Fact::new("", value).aside(by(&other.source)));
        }
    }
    document.facts(facts);
    document
}

/// Who set a value: the layer, and its file where the layer has several.
fn set_by(source: &Source, all: &[Source]) -> String {
    let is_alone = all.iter().filter(|other| other.layer == source.layer).count() < 2;
    match source.path.as_deref().and_then(Path::file_name).filter(|_| !is_alone) {
        Some(name) => format!("{} '{}'", source.layer, shown(Path::new(name))),
        None => source.layer.to_string(),
    }
}

fn place(source: &Source) -> String {
    match &source.path {
        Some(path) => format!("{} '{}'", source.layer, shown(path)),
        None => source.layer.to_string(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => crate::escape::text(text),
        Value::Object(parts) => {
            let parts: Vec<String> =
                parts.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect();
            parts.join(", ")
        }
        other => other.to_string(),
    }
}

fn selected(selector: &Value) -> String {
    let parts: Vec<String> = selector
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, list)| {
            let list: Vec<String> =
                list.as_array().into_iter().flatten().filter_map(Value::as_str).map(text).collect();
            format!("{key} {}", list.join(" "))
        })
        .collect();
    if parts.is_empty() { String::new() } else { format!(" of {}", parts.join(", ")) }
}
