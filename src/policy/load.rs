//! Reads the layers of a policy: which file said what. What they mean together is `resolve`.
//!
//! Nothing there is no layer; anything there that cannot be read is an error, never "no policy".

use std::path::{Path, PathBuf};

use super::parse::{self, SyntaxError};
use super::settings::{HoldSettings, Settings};
use super::trusted::{TrustedDir, read_own};
use super::{Layer, Source, holds, managed};
use crate::environment::Environment;
use crate::error::PathError;
use crate::escape::shown;
use crate::platform::Platform;

/// The folders policies are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The folder of system and managed policies.
    pub system_dir: PathBuf,
    /// The folder of the user's policy and holds.
    pub user_dir: PathBuf,
    /// The folder of managed preferences, where the platform has one.
    pub managed_prefs: Option<PathBuf>,
    /// The account whose managed preferences count.
    pub user_name: String,
    /// The owner that system and managed files must have: root, except in tests.
    pub trusted_owner: u32,
}

impl Places {
    /// The places of the platform, for the user of the environment.
    #[must_use]
    pub fn new(env: &Environment) -> Self {
        let layout = env.layout();
        Self {
            system_dir: env.expand(layout.system_policy).unwrap_or_else(|| layout.system_policy.into()),
            user_dir: env.config_dir(),
            managed_prefs: (env.platform == Platform::Macos)
                .then(|| PathBuf::from("/Library/Managed Preferences")),
            user_name: env.user.name.clone(),
            trusted_owner: 0,
        }
    }
}

/// What one file or one set of preferences says.
#[derive(Debug, Clone, PartialEq)]
pub struct RawLayer {
    /// Which.
    pub source: Source,
    /// What it says.
    pub settings: Settings,
}

/// Everything that was read, lowest layer first.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The layers: system, user, managed.
    pub layers: Vec<RawLayer>,
    /// The user's own holds and their file.
    pub holds: Option<(Source, Vec<HoldSettings>)>,
    /// Why the user's policy cannot be read, if so.
    pub broken_user: Option<LoadError>,
    /// Why the user's holds cannot be read, if so.
    pub broken_holds: Option<LoadError>,
}

/// Why a policy cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The file that was named is not there.
    #[error("there is no policy '{}'", shown(path))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what a policy may be read from.
    #[error("cannot use '{}': {reason}", shown(path))]
    Untrusted {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file does not fit the grammar.
    #[error("policy '{}' does not fit", shown(path))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: SyntaxError,
    },
}

impl LoadError {
    pub(super) fn untrusted(path: &Path, reason: &str) -> Self {
        Self::Untrusted { path: path.to_path_buf(), reason: reason.to_owned() }
    }

    pub(super) fn syntax(path: &Path, source: SyntaxError) -> Self {
        Self::Syntax { path: path.to_path_buf(), source }
    }
}

/// Reads every layer; `named` is the file given with `--policy` instead of the user's.
///
/// # Errors
/// A system or managed layer that cannot be read, and a named file that is not there. What is
/// wrong with the user's own files is in the result: whether that stops a run depends on the
/// other layers.
pub fn load(places: &Places, named: Option<&Path>) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    let system = TrustedDir::open(&places.system_dir, places.trusted_owner)?;
    if let Some(dir) = &system {
        loaded.layers.extend(read_trusted(dir, &places.system_dir, "policy.json", Layer::System)?);
        let drop_ins = places.system_dir.join("policy.d");
        if let Some(dir) = TrustedDir::open(&drop_ins, places.trusted_owner)? {
            for name in dir.names()? {
                let is_hidden = name.as_encoded_bytes().starts_with(b".");
                if is_hidden || Path::new(&name).extension().is_none_or(|ending| ending != "json") {
                    continue;
                }
                loaded.layers.extend(read_trusted(&dir, &drop_ins, &name, Layer::System)?);
            }
        }
    }
    read_user(places, named, &mut loaded)?;
    if let Some(dir) = &system {
        loaded.layers.extend(read_trusted(dir, &places.system_dir, "managed-policy.json", Layer::Managed)?);
    }
    if let Some(root) = &places.managed_prefs {
        loaded.layers.extend(managed::read(root, &places.user_name, places.trusted_owner)?);
    }
    Ok(loaded)
}

fn read_trusted(
    dir: &TrustedDir<'_>,
    folder: &Path,
    name: impl AsRef<std::ffi::OsStr>,
    layer: Layer,
) -> Result<Option<RawLayer>, LoadError> {
    let path = folder.join(name.as_ref());
    let Some(bytes) = dir.read(name.as_ref())? else { return Ok(None) };
    let settings = parse::policy(&bytes).map_err(|source| LoadError::syntax(&path, source))?;
    Ok(Some(RawLayer { source: Source { layer, path: Some(path) }, settings }))
}

fn read_user(places: &Places, named: Option<&Path>, loaded: &mut Loaded) -> Result<(), LoadError> {
    let path = named.map_or_else(|| places.user_dir.join("policy.json"), Path::to_path_buf);
    match read_file(&path, Layer::User) {
        Ok(Some(layer)) => loaded.layers.push(layer),
        Ok(None) if named.is_some() => return Err(LoadError::Missing { path }),
        Ok(None) => {}
        Err(error) => loaded.broken_user = Some(error),
    }
    let path = holds::path(&places.user_dir);
    match holds::read(&path) {
        Ok(Some(list)) => loaded.holds = Some((Source { layer: Layer::User, path: Some(path) }, list)),
        Ok(None) => {}
        Err(error) => loaded.broken_holds = Some(error),
    }
    Ok(())
}

/// Reads one policy file that may be anybody's; `None` where nothing has that name.
///
/// # Errors
/// A file that cannot be read or does not fit the grammar.
pub fn read_file(path: &Path, layer: Layer) -> Result<Option<RawLayer>, LoadError> {
    let Some(bytes) = read_own(path)? else { return Ok(None) };
    let settings = parse::policy(&bytes).map_err(|source| LoadError::syntax(path, source))?;
    Ok(Some(RawLayer { source: Source { layer, path: Some(path.to_path_buf()) }, settings }))
}
