//! Layers → the policy in force. Pure: no disk, no clock.
//!
//! Where a managed layer has rules these are a mandate of their own, in which nothing of the
//! user's takes part; so whatever the user's files say, a managed due date stays what it is.

mod recipients;
mod user;

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::compile::{Compiled, Globs, Problem, compile};
use super::error::LoadError;
use super::load::Loaded;
use super::selector::Selector;
use super::settings::{Folder, GuardSettings, RawLayer, Settings};
use super::{
    DesktopDeleted, Hold, Layer, LedgerPolicy, Mandate, MassGuard, Mode, Policy, Rule, RuleLayer, Source,
    Sourced,
};
use crate::client::BuiltIn;
use crate::escape::shown;
use crate::period::Period;

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

fn contradiction(source: &Source, problem: Problem) -> PolicyError {
    PolicyError::Contradiction { path: source.path.clone().unwrap_or_default(), source: Box::new(problem) }
}

/// Unites the layers.
///
/// # Errors
/// Contradictions; those in the user's own layer only where no system or managed layer has rules.
pub fn resolve(loaded: Loaded, context: &Context<'_>) -> Result<Policy, PolicyError> {
    let Loaded { layers, holds: own_holds, faults, rescued, has_unread_holds } = loaded;
    let has_rules = |wanted: Layer| {
        let rules = |layer: &RawLayer| {
            layer.settings.rules.as_ref().is_some_and(|rules| !rules.is_empty())
                || layer.settings.desktop_deleted.is_some()
        };
        layers.iter().any(|layer| layer.source.layer == wanted && rules(layer))
    };
    let is_managed = has_rules(Layer::Managed);
    let goes_on = is_managed || has_rules(Layer::System) || context.invalid_user == InvalidUser::IsLeftOut;
    let mut draft = Draft { is_managed, goes_on, has_unread_holds, ..Draft::new(context.globs) };
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
            value.keep = written.keep.clone().unwrap_or(value.keep);
            value.detail = written.detail.unwrap_or(value.detail);
            value.names = written.names.unwrap_or(value.names);
            source = layer.source.clone();
        }
        Sourced { value, source }
    }

    /// The mode that the organisation wrote for rules below its managed ones: the managed layer's own
    /// word is about its rules, where it has some.
    fn organisation_mode(&self) -> Option<Sourced<Mode>> {
        let below = |layer| layer == Layer::System || (layer == Layer::Managed && !self.is_managed);
        self.choose(below, |settings| settings.mode)
    }

    /// The mode of the rules of a layer. One that has rules and names none enforces.
    fn mode_of(&self, layer: Layer) -> Sourced<Mode> {
        let written = |of: Layer| self.choose(|layer| layer == of, |settings| settings.mode);
        let enforce = || Sourced { value: Mode::Enforce, source: BUILT_IN };
        match layer {
            Layer::Managed => written(Layer::Managed).unwrap_or_else(enforce),
            Layer::System => match (self.organisation_mode(), written(Layer::User)) {
                // A user can tighten what the organisation only audits, and never loosen it.
                (Some(Sourced { value: Mode::Audit, .. }), Some(user)) if user.value == Mode::Enforce => user,
                (organisation, _) => organisation.unwrap_or_else(enforce),
            },
            Layer::User | Layer::BuiltIn => written(Layer::User).unwrap_or_else(|| {
                let has_own_rules = self.rules_of(Layer::User).next().is_some();
                // The built-in rule is nobody's, so it does not act where the organisation wants reports.
                self.organisation_mode().filter(|_| !has_own_rules).unwrap_or_else(enforce)
            }),
        }
    }

    /// A mandate over these layers' rules, delayed only by what layers in `may` say.
    fn mandate(
        &self,
        layers: Vec<RuleLayer>,
        may: impl Fn(Layer) -> bool + Copy,
        holds: Vec<Hold>,
        exclude: &[Sourced<PathBuf>],
    ) -> Mandate {
        let keep_at_least = self
            .layers
            .iter()
            .filter(|(layer, _)| may(layer.source.layer))
            .filter_map(|(layer, _)| {
                let value = layer.settings.keep_at_least.clone()?;
                Some(Sourced { value, source: layer.source.clone() })
            })
            .max_by(|a, b| a.value.length().cmp(&b.value.length()));
        let said = self.layers.iter().map(|(layer, _)| layer).filter(|layer| may(layer.source.layer));
        // Those of one mandate have one mode; the last is the lowest that is asked.
        let lowest = layers.iter().map(|layer| layer.source.layer).min().unwrap_or(Layer::User);
        Mandate {
            mode: self.mode_of(lowest),
            holds,
            keep_at_least,
            quiet: self
                .choose(may, |settings| settings.quiet.clone())
                .unwrap_or_else(|| Sourced { value: Period::hours(1), source: BUILT_IN }),
            age_by: self.choose_or_default(may, |settings| settings.age_by),
            guard: self.choose_or_default(may, |settings| settings.guard.as_ref().map(mass_guard)),
            is_managed: layers.iter().any(|layer| layer.source.layer == Layer::Managed),
            excluded_stores: exclude.iter().filter(|folder| may(folder.source.layer)).cloned().collect(),
            digest: digest(said.map(|layer| (layer.source.layer, json!(layer.settings)))),
            layers,
        }
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
            said: self.layers.into_iter().map(|(layer, _)| layer).collect(),
        }
    }

    /// The mandates: the organisation's, in which nothing of the user's takes part, and the others.
    fn mandates(
        &mut self,
        default: Option<&RuleLayer>,
        user_holds: bool,
        binds: &Binds,
        exclude: &[Sourced<PathBuf>],
    ) -> Vec<Mandate> {
        let (organisation, mut users): (Vec<Hold>, Vec<Hold>) = self
            .layers
            .iter()
            .flat_map(|(_, compiled)| compiled.holds.clone())
            .partition(|hold| hold.source.layer != Layer::User);
        users.extend(std::mem::take(&mut self.own_holds));
        let every = |more: Vec<Hold>| -> Vec<Hold> {
            organisation.iter().chain(&users).cloned().chain(more).collect()
        };
        let bound = |binds: bool| if binds { every(Vec::new()) } else { organisation.clone() };
        if !user_holds && !users.is_empty() {
            let names: Vec<String> = users.iter().map(|hold| crate::escape::text(&hold.name)).collect();
            self.notes.push(format!(
                "the user's holds do not bind the organisation's rules here: {}",
                names.join(", ")
            ));
        }
        let of_system = self.layers_of(&[Layer::System], default);
        let own = self.layers_of(&[Layer::BuiltIn, Layer::User], default);
        let modes_differ = !of_system.is_empty()
            && !own.is_empty()
            && self.mode_of(Layer::System).value != self.mode_of(Layer::User).value;
        let is_split = modes_differ || self.has_unread_holds || (!binds.system && !users.is_empty());
        let any = |_: Layer| true;
        let mut mandates = Vec::new();
        if self.is_managed {
            let managed = self.layers_of(&[Layer::Managed], default);
            let not_user = |layer: Layer| layer != Layer::User;
            mandates.push(self.mandate(managed, not_user, bound(binds.managed), exclude));
        }
        if is_split {
            mandates.push(self.mandate(of_system, any, bound(binds.system), exclude));
            // Unread holds may cover anything, and the organisation's rules go on without them.
            let unread = self.has_unread_holds.then(user::unread_holds).into_iter().collect();
            mandates.push(self.mandate(own, any, every(unread), exclude));
        } else {
            let rest = self.layers_of(&[Layer::BuiltIn, Layer::System, Layer::User], default);
            mandates.push(self.mandate(rest, any, every(Vec::new()), exclude));
        }
        mandates
    }

    /// The rules of these layers.
    fn layers_of(&self, wanted: &[Layer], default: Option<&RuleLayer>) -> Vec<RuleLayer> {
        let compiled = self.layers.iter().map(|(raw, compiled)| {
            let first = raw.settings.desktop_deleted.map(DesktopDeleted::rule);
            let rules = first.into_iter().chain(compiled.rules.rules.iter().cloned()).collect();
            RuleLayer { source: compiled.rules.source.clone(), rules }
        });
        let own = compiled.filter(|layer| wanted.contains(&layer.source.layer) && !layer.rules.is_empty());
        let built_in = default.filter(|_| wanted.contains(&Layer::BuiltIn));
        built_in.cloned().into_iter().chain(own).collect()
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

    /// Whether users' holds bind the organisation's rules is not the user's to say: a system layer says it for
    /// system rules, a managed one for its own.
    fn user_holds(&self) -> (Sourced<bool>, Binds) {
        let get = |settings: &Settings| settings.user_holds;
        let default = |value| Sourced { value, source: BUILT_IN };
        if self.is_managed {
            let managed = self.choose(|layer| layer == Layer::Managed, get).unwrap_or_else(|| default(false));
            let system = self.choose(|layer| layer == Layer::System, get).unwrap_or_else(|| default(true));
            let binds = Binds { managed: managed.value, system: system.value };
            return (if managed.value { system } else { managed }, binds);
        }
        let said = self.choose(|layer| layer != Layer::User, get).unwrap_or_else(|| default(true));
        let binds = Binds { managed: said.value, system: said.value };
        (said, binds)
    }
}

/// Which rules of the organisation the users' holds bind.
struct Binds {
    managed: bool,
    system: bool,
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

fn mass_guard(written: &GuardSettings) -> MassGuard {
    let (share, sessions) = match MassGuard::default() {
        MassGuard::On { max_share, min_sessions } => (max_share, min_sessions),
        MassGuard::Off => (1.0, usize::MAX),
    };
    match written {
        GuardSettings::Off(_) => MassGuard::Off,
        GuardSettings::On(bounds) => MassGuard::On {
            max_share: bounds.max_share.unwrap_or(share),
            min_sessions: bounds.min_sessions.and_then(|n| usize::try_from(n).ok()).unwrap_or(sessions),
        },
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
    texts.sort();
    hex::encode(Sha256::digest(texts.join("\n")))
}
