//! `policy check FILE`: what is wrong with one file, and what may surprise. Also a start for a new one.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::compile::{Compiled, Globs, compile};
use super::error::LoadError;
use super::load::Loaded;
use super::recipient::{self, Family};
use super::resolve::{Context, InvalidUser, resolve};
use super::settings::RawLayer;
use super::{Layer, Policy, Source, managed, mistakes, parse, trusted};
use crate::catalogue::{Kind, SessionId};
use crate::client::BuiltIn;
use crate::client::{ClientSettings, Sweep, Written};
use crate::error::chain;
use crate::escape::text;
use crate::period::{Length, Period};
use crate::words::counted;

/// A session that is known on this machine, to try rules and globs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its project, where records say.
    pub project: Option<String>,
    pub session: Option<SessionId>,
    /// When its transcript was last written, by which the client goes; `None` where that cannot
    /// remove it.
    pub modified: Option<DateTime<Utc>>,
    /// What else Claude Code goes by.
    pub written: Written,
}

/// What a check found.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The layer it was judged as.
    pub layer: Option<Layer>,
    /// What makes the file invalid; empty where it is valid.
    pub problems: Vec<String>,
    /// What is valid and may surprise.
    pub warnings: Vec<String>,
    pub rules: usize,
    pub holds: usize,
    /// How many of the known sessions no rule of it would ever delete.
    pub sessions_without_rule: usize,
    /// The policy that the file alone would be; `None` where it is invalid.
    #[serde(skip)]
    pub policy: Option<Box<Policy>>,
    /// The line that shows each problem, where it has one.
    #[serde(skip)]
    pub excerpts: Vec<Option<String>>,
}

/// What a file is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Against<'a> {
    /// What globs are compiled with.
    pub globs: Globs<'a>,
    /// The sessions of this machine.
    pub known: &'a [Known],
    /// The client's settings.
    pub client: &'a ClientSettings,
    /// The time, for holds that have ended.
    pub now: DateTime<Utc>,
}

/// The layer that the name of a file says: `.plist` is managed preferences, `managed-policy.json` a managed
/// policy, and what lies in the system's folder one of the system.
fn layer_by_name(path: &Path) -> Layer {
    let is_list = path.extension().is_some_and(|ending| ending == "plist");
    if is_list || path.file_name().is_some_and(|name| name == "managed-policy.json") {
        Layer::Managed
    } else {
        Layer::System
    }
}

/// A file as one layer alone.
#[derive(Debug)]
pub struct Judged {
    layer: RawLayer,
    compiled: Compiled,
    policy: Policy,
}

/// Judges what a file says as this layer; a name that ends in `.plist` is read as managed preferences.
///
/// # Errors
/// What makes it invalid there.
pub fn judge(path: &Path, bytes: &[u8], layer: Layer, globs: Globs<'_>) -> Result<Judged, Vec<String>> {
    let is_list = path.extension().is_some_and(|ending| ending == "plist");
    let settings = if is_list { managed::from_plist(bytes) } else { parse::policy(bytes) };
    let settings = settings.map_err(|error| match is_list {
        true => vec![error.to_string()],
        false => mistakes::all(bytes).iter().map(ToString::to_string).collect(),
    })?;
    let layer = RawLayer { source: Source { layer, path: Some(path.to_path_buf()) }, settings };
    let compiled = compile(&layer, globs)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let context = Context { globs, built_in: Ok(BuiltIn::default()), invalid_user: InvalidUser::Stops };
    let alone = Loaded { layers: vec![layer.clone()], ..Loaded::default() };
    let policy = resolve(alone, &context).map_err(|error| {
        vec![std::error::Error::source(&error).map_or_else(|| chain(&error), ToString::to_string)]
    })?;
    Ok(Judged { layer, compiled, policy })
}

