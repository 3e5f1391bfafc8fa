//! The identity goes last, once nothing is left that it opens.

use std::path::Path;

use super::{After, PurgeRun};
use crate::catalogue::Kind;
use crate::enforce::Outcomes;
use crate::escape::text;
use crate::inventory::Inventory;
use crate::ledger::{Entry, Event, Journal as _};
use crate::purge::certificate::{Exception, ExceptionReason, Identity};
use crate::run::journal::RunJournal;
use crate::seal::identities::identity_path;

impl PurgeRun<'_> {
    /// Destroys the identity, if that was asked for and nothing sealed is left that it opens.
    pub(super) fn destroy_identity(
        &self,
        outcomes: &Outcomes,
        after: &After,
        ledger: &mut RunJournal,
    ) -> (Identity, Option<Exception>) {
        let path = identity_path(&self.ctx.env);
        // Looked at as a link: one that leads nowhere is a thing of the user's all the same, and stays.
        if path.symlink_metadata().is_err() {
            return (Identity::None, None);
        }
        // Only when told so: it may be all that opens what was sealed or copied elsewhere.
        if !self.request.destroys_identity {
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
        let is_any_refused = !after.refused.is_empty() || !after.refused_beside.is_empty();
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
        let now = self.ctx.env.now;
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
                    Some(Exception {
                        reason: ExceptionReason::Ledger,
                        path: text(&path),
                        detail,
                        bytes: None,
                    }),
                )
            }
            (Ok(()), Ok(())) => (Identity::Removed, None),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the identity lies in no store, and this is the one place that removes it"
)]
fn remove(path: &Path) -> std::io::Result<()> {
    std::fs::remove_file(path)
}

/// Whether anything sealed is in a store.
fn anything_sealed(inventory: &Inventory) -> bool {
    inventory.artifacts.iter().any(|artifact| artifact.sealed || artifact.kind == Some(Kind::Preserved))
}
