//! Where the sealed form of a file goes.

use super::Inventory;
use super::artifact::Artifact;
use super::conversation::Session;
use super::index::StoreIndex;
use crate::catalogue::Root;

impl Inventory {
    /// The config store that the sealed form of an artifact goes to, of those that `may` be written to.
    pub fn sealing_store(
        &self,
        artifact: &Artifact,
        session: &Session,
        may: impl Fn(StoreIndex) -> bool,
    ) -> Option<StoreIndex> {
        // A session is sealed where its transcript lies or lay, satellites that never had one are where they
        // lie. A temp tree is no place to keep anything: what lies there goes to the others, or to the user's
        // own store. `None` for what lies in another config store than the transcript, and for what lies in a
        // folder of everybody's, into which nothing can be put back that others could not exchange.
        let is_config = |store: &StoreIndex| self.store(*store).store.kind == Root::Config;
        let at = self.store_of(artifact);
        if self.store(at).store.kind.is_everybodys() {
            return None;
        }
        let files = || self.files(session).iter().map(|index| self.artifact(*index));
        let has_files = |store| {
            let is_one = |file: &Artifact| file.sealed || file.is_regular() && file.can_be_sealed();
            files().any(|file| self.store_of(file) == store && is_one(file))
        };
        let own = match &session.before {
            Some(before) => self.store_at(&before.root),
            None => Some(session.store).filter(|_| session.is_conversation()),
        };
        match own.filter(is_config) {
            Some(own) => return Some(own).filter(|own| may(*own) && (at == *own || !is_config(&at))),
            // Links alone are nothing to encrypt.
            None if is_config(&at) => {
                return Some(at).filter(|at| may(*at) && (artifact.is_regular() || has_files(*at)));
            }
            None => {}
        }
        let stores =
            || (0..self.stores.len()).map(StoreIndex::of).filter(is_config).filter(|store| may(*store));
        let holds_some = |store: &StoreIndex| files().any(|file| self.store_of(file) == *store);
        stores().find(holds_some).or_else(|| stores().next())
    }

    /// How many files of a session could be sealed by their kind, and not where they lie.
    pub fn plain_elsewhere(&self, session: &Session) -> u64 {
        let files = self.files(session).iter().map(|index| self.artifact(*index));
        let is_elsewhere = |file: &&Artifact| {
            file.is_to_be_sealed() && self.store(self.store_of(file)).store.kind.is_everybodys()
        };
        files.filter(is_elsewhere).count() as u64
    }
}
