//! Every key of a policy, in one table, and the JSON Schema that is made from it.
//!
//! The manual, the schema and the kit for device management print this table; a test holds it
//! against the types, so that none of them can drift.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::settings::Settings;

/// The file of the schema of policies. A relative name: an address would promise that somebody serves it.
const SCHEMA_FILE: &str = "policy.schema.json";

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Any text.
    Text,
    /// One of some words.
    Word,
    /// A period such as `30d`.
    Period,
    /// A time, RFC 3339.
    Time,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// A list of texts.
    Texts,
    /// A list of objects.
    Objects,
    /// An object.
    Object,
    /// A word or an object.
    WordOrObject,
}

/// A key of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Where it stands: `rules[].name`, `guard.maxShare`.
    pub path: &'static str,
    /// What it holds.
    pub kind: KeyType,
    /// What holds where it is left out, as JSON; empty where there is no value then.
    pub default: &'static str,
    /// The version of the program that knew it first.
    pub since: &'static str,
    /// What becomes of it where several layers give it.
    pub across: Across,
    /// What it does, in a sentence or two.
    pub description: &'static str,
}

/// What becomes of a key where several layers give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Across {
    /// It concerns the file it stands in.
    OfFile,
    /// It is a part of what it stands in, which is taken as a whole.
    Part,
    /// Each part of it for itself.
    PartByPart,
    /// Rules of all layers; the earliest due date.
    Earliest,
    /// Holds of all layers; a user's do not always bind.
    Holds,
    /// The longest.
    Longest,
    /// The highest layer's, except that a user's delays no managed rule.
    Delaying,
    /// The highest layer's.
    Preference,
    /// Recipients of all layers.
    Recipients,
    /// What all layers name.
    United,
    /// What all layers name, except that a user's is not taken from managed rules.
    Excluding,
    /// The highest layer's, but no user's.
    Organisation,
}

impl Across {
    /// The same in words for the manual.
    pub fn words(self) -> &'static str {
        match self {
            Self::OfFile => "Concerns the file it stands in.",
            Self::Part => "Belongs to what it stands in, which is taken as a whole.",
            Self::PartByPart => "Each part of it is resolved for itself.",
            Self::Earliest => {
                "The rules of all layers count. Within a layer the first rule that matches decides, action by \
                 action; across the layers the earliest due date wins."
            }
            Self::Holds => {
                "The holds of all layers count. A user's bind the rules of system and managed layers only where \
                 userHolds is true."
            }
            Self::Longest => "The longest of all layers counts. A user's delays no rule of a managed layer.",
            Self::Delaying => {
                "Managed, else user, else system, else the default. A user's delays no rule of a managed layer."
            }
            Self::Preference => "Managed, else user, else system, else the default.",
            Self::Recipients => {
                "The recipients of all layers together. A user's that cannot be mixed with managed ones are left \
                 out and named."
            }
            Self::United => "Those of all layers together.",
            Self::Excluding => {
                "Those of all layers together. A user's excludes nothing from the rules of a managed layer."
            }
            Self::Organisation => "Managed, else system, else the default. A user's does not count.",
        }
    }
}

macro_rules! keys {
    ($($path:literal $kind:ident $default:literal $since:literal $across:ident $description:literal;)*) => {
        /// Every key, in the order of the manual.
        pub const KEYS: &[Key] = &[$(Key {
            path: $path, kind: KeyType::$kind, default: $default, since: $since, across: Across::$across,
            description: $description,
        }),*];
    };
}

