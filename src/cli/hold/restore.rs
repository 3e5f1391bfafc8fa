//! `ccretain hold restore`: what Claude Code's own cleanup took of a held session comes back from its
//! preservation copies. The hold and the copies stay.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::catalogue::{Kind, Root, SessionId};
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::session;
use crate::cli::unseal::{goes_again, restoring};
use crate::cli::vault::{self, DateArgs, Head, IdentityArgs, Of};
use crate::client::Written;
use crate::enforce::preserve::{self, Copied};
use crate::enforce::sealed::{SealedError, SealedSession};
use crate::enforce::unseal::{Dates, Existing, Restored};
use crate::error::chain;
use crate::escape::{shown, text};
use crate::inventory::{Inventory, Session};
use crate::ledger::{Event, Failure as Failed, SealedRecords};
use crate::locate::Store;
use crate::report::human::{counted, size};
use crate::run::Workspace;
use crate::run::{self, LedgeredRun};
use crate::seal::Identities;
use crate::seal::manifest::SealedFile;

/// The word for it in the ledger.
const VERB: &str = "hold-restore";

/// What `hold restore` takes.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The name of a hold, or a session: its full id, or a prefix of 8 or more characters.
    #[arg(value_name = "NAME|SESSION")]
    pub named: String,
    #[command(flatten)]
    pub keys: IdentityArgs,
    #[command(flatten)]
    pub dates: DateArgs,
}

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
struct Target<'a> {
    store: &'a Store,
    id: SessionId,
    /// What is left of it in its store.
    session: Option<&'a Session>,
    copies: Result<Vec<Copy<'a>>, String>,
}

/// How files come back.
struct How<'a> {
    ctx: &'a Context,
    ground: &'a Workspace,
    keys: &'a Identities,
    dates: Dates,
    temps: &'a [PathBuf],
}

/// What became of one session.
#[derive(Debug, Serialize)]
struct Item {
    #[serde(flatten)]
    of: Of,
    /// The holds whose copies were looked into.
    holds: Vec<String>,
    files: u64,
    bytes: u64,
    /// `restored`, `nothing-missing`, `refused` or `failed`.
    outcome: &'static str,
    warnings: Vec<String>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head,
    touched: bool,
    sessions: &'a [Item],
}

/// Runs `ccretain hold restore`.
///
/// # Errors
/// Exit 2: no such copy; 4: a date at which Claude Code would delete the session again. Nothing was
/// changed then.
pub(super) fn restore(args: &RestoreArgs, ground: &Workspace, ctx: &Context) -> Result<Exit, Failure> {
    let locks = run::lock_all(ground, ctx)?;
    let inventory = ground.inventory(ctx);
    let temps = vault::temps(ctx, ground, &inventory);
    let (found, unlisted) = find(&inventory, &args.named, ground, ctx)?;
    let targets: Vec<Target<'_>> = found
        .into_iter()
        .map(|((at, id), copies)| Target::open(&inventory, at, id, copies, &temps))
        .collect();
    if !args.dates.are_settled() {
        targets.iter().try_for_each(|target| target.is_safe_at_its_date(ctx))?;
    }
    let keys = if targets.iter().any(Target::is_wanting) {
        vault::identities(ctx, &args.keys.identity)?
    } else {
        // Where nothing is to be opened, no key is asked for.
        Identities::new()
    };
    let mut deed = LedgeredRun::begin(VERB, ctx, ground, locks)?;
    let how = How { ctx, ground, keys: &keys, dates: args.dates.dates(ctx), temps: &temps };
    let mut items = Vec::new();
    for target in targets {
        items.push(target.restore(&how, &mut deed)?);
    }
    let failed = items.iter().filter(|item| item.error.is_some()).count() as u64 + unlisted.len() as u64;
    let exit = match items.as_slice() {
        [item] if item.outcome == "refused" => Exit::Refused,
        _ if failed > 0 => Exit::Failed,
        _ => Exit::Done,
    };
    if ctx.global.json {
        let head = Head::new("ccretain.hold-restore/1", &deed, ctx);
        ctx.console.json(&Document { head, touched: args.dates.touch, sessions: &items })?;
    }
    for item in &items {
        item.say(ctx)?;
    }
    for why in &unlisted {
        ctx.console.error(why);
    }
    let restored = items.iter().filter(|item| item.outcome == "restored").count() as u64;
    deed.end(&[("sessionsRestored", restored), ("failed", failed)], exit.code(), ctx)?;
    Ok(exit)
}

