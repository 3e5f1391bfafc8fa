//! One layer's settings → its rules and holds, or what contradicts itself in them. Pure.

use std::collections::BTreeSet;
use std::path::Path;

use super::recipient::{self, Family};
use super::selector::{BadGlob, ProjectGlob, Selector};
use super::settings::RawLayer;
use super::settings::{Glob, HoldGlob, HoldSettings, KindName, RuleSettings};
use super::spelling::Paths;
use super::{Hold, Layer, Rule, RuleLayer, Source};
use crate::catalogue::{Kind, SessionId};
use crate::period::{Length, Period};

/// What globs are compiled with.
#[derive(Debug, Clone, Copy)]
pub struct Globs<'a> {
    /// What `~/` stands for: the home of the stores' owner, as spelled.
    pub home: &'a Path,
    /// The same with every link resolved.
    pub real_home: &'a Path,
    /// How paths are compared on this machine.
    pub paths: Paths,
}

impl<'a> Globs<'a> {
    /// The home and the platform of the environment.
    pub fn new(env: &'a crate::environment::Environment) -> Self {
        Self { home: &env.user.home, real_home: &env.user.real_home, paths: Paths::of(env) }
    }

    /// Compiles one glob.
    ///
    /// # Errors
    /// When the pattern is not a glob over whole paths.
    pub fn compile(&self, written: &str) -> Result<ProjectGlob, BadGlob> {
        ProjectGlob::new(written, &[self.home, self.real_home], self.paths)
    }
}

/// Why a layer, or layers together, cannot be a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Two of one name.
    #[error("two {0}s are named '{name}'", name = crate::escape::shown(.1))]
    DuplicateName(&'static str, String),
    /// A name or a reason without text.
    #[error("{0} has an empty {1}")]
    EmptyText(String, &'static str),
    /// A list that selects nothing.
    #[error("{0} has an empty list '{1}': leave it out to select everything")]
    EmptyList(String, &'static str),
    /// Neither `sealAfter` nor `deleteAfter`.
    #[error("rule '{0}' does nothing: give it deleteAfter or sealAfter")]
    DoesNothing(String),
    /// Sealing at or after deletion.
    #[error("rule '{rule}' would seal after {seal} what it deletes after {delete}")]
    SealNotBeforeDelete {
        rule: String,
        /// When it seals.
        seal: Period,
        /// When it deletes.
        delete: Period,
    },
    /// A `deleteAfter` so short that work of the day goes.
    #[error(
        "rule '{rule}' has a deleteAfter of {delete}, which is under 1h: write \"immediately\" if that is meant"
    )]
    TooShort { rule: String, delete: Period },
    /// A session is sealed whole.
    #[error(
        "rule '{0}' has sealAfter beside kinds: a session is sealed as a whole, so leave one of them out"
    )]
    SealBesideKinds(String),
    /// A kind that no age removes.
    #[error("rule '{0}' names the kind '{1}', which is never removed by age")]
    ProtectedKind(String, Kind),
    /// A kind that would outlive its session.
    #[error(
        "rule '{rule}' would keep '{kind}' for {period}, but rule '{other}' deletes the whole session after {other_period}"
    )]
    LaterThanSession {
        /// The rule with `kinds`.
        rule: String,
        /// A kind it names.
        kind: Kind,
        period: Period,
        /// The rule that decides the session.
        other: String,
        /// That rule's period.
        other_period: Period,
    },
    /// A word that reads in two ways here.
    #[error("{0} cannot be \"{1}\": leave it out, or write a span such as \"30d\"")]
    NoSpan(&'static str, Period),
    /// Nobody to seal to.
    #[error(
        "rule '{0}' has sealAfter, but there is no recipient to seal to{1}: `ccretain key new` prints one for \"recipients\""
    )]
    NoRecipient(String, &'static str),
    /// A floor above what the organisation demands.
    #[error("keepAtLeast {keep} is longer than the managed deleteAfter {delete} of rule '{rule}'")]
    KeepBeyondDelete {
        /// The floor.
        keep: Period,
        rule: String,
        delete: Period,
    },
    /// Recipients of two families.
    #[error("classic and post-quantum recipients cannot be mixed in one file")]
    Mixed,
    /// A plugin recipient in a user's file.
    #[error("recipient '{0}' needs a plugin, and plugins may be named only by system or managed policies")]
    PluginOfUser(String),
    /// A glob that is none.
    #[error(transparent)]
    Glob(#[from] BadGlob),
}

/// One layer, ready to be united with the others.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub rules: RuleLayer,
    pub holds: Vec<Hold>,
    /// What is worth telling.
    pub remarks: Remarks,
}

/// What is worth telling about a layer that can be used.
#[derive(Debug, Clone, Default)]
pub struct Remarks {
    /// What is wrong with it and makes a run end with exit 1.
    pub complaints: Vec<String>,
    /// What has no effect.
    pub notes: Vec<String>,
}

