//! How the last runs ended, what starts the next, and whether the ledger is sound.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use crate::check::facts::{LedgerFact, RunFacts, ScheduleFact};
use crate::error::chain;
use crate::escape::{shown, text};
use crate::ledger::{self, Expected, Given, Record};
use crate::policy::Policy;
use crate::run::{Context, Workspace, journal};
use crate::schedule::{self, Program, Scope};

/// As many runs are looked back on.
const RUNS: usize = 400;
/// As far back the number of unrecognised files is compared.
const MONTH: TimeDelta = TimeDelta::days(30);

/// Runs, schedules and the ledger.
pub(super) fn runs(ground: &Workspace, summaries: &mut Vec<Record>, ctx: &Context) -> RunFacts {
    let mut facts = RunFacts::default();
    let last = ground.state.state.last_run.as_ref();
    facts.last = last.map(|last| (last.time, u64::from(last.exit)));
    facts.last_well = last.filter(|last| last.exit == 0).map(|last| last.time);
    facts.refusals = last.map(|last| last.refusals.clone()).unwrap_or_default();
    schedules(&mut facts, last.map(|last| last.time), ctx);
    let dir = ctx.env.ledger_dir();
    // Of a run over all users the parent keeps the ledger, and looks at it.
    let is_elsewhere =
        last.is_some_and(|last| last.is_recorded_elsewhere) && !dir.join(ledger::ACTIVE).exists();
    if ctx.parent.is_some() || is_elsewhere {
        facts.ledger = LedgerFact::Elsewhere;
        return facts;
    }
    facts.ledger = ledger_fact(&journal::own_place(ctx), &ground.policy, ctx);
    facts.unwritable = unwritable(&dir);
    match ledger::summaries(&dir, RUNS) {
        Ok(found) => {
            // Other verbs end well, too, and delete nothing of what is due.
            let of_a_run = |record: &&Record| record.is_of_enforce() && record.exit() == Some(0);
            facts.last_well =
                facts.last_well.or_else(|| found.iter().find(of_a_run).map(|record| record.time));
            if facts.last.is_none() {
                let newest = found.iter().find(|record| record.is_of_enforce());
                facts.last = newest.map(|record| (record.time, record.exit().unwrap_or_default()));
            }
            *summaries = found;
        }
        Err(error) if facts.ledger == LedgerFact::Sound => {
            facts.ledger = LedgerFact::Unreadable(chain(&error));
        }
        Err(_) => {}
    }
    facts
}

/// How a ledger is, by what the last run ended with, too.
pub(super) fn ledger_fact(place: &ledger::Place, policy: &Policy, ctx: &Context) -> LedgerFact {
    let (dir, keep) = (&place.dir, Some(ledger::KeepInForce::of(policy)));
    // A head that cannot be read is as none: it is written anew by the next run.
    let head = ledger::remembered(place).ok().flatten().map(|head| head.sha256);
    let found = match ledger::verify(dir, &Expected { head: head.as_deref(), keep, now: ctx.env.now }) {
        Err(error) => return LedgerFact::Unreadable(chain(&error)),
        Ok(found) => found,
    };
    match (&found.broken, found.disallowed()) {
        // A run is writing, or was cut off; the next one closes the line and says so.
        (Some(broken), _) if broken.fault != ledger::Fault::Unfinished => LedgerFact::Broken(format!(
            "'{}', line {}: {}",
            shown(&broken.segment),
            broken.line,
            broken.fault
        )),
        (_, Some(expiry)) => LedgerFact::Broken(format!(
            "'{}': record {} dropped records {} to {}, which 'ledger.keep' of the policy ({}) still keeps",
            shown(dir),
            expiry.record,
            expiry.first,
            expiry.last,
            policy.ledger.value.keep
        )),
        (broken, None)
            if !found.cuts.is_empty() || (broken.is_none() && found.given == Some(Given::Absent)) =>
        {
            LedgerFact::Cut(found.cuts.iter().map(ToString::to_string).collect())
        }
        _ => LedgerFact::Sound,
    }
}

/// Why a ledger cannot be written, where that can be told without writing.
pub(super) fn unwritable(dir: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        // What is not there is made in the nearest folder that is.
        let there = dir.ancestors().find(|folder| folder.symlink_metadata().is_ok())?;
        // By asking and not by trying: a check changes nothing, not even a time.
        if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
            return Some(format!("'{}': {}", shown(there), std::io::Error::from(error)));
        }
        let file = dir.join(ledger::ACTIVE);
        if file.symlink_metadata().is_ok()
            && let Err(error) = access(&file, Access::WRITE_OK)
        {
            return Some(format!("'{}': {}", shown(&file), std::io::Error::from(error)));
        }
    }
    #[cfg(not(unix))]
    let _ = dir;
    None
}

fn schedules(facts: &mut RunFacts, last: Option<DateTime<Utc>>, ctx: &Context) {
    match schedule::installed(&ctx.env, ctx.parent.is_some(), last) {
        Ok(found) => facts.schedules.extend(found.into_iter().map(|installed| ScheduleFact {
            backend: installed.backend.name().to_owned(),
            is_system: installed.scope == Scope::System,
            place: installed.place,
            starts: installed.program != Program::Missing,
            other_version: match installed.program {
                Program::Other(version) => Some(version),
                Program::Current | Program::NotAsked | Program::Missing | Program::Unknown => None,
            },
            active: installed.active,
            next: installed.next,
            missed: installed.missed,
        })),
        Err(error) => facts.schedules_unknown = Some(chain(&error)),
    }
    // A package puts its units elsewhere; what is enabled shows in the link.
    let link = Path::new("/etc/systemd/system/timers.target.wants/ccretain.timer");
    if facts.schedules.iter().all(|schedule| !schedule.is_system) && link.symlink_metadata().is_ok() {
        facts.schedules.push(ScheduleFact {
            backend: "systemd".to_owned(),
            is_system: true,
            place: text(link),
            starts: true,
            ..ScheduleFact::default()
        });
    }
    if !facts.schedules.is_empty() {
        facts.schedules_unknown = None;
    }
}

/// How many unrecognised files the oldest run of the last month saw.
pub(super) fn unrecognised_before(summaries: &[Record], ctx: &Context) -> Option<u64> {
    let is_recent = |record: &Record| ctx.env.now.signed_duration_since(record.time) <= MONTH;
    let oldest = summaries.iter().rfind(|record| is_recent(record) && record.is_of_enforce())?;
    oldest.fields.get("counts")?.get("unrecognised")?.as_u64()
}
