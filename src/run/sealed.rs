//! What runs on sealed sessions share: what holds them, what the ledger knows of them, where they come back to.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Context, Workspace};
use crate::catalogue::{Kind, Root, SessionId};
use crate::enforce::sealed::{SealedSession, place};
use crate::error::chain;
use crate::escape::{shown, text};
use crate::inventory::{Inventory, Problem, Session};
use crate::ledger::{Entry, Event, SealedRecords};
use crate::policy::{Hold, Policy};
use crate::seal::manifest::SealedFile;

/// The hold that covers anything of a session, whichever rules it binds.
pub fn hold_on<'p>(policy: &'p Policy, inventory: &Inventory, session: &Session) -> Option<&'p Hold> {
    // In doubt a hold covers: what a session was about may be in what cannot be read.
    let unknown = session.may_be_of_any_project();
    let kinds: HashSet<_> =
        inventory.files(session).iter().filter_map(|index| inventory.artifact(*index).kind).collect();
    let holds = policy.mandates.iter().flat_map(|mandate| &mandate.holds);
    holds.filter(|hold| hold.is_active(inventory.taken)).find(|hold| {
        kinds.iter().any(|kind| {
            let projects = session.projects.iter().map(|project| &**project);
            hold.selector.covers(*kind, projects, unknown, Some(session.id))
        })
    })
}

/// What the look into the stores could not read, by its first example: what was not found may be there.
pub fn unread(inventory: &Inventory) -> Option<String> {
    let Problem { path, doing, error, .. } = inventory.problems.first()?;
    let more = match inventory.problems.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(format!("not everything could be read: cannot {doing} '{}': {error}{more}", shown(path)))
}

/// Which sealed files of a session have their plain ones beside them, and which have not. Claude Code may move a session to
/// another project, and only ever appends to a transcript; each plain file stands for one sealed file alone.
pub fn with_plain<'f>(
    inventory: &Inventory,
    session: &Session,
    files: &'f [SealedFile],
) -> (Vec<SealedFile>, Vec<&'f SealedFile>) {
    let plain = inventory.files(session).iter().copied().filter(|index| {
        let artifact = inventory.artifact(*index);
        !artifact.sealed && artifact.is_regular()
    });
    let mut plain: HashMap<(Option<PathBuf>, PathBuf), u64> = plain
        .map(|index| {
            let (_, path, temp) = place(inventory, index);
            ((temp, path), inventory.artifact(index).stamp.size)
        })
        .collect();
    let least = |file: &SealedFile| match file.kind {
        Kind::Transcript | Kind::Subagent => file.size,
        _ => file.size.min(1),
    };
    let (mut there, elsewhere): (Vec<_>, Vec<_>) = files.iter().partition(|file| {
        let size = plain.remove(&(file.temp.clone(), file.path.clone()));
        size.is_some_and(|size| size >= least(file))
    });
    let mut moved: HashMap<(bool, PathBuf), Vec<u64>> = HashMap::new();
    for ((temp, path), size) in plain {
        moved.entry((temp.is_some(), below_project(&path))).or_default().push(size);
    }
    let (found, gone): (Vec<_>, Vec<_>) = elsewhere.into_iter().partition(|file| {
        let sizes = moved.get_mut(&(file.temp.is_some(), below_project(&file.path)));
        sizes.and_then(Vec::pop).is_some_and(|size| size >= least(file))
    });
    there.extend(found);
    (there.into_iter().cloned().collect(), gone)
}

/// A path in a store without the folder of the project.
fn below_project(path: &Path) -> PathBuf {
    if path.starts_with("projects") { path.components().skip(2).collect() } else { path.to_owned() }
}

/// Which session an item of such a document is about.
#[derive(Debug, Serialize)]
pub struct Of {
    /// The root of its store.
    pub store: String,
    /// Its id.
    pub session: String,
    pub project: Option<String>,
}

impl Of {
    /// A session, in words fit to be shown.
    pub fn new(inventory: &Inventory, session: &Session) -> Self {
        Self {
            store: text(&inventory.store(session.store).store.root),
            session: session.id.to_string(),
            project: session.project.as_deref().map(text),
        }
    }

