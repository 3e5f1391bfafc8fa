//! What a policy file may say, exactly as it is written; what the layers mean together is `resolve`.
//!
//! Every value that can be wrong on its own (a period, a kind, a glob, a recipient) is checked
//! while it is read, so that the error has a line and a column.

use std::path::Path;

use chrono::{DateTime, Days, FixedOffset, NaiveTime, TimeZone as _};
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use super::selector::ProjectGlob;
use super::spelling::Paths;
use super::{AgeBy, Compression, DesktopDeleted, Detail, Mode, Names, Source, recipient};
use crate::catalogue::{KINDS, Kind, SessionId};
use crate::period::{Period, day};

/// What one file or one set of preferences says.
#[derive(Debug, Clone, PartialEq)]
pub struct RawLayer {
    /// Which.
    pub source: Source,
    /// What it says.
    pub settings: Settings,
}

/// One policy file, or the managed preferences.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "an object")]
pub struct Settings {
    /// The address of the schema, for editors.
    #[serde(rename = "$schema", skip_serializing, deserialize_with = "given")]
    pub schema: Option<String>,
    /// A remark.
    #[serde(rename = "$comment", skip_serializing, deserialize_with = "given")]
    pub comment: Option<String>,
    /// The version of the grammar.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(with = "Version")]
    pub version: Option<u64>,
    /// Act or only report.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub mode: Option<Mode>,
    /// The rules, in order.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub rules: Option<Vec<RuleSettings>>,
    /// The exceptions.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub holds: Option<Vec<HoldSettings>>,
    /// What is younger is never deleted.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub keep_at_least: Option<Period>,
    /// What was touched within this counts as live.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub quiet: Option<Period>,
    /// Which clock dates a session.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub age_by: Option<AgeBy>,
    /// What becomes of sessions that were deleted in the desktop application.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "desktop_deleted")]
    pub desktop_deleted: Option<DesktopDeleted>,
    /// To whom is sealed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub recipients: Option<Vec<Recipient>>,
    /// How sealed files are compressed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub compression: Option<Compression>,
    /// Which folders are stores, or are not.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub stores: Option<StoreSettings>,
    /// When a run that would delete much stops.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub guard: Option<GuardSettings>,
    /// How the ledger is kept.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub ledger: Option<LedgerSettings>,
    /// Whether users' own holds bind the rules of system and managed layers.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub user_holds: Option<bool>,
}

/// The one value of `desktopDeleted`, and what to write instead of another.
fn desktop_deleted<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DesktopDeleted>, D::Error> {
    match serde_json::Value::deserialize(from)? {
        serde_json::Value::String(word) if word == "immediately" => Ok(Some(DesktopDeleted::Immediately)),
        other => Err(serde::de::Error::custom(format!(
            "{other} is not a value of desktopDeleted: write \"immediately\", or leave the key out"
        ))),
    }
}

/// A rule as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a rule, which is an object")]
pub struct RuleSettings {
    /// A remark.
    #[serde(rename = "$comment", skip_serializing, deserialize_with = "given")]
    pub comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub name: Option<String>,
    /// Globs over project paths.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub projects: Option<Vec<Glob>>,
    /// Kinds of artifact.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub kinds: Option<Vec<KindName>>,
    /// Ids of sessions.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schemars(with = "Vec<String>")]
    pub sessions: Option<Vec<SessionId>>,
    /// When it is sealed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub seal_after: Option<Period>,
    /// When it is deleted.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub delete_after: Option<Period>,
}

/// A hold as it is written, in a policy or in `holds.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a hold, which is an object")]
pub struct HoldSettings {
    /// A remark.
    #[serde(
        rename = "$comment",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "given"
    )]
    pub comment: Option<String>,
    pub name: String,
    /// Globs over project paths.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub projects: Option<Vec<HoldGlob>>,
    /// Kinds of artifact.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub kinds: Option<Vec<KindName>>,
    /// Ids of sessions.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schemars(with = "Vec<String>")]
    pub sessions: Option<Vec<SessionId>>,
    /// Why.
    pub reason: String,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    #[schemars(with = "String")]
    pub until: Option<DateTime<FixedOffset>>,
}

/// Which folders are stores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "an object")]
pub struct StoreSettings {
    /// Folders that are stores though nothing marks them so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Folder>,
    /// Folders that are not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Folder>,
}

/// `"off"`, or the bounds of the mass guard.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum GuardSettings {
    /// Never refuses.
    Off(Off),
    /// Refuses above both bounds.
    On(GuardBounds),
}

/// The word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Off {
    /// `off`.
    Off,
}

/// The bounds of the mass guard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GuardBounds {
    /// A share of a store's sessions, above 0 and at most 1.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "share")]
    pub max_share: Option<f64>,
    /// A number of sessions.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub min_sessions: Option<u32>,
}

/// How the ledger is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "an object")]
pub struct LedgerSettings {
    /// How long.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub keep: Option<Period>,
    /// What a line is written for.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub detail: Option<Detail>,
    /// How paths and ids are written.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub names: Option<Names>,
}

