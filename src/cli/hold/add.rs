//! `ccretain hold add`: a hold is placed, and copies are kept where that is asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset, Utc};

use super::record::{close, open, record, undone};
use super::sight::{Sight, copies, given};
use crate::catalogue::SessionId;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::session;
use crate::enforce::lock::Locks;
use crate::enforce::preserve;
use crate::escape::{shown, text};
use crate::hold;
use crate::ledger::{Entry, Event};
use crate::policy::compile::{self, Globs, Remarks};
use crate::policy::settings::{HoldGlob, HoldSettings};
use crate::policy::{Hold, Layer, Source, holds};
use crate::report::hold::HoldDone;
use crate::report::human::in_zone;
use crate::run::preserve::keep_copies;
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

pub(super) fn add(
    new: New,
    ground: &Workspace,
    sight: &Sight,
    locks: Locks,
    ctx: &Context,
) -> Result<Exit, Failure> {
    let mut settings = new.settings(sight, ctx)?;
    let recipients = recipients(&new, ground)?;
    let mut run = open("hold-add", ground, sight, locks, ctx)?;
    // Read again now that nobody else writes: the lock of the ledger is that of the holds, too.
    let path = holds::path(&ctx.env.config_dir());
    let mut own =
        holds::read(&path).map_err(|error| Failure::because(Exit::Usage, &error))?.unwrap_or_default();
    // By the file as it is now: two commands may add a hold of the day at once.
    settings.name = new.free_name(&own, ground, ctx)?;
    let hold = compiled(&settings, &path, ctx)?;
    own.push(settings);
    let mut entry = Entry::new(Event::HoldAdded);
    entry.hold = Some(text(&hold.name).into());
    entry.reason = Some(text(&hold.reason).into());
    entry.path = Some(text(&path).into());
    record(&mut run, Event::Intent, &entry, "hold-add", ctx)?;
    // Written between its two records: a hold that nobody recorded cannot be told from one that somebody
    // forged.
    if let Err(error) = holds::write(&path, &own) {
        return Err(undone(run, entry, "hold-add", &error, ctx));
    }
    record(&mut run, Event::HoldAdded, &entry, "hold-add", ctx)?;
    // After the hold is written: it holds, too, where a copy fails or this command is killed.
    let failed = match &recipients {
        Some(recipients) => keep_copies(&hold, ground, &sight.inventory, recipients, &mut run, ctx)?,
        None => Vec::new(),
    };
    let without = |(path, why): &(PathBuf, String)| format!("'{}' has no copy: {why}", shown(path));
    let errors: Vec<String> =
        ground.policy.complaints.iter().cloned().chain(failed.iter().map(without)).collect();
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Failed };
    // So that the next run can tell what of it has vanished meanwhile.
    let held = hold::covered_by(&sight.inventory, &hold);
    let closed = close(run, exit, ctx, |state| state.held.extend(held));
    // The hold is in force, and is shown, whatever became of its records.
    let exit = crate::cli::vault::end(ctx, exit, None, closed);
    errors.iter().for_each(|error| ctx.console.error(error));
    if !failed.is_empty() {
        ctx.console.hint(&format!(
            "hold '{}' is in force, and keeps its copies; once all can be read, `ccretain hold add --preserve` with another \
             name copies the rest",
            text(&hold.name)
        ));
    }
    let mut report = sight.report(&hold, ground.policy.user_holds.value, ctx.global.verbose > 0);
    report.preserved = copies(ground, &hold.name).0;
    if ctx.global.json {
        ctx.console.json(&HoldDone { schema: "ccretain.hold-add/1", hold: report, because: None, errors })?;
    } else {
        let mut out = format!("hold '{}' added\n", text(&hold.name));
        for line in report.coverage() {
            out.push_str(&format!("  {line}\n"));
        }
        ctx.console.sentences(&out)?;
    }
    Ok(exit)
}

impl New {
    /// As a file of holds has it, but for the name.
    fn settings(&self, sight: &Sight, ctx: &Context) -> Result<HoldSettings, Failure> {
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
    fn free_name(&self, own: &[HoldSettings], ground: &Workspace, ctx: &Context) -> Result<String, Failure> {
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
fn recipients(new: &New, ground: &Workspace) -> Result<Option<Recipients>, Failure> {
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
fn compiled(settings: &HoldSettings, path: &Path, ctx: &Context) -> Result<Hold, Failure> {
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
