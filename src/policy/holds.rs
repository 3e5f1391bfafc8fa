//! The user's own holds: `holds.json` beside the user's policy, written by `hold add` and `hold release`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::LoadError;
use super::parse;
use super::settings::HoldSettings;
use super::trusted::read_own;
use crate::error::{At as _, PathError};
use crate::files;

/// The name of the file in the user's policy folder.
pub const FILE_NAME: &str = "holds.json";

/// What `holds.json` says; a bare array of holds is read too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object with version and holds")]
pub struct HoldsFile {
    /// The version of the grammar; 1.
    pub version: u64,
    /// The holds, oldest first.
    pub holds: Vec<HoldSettings>,
}

/// Where the user's holds lie.
pub fn path(user_dir: &Path) -> PathBuf {
    user_dir.join(FILE_NAME)
}

/// Reads the user's holds; `None` where there is no file.
///
/// # Errors
/// A file that cannot be read or does not fit, and a name given twice.
pub fn read(path: &Path) -> Result<Option<Vec<HoldSettings>>, LoadError> {
    read_own(path)?.map(|bytes| parse(path, &bytes)).transpose()
}

/// What the text of the file says.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<HoldSettings>, LoadError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let holds = if text.trim_ascii_start().starts_with(b"[") {
        parse::parse::<Vec<HoldSettings>>(bytes)
    } else {
        parse::parse::<HoldsFile>(bytes).and_then(|file| match file.version {
            1 => Ok(file.holds),
            other => Err(parse::SyntaxError {
                line: 1,
                column: 1,
                message: format!("version {other} is not known: this program reads version 1"),
            }),
        })
    };
    let holds = holds.map_err(|source| LoadError::syntax(path, source))?;
    let mut names = BTreeSet::new();
    for hold in &holds {
        if !names.insert(&hold.name) {
            return Err(LoadError::unusable(
                path,
                &format!("two holds are named '{}'", crate::escape::shown(&hold.name)),
            ));
        }
    }
    Ok(holds)
}

/// The holds that can be read in a file that is not valid as a whole, and whether those are all it has.
pub(super) fn rescue(bytes: &[u8]) -> (Vec<HoldSettings>, bool) {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Ok(whole) = serde_json::from_slice::<Value>(text) else { return (Vec::new(), false) };
    let list = if whole.is_array() { Some(&whole) } else { whole.get("holds") };
    let entries = match list {
        None => return (Vec::new(), whole.is_object()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return (Vec::new(), false),
    };
    let found: Vec<HoldSettings> =
        entries.iter().filter_map(|entry| HoldSettings::deserialize(entry).ok()).collect();
    // Of a key that is given twice the parser keeps one.
    let is_named_once = text.windows(7).filter(|word| word == b"\"holds\"").count() <= 1;
    // One that cannot be read may cover anything; whoever is told that not all are known keeps everything.
    let is_all = found.len() == entries.len() && is_named_once;
    (found, is_all)
}

/// Replaces the user's holds, whole or not at all: written beside, flushed, renamed. Mode 0600.
///
/// # Errors
/// When the folder cannot be made or the file not written.
pub fn write(path: &Path, holds: &[HoldSettings]) -> Result<(), PathError> {
    files::private_dir(path.parent().unwrap_or(Path::new(".")))?;
    let file = HoldsFile { version: 1, holds: holds.to_vec() };
    let mut text = serde_json::to_vec_pretty(&file).map_err(std::io::Error::from).at("write", path)?;
    text.push(b'\n');
    // A file that cannot be read would take every hold out of force.
    parse(path, &text).map_err(std::io::Error::other).at("write", path)?;
    files::replace(path, &text, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn hold(name: &str) -> HoldSettings {
        serde_json::from_value(
            serde_json::json!({"name": name, "reason": "litigation", "projects": ["/work/**"]}),
        )
        .unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(&dir.path().join("new"));
        assert_eq!(read(&path).unwrap(), None);
        write(&path, &[hold("a"), hold("b")]).unwrap();
        write(&path, &[hold("b")]).unwrap();
        assert_eq!(read(&path).unwrap(), Some(vec![hold("b")]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn a_bare_array_is_read_and_what_is_wrong_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let put = |text: &str| {
            let mut file = std::fs::File::create(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            read(&path)
        };
        assert_eq!(put(r#"[{"name": "a", "reason": "r"}]"#).unwrap().unwrap().len(), 1);
        for (text, want) in [
            (r#"{"version": 2, "holds": []}"#, "version 2 is not known"),
            (r#"[{"name": "a"}]"#, "key 'reason' is missing"),
            (r#"[{"name": "a", "reason": "r", "untill": "x"}]"#, "did you mean 'until'?"),
            (r#"[{"name": "a", "reason": "r"}, {"name": "a", "reason": "r"}]"#, "two holds are named 'a'"),
            ("", "the file is empty"),
        ] {
            let error = put(text).unwrap_err();
            assert!(crate::error::chain(&error).contains(want), "{text}: {error}");
        }
    }
}
