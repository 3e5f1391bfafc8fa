//! The recipients of all layers together: merged, and only such as can be mixed.

use super::{Draft, PolicyError, contradiction};
use crate::error::chain;
use crate::escape::shown;
use crate::period::Length;
use crate::policy::compile::Problem;
use crate::policy::recipient::{self, Family};
use crate::policy::{Layer, Rule, Sourced};

impl Draft<'_> {
    /// Unites the layers' recipients, each once.
    pub(super) fn unite_recipients(&mut self) -> Result<(), PolicyError> {
        let mut of_organisation: Option<Family> = None;
        // The organisation's come first, so that a recipient both name counts as its.
        let order = [Layer::Managed, Layer::System, Layer::User];
        for wanted in order {
            for (layer, _) in self.layers.iter().filter(|(layer, _)| layer.source.layer == wanted) {
                for written in layer.settings.recipients.iter().flatten() {
                    let text = written.as_str();
                    let known = |other: &Sourced<String>| {
                        recipient::essence(&other.value) == recipient::essence(text)
                    };
                    if self.recipients.iter().any(known) {
                        continue;
                    }
                    // A plugin's recipient says nothing of what it uses, so it stands beside either.
                    let family = recipient::check(text).ok().filter(|family| *family != Family::Plugin);
                    // Those of one layer are compared where it is read, and a user has one.
                    if let (Some(family), Some(standing)) = (family, of_organisation)
                        && family != standing
                    {
                        if wanted != Layer::User || !self.is_managed_for_recipients() {
                            return Err(contradiction(&layer.source, Problem::Mixed));
                        }
                        self.complaints.push(format!(
                            "recipient '{}' is left out: {}",
                            shown(text),
                            Problem::Mixed
                        ));
                        continue;
                    }
                    of_organisation = of_organisation.or(family);
                    let source = layer.source.clone();
                    self.recipients.push(Sourced { value: text.to_owned(), source });
                }
            }
        }
        Ok(())
    }

    /// Whether a user's recipient that does not fit is left out instead of stopping everything.
    fn is_managed_for_recipients(&self) -> bool {
        self.goes_on
            || self
                .layers
                .iter()
                .any(|(layer, _)| layer.source.layer == Layer::Managed && layer.settings.recipients.is_some())
    }

    /// Whoever wants sessions sealed must have somebody to seal to.
    pub(super) fn check_recipients(&mut self) -> Result<(), PolicyError> {
        let by_organisation = self.recipients.iter().any(|one| one.source.layer != Layer::User);
        let nobody = self.recipients.is_empty();
        // What an invalid user layer says of recipients is not known.
        let goes_on = self.is_managed || self.user_dropped;
        let mut unsealed = Vec::new();
        for (layer, compiled) in &mut self.layers {
            let seals = |rule: &&mut Rule| {
                rule.seal_after.as_ref().is_some_and(|period| period.length() != Length::Never)
            };
            let mut sealing = compiled.rules.rules.iter_mut().filter(seals).peekable();
            let Some(first) = sealing.peek() else { continue };
            let name = crate::escape::text(&first.name);
            match layer.source.layer {
                // A user who takes a key away must not stop the organisation's rules.
                Layer::Managed if !by_organisation => {
                    let where_from = " in a system or managed layer";
                    return Err(contradiction(&layer.source, Problem::NoRecipient(name, where_from)));
                }
                Layer::User | Layer::System if nobody && (goes_on || layer.source.layer == Layer::User) => {
                    unsealed.push(contradiction(&layer.source, Problem::NoRecipient(name, "")));
                    // The rest of the rule goes on: that nothing can be sealed is no reason to keep what is to
                    // be deleted.
                    sealing.for_each(|rule| rule.seal_after = None);
                }
                _ if nobody => {
                    return Err(contradiction(&layer.source, Problem::NoRecipient(name, "")));
                }
                _ => {}
            }
        }
        for error in unsealed {
            let by_user = matches!(&error, PolicyError::Contradiction { path, .. }
                if self.layers.iter().any(|(raw, _)| raw.source.layer == Layer::User
                    && raw.source.path.as_deref() == Some(path)));
            if by_user {
                self.user_failed(error)?;
            } else {
                self.complaints.push(format!("nothing is sealed for it: {}", chain(&error)));
            }
        }
        Ok(())
    }
}
