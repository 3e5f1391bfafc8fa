//! Property lists: managed preferences, profiles that force them, and Munki's description of the package.

use plist::{Dictionary, Value as List};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::KitError;
use crate::policy::managed::DOMAIN;

/// The preference domain of the client's managed settings.
pub const CLIENT: &str = "com.anthropic.claudecode";

/// The id of the team that signed the program, which `packaging/macos/build` passes; else what stands in its place.
pub const TEAM: &str = match option_env!("CCRETAIN_TEAM") {
    Some(team) => team,
    None => "TEAMID0000",
};

const INSTALL_CHECK: &str = include_str!("templates/munki-installcheck.sh");
const UNINSTALL: &str = include_str!("templates/munki-uninstall.sh");

/// Preferences as a plain list, for systems that make the profile themselves.
pub fn list(settings: &Value) -> Result<String, KitError> {
    xml(&from_json(settings))
}

/// A profile for the whole machine that forces preferences of a domain.
pub fn profile(domain: &str, name: &str, description: &str, settings: &Value) -> Result<String, KitError> {
    let forced = dictionary([("mcx_preference_settings", from_json(settings))]);
    let preferences = dictionary([("Forced", List::Array(vec![forced]))]);
    let payload = dictionary([
        ("PayloadType", text("com.apple.ManagedClient.preferences")),
        ("PayloadVersion", List::Integer(1.into())),
        ("PayloadIdentifier", text(&format!("{domain}.preferences"))),
        ("PayloadUUID", text(&id(&format!("{domain}.preferences"), settings))),
        ("PayloadDisplayName", text(name)),
        ("PayloadEnabled", List::Boolean(true)),
        ("PayloadContent", dictionary([(domain, preferences)])),
    ]);
    for_machine(domain, name, description, settings, vec![payload])
}

/// A profile for the whole machine.
fn for_machine(
    domain: &str,
    name: &str,
    description: &str,
    content: &Value,
    payloads: Vec<List>,
) -> Result<String, KitError> {
    xml(&dictionary([
        ("PayloadType", text("Configuration")),
        ("PayloadVersion", List::Integer(1.into())),
        ("PayloadIdentifier", text(&format!("{domain}.profile"))),
        ("PayloadUUID", text(&id(domain, content))),
        ("PayloadDisplayName", text(name)),
        ("PayloadDescription", text(description)),
        ("PayloadOrganization", text("Your organisation")),
        ("PayloadScope", text("System")),
        ("PayloadRemovalDisallowed", List::Boolean(true)),
        ("PayloadContent", List::Array(payloads)),
    ]))
}

/// A profile that lets the daemon read what macOS guards, and that keeps users from switching it off.
pub fn privacy() -> Result<String, KitError> {
    // The program is known by who signed it: the id of its `TEAM`. Sources: Apple's
    // "Privacy Preferences Policy Control" (`SystemPolicyAllFiles`) and "Service Management - Managed Login
    // Items" (`Label`).
    let requirement = format!(
        "identifier \"{DOMAIN}\" and anchor apple generic and certificate 1[field.1.2.840.113635.100.6.2.6] /* exists \
         */ and certificate leaf[field.1.2.840.113635.100.6.1.13] /* exists */ and certificate leaf[subject.OU] = \
         \"{TEAM}\""
    );
    let rule = serde_json::json!({
        "Identifier": "/opt/ccretain/bin/ccretain",
        "IdentifierType": "path",
        "CodeRequirement": requirement,
        "Authorization": "Allow",
        "Comment": "Sessions lie in every home, also where only a program with full disk access may look",
    });
    let services = serde_json::json!({ "SystemPolicyAllFiles": [rule] });
    let items = serde_json::json!([{
        "RuleType": "Label",
        "RuleValue": DOMAIN,
        "TeamIdentifier": TEAM,
        "Comment": "The daemon that enforces retention",
    }]);
    let payload = |kind: &str, name: &str, key: &str, content: &Value| {
        dictionary([
            ("PayloadType", text(kind)),
            ("PayloadVersion", List::Integer(1.into())),
            ("PayloadIdentifier", text(&format!("{DOMAIN}.{name}"))),
            ("PayloadUUID", text(&id(&format!("{DOMAIN}.{name}"), content))),
            ("PayloadDisplayName", text(&format!("ccretain: {name}"))),
            (key, from_json(content)),
        ])
    };
    let payloads = vec![
        payload("com.apple.TCC.configuration-profile-policy", "privacy", "Services", &services),
        payload("com.apple.servicemanagement", "login-items", "Rules", &items),
    ];
    let description = "Full disk access for ccretain's daemon, which users cannot switch off";
    let domain = format!("{DOMAIN}.privacy");
    for_machine(&domain, "ccretain: privacy", description, &serde_json::json!([services, items]), payloads)
}

/// What Munki must know of the package for macOS.
pub fn munki() -> Result<String, KitError> {
    let version = env!("CARGO_PKG_VERSION");
    let receipt = dictionary([("packageid", text("io.github.ccretain.pkg")), ("version", text(version))]);
    xml(&dictionary([
        ("name", text("ccretain")),
        ("display_name", text("ccretain")),
        ("version", text(version)),
        ("description", text("Enforces retention on the session data that Claude Code leaves on a disk")),
        ("category", text("Security")),
        ("developer", text("The ccretain authors")),
        ("catalogs", List::Array(vec![text("testing")])),
        ("installer_item_location", text(&format!("ccretain-{version}.pkg"))),
        ("minimum_os_version", text("12.0")),
        ("receipts", List::Array(vec![receipt])),
        ("installcheck_script", text(&super::filled(INSTALL_CHECK, &Value::Null))),
        ("uninstallable", List::Boolean(true)),
        ("uninstall_method", text("uninstall_script")),
        ("uninstall_script", text(UNINSTALL)),
        ("unattended_install", List::Boolean(true)),
        ("unattended_uninstall", List::Boolean(true)),
    ]))
}

/// An id that is the same for the same name and content.
fn id(name: &str, settings: &Value) -> String {
    let hash = Sha256::digest(format!("{name}\n{settings}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(hash.get(..16).unwrap_or(&[0; 16]));
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string().to_uppercase()
}

fn text(text: &str) -> List {
    List::String(text.to_owned())
}

fn dictionary<const N: usize>(entries: [(&str, List); N]) -> List {
    List::Dictionary(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn from_json(value: &Value) -> List {
    match value {
        // A policy has no null, and a list cannot hold one.
        Value::Null => List::String(String::new()),
        Value::Bool(value) => List::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => List::Integer(number.into()),
            (None, number) => List::Real(number.unwrap_or_default()),
        },
        Value::String(value) => text(value),
        Value::Array(values) => List::Array(values.iter().map(from_json).collect()),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), from_json(value)));
            List::Dictionary(entries.collect::<Dictionary>())
        }
    }
}

fn xml(list: &List) -> Result<String, KitError> {
    let mut out = Vec::new();
    plist::to_writer_xml(&mut out, list).map_err(KitError::List)?;
    out.push(b'\n');
    Ok(String::from_utf8_lossy(&out).into_owned())
}
