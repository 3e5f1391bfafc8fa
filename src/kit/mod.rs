//! The kit for device management, made from a policy and the table of keys: profiles, a manifest,
//! and scripts in the conventions of each system. Pure.
//!
//! Sources of the outside conventions: Apple "Configuration Profile Reference" (managed preferences
//! by `com.apple.ManagedClient.preferences`), Jamf Pro "JSON Schema Manifest Structure", Munki wiki
//! "Supported Pkginfo Keys", Microsoft Intune "Remediations", Kandji "Custom Scripts Overview",
//! Claude Code's documentation of managed settings.

mod manifest;
mod profile;

use serde_json::{Value, json};

use crate::catalogue::Kind;
use crate::client;
use crate::period::Period;
use crate::policy::managed::DOMAIN;
use crate::policy::parse::{self, SyntaxError};
use crate::policy::settings::Settings;

/// The policy a kit is made from where nobody names one: it reports and changes nothing.
pub const START: &str = include_str!("../../packaging/policies/5-managed-audit.json");

/// A file of the kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path in the folder of the kit.
    pub name: String,
    pub text: String,
    pub is_script: bool,
}

impl File {
    fn new(name: &str, text: String) -> Self {
        let is_script = std::path::Path::new(name).extension().is_some_and(|ending| ending == "sh");
        Self { name: name.to_owned(), text, is_script }
    }
}

