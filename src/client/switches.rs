//! The switches that decide what the client sends and writes: which source sets each, and to what.
//!
//! A switch is an environment variable. The client takes it from the `env` of its settings, which
//! overrides the process's own environment, the stronger source first (managed, local, project,
//! user). Facts: the client's public data-usage page (code.claude.com/docs/en/data-usage) and
//! client 2.1.330, which takes some variables by any value at all and others only by a word that
//! means yes. Of a value nothing is kept but what it means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::{ClientSettings, SettingsFile, SourceKind};

macro_rules! switches {
    ($( $(#[$doc:meta])* $switch:ident $name:literal $takes:ident; )*) => {
        /// An environment variable of the client that turns something on or off.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Switch { $( $(#[$doc])* $switch, )* }

        impl Switch {
            /// Every switch.
            pub const ALL: &'static [Self] = &[$(Self::$switch),*];

            /// The name of the variable.
            pub fn name(self) -> &'static str {
                match self { $( Self::$switch => $name, )* }
            }

            /// The switch of a variable.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|switch| switch.name() == name)
            }

            fn takes(self) -> Takes {
                match self { $( Self::$switch => Takes::$takes, )* }
            }
        }
    };
}

/// Which values count as set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Any that is not empty, `0` included.
    Anything,
    /// `1`, `true`, `yes`, `on`.
    AWord,
}

switches! {
    /// Metrics off; with them the evaluation of feature flags.
    NoTelemetry "DISABLE_TELEMETRY" Anything;
    /// The same, by the convention of many programs.
    DoNotTrack "DO_NOT_TRACK" AWord;
    /// Error reports off.
    NoErrorReports "DISABLE_ERROR_REPORTING" Anything;
    /// `/feedback`, `/bug` and `/share` off.
    NoFeedback "DISABLE_FEEDBACK_COMMAND" AWord;
    /// The older name of the same.
    NoBug "DISABLE_BUG_COMMAND" AWord;
    /// The session quality survey off.
    NoSurvey "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY" AWord;
    /// All of these off.
    EssentialOnly "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC" Anything;
    /// The provider is Amazon Bedrock.
    Bedrock "CLAUDE_CODE_USE_BEDROCK" AWord;
    /// The provider is Google Cloud's.
    Vertex "CLAUDE_CODE_USE_VERTEX" AWord;
    /// The provider is Microsoft Foundry.
    Foundry "CLAUDE_CODE_USE_FOUNDRY" AWord;
    /// The provider is the vendor's platform on AWS.
    PlatformOnAws "CLAUDE_CODE_USE_ANTHROPIC_AWS" AWord;
    /// A host platform chose the provider, and metrics are on by default there too.
    ByHost "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST" AWord;
    /// No transcripts are written.
    NoTranscripts "CLAUDE_CODE_SKIP_PROMPT_HISTORY" AWord;
}

/// What a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Empty: as if it were not set.
    Empty,
    /// A word that means yes.
    Yes,
    /// Anything else, such as `0`.
    Other,
}

impl Meaning {
    fn of(value: &str) -> Self {
        match value.trim().to_ascii_lowercase().as_str() {
            "" if value.is_empty() => Self::Empty,
            "1" | "true" | "yes" | "on" => Self::Yes,
            _ => Self::Other,
        }
    }
}

/// Who sets a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setter {
    /// A settings file.
    File(SourceKind, #[serde(serialize_with = "shown")] PathBuf),
    /// The environment of this process.
    Environment,
}

fn shown<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&crate::escape::text(path))
}

impl Setter {
    /// The word for it: `managed`, `local`, `project`, `user` or `environment`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::File(kind, _) => kind.word(),
            Self::Environment => "environment",
        }
    }

    /// Whether users cannot change it.
    pub fn is_managed(&self) -> bool {
        self.word() == "managed"
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(_, path) => Some(path),
            Self::Environment => None,
        }
    }
}

/// A switch as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Whether it counts as set.
    pub is_set: bool,
    /// Whether its value is one of which its writer may have thought otherwise: `0`, `false`.
    pub is_odd: bool,
    /// Who sets it.
    pub by: Setter,
}

/// The switches of a settings object.
pub(super) fn keep(env: Option<&Value>) -> BTreeMap<Switch, Meaning> {
    let of = |switch: &Switch| {
        let meaning = match env?.get(switch.name())? {
            Value::String(text) => Meaning::of(text),
            Value::Bool(true) => Meaning::Yes,
            Value::Number(number) if number.as_i64() == Some(1) => Meaning::Yes,
            _ => Meaning::Other,
        };
        Some((*switch, meaning))
    };
    Switch::ALL.iter().filter_map(of).collect()
}

