//! A hold as it was typed, and what becomes of it.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, FixedOffset, Utc};

use super::sight::{Sight, given};
use crate::catalogue::SessionId;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::session;
use crate::enforce::preserve;
use crate::escape::text;
use crate::policy::compile::{self, Globs, Remarks};
use crate::policy::settings::{HoldGlob, HoldSettings};
use crate::policy::{Hold, Layer, Source};
use crate::report::human::in_zone;
use crate::run::{self, Workspace};
use crate::seal::Recipients;

/// A hold as it was typed.
pub(super) struct New {
    pub projects: Vec<String>,
    pub sessions: Vec<String>,
    pub reason: String,
    pub until: Option<DateTime<FixedOffset>>,
    pub name: Option<String>,
    pub preserve: bool,
}

impl New {
    /// As a file of holds has it, but for the name.
    pub fn settings(&self, sight: &Sight, ctx: &Context) -> Result<HoldSettings, Failure> {
        given("reason", &self.reason)?;
        let until = self.until.map(|until| to_come(until, ctx.env.now)).transpose()?;
        let globs: Result<Vec<HoldGlob>, String> = self.projects.iter().map(HoldGlob::new).collect();
        let globs = globs.map_err(|error| Failure::new(Exit::Usage, error))?;
        let mut ids: Vec<SessionId> = Vec::new();
        for named in &self.sessions {
            let id = session::find_id(&sight.inventory, named)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(HoldSettings {
            comment: None,
            name: String::new(),
            projects: (!globs.is_empty()).then_some(globs),
            kinds: None,
            sessions: (!ids.is_empty()).then_some(ids),
            reason: self.reason.clone(),
            until,
        })
    }

    /// Its name, which no other hold has: the one that was given, or one made of the day.
    pub fn free_name(
        &self,
        own: &[HoldSettings],
        ground: &Workspace,
        ctx: &Context,
    ) -> Result<String, Failure> {
        let taken: BTreeSet<&str> = ground
            .policy
            .holds()
            .map(|(hold, _)| hold.name.as_str())
            .chain(own.iter().map(|hold| hold.name.as_str()))
            .collect();
        let Some(name) = &self.name else { return Ok(free_name(&taken, ctx.env.now)) };
        given("name", name)?;
        if taken.contains(name.as_str()) {
            let message = format!("there is a hold named '{}' already", text(name));
            return Err(Failure::new(Exit::Usage, message).hint("`ccretain hold list` shows it"));
        }
        // Only of a hold with copies: another may have any name.
        if self.preserve && !preserve::can_be_folder(name) {
            let message = format!("'{}' cannot be the name of a folder of copies", text(name));
            return Err(Failure::new(Exit::Usage, message).hint("use letters, digits, '.', '_' and '-'"));
        }
        Ok(name.clone())
    }
}

/// To whom copies are sealed, where any are wanted.
pub(super) fn recipients(new: &New, ground: &Workspace) -> Result<Option<Recipients>, Failure> {
    let recipients = if new.preserve { run::recipients(&ground.policy)? } else { None };
    // Asked before the hold is written: whoever wanted copies should not have a hold without them and not know
    // it.
    if new.preserve && recipients.is_none() {
        return Err(Failure::new(Exit::Usage, "there is no recipient to seal the copies to")
            .hint("`ccretain key new` makes an identity; put its recipient into the policy"));
    }
    Ok(recipients)
}

/// The hold that a file of holds would be read as.
pub(super) fn compiled(settings: &HoldSettings, path: &Path, ctx: &Context) -> Result<Hold, Failure> {
    let source = Source { layer: Layer::User, path: Some(path.to_path_buf()) };
    let mut problems = Vec::new();
    let once = std::iter::once(settings);
    let compiled =
        compile::holds(&source, once, Globs::new(&ctx.env), &mut problems, &mut Remarks::default());
    if let Some(problem) = problems.first() {
        return Err(Failure::because(Exit::Usage, problem));
    }
    compiled.into_iter().next().ok_or_else(|| Failure::new(Exit::Usage, "the hold says nothing"))
}

/// A moment at which a hold can end.
fn to_come(time: DateTime<FixedOffset>, now: DateTime<Utc>) -> Result<DateTime<FixedOffset>, Failure> {
    if time > now {
        return Ok(time);
    }
    let message = format!("{} is over, so the hold would keep nothing", in_zone(time));
    Err(Failure::new(Exit::Usage, message).hint(
        "give a time that is to come, or leave --until out; `ccretain hold add --help` lists what it takes",
    ))
}

/// A name nobody has: `hold-` and the day.
fn free_name(taken: &BTreeSet<&str>, now: DateTime<Utc>) -> String {
    let day = now.format("hold-%Y-%m-%d").to_string();
    if !taken.contains(day.as_str()) {
        return day;
    }
    let mut number = 2_u32;
    loop {
        let name = format!("{day}-{number}");
        if !taken.contains(name.as_str()) {
            return name;
        }
        number = number.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_in_the_future() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap();
        let now = at("2026-11-22T10:00:00Z").to_utc();
        let noon = at("2027-03-01T12:00:00+02:00");
        assert_eq!(to_come(noon, now).unwrap(), noon);
        for wrong in ["2026-11-22T00:00:00Z", "2026-11-22T10:00:00Z", "2026-11-22T11:00:00+02:00"] {
            assert_eq!(to_come(at(wrong), now).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn made_names_are_free() {
        let now = DateTime::parse_from_rfc3339("2026-11-22T10:00:00Z").unwrap().to_utc();
        assert_eq!(free_name(&BTreeSet::new(), now), "hold-2026-11-22");
        let taken = BTreeSet::from(["hold-2026-11-22", "hold-2026-11-22-2"]);
        assert_eq!(free_name(&taken, now), "hold-2026-11-22-3");
    }
}
