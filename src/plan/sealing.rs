//! Where sealed files go to, and where those that are sealed came from.

use chrono::{DateTime, Utc};

use super::judge::{Judge, is_out_of_scope};
use super::{Decision, Keep, Plan};
use crate::catalogue::Kind;
use crate::escape::text;
use crate::inventory::{Artifact, ArtifactIndex, Inventory, Oddity, Session, StoreIndex};
use crate::policy::{Mandate, Policy};

impl Judge<'_> {
    /// The store that the sealed form of an artifact goes to, where the mandate has a say.
    pub(super) fn sealing_store(&self, artifact: &Artifact, session: &Session) -> Option<StoreIndex> {
        sealing_store(self.inventory, self.mandate, artifact, session)
    }

    /// Whether there is a place for the sealed files of a session.
    pub(super) fn can_seal(&self, session: &Session) -> bool {
        self.inventory.files(session).iter().map(|index| self.inventory.artifact(*index)).any(|artifact| {
            artifact.can_be_sealed()
                && !self.is_beyond(artifact)
                && self.sealing_store(artifact, session).is_some()
        })
    }

    /// Whether a session is of an excluded store: it is still a session there, of which the mandate knows nothing.
    pub(super) fn is_of_excluded(&self, session: &Session) -> bool {
        let Some(before) = &session.before else {
            // A transcript in a folder that an excluded store reaches, too, is in that store as well.
            return session.is_shown()
                && (self.is_excluded(session.store) || self.is_session_reached_from_excluded(session));
        };
        let mut of_mandate = self.mandate.excluded_stores.iter();
        self.inventory.store_at(&before.root).is_some_and(|store| self.is_excluded(store))
            || of_mandate.any(|excluded| text(&excluded.value) == before.root)
    }

    /// Whether a file is sealed and comes from a store that is excluded: sealing is no way out of it.
    fn is_from_excluded(&self, artifact: &Artifact) -> bool {
        let Some(origin) = self.inventory.origin(artifact) else { return false };
        let of_mandate = self.mandate.excluded_stores.iter().map(|excluded| &excluded.value);
        let stores = self.inventory.stores.iter().filter(|view| view.store.is_excluded);
        of_mandate.chain(stores.map(|view| &view.store.root)).any(|root| origin.starts_with(root))
    }

    /// Whether the mandate has no say over a file, by where it lies or came from.
    pub(super) fn is_beyond(&self, artifact: &Artifact) -> bool {
        self.is_out_of_scope(self.inventory.store_of(artifact))
            || self.is_reached_from_excluded(artifact)
            || self.is_from_excluded(artifact)
    }
}

fn sealing_store(
    inventory: &Inventory,
    mandate: &Mandate,
    artifact: &Artifact,
    session: &Session,
) -> Option<StoreIndex> {
    inventory.sealing_store(artifact, session, |store| !is_out_of_scope(inventory, mandate, store))
}

impl Plan {
    /// The store that the sealed form of an artifact goes to, by the mandate that demands it.
    pub fn sealing_store(
        &self,
        inventory: &Inventory,
        policy: &Policy,
        index: ArtifactIndex,
    ) -> Option<StoreIndex> {
        let Decision::Seal(due) = self.decisions.get(index.at())? else { return None };
        let artifact = inventory.artifact(index);
        let mandate = policy.mandates.get(usize::from(due.rule.mandate))?;
        sealing_store(inventory, mandate, artifact, inventory.session_of(artifact)?)
    }

    /// The record of sealed files goes with the last of them: it says nothing without them, and without it nobody
    /// knows what they are.
    pub(super) fn keep_records(&mut self, inventory: &Inventory, policy: &Policy) {
        // A link in its place, or somebody else's file, is no record of ours.
        let is_record = |index: &&ArtifactIndex| {
            let artifact = inventory.artifact(**index);
            artifact.kind == Some(Kind::SealedRecord) && artifact.oddity == Oddity::None
        };
        let is_sealed = |artifact: &Artifact| {
            artifact.sealed && !matches!(artifact.oddity, Oddity::Link | Oddity::Special)
        };
        for session in inventory.sessions.iter().filter(|session| session.has_record) {
            let files = inventory.files(session);
            for record in files.iter().filter(is_record) {
                let store = inventory.store_of(inventory.artifact(*record));
                let is_of_it = |index: &&ArtifactIndex| {
                    let artifact = inventory.artifact(**index);
                    is_sealed(artifact) && inventory.store_of(artifact) == store && *index != record
                };
                let sealed = files.iter().filter(is_of_it).filter_map(|index| self.decisions.get(index.at()));
                // By what stays longest: as long as one sealed file is there, the record dates it.
                let last = sealed.copied().max_by_key(|decision| staying(*decision, policy));
                if let (Some(last), Some(of_record)) = (last, self.decisions.get_mut(record.at()))
                    // Where both stay, the one that stays longer says why.
                    && (!matches!((last, *of_record), (Decision::Keep(_), Decision::Keep(_)))
                        || staying(last, policy) > staying(*of_record, policy))
                {
                    *of_record = last;
                }
            }
        }
    }
}

/// For how long a decision lets something stay: until when, what is only reported longer than what goes.
fn staying(decision: Decision, policy: &Policy) -> (u8, Option<DateTime<Utc>>) {
    match decision {
        Decision::Delete(due) => (u8::from(policy.audits(due.rule)), Some(due.since)),
        Decision::Keep(Keep::NotDue(until, _) | Keep::KeepAtLeast(until)) => (2, Some(until)),
        _ => (3, None),
    }
}