keys! {
    "$schema" Text "" "0.1.0" OfFile "The JSON Schema of policies, for editors: the path of what `ccretain policy schema` prints.";
    "$comment" Text "" "0.1.0" OfFile "A remark; it has no effect.";
    "version" Integer "1" "0.1.0" OfFile "The version of the grammar of policies.";
    "mode" Word "\"enforce\"" "0.1.0" Delaying "'enforce' does what is due; 'audit' plans, reports, and changes nothing. It is about the rules of its own layer; for system rules the stricter of the system's and the user's counts.";
    "rules" Objects "[]" "0.1.0" Earliest "The rules. The first that matches decides, action by action; across the layers the earliest due date wins.";
    "rules[].$comment" Text "" "0.1.0" Part "A remark; it has no effect.";
    "rules[].name" Text "" "0.1.0" Part "The name that reports and the ledger give; 'rule-N' where it is left out.";
    "rules[].projects" Texts "" "0.1.0" Part "Globs over the whole path of a project: '*' stops at '/', 'X/**' also matches X, '~/' is the home of the store's owner. Left out: every project.";
    "rules[].kinds" Texts "" "0.1.0" Part "Kinds of artifact. Such a rule can make other kinds of a session go earlier than the session, never later, and cannot seal. Left out: every kind.";
    "rules[].sessions" Texts "" "0.1.0" Part "Ids of sessions. Left out: every session.";
    "rules[].sealAfter" Period "" "0.1.0" Part "Encrypt a session after this period without activity.";
    "rules[].deleteAfter" Period "" "0.1.0" Part "Delete after this period without activity: 1h or more, 'never' or 'immediately'.";
    "holds" Objects "[]" "0.1.0" Holds "Named exceptions: nothing they cover is changed or removed by this program.";
    "holds[].$comment" Text "" "0.1.0" Part "A remark; it has no effect.";
    "holds[].name" Text "" "0.1.0" Part "The name of the hold.";
    "holds[].projects" Texts "" "0.1.0" Part "Globs over project paths; a worktree is covered with its repository. Left out: every project.";
    "holds[].kinds" Texts "" "0.1.0" Part "Ignored with a warning: a hold covers whole sessions and what belongs to them.";
    "holds[].sessions" Texts "" "0.1.0" Part "Ids of sessions. Left out: every session.";
    "holds[].reason" Text "" "0.1.0" Part "Why the hold was placed; it is written to the ledger.";
    "holds[].until" Time "" "0.1.0" Part "When the hold ends: a time (RFC 3339), or a day, which ends when it ends at UTC-12. Left out: when it is released.";
    "keepAtLeast" Period "" "0.1.0" Longest "Nothing younger is deleted, whatever the rules say; sealing continues. The longest of all layers counts.";
    "quiet" Period "\"1h\"" "0.1.0" Delaying "A session with a file touched within this period counts as live.";
    "ageBy" Word "\"record\"" "0.1.0" Delaying "What dates a session: the newest timestamp in its 'record's, the 'mtime' of its files, or the 'newest' of both.";
    "desktopDeleted" Word "" "0.1.0" United "'immediately': a session that its user deleted in the desktop application is due at once, before any rule. Holds, live sessions and keepAtLeast still protect it.";
    "recipients" Texts "[]" "0.1.0" Recipients "age recipients that sealed files are encrypted to ('age1…', 'ssh-ed25519 …', 'ssh-rsa …'); those of all layers together.";
    "compression" Word "\"zstd\"" "0.1.0" Preference "What sealed files are compressed with: 'zstd' or 'none'.";
    "stores" Object "{}" "0.1.0" PartByPart "Which folders are stores beside the known places.";
    "stores.extra" Texts "[]" "0.1.0" United "Folders that are stores though nothing marks them as such.";
    "stores.exclude" Texts "[]" "0.1.0" Excluding "Folders that are not looked at, with all that lies below them. A store is left out as a whole, also where a part of it is named: to keep a project, hold it.";
    "guard" WordOrObject "{\"maxShare\":0.5,\"minSessions\":20}" "0.1.0" Delaying "When an unattended run that would delete much at once refuses; 'off' never refuses. Managed rules go on after 24 hours, others after 7 days and two refusals.";
    "guard.maxShare" Number "0.5" "0.1.0" Part "The share of a user's sessions in all stores, above 0 and at most 1.";
    "guard.minSessions" Integer "20" "0.1.0" Part "The number of sessions below which the share does not matter.";
    "ledger" Object "{}" "0.1.0" PartByPart "How the ledger is kept.";
    "ledger.keep" Period "\"400d\"" "0.1.0" Preference "How long records of the ledger are kept. They go in parts, each at most a tenth of that later; 'never' lets none expire.";
    "ledger.detail" Word "\"sessions\"" "0.1.0" Preference "A line for each of the 'sessions', or also for each of the 'files'.";
    "ledger.names" Word "\"plain\"" "0.1.0" Preference "Paths and ids 'plain', or as 'keyed' hashes.";
    "userHolds" Boolean "true" "0.1.0" Organisation "Whether users' own holds bind the rules of the organisation; false by default where a managed layer has rules.";
}

/// The JSON Schema of a policy (draft 2020-12), with the words of [`KEYS`].
pub fn schema() -> Value {
    SCHEMA.clone()
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let generator =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<Settings>().to_value();
    without_null(&mut schema);
    for key in KEYS {
        let Some(Value::Object(place)) = find(&mut schema, key.path) else { continue };
        place.insert("description".into(), key.description.into());
        place.remove("default");
        if let Ok(default) = serde_json::from_str::<Value>(key.default) {
            place.insert("default".into(), default);
        }
        if key.kind == KeyType::Time {
            // A time, or a day, which ends when it ends everywhere.
            place.insert("pattern".into(), r"^\d{4}-\d{2}-\d{2}([Tt ].+)?$".into());
        }
        // The loader says the same: these words read in two ways here.
        let senseless = match key.path {
            "keepAtLeast" | "quiet" => Some("never"),
            "ledger.keep" => Some("immediately"),
            _ => None,
        };
        if let Some(word) = senseless {
            place.insert("not".into(), json!({"const": word}));
        }
    }
    if let Value::Object(root) = &mut schema {
        root.insert("$id".into(), SCHEMA_FILE.into());
        root.insert("title".into(), "ccretain policy".into());
        root.insert("description".into(), "A retention policy of ccretain.".into());
    }
    schema
});

