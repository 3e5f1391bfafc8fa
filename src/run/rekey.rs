//! What is sealed is sealed anew, to today's recipients: sessions and their preservation copies.

use std::path::PathBuf;

use serde::Serialize;

use super::sealed::{self, Of};
use super::{Context, Ended, SealedRun, Workspace};
use crate::catalogue::{Root, SessionId};
use crate::enforce::preserve;
use crate::enforce::rekey::{self, Rekeyed};
use crate::enforce::sealed::SealedSession;
use crate::error::chain;
use crate::escape::{shown, text};
use crate::inventory::{Inventory, Problem};
use crate::ledger::{Ciphertext, Event, Failure as Failed, SealedRecords};
use crate::locate::{Refused, Store};
use crate::seal::{Identities, Recipients, naming};

/// What became of one session, or of a preservation copy of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    #[serde(flatten)]
    pub of: Of,
    /// The hold that a preservation copy was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    pub files: u64,
    pub outcome: &'static str,
    pub error: Option<String>,
}

/// Sealed files that are handled as one: those of a session, or a preservation copy of it.
pub struct Target<'a> {
    store: &'a Store,
    id: SessionId,
    below: PathBuf,
    item: Item,
}

/// What re-encrypting needs.
pub struct Work<'a> {
    pub ctx: &'a Context,
    pub keys: &'a Identities,
    pub recipients: &'a Recipients,
    pub all: bool,
    pub known: Result<SealedRecords, String>,
    pub deed: SealedRun,
}

impl Work<'_> {
    /// Seals one target anew, recorded before and after; a failure is in the item.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn rekey(&mut self, Target { store, id, below, mut item }: Target<'_>) -> Result<Item, Ended<Item>> {
        let mut entry = item.of.entry(Event::Intent, "rekey");
        entry.hold = item.hold.clone().map(Into::into);
        self.deed.run.record(std::slice::from_ref(&entry), self.ctx)?;
        let done = SealedSession::open_in(store, id, below.clone())
            .map(|sealed| sealed::vouched(sealed, &self.known))
            .map_err(Into::into)
            .and_then(|sealed| rekey::session(&sealed, self.keys, self.recipients, self.all));
        match done {
            Ok(Rekeyed::Already) => item.outcome = "already",
            Ok(Rekeyed::Done(files)) => {
                item.files = files.len() as u64;
                entry.sealed = files
                    .iter()
                    .map(|file| Ciphertext {
                        path: text(&below.join(&file.sealed)).into(),
                        sha256: hex::encode(file.sha256),
                    })
                    .collect();
            }
            Err(error) => {
                item.outcome = "failed";
                entry.failed = vec![Failed { path: text(&below).into(), error: chain(&error).into() }];
                item.error = Some(chain(&error));
            }
        }
        entry.event = Event::Outcome;
        entry.outcome = Some(item.outcome.into());
        entry.files = Some(item.files);
        match self.deed.run.record(&[entry], self.ctx) {
            Ok(()) => Ok(item),
            Err(error) => {
                item.error.get_or_insert_with(|| chain(&error));
                Err(Ended { item: Some(Box::new(item)), error })
            }
        }
    }
}

/// What could not be looked at, so that something in it may still be sealed to the old keys.
pub fn unread(ground: &Workspace, inventory: &Inventory, ctx: &Context) -> Vec<String> {
    let is_sealed = |problem: &&Problem| {
        problem.store.is_some_and(|at| {
            let store = &inventory.store(at).store;
            let below = problem.path.strip_prefix(&store.root);
            store.kind == Root::Config
                && store.in_scope
                && below.is_ok_and(|below| below.as_os_str().is_empty() || below.starts_with("ccretain"))
        })
    };
    let problem = |Problem { path, doing, error, .. }: &Problem| {
        format!("cannot {doing} '{}', where sealed files may be: {error}", shown(path))
    };
    let is_meant = |refused: &&Refused| refused.kind == Root::Config && ctx.is_meant(refused);
    let refused = ground.refused.iter().filter(is_meant);
    let problems = inventory.problems.iter().filter(is_sealed).map(problem);
    refused.map(Refused::message).chain(problems).collect()
}

/// What is sealed in the stores in scope, and what cannot be listed.
pub fn targets<'a>(inventory: &'a Inventory, unlisted: &mut Vec<String>) -> Vec<Target<'a>> {
    let item = |of: Of, hold: Option<String>| Item { of, hold, files: 0, outcome: "rekeyed", error: None };
    let mut targets = Vec::new();
    for session in inventory.sessions.iter().filter(|session| session.sealed > 0) {
        let store = &inventory.store(session.store).store;
        if store.in_scope {
            let (id, below) = (session.id, naming::session_folder(session.id));
            targets.push(Target { store, id, below, item: item(Of::new(inventory, session), None) });
        }
    }
    let stores = inventory.stores.iter().map(|view| &view.store);
    for store in stores.filter(|store| store.kind == Root::Config && store.in_scope) {
        let copies = preserve::all(store).unwrap_or_else(|error| {
            unlisted
                .push(format!("cannot look for preservation copies in '{}': {error}", shown(&store.root)));
            Vec::new()
        });
        for copy in copies {
            let of = Of { store: text(&store.root), session: copy.session.to_string(), project: None };
            let item = item(of, Some(text(&copy.hold)));
            targets.push(Target { store, id: copy.session, below: copy.below, item });
        }
    }
    targets
}
