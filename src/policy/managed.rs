//! The managed preferences of macOS: a property list that device management puts in place.
//!
//! Forced preferences lie in `/Library/Managed Preferences/<user>/<domain>.plist` and
//! `/Library/Managed Preferences/<domain>.plist`; both count, and the user's is read last.
//!
//! Read from the files, not through `defaults` (CFPreferences). For a key that nobody forces, that answers with the user's
//! own value, by which a user could loosen the policy; for a key that both files force, it answers with one value alone, the
//! user's. Here the rules and holds of both are united; of a preference the user's counts, as there.

use std::path::Path;

use serde_json::{Map, Number, Value};

use super::error::LoadError;
use super::parse::{self, SyntaxError};
use super::settings::RawLayer;
use super::trusted::TrustedDir;
use super::{Layer, Source};

/// The preference domain.
pub const DOMAIN: &str = "io.github.ccretain";

/// Reads the managed preferences of the machine and of one user, in this order.
///
/// # Errors
/// Preferences that cannot be read, are not root's alone, or do not fit the grammar.
pub fn read(root: &Path, user: &str, owner: u32) -> Result<Vec<RawLayer>, LoadError> {
    let mut layers = Vec::new();
    // A name with a slash or dots would lead to another folder than that of managed preferences.
    let of_user = Path::new(user).components().count() == 1 && !user.starts_with('.');
    let folders = [Some(root.to_path_buf()), of_user.then(|| root.join(user))];
    for folder in folders.into_iter().flatten() {
        let Some(dir) = TrustedDir::open(&folder, owner)? else { continue };
        let name = format!("{DOMAIN}.plist");
        if let Some(bytes) = dir.read(name.as_ref())? {
            let path = folder.join(name);
            let settings = from_plist(&bytes).map_err(|source| LoadError::syntax(&path, source))?;
            layers.push(RawLayer { source: Source { layer: Layer::Managed, path: Some(path) }, settings });
        }
    }
    Ok(layers)
}

/// Reads settings from a property list, binary or XML.
pub(super) fn from_plist(bytes: &[u8]) -> Result<super::settings::Settings, SyntaxError> {
    let bad = |message: String| SyntaxError { line: 0, column: 0, message };
    let mut list: plist::Value =
        plist::from_bytes(bytes).map_err(|error| bad(format!("it is not a property list: {error}")))?;
    if let plist::Value::Dictionary(entries) = &mut list {
        // The system and device management add keys of their own to what they deliver: `PayloadUUID` and its like,
        // and `_manualProfile` where somebody installed the profile by hand. No key of a policy begins like these.
        entries.retain(|key, _| !key.starts_with("Payload") && !key.starts_with('_'));
    }
    let json = to_json(list).ok_or_else(|| bad("it holds a value no policy can hold".into()))?;
    parse::policy(json.to_string().as_bytes()).map_err(|error| bad(error.message))
}

fn to_json(value: plist::Value) -> Option<Value> {
    Some(match value {
        plist::Value::Array(values) => Value::Array(values.into_iter().map(to_json).collect::<Option<_>>()?),
        plist::Value::Dictionary(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                // A form that somebody emptied writes this; it says nothing.
                if value.as_string() != Some("") {
                    object.insert(key, to_json(value)?);
                }
            }
            Value::Object(object)
        }
        plist::Value::Boolean(value) => Value::Bool(value),
        plist::Value::Date(date) => Value::String(date.to_xml_format()),
        plist::Value::Integer(number) => match (number.as_unsigned(), number.as_signed()) {
            (Some(number), _) => Value::Number(number.into()),
            (None, Some(number)) => Value::Number(number.into()),
            (None, None) => return None,
        },
        plist::Value::Real(number) => Value::Number(Number::from_f64(number)?),
        plist::Value::String(text) => Value::String(text),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(inner: &str) -> Vec<u8> {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><dict>{inner}</dict></plist>"
        )
        .into_bytes()
    }

    #[test]
    fn a_property_list_says_the_same_as_json() {
        let settings = from_plist(&list(
            "<key>version</key><integer>1</integer><key>PayloadUUID</key><string>x</string>\
             <key>rules</key><array><dict><key>deleteAfter</key><string>7d</string></dict></array>\
             <key>guard</key><dict><key>maxShare</key><real>0.9</real></dict>\
             <key>holds</key><array><dict><key>name</key><string>h</string><key>reason</key><string>r</string>\
             <key>until</key><date>2027-03-01T00:00:00Z</date></dict></array>",
        ))
        .unwrap();
        let json = br#"{"version": 1, "rules": [{"deleteAfter": "7d"}], "guard": {"maxShare": 0.9},
            "holds": [{"name": "h", "reason": "r", "until": "2027-03-01T00:00:00Z"}]}"#;
        assert_eq!(settings, parse::parse(json).unwrap());
    }

    #[test]
    fn what_the_system_adds_and_what_a_form_left_empty_say_nothing() {
        let settings = from_plist(&list(
            "<key>version</key><integer>1</integer><key>_manualProfile</key><true/><key>_future</key><data>AA==</data>\
             <key>PayloadDisplayName</key><string>x</string><key>PayloadContent</key><array/>\
             <key>keepAtLeast</key><string></string>\
             <key>rules</key><array><dict><key>name</key><string/><key>sealAfter</key><string></string>\
             <key>deleteAfter</key><string>7d</string></dict></array>",
        ))
        .unwrap();
        assert_eq!(settings, parse::parse(br#"{"version": 1, "rules": [{"deleteAfter": "7d"}]}"#).unwrap());
        // What has to be said and is empty is missing, not any text.
        assert!(
            from_plist(&list("<key>holds</key><array><dict><key>name</key><string/></dict></array>"))
                .is_err()
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_forced_for_the_machine_and_for_the_user_counts_in_this_order() {
        use std::os::unix::fs::MetadataExt as _;
        let root = tempfile::tempdir().unwrap();
        let owner = root.path().metadata().unwrap().uid();
        let forces = |folder: &Path, period: &str| {
            fs_err::create_dir_all(folder).unwrap();
            let inner = format!(
                "<key>version</key><integer>1</integer><key>keepAtLeast</key><string>{period}</string>"
            );
            let mut file = fs_err::File::create_new(folder.join(format!("{DOMAIN}.plist"))).unwrap();
            std::io::Write::write_all(&mut file, &list(&inner)).unwrap();
        };
        forces(root.path(), "1d");
        forces(&root.path().join("ann"), "2d");
        let read = |user: &str| -> Vec<String> {
            let layers = read(root.path(), user, owner).unwrap();
            layers.into_iter().map(|layer| layer.settings.keep_at_least.unwrap().to_string()).collect()
        };
        assert_eq!(read("ann"), ["1d", "2d"]);
        assert_eq!(read("bob"), ["1d"]);
        for elsewhere in ["..", ".", "", "ann/..", "/"] {
            assert_eq!(read(elsewhere), ["1d"], "{elsewhere}");
        }
    }

    #[test]
    fn a_typo_and_a_damaged_list_are_errors() {
        let error = from_plist(&list("<key>rule</key><array/>")).unwrap_err();
        assert_eq!(error.message, "unknown key 'rule', did you mean 'rules'?");
        assert!(from_plist(b"bplist00garbage").is_err());
        assert!(from_plist(b"").is_err());
        assert!(from_plist(&list("<key>rules</key><data>AAAA</data>")).is_err());
    }
}