/// Checks one file, as this layer or as the one that its name says.
///
/// # Errors
/// A file that is not there. What is wrong inside is in the result.
pub fn check(path: &Path, layer: Option<Layer>, against: &Against<'_>) -> Result<Checked, LoadError> {
    let Some(bytes) = trusted::read_own(path)? else {
        return Err(LoadError::Missing { path: path.to_path_buf() });
    };
    let judged_as = layer.unwrap_or_else(|| layer_by_name(path));
    let mut checked = Checked { layer, ..Checked::default() };
    match judge(path, &bytes, judged_as, against.globs) {
        Err(problems) => {
            let found = mistakes::all(&bytes);
            let of = |problem: &String| {
                let error = found.iter().find(|error| error.to_string() == *problem)?;
                mistakes::excerpt(&bytes, error.line, error.column)
            };
            checked.excerpts = problems.iter().map(of).collect();
            checked.problems = problems;
        }
        Ok(Judged { layer, compiled, policy }) => {
            checked.rules = compiled.rules.rules.len();
            checked.holds = compiled.holds.len();
            let unmatched = |known: &&Known| {
                !policy.may_delete(Kind::Transcript, known.project.as_deref(), known.session)
            };
            checked.sessions_without_rule = against.known.iter().filter(unmatched).count();
            checked.warnings = warnings(&layer, &compiled, against);
            let remarks = compiled.remarks;
            checked.warnings.extend(remarks.complaints.into_iter().chain(remarks.notes));
            checked.policy = Some(Box::new(policy));
        }
    }
    Ok(checked)
}

fn warnings(layer: &RawLayer, compiled: &Compiled, against: &Against<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let rules = &compiled.rules.rules;
    let selectors = rules
        .iter()
        .map(|rule| ("rule", &rule.name, &rule.selector))
        .chain(compiled.holds.iter().map(|hold| ("hold", &hold.name, &hold.selector)));
    for (what, name, selector) in selectors {
        for glob in selector.projects.iter().flatten() {
            let fits = |known: &Known| known.project.as_deref().is_some_and(|project| glob.covers(project));
            if !against.known.iter().any(fits) {
                let glob = text(glob.written());
                warnings.push(format!("'{glob}' of {what} '{}' matches no known project", text(name)));
            }
        }
    }
    for (at, rule) in rules.iter().enumerate() {
        let covers = |other: &&super::Rule| {
            let all = &other.selector;
            all.projects.is_none()
                && all.kinds.is_none()
                && all.sessions.is_none()
                && (rule.delete_after.is_none() || other.delete_after.is_some())
                && (rule.seal_after.is_none() || other.seal_after.is_some())
        };
        if let Some(other) = rules.iter().take(at).find(covers) {
            warnings.push(format!(
                "rule '{}' never decides: rule '{}' before it matches everything",
                text(&rule.name),
                text(&other.name)
            ));
        }
    }
    for hold in compiled.holds.iter().filter(|hold| !hold.is_active(against.now)) {
        warnings.push(format!("hold '{}' has ended", text(&hold.name)));
    }
    let written = layer.settings.recipients.iter().flatten();
    let plugins = written.filter(|one| recipient::check(one.as_str()) == Ok(Family::Plugin)).count();
    if plugins > 0 && layer.source.layer != Layer::Managed {
        warnings.push("recipients of plugins count only in system and managed policies".into());
    }
    if let Some(keep) = &layer.settings.keep_at_least {
        for rule in rules {
            if rule.delete_after.as_ref().is_some_and(|delete| delete.length() < keep.length()) {
                warnings.push(format!("keepAtLeast {keep} delays rule '{}'", text(&rule.name)));
            }
        }
    }
    warnings.extend(beside_the_client(layer, compiled, against));
    warnings
}

