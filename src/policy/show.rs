//! The policy in force as rows for `policy show`: each value, who set it, and what it shadowed.

use serde::Serialize;
use serde_json::{Value, json};

use super::selector::Selector;
use super::settings::RawLayer;
use super::{Layer, Mandate, MassGuard, Policy, Source, Sourced};

/// A value in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The key, as [`super::keys::KEYS`] names it.
    pub key: &'static str,
    /// Which rules it holds for; absent where it holds for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applies_to: Option<&'static str>,
    /// What is in force; null where nothing is.
    pub value: Value,
    /// Who set it.
    #[serde(flatten)]
    pub source: Source,
    /// What others said that has no effect here, highest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shadowed: Vec<Shadowed>,
}

/// A value that another one shadows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shadowed {
    /// What was said.
    pub value: Value,
    /// By whom.
    #[serde(flatten)]
    pub source: Source,
}

/// A rule in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleRow {
    pub name: String,
    /// What it selects; empty for everything.
    #[serde(flatten)]
    pub selector: Value,
    /// When it seals, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal_after: Option<String>,
    /// When it deletes, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_after: Option<String>,
    /// Who set it.
    #[serde(flatten)]
    pub source: Source,
}

/// A hold, with the rules it binds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldRow {
    pub name: String,
    /// What it covers; empty for everything.
    #[serde(flatten)]
    pub selector: Value,
    /// Why it was placed.
    pub reason: String,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The same in the zone of whoever said so.
    #[serde(skip)]
    pub ends: Option<chrono::DateTime<chrono::FixedOffset>>,
    /// Whether it binds every rule; a hold that does not is advisory for the organisation's.
    pub binds_all: bool,
    /// Who placed it.
    #[serde(flatten)]
    pub source: Source,
}

/// The values in force, in the order of the manual.
pub fn values(policy: &Policy) -> Vec<Row> {
    let mut rows = Vec::new();
    for mandate in &policy.mandates {
        let applies_to = match policy.mandates.len() {
            1 => None,
            _ if mandate.layers.iter().any(|layer| layer.source.layer == Layer::Managed) => {
                Some("managed rules")
            }
            _ if mandate.layers.iter().all(|layer| layer.source.layer == Layer::System) => {
                Some("system rules")
            }
            _ => Some("other rules"),
        };
        rows.extend(of_mandate(policy, mandate, applies_to));
    }
    let mut add = |key, value: Value, source: &Source| rows.push(row(policy, key, None, value, source));
    add("compression", json!(policy.compression.value), &policy.compression.source);
    let ledger = &policy.ledger;
    for (key, value) in [
        ("ledger.keep", json!(ledger.value.keep)),
        ("ledger.detail", json!(ledger.value.detail)),
        ("ledger.names", json!(ledger.value.names)),
    ] {
        let source = policy
            .said
            .iter()
            .rev()
            .find(|layer| said(layer, key).is_some())
            .map_or(Source { layer: Layer::BuiltIn, path: None }, |layer| layer.source.clone());
        add(key, value, &source);
    }
    add("userHolds", json!(policy.user_holds.value), &policy.user_holds.source);
    let gives = |layer: &&RawLayer| layer.settings.desktop_deleted.is_some();
    if let Some(layer) = policy.said.iter().rev().find(gives) {
        let value = json!(layer.settings.desktop_deleted);
        rows.push(row(policy, "desktopDeleted", None, value, &layer.source));
    }
    for recipient in &policy.recipients {
        rows.push(plain("recipients", json!(recipient.value), &recipient.source));
    }
    for (key, folders) in
        [("stores.extra", &policy.extra_stores), ("stores.exclude", &policy.excluded_stores)]
    {
        for folder in folders {
            rows.push(plain(key, json!(crate::escape::text(&folder.value)), &folder.source));
        }
    }
    rows
}

/// The rules in force, the managed first; within a layer the first that matches decides.
pub fn rules(policy: &Policy) -> Vec<RuleRow> {
    let layers = policy.mandates.iter().flat_map(|mandate| &mandate.layers);
    let rules = layers.flat_map(|layer| layer.rules.iter().map(move |rule| (layer, rule)));
    rules
        .map(|(layer, rule)| RuleRow {
            name: crate::escape::text(&rule.name),
            selector: selector(&rule.selector),
            seal_after: rule.seal_after.as_ref().map(ToString::to_string),
            delete_after: rule.delete_after.as_ref().map(ToString::to_string),
            source: layer.source.clone(),
        })
        .collect()
}

/// Every hold.
pub fn holds(policy: &Policy) -> Vec<HoldRow> {
    policy
        .holds()
        .map(|(hold, binds_all)| HoldRow {
            name: crate::escape::text(&hold.name),
            selector: selector(&hold.selector),
            reason: crate::escape::text(&hold.reason),
            until: hold.until.map(|until| until.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            ends: hold.until,
            binds_all,
            source: hold.source.clone(),
        })
        .collect()
}

fn of_mandate(policy: &Policy, mandate: &Mandate, applies_to: Option<&'static str>) -> Vec<Row> {
    let built_in = Source { layer: Layer::BuiltIn, path: None };
    let guard = match mandate.guard.value {
        MassGuard::Off => json!("off"),
        MassGuard::On { max_share, min_sessions } => {
            json!({"maxShare": max_share, "minSessions": min_sessions})
        }
    };
    let keep = mandate.keep_at_least.as_ref();
    let (keep_value, keep_source) = match keep {
        Some(Sourced { value, source }) => (json!(value), source),
        None => (Value::Null, &built_in),
    };
    vec![
        row(policy, "mode", applies_to, json!(mandate.mode.value), &mandate.mode.source),
        row(policy, "keepAtLeast", applies_to, keep_value, keep_source),
        row(policy, "quiet", applies_to, json!(mandate.quiet.value), &mandate.quiet.source),
        row(policy, "ageBy", applies_to, json!(mandate.age_by.value), &mandate.age_by.source),
        row(policy, "guard", applies_to, guard, &mandate.guard.source),
    ]
}

fn row(
    policy: &Policy,
    key: &'static str,
    applies_to: Option<&'static str>,
    value: Value,
    source: &Source,
) -> Row {
    let others = policy.said.iter().rev().filter(|layer| layer.source != *source);
    let shadowed = others
        .filter_map(|layer| Some(Shadowed { value: said(layer, key)?, source: layer.source.clone() }))
        .collect();
    Row { key, applies_to, value, source: source.clone(), shadowed }
}

fn plain(key: &'static str, value: Value, source: &Source) -> Row {
    Row { key, applies_to: None, value, source: source.clone(), shadowed: Vec::new() }
}

/// What a layer says under a key such as `ledger.keep`.
fn said(layer: &RawLayer, key: &str) -> Option<Value> {
    let pointer = format!("/{}", key.replace('.', "/"));
    json!(layer.settings).pointer(&pointer).cloned()
}

/// What a selector selects, as it was written; empty for everything.
pub fn selector(selector: &Selector) -> Value {
    let mut object = serde_json::Map::new();
    if let Some(globs) = &selector.projects {
        let written: Vec<&str> = globs.iter().map(super::selector::ProjectGlob::written).collect();
        object.insert("projects".into(), json!(written));
    }
    if let Some(kinds) = &selector.kinds {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        object.insert("kinds".into(), json!(names));
    }
    if let Some(sessions) = &selector.sessions {
        object.insert("sessions".into(), json!(sessions));
    }
    if selector.desktop_deleted {
        object.insert(super::DesktopDeleted::RULE.into(), json!(true));
    }
    Value::Object(object)
}