/// The copies of each session of each store that an argument means, and the stores that could not be
/// asked. A hold of that very name is meant before a session whose id begins so.
type Copies = BTreeMap<(usize, SessionId), Vec<Copied>>;

fn find(
    inventory: &Inventory,
    named: &str,
    ground: &Workspace,
    ctx: &Context,
) -> Result<(Copies, Vec<String>), Failure> {
    let (mut all, mut unlisted) = (Vec::new(), Vec::new());
    for (at, view) in inventory.stores.iter().enumerate() {
        if view.store.kind != Root::Config || !view.store.in_scope {
            continue;
        }
        match preserve::all(&view.store) {
            Ok(copies) => all.extend(copies.into_iter().map(|copy| (at, copy))),
            Err(error) => {
                let root = shown(&view.store.root);
                unlisted.push(format!("cannot look for preservation copies in '{root}': {error}"));
            }
        }
    }
    let is_hold = ground.policy.holds().any(|(hold, _)| hold.name == named)
        || all.iter().any(|(_, copy)| copy.hold == named);
    if is_hold {
        all.retain(|(_, copy)| copy.hold == named);
        if all.is_empty() && unlisted.is_empty() {
            let message = format!("hold '{}' has no preservation copies", text(named));
            return Err(Failure::new(Exit::Usage, message)
                .hint("`ccretain hold add --preserve` makes them when a hold is placed"));
        }
    } else {
        let id = session::one_of(
            named,
            all.iter().map(|(_, copy)| copy.session),
            || "`ccretain hold list` shows the holds, and how many sessions each preserves",
        )?;
        all.retain(|(_, copy)| copy.session == id);
        let mut stores: Vec<usize> = all.iter().map(|(at, _)| *at).collect();
        stores.dedup();
        if stores.len() > 1 && ctx.global.stores.is_empty() {
            let root = |at: &usize| Some(format!("'{}'", shown(&inventory.stores.get(*at)?.store.root)));
            let roots = stores.iter().filter_map(root).collect::<Vec<_>>();
            let message = format!("session {id} is preserved in several stores: {}", roots.join(", "));
            return Err(Failure::new(Exit::Usage, message).hint(session::in_store(&roots)));
        }
    }
    let mut copies = Copies::new();
    for (at, copy) in all {
        copies.entry((at, copy.session)).or_default().push(copy);
    }
    Ok((copies, unlisted))
}

impl<'a> Target<'a> {
    fn open(
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
            // Existing files are left: what Claude Code has written since is newer than any copy.
            let (wanting, wants_links) = restoring(&sealed, temps.to_vec(), Dates::Original, Existing::Leave)
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
        Self { store, id, session, copies }
    }

    /// Whether anything of it is gone.
    fn is_wanting(&self) -> bool {
        self.copies.iter().flatten().any(Copy::is_wanting)
    }

    fn project(&self) -> Option<&str> {
        let recorded = || self.copies.iter().flatten().find_map(|copy| copy.sealed.record.project.as_deref());
        self.session.and_then(|session| session.project.as_deref()).or_else(recorded)
    }

    /// Whether what comes back would stay, with its own date, when Claude Code is started.
    fn is_safe_at_its_date(&self, ctx: &Context) -> Result<(), Failure> {
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
        if session.liveness.is_live() {
            return Some("Claude Code has it open; close it there, then try again".to_owned());
        }
        (session.sealed > 0).then(|| {
            "it is sealed, so its files are gone for another reason; `ccretain cat` reads it".to_owned()
        })
    }

