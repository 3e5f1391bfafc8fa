//! The policy: rules, holds and preferences, resolved from layers; every value remembers its source.
//!
//! Reading (`load`) is apart from deciding what the layers mean together (`resolve`, pure).

pub mod check;
pub mod compile;
pub mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod holds;
pub mod keys;
pub mod load;
pub mod managed;
pub mod mistakes;
pub mod own;
pub mod parse;
pub mod recipient;
pub mod resolve;
pub mod selector;
pub mod settings;
pub mod show;
pub mod spelling;
mod trusted;

use std::fmt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, Serialize};

use crate::client;
use crate::environment::Environment;
use crate::period::Period;
pub use crate::seal::Compression;
use load::Places;
use resolve::{InvalidUser, PolicyError};
use selector::Selector;

/// The layers a policy comes from, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// What holds when nobody says otherwise.
    BuiltIn,
    /// `policy.json` and `policy.d/*.json` in the system folder.
    System,
    /// The user's own file, or the one `--policy` names.
    User,
    /// What the organisation manages; no user can loosen it.
    Managed,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuiltIn => "built-in",
            Self::System => "system",
            Self::User => "user",
            Self::Managed => "managed",
        })
    }
}

/// Where a value was set: the layer and, where there is one, the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Source {
    #[serde(rename = "source")]
    pub layer: Layer,
    /// The file; absent for built-in values, except a period that the client's settings give.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::escape::json::some_path")]
    pub path: Option<PathBuf>,
}

/// A value with the place that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// What is in force.
    pub value: T,
    /// Who set it.
    pub source: Source,
}

/// Whether a policy acts or only reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// What is due is done.
    #[default]
    Enforce,
    /// What is due is reported and left.
    Audit,
}

/// What becomes of a session that its user deleted in the desktop application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DesktopDeleted {
    /// It is due at once.
    Immediately,
}

impl DesktopDeleted {
    /// The name of the rule that it is.
    pub const RULE: &str = "desktopDeleted";

    /// The same as a rule, which precedes the others of its layer.
    pub fn rule(self) -> Rule {
        Rule {
            name: Self::RULE.to_owned(),
            selector: Selector { desktop_deleted: true, ..Selector::default() },
            seal_after: None,
            delete_after: Some(Period::immediately()),
        }
    }
}

/// Which clock dates a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgeBy {
    /// The newest timestamp in the records.
    #[default]
    Record,
    /// The newest modification time of the transcripts.
    Mtime,
    /// The later of the two.
    Newest,
}

/// When a run that would delete much stops and asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MassGuard {
    /// Refuse above both bounds.
    On {
        /// The share of a store's sessions, 0 to 1.
        max_share: f64,
        /// The number of sessions below which the share does not matter.
        min_sessions: usize,
    },
    /// Never refuse.
    Off,
}

impl Default for MassGuard {
    fn default() -> Self {
        Self::On { max_share: 0.5, min_sessions: 20 }
    }
}

/// A rule: what it selects, and when that is sealed and deleted.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The name reports and the ledger give; `rule-N` where the file gives none.
    pub name: String,
    /// What it applies to.
    pub selector: Selector,
    /// Period of rest after which a session is sealed.
    pub seal_after: Option<Period>,
    /// Period of rest after which an artifact is deleted.
    pub delete_after: Option<Period>,
}

/// The rules of one layer, in order: the first that matches decides, action by action.
#[derive(Debug, Clone)]
pub struct RuleLayer {
    /// Which layer.
    pub source: Source,
    /// Its rules in the order of the file.
    pub rules: Vec<Rule>,
}

/// A recorded exception: nothing it covers is changed or removed.
#[derive(Debug, Clone)]
pub struct Hold {
    pub name: String,
    /// What it covers.
    pub selector: Selector,
    /// Why it was placed.
    pub reason: String,
    /// When it ends, if it does, in the zone of whoever said so.
    pub until: Option<DateTime<FixedOffset>>,
    /// Who placed it.
    pub source: Source,
}

