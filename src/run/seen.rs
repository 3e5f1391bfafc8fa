//! What earlier runs saw of sessions in a root: by what is remembered, and by the user's own ledger.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::Path;

use super::Context;
use crate::catalogue::SessionId;
use crate::escape::text;
use crate::inventory::memory::RememberedSession;
use crate::ledger::{self, Names};
use crate::state::sessions::Remembered;

/// What earlier runs saw.
pub(super) struct Seen<'a> {
    sessions: &'a [RememberedSession],
    ctx: &'a Context,
    /// Read when the first session is asked for that is not remembered, which is seldom.
    ledger: OnceCell<Recorded>,
}

/// What the ledger says; under `"names": "keyed"` it holds hashes.
#[derive(Default)]
struct Recorded {
    transcripts: BTreeSet<(String, String)>,
    names: Option<Names>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(remembered: Option<&'a Remembered>, ctx: &'a Context) -> Self {
        let sessions = remembered.map(|remembered| &*remembered.memory.sessions).unwrap_or_default();
        Self { sessions, ctx, ledger: OnceCell::new() }
    }

    /// Whether the transcript of a session was seen in a root.
    pub(super) fn transcript(&self, root: &Path, id: SessionId) -> bool {
        let (root, name) = (text(root), id.to_string());
        // First what is in memory anyway: a ledger may hold years.
        let mut rows = self.sessions.iter();
        if rows.any(|row| row.transcript && row.session == Some(id) && row.root == root) {
            return true;
        }
        let Recorded { transcripts, names } = self.ledger.get_or_init(|| self.recorded());
        let keyed = |text: &str| names.as_ref().map(|names| names.keyed(text));
        // In either form, as the policy may have begun to key names meanwhile.
        transcripts.iter().any(|(of, session)| {
            (*of == root || keyed(&root).as_ref() == Some(of))
                && (*session == name || keyed(&name).as_ref() == Some(session))
        })
    }

    fn recorded(&self) -> Recorded {
        // The parent of a run over all users keeps its ledger to itself.
        if self.ctx.parent.is_some() {
            return Recorded::default();
        }
        let transcripts = ledger::transcripts(&self.ctx.env.ledger_dir()).unwrap_or_default();
        Recorded { transcripts, names: Names::load(&self.ctx.env.state_dir()).ok().flatten() }
    }
}
