//! What later runs must know of a purge, and what they must not know any more.

use std::collections::HashSet;
use std::path::PathBuf;

use super::PurgeRun;
use crate::catalogue::SessionId;
use crate::inventory::Inventory;
use crate::run::{Error, remembered};
use crate::state;

impl PurgeRun<'_> {
    /// Forgets what dated the sessions that a partial purge removed.
    fn forget_sessions(&self, after: &Inventory) -> Result<(), Error> {
        let known = remembered::sessions_remembered(self.ctx).map_err(Error::State)?;
        let there: HashSet<SessionId> = after.sessions.iter().map(|session| session.id).collect();
        let gone = |id: &SessionId| {
            self.inventory.sessions.iter().any(|session| session.id == *id) && !there.contains(id)
        };
        let mut memory = known.memory.clone();
        memory.sessions.retain(|row| !row.session.as_ref().is_some_and(gone));
        memory.lines.retain(|row| !row.session.as_ref().is_some_and(gone));
        remembered::remember_sessions(&known, memory, self.ctx)
    }

    /// Remembers what later runs must know, and forgets what is gone; gives what could not be written.
    pub fn remember(&self, after: &Inventory) -> Vec<Error> {
        let ctx = self.ctx;
        // Each whatever becomes of the others: what a user breaks in his own folder must not keep root's memory.
        let sessions = if self.wanted.is_partial() {
            self.forget_sessions(after)
        } else {
            remembered::forget_sessions(ctx)
        };
        // However little was asked for: what transcripts said names their projects.
        let dates = state::dates::forget(&ctx.env.state_dir()).map_err(Error::Path);
        let all = [sessions, dates, self.remember_stores(after)];
        all.into_iter().filter_map(Result::err).collect()
    }

    /// Remembers the stores and the doubt about the clock, and forgets what is known of sessions that are gone.
    fn remember_stores(&self, after: &Inventory) -> Result<(), Error> {
        let (mut file, _) = remembered::remembered(&self.workspace.policy, self.ctx)?;
        if !file.is_there() {
            // Of what the ledger names by now this run itself has written some.
            file.state = self.workspace.state.state.clone();
        }
        let there: HashSet<(&PathBuf, SessionId)> = after
            .sessions
            .iter()
            .map(|session| (&after.store(session.store).store.root, session.id))
            .collect();
        for session in &self.inventory.sessions {
            let root = &self.inventory.store(session.store).store.root;
            if !there.contains(&(root, session.id)) {
                file.state.forget_unsealed(root, &session.id.to_string());
                file.state.forget_held(&session.id.to_string());
            }
        }
        self.workspace.remember_roots_in(&mut file.state, self.ctx);
        // A doubt counts from its first run on: one that agrees a day later lifts it.
        file.state.clock = self.clock.doubt;
        remembered::save(&mut file, self.ctx)
    }
}
