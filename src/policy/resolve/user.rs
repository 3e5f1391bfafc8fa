//! The user's own layer: what is wrong with it stops a run, or leaves everything of it out but its holds.

use serde_json::json;

use super::{Draft, PolicyError, contradiction};
use crate::error::chain;
use crate::policy::compile::{Remarks, holds};
use crate::policy::error::checking;
use crate::policy::selector::Selector;
use crate::policy::settings::HoldSettings;
use crate::policy::{Hold, Layer, Source};

impl Draft<'_> {
    /// An invalid user layer stops a run, except where the organisation's rules must go on.
    pub(super) fn user_failed(&mut self, error: PolicyError) -> Result<(), PolicyError> {
        if !self.goes_on {
            return Err(error);
        }
        self.user_dropped = true;
        let next = error.mistaken().map(|path| format!("; {}", checking(path)));
        self.complaints.push(format!(
            "the user's policy is left out: {}{}",
            chain(&error),
            next.unwrap_or_default()
        ));
        Ok(())
    }

    /// Takes what is worth telling about a layer that takes part.
    pub(super) fn hear(&mut self, remarks: &Remarks) {
        self.complaints.extend(remarks.complaints.iter().cloned());
        self.notes.extend(remarks.notes.iter().cloned());
    }

    /// Of an invalid user layer nothing is kept but its holds: those that are known go on holding.
    pub(super) fn leave_invalid_user_out(&mut self) {
        if !self.user_dropped {
            return;
        }
        for (layer, compiled) in &mut self.layers {
            if layer.source.layer == Layer::User {
                self.own_holds.append(&mut compiled.holds);
            }
        }
        self.layers.retain(|(layer, _)| layer.source.layer != Layer::User);
        // A key from a file that does not count could be anybody's.
        self.recipients.retain(|recipient| recipient.source.layer != Layer::User);
    }

    /// Takes the holds that can be understood out of what is invalid as a whole.
    pub(super) fn rescue<'h>(&mut self, source: &Source, written: impl Iterator<Item = &'h HoldSettings>) {
        for hold in written {
            let (mut problems, mut remarks) = (Vec::new(), Remarks::default());
            let found = holds(source, std::iter::once(hold), self.globs, &mut problems, &mut remarks);
            // A hold that cannot be understood may cover anything.
            self.has_unread_holds |= !problems.is_empty();
            if problems.is_empty() {
                self.own_holds.extend(found);
                self.hear(&remarks);
            }
        }
    }

    pub(super) fn take_own_holds(
        &mut self,
        own: Option<(Source, Vec<HoldSettings>)>,
    ) -> Result<(), PolicyError> {
        let Some((source, list)) = own else { return Ok(()) };
        let (mut problems, mut remarks) = (Vec::new(), Remarks::default());
        let found = holds(&source, list.iter(), self.globs, &mut problems, &mut remarks);
        if let Some(problem) = problems.into_iter().next() {
            self.user_failed(contradiction(&source, problem))?;
            self.rescue(&source, list.iter());
        } else {
            self.hear(&remarks);
            self.own_holds.extend(found);
        }
        self.own_holds_source = Some((source, json!(list)));
        Ok(())
    }
}

/// Which sessions are held is not known, so all may be.
pub(super) fn unread_holds() -> Hold {
    Hold {
        name: "unreadable-holds".into(),
        selector: Selector::default(),
        reason: "the user's holds cannot be read".into(),
        until: None,
        source: Source { layer: Layer::User, path: None },
    }
}