    /// A record of the ledger about it.
    pub fn entry(&self, event: Event, decision: &'static str) -> Entry<'static> {
        let mut entry = Entry::new(event);
        entry.store = Some(self.store.clone().into());
        entry.session = Some(self.session.clone().into());
        entry.project = self.project.clone().map(Into::into);
        entry.decision = Some(decision.into());
        entry
    }
}

/// What the ledger knows of the sealed files of sessions.
///
/// # Errors
/// Why nobody can say.
pub fn known_of(
    ctx: &Context,
    sessions: impl IntoIterator<Item = SessionId>,
) -> Result<SealedRecords, String> {
    let sessions: Vec<String> = sessions.into_iter().map(|id| id.to_string()).collect();
    SealedRecords::load(&ctx.env.ledger_dir(), &ctx.env.state_dir(), &sessions, &[])
        .map_err(|error| chain(&error))
}

/// A sealed session as the ledger vouches for it: what this program sealed may unpack to any size.
pub fn vouched<'a>(sealed: SealedSession<'a>, known: &Result<SealedRecords, String>) -> SealedSession<'a> {
    // Nothing where the ledger cannot be read: then it is opened like a file of a stranger.
    let id = sealed.id.to_string();
    sealed.vouched_by(known.iter().flat_map(|known| known.digests(&id)))
}

/// Says when sealed files that were opened are not such as the ledger knows.
pub fn warn_unknown(
    session: SessionId,
    known: &Result<SealedRecords, String>,
    opened: &[[u8; 32]],
) -> Option<String> {
    let id = session.to_string();
    let records = match known {
        Ok(records) => records,
        Err(error) => {
            return Some(format!(
                "the ledger cannot be read, so it is not certain that session {session} is genuine: {error}"
            ));
        }
    };
    let digests: HashSet<&str> = records.of(&id).collect();
    let unknown = opened.iter().filter(|digest| !digests.contains(&*hex::encode(digest))).count();
    (unknown > 0).then(|| {
        format!(
            "the ledger does not know {unknown} of the {} sealed files of session {session}: \
             they open, but whoever knows the public key could have made them",
            opened.len()
        )
    })
}

/// Says when a session was sealed again after the files that its record names.
pub fn warn_outdated(
    session: SessionId,
    known: &Result<SealedRecords, String>,
    recorded: &[SealedFile],
) -> Option<String> {
    let recorded = recorded.iter().map(|file| hex::encode(file.sha256)).collect();
    known.as_ref().is_ok_and(|records| records.is_outdated(&session.to_string(), &recorded)).then(|| {
        format!(
            "session {session} was sealed again after this copy: an older copy was put in its place, \
             and what was added since is not in it"
        )
    })
}

/// The roots of temp trees into which may be restored: those that are there, those that were once,
/// and those that Claude Code would make here.
pub fn temps(ctx: &Context, workspace: &Workspace, inventory: &Inventory) -> Vec<PathBuf> {
    let found = inventory.stores.iter().filter(|view| view.store.kind == Root::Temp);
    let word = Root::Temp.word();
    // A temp folder is emptied at each start of the machine, and a session sealed before that wants its files
    // back all the same.
    let remembered = workspace.state.state.roots.iter().filter(|root| root.kind == word);
    let folders = ["CLAUDE_CODE_TMPDIR", "TMPDIR"].into_iter().filter_map(|name| ctx.env.variable(name));
    let folders = folders.map(|folder| ctx.env.working_dir.join(folder)).chain([PathBuf::from("/tmp")]);
    let own = format!("claude-{}", ctx.env.user.uid);
    // A link on the way, such as macOS's `/tmp`, is resolved as it is for a root that is there.
    let usual = folders.map(|folder| folder.canonicalize().unwrap_or(folder).join(&own));
    let known = found.map(|view| view.store.root.clone());
    known.chain(remembered.map(|root| root.path.clone())).chain(usual).collect()
}

/// Whether a folder of a project is there, to start Claude Code in.
pub fn project_folder(session: &Session) -> Option<&Path> {
    session.project.as_deref().map(Path::new).filter(|path| path.is_absolute() && path.is_dir())
}