/// Compiles a layer; every problem it has is found, not only the first.
///
/// # Errors
/// What contradicts itself in the layer.
pub fn compile(layer: &RawLayer, globs: Globs<'_>) -> Result<Compiled, Vec<Problem>> {
    let mut problems = Vec::new();
    let settings = &layer.settings;
    let mut rules: Vec<Rule> = Vec::new();
    for (at, written) in settings.rules.iter().flatten().enumerate() {
        let rule = rule(written, at, globs, &mut problems);
        problems.extend(wrong_with(&rule));
        if rules.iter().any(|other| other.name == rule.name) {
            problems.push(Problem::DuplicateName("rule", rule.name.clone()));
        }
        rules.push(rule);
    }
    problems.extend(later_than_session(&rules));
    let mut remarks = Remarks::default();
    let holds = holds(&layer.source, settings.holds.iter().flatten(), globs, &mut problems, &mut remarks);
    let spans = [("keepAtLeast", &settings.keep_at_least), ("quiet", &settings.quiet)];
    for (key, period) in spans {
        if let Some(period) = period.as_ref().filter(|period| period.length() == Length::Never) {
            problems.push(Problem::NoSpan(key, period.clone()));
        }
    }
    let keep = settings.ledger.as_ref().and_then(|ledger| ledger.keep.as_ref());
    if let Some(keep) = keep.filter(|keep| keep.length() == Length::Immediately) {
        problems.push(Problem::NoSpan("ledger.keep", keep.clone()));
    }
    let mut families = Vec::new();
    for written in settings.recipients.iter().flatten() {
        let Ok(family) = recipient::check(written.as_str()) else { continue };
        families.push(family);
        // A plugin is a program, found by its name and run at each sealing: who owns the machine says which.
        if family == Family::Plugin && layer.source.layer == Layer::User {
            problems.push(Problem::PluginOfUser(written.as_str().to_owned()));
        }
    }
    // What can be opened by a classic key is no safer for the other one; age refuses it too, but only when a
    // run seals.
    if families.contains(&Family::Classic) && families.contains(&Family::PostQuantum) {
        problems.push(Problem::Mixed);
    }
    if problems.is_empty() {
        // All or nothing: without its bad rule, a layer would decide by the next one what that rule was written
        // for.
        Ok(Compiled { rules: RuleLayer { source: layer.source.clone(), rules }, holds, remarks })
    } else {
        Err(problems)
    }
}

/// Compiles holds, those of `holds.json` for instance.
pub fn holds<'a>(
    source: &Source,
    written: impl Iterator<Item = &'a HoldSettings>,
    globs: Globs<'_>,
    problems: &mut Vec<Problem>,
    remarks: &mut Remarks,
) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::new();
    for hold in written {
        let whose = format!("hold '{}'", crate::escape::shown(&hold.name));
        for (key, text) in [("name", &hold.name), ("reason", &hold.reason)] {
            if text.trim().is_empty() {
                problems.push(Problem::EmptyText(whose.clone(), key));
            }
        }
        if holds.iter().any(|other| other.name == hold.name) {
            problems.push(Problem::DuplicateName("hold", hold.name.clone()));
        }
        // A hold of a part would let the rest of a session go, and a conversation cannot be understood by
        // halves.
        if hold.kinds.is_some() {
            remarks.notes.push(format!(
                "{whose} names kinds, which has no effect: a hold covers whole sessions and what belongs to them"
            ));
        }
        let mut bad = Vec::new();
        let written = hold.projects.iter().flatten().map(HoldGlob::as_str);
        let parts = (hold.projects.is_some(), written, None, hold.sessions.as_deref());
        let mut selector = selector(&whose, parts, globs, &mut bad);
        // Dropping a hold of the organisation's would lose what it keeps.
        if source.layer != Layer::User && bad.iter().any(|problem| matches!(problem, Problem::Glob(_))) {
            let is_glob = |problem: &Problem| matches!(problem, Problem::Glob(_));
            for glob in bad.extract_if(.., |problem| is_glob(problem)) {
                remarks.complaints.push(format!("{whose} holds all projects, because {glob}"));
            }
            selector.projects = None;
        }
        problems.append(&mut bad);
        holds.push(Hold {
            name: hold.name.clone(),
            selector,
            reason: hold.reason.clone(),
            until: hold.until,
            source: source.clone(),
        });
    }
    holds
}

