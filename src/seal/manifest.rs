//! The record of a sealed session, `session.json`: what rules, holds and reports need to know of it
//! without the key. Pure: bytes in, bytes out.
//!
//! It holds paths, dates, sizes and digests, no content. A key that is not known is passed over, so
//! that an older program reads what a newer one wrote; a record that is wrong is an error, and then
//! the session is kept.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Compression;
use super::naming::{Tree, is_within};
use crate::catalogue::{Kind, SessionId, Slug};

/// The version that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// A sealed session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The version of this form; [`VERSION`].
    pub version: u32,
    pub session: SessionId,
    /// The project by which rules go: the working folder of the first record that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The same of other copies that were as new, of which the later due date counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<String>,
    /// Whether rules may go by another project, which nobody read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub project_in_doubt: bool,
    /// Whether holds may mean one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lacks_projects: bool,
    /// Every working folder found for it, which holds go by.
    #[serde(default)]
    pub cwds: Vec<String>,
    /// Its last activity; absent where nothing dated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity: Option<DateTime<Utc>>,
    /// What the last activity was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity_from: Option<DatedBy>,
    /// Record timestamps that were still to come when it was sealed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<DateTime<Utc>>,
    /// Whether the desktop application wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub desktop: bool,
    /// Whether its user deleted it in the desktop application, whose note of that is sealed with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub desktop_deleted: bool,
    /// When it was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_at: Option<DateTime<Utc>>,
    /// Which recipients every file is sealed to ([`super::Recipients::digest`]); absent where that
    /// is not known of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<String>,
    /// The slugs that its records name, as keyed hashes, by which plans are its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slugs: Vec<Slug>,
    /// Its sealed files. Of several of one original the last is the newest.
    pub files: Vec<SealedFile>,
    /// The links in its own folders, which hold nothing to encrypt and come back with the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<SealedLink>,
}

/// A symbolic link of a sealed session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedLink {
    /// The path of the link, relative to its tree.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// The folder of the temp tree that the path is relative to; absent where it is the store.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_path")]
    pub temp: Option<PathBuf>,
    /// Where it leads, as it was written.
    #[serde(with = "path_text")]
    pub target: PathBuf,
    /// Its own modification time, to the nanosecond.
    #[serde(with = "nanoseconds")]
    pub mtime: DateTime<Utc>,
}

/// What a session was dated by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatedBy {
    /// The newest timestamp in its records.
    Record,
    /// The modification time of its transcript.
    Mtime,
}

/// One sealed file of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedFile {
    /// What it is.
    #[serde(with = "kind_name")]
    pub kind: Kind,
    /// The path of the original, relative to its tree.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// The folder of the temp tree that the path is relative to; absent where it is the store.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_path")]
    pub temp: Option<PathBuf>,
    /// The sealed file, relative to the session's sealed folder.
    #[serde(with = "path_text")]
    pub sealed: PathBuf,
    /// What was done before encryption.
    #[serde(default)]
    pub compression: Compression,
    /// The length of the original in bytes.
    pub size: u64,
    /// The length of the sealed file in bytes.
    pub sealed_size: u64,
    /// The permissions of the original, the lowest twelve bits of its mode.
    #[serde(with = "octal")]
    pub mode: u32,
    /// The ACL of the original beyond its mode, as the system stores it (on Linux the value of
    /// `system.posix_acl_access`), in hex; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_hex")]
    pub acl: Option<Vec<u8>>,
    /// The modification time of the original, to the nanosecond.
    #[serde(with = "nanoseconds")]
    pub mtime: DateTime<Utc>,
    /// When the inode of the original last changed, by which an interrupted run knows the very file again: size and
    /// modification time can be given to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<DateTime<Utc>>,
    /// SHA-256 of the sealed file.
    #[serde(with = "digest")]
    pub sha256: [u8; 32],
    /// What the file is while it is being sealed anew: the one or the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub becoming: Option<Resealed>,
}

/// The form that a sealed file is about to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resealed {
    /// Its length in bytes.
    pub sealed_size: u64,
    #[serde(with = "digest")]
    pub sha256: [u8; 32],
}

impl SealedFile {
    /// Whether a sealed file of this SHA-256 is the one that was recorded.
    pub fn is(&self, sha256: &[u8; 32]) -> bool {
        self.sha256 == *sha256 || self.becoming.is_some_and(|becoming| becoming.sha256 == *sha256)
    }

    /// Which tree the original lay in.
    pub fn tree(&self) -> Tree {
        if self.temp.is_some() { Tree::Temp } else { Tree::Store }
    }
}

/// Why a record is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not of the form.
    #[error("the record of the sealed session is malformed at line {line}, column {column}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1; 0 at the beginning of a line.
        column: usize,
    },
    /// It was written by a later program.
    #[error("the record of the sealed session is of version {0}, which this program does not know")]
    Version(u32),
    /// It is about another session than the folder it lies in.
    #[error("the record is of session {0}, not of the one whose folder it lies in")]
    OtherSession(SessionId),
    /// A path in it leads out of the folder it is relative to.
    #[error("file {0} of the record has a path that leads elsewhere")]
    Path(usize),
    /// Two entries are about the same sealed file.
    #[error("file {0} of the record is there twice")]
    Twice(usize),
}