/// The versions of the grammar there are.
#[derive(JsonSchema)]
#[schemars(transparent, extend("const" = 1))]
struct Version(#[allow(dead_code)] u64);

/// Reads a value that is there; `null` is no way to leave a key out.
fn given<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn version<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let check = |number: f64| {
        #[allow(clippy::float_cmp)]
        if number == 1.0 {
            Ok(Some(1))
        } else {
            Err(format!("version {number} is not known: this program reads version 1"))
        }
    };
    from.deserialize_u64(Checking { expected: "a version, which is a number", check, kind: OfNumbers })
}

fn share<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let check = |share: f64| {
        if share > 0.0 && share <= 1.0 {
            Ok(Some(share))
        } else {
            Err("maxShare is a share: above 0 and at most 1".to_owned())
        }
    };
    from.deserialize_f64(Checking { expected: "a share, which is a number", check, kind: OfNumbers })
}

/// The place where a day ends last.
// Which day a policy means where nobody's zone is known is all of them.
const WESTERNMOST: i32 = -12 * 3600;

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<FixedOffset>>, D::Error> {
    checked(from, "a time, which is a text", |text| {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Some(time));
        }
        let end = || {
            let next = day(text)?.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN);
            FixedOffset::east_opt(WESTERNMOST)?.from_local_datetime(&next).single()
        };
        end().map(Some).ok_or_else(|| {
            let text = crate::escape::shown(text);
            format!("'{text}' is not a time: write a day (2027-03-01) or a time (2027-03-01T00:00:00Z)")
        })
    })
}

/// Reads a text and checks it while the reader still stands on it, so that the place of an error
/// is that of the text and not of what follows.
fn checked<'de, D: Deserializer<'de>, T>(
    from: D,
    expected: &'static str,
    check: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    from.deserialize_str(Checking { expected, check, kind: OfTexts })
}

struct OfTexts;
struct OfNumbers;

struct Checking<F, K> {
    expected: &'static str,
    check: F,
    #[allow(dead_code)]
    kind: K,
}

impl<T, F: FnOnce(&str) -> Result<T, String>> serde::de::Visitor<'_> for Checking<F, OfTexts> {
    type Value = T;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.expected)
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.check)(text).map_err(E::custom)
    }
}

impl<T, F: FnOnce(f64) -> Result<T, String>> serde::de::Visitor<'_> for Checking<F, OfNumbers> {
    type Value = T;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.expected)
    }
    #[allow(clippy::cast_precision_loss)]
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        (self.check)(number as f64).map_err(E::custom)
    }
    #[allow(clippy::cast_precision_loss)]
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        (self.check)(number as f64).map_err(E::custom)
    }
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<T, E> {
        (self.check)(number).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for GuardSettings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = GuardSettings;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"off\" or an object with maxShare and minSessions")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GuardSettings, E> {
                Off::deserialize(text.into_deserializer()).map(GuardSettings::Off)
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<GuardSettings, A::Error> {
                GuardBounds::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(GuardSettings::On)
            }
        }
        from.deserialize_any(Visitor)
    }
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// What is wrong with it, in words.
            pub fn new(text: impl Into<String>) -> Result<Self, String> {
                let text = text.into();
                let check: fn(&str) -> Result<(), String> = $check;
                check(&text).map(|()| Self(text))
            }

            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                checked(from, "a text", |text| Self::new(text))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

checked_text! {
    /// A glob over whole project paths, as written.
    Glob,
    |text| ProjectGlob::new(text, &[Path::new("/")], Paths::default()).map(drop).map_err(|error| error.to_string()),
    { "type": "string", "pattern": "^(/|~[/\\\\]|~$|\\*|\\\\|[A-Za-z]:)" }
}

checked_text! {
    /// A glob of a hold, as written: what one that cannot be used means depends on whose hold it is.
    HoldGlob,
    |_| Ok(()),
    { "type": "string", "pattern": "^(/|~[/\\\\]|~$|\\*|\\\\|[A-Za-z]:)" }
}

checked_text! {
    /// An age recipient, as written.
    Recipient,
    |text| recipient::check(text).map(drop).map_err(|error| error.to_string()),
    { "type": "string", "pattern": "^(age1|ssh-ed25519 |ssh-rsa )" }
}

checked_text! {
    /// The absolute path of a folder; `~/` at its start is the home.
    Folder,
    |text| {
        let drive = text.get(1..2) == Some(":");
        if text.contains('*') {
            let shown = crate::escape::shown(text);
            Err(format!("'{shown}' is a pattern; name the folder itself: it stands for all below it"))
        } else if text == "~" || text.starts_with("~/") || text.starts_with('/') || text.starts_with("\\\\") || drive {
            Ok(())
        } else {
            Err(format!("'{}' is not a whole path: it must begin with '/' or '~/'", crate::escape::shown(text)))
        }
    },
    { "type": "string", "pattern": "^(/|~/|~$|[A-Za-z]:|\\\\\\\\)" }
}

/// The name of a kind in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindName(pub Kind);

impl Serialize for KindName {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for KindName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        checked(from, "a kind, which is a text", |text| {
            text.parse().map(Self).map_err(|error: crate::catalogue::UnknownKind| error.to_string())
        })
    }
}

impl JsonSchema for KindName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Kind".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<&str> =
            KINDS.iter().filter(|row| !row.kind.is_protected()).map(|row| row.name).collect();
        schemars::json_schema!({ "type": "string", "enum": names })
    }
}
