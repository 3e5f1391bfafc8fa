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
use crate::period::Period;
use crate::policy::claude;
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
    /// What is in it.
    pub text: String,
    /// Whether it is a script.
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
    #[error("this is no policy for a kit")]
    Policy(#[source] SyntaxError),
    /// A property list cannot be written.
    #[error("a property list cannot be written")]
    List(#[source] plist::Error),
}

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

/// The kit for a policy, which is JSON.
///
/// # Errors
/// A policy that does not fit the grammar.
pub fn files(policy: &[u8]) -> Result<Vec<File>, KitError> {
    let settings = parse::policy(policy).map_err(KitError::Policy)?;
    // As it is understood, without remarks: what is pushed is what is checked.
    let said = json!(settings);
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
                "The client's own sweep, matched to the policy of ccretain",
                &client,
            )?,
        ),
        File::new(&format!("jamf/{DOMAIN}.json"), pretty(&manifest::manifest())),
        File::new("munki/ccretain.pkginfo", profile::munki()?),
    ];
    files.extend(TEMPLATES.iter().map(|(name, text)| File::new(name, filled(text, &said))));
    Ok(files)
}

/// The client's own settings that keep its sweep from removing what the policy keeps.
fn for_client(settings: &Settings) -> Value {
    let rules = settings.rules.iter().flatten().filter(|rule| {
        rule.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind.0 == Kind::Transcript))
    });
    let mut periods: Vec<Period> = rules.filter_map(|rule| rule.delete_after.clone()).collect();
    periods.extend(settings.keep_at_least.clone());
    claude::emit(periods.iter())
}

fn filled(template: &str, policy: &Value) -> String {
    template
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@DOMAIN@", DOMAIN)
        .replace("@POLICY@", &indented(&crate::escape::json::pretty(policy).unwrap_or_default()))
}

/// Every line but the first moved to the right, for a place in YAML.
fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}

fn pretty(value: &Value) -> String {
    let mut text = crate::escape::json::pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