/// The switches among the variables of a process.
pub fn of_environment<'a>(value: impl Fn(&str) -> Option<&'a std::ffi::OsStr>) -> BTreeMap<Switch, Meaning> {
    let of = |switch: &Switch| Some((*switch, Meaning::of(&value(switch.name())?.to_string_lossy())));
    Switch::ALL.iter().filter_map(of).collect()
}

impl SettingsFile {
    fn switch(&self, switch: Switch) -> Option<Meaning> {
        match &self.state {
            super::FileState::Read { switches, .. } => switches.get(&switch).copied(),
            _ => None,
        }
    }
}

impl ClientSettings {
    /// A switch as a client sees it that is started in this project (`None`: in a folder without
    /// settings of its own) by a process with these variables; `None` where nobody sets it.
    pub fn switch(
        &self,
        switch: Switch,
        project: Option<&Path>,
        environment: &BTreeMap<Switch, Meaning>,
    ) -> Option<Setting> {
        let own = project.and_then(|project| self.projects.get(project)).into_iter().flatten();
        let files = self.managed.iter().rev().chain(own).chain(self.users.first());
        let of_file =
            |file: &SettingsFile| Some((file.switch(switch)?, Setter::File(file.kind, file.path.clone())));
        let found = files.filter_map(of_file).next();
        let (meaning, by) = found.or_else(|| Some((*environment.get(&switch)?, Setter::Environment)))?;
        let is_set = match (meaning, switch.takes()) {
            (Meaning::Empty, _) | (Meaning::Other, Takes::AWord) => false,
            (Meaning::Yes, _) | (Meaning::Other, Takes::Anything) => true,
        };
        Some(Setting { is_set, is_odd: meaning == Meaning::Other, by })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(env: &Value) -> SettingsFile {
        SettingsFile::of_object(SourceKind::User, Path::new("/u"), &serde_json::json!({ "env": env }))
    }

    #[test]
    fn values_count_as_the_client_counts_them() {
        let set = |switch: Switch, value: Value| {
            let mut env = serde_json::Map::new();
            env.insert(switch.name().to_owned(), value);
            let client = ClientSettings { users: vec![user(&env.into())], ..ClientSettings::default() };
            client.switch(switch, None, &BTreeMap::new()).map(|setting| (setting.is_set, setting.is_odd))
        };
        for (value, any, word) in [
            ("1", true, true),
            ("TRUE", true, true),
            ("0", true, false),
            ("no", true, false),
            ("", false, false),
        ] {
            let odd = value == "0" || value == "no";
            assert_eq!(set(Switch::NoTelemetry, value.into()), Some((any, odd)), "{value}");
            assert_eq!(set(Switch::NoFeedback, value.into()), Some((word, odd)), "{value}");
        }
        assert_eq!(set(Switch::NoSurvey, true.into()), Some((true, false)));
        assert_eq!(set(Switch::NoSurvey, 1.into()), Some((true, false)));
        assert_eq!(ClientSettings::default().switch(Switch::NoSurvey, None, &BTreeMap::new()), None);
    }

    #[test]
    fn the_stronger_source_decides_and_is_named() {
        let yes = serde_json::json!({"env": {"DISABLE_TELEMETRY": "1"}});
        let no = serde_json::json!({"env": {"DISABLE_TELEMETRY": ""}});
        let file = |kind, value: &Value| SettingsFile::of_object(kind, Path::new("/f"), value);
        let environment = BTreeMap::from([(Switch::NoTelemetry, Meaning::Yes)]);
        let project = Path::new("/p");
        let mut client = ClientSettings::default();
        let of = |client: &ClientSettings, project| {
            let setting = client.switch(Switch::NoTelemetry, project, &environment).unwrap();
            (setting.by.word(), setting.is_set)
        };
        assert_eq!(of(&client, None), ("environment", true));
        client.users.push(file(SourceKind::User, &no));
        assert_eq!(of(&client, None), ("user", false), "settings override the environment");
        client.projects.insert(project.into(), vec![file(SourceKind::Project, &yes)]);
        assert_eq!(of(&client, Some(project)), ("project", true));
        assert_eq!(of(&client, None), ("user", false));
        client.managed.push(file(SourceKind::Managed, &no));
        client.managed.push(file(SourceKind::Managed, &yes));
        assert_eq!(of(&client, Some(project)), ("managed", true), "a drop-in wins over the base");
    }

    #[test]
    fn nothing_of_a_value_is_kept() {
        let client = ClientSettings {
            users: vec![user(&serde_json::json!({"DISABLE_TELEMETRY": "s3cret-token"}))],
            ..ClientSettings::default()
        };
        assert!(!format!("{client:?}").contains("s3cret"));
    }
}
