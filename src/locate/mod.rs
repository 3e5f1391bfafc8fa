//! Finding the stores of a user: known places, settings, remembered roots, and named folders.
//!
//! What is a store is decided by marks the client leaves, never by a name alone; a root of the
//! wrong kind is refused and reported, and the others are done.

mod crossing;
mod filesystem;
pub mod marks;
pub mod search;
mod temp;
#[cfg(unix)]
pub mod users;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalogue::Root;
use crate::dir::{Dir, FileType, Link, LinkPlace, Reached, Unreached};
use crate::environment::Environment;
use crate::error::{PathError, chain};
use crate::escape::shown;
use crate::platform::Platform;

pub use crossing::{Crossing, Crossings, Followed, Way};
pub use filesystem::FileSystem;
pub use temp::SHARED_TREE;

/// A tree where the client keeps session data of one user.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its real path.
    pub root: PathBuf,
    /// Which tree of the catalogue it is.
    pub kind: Root,
    /// The id of its owner.
    pub owner: u32,
    pub owner_name: String,
    /// How it was found.
    pub found_by: FoundBy,
    /// The handle through which everything in it is reached.
    pub dir: Arc<Dir>,
    /// Device and inode, which identify it.
    pub identity: (u64, u64),
    /// Whether it is certainly the client's alone, so that names without an id count too.
    pub is_certain: bool,
    /// Whether it may be changed; the others are only read.
    pub in_scope: bool,
    /// What of it lies behind links and mount points.
    pub crossings: Crossings,
    /// Whether the policy leaves it out: it is only looked into, since what lies elsewhere may belong
    /// to a session of it.
    pub is_excluded: bool,
}

/// How a store was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundBy {
    /// It is where the client keeps it by default.
    Default,
    /// An environment variable names it.
    Environment,
    /// The client's own settings name it.
    Settings,
    /// The policy names it in `stores.extra`.
    Policy,
    /// The command line names it.
    Argument,
    /// An earlier run saw it.
    Remembered,
    /// It lies in a folder of the desktop application.
    Desktop,
    /// A search found it by its marks.
    Search,
}

/// Where to look, and what may be changed.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Folders named with `--store`; when there are any, only these are changed.
    pub only: Vec<PathBuf>,
    /// `stores.extra` of the policy.
    pub extra: Vec<PathBuf>,
    /// `stores.exclude` of the policy.
    pub exclude: Vec<PathBuf>,
    /// Roots that earlier runs saw.
    pub remembered: Vec<(PathBuf, Root)>,
    /// Folders of them that lay elsewhere then, with something in them.
    pub followed: Vec<Followed>,
    /// Roots that the client's settings name: config folders and temp folders.
    pub settings: Vec<(PathBuf, Root)>,
    /// Roots that a search by marks has found.
    pub found: Vec<(PathBuf, Root)>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Located {
    pub stores: Vec<Store>,
    /// Those that the policy leaves out.
    pub excluded: Vec<Store>,
    /// Whether one that the policy leaves out is there and cannot be looked into.
    pub lacks_excluded: bool,
    /// What was refused or could not be reached.
    pub refused: Vec<Refused>,
}

/// A root that was not taken.
#[derive(Debug)]
pub struct Refused {
    /// The folder.
    pub path: PathBuf,
    /// Which tree of the catalogue it would be.
    pub kind: Root,
    pub why: Refusal,
}

