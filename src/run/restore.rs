//! What Claude Code's own cleanup took of a held session comes back from its preservation copies.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::sealed::{self, Of};
use super::unseal::{Item, Refusal, goes_again, why_unknown};
use super::{Context, Ended, Error, SealedRun, Workspace};
use crate::catalogue::{Kind, SessionId};
use crate::client::Written;
use crate::enforce::preserve::Copied;
use crate::enforce::sealed::{SealedError, SealedSession};
use crate::enforce::unseal::{Dates, Existing, Restoring};
use crate::error::chain;
use crate::escape::{shown, text};
use crate::inventory::liveness::Liveness;
use crate::inventory::{Inventory, Session};
use crate::ledger::{Event, Failure as Failed, SealedRecords};
use crate::locate::Store;
use crate::seal::Identities;
use crate::seal::manifest::SealedFile;

/// The word for it in the ledger.
pub const COMMAND: &str = "hold-restore";

/// What to do where a copy cannot be used.
const FAILED: &str = "nothing was overwritten; `age -d -i KEY FILE | zstd -d` opens single files of a copy";

/// The copies of each session of each store.
pub type Copies = BTreeMap<(usize, SessionId), Vec<Copied>>;

/// A preservation copy that was opened.
struct Copy<'a> {
    hold: String,
    sealed: SealedSession<'a>,
    /// The files whose place is free.
    wanting: Vec<SealedFile>,
    /// Whether any link's is.
    wants_links: bool,
}

impl Copy<'_> {
    fn is_wanting(&self) -> bool {
        !self.wanting.is_empty() || self.wants_links
    }
}

/// A session of one store with its copies, the newest first: what a later copy has is not taken from
/// an earlier one.
pub struct Target<'a> {
    store: &'a Store,
    id: SessionId,
    /// What is left of it in its store.
    session: Option<&'a Session>,
    inventory: &'a Inventory,
    copies: Result<Vec<Copy<'a>>, String>,
}

/// How files come back.
pub struct How<'a> {
    pub ctx: &'a Context,
    pub ground: &'a Workspace,
    pub keys: &'a Identities,
    pub dates: Dates,
    pub temps: &'a [PathBuf],
    /// What the ledger knows of the sessions.
    pub known: &'a Result<SealedRecords, String>,
}

impl<'a> Target<'a> {
    /// Opens the copies of a session, and sees what of it is gone.
    pub fn open(
        inventory: &'a Inventory,
        at: usize,
        id: SessionId,
        copies: Vec<Copied>,
        temps: &[PathBuf],
    ) -> Self {
        let store = &inventory.stores[at].store;
        let session = inventory.sessions.iter().find(|session| session.id == id && session.store.at() == at);
        let open = |copy: Copied| -> Result<Copy<'a>, String> {
            let explain = |error: SealedError| {
                format!("its copy for hold '{}' cannot be used: {}", text(&copy.hold), chain(&error))
            };
            let sealed = SealedSession::open_in(store, id, copy.below.clone()).map_err(explain)?;
            sealed.is_whole().map_err(explain)?;
            // Existing files are left: what Claude Code has written since is newer than any copy.
            let (dates, existing) = (Dates::Original, Existing::Leave);
            let (wanting, wants_links) = Restoring { session: &sealed, temps, dates, existing }
                .check()
                .map(|wanting| (wanting.files.into_iter().cloned().collect(), wanting.links > 0))
                .map_err(explain)?;
            Ok(Copy { hold: copy.hold, sealed, wanting, wants_links })
        };
        let copies = copies.into_iter().map(open).collect::<Result<Vec<_>, _>>().map(|mut copies| {
            // By the time of sealing and not by the hold: the newest has the most of the conversation.
            copies.sort_by_key(|copy| std::cmp::Reverse(copy.sealed.record.sealed_at));
            let mut seen = HashSet::new();
            for copy in &mut copies {
                copy.wanting.retain(|file| seen.insert((file.temp.clone(), file.path.clone())));
            }
            copies
        });
        Self { store, id, session, inventory, copies }
    }

    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whether anything of it is gone.
    pub fn is_wanting(&self) -> bool {
        self.copies.iter().flatten().any(Copy::is_wanting)
    }

    fn project(&self) -> Option<&str> {
        let recorded = || self.copies.iter().flatten().find_map(|copy| copy.sealed.record.project.as_deref());
        self.session.and_then(|session| session.project.as_deref()).or_else(recorded)
    }

    /// Whether what comes back would stay, with its own date, when Claude Code is started.
    pub fn is_safe_at_its_date(&self, ctx: &Context) -> Result<(), Refusal> {
        let copies = self.copies.iter().flatten();
        let wanting = copies.clone().flat_map(|copy| &copy.wanting).filter(|file| goes_by_own_date(file));
        let Some(oldest) = wanting.map(|file| file.mtime).min() else { return Ok(()) };
        let by_desktop = copies.clone().any(|copy| copy.sealed.record.desktop);
        let written = Written { by_desktop, ..Written::default() };
        let project = self.project().map(Path::new);
        goes_again(ctx, self.store, self.id, project, oldest, written)
    }

    /// Why nothing of it may come back now.
    fn refusal(&self) -> Option<String> {
        let session = self.session?;
        if session.liveness == Liveness::Unread {
            return Some(format!(
                "Claude Code may have it open: {}",
                why_unknown(self.inventory.unread_pid_files().next())
            ));
        }
        if session.liveness.is_live() {
            return Some("Claude Code has it open; close it there, then try again".to_owned());
        }
        (session.sealed > 0).then(|| {
            "it is sealed, so its files are gone for another reason; `ccretain cat` reads it".to_owned()
        })
    }

    /// Puts back what is gone; a failure is in the item.
    ///
    /// # Errors
    /// The ledger or what is remembered cannot be written.
    pub fn restore(self, how: &How<'_>, deed: &mut SealedRun) -> Result<Item, Ended<Item>> {
        let is_wanting = self.is_wanting();
        // A session that lacks nothing is in nobody's way, whoever has it open.
        let refusal = self.refusal().filter(|_| is_wanting);
        let of = Of {
            store: text(&self.store.root),
            session: self.id.to_string(),
            project: self.project().map(text),
        };
        let mut item = Item::new(of, "nothing-missing");
        item.holds = Some(self.copies.iter().flatten().map(|copy| text(&copy.hold)).collect());
        let store = self.store;
        let copies = match (self.copies, refusal) {
            (Err(why), _) => {
                (item.outcome, item.error, item.hint) = ("failed", Some(why), FAILED.to_owned());
                return Ok(item);
            }
            (_, Some(why)) => {
                (item.outcome, item.error) = ("refused", Some(why));
                return Ok(item);
            }
            (Ok(copies), None) => copies,
        };
        // The newest first: what it brings back no older one may replace.
        for copy in copies.into_iter().filter(Copy::is_wanting) {
            if let Err(error) = copy.restore(store, how, &mut item, deed) {
                if item.files == 0 {
                    (item.outcome, item.hint) = ("failed", FAILED.to_owned());
                }
                item.error.get_or_insert_with(|| chain(&error));
                return Err(Ended { item: Some(Box::new(item)), error });
            }
            if item.error.is_some() {
                // What an older copy has of the same files must not take their place.
                break;
            }
        }
        Ok(item)
    }
}