impl Hold {
    /// Whether the hold is in force at a moment.
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Rules that share an authority, with the settings that may delay *them*.
///
/// Where a managed layer has rules these are a mandate of their own, and the stronger verdict of all
/// is carried out; so nothing a user sets can delay what the managed one demands.
#[derive(Debug, Clone)]
pub struct Mandate {
    /// Whether it acts or only reports.
    pub mode: Sourced<Mode>,
    /// The layers whose rules it holds; across them the earliest due date wins.
    pub layers: Vec<RuleLayer>,
    /// The holds that bind it.
    pub holds: Vec<Hold>,
    /// Nothing younger is deleted or pruned, whatever the rules say.
    pub keep_at_least: Option<Sourced<Period>>,
    /// A session with a file touched within this period counts as live.
    pub quiet: Sourced<Period>,
    /// Which clock dates its sessions.
    pub age_by: Sourced<AgeBy>,
    /// When it refuses to delete much at once.
    pub guard: Sourced<MassGuard>,
    /// Whether its rules are the managed layer's, which no user can stop.
    pub is_managed: bool,
    /// Folders in which this mandate has no say; where a managed layer has rules, a user can
    /// exclude a store from his own rules only.
    pub excluded_stores: Vec<Sourced<PathBuf>>,
    /// SHA-256 (hex) over what the layers say that may delay this mandate: what the grace of the
    /// mass guard compares, so that a user's edit does not start it anew.
    pub digest: String,
}

impl Mandate {
    /// The same with one rule alone, which somebody typed: carried out, without floor and guard.
    ///
    /// Holds, the quiet period, dates and excluded stores stay as they are.
    pub fn with_only(self, rule: Rule) -> Self {
        let source = Source { layer: Layer::User, path: None };
        Self {
            mode: Sourced { value: Mode::Enforce, source: source.clone() },
            layers: vec![RuleLayer { source: source.clone(), rules: vec![rule] }],
            keep_at_least: None,
            guard: Sourced { value: MassGuard::Off, source },
            is_managed: false,
            ..self
        }
    }
}

/// How the ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPolicy {
    /// How long segments are kept.
    pub keep: Period,
    /// What a line is written for.
    pub detail: Detail,
    /// How paths and ids are written.
    pub names: Names,
}

impl Default for LedgerPolicy {
    fn default() -> Self {
        Self { keep: Period::days(400), detail: Detail::default(), names: Names::default() }
    }
}

/// What the ledger writes a line for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// A line for the intent and one for the outcome of each session.
    #[default]
    Sessions,
    /// Also one for each file.
    Files,
}

/// How the ledger writes paths and ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// As they are.
    #[default]
    Plain,
    /// As keyed hashes.
    Keyed,
}

/// A rule, by its place in a policy: mandate, layer, rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// The mandate's position.
    pub mandate: u8,
    /// The layer's position in the mandate.
    pub layer: u16,
    /// The rule's position in the layer.
    pub rule: u16,
}

/// A hold, by its place in a policy: mandate, hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HoldRef {
    /// The mandate's position.
    pub mandate: u8,
    /// The hold's position in the mandate.
    pub hold: u16,
}

/// The resolved policy of one user on one machine.
#[derive(Debug, Clone)]
pub struct Policy {
    /// SHA-256 (hex) over what the layers say; the same layers give the same digest.
    pub digest: String,
    /// The files and preferences that took part, lowest first.
    pub sources: Vec<Source>,
    /// The managed layer's first, where it has rules, then the system's, where its mode or the holds
    /// that bind it are not the user's, then all others'.
    pub mandates: Vec<Mandate>,
    /// Why the built-in rule deletes nothing, where the client's own settings cannot be read; a
    /// run then ends with exit 1.
    pub suspended: Option<String>,
    /// age recipients of all layers, as written.
    pub recipients: Vec<Sourced<String>>,
    /// Compression of sealed files.
    pub compression: Sourced<Compression>,
    /// Folders that are stores though nothing marks them as such.
    pub extra_stores: Vec<Sourced<PathBuf>>,
    /// Folders that are not looked at at all; see also [`Mandate::excluded_stores`].
    pub excluded_stores: Vec<Sourced<PathBuf>>,
    /// How the ledger is kept.
    pub ledger: Sourced<LedgerPolicy>,
    /// Whether users' own holds bind the managed rules.
    pub user_holds: Sourced<bool>,
    /// What was wrong with a layer that was dropped, and other things worth telling; a run that
    /// has any ends with exit 1.
    pub complaints: Vec<String>,
    /// What is worth telling and no failure: holds that do not bind, for instance.
    pub notes: Vec<String>,
    /// Files among the system's policies that are none by their names.
    pub ignored: Vec<PathBuf>,
    /// What the layers that take part say, lowest first: for `policy show`.
    pub said: Vec<settings::RawLayer>,
}

impl Policy {
    /// What is wrong with it, and why it deletes nothing: a run that meets any ends with exit 1.
    pub fn faults(&self) -> Vec<String> {
        let suspended = self.suspended.iter().map(|why| {
            format!(
                "no policy names a period and Claude Code's own settings give none, so nothing is deleted: {why}"
            )
        });
        self.complaints.iter().cloned().chain(suspended).collect()
    }
}

