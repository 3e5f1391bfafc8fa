//! Layers → the policy in force. Pure: no disk, no clock.
//!
//! Where a managed layer has rules these are a mandate of their own, in which nothing of the
//! user's takes part; so whatever the user's files say, a managed due date stays what it is.

mod mandates;
mod recipients;
mod user;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::compile::{Compiled, Globs, Problem, compile};
use super::error::LoadError;
use super::load::Loaded;
use super::selector::Selector;
use super::settings::{Folder, RawLayer, Settings};
use super::{Hold, Layer, LedgerPolicy, Policy, Rule, RuleLayer, Source, Sourced};
use crate::client::BuiltIn;
use crate::escape::shown;

/// What resolving needs to know beside the layers.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// What globs are compiled with.
    pub globs: Globs<'a>,
    /// The period of the built-in rule and the settings file of the client it comes from, or why
    /// there is none.
    pub built_in: Result<BuiltIn, String>,
    /// What an invalid user layer does where nothing of the organisation's has rules.
    pub invalid_user: InvalidUser,
}

/// What an invalid user layer does where no system or managed layer has rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InvalidUser {
    /// There is no policy, so nothing is done.
    #[default]
    Stops,
    /// It is left out and reported, by commands that only look.
    IsLeftOut,
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A layer cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A layer contradicts itself or others.
    #[error("policy '{}' contradicts itself", shown(path))]
    Contradiction {
        /// Its file.
        path: PathBuf,
        /// What is wrong; the first of what was found.
        source: Box<Problem>,
    },
}

impl PolicyError {
    /// The policy that can be read and has a mistake.
    pub fn mistaken(&self) -> Option<&Path> {
        match self {
            Self::Load(LoadError::Syntax { path, .. }) | Self::Contradiction { path, .. } => Some(path),
            Self::Load(_) => None,
        }
    }
}

fn contradiction(source: &Source, problem: Problem) -> PolicyError {
    PolicyError::Contradiction { path: source.path.clone().unwrap_or_default(), source: Box::new(problem) }
}

/// Unites the layers.
///
/// # Errors
/// Contradictions; those in the user's own layer only where no system or managed layer has rules.
pub fn resolve(loaded: Loaded, context: &Context<'_>) -> Result<Policy, PolicyError> {
    let Loaded { layers, holds: own_holds, faults, rescued, has_unread_holds, ignored } = loaded;
    let has_rules = |wanted: Layer| {
        let rules = |layer: &RawLayer| {
            layer.settings.rules.as_ref().is_some_and(|rules| !rules.is_empty())
                || layer.settings.desktop_deleted.is_some()
        };
        layers.iter().any(|layer| layer.source.layer == wanted && rules(layer))
    };
    let is_managed = has_rules(Layer::Managed);
    let goes_on = is_managed || has_rules(Layer::System) || context.invalid_user == InvalidUser::IsLeftOut;
    let mut draft = Draft { is_managed, goes_on, has_unread_holds, ignored, ..Draft::new(context.globs) };
    for fault in faults {
        draft.user_failed(fault.into())?;
    }
    for layer in layers {
        let is_user = layer.source.layer == Layer::User;
        match compile(&layer, context.globs) {
            Ok(compiled) => {
                draft.hear(&compiled.remarks);
                draft.layers.push((layer, compiled));
            }
            Err(problems) if is_user => {
                for problem in problems {
                    draft.user_failed(contradiction(&layer.source, problem))?;
                }
                draft.rescue(&layer.source, layer.settings.holds.iter().flatten());
            }
            Err(problems) => {
                // A layer of the organisation's that is wrong stops everything: to leave it out would be to
                // loosen it.
                if let Some(problem) = problems.into_iter().next() {
                    return Err(contradiction(&layer.source, problem));
                }
            }
        }
    }
    draft.take_own_holds(own_holds)?;
    for (source, list) in &rescued {
        draft.rescue(source, list.iter());
    }
    draft.leave_invalid_user_out();
    draft.check_floor()?;
    draft.unite_recipients()?;
    draft.check_recipients()?;
    draft.leave_invalid_user_out();
    Ok(draft.finish(&context.built_in))
}