fn rule(written: &RuleSettings, at: usize, globs: Globs<'_>, problems: &mut Vec<Problem>) -> Rule {
    let name = written.name.clone().unwrap_or_else(|| format!("rule-{}", at + 1));
    let whose = format!("rule '{}'", crate::escape::shown(&name));
    if name.trim().is_empty() {
        problems.push(Problem::EmptyText(whose.clone(), "name"));
    }
    let projects = written.projects.iter().flatten().map(Glob::as_str);
    let parts = (written.projects.is_some(), projects, written.kinds.as_deref(), written.sessions.as_deref());
    Rule {
        selector: selector(&whose, parts, globs, problems),
        name,
        seal_after: written.seal_after.clone(),
        delete_after: written.delete_after.clone(),
    }
}

type Parts<'a, I> = (bool, I, Option<&'a [KindName]>, Option<&'a [SessionId]>);

fn selector<'a>(
    whose: &str,
    (has_projects, projects, kinds, sessions): Parts<'a, impl Iterator<Item = &'a str>>,
    globs: Globs<'_>,
    problems: &mut Vec<Problem>,
) -> Selector {
    let projects: Vec<&str> = projects.collect();
    let lists = [
        ("projects", has_projects.then_some(projects.len())),
        ("kinds", kinds.map(<[_]>::len)),
        ("sessions", sessions.map(<[_]>::len)),
    ];
    for (key, length) in lists {
        // An empty list may be meant as "none" or as "all", and one of the two deletes everything.
        if length == Some(0) {
            problems.push(Problem::EmptyList(whose.to_owned(), key));
        }
    }
    let mut compiled = Vec::new();
    for glob in projects {
        match globs.compile(glob) {
            Ok(glob) => compiled.push(glob),
            Err(bad) => problems.push(bad.into()),
        }
    }
    Selector {
        projects: has_projects.then_some(compiled),
        kinds: kinds.map(|kinds| kinds.iter().map(|kind| kind.0).collect()),
        sessions: sessions.map(|ids| ids.iter().copied().collect::<BTreeSet<_>>()),
        ..Selector::default()
    }
}

/// What is wrong with a rule on its own.
fn wrong_with(rule: &Rule) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = || crate::escape::text(&rule.name);
    let hour = Period::hours(1).length();
    if rule.seal_after.is_none() && rule.delete_after.is_none() {
        problems.push(Problem::DoesNothing(name()));
    }
    if let Some(delete) = &rule.delete_after
        // A slip of the unit, `5m` for five months, must not empty a store.
        && delete.length() != Length::Immediately
        && delete.length() < hour
    {
        problems.push(Problem::TooShort { rule: name(), delete: delete.clone() });
    }
    // `never` says that a rule does not seal; it contradicts no date of deletion.
    let seals = rule.seal_after.as_ref().filter(|seal| seal.length() != Length::Never);
    if let (Some(seal), Some(delete)) = (seals, &rule.delete_after)
        && seal.length() >= delete.length()
    {
        problems.push(Problem::SealNotBeforeDelete {
            rule: name(),
            seal: seal.clone(),
            delete: delete.clone(),
        });
    }
    if let Some(kinds) = &rule.selector.kinds {
        if rule.seal_after.is_some() {
            problems.push(Problem::SealBesideKinds(name()));
        }
        for kind in kinds.iter().filter(|kind| kind.is_protected()) {
            problems.push(Problem::ProtectedKind(name(), *kind));
        }
    }
    problems
}

/// Rules with `kinds` that would let a part of a session outlive it.
fn later_than_session(rules: &[Rule]) -> Vec<Problem> {
    // A session goes whole on the date of its transcript; so each rule that may decide the transcript of a
    // session that such a rule selects too must not be earlier.
    let mut problems = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let (Some(kinds), Some(period)) = (&rule.selector.kinds, &rule.delete_after) else { continue };
        let parts = || kinds.iter().copied().filter(|kind| *kind != Kind::Transcript && kind.is_of_session());
        let Some(kind) = parts().next() else { continue };
        for (other_at, other) in rules.iter().enumerate() {
            let Some(other_period) = &other.delete_after else { continue };
            let decides = other.selector.kinds.as_ref().is_none_or(|kinds| kinds.contains(&Kind::Transcript));
            if !decides || other_at == at || !rule.selector.may_share_sessions(&other.selector) {
                continue;
            }
            let takes_all_parts =
                other.selector.kinds.as_ref().is_none_or(|taken| parts().all(|part| taken.contains(&part)));
            let is_everywhere = other.selector.projects.is_none() && other.selector.sessions.is_none();
            // A rule before this one that takes the same parts decides them itself where both select;
            // only where it leaves this one nothing at all is this one a mistake.
            let decided_before = other_at < at && takes_all_parts && !is_everywhere;
            if !decided_before && period.length() > other_period.length() {
                problems.push(Problem::LaterThanSession {
                    rule: crate::escape::text(&rule.name),
                    kind,
                    period: period.clone(),
                    other: crate::escape::text(&other.name),
                    other_period: other_period.clone(),
                });
                break;
            }
            if is_everywhere {
                break;
            }
        }
    }
    problems
}
