//! The facts of a certificate, gathered at the end of a purge.

use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::{Done, PurgeRun};
use crate::escape::text;
use crate::exposure::{self, Subject};
use crate::inventory::members::Place;
use crate::inventory::{FolderIndex, Inventory, StoreIndex};
use crate::ledger::{Entry, Head, Journal};
use crate::locate::Refused;
use crate::policy::{Policy, holds};
use crate::purge::certificate::{
    Certificate, Files, FolderEntry, Format, Identity, Imprint, LedgerRef, Machine, Method, Operator, Origin,
    Parts, PolicyRef, Remaining, RemainingKind, ResidualRisk, Scope, Signer, StoreEntry, Tool, Witness,
};
use crate::run::journal::RunJournal;
use crate::run::{Context, Error, moved};
use crate::seal::identities::identity_path;

#[cfg(unix)]
pub mod of_all;

/// How a certificate is printed in a format; reports know that.
pub type Printer = fn(&Certificate, Format, &Imprint<'_>) -> String;

/// What was asked for, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub projects: Vec<String>,
    pub session: Option<String>,
    pub before: Option<DateTime<Utc>>,
    pub except: Vec<String>,
    /// The classes that go too, in words.
    pub with: Vec<String>,
    /// Whether the key goes that opens sealed files.
    pub destroys_identity: bool,
    pub even_live: bool,
    pub break_holds: Option<String>,
    /// Whether a certificate is wanted.
    pub certifies: bool,
}

impl Request {
    /// What was typed, as certificates state it.
    pub(super) fn scope(&self, left_out: Vec<String>, stores: &[PathBuf]) -> Scope {
        Scope {
            projects: self.projects.iter().map(text).collect(),
            session: self.session.as_ref().map(text),
            stores: stores.iter().map(text).collect(),
            except: self.except.iter().map(text).collect(),
            before: self.before,
            left_out,
            with: self.with.clone(),
            even_live: self.even_live,
            break_holds: self.break_holds.as_ref().map(text),
        }
    }
}

impl PurgeRun<'_> {
    /// What was asked for, as the certificate states it.
    pub(super) fn scope(&self, refused: &[Refused]) -> Scope {
        let (ctx, inventory) = (self.ctx, &self.inventory);
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
        let excluded =
            self.workspace.policy.excluded_stores.iter().map(|excluded| ctx.env.absolute(&excluded.value));
        left_out.extend(excluded.filter(|path| path.is_dir()).map(|path| text(&path)));
        left_out.extend(refused.iter().map(|refused| text(&refused.path)));
        let session = self.wanted.session.map(|id| id.to_string());
        Scope { session, ..self.request.scope(left_out, &ctx.named_stores()) }
    }

    /// Closes the ledger and issues the certificate, which names its head; gives its files.
    ///
    /// # Errors
    /// Exit 1: a file could not be written, or it could not be recorded.
    pub fn certify(
        &self,
        files: Option<Files>,
        print: Printer,
        done: &Done,
        ledger: &mut RunJournal,
        exit: u8,
    ) -> Result<Vec<PathBuf>, Error> {
        let ctx = self.ctx;
        // Closed first: the certificate names the head, which the summary moves on.
        let head =
            ledger.close(self.summary(&done.aftermath, exit), ctx.env.now).map_err(Error::NoCertificate)?;
        if let (Some(parent), true) = (&ctx.parent, self.request.certifies) {
            // The head is the parent's to state.
            let parts = self.parts(done, Head::genesis(), None);
            return parent.certificate(parts).map(|()| Vec::new()).map_err(Error::ParentGone);
        }
        let (Some(files), Some(head)) = (files, head) else { return Ok(Vec::new()) };
        let parts = self.parts(done, head, files.signer().cloned());
        let issued = Issued::write(files, print, parts)?;
        issued.record(ledger, self.now())
    }

    /// The facts of a certificate.
    fn parts(&self, done: &Done, head: Head, signer: Option<Signer>) -> Parts {
        let (ctx, policy) = (self.ctx, &self.workspace.policy);
        // A home or a temp folder is looked at for strays only; what is exposed of it is not of these stores.
        let stores_of_its_own = self.workspace.stores.iter().filter(|store| !store.kind.holds_strays());
        let mut roots: Vec<PathBuf> = stores_of_its_own.map(|store| store.root.clone()).collect();
        // Folders at the top of a store may be links.
        let folders = self.inventory.folders.iter().enumerate();
        let linked = folders.filter(|(_, folder)| folder.parent.is_some() && folder.anchor.is_some());
        roots.extend(linked.filter_map(|(at, _)| {
            fs_err::canonicalize(self.inventory.full_folder_path(FolderIndex::of(at))).ok()
        }));
        let projects = projects(&self.inventory);
        let moved = moved::evidence(&self.workspace, ctx);
        let subject = Subject::of(&ctx.env, &roots).about(&projects).with_moved(&moved);
        let risks = exposure::look(&subject, &exposure::System);
        let mut remaining = done.aftermath.remaining.clone();
        remaining.extend(own_remains(ctx, policy, done.identity));
        Parts {
            id: self.id.0.clone(),
            tool: tool(ctx),
            policy: PolicyRef::from(policy),
            operator: operator(ctx, done.witness, ctx.parent.is_some(), signer),
            host: Machine::look(ctx.env.platform, &exposure::System),
            started: ctx.env.now,
            ended: done.aftermath.verification.time.unwrap_or_else(|| self.now()),
            stores: self.stores(),
            method: Method::new(done.scope.clone(), done.identity),
            counts: done.aftermath.counts.clone(),
            verification: done.aftermath.verification.clone(),
            exceptions: done.aftermath.exceptions.clone(),
            remaining,
            residual_risks: risks.iter().map(ResidualRisk::from).collect(),
            ledger: LedgerRef {
                path: text(&ctx.env.ledger_dir()),
                run: self.id.0.clone(),
                head: head.into(),
            },
        }
    }

    /// The roots, as they were found.
    fn stores(&self) -> Vec<StoreEntry> {
        let inventory = &self.inventory;
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
                let volume = exposure::volume(&store.root, self.ctx.env.platform, &exposure::System);
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
                    let volume = exposure::volume(&path, self.ctx.env.platform, &exposure::System);
                    let device = crossing.dir.stat_self().ok()?.stamp.device;
                    Some(FolderEntry::new(&crossing.path, crossing.way.word(), device, &volume))
                });
                let folders = folders.collect();
                StoreEntry { folders, ..StoreEntry::new(origin, &volume, artifacts[at], sessions[at]) }
            })
            .collect()
    }
}