/// The policy while it is put together.
struct Draft<'a> {
    is_managed: bool,
    /// Whether an invalid user layer is left out instead of stopping everything.
    goes_on: bool,
    globs: Globs<'a>,
    /// Layers that take part, lowest first.
    layers: Vec<(RawLayer, Compiled)>,
    /// Holds of the user beside those of a layer that takes part.
    own_holds: Vec<Hold>,
    own_holds_source: Option<(Source, Value)>,
    /// The user's own files were wrong, so nothing of them counts but holds.
    user_dropped: bool,
    /// The user may have holds that are not known.
    has_unread_holds: bool,
    recipients: Vec<Sourced<String>>,
    complaints: Vec<String>,
    notes: Vec<String>,
    /// Files that are no policies by their names.
    ignored: Vec<PathBuf>,
}

impl<'a> Draft<'a> {
    fn new(globs: Globs<'a>) -> Self {
        Self {
            is_managed: false,
            goes_on: false,
            globs,
            layers: Vec::new(),
            own_holds: Vec::new(),
            own_holds_source: None,
            user_dropped: false,
            has_unread_holds: false,
            recipients: Vec::new(),
            complaints: Vec::new(),
            notes: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// `keepAtLeast` of the organisation must leave its own rules something to do.
    fn check_floor(&self) -> Result<(), PolicyError> {
        for (layer, _) in self.layers.iter().filter(|(layer, _)| layer.source.layer != Layer::User) {
            let Some(keep) = &layer.settings.keep_at_least else { continue };
            for rule in self.rules_of(Layer::Managed) {
                if let Some(delete) = &rule.delete_after
                    && keep.length() > delete.length()
                {
                    let problem = Problem::KeepBeyondDelete {
                        keep: keep.clone(),
                        rule: crate::escape::text(&rule.name),
                        delete: delete.clone(),
                    };
                    return Err(contradiction(&layer.source, problem));
                }
            }
        }
        Ok(())
    }

    fn rules_of(&self, layer: Layer) -> impl Iterator<Item = &Rule> {
        self.layers
            .iter()
            .filter(move |(raw, _)| raw.source.layer == layer)
            .flat_map(|(_, compiled)| &compiled.rules.rules)
    }

    /// The value of the highest layer that gives one and may.
    fn choose<T>(
        &self,
        may: impl Fn(Layer) -> bool,
        get: impl Fn(&Settings) -> Option<T>,
    ) -> Option<Sourced<T>> {
        self.layers.iter().rev().filter(|(layer, _)| may(layer.source.layer)).find_map(|(layer, _)| {
            get(&layer.settings).map(|value| Sourced { value, source: layer.source.clone() })
        })
    }

    fn choose_or_default<T: Default>(
        &self,
        may: impl Fn(Layer) -> bool,
        get: impl Fn(&Settings) -> Option<T>,
    ) -> Sourced<T> {
        self.choose(may, get).unwrap_or_else(|| Sourced { value: T::default(), source: BUILT_IN })
    }

    fn folders(&self, get: impl Fn(&Settings) -> &[Folder]) -> Vec<Sourced<PathBuf>> {
        let mut folders: Vec<Sourced<PathBuf>> = Vec::new();
        for (layer, _) in &self.layers {
            for folder in get(&layer.settings) {
                let written = folder.as_str();
                let value = match written.strip_prefix('~') {
                    Some(rest) => self.globs.home.join(rest.trim_start_matches('/')),
                    None => PathBuf::from(written),
                };
                if folders.iter().all(|known| known.value != value) {
                    folders.push(Sourced { value, source: layer.source.clone() });
                }
            }
        }
        folders
    }

    fn ledger(&self) -> Sourced<LedgerPolicy> {
        let mut value = LedgerPolicy::default();
        let mut source = BUILT_IN;
        for (layer, _) in &self.layers {
            let Some(written) = &layer.settings.ledger else { continue };
            // Each key by itself, the higher layer's last: to set one of them is not to set the others.
            value.keep = written.keep.clone().unwrap_or(value.keep);
            value.detail = written.detail.unwrap_or(value.detail);
            value.names = written.names.unwrap_or(value.names);
            source = layer.source.clone();
        }
        Sourced { value, source }
    }

    fn finish(mut self, built_in: &Result<BuiltIn, String>) -> Policy {
        let deletes = self
            .layers
            .iter()
            .flat_map(|(_, compiled)| &compiled.rules.rules)
            .any(|rule| rule.delete_after.is_some());
        // Where the user's files are unknown, so is whether they delete and what they hold.
        let (default, suspended) = match built_in {
            _ if deletes || self.user_dropped => (None, None),
            Ok(built_in) => (Some(built_in_layer(built_in)), None),
            Err(reason) => (None, Some(reason.clone())),
        };
        let (user_holds, binds) = self.user_holds();
        let extra_stores = self.folders(|settings| settings.stores.as_ref().map_or(&[], |s| &s.extra));
        let exclude = self.folders(|settings| settings.stores.as_ref().map_or(&[], |s| &s.exclude));
        let mandates = self.mandates(default.as_ref(), user_holds.value, &binds, &exclude);
        // A user's word must not take a store away from rules that the organisation manages.
        let excluded_stores = if self.is_managed {
            exclude.iter().filter(|folder| folder.source.layer != Layer::User).cloned().collect()
        } else {
            exclude
        };
        let (digest, sources) = self.digest_and_sources(default.as_ref());
        Policy {
            digest,
            sources,
            mandates,
            suspended,
            compression: self.choose_or_default(|_| true, |settings| settings.compression),
            ledger: self.ledger(),
            recipients: self.recipients,
            extra_stores,
            excluded_stores,
            user_holds,
            complaints: self.complaints,
            notes: self.notes,
            ignored: self.ignored,
            said: self.layers.into_iter().map(|(layer, _)| layer).collect(),
        }
    }

    /// The digest of what all files say, and those files.
    fn digest_and_sources(&mut self, default: Option<&RuleLayer>) -> (String, Vec<Source>) {
        let mut sources: Vec<Source> = default.iter().map(|layer| layer.source.clone()).collect();
        let mut said: Vec<(Layer, Value)> = default
            .iter()
            .flat_map(|layer| &layer.rules)
            .map(|rule| (Layer::BuiltIn, json!({"deleteAfter": rule.delete_after})))
            .collect();
        sources.extend(self.layers.iter().map(|(layer, _)| layer.source.clone()));
        said.extend(self.layers.iter().map(|(layer, _)| (layer.source.layer, json!(layer.settings))));
        if let Some((source, list)) = self.own_holds_source.take() {
            sources.push(source);
            said.push((Layer::User, json!({"holds": list})));
        }
        sources.sort_by_key(|source| source.layer);
        (digest(said.into_iter()), sources)
    }
}

const BUILT_IN: Source = Source { layer: Layer::BuiltIn, path: None };

fn built_in_layer(built_in: &BuiltIn) -> RuleLayer {
    RuleLayer {
        source: Source { layer: Layer::BuiltIn, path: built_in.path.clone() },
        rules: vec![Rule {
            name: "built-in".into(),
            selector: Selector::default(),
            seal_after: None,
            delete_after: Some(built_in.delete_after.clone()),
        }],
    }
}

/// SHA-256 (hex) over what layers say: their canonical JSON, sorted, so that the names and the
/// order of files have no part in it.
fn digest(said: impl Iterator<Item = (Layer, Value)>) -> String {
    #[derive(Serialize)]
    struct Said {
        layer: Layer,
        says: Value,
    }
    // The keys of a `Value` are sorted, so its text is canonical.
    let mut texts: Vec<String> = said.map(|(layer, says)| json!(Said { layer, says }).to_string()).collect();
    // The grace of the mass guard hangs on it: renaming a file must not start that anew.
    texts.sort();
    hex::encode(Sha256::digest(texts.join("\n")))
}
