//! The manifest from which Jamf Pro makes a form: every key of a policy, with its words.
//!
//! Jamf reads an older JSON Schema than ours and shows `title`, `description` and
//! `property_order` (Jamf, "JSON Schema Manifest Structure").

use serde_json::{Map, Value, json};

use crate::policy::keys::{KEYS, Key, schema_of};
use crate::policy::managed::DOMAIN;

pub fn manifest() -> Value {
    json!({
        "title": format!("ccretain ({DOMAIN})"),
        "description": "Retention of the session data that Claude Code leaves on a disk. What is set here binds \
                        every user of the machine; see ccretain-policy(5).",
        "__version": env!("CARGO_PKG_VERSION"),
        "properties": properties(""),
    })
}

/// The keys right below a path, as a form.
fn properties(outer: &str) -> Value {
    let mut out = Map::new();
    for (order, key) in KEYS.iter().enumerate() {
        let Some(name) = directly_below(outer, key.path) else { continue };
        let Some(schema) = schema_of(key.path) else { continue };
        let mut property = field(key, &schema);
        property.insert("title".into(), name.into());
        property.insert("description".into(), key.description.into());
        property.insert("property_order".into(), (order + 1).into());
        if name.starts_with('$') {
            // Of no use in a form.
            property.insert("options".into(), json!({"hidden": true}));
        }
        out.insert(name.to_owned(), Value::Object(property));
    }
    Value::Object(out)
}

/// The name of a key that stands right below another: `rules[].name` below `rules[]`.
fn directly_below<'a>(outer: &str, path: &'a str) -> Option<&'a str> {
    let rest = if outer.is_empty() { path } else { path.strip_prefix(outer)?.strip_prefix('.')? };
    (!rest.contains('.')).then_some(rest)
}

/// What form a value takes.
fn field(key: &Key, schema: &Value) -> Map<String, Value> {
    let inside = |outer: &str, schema: &Value| {
        let mut object = json!({"type": "object", "properties": properties(outer)});
        if let Some(required) = schema.get("required") {
            object["required"] = required.clone();
        }
        object
    };
    let mut out = Map::new();
    if let Some(options) = schema["anyOf"].as_array() {
        let options = options.iter().map(|option| {
            if option.get("properties").is_some() {
                let mut object = inside(key.path, option);
                object["title"] = "limits".into();
                object
            } else {
                json!({"title": "a word", "type": "string", "enum": words(option)})
            }
        });
        out.insert("anyOf".into(), options.collect());
    } else if let Some(items) = schema.get("items") {
        out.insert("type".into(), "array".into());
        let items = if items.get("properties").is_some() {
            let mut object = inside(&format!("{}[]", key.path), items);
            object["title"] = key.path.trim_end_matches('s').into();
            object
        } else {
            Value::Object(simple(items))
        };
        out.insert("items".into(), items);
    } else if schema.get("properties").is_some() {
        let Value::Object(object) = inside(key.path, schema) else { return out };
        out = object;
    } else {
        out = simple(schema);
        if let Ok(default) = serde_json::from_str::<Value>(key.default) {
            out.insert("default".into(), default);
        }
    }
    out
}

/// A value without parts.
fn simple(schema: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("type".into(), schema.get("type").cloned().unwrap_or_else(|| "string".into()));
    let words = words(schema);
    if !words.is_empty() {
        out.insert("enum".into(), words.into());
    }
    for name in ["pattern", "minimum", "maximum", "exclusiveMinimum"] {
        if let Some(value) = schema.get(name) {
            out.insert(name.into(), value.clone());
        }
    }
    out
}

/// The words a value may be.
fn words(schema: &Value) -> Vec<Value> {
    let one_of = schema["oneOf"].as_array().into_iter().flatten().map(|option| &option["const"]);
    let fixed = schema.get("const").into_iter();
    let list = schema["enum"].as_array().into_iter().flatten();
    one_of.chain(fixed).chain(list).filter(|word| !word.is_null()).cloned().collect()
}
