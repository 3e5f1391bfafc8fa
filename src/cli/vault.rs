//! What the verbs about sealed sessions share: identities, holds, the ledger, what it knows.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::ask::Terminal;
use super::context::{Context, Exit, Failure};
use super::key::{identity_path, own_identity};
use super::remedy;
use crate::catalogue::{Root, SessionId};
use crate::enforce::Stop;
use crate::enforce::sealed::SealedSession;
use crate::enforce::unseal::Dates;
use crate::error::chain;
use crate::escape::{shown, text};
use crate::inventory::{Inventory, Session};
use crate::ledger::{Entry, Event, SealedRecords};
use crate::locate::Refused;
use crate::plan::Plan;
use crate::policy::{Hold, Policy};
use crate::report::human::counted;
use crate::report::json::time;
use crate::run::{CancelToken, LedgeredRun, STOPPING, Workspace};
use crate::seal::identities::IdentityError;
use crate::seal::manifest::SealedFile;
use crate::seal::{Ask, Identities, identities};

/// The private keys of a command that opens what is sealed.
#[derive(Debug, Clone, Args)]
#[command(about = None, long_about = None)]
pub struct IdentityArgs {
    /// A file with the private key (repeatable); else identity.age beside the user's policy.
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
}

/// Which date files get that come back.
#[derive(Debug, Clone, Copy, Args)]
#[command(about = None, long_about = None)]
pub struct DateArgs {
    /// Give the files today's date, so that Claude Code does not delete them; the true one is
    /// remembered.
    #[arg(long, conflicts_with = "keep_date")]
    pub touch: bool,
    /// Give the files their own date, even if Claude Code will delete them at its next start.
    #[arg(long)]
    pub keep_date: bool,
}

impl DateArgs {
    /// The date they get.
    pub fn dates(self, ctx: &Context) -> Dates {
        if self.touch { Dates::Touch(ctx.env.now) } else { Dates::Original }
    }

    /// Whether somebody has said which.
    pub fn are_settled(self) -> bool {
        self.touch || self.keep_date
    }
}

/// Does one after the other, with progress, until all are done or somebody asks it to stop; gives what became of them,
/// and how the command ends where some were not reached.
///
/// # Errors
/// The first that none may follow.
pub fn each<T, Item>(
    ctx: &Context,
    all: Vec<T>,
    doing: &'static str,
    mut one: impl FnMut(T) -> Result<Item, Failure>,
) -> Result<(Vec<Item>, Exit), Failure> {
    let (stop, count) = (CancelToken::new(None), all.len());
    let bar = ctx.console.progress(count as u64, doing);
    let mut items = Vec::new();
    let tell = || bar.suspend(|| ctx.console.notice(STOPPING));
    stop.answering(tell, || -> Result<(), Failure> {
        for target in all.into_iter().take_while(|_| stop.asked().is_none()) {
            items.push(one(target)?);
            bar.inc(1);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let exit = ended(ctx, &stop, count - items.len());
    Ok((items, exit))
}

/// How a command ends that a person stopped before it reached some sessions, of which that is said.
fn ended(ctx: &Context, stop: &CancelToken, unreached: usize) -> Exit {
    let Some(why) = stop.asked().filter(|_| unreached > 0) else { return Exit::Done };
    let left = counted(unreached as u64, "session");
    ctx.console.warning(&format!("stopped as asked: {left} not reached; the same command continues"));
    let is_persons = matches!(why, Stop::Interrupt) && ctx.console.can_ask();
    if is_persons { Exit::Interrupted } else { Exit::Done }
}

/// Reads the private keys: those named, else the user's own.
///
/// # Errors
/// Exit 2: a file that cannot be used; nothing was touched.
pub fn identities(ctx: &Context, named: &[PathBuf]) -> Result<Identities, Failure> {
    let ask: Arc<dyn Ask> = Arc::new(Terminal::new(&ctx.console));
    let mut keys = Identities::new();
    if named.is_empty() {
        own_identity(&ctx.env)?;
    }
    let own = [identity_path(&ctx.env)];
    let paths: Vec<PathBuf> =
        if named.is_empty() { own.into() } else { named.iter().map(|path| ctx.env.absolute(path)).collect() };
    for path in &paths {
        keys.load(path, &ask).map_err(|error| {
            let failure = Failure::because(Exit::Usage, &error);
            match error {
                // One that is there and closed can be opened.
                IdentityError::Read(_) if path.symlink_metadata().is_ok() => failure,
                _ => failure.hint("name the file that holds the key: `--identity FILE`"),
            }
        })?;
        // Told and not refused: what it opens is needed now, and was exposed before.
        if identities::is_exposed(path).unwrap_or(false) {
            ctx.console.warning(&format!("'{}' can be read or changed by others", shown(path)));
            ctx.console.hint(&format!("`chmod 600 '{}'` closes it", shown(path)));
        }
    }
    Ok(keys)
}

/// The hold that covers anything of a session, whichever rules it binds.
#[must_use]
pub fn hold_on<'p>(policy: &'p Policy, inventory: &Inventory, session: &Session) -> Option<&'p Hold> {
    // In doubt a hold covers: what a session was about may be in what cannot be read.
    let unknown = session.projects.is_empty() || session.is_unreadable;
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

/// The refusal that a hold is.
#[must_use]
pub fn held(session: SessionId, hold: &Hold) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("session {session} is held by '{}': {}", text(&hold.name), text(&hold.reason)),
    )
    .hint(format!(
        "nothing was touched; `ccretain cat {session}` reads it, `ccretain hold list` shows the holds"
    ))
}