/// Why a root is no store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The root of the file system.
    #[error("it is the root of the file system")]
    FileSystemRoot,
    /// A home folder.
    #[error("it is a home folder")]
    Home,
    /// Another owner.
    #[error("it belongs to user {0}, not to you")]
    NotOurs(u32),
    /// Anyone may write there.
    #[error("it is writable by everyone (mode {0:o}): `chmod o-w` it first")]
    WorldWritable(u32),
    /// FUSE or the network.
    #[error("it lies on a {0} file system: name it in `stores.extra` if that is meant")]
    FileSystem(&'static str),
    /// A link where others could have put it.
    #[error(
        "it is a link, and none is followed where others could have put it: make it a folder, or leave it out with `stores.exclude`"
    )]
    Link,
    /// A link above it, which others could have put there.
    #[error("'{}' is a link that root did not make, and none is followed where others could have put it: use the real path", shown(.0))]
    LinkAbove(PathBuf),
    /// Nothing there is the client's.
    #[error("it shows no mark of Claude Code: name it in `stores.extra` if it is a store")]
    NoMark,
    /// A root seen before is gone.
    #[error(
        "it was a store when last seen and is missing: exclude it with `stores.exclude` if it is gone for good"
    )]
    Missing,
    /// A root seen before is there, and nothing is in it.
    #[error(
        "it was a store when last seen and is an empty folder: mount its volume if it is on one, \
         or exclude it with `stores.exclude` if it is gone for good"
    )]
    Emptied,
    /// Somebody else has taken a name in a shared folder that is ours.
    #[error(
        "user {0} has taken the place of Claude Code's temp folder of yours: only that user or root can remove it"
    )]
    Squatted(u32),
    /// Something else lies where the client would make its folder, or a link that leads nowhere.
    #[error("it is not a folder, or a link that leads to none: remove or repair it")]
    NoFolder,
    /// The policy leaves it out, and it was named.
    #[error("`stores.exclude` of the policy leaves it out")]
    Excluded,
    /// The system says no.
    #[error("it cannot be opened: {0}")]
    Unreachable(#[source] io::Error),
    /// macOS guards it, whoever asks, until somebody allows it ("Transparency, Consent, and Control").
    #[error(
        "macOS does not let this program look into it ({0}): allow it in System Settings, Privacy & Security, \
         Full Disk Access, or on many Macs by the profile `privacy.mobileconfig` of `ccretain mdm`"
    )]
    Guarded(#[source] io::Error),
    /// Its lock and its sealed files cannot be reached.
    #[error("'ccretain' in it is out of reach, so nothing of it is changed: {0}")]
    OwnFolder(String),
    /// It is to be changed only while a store is locked that cannot be.
    #[error("it shares a folder with '{}', which cannot be locked, so nothing of it is changed", shown(.0))]
    SharedUnlockable(PathBuf),
    /// It can be read, and its lock cannot be made.
    #[error("it cannot be locked, so nothing of it is changed: {}", chain(.0))]
    Unlockable(#[source] PathError),
}

impl Located {
    /// Leaves alone what has its lock and its sealed files where they cannot be reached, or where
    /// another store has its own.
    fn refuse_without_own_folder(&mut self) {
        for store in &mut self.stores {
            let Some(why) = store.without_own_folder() else { continue };
            let why = Refusal::OwnFolder(why.to_owned());
            store.in_scope = false;
            self.refused.push(Refused { path: store.root.clone(), kind: store.kind, why });
        }
    }
}

impl Refusal {
    /// Whether a root seen before is not there: it is told, and stops nothing.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Missing | Self::Emptied)
    }
}

/// The refusal of what the system does not let be opened.
fn unreachable(platform: Platform, error: io::Error) -> Refusal {
    // Modes give EACCES; EPERM comes from the guards of macOS alone, for which nobody has to be asked.
    let is_guarded = platform == Platform::Macos && error.raw_os_error() == Some(1);
    if is_guarded { Refusal::Guarded(error) } else { Refusal::Unreachable(error) }
}

impl Refused {
    /// Whether it is only noted: a folder that is looked into because it might hold something, as the desktop for heap
    /// dumps is, and that macOS guards.
    pub fn is_note(&self) -> bool {
        matches!(self.why, Refusal::Guarded(_)) && self.kind != Root::Config
    }

    /// One line for people.
    pub fn message(&self) -> String {
        format!("'{}' is refused as a store: {}", shown(&self.path), self.why)
    }
}

struct Candidate {
    path: PathBuf,
    kind: Root,
    found_by: FoundBy,
}

