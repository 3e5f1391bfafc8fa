//! Fuzz target: the settings of Claude Code, which their users write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;

use super::source::{LookedAt, SourceKind, keep, object};
use crate::fuzzing::{Choices, Vocabulary, json};

/// A settings file, from each kind of source.
pub fn settings(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kind = [SourceKind::User, SourceKind::Server, SourceKind::Preferences, SourceKind::Managed]
        [choices.below(4)];
    let text = match choices.below(3) {
        0 => choices.rest().to_vec(),
        _ => {
            let comment = choices.one_of(&["", "", "", "// a comment\n", "/* a comment */", "\u{feff}"]);
            format!("{comment}{}", json(&mut choices, &WORDS)).into_bytes()
        }
    };
    match object(kind, &text) {
        Ok(value) => {
            let _ = keep(&value);
        }
        Err(reason) => assert!(!reason.contains(char::is_control), "{reason:?}"),
    }
    // A large file is not parsed whole, and says the same.
    if let (Ok(Value::Object(whole)), Ok(part)) =
        (serde_json::from_slice::<Value>(&text), serde_json::from_slice::<LookedAt>(&text))
    {
        assert_eq!(keep(&Value::Object(whole)), keep(&Value::Object(part.0)));
    }
}

const WORDS: Vocabulary = Vocabulary {
    keys: &[
        "cleanupPeriodDays",
        "desktopSessionCleanupPeriodDays",
        "env",
        "settings",
        "CLAUDE_CONFIG_DIR",
        "CLAUDE_CODE_TMPDIR",
        "DISABLE_TELEMETRY",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "feedbackSurveyRate",
        "skipWebFetchPreflight",
        "plansDirectory",
        "hooks",
    ],
    values: &["30", "30.0", "0", "-1", "1e300", "\"30\"", "\"1\"", "\"/x\"", "{\"cleanupPeriodDays\":7}"],
};
