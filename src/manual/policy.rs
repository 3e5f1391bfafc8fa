//! `ccretain-policy.5`: every key of a policy from the table of keys, every kind from the
//! catalogue, and the example policies that are shipped.

use serde_json::Value;

use super::roff::Roff;
use super::{Page, page};
use crate::catalogue::KINDS;
use crate::policy::keys::{Across, KEYS, Key, KeyType, schema_of};

const WORDS: &str = include_str!("words/policy.txt");

/// The example policies, in the order in which one reads them: file name and text.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("1-thirty-days.json", include_str!("../../packaging/policies/1-thirty-days.json")),
    ("2-clients.json", include_str!("../../packaging/policies/2-clients.json")),
    ("3-seal.json", include_str!("../../packaging/policies/3-seal.json")),
    ("4-hold.json", include_str!("../../packaging/policies/4-hold.json")),
    ("5-managed-audit.json", include_str!("../../packaging/policies/5-managed-audit.json")),
    ("6-managed.json", include_str!("../../packaging/policies/6-managed.json")),
    ("7-everything.json", include_str!("../../packaging/policies/7-everything.json")),
];

pub fn format() -> Page {
    let mut out = page("ccretain-policy", 5);
    out.section("name").paragraph("ccretain-policy - what ccretain keeps, seals and deletes, and when");
    out.marked(WORDS);
    out.section("keys");
    KEYS.iter().for_each(|each| key(&mut out, each));
    kinds(&mut out);
    examples(&mut out);
    out.section("see also").paragraph(
        "`ccretain`(1), `ccretain-policy`(1), `ccretain-explain`(1), `ccretain-ledger`(5), `age`(1)",
    );
    Page { name: "ccretain-policy.5".into(), text: out.finish() }
}

fn key(out: &mut Roff, key: &Key) {
    out.term(&format!("`{}` ({}; since {})", key.path, form(key), key.since), key.description);
    if key.path.ends_with("$comment") {
        return;
    }
    let words = allowed(key);
    if !words.is_empty() {
        out.more(&format!("One of {}.", words.join(", ")));
    }
    let mut more = Vec::new();
    if is_required(key) {
        more.push("Required.".to_owned());
    }
    if !key.default.is_empty() {
        more.push(format!("Default: `{}`.", key.default));
    }
    // A part of a rule or a hold is not resolved by itself.
    if key.across != Across::Part {
        more.push(format!("Layers: {}", key.across.words()));
    }
    if !more.is_empty() {
        out.more(&more.join(" "));
    }
}

/// Whether what holds the key must have it.
fn is_required(key: &Key) -> bool {
    let Some((outer, name)) = key.path.rsplit_once('.') else { return false };
    let required = schema_of(outer).map(|schema| schema["required"].clone()).unwrap_or_default();
    required.as_array().is_some_and(|list| list.iter().any(|each| each == name))
}

/// What form a value has, in words.
fn form(key: &Key) -> &'static str {
    match key.kind {
        KeyType::Text => "text",
        KeyType::Word => "word",
        KeyType::Period => "period",
        KeyType::Time => "time",
        KeyType::Integer => "integer",
        KeyType::Number => "number",
        KeyType::Boolean => "true or false",
        KeyType::Texts => "array of strings",
        KeyType::Objects => "list of objects",
        KeyType::Object => "object",
        KeyType::WordOrObject => "word or object",
    }
}

/// The words a key may hold.
fn allowed(key: &Key) -> Vec<String> {
    if key.kind != KeyType::Word {
        return Vec::new();
    }
    let Some(schema) = schema_of(key.path) else { return Vec::new() };
    let one_of = schema["oneOf"].as_array().into_iter().flatten().map(|option| &option["const"]);
    let list = schema["enum"].as_array().into_iter().flatten();
    one_of.chain(list).filter_map(Value::as_str).map(|word| format!("`{word}`")).collect()
}

fn kinds(out: &mut Roff) {
    out.section("kinds").paragraph(
        "What `kinds` may name. Those of a session go with it at the latest; the others go by their own age, by \
         default after the period of the first rule that matches. Those marked as sealed are encrypted \
         when their session is.",
    );
    for row in KINDS.iter().filter(|row| !row.kind.is_protected()) {
        let whose = if row.kind.is_of_session() { "of a session" } else { "by itself" };
        let sealed = if row.sealable { ", sealed" } else { "" };
        out.term(&format!("`{}` ({whose}{sealed})", row.name), row.about.trim());
    }
}

fn examples(out: &mut Roff) {
    out.section("examples").paragraph("Each of these is a file among the documents of the package.");
    for (name, text) in EXAMPLES {
        out.part(name);
        let policy: Value = serde_json::from_str(text).unwrap_or_default();
        out.paragraph(policy["$comment"].as_str().unwrap_or_default());
        let lines = text.lines().filter(|line| !line.starts_with("  \"$comment\""));
        out.verbatim(&lines.collect::<Vec<_>>().join("\n"));
    }
}