/// Where the client's own sweep would be earlier than the policy.
fn beside_the_client(layer: &RawLayer, compiled: &Compiled, against: &Against<'_>) -> Vec<String> {
    let client = against.client;
    let Sweep::Runs { days, .. } = client.sweep(None) else { return Vec::new() };
    let client_period = Period::days(u32::try_from(days).unwrap_or(u32::MAX));
    let is_longer = |period: &Period| period.length() > client_period.length();
    let mut warnings = Vec::new();
    let of_rules =
        compiled.rules.rules.iter().filter(|rule| rule.selector.kinds.is_none()).filter_map(|rule| {
            Some((
                format!("rule '{}' keeps for {}", text(&rule.name), rule.delete_after.as_ref()?),
                rule.delete_after.as_ref()?,
            ))
        });
    let of_floor = layer.settings.keep_at_least.as_ref().map(|keep| (format!("keepAtLeast is {keep}"), keep));
    for (what, period) in of_rules.chain(of_floor) {
        if is_longer(period) && !(period.length() == Length::Never && days >= 36_500) {
            warnings.push(format!("{what}, but Claude Code itself removes transcripts after {days} days"));
        }
    }
    for hold in compiled.holds.iter().filter(|hold| hold.is_active(against.now) && days < 36_500) {
        let removal = |known: &Known| {
            let project = known.project.as_deref();
            let unknown = project.is_none();
            let covers = hold.selector.covers(Kind::Transcript, project.into_iter(), unknown, known.session);
            let removal = client.removal(known.modified?, known.written)?;
            (covers && hold.is_active(removal.at)).then_some(removal.at)
        };
        let removals: Vec<DateTime<Utc>> = against.known.iter().filter_map(removal).collect();
        let name = text(&hold.name);
        let sessions = counted(removals.len() as u64, "session");
        warnings.push(match removals.iter().min() {
            Some(first) if *first <= against.now => format!(
                "hold '{name}' does not bind Claude Code itself, which will remove {sessions} of it, the first at its next start"
            ),
            // How long from now is the same day everywhere.
            Some(first) => format!(
                "hold '{name}' does not bind Claude Code itself, which will remove {sessions} of it, the first {}",
                match first.signed_duration_since(against.now).num_days() {
                    0 => "within a day".to_owned(),
                    days => format!("in {}", counted(days.unsigned_abs(), "day")),
                }
            ),
            None => format!(
                "hold '{name}' does not bind Claude Code itself, which removes transcripts after {days} days"
            ),
        });
    }
    warnings
}

impl Policy {
    /// Whether some rule may ever delete such an artifact.
    pub fn may_delete(&self, kind: Kind, project: Option<&str>, session: Option<SessionId>) -> bool {
        let layers = self.mandates.iter().flat_map(|mandate| &mandate.layers);
        layers.into_iter().any(|layer| {
            let decides = |rule: &&super::Rule| {
                rule.delete_after.is_some() && rule.selector.selects(kind, project, session)
            };
            let decided = layer.rules.iter().find(decides).and_then(|rule| rule.delete_after.as_ref());
            decided.is_some_and(|period| period.length() != Length::Never)
        })
    }
}

/// What a policy to start from is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A user's own.
    User,
    /// The same, which only reports.
    Audit,
    /// The organisation's, which only reports.
    Managed,
}

/// A policy to start from: valid as it is, with a remark at each thing to decide.
pub fn init(start: Start) -> String {
    match start {
        Start::Managed => MANAGED_START.to_owned(),
        Start::Audit => START.replace("\"mode\": \"enforce\"", "\"mode\": \"audit\""),
        Start::User => START.to_owned(),
    }
}

const MANAGED_START: &str = r#"{
  "$comment": "For every user of a machine, and no user can loosen it. Check: ccretain policy check --as managed FILE. With 'audit' it reports and changes nothing; set 'enforce' once the reports are as they should be.",
  "version": 1,
  "mode": "audit",
  "rules": [
    {
      "$comment": "Sessions untouched for longer are deleted. A rule for single projects (\"projects\": [\"/work/client/**\"]) comes first. To encrypt what is idle, name a recipient below and add \"sealAfter\": \"7d\".",
      "name": "organisation",
      "deleteAfter": "30d"
    }
  ],
  "holds": [],
  "userHolds": false,
  "recipients": [],
  "guard": { "maxShare": 0.5, "minSessions": 20 },
  "ledger": { "keep": "400d" }
}
"#;

// Text, not a value: its keys keep the order in which one reads them.
const START: &str = r#"{
  "$comment": "Check: ccretain policy check FILE. Try: ccretain enforce --dry-run. A period is a whole number and min, h, d or w, or 'never' or 'immediately'.",
  "version": 1,
  "mode": "enforce",
  "rules": [
    {
      "$comment": "The first rule that matches decides, so rules for single projects (\"projects\": [\"~/work/client/**\"]) come first.",
      "name": "logs",
      "kinds": ["debug-log", "mcp-log"],
      "deleteAfter": "7d"
    },
    {
      "$comment": "Everything else. To encrypt what is idle: ccretain key new, put the recipient below, add \"sealAfter\": \"7d\" here.",
      "name": "default",
      "deleteAfter": "30d"
    }
  ],
  "recipients": [],
  "quiet": "1h"
}
"#;