/// Takes `null` out of every type: a key is left out, never null.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // A remark is not written back, which is of no interest to an editor.
            if object.get("writeOnly") == Some(&Value::Bool(true)) {
                object.remove("writeOnly");
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(words)) = object.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            if let Some(Value::Array(options)) = object.get_mut("anyOf") {
                options.retain(|option| *option != json!({"type": "null"}));
                if let [Value::Object(only)] = options.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    for (name, value) in only {
                        object.entry(name).or_insert(value);
                    }
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(values) => values.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// The part of the schema that describes a key; `None` for a path that no key has.
pub fn schema_of(path: &str) -> Option<Value> {
    find(&mut schema(), path).cloned()
}

/// The same, to be changed.
fn find<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut place = schema;
    for step in path.split('.') {
        let (name, is_list) = match step.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (step, false),
        };
        place = property(place, name)?;
        if is_list {
            place = place.get_mut("items")?;
        }
    }
    Some(place)
}

/// A property of an object, also of the one object among alternatives.
fn property<'a>(schema: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    if schema.get("properties").is_some() {
        return schema.get_mut("properties")?.get_mut(name);
    }
    schema
        .get_mut("anyOf")?
        .as_array_mut()?
        .iter_mut()
        .find(|option| option.get("properties").is_some())?
        .get_mut("properties")?
        .get_mut(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn walk(schema: &Value, at: &str, out: &mut BTreeSet<String>) {
        let options = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        for object in std::iter::once(schema).chain(options) {
            for (name, inner) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                out.insert(path.clone());
                walk(inner, &path, out);
                if let Some(items) = inner.get("items") {
                    walk(items, &format!("{path}[]"), out);
                }
            }
        }
    }

    #[test]
    fn the_table_and_the_types_name_the_same_keys() {
        let mut found = BTreeSet::new();
        walk(&schema(), "", &mut found);
        let table: BTreeSet<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
        assert_eq!(table, found);
        assert_eq!(table.len(), KEYS.len(), "a key stands twice");
    }

    #[test]
    fn the_table_and_the_types_agree_on_what_a_key_holds() {
        let mut schema = schema();
        for key in KEYS {
            let place = find(&mut schema, key.path).unwrap();
            let json = match key.kind {
                KeyType::Text | KeyType::Word | KeyType::Period | KeyType::Time => "string",
                KeyType::Integer => "integer",
                KeyType::Number => "number",
                KeyType::Boolean => "boolean",
                KeyType::Texts | KeyType::Objects => "array",
                KeyType::Object => "object",
                KeyType::WordOrObject => {
                    assert!(place.get("anyOf").is_some(), "{}: {place}", key.path);
                    continue;
                }
            };
            let words = place.get("oneOf").or(place.get("enum")).is_some();
            let known =
                place.get("type").and_then(Value::as_str).unwrap_or(if words { "string" } else { "" });
            assert_eq!(known, json, "{}: {place}", key.path);
            assert_eq!(words, key.kind == KeyType::Word, "{}: {place}", key.path);
            assert_eq!(place["description"], key.description);
            assert!(
                key.default.is_empty() || serde_json::from_str::<Value>(key.default).is_ok(),
                "{}",
                key.path
            );
        }
        let text = schema.to_string();
        assert!(!text.contains("null") && !text.contains("writeOnly"), "{text}");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }

    #[test]
    fn the_defaults_in_the_table_are_a_policy() {
        let mut policy = serde_json::Map::new();
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            let value: Value = serde_json::from_str(key.default).unwrap();
            match key.path.split_once('.') {
                Some((outer, inner)) => {
                    policy
                        .entry(outer)
                        .or_insert(json!({}))
                        .as_object_mut()
                        .unwrap()
                        .insert(inner.into(), value);
                }
                None => drop(policy.insert(key.path.into(), value)),
            }
        }
        let text = Value::Object(policy).to_string();
        assert!(super::super::parse::parse::<Settings>(text.as_bytes()).is_ok(), "{text}");
    }
}
