//! One settings file of the client, and which files are the managed source.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::ClientPlaces;
use super::movers::MOVERS;
use super::switches::{self, Meaning, Switch};
use crate::error::At as _;
use crate::escape::shown;
use crate::files::{self, Document};

/// The client's preference domain.
const DOMAIN: &str = "com.anthropic.claudecode";
/// A key and the values by which it turns something off.
type Key = (&'static str, fn(&Value) -> bool);

/// Keys that turn off what the client sends: a survey at the rate 0 asks nobody.
const OFF: [Key; 2] = [
    ("feedbackSurveyRate", |value| value.as_f64() == Some(0.0)),
    ("skipWebFetchPreflight", |value| *value == Value::Bool(true)),
];

/// The kinds of source, as the client orders them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// `settings.json` in a config folder.
    User,
    /// `.claude/settings.json` in a project.
    Project,
    /// `.claude/settings.local.json` in a project.
    Local,
    /// The cache of what a server manages.
    Server,
    /// Managed preferences of macOS.
    Preferences,
    /// `managed-settings.json` and its drop-ins.
    Managed,
}

impl SourceKind {
    /// The word for it: `managed`, `local`, `project` or `user`.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Local => "local",
            Self::Server | Self::Preferences | Self::Managed => "managed",
        }
    }
}

/// A period as a settings file gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Not there.
    Unset,
    /// A positive whole number.
    Days(u64),
    /// Zero.
    Zero,
    /// A negative or broken number, a text, anything else.
    Invalid,
}

impl Number {
    fn of(value: Option<&Value>) -> Self {
        match value {
            None => Self::Unset,
            Some(value) => match value.as_u64() {
                Some(0) => Self::Zero,
                Some(days) => Self::Days(days),
                // `30.0` is a whole number to the client, which reads JSON as JavaScript does.
                None => match value.as_f64() {
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                    Some(days) if days >= 1.0 && days.fract() == 0.0 && days < 1e15 => {
                        Self::Days(days as u64)
                    }
                    _ => Self::Invalid,
                },
            },
        }
    }

    /// The days, where there is a valid number of them.
    pub fn days(self) -> Option<u64> {
        match self {
            Self::Days(days) => Some(days),
            _ => None,
        }
    }

    /// The days where zero is a value too.
    pub(super) fn limit(self) -> Option<u64> {
        match self {
            Self::Zero => Some(0),
            other => other.days(),
        }
    }
}

/// Whether a file could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// There is none.
    Missing,
    /// It is there and cannot be read.
    Unreadable(String),
    /// It was read and is no JSON object.
    Broken(String),
    /// It was read.
    Read {
        /// `cleanupPeriodDays`.
        cleanup: Number,
        /// `desktopSessionCleanupPeriodDays`.
        desktop: Number,
        /// What moves content, by its name.
        variables: BTreeMap<&'static str, String>,
        /// Switches from `env`: what they mean, not their values.
        switches: BTreeMap<Switch, Meaning>,
        /// The keys by which it turns off what the client sends.
        turned_off: Vec<&'static str>,
    },
}

/// A settings file and what of it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFile {
    pub kind: SourceKind,
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub state: FileState,
}

impl SettingsFile {
    /// `settings.json` of a config folder; one that a variable names must exist.
    pub(super) fn of_folder(dir: &Path, must_exist: bool) -> Self {
        let file = Self::read(SourceKind::User, &dir.join("settings.json"));
        if must_exist && file.state == FileState::Missing && !dir.is_dir() {
            let why = "CLAUDE_CONFIG_DIR names its folder, which does not exist".to_owned();
            return Self { state: FileState::Unreadable(why), ..file };
        }
        file
    }

    pub(super) fn read(kind: SourceKind, path: &Path) -> Self {
        let state = match Document::open(path).at("read", path) {
            Ok(None) => FileState::Missing,
            Err(error) => FileState::Unreadable(crate::error::chain(&error)),
            Ok(Some(bytes)) => match object(kind, &bytes) {
                Ok(value) => keep(&value),
                Err(reason) => FileState::Broken(reason),
            },
        };
        Self { kind, path: path.to_path_buf(), state }
    }

    #[cfg(test)]
    pub(super) fn of_object(kind: SourceKind, path: &Path, value: &Value) -> Self {
        Self { kind, path: path.to_path_buf(), state: keep(value) }
    }

    /// The keys by which the file turns something off.
    pub fn turned_off(&self) -> &[&'static str] {
        match &self.state {
            FileState::Read { turned_off, .. } => turned_off,
            _ => &[],
        }
    }

    /// `cleanupPeriodDays` of the file.
    pub fn cleanup(&self) -> Number {
        match self.state {
            FileState::Read { cleanup, .. } => cleanup,
            _ => Number::Unset,
        }
    }