impl Copy<'_> {
    /// Puts back what its session lacks, recorded before and after; what became of it is in the item.
    fn restore(
        self,
        store: &Store,
        how: &How<'_>,
        item: &mut Item,
        deed: &mut SealedRun,
    ) -> Result<(), Error> {
        let How { ctx, temps, dates, known, .. } = *how;
        let mut entry = item.of.entry(Event::Intent, COMMAND);
        entry.hold = Some(text(&self.hold).into());
        entry.files = Some(self.wanting.len() as u64);
        deed.run.record(std::slice::from_ref(&entry), ctx)?;
        // Before the files are there, as their dates may be today's from then on.
        remember(store, &self, deed, ctx)?;
        let (hold, id) = (self.hold, self.sealed.id);
        let sealed = sealed::vouched(self.sealed, known);
        entry.event = Event::Outcome;
        let restoring = Restoring { session: &sealed, temps, dates, existing: Existing::Leave };
        match restoring.restore(how.keys) {
            Ok(restored) => {
                item.files += restored.digests.len() as u64;
                item.bytes += restored.bytes;
                item.outcome = "restored";
                // Not refused: somebody may want to look at it before it goes.
                if !how.is_in_force(&hold) {
                    item.warnings.push(format!(
                        "hold '{}' is no longer in force: the next run may delete what was restored",
                        text(&hold)
                    ));
                }
                item.warnings.extend(sealed::warn_unknown(id, known, &restored.digests));
                entry.files = Some(restored.digests.len() as u64);
                entry.bytes = Some(restored.bytes);
                entry.outcome = Some("restored".into());
                if !restored.missing.is_empty() {
                    let gone = restored.missing.iter().map(|path| format!("'{}'", shown(path)));
                    let gone = gone.collect::<Vec<_>>().join(", ");
                    item.error =
                        Some(format!("a part of its copy for hold '{}' is gone: {gone}", text(&hold)));
                }
            }
            Err(error) => {
                (item.outcome, item.hint) = ("failed", FAILED.to_owned());
                item.error = Some(format!("its copy for hold '{}': {}", text(&hold), chain(&error)));
                entry.files = Some(0);
                entry.outcome = Some("failed".into());
                entry.failed =
                    vec![Failed { path: text(&sealed.root()).into(), error: chain(&error).into() }];
            }
        }
        deed.run.record(&[entry], ctx)
    }
}

/// Whether Claude Code's own cleanup goes by the file's own date.
fn goes_by_own_date(file: &SealedFile) -> bool {
    // It goes by that of the folder of a session in some trees, which is new where the folder comes back, and
    // the temp folder goes with the transcript.
    let by_folder = matches!(
        file.kind,
        Kind::FileHistory | Kind::Upload | Kind::SessionEnv | Kind::Task | Kind::DevMod | Kind::Image
    );
    file.temp.is_none() && !by_folder
}

/// Remembers the true date of a session whose transcript comes back.
fn remember(store: &Store, copy: &Copy<'_>, deed: &mut SealedRun, ctx: &Context) -> Result<(), Error> {
    let transcripts = copy.wanting.iter().filter(|file| file.kind == Kind::Transcript);
    let Some(modified) = transcripts.map(|file| file.mtime).max() else { return Ok(()) };
    let record = &copy.sealed.record;
    let recorded = record
        .last_activity
        .filter(|_| record.last_activity_from == Some(crate::seal::manifest::DatedBy::Record));
    deed.remember_unsealed(&store.root, copy.sealed.id, modified, recorded, ctx)
}

impl How<'_> {
    fn is_in_force(&self, hold: &str) -> bool {
        self.ground.policy.holds().any(|(known, _)| known.name == hold && known.is_active(self.ctx.env.now))
    }
}