/// Says what to do about folders that were refused as stores, each thing once.
pub fn advise(refused: &[Refused], ctx: &Context) {
    let hints = refused.iter().filter(|refused| !refused.is_note()).filter_map(remedy::of_refused);
    for hint in hints.collect::<std::collections::BTreeSet<_>>() {
        ctx.console.hint(&hint);
    }
}

/// The head of what a verb about sealed sessions prints as JSON.
#[derive(Debug, Serialize)]
pub struct Head {
    schema: &'static str,
    run: String,
    now: String,
}

impl Head {
    /// The head of a document about a run.
    #[must_use]
    pub fn new(schema: &'static str, deed: &LedgeredRun, ctx: &Context) -> Self {
        Self { schema, run: deed.run().to_owned(), now: time(ctx.env.now) }
    }
}

/// Which session an item of such a document is about.
#[derive(Debug, Serialize)]
pub struct Of {
    /// The root of its store.
    pub store: String,
    /// Its id.
    pub session: String,
    /// Its project.
    pub project: Option<String>,
}

impl Of {
    /// A session, in words fit to be shown.
    #[must_use]
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

/// What the ledger knows of the sealed files of a session.
///
/// # Errors
/// Why nobody can say.
pub fn known_of(ctx: &Context, session: SessionId) -> Result<SealedRecords, String> {
    SealedRecords::load(&ctx.env.ledger_dir(), &ctx.env.state_dir(), Some(&session.to_string()), &[])
        .map_err(|error| chain(&error))
}

/// A sealed session as the ledger vouches for it: what this program sealed may unpack to any size.
#[must_use]
pub fn vouched<'a>(sealed: SealedSession<'a>, known: &Result<SealedRecords, String>) -> SealedSession<'a> {
    let id = sealed.id.to_string();
    sealed.vouched_by(known.iter().flat_map(|known| known.digests(&id)))
}

/// Says when sealed files that were opened are not such as the ledger knows.
#[must_use]
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
#[must_use]
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
#[must_use]
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

/// Takes from a plan everything that is not of the wanted sessions.
pub fn only(plan: &mut Plan, inventory: &Inventory, wanted: &HashSet<crate::inventory::SessionIndex>) {
    use crate::inventory::{Belongs, SessionIndex};
    use crate::plan::{Decision, Keep};
    let keep = Decision::Keep(Keep::OutOfScope);
    for (artifact, decision) in inventory.artifacts.iter().zip(&mut plan.decisions) {
        // What the plan wants of other files is for a run of the policy, which asks its guards first.
        let is_wanted = matches!(artifact.belongs, Belongs::Session(index) if wanted.contains(&index));
        if !is_wanted {
            *decision = keep;
        }
    }
    for (at, verdict) in plan.sessions.iter_mut().enumerate() {
        if !wanted.contains(&SessionIndex::of(at)) {
            verdict.decision = keep;
        }
    }
}

/// Whether a folder of a project is there, to start Claude Code in.
#[must_use]
pub fn project_folder(session: &Session) -> Option<&Path> {
    session.project.as_deref().map(Path::new).filter(|path| path.is_absolute() && path.is_dir())
}
