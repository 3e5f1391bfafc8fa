//! The last part of a purge: the identity, and the certificate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::ValueEnum as _;

use super::asked::{PurgeArgs, With, named_stores};
use super::{After, Done, Work, anything_sealed};
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::key::identity_path;
use crate::cli::moved;
use crate::enforce::Outcomes;
use crate::escape::text;
use crate::exposure::{self, Subject};
use crate::inventory::members::Place;
use crate::inventory::{FolderIndex, Inventory, StoreIndex};
use crate::ledger::{Clock, Entry, Event, Head, Journal};
use crate::locate::Refused;
use crate::policy::{Policy, holds};
use crate::purge::certificate::{
    Certificate, Exception, ExceptionReason, Files, FolderEntry, Format, Identity, Imprint, LedgerRef,
    Machine, Method, Operator, Origin, Parts, PolicyRef, Remaining, RemainingKind, ResidualRisk, Scope,
    Signer, Signing, StoreEntry, Tool, Witness,
};
use crate::report::certificate;
use crate::run::Workspace;
use crate::run::journal::RunJournal;

/// The words of the classes that go too.
pub(super) fn with(args: &PurgeArgs) -> Vec<String> {
    let mut classes = args.with.clone();
    classes.sort();
    classes.dedup();
    let words = classes.iter().filter_map(With::to_possible_value);
    words.map(|value| value.get_name().to_owned()).collect()
}

/// What was asked for, as the certificate states it.
pub(super) fn scope(work: &Work<'_>, refused: &[Refused]) -> Scope {
    let (ctx, ground, inventory) = (work.ctx, work.ground, work.inventory);
    let has_any: BTreeSet<StoreIndex> =
        inventory.artifacts.iter().map(|artifact| inventory.store_of(artifact)).collect();
    let mut left_out: Vec<String> = has_any
        .into_iter()
        .map(|index| &inventory.store(index).store)
        .filter(|store| !store.in_scope)
        .map(|store| text(&store.root))
        .collect();
    // What the policy leaves out is known, too, where there is anything.
    // A certificate that is silent about a store would be read as if there were none.
    let excluded = ground.policy.excluded_stores.iter().map(|excluded| ctx.env.absolute(&excluded.value));
    left_out.extend(excluded.filter(|path| path.is_dir()).map(|path| text(&path)));
    left_out.extend(refused.iter().map(|refused| text(&refused.path)));
    let session = work.wanted.session.map(|id| id.to_string());
    Scope { session, ..asked_for(work.args, left_out, &named_stores(ctx)) }
}

/// What was typed, as certificates state it.
pub(super) fn asked_for(args: &PurgeArgs, left_out: Vec<String>, stores: &[PathBuf]) -> Scope {
    Scope {
        projects: args.projects.iter().map(text).collect(),
        session: args.session.as_ref().map(text),
        stores: stores.iter().map(text).collect(),
        except: args.except.iter().map(text).collect(),
        before: args.before,
        left_out,
        with: with(args),
        even_live: args.even_live,
        break_holds: args.break_holds.as_ref().map(text),
    }
}

