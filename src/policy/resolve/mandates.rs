//! Which rules, holds and preferences make one mandate.

use std::path::PathBuf;

use serde_json::json;

use super::{BUILT_IN, Draft, digest, user};
use crate::period::Period;
use crate::policy::settings::{GuardSettings, Settings};
use crate::policy::{DesktopDeleted, Hold, Layer, Mandate, MassGuard, Mode, RuleLayer, Sourced};

impl Draft<'_> {
    /// The mode that the organisation wants of a rule that is nobody's: the managed layer's own word is about
    /// its rules, where it has some.
    fn organisation_mode(&self) -> Option<Sourced<Mode>> {
        let below = |layer| layer == Layer::System || (layer == Layer::Managed && !self.is_managed);
        self.choose(below, |settings| settings.mode)
    }

    /// The mode of the rules of a layer.
    fn mode_of(&self, layer: Layer) -> Sourced<Mode> {
        // One that has rules and names none enforces.
        let written = |of: Layer| self.choose(|layer| layer == of, |settings| settings.mode);
        let enforce = || Sourced { value: Mode::Enforce, source: BUILT_IN };
        match layer {
            Layer::Managed => written(Layer::Managed).unwrap_or_else(enforce),
            Layer::System => match (written(Layer::System), written(Layer::User)) {
                // A user can tighten what the organisation only audits, and never loosen it.
                (Some(Sourced { value: Mode::Audit, .. }), Some(user)) if user.value == Mode::Enforce => user,
                (system, _) => system.unwrap_or_else(enforce),
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
            // The longest and not the highest: a floor is a promise to keep, and none of them may be broken by
            // another.
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
            // Only of layers that may speak here: a user who edits his own file must not start the grace of the
            // organisation's guard anew.
            digest: digest(said.map(|layer| (layer.source.layer, json!(layer.settings)))),
            layers,
        }
    }

    /// The mandates: the organisation's, in which nothing of the user's takes part, and the others.
    pub(super) fn mandates(
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
            // Whoever wrote a hold decides what it binds, not where it is stored.
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

    /// Whether users' holds bind the organisation's rules is not the user's to say: a system layer says it for
    /// system rules, a managed one for its own.
    pub(super) fn user_holds(&self) -> (Sourced<bool>, Binds) {
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
pub(super) struct Binds {
    managed: bool,
    system: bool,
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