/// Finds the stores of a user.
pub fn locate(env: &Environment, request: &Request) -> Located {
    let mut located = Located::default();
    let mut seen = HashSet::new();
    let only: Vec<PathBuf> = request.only.iter().map(|path| named(env, path)).collect();
    let exclude: Vec<PathBuf> = request.exclude.iter().map(|path| real(path)).collect();
    let mut queue = candidates(env, request);
    let mut refused = HashSet::new();
    let mut at = 0;
    while let Some(candidate) = queue.get(at) {
        at += 1;
        let is_excluded = exclude.contains(&real(&candidate.path)) || exclude.contains(&candidate.path);
        let opened = match open(env, request, candidate) {
            Ok(Some(store)) if is_excluded || exclude.contains(&store.root) => {
                if seen.insert((store.identity, store.kind)) {
                    located.excluded.push(Store { in_scope: false, is_excluded: true, ..store });
                }
                Err(Refusal::Excluded)
            }
            Err(why) if is_excluded => {
                located.lacks_excluded |= !why.is_absence();
                Err(Refusal::Excluded)
            }
            Ok(None) if is_excluded => {
                // Its only mark may be on a volume that is not mounted.
                located.lacks_excluded |=
                    candidate.kind == Root::Config && candidate.path.join("projects").is_dir();
                Err(Refusal::Excluded)
            }
            other => other,
        };
        match opened {
            // Who names it must not take it for done.
            Err(Refusal::Excluded) if candidate.found_by != FoundBy::Argument => {}
            // It lies in a store, by which its files are known.
            Ok(Some(store)) if store.kind == Root::DebugLogs && is_within(&located.stores, &store.root) => {}
            Ok(Some(store)) => {
                if seen.insert((store.identity, store.kind)) {
                    if store.kind == Root::Desktop {
                        queue.extend(cowork_stores(&store.root));
                    }
                    located.stores.push(store);
                }
            }
            Ok(None) => {}
            // It would be said of the tree in it, too.
            Err(Refusal::Link | Refusal::LinkAbove(_)) if candidate.kind.is_everybodys() => {}
            Err(why) => {
                if refused.insert(candidate.path.clone()) {
                    let (path, kind) = (candidate.path.clone(), candidate.kind);
                    located.refused.push(Refused { path, kind, why });
                }
            }
        }
    }
    let Located { stores, excluded, .. } = &mut located;
    crossing::resolve(&mut stores.iter_mut().chain(excluded).collect::<Vec<_>>());
    for store in &mut located.stores {
        store.miss_emptied(&request.followed);
    }
    if !only.is_empty() {
        for store in &mut located.stores {
            store.in_scope = only.contains(&store.root);
        }
    }
    located.refuse_without_own_folder();
    located
}

/// Every place to look at, the surest first, so that what is found twice bears the surest name.
fn candidates(env: &Environment, request: &Request) -> Vec<Candidate> {
    let layout = env.layout();
    let mut found: Vec<Candidate> = Vec::new();
    let mut add = |path: Option<PathBuf>, kind: Root, found_by: FoundBy| {
        if let Some(path) = path {
            found.push(Candidate { path, kind, found_by });
        }
    };
    add(env.expand(layout.client_config), Root::Config, FoundBy::Default);
    for path in &request.extra {
        add(Some(path.clone()), Root::Config, FoundBy::Policy);
    }
    for path in &request.only {
        let kind = kind_of_named(path);
        add(Some(path.clone()), kind, FoundBy::Argument);
    }
    let moved = env.variable("CLAUDE_CONFIG_DIR").map(|path| env.working_dir.join(path));
    add(moved, Root::Config, FoundBy::Environment);
    add(Some(env.user.home.clone()), Root::Home, FoundBy::Default);
    add(env.expand(layout.client_cache), Root::Cache, FoundBy::Default);
    for template in layout.temp {
        let found_by = if template.starts_with('$') { FoundBy::Environment } else { FoundBy::Default };
        add(env.expand(template).map(|temp| temp.join(temp_name(env))), Root::Temp, found_by);
    }
    for temp in layout.temp_of_accounts.iter().flat_map(|all| temp::of_account(Path::new(all), env.user.uid))
    {
        add(Some(temp.join(temp_name(env))), Root::Temp, FoundBy::Default);
    }
    for template in layout.desktop {
        add(env.expand(template), Root::Desktop, FoundBy::Default);
    }
    add(env.expand(layout.heap_dumps), Root::HeapDumps, FoundBy::Default);
    for (path, kind) in &request.settings {
        let path = if *kind == Root::Temp { path.join(temp_name(env)) } else { path.clone() };
        add(Some(path), *kind, FoundBy::Settings);
    }
    for (path, kind) in &request.remembered {
        add(Some(path.clone()), *kind, FoundBy::Remembered);
    }
    for (path, kind) in &request.found {
        add(Some(path.clone()), *kind, FoundBy::Search);
    }
    let neighbours = temp::neighbours(&found);
    found.extend(neighbours);
    found
}