/// Why there is no kit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// What it is to be made from is no policy.
    #[error("this is not a policy for a kit")]
    Policy(#[source] SyntaxError),
    /// A property list cannot be written.
    #[error("a property list cannot be written")]
    List(#[source] plist::Error),
    /// XML has no form for a character, whatever it is written as.
    #[error("the policy holds the character U+{:04X}, which no configuration profile can hold", u32::from(*.0))]
    Character(char),
}

/// What every script of root's asks before it runs the program.
const ONLY_ROOTS: &str = include_str!("templates/only-roots.sh");

/// Files that are the same whatever the policy says, except for what stands between at signs.
const TEMPLATES: &[(&str, &str)] = &[
    ("jamf/extension-attribute.sh", include_str!("templates/jamf-extension-attribute.sh")),
    ("kandji/audit.sh", include_str!("templates/kandji-audit.sh")),
    ("kandji/remediate.sh", include_str!("templates/kandji-remediate.sh")),
    ("intune/detect.ps1", include_str!("templates/intune-detect.ps1")),
    ("intune/remediate.ps1", include_str!("templates/intune-remediate.ps1")),
    ("ansible/roles/ccretain/defaults/main.yml", include_str!("templates/ansible-defaults.yml")),
    ("ansible/roles/ccretain/handlers/main.yml", include_str!("templates/ansible-handlers.yml")),
    ("ansible/roles/ccretain/meta/main.yml", include_str!("templates/ansible-meta.yml")),
    ("ansible/roles/ccretain/tasks/main.yml", include_str!("templates/ansible-tasks.yml")),
    ("ansible/playbook.yml", include_str!("templates/ansible-playbook.yml")),
];

/// The part for what watches a fleet, as it is: units, queries, examples for forwarders.
const FLEET: &[(&str, &str)] = &[
    ("fleet/README.md", include_str!("../../packaging/mdm/fleet/README.md")),
    ("fleet/osquery/ccretain.conf", include_str!("../../packaging/mdm/fleet/osquery/ccretain.conf")),
    (
        "fleet/osquery/ccretain-osquery.service",
        include_str!("../../packaging/mdm/fleet/osquery/ccretain-osquery.service"),
    ),
    (
        "fleet/osquery/ccretain-osquery.timer",
        include_str!("../../packaging/mdm/fleet/osquery/ccretain-osquery.timer"),
    ),
    (
        "fleet/osquery/io.github.ccretain.osquery.plist",
        include_str!("../../packaging/mdm/fleet/osquery/io.github.ccretain.osquery.plist"),
    ),
    (
        "fleet/osquery/fleet-policies.yml",
        include_str!("../../packaging/mdm/fleet/osquery/fleet-policies.yml"),
    ),
    (
        "fleet/prometheus/ccretain-check.service",
        include_str!("../../packaging/mdm/fleet/prometheus/ccretain-check.service"),
    ),
    (
        "fleet/prometheus/ccretain-check.timer",
        include_str!("../../packaging/mdm/fleet/prometheus/ccretain-check.timer"),
    ),
    ("fleet/forwarders/vector.toml", include_str!("../../packaging/mdm/fleet/forwarders/vector.toml")),
    (
        "fleet/forwarders/otel-collector.yaml",
        include_str!("../../packaging/mdm/fleet/forwarders/otel-collector.yaml"),
    ),
    (
        "fleet/forwarders/splunk-inputs.conf",
        include_str!("../../packaging/mdm/fleet/forwarders/splunk-inputs.conf"),
    ),
];

/// The kit for a policy, which is JSON.
///
/// # Errors
/// A policy that does not fit the grammar.
pub fn files(policy: &[u8]) -> Result<Vec<File>, KitError> {
    let settings = parse::policy(policy).map_err(KitError::Policy)?;
    // As it is understood, without remarks: what is pushed is what is checked.
    let said = json!(settings);
    // Asked before any file is made: a profile that a Mac cannot read would be told of by nobody.
    if let Some(character) = not_for_xml(&said) {
        return Err(KitError::Character(character));
    }
    let client = for_client(&settings);
    let mut files = vec![
        File::new("managed-policy.json", pretty(&said)),
        File::new("managed-settings.json", pretty(&client)),
        File::new(&format!("{DOMAIN}.plist"), profile::list(&said)?),
        File::new(
            &format!("{DOMAIN}.mobileconfig"),
            profile::profile(DOMAIN, "ccretain", "Retention of the session data of Claude Code", &said)?,
        ),
        File::new(
            &format!("{}.mobileconfig", profile::CLIENT),
            profile::profile(
                profile::CLIENT,
                "Claude Code retention",
                "Claude Code's own cleanup, matched to the policy of ccretain",
                &client,
            )?,
        ),
        File::new(&format!("jamf/{DOMAIN}.json"), pretty(&manifest::manifest())),
        File::new("munki/ccretain.pkginfo", profile::munki()?),
    ];
    files.push(File::new("privacy.mobileconfig", profile::privacy()?));
    files.extend(TEMPLATES.iter().map(|(name, text)| File::new(name, filled(text, &said))));
    files.extend(FLEET.iter().map(|(name, text)| File::new(name, (*text).to_owned())));
    Ok(files)
}

/// The first character of a policy that XML cannot hold.
fn not_for_xml(value: &Value) -> Option<char> {
    let is_bad = |character: &char| matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    match value {
        Value::String(text) => text.chars().find(|character| is_bad(character)),
        Value::Array(values) => values.iter().find_map(not_for_xml),
        Value::Object(entries) => entries.values().find_map(not_for_xml),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The client's own settings that keep its sweep from removing what the policy keeps.
fn for_client(settings: &Settings) -> Value {
    let rules = settings.rules.iter().flatten().filter(|rule| {
        rule.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind.0 == Kind::Transcript))
    });
    let mut periods: Vec<Period> = rules.filter_map(|rule| rule.delete_after.clone()).collect();
    periods.extend(settings.keep_at_least.clone());
    client::emit(periods.iter())
}

fn filled(template: &str, policy: &Value) -> String {
    template
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@DOMAIN@", DOMAIN)
        .replace("@ONLY_ROOTS@", ONLY_ROOTS.trim_end())
        // Last, so that nothing in a policy is taken for one of the marks above.
        .replace("@POLICY@", &yaml(policy, 1))
}

/// A policy as YAML for Ansible, `level` steps to the right.
fn yaml(value: &Value, level: usize) -> String {
    // Ansible evaluates `{{ }}` and `{% %}` in every text, on the machine that runs the playbook; `!unsafe`
    // says that a text is none of its templates. It is said of each, because of a whole mapping it is not
    // understood by every version.
    let list = |[open, close]: [char; 2], entries: Vec<String>| {
        if entries.is_empty() {
            return format!("{open}{close}");
        }
        let (inner, outer) = ("  ".repeat(level + 1), "  ".repeat(level));
        format!("{open}\n{inner}{}\n{outer}{close}", entries.join(&format!(",\n{inner}")))
    };
    match value {
        Value::String(text) => format!("!unsafe {}", yaml_text(text)),
        Value::Array(values) => list(['[', ']'], values.iter().map(|value| yaml(value, level + 1)).collect()),
        Value::Object(entries) => {
            let entry =
                |(key, value): (&String, &Value)| format!("{}: {}", yaml_text(key), yaml(value, level + 1));
            list(['{', '}'], entries.iter().map(entry).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A text between double quotes, which YAML reads as JSON does but for what it folds or refuses.
fn yaml_text(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for character in quoted.chars() {
        match u32::from(character) {
            code @ (0x7f..=0x9f | 0x2028 | 0x2029 | 0xfeff | 0xfffe | 0xffff) => {
                out.push_str(&format!("\\u{code:04x}"));
            }
            _ => out.push(character),
        }
    }
    out
}

fn pretty(value: &Value) -> String {
    let mut text = crate::escape::json::pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_policy_is_a_template() {
        let reason = "{{ lookup('pipe', 'id') }} {% x %} @VERSION@ @DOMAIN@ @POLICY@ <b>&amp; $(id) \u{85}\u{2028}\u{7f}";
        let policy = json!({
            "version": 1,
            "rules": [{"name": "{{ rule }}", "projects": ["/work/{{ p }}/**"], "deleteAfter": "30d"}],
            "holds": [{"name": "h", "projects": ["/a"], "reason": reason}],
        });
        let made = files(policy.to_string().as_bytes()).unwrap();
        let text = |name: &str| &made.iter().find(|file| file.name.ends_with(name)).unwrap().text;
        let defaults = text("defaults/main.yml");
        // Every text is marked; what is left of a line with a template has the mark before it.
        for (at, _) in defaults.match_indices("{{") {
            let line = defaults[..at].rsplit('\n').next().unwrap();
            assert!(line.contains("!unsafe \""), "{line}");
        }
        assert!(defaults.contains(r#""reason": !unsafe "{{ lookup('pipe', 'id') }}"#), "{defaults}");
        assert!(defaults.contains("@VERSION@ @DOMAIN@ @POLICY@"), "{defaults}");
        assert!(defaults.contains("\\u0085\\u2028\\u007f"), "{defaults}");
        // What the others hold is what was said.
        let said: Value = serde_json::from_str(text("managed-policy.json")).unwrap();
        assert_eq!(said["holds"][0]["reason"], reason);
        let list: plist::Value = plist::from_bytes(text("ccretain.plist").as_bytes()).unwrap();
        let holds = list.as_dictionary().unwrap()["holds"].as_array().unwrap();
        assert_eq!(holds[0].as_dictionary().unwrap()["reason"].as_string(), Some(reason));
        for file in &made {
            let is_policy = ["policy.json", ".plist", "ccretain.mobileconfig", "defaults/main.yml"];
            if !is_policy.iter().any(|name| file.name.ends_with(name)) {
                assert!(!file.text.contains("lookup("), "{}", file.name);
            }
        }
    }

    #[test]
    fn a_character_that_a_profile_cannot_hold_is_told() {
        let policy = r#"{"version": 1, "holds": [{"name": "h", "projects": ["/a"], "reason": "a\u0001"}]}"#;
        let error = files(policy.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("U+0001"), "{error}");
    }
}