/// Destroys the identity, if that was asked for and nothing sealed is left that it opens.
pub(super) fn destroy_identity(
    work: &Work<'_>,
    outcomes: &Outcomes,
    after: &After,
    ledger: &mut RunJournal,
) -> (Identity, Option<Exception>) {
    let path = identity_path(&work.ctx.env);
    // Looked at as a link: one that leads nowhere is a thing of the user's all the same, and stays.
    if path.symlink_metadata().is_err() {
        return (Identity::None, None);
    }
    if !work.args.with.contains(&With::Identity) {
        return (Identity::Kept, None);
    }
    let stays = |reason: ExceptionReason, detail: String| {
        (Identity::Kept, Some(Exception { reason, path: text(&path), detail, bytes: None }))
    };
    if outcomes.stopped.is_some() {
        return stays(ExceptionReason::Stopped, "the run was stopped before it got there".to_owned());
    }
    // By the look after: only that says what is sealed still.
    if anything_sealed(&after.inventory) {
        let why = "sealed files are left, and it opens them";
        return stays(ExceptionReason::Left, why.to_owned());
    }
    let is_any_refused = !after.refused.meant.is_empty() || !after.refused.others.is_empty();
    if !after.inventory.is_complete || is_any_refused {
        let why = "not every store could be looked into, and it may open what is sealed there";
        return stays(ExceptionReason::Unreadable, why.to_owned());
    }
    let mut entry = Entry::new(Event::Intent);
    entry.decision = Some("delete".into());
    entry.rule = Some(crate::purge::RULE.into());
    entry.kind = Some("identity".into());
    entry.path = Some(text(&path).into());
    entry.files = Some(1);
    let now = work.ctx.env.now;
    if let Err(error) = ledger.append(&[entry.clone()], now) {
        return stays(ExceptionReason::Ledger, format!("the ledger cannot record it: {error}"));
    }
    // Between its two records, as every deletion.
    let removed = remove(&path);
    entry.event = Event::Outcome;
    entry.outcome = Some(if removed.is_ok() { "deleted" } else { "failed" }.into());
    entry.error = removed.as_ref().err().map(|error| error.to_string().into());
    let recorded = ledger.append(&[entry], now);
    match (removed, recorded) {
        (Err(error), _) => stays(ExceptionReason::Failed, format!("cannot delete it: {error}")),
        (Ok(()), Err(error)) => {
            let detail = format!("the ledger cannot record that it is gone: {error}");
            (
                Identity::Removed,
                Some(Exception { reason: ExceptionReason::Ledger, path: text(&path), detail, bytes: None }),
            )
        }
        (Ok(()), Ok(())) => (Identity::Removed, None),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the identity lies in no store, and this is the one place that removes it"
)]
fn remove(path: &Path) -> std::io::Result<()> {
    std::fs::remove_file(path)
}

/// Where the certificate goes, proven to be writable before anything is touched.
#[derive(Debug)]
pub(super) struct Handover {
    files: Option<Files>,
}

impl Handover {
    /// Looks whether the certificate can be written and signed.
    ///
    /// # Errors
    /// Exit 2 for what is wrong in itself, 4 where the system says no; nothing was touched.
    pub(super) fn prepare(args: &PurgeArgs, ctx: &Context, ground: &Workspace) -> Result<Self, Failure> {
        // The parent of a run over all users writes the one certificate.
        if args.dry_run || args.certificate.is_empty() || ctx.parent.is_some() {
            return Ok(Self { files: None });
        }
        // A certificate within a store would be one of the files that it speaks of.
        let whole = ground.stores.iter().filter(|store| !store.kind.is_shared());
        let roots: Vec<PathBuf> = whole.map(|store| store.root.clone()).collect();
        Ok(Self { files: Some(prepare_files(args, ctx, &roots)?) })
    }

    /// Issues the certificate, writes its files and records it in the ledger.
    ///
    /// # Errors
    /// Exit 1: a file could not be written, or it could not be recorded.
    pub(super) fn issue(
        self,
        work: &Work<'_>,
        done: &Done<'_>,
        head: Option<Head>,
    ) -> Result<Vec<PathBuf>, Failure> {
        let ctx = work.ctx;
        if let (Some(parent), false) = (&ctx.parent, work.args.certificate.is_empty()) {
            // The head is the parent's to state.
            let parts = parts(work, done, Head::genesis(), None);
            return parent
                .certificate(parts)
                .map(|()| Vec::new())
                .map_err(|error| Failure::without_parent(&error));
        }
        let (Some(files), Some(head)) = (self.files, head) else { return Ok(Vec::new()) };
        let parts = parts(work, done, head, files.signer().cloned());
        let issued = Issued::write(files, parts)?;
        let mut ledger = RunJournal::open(ctx, &work.ground.policy.ledger.value, work.id, Clock::Unproven)?;
        issued.record(&mut ledger, work.now())
    }
}

/// A certificate whose files are written, and which the ledger has yet to record.
pub(super) struct Issued {
    entry: Entry<'static>,
    files: Vec<PathBuf>,
}

impl Issued {
    /// Issues a certificate and writes its files.
    ///
    /// # Errors
    /// Exit 1: a file could not be written.
    pub(super) fn write(files: Files, parts: Parts) -> Result<Self, Failure> {
        // Once: all its files show the same facts, of which the ledger has the hash.
        let document = Certificate::issue(parts);
        let print = |format: Format, imprint: &Imprint<'_>| certificate::print(&document, format, imprint);
        let written =
            files.write(&document, &print).map_err(|error| Failure::because(Exit::Failed, &error))?;
        let entry = document.entry(&written.sha256, written.files.first().map(PathBuf::as_path));
        let mut files = written.files;
        files.extend(written.signature);
        Ok(Self { entry, files })
    }