/// A certificate whose files are written, and which the ledger has yet to record.
struct Issued {
    entry: Entry<'static>,
    files: Vec<PathBuf>,
}

impl Issued {
    /// Issues a certificate and writes its files.
    fn write(files: Files, print: Printer, parts: Parts) -> Result<Self, Error> {
        // Once: all its files show the same facts, of which the ledger has the hash.
        let document = Certificate::issue(parts);
        let print = |format: Format, imprint: &Imprint<'_>| print(&document, format, imprint);
        let written = files.write(&document, &print).map_err(Error::Certificate)?;
        let entry = document.entry(&written.sha256, written.files.first().map(PathBuf::as_path));
        let mut files = written.files;
        files.extend(written.signature);
        Ok(Self { entry, files })
    }

    /// Records it, and gives its files, the signature among them.
    fn record(self, ledger: &mut dyn Journal, now: DateTime<Utc>) -> Result<Vec<PathBuf>, Error> {
        ledger.append(&[self.entry], now).map_err(Error::CertificateUnrecorded)?;
        Ok(self.files)
    }
}

/// This program, as certificates name it.
fn tool(ctx: &Context) -> Tool {
    Tool {
        name: "ccretain".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        built: ctx.env.built.format("%Y-%m-%d").to_string(),
    }
}

/// Who has it done, as certificates name them.
fn operator(ctx: &Context, consent: Witness, all_users: bool, signer: Option<Signer>) -> Operator {
    Operator {
        name: text(&ctx.env.user.name),
        uid: ctx.env.user.uid,
        sudo_user: ctx.env.variable("SUDO_USER").map(text),
        consent,
        all_users,
        signer,
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

/// What this program itself leaves: its ledger, its state, policies, holds, the identity.
fn own_remains(ctx: &Context, policy: &Policy, identity: Identity) -> Vec<Remaining> {
    let mut remains = Vec::new();
    let mut add = |what, path: PathBuf, files: &[PathBuf]| {
        let sizes = files.iter().filter_map(|file| fs_err::symlink_metadata(file).ok());
        let (files, bytes) = sizes.fold((0, 0), |(files, bytes), meta| (files + 1, bytes + meta.len()));
        // A place without files is nothing that remains.
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