    /// Puts back what is gone; a failure is in the item.
    fn restore(self, how: &How<'_>, deed: &mut LedgeredRun) -> Result<Item, Failure> {
        let is_wanting = self.is_wanting();
        // A session that lacks nothing is in nobody's way, whoever has it open.
        let refusal = self.refusal().filter(|_| is_wanting);
        let of = Of {
            store: text(&self.store.root),
            session: self.id.to_string(),
            project: self.project().map(text),
        };
        let mut item = Item {
            of,
            holds: self.copies.iter().flatten().map(|copy| text(&copy.hold)).collect(),
            files: 0,
            bytes: 0,
            outcome: "nothing-missing",
            warnings: Vec::new(),
            error: None,
        };
        let (store, id) = (self.store, self.id);
        let copies = match (self.copies, refusal) {
            (Err(why), _) => {
                (item.outcome, item.error) = ("failed", Some(why));
                return Ok(item);
            }
            (_, Some(why)) => {
                (item.outcome, item.error) = ("refused", Some(why));
                return Ok(item);
            }
            (Ok(copies), None) => copies,
        };
        let known = vault::known_of(how.ctx, id);
        for copy in copies.into_iter().filter(Copy::is_wanting) {
            copy.restore(store, &known, how, &mut item, deed)?;
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
        known: &Result<SealedRecords, String>,
        how: &How<'_>,
        item: &mut Item,
        deed: &mut LedgeredRun,
    ) -> Result<(), Failure> {
        let ctx = how.ctx;
        let mut entry = item.of.entry(Event::Intent, VERB);
        entry.hold = Some(text(&self.hold).into());
        entry.files = Some(self.wanting.len() as u64);
        deed.record(std::slice::from_ref(&entry), ctx)?;
        // Before the files are there, as their dates may be today's from then on.
        remember(store, &self, deed, ctx)?;
        let (hold, id) = (self.hold, self.sealed.id);
        let sealed = vault::vouched(self.sealed, known);
        entry.event = Event::Outcome;
        match restoring(&sealed, how.temps.to_vec(), how.dates, Existing::Leave).restore(how.keys) {
            Ok(restored) => {
                item.take(&restored);
                // Not refused: somebody may want to look at it before it goes.
                if !how.is_in_force(&hold) {
                    item.warnings.push(format!(
                        "hold '{}' is no longer in force: the next run may delete what was restored",
                        text(&hold)
                    ));
                }
                item.warnings.extend(vault::warn_unknown(id, known, &restored.digests));
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
                item.outcome = "failed";
                item.error = Some(format!("its copy for hold '{}': {}", text(&hold), chain(&error)));
                entry.files = Some(0);
                entry.outcome = Some("failed".into());
                entry.failed =
                    vec![Failed { path: text(&sealed.root()).into(), error: chain(&error).into() }];
            }
        }
        Ok(deed.record(&[entry], ctx)?)
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
fn remember(store: &Store, copy: &Copy<'_>, deed: &mut LedgeredRun, ctx: &Context) -> Result<(), Failure> {
    let transcripts = copy.wanting.iter().filter(|file| file.kind == Kind::Transcript);
    let Some(modified) = transcripts.map(|file| file.mtime).max() else { return Ok(()) };
    let record = &copy.sealed.record;
    let recorded = record
        .last_activity
        .filter(|_| record.last_activity_from == Some(crate::seal::manifest::DatedBy::Record));
    Ok(deed.remember_unsealed(&store.root, copy.sealed.id, modified, recorded, ctx)?)
}

impl How<'_> {
    fn is_in_force(&self, hold: &str) -> bool {
        self.ground.policy.holds().any(|(known, _)| known.name == hold && known.is_active(self.ctx.env.now))
    }
}

impl Item {
    fn take(&mut self, restored: &Restored) {
        self.files += restored.digests.len() as u64;
        self.bytes += restored.bytes;
        self.outcome = "restored";
    }

    fn say(&self, ctx: &Context) -> Result<(), Failure> {
        for warning in &self.warnings {
            ctx.console.warning(warning);
        }
        let session = &self.of.session;
        match &self.error {
            Some(error) => {
                ctx.console.error(&format!("session {session}: {error}"));
                if self.outcome == "failed" {
                    ctx.console.hint("nothing was overwritten; `age -d -i KEY FILE | zstd -d` opens single files of a copy");
                }
            }
            None if self.outcome == "nothing-missing" => {
                ctx.console.sentences(&format!("session {session}: nothing is missing\n"))?;
            }
            None => {
                let (files, bytes) = (counted(self.files, "file"), size(self.bytes));
                ctx.console.sentences(&format!("restored {session}: {files}, {bytes}\n"))?;
            }
        }
        Ok(())
    }
}