    /// Records it, and gives its files, the signature among them.
    ///
    /// # Errors
    /// Exit 1: the ledger could not be written.
    pub(super) fn record(
        self,
        ledger: &mut dyn Journal,
        now: DateTime<Utc>,
    ) -> Result<Vec<PathBuf>, Failure> {
        ledger.append(&[self.entry], now).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot record the certificate in the ledger: {error}"))
        })?;
        Ok(self.files)
    }
}

/// Looks whether the files of a certificate can be written outside of these roots, and signed.
///
/// # Errors
/// Exit 2 for what is wrong in itself, 4 where the system says no; nothing was touched.
pub(super) fn prepare_files(args: &PurgeArgs, ctx: &Context, roots: &[PathBuf]) -> Result<Files, Failure> {
    let paths: Vec<PathBuf> = args.certificate.iter().map(|path| ctx.env.absolute(path)).collect();
    let signing = args
        .sign
        .as_ref()
        .map(|key| Signing::prepare(&ctx.env.absolute(key), ctx.env.variable("PATH")))
        .transpose()
        .map_err(|error| Failure::because(Exit::Usage, &error))?;
    Files::prepare(&paths, signing, roots).map_err(|error| {
        let exit = if error.is_usage() { Exit::Usage } else { Exit::Refused };
        let failure = Failure::because(exit, &error);
        Failure { message: format!("nothing was touched: {}", failure.message), ..failure }
    })
}

/// This program, as certificates name it.
pub(super) fn tool(ctx: &Context) -> Tool {
    Tool {
        name: "ccretain".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        built: ctx.env.built.format("%Y-%m-%d").to_string(),
    }
}

/// Who has it done, as certificates name them.
pub(super) fn operator(ctx: &Context, consent: Witness, all_users: bool, signer: Option<Signer>) -> Operator {
    Operator {
        name: text(&ctx.env.user.name),
        uid: ctx.env.user.uid,
        sudo_user: ctx.env.variable("SUDO_USER").map(text),
        consent,
        all_users,
        signer,
    }
}

/// The facts of a certificate.
fn parts(work: &Work<'_>, done: &Done<'_>, head: Head, signer: Option<Signer>) -> Parts {
    let (ctx, policy) = (work.ctx, &work.ground.policy);
    // A home or a temp folder is looked at for strays only; what is exposed of it is not of these stores.
    let stores_of_its_own = work.ground.stores.iter().filter(|store| !store.kind.holds_strays());
    let mut roots: Vec<PathBuf> = stores_of_its_own.map(|store| store.root.clone()).collect();
    // Folders at the top of a store may be links.
    let folders = work.inventory.folders.iter().enumerate();
    let linked = folders.filter(|(_, folder)| folder.parent.is_some() && folder.anchor.is_some());
    roots.extend(linked.filter_map(|(at, _)| {
        fs_err::canonicalize(work.inventory.full_folder_path(FolderIndex::of(at))).ok()
    }));
    let projects = projects(work.inventory);
    let moved = moved::evidence(work.ground, ctx);
    let subject = Subject::of(&ctx.env, &roots).about(&projects).with_moved(&moved);
    let risks = exposure::look(&subject, &exposure::System);
    let mut remaining = done.aftermath.remaining.clone();
    remaining.extend(own_remains(ctx, policy, done.identity));
    Parts {
        id: work.id.0.clone(),
        tool: tool(ctx),
        policy: PolicyRef::from(policy),
        operator: operator(ctx, done.witness, ctx.parent.is_some(), signer),
        host: Machine::look(ctx.env.platform, &exposure::System),
        started: ctx.env.now,
        ended: done.aftermath.verification.time.unwrap_or_else(|| work.now()),
        stores: stores(work),
        method: Method::new(done.scope.clone(), done.identity),
        counts: done.aftermath.counts.clone(),
        verification: done.aftermath.verification.clone(),
        exceptions: done.aftermath.exceptions.clone(),
        remaining,
        residual_risks: risks.iter().map(ResidualRisk::from).collect(),
        ledger: LedgerRef { path: text(&ctx.env.ledger_dir()), run: work.id.0.clone(), head: head.into() },
    }
}