    /// `desktopSessionCleanupPeriodDays` of the file.
    pub fn desktop(&self) -> Number {
        match self.state {
            FileState::Read { desktop, .. } => desktop,
            _ => Number::Unset,
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        match &self.state {
            FileState::Read { variables, .. } => variables.get(name).map(String::as_str),
            _ => None,
        }
    }

    /// Why this file pauses the client's sweep, if it does.
    pub fn trouble(&self) -> Option<String> {
        let path = shown(&self.path);
        match &self.state {
            FileState::Unreadable(why) => {
                Some(format!("Claude Code's settings '{path}' cannot be read: {why}"))
            }
            FileState::Broken(why) => Some(format!("Claude Code's settings '{path}' are broken: {why}")),
            FileState::Read { cleanup: Number::Zero | Number::Invalid, .. } => Some(format!(
                "cleanupPeriodDays in Claude Code's settings '{path}' is not a whole number of days from 1"
            )),
            FileState::Read { .. } | FileState::Missing => None,
        }
    }

    fn says_something(&self) -> bool {
        !matches!(self.state, FileState::Missing)
    }
}

/// What is kept of a settings object.
pub(super) fn keep(value: &Value) -> FileState {
    let env = value.get("env");
    // No other variable is kept: they may hold secrets.
    let variables = MOVERS
        .iter()
        .filter_map(|mover| {
            let place = if mover.is_key { Some(value) } else { env };
            Some((mover.name, place?.get(mover.name)?.as_str()?.to_owned()))
        })
        .filter(|(_, value)| !value.is_empty())
        .collect();
    FileState::Read {
        cleanup: Number::of(value.get("cleanupPeriodDays")),
        desktop: Number::of(value.get("desktopSessionCleanupPeriodDays")),
        variables,
        switches: switches::keep(env),
        turned_off: OFF
            .iter()
            .filter(|(name, off)| value.get(name).is_some_and(off))
            .map(|(name, _)| *name)
            .collect(),
    }
}

/// Of an object only the keys that are looked at: whole, a large one would take many times its length.
pub(super) struct LookedAt(pub(super) serde_json::Map<String, Value>);

impl LookedAt {
    fn is_one(key: &str) -> bool {
        matches!(key, "cleanupPeriodDays" | "desktopSessionCleanupPeriodDays" | "env" | "settings")
            || OFF.iter().any(|(name, _)| *name == key)
            || MOVERS.iter().any(|mover| mover.is_key && mover.name == key)
    }
}

impl<'de> Deserialize<'de> for LookedAt {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = serde_json::Map<String, Value>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut kept = serde_json::Map::new();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    let raw: &RawValue = map.next_value()?;
                    if LookedAt::is_one(&key) {
                        // What is as large as that is no valid value of any of them.
                        let is_small = raw.get().len() as u64 <= files::LARGE;
                        let value = is_small.then(|| serde_json::from_str(raw.get()).ok()).flatten();
                        kept.insert(key.into_owned(), value.unwrap_or(Value::Null));
                    }
                }
                Ok(kept)
            }
        }
        from.deserialize_map(Object).map(Self)
    }
}

/// Reads a JSON object or a property list. No message repeats the text.
pub(super) fn object(kind: SourceKind, bytes: &[u8]) -> Result<Value, String> {
    let value: Value = if kind == SourceKind::Preferences {
        plist::from_bytes(bytes).map_err(|_| "no property list".to_owned())?
    } else {
        // Editors of Windows put such a mark at the beginning, and the client passes over it.
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let parsed = match text.len() as u64 > files::LARGE {
            true => serde_json::from_slice::<LookedAt>(text).map(|kept| Value::Object(kept.0)),
            false => serde_json::from_slice(text),
        };
        // Its place and not its words: a settings file may hold tokens.
        parsed.map_err(|error| format!("no JSON at line {}, column {}", error.line(), error.column()))?
    };
    // The cache of the server's settings may wrap them; what wraps them is not documented.
    match value {
        Value::Object(mut outer) if kind == SourceKind::Server => match outer.remove("settings") {
            Some(inner @ Value::Object(_)) => Ok(inner),
            _ => Ok(Value::Object(outer)),
        },
        Value::Object(object) => Ok(Value::Object(object)),
        _ => Err("no JSON object".to_owned()),
    }
}

/// The cache of what a server manages, where it says something.
pub(super) fn server(places: &ClientPlaces) -> Option<SettingsFile> {
    // It lies in the user's own folder.
    let dir = places.config_dirs.first()?;
    let file = SettingsFile::read(SourceKind::Server, &dir.join("remote-settings.json"));
    file.says_something().then_some(file)
}

/// The managed source of the machine: the first that is there, for Claude Code does not unite them.
pub(super) fn machine(places: &ClientPlaces) -> Vec<SettingsFile> {
    let name = format!("{DOMAIN}.plist");
    for folder in places.managed_prefs.iter().flat_map(|root| [root.join(&places.user_name), root.clone()]) {
        let file = SettingsFile::read(SourceKind::Preferences, &folder.join(&name));
        if file.says_something() {
            return vec![file];
        }
    }
    let mut files =
        vec![SettingsFile::read(SourceKind::Managed, &places.managed_dir.join("managed-settings.json"))];
    let drop_ins = places.managed_dir.join("managed-settings.d");
    match fs_err::read_dir(&drop_ins) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = Vec::new();
            for entry in entries {
                match entry {
                    Ok(entry) => paths.push(entry.path()),
                    Err(error) => files.push(unreadable(&drop_ins, &error)),
                }
            }
            paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
            // In the order of their names, the last of which wins.
            paths.sort();
            files.extend(paths.iter().map(|path| SettingsFile::read(SourceKind::Managed, path)));
        }
        Err(error) if files::is_absent(&error) => {
            // A folder above may be closed to us: then nothing is known, and that there are no drop-ins is no
            // answer.
            files.extend(files::confirm_absence(&drop_ins).err().map(|error| unreadable(&drop_ins, &error)));
        }
        Err(error) => files.push(unreadable(&drop_ins, &error)),
    }
    files.retain(SettingsFile::says_something);
    files
}

fn unreadable(path: &Path, error: &std::io::Error) -> SettingsFile {
    let state = FileState::Unreadable(error.to_string());
    SettingsFile { kind: SourceKind::Managed, path: path.to_path_buf(), state }
}
