//! Reads the layers of a policy: which file said what. What they mean together is `resolve`.
//!
//! Nothing there is no layer; anything there that cannot be read is an error, never "no policy".

use std::path::{Path, PathBuf};

use super::error::LoadError;
use super::own;
use super::parse;
use super::settings::{HoldSettings, RawLayer};
use super::trusted::{self, TrustedDir, read_own};
use super::{Layer, Source, holds, managed};
use crate::environment::Environment;
use crate::files;
use crate::platform::Platform;

/// The folders policies are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The folder of system and managed policies.
    pub system_dir: PathBuf,
    /// Where the user's own files lie; `None` reads none of them.
    pub user: Option<UserPlace>,
    /// The folder of managed preferences, where the platform has one.
    pub managed_prefs: Option<PathBuf>,
    /// The account whose managed preferences count.
    pub user_name: String,
    /// The owner that system and managed files must have: root, except in tests.
    pub trusted_owner: u32,
}

/// Where a user's policy and holds lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPlace {
    /// The folder.
    pub dir: PathBuf,
    /// The variable that names the folder or one above it, and that folder: it must be there.
    pub named_by: Option<(&'static str, PathBuf)>,
    /// The user's id; nobody else may be able to write the files.
    pub uid: u32,
}

impl Places {
    /// The places of the platform, for the user of the environment.
    pub fn new(env: &Environment) -> Self {
        let layout = env.layout();
        Self {
            system_dir: env.expand(layout.system_policy).unwrap_or_else(|| layout.system_policy.into()),
            user: Some(UserPlace {
                dir: env.config_dir(),
                named_by: env.config_dir_named_by(),
                uid: env.user.uid,
            }),
            managed_prefs: (env.platform == Platform::Macos)
                .then(|| PathBuf::from("/Library/Managed Preferences")),
            user_name: env.user.name.clone(),
            trusted_owner: 0,
        }
    }
}

/// Everything that was read, lowest layer first.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The layers: system, user, managed.
    pub layers: Vec<RawLayer>,
    /// The user's own holds and their file.
    pub holds: Option<(Source, Vec<HoldSettings>)>,
    /// What is wrong with the user's files; any fault makes the whole layer invalid.
    pub faults: Vec<LoadError>,
    /// Holds in a file of the user's that is otherwise invalid.
    pub rescued: Vec<(Source, Vec<HoldSettings>)>,
    /// Whether the user may have holds that could not be read.
    pub has_unread_holds: bool,
    /// Files among the system's policies that are none by their names.
    pub ignored: Vec<PathBuf>,
}

/// Reads every layer; `named` is the file given with `--policy` instead of the user's.
///
/// # Errors
/// A system or managed layer that cannot be read, and a named file that is not there. What is
/// wrong with the user's own files is in the result: whether that stops a run depends on the
/// other layers.
pub fn load(places: &Places, named: Option<&Path>) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    // One handle for system and managed files alike: nobody can exchange the folder between the two.
    let system = TrustedDir::open(&places.system_dir, places.trusted_owner)?;
    if let Some(dir) = &system {
        loaded.layers.extend(read_trusted(dir, &places.system_dir, "policy.json", Layer::System)?);
        let drop_ins = places.system_dir.join("policy.d");
        if let Some(dir) = TrustedDir::open(&drop_ins, places.trusted_owner)? {
            for name in dir.names()? {
                let is_hidden = name.as_encoded_bytes().starts_with(b".");
                if is_hidden || Path::new(&name).extension().is_none_or(|ending| ending != "json") {
                    loaded.ignored.push(drop_ins.join(&name));
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
    let Some(user) = &places.user else {
        let Some(path) = named else { return Ok(()) };
        let layer = read_file(path, Layer::User)?;
        loaded.layers.push(layer.ok_or_else(|| LoadError::Missing { path: path.to_path_buf() })?);
        return Ok(());
    };
    if let Some(fault) = user.missing() {
        loaded.fault(fault, true);
    }
    loaded.faults.extend(own::of_folder(&user.dir, user.uid, false).map(LoadError::from));
    let known = loaded.faults.len();
    let path = named.map_or_else(|| user.dir.join("policy.json"), Path::to_path_buf);
    let source = Source { layer: Layer::User, path: Some(path.clone()) };
    if let Some(bytes) = loaded.read_own(&path, user) {
        match parse::policy(&bytes) {
            Ok(settings) => loaded.layers.push(RawLayer { source, settings }),
            Err(error) => loaded.rescue(source, &bytes, LoadError::syntax(&path, error)),
        }
    } else if named.is_some() && loaded.faults.len() == known {
        return Err(LoadError::Missing { path });
    }
    let path = holds::path(&user.dir);
    let source = Source { layer: Layer::User, path: Some(path.clone()) };
    if let Some(bytes) = loaded.read_own(&path, user) {
        match holds::parse(&path, &bytes) {
            Ok(list) => loaded.holds = Some((source, list)),
            Err(error) => loaded.rescue(source, &bytes, error),
        }
    }
    Ok(())
}

impl UserPlace {
    /// What is wrong where a variable names a folder that is not there: a volume may not be mounted.
    fn missing(&self) -> Option<LoadError> {
        let (variable, folder) = self.named_by.as_ref()?;
        let reason = match folder.metadata() {
            Ok(found) if found.is_dir() => return None,
            Ok(_) => format!("{variable} names it, and it is not a folder"),
            Err(error) if files::is_absent(&error) => format!(
                "{variable} names it, and it does not exist: mount it, make it with `mkdir -m 700`, or unset {variable}"
            ),
            Err(error) => format!("{variable} names it: {error}"),
        };
        Some(LoadError::unusable(folder, &reason))
    }
}

impl Loaded {
    fn fault(&mut self, fault: LoadError, hides_holds: bool) {
        self.faults.push(fault);
        self.has_unread_holds |= hides_holds;
    }

    /// The content of a file of the user's, if it is there and can be read; what is wrong with it is noted.
    fn read_own(&mut self, path: &Path, user: &UserPlace) -> Option<Vec<u8>> {
        let is_elsewhere = path.is_symlink() || path.parent() != Some(&user.dir);
        let real_folder = || if is_elsewhere { own::of_real_folder(path, user.uid) } else { None };
        // Opened once, and judged and read by that handle: a file of the user's that others may write is no
        // word of the user's.
        let read = trusted::open_own(path).and_then(|file| {
            let Some(file) = file else { return Ok(None) };
            let loose = own::of_open(&file, path, user.uid).or_else(real_folder);
            Ok(Some((trusted::contents(&file, path)?, loose)))
        });
        match read {
            Ok(Some((bytes, loose))) => {
                self.faults.extend(loose.map(LoadError::from));
                Some(bytes)
            }
            Ok(None) => None,
            Err(error) => {
                self.fault(error, true);
                None
            }
        }
    }

    /// Takes the holds out of a file that is not valid as a whole.
    fn rescue(&mut self, source: Source, bytes: &[u8], fault: LoadError) {
        let (found, is_all) = holds::rescue(bytes);
        self.fault(fault, !is_all);
        self.rescued.push((source, found));
    }
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