/// Reads and resolves the policy of the environment's user; `named` is the file of `--policy`.
///
/// # Errors
/// A layer that cannot be read, is not trusted or contradicts itself; see
/// [`resolve::resolve`] for what a user's layer may do wrong.
pub fn of(env: &Environment, places: &Places, named: Option<&Path>) -> Result<Policy, PolicyError> {
    resolve::resolve(load::load(places, named)?, &context(env, InvalidUser::Stops))
}

/// The same where an invalid layer of the user's is left out and reported, for commands that only look.
///
/// # Errors
/// What is wrong with a layer of the organisation's.
pub fn of_valid_layers(env: &Environment, places: &Places) -> Result<Policy, PolicyError> {
    resolve::resolve(load::load(places, None)?, &context(env, InvalidUser::IsLeftOut))
}

/// The built-in rule alone: what stands in for a policy that cannot be used.
///
/// # Errors
/// None that is known: nothing is read that could be wrong.
pub fn built_in(env: &Environment) -> Result<Policy, PolicyError> {
    resolve::resolve(load::Loaded::default(), &context(env, InvalidUser::Stops))
}

fn context(env: &Environment, invalid_user: InvalidUser) -> resolve::Context<'_> {
    let built_in = client::read(&client::ClientPlaces::new(env), &[]).built_in();
    resolve::Context { globs: compile::Globs::new(env), built_in, invalid_user }
}

impl Policy {
    /// A rule of the policy with its layer, by the place a plan gives.
    pub fn rule(&self, rule: RuleRef) -> Option<(&RuleLayer, &Rule)> {
        let layer = self.mandates.get(usize::from(rule.mandate))?.layers.get(usize::from(rule.layer))?;
        Some((layer, layer.rules.get(usize::from(rule.rule))?))
    }

    /// The name of a rule, by the place a plan gives.
    pub fn rule_name(&self, rule: RuleRef) -> String {
        self.rule(rule).map_or_else(String::new, |(_, rule)| rule.name.clone())
    }

    /// A hold, by the place a plan gives.
    pub fn hold(&self, hold: HoldRef) -> Option<&Hold> {
        self.mandates.get(usize::from(hold.mandate))?.holds.get(usize::from(hold.hold))
    }

    /// Every hold, with whether it binds all rules; one that does not is advisory for the
    /// organisation's.
    pub fn holds(&self) -> impl Iterator<Item = (&Hold, bool)> {
        // The last mandate is bound by every hold, the first perhaps only by some.
        let all = self.mandates.last().map(|mandate| &mandate.holds).into_iter().flatten();
        all.map(|hold| {
            let binds = |mandate: &Mandate| {
                mandate.holds.iter().any(|other| other.name == hold.name && other.source == hold.source)
            };
            (hold, self.mandates.iter().all(binds))
        })
    }

    /// Whether it has rules that no user may stop.
    pub fn is_managed(&self) -> bool {
        self.mandates.iter().any(|mandate| mandate.is_managed)
    }

    /// Whether a rule is one that no user may stop.
    pub fn is_managed_rule(&self, rule: RuleRef) -> bool {
        self.mandates.get(usize::from(rule.mandate)).is_some_and(|mandate| mandate.is_managed)
    }

    /// Whether a rule only reports, so that no run acts on what it alone demands.
    pub fn audits(&self, rule: RuleRef) -> bool {
        self.mandates.get(usize::from(rule.mandate)).is_some_and(|mandate| mandate.mode.value == Mode::Audit)
    }

    /// Whether any rule only reports.
    pub fn audits_some(&self) -> bool {
        self.mandates.iter().any(|mandate| mandate.mode.value == Mode::Audit && !mandate.layers.is_empty())
    }

    /// The mode a report names: audit only if every mandate is that has rules.
    pub fn mode(&self) -> Mode {
        let is_enforced = |mandate: &&Mandate| mandate.mode.value == Mode::Enforce;
        let with_rules = || self.mandates.iter().filter(|mandate| !mandate.layers.is_empty());
        let enforces = match with_rules().next() {
            Some(_) => with_rules().any(|mandate| is_enforced(&mandate)),
            None => self.mandates.iter().any(|mandate| is_enforced(&mandate)),
        };
        if enforces { Mode::Enforce } else { Mode::Audit }
    }
}

#[cfg(test)]
mod tests;