/// The folders that sessions, prompts and the global file of Claude Code name as projects.
fn projects(inventory: &Inventory) -> Vec<PathBuf> {
    let of_sessions = inventory.sessions.iter().flat_map(|session| session.projects.iter()).map(|one| &**one);
    let contents = || inventory.line_files.iter().map(|file| &file.content);
    let of_lines = contents().flat_map(|content| &content.lines).filter_map(|line| line.project.as_deref());
    let of_objects =
        contents().flat_map(|content| &content.objects).filter_map(|object| match &object.place {
            Place::Project(project) => Some(&**project),
            Place::Projects | Place::Top => None,
        });
    let all: BTreeSet<&str> = of_sessions.chain(of_lines).chain(of_objects).collect();
    all.into_iter().map(PathBuf::from).collect()
}

/// The roots, as they were found.
fn stores(work: &Work<'_>) -> Vec<StoreEntry> {
    let inventory = work.inventory;
    let mut artifacts = vec![0_u64; inventory.stores.len()];
    for artifact in &inventory.artifacts {
        artifacts[inventory.store_of(artifact).at()] += 1;
    }
    let mut sessions = vec![0_u64; inventory.stores.len()];
    for session in &inventory.sessions {
        sessions[session.store.at()] += 1;
    }
    // Those that were only read are told of as left out.
    let in_scope = inventory.stores.iter().enumerate().filter(|(_, view)| view.store.in_scope);
    in_scope
        .map(|(at, view)| {
            let store = &view.store;
            let volume = exposure::volume(&store.root, work.ctx.env.platform, &exposure::System);
            let found_by = serde_json::to_value(store.found_by).unwrap_or_default();
            let origin = Origin {
                root: &store.root,
                kind: store.kind.word(),
                owner: &store.owner_name,
                found_by: found_by.as_str().unwrap_or_default(),
                device: store.identity.0,
            };
            let at = StoreIndex::of(at).at();
            let folders = store.crossings.followed.iter().filter_map(|crossing| {
                let path = store.root.join(&crossing.path);
                let volume = exposure::volume(&path, work.ctx.env.platform, &exposure::System);
                let device = crossing.dir.stat_self().ok()?.stamp.device;
                Some(FolderEntry::new(&crossing.path, crossing.way.word(), device, &volume))
            });
            let folders = folders.collect();
            StoreEntry { folders, ..StoreEntry::new(origin, &volume, artifacts[at], sessions[at]) }
        })
        .collect()
}

/// What this program itself leaves: its ledger, its state, policies, holds, the identity.
fn own_remains(ctx: &Context, policy: &Policy, identity: Identity) -> Vec<Remaining> {
    let mut remains = Vec::new();
    let mut add = |what, path: PathBuf, files: &[PathBuf]| {
        let sizes = files.iter().filter_map(|file| fs_err::symlink_metadata(file).ok());
        let (files, bytes) = sizes.fold((0, 0), |(files, bytes), meta| (files + 1, bytes + meta.len()));
        if files > 0 {
            remains.push(Remaining { what, path: text(&path), files, bytes });
        }
    };
    let dir = ctx.env.ledger_dir();
    let listed =
        fs_err::read_dir(&dir).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let is_ledger =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"ledger"));
    let segments: Vec<PathBuf> = listed.filter(is_ledger).collect();
    add(RemainingKind::Ledger, dir, &segments);
    let own = ctx.env.state_dir();
    let listed =
        fs_err::read_dir(&own).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let state: Vec<PathBuf> = listed.filter(|path| path.is_file() && !is_ledger(path)).collect();
    add(RemainingKind::State, own, &state);
    // Every layer that took part, whoever owns it: it is what the verdict went by.
    let own = holds::path(&ctx.env.config_dir());
    for path in policy.sources.iter().filter_map(|source| source.path.clone()).filter(|path| *path != own) {
        add(RemainingKind::Policy, path.clone(), &[path]);
    }
    add(RemainingKind::Holds, own.clone(), &[own]);
    if identity == Identity::Kept {
        let path = identity_path(&ctx.env);
        add(RemainingKind::Identity, path.clone(), &[path]);
    }
    remains
}