fn is_within(stores: &[Store], path: &Path) -> bool {
    stores.iter().any(|store| !store.kind.is_shared() && path.starts_with(&store.root))
}

/// The client's folder below a temp folder.
fn temp_name(env: &Environment) -> String {
    format!("claude-{}", env.user.uid)
}

/// Whether a root that an earlier run remembered still bears the name that its kind has: what was
/// once taken for one by a link in a shared folder must not be one for ever.
pub fn bears_its_name(env: &Environment, path: &Path, kind: Root) -> bool {
    kind != Root::Temp || path.file_name() == Some(OsStr::new(&temp_name(env)))
}

/// Whether nothing is at a path, or an empty folder is.
pub fn is_gone(path: &Path) -> bool {
    match fs_err::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Whether a path, by its name or its place, is that of another tree than a config folder.
pub fn is_no_config(env: &Environment, path: &Path) -> bool {
    let is_at = |one: &Candidate| one.kind != Root::Config && real(&one.path) == path;
    kind_of_named(path) != Root::Config || candidates(env, &Request::default()).iter().any(is_at)
}

/// A folder named on the command line is a config folder unless its name says otherwise.
fn kind_of_named(path: &Path) -> Root {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let digits = name
        .strip_prefix("claude-")
        .is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
    match name {
        "claude-cli-nodejs" => Root::Cache,
        _ if digits => Root::Temp,
        _ => Root::Config,
    }
}

/// The self-contained config folders below the desktop application's data.
fn cowork_stores(desktop: &Path) -> Vec<Candidate> {
    let top = desktop.join("local-agent-mode-sessions");
    let below = |path: &Path| -> Vec<PathBuf> {
        fs_err::read_dir(path)
            .map(|entries| {
                entries
                    .filter_map(Result::ok)
                    .filter(|entry| entry.file_type().is_ok_and(|file_type| file_type.is_dir()))
                    .map(|entry| entry.path())
                    .collect()
            })
            .unwrap_or_default()
    };
    below(&top)
        .iter()
        .flat_map(|account| below(account))
        .flat_map(|organisation| below(&organisation))
        .flat_map(|session| {
            // Those that an agent keeps lie one level deeper.
            let deeper = if session.ends_with("agent") { below(&session) } else { Vec::new() };
            deeper.into_iter().chain([session])
        })
        .map(|session| session.join(".claude"))
        .filter(|config| config.is_dir())
        .map(|path| Candidate { path, kind: Root::Config, found_by: FoundBy::Desktop })
        .collect()
}

/// The real path, or the path itself where there is none.
pub(crate) fn real(path: &Path) -> PathBuf {
    fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The path of a folder named on the command line without links, as it is for the store it names.
fn named(env: &Environment, path: &Path) -> PathBuf {
    let kind = kind_of_named(path);
    Dir::reach(path, &|link| is_followed(env, kind, link))
        .map_or_else(|_| path.to_path_buf(), |reached| reached.path)
}

/// Whether a link on the way to a root is followed: in place of one that lies among others never,
/// above it where root made it; in place of any other where its owner made it.
fn is_followed(env: &Environment, kind: Root, link: &Link) -> bool {
    if kind.is_everybodys() {
        // The folder itself, where root made it a link to another.
        return link.place != LinkPlace::Beyond && link.owner == 0;
    }
    if kind.lies_among_others() {
        return link.leads_among_others();
    }
    match link.place {
        LinkPlace::Above => true,
        LinkPlace::Entry => link.owner == env.user.uid,
        LinkPlace::Beyond => link.owner == env.user.uid || link.owner == 0,
    }
}

/// Reaches the folder of a candidate; `None` where nothing is there that could be a store.
fn reach(env: &Environment, candidate: &Candidate) -> Result<Option<Reached>, Refusal> {
    let Candidate { path, kind, found_by } = candidate;
    let is_named = matches!(found_by, FoundBy::Policy | FoundBy::Argument);
    // What the client keeps there now lies where nobody looks, or comes back once nobody does.
    let is_blocked = || {
        let is_clients = matches!(found_by, FoundBy::Default | FoundBy::Environment | FoundBy::Settings);
        is_clients && *kind == Root::Config && path.symlink_metadata().is_ok()
    };
    match Dir::reach(path, &|link| is_followed(env, *kind, link)) {
        Ok(reached) => Ok(Some(reached)),
        Err(Unreached::Link(link)) if kind.lies_among_others() => match link.place {
            LinkPlace::Above => Err(Refusal::LinkAbove(link.path)),
            _ if link.owner == env.user.uid || is_named => Err(Refusal::Link),
            _ => of_another(*kind, link.owner),
        },
        Err(Unreached::Link(link)) => Err(Refusal::NotOurs(link.owner)),
        Err(Unreached::Io(error)) if error.kind() == io::ErrorKind::NotFound && !is_named => match found_by {
            // Caches and temp trees come and go by themselves.
            FoundBy::Remembered if matches!(kind, Root::Config | Root::Desktop) => Err(Refusal::Missing),
            _ if is_blocked() => Err(Refusal::NoFolder),
            _ => Ok(None),
        },
        Err(Unreached::NoFolder) if !is_named && is_blocked() => Err(Refusal::NoFolder),
        // A file in the place of a temp tree keeps Claude Code from it as well as a folder does.
        Err(Unreached::NoFolder) if !is_named => match squatter(env, candidate) {
            Some(owner) => Err(Refusal::Squatted(owner)),
            None => Ok(None),
        },
        Err(Unreached::NoFolder) => Err(Refusal::Unreachable(io::ErrorKind::NotADirectory.into())),
        Err(Unreached::Io(error)) => Err(unreachable(env.platform, error)),
    }
}

/// Opens a candidate: a store, nothing there, or a refusal.
fn open(env: &Environment, request: &Request, candidate: &Candidate) -> Result<Option<Store>, Refusal> {
    let named = matches!(candidate.found_by, FoundBy::Policy | FoundBy::Argument);
    let Some(Reached { dir, path: root }) = reach(env, candidate)? else { return Ok(None) };
    let stat = dir.stat_self().map_err(Refusal::Unreachable)?;
    debug_assert_eq!(stat.file_type, FileType::Folder);
    if !candidate.kind.is_shared() {
        // Whatever marks it may bear: a mistake in a variable must not make a whole disk a store.
        if root.parent().is_none() {
            return Err(Refusal::FileSystemRoot);
        }
        if is_home(env, &root) {
            return Err(Refusal::Home);
        }
    }
    let was_seen = || request.remembered.iter().any(|(path, kind)| (path, *kind) == (&root, candidate.kind));
    // Whoever owns the mount point of a volume that is not mounted; caches and temp trees come and go by themselves.
    if matches!(candidate.kind, Root::Config | Root::Desktop) && was_seen() && is_empty(&dir) {
        return Err(Refusal::Emptied);
    }
    if candidate.kind.is_everybodys() {
        // Most hold nothing of Claude Code's, and then it does not matter what they are.
        if !temp::holds_something_of(&dir, env.user.uid) {
            return Ok(None);
        }
    } else if stat.owner != env.user.uid {
        return if candidate.kind.lies_among_others() && !named {
            of_another(candidate.kind, stat.owner)
        } else {
            Err(Refusal::NotOurs(stat.owner))
        };
    }
    // Where everybody can put files, what looks like Claude Code's is anybody's, and so is what its dates say.
    if stat.mode & 0o002 != 0 && candidate.kind != Root::HeapDumps && !candidate.kind.is_everybodys() {
        return Err(Refusal::WorldWritable(stat.mode));
    }
    if candidate.found_by != FoundBy::Policy
        && let Some(name) = FileSystem::of(&dir).refused_name()
    {
        return Err(Refusal::FileSystem(name));
    }
    let is_default = env.expand(env.layout().client_config).is_some_and(|path| real(&path) == root);
    let is_certain = candidate.kind != Root::Config || is_default || candidate.found_by == FoundBy::Policy;
    // Its marks may have gone with the sessions that an earlier run removed, and something else be left.
    if !is_certain && !marks::has_mark(&dir) && !was_seen() {
        return match candidate.found_by {
            FoundBy::Argument if !is_empty(&dir) => Err(Refusal::NoMark),
            _ => Ok(None),
        };
    }
    Ok(Some(Store {
        root,
        kind: candidate.kind,
        owner: if candidate.kind.is_everybodys() { env.user.uid } else { stat.owner },
        owner_name: env.user.name.clone(),
        found_by: candidate.found_by,
        dir: Arc::new(dir),
        // By the open folder: two paths, or two variables, may lead to one store.
        identity: (stat.stamp.device, stat.stamp.inode),
        is_certain,
        in_scope: true,
        crossings: Crossings::default(),
        is_excluded: false,
    }))
}

/// What somebody else's folder or link is at a place that others can write to.
fn of_another<T>(kind: Root, owner: u32) -> Result<Option<T>, Refusal> {
    // The name of a temp tree is ours alone, so whoever takes it keeps Claude Code from it, or waits for what
    // it will write there.
    if kind == Root::Temp { Err(Refusal::Squatted(owner)) } else { Ok(None) }
}

/// Whose file or link lies in the place of a temp tree, where it is another's.
fn squatter(env: &Environment, candidate: &Candidate) -> Option<u32> {
    let (folder, name) = (candidate.path.parent()?, candidate.path.file_name()?);
    let owner = Dir::among_others(folder).and_then(|dir| dir.stat(name)).ok()?.owner;
    (candidate.kind == Root::Temp && owner != env.user.uid).then_some(owner)
}

fn is_empty(dir: &Dir) -> bool {
    dir.entries().is_ok_and(|entries| entries.is_empty())
}

/// Whether a folder is a home: ours by identity, or a folder in the place where homes lie.
fn is_home(env: &Environment, root: &Path) -> bool {
    root == real(&env.user.home)
        || root.parent().is_some_and(|parent| {
            [Path::new("/home"), Path::new("/Users"), Path::new("C:\\Users")].contains(&parent)
        })
        || root == Path::new("/root")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_macos_guards_is_noted_and_a_store_of_it_told_as_an_error() {
        let refused = |platform, code, kind| {
            let why = unreachable(platform, io::Error::from_raw_os_error(code));
            Refused { path: "/Users/ann/Desktop".into(), kind, why }
        };
        let guarded = refused(Platform::Macos, 1, Root::HeapDumps);
        assert!(guarded.is_note() && guarded.message().contains("Full Disk Access"), "{}", guarded.message());
        let store = refused(Platform::Macos, 1, Root::Config);
        assert!(!store.is_note() && store.message().contains("Full Disk Access"));
        for (platform, code) in [(Platform::Macos, 13), (Platform::Linux, 1), (Platform::Linux, 13)] {
            let refused = refused(platform, code, Root::HeapDumps);
            assert!(!refused.is_note() && matches!(refused.why, Refusal::Unreachable(_)));
        }
    }
}
