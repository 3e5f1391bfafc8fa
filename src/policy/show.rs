//! The policy in force as rows for `policy show`: each value, who set it, and what it shadowed.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::keys::{Across, KEYS, Key};
use super::selector::Selector;
use super::settings::RawLayer;
use super::{Layer, Mandate, MassGuard, Policy, Source, Sourced};
use crate::escape::shown;
use crate::period::Period;

impl Policy {
    /// Everything that is worth telling and no failure.
    pub fn all_notes(&self) -> Vec<String> {
        // First what was not read at all, since the other notes are about what was.
        let ignored = self.ignored.iter().map(|path| {
            format!(
                "'{}' is ignored: policies there are named *.json, in small letters and without a dot in front",
                shown(path)
            )
        });
        ignored.chain(self.notes.iter().cloned()).collect()
    }

    /// What is said of a session that was touched within the quiet period, of which the longest counts.
    pub fn active_within(&self) -> String {
        let quiet = self.mandates.iter().map(|mandate| &mandate.quiet.value);
        match quiet.max_by_key(|period| period.length()) {
            Some(period) if period.length() != Period::hours(1).length() => {
                format!("active within the last {period}")
            }
            _ => "active within the last hour".to_owned(),
        }
    }
}

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

/// The values in force, in the order of the table of keys: a key of it that nothing here knows shows who set it.
pub fn values(policy: &Policy) -> Vec<Row> {
    // Rules and holds have rows of their own.
    let has_value = |key: &&Key| {
        use Across::{Earliest, Holds, OfFile, Part, PartByPart};
        !matches!(key.across, OfFile | Part | PartByPart | Earliest | Holds)
    };
    KEYS.iter().filter(has_value).flat_map(|key| of_key(policy, key)).collect()
}

fn of_key(policy: &Policy, key: &Key) -> Vec<Row> {
    let of_mandates: Vec<Row> =
        policy.mandates.iter().filter_map(|mandate| of_mandate(policy, mandate, key.path)).collect();
    if !of_mandates.is_empty() {
        return of_mandates;
    }
    let one = |value: Value, source: &Source| vec![row(policy, key.path, None, value, source)];
    let folders = |folders: &[Sourced<PathBuf>]| {
        let row = |folder: &Sourced<PathBuf>| {
            plain(key.path, json!(crate::escape::text(&folder.value)), &folder.source)
        };
        folders.iter().map(row).collect()
    };
    match key.path {
        "compression" => one(json!(policy.compression.value), &policy.compression.source),
        // Its default depends on who has rules.
        "userHolds" => one(json!(policy.user_holds.value), &policy.user_holds.source),
        "recipients" => {
            let of = policy.recipients.iter();
            of.map(|recipient| plain(key.path, json!(recipient.value), &recipient.source)).collect()
        }
        "stores.extra" => folders(&policy.extra_stores),
        "stores.exclude" => folders(&policy.excluded_stores),
        path => {
            let by = policy.said.iter().rev().find_map(|layer| Some((said(layer, path)?, &layer.source)));
            let built_in = Source { layer: Layer::BuiltIn, path: None };
            match (by, serde_json::from_str::<Value>(key.default)) {
                (Some((value, source)), _) => one(value, source),
                (None, Ok(default)) => one(default, &built_in),
                (None, Err(_)) => Vec::new(),
            }
        }
    }
}

/// Which rules a mandate's values are for, where there are several.
fn applies_to(policy: &Policy, mandate: &Mandate) -> Option<&'static str> {
    match policy.mandates.len() {
        1 => None,
        _ if mandate.layers.iter().any(|layer| layer.source.layer == Layer::Managed) => Some("managed rules"),
        _ if mandate.layers.iter().all(|layer| layer.source.layer == Layer::System) => Some("system rules"),
        _ => Some("other rules"),
    }
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

/// The row of a key whose value each mandate has for itself.
fn of_mandate(policy: &Policy, mandate: &Mandate, key: &'static str) -> Option<Row> {
    let (value, source) = match key {
        "mode" => (json!(mandate.mode.value), &mandate.mode.source),
        "keepAtLeast" => match &mandate.keep_at_least {
            Some(Sourced { value, source }) => (json!(value), source),
            None => (Value::Null, &Source { layer: Layer::BuiltIn, path: None }),
        },
        "quiet" => (json!(mandate.quiet.value), &mandate.quiet.source),
        "ageBy" => (json!(mandate.age_by.value), &mandate.age_by.source),
        "guard" => {
            let value = match mandate.guard.value {
                MassGuard::Off => json!("off"),
                MassGuard::On { max_share, min_sessions } => {
                    json!({"maxShare": max_share, "minSessions": min_sessions})
                }
            };
            (value, &mandate.guard.source)
        }
        _ => return None,
    };
    Some(row(policy, key, applies_to(policy, mandate), value, source))
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