impl SealedLink {
    /// Which tree it lay in.
    pub fn tree(&self) -> Tree {
        if self.temp.is_some() { Tree::Temp } else { Tree::Store }
    }
}

impl Manifest {
    /// Reads the record that lies in the folder of `session`.
    ///
    /// # Errors
    /// It is malformed, of a later version, of another session, or its paths cannot be used.
    pub fn parse(json: &[u8], session: SessionId) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = |error: serde_json::Error| ManifestError::Malformed {
            line: error.line(),
            column: error.column(),
        };
        let Versioned { version } = serde_json::from_slice(json).map_err(malformed)?;
        // A later form may hold what this one would lose in writing it anew; the session is kept until it can
        // be read.
        if version == 0 || version > VERSION {
            return Err(ManifestError::Version(version));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(malformed)?;
        if manifest.session != session {
            return Err(ManifestError::OtherSession(manifest.session));
        }
        // One original may have been sealed twice: it came back in between, from a backup say.
        let mut sealed = HashSet::new();
        for (at, file) in manifest.files.iter().enumerate() {
            let usable = is_within(&file.path)
                && is_within(&file.sealed)
                && file.temp.as_deref().is_none_or(Path::is_absolute);
            if !usable {
                return Err(ManifestError::Path(at));
            }
            // One of the two would be dated, and unsealed, by what is said of the other.
            if !sealed.insert(&file.sealed) {
                return Err(ManifestError::Twice(at));
            }
        }
        for (at, link) in manifest.links.iter().enumerate() {
            let usable = is_within(&link.path)
                && link.target.as_os_str() != ""
                && link.temp.as_deref().is_none_or(Path::is_absolute);
            if !usable {
                return Err(ManifestError::Path(manifest.files.len() + at));
            }
        }
        Ok(manifest)
    }

    /// The record as it is written, with a line break at the end.
    ///
    /// # Errors
    /// A time or a path that cannot be written down.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// The lengths of the originals together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).fold(0, u64::saturating_add)
    }

    /// The newest sealed file of each original.
    pub fn newest(&self) -> Vec<&SealedFile> {
        let mut seen = HashSet::new();
        let mut newest: Vec<&SealedFile> =
            self.files.iter().rev().filter(|file| seen.insert((&file.temp, &file.path))).collect();
        newest.reverse();
        newest
    }

    /// The entry of a sealed file, by its path in the session's sealed folder.
    pub fn file(&self, sealed: &Path) -> Option<&SealedFile> {
        self.files.iter().find(|file| file.sealed == sealed)
    }
}

mod kind_name {
    use super::Kind;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        std::borrow::Cow::<str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A path as text with `/`, or, where it is no text, as `{"hex": …}` of its bytes.
mod path_text {
    use super::{Path, PathBuf};
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    #[derive(serde::Serialize, Deserialize)]
    #[serde(untagged)]
    enum Text {
        Plain(String),
        Bytes { hex: String },
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        let text = match path.to_str() {
            Some(text) if cfg!(windows) => Text::Plain(text.replace('\\', "/")),
            Some(text) => Text::Plain(text.to_owned()),
            None => Text::Bytes { hex: hex::encode(bytes(path).ok_or_else(unwritable)?) },
        };
        text.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        use serde::de::Error as _;
        match Text::deserialize(from)? {
            Text::Plain(text) if text.contains('\0') => Err(D::Error::custom("a path with a zero byte")),
            Text::Plain(text) => Ok(PathBuf::from(text)),
            Text::Bytes { hex } => {
                let bytes = hex::decode(hex).map_err(D::Error::custom)?;
                path_of(bytes).ok_or_else(|| D::Error::custom("a path that this platform cannot have"))
            }
        }
    }

    fn unwritable<E: serde::ser::Error>() -> E {
        E::custom("a path that is no text")
    }

    #[cfg(unix)]
    fn bytes(path: &Path) -> Option<&[u8]> {
        use std::os::unix::ffi::OsStrExt as _;
        Some(path.as_os_str().as_bytes())
    }

    #[cfg(unix)]
    fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStringExt as _;
        (!bytes.contains(&0)).then(|| PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    }

    // A Windows path that is no text has lone surrogates, which have no bytes that others would read.
    #[cfg(not(unix))]
    fn bytes(_: &Path) -> Option<&[u8]> {
        None
    }

    #[cfg(not(unix))]
    fn path_of(_: Vec<u8>) -> Option<PathBuf> {
        None
    }
}

mod optional_path {
    use super::{PathBuf, path_text};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Wrapped(#[serde(with = "path_text")] PathBuf);

    pub(super) fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        path.clone().map(Wrapped).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(from)?.map(|wrapped| wrapped.0))
    }
}

mod octal {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(mode: &u32, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{mode:04o}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        use serde::de::Error as _;
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .ok_or_else(|| D::Error::custom("permissions are four octal digits"))
    }
}

mod nanoseconds {
    use super::{DateTime, Utc};
    use chrono::SecondsFormat;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Nanos, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
        // chrono's own reading takes the years beyond 9999 that `serialize` may write.
        DateTime::deserialize(from)
    }
}

mod optional_hex {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(hex::encode).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(hex::decode).transpose().map_err(serde::de::Error::custom)
    }
}

mod digest {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(digest: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(digest))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        use serde::de::Error as _;
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(&*text, &mut digest).map_err(D::Error::custom)?;
        Ok(digest)
    }
}
