//! The guards of an unattended run: a clock that cannot be right, and a deletion that is too large.
//!
//! Pure: what was seen and what is remembered go in; a verdict and what to remember come out. A
//! refusal is a value, so that a person at a terminal can be asked; it is for the caller to put it
//! into the ledger, `status` and `check`.
//!
//! A refused clock stops deleting and pruning and never sealing.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::policy::MassGuard;
use crate::words::grouped;

/// A clock this much before the time last seen is doubted.
const BEHIND: TimeDelta = TimeDelta::days(1);
/// A clock this much after the time last seen is doubted.
const AHEAD: TimeDelta = TimeDelta::days(45);
/// How long after the first doubt, or the first report, a run may go on.
const GRACE: TimeDelta = TimeDelta::hours(24);
/// How long a report of a mass deletion is remembered for a policy that is not in force.
const REPORT_KEPT: TimeDelta = TimeDelta::days(45);

/// The command that lifts any refusal: at a terminal it asks.
pub const LIFTED_BY: &str = "ccretain enforce";

/// What a doubted clock has said so far; remembered in state between runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockDoubt {
    /// The time of the first run in doubt, by the doubted clock.
    pub since: DateTime<Utc>,
    /// The time of the latest run in doubt, by the doubted clock.
    pub latest: DateTime<Utc>,
}

/// What the clock is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSight {
    /// The time of the run.
    pub now: DateTime<Utc>,
    /// Midnight of the day the program was built.
    pub built: DateTime<Utc>,
    /// The newest time in the ledger that a proven clock wrote ([`crate::ledger::last_time`]).
    pub ledger: Option<DateTime<Utc>>,
    /// The newest date of any store that is not later than `now`; a later one is ignored here too.
    pub stores: Option<DateTime<Utc>>,
}

impl ClockSight {
    /// The newest of ledger times and of store dates not later than now.
    pub fn last_seen(&self) -> Option<DateTime<Utc>> {
        // A date ahead of now in a store may be anybody's; that the ledger is ahead of the clock is what is
        // looked for.
        self.ledger.max(self.stores.filter(|date| *date <= self.now))
    }
}

/// Why a clock is doubted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockFault {
    /// It is before the day the program was built.
    BeforeBuild {
        /// That day.
        built: DateTime<Utc>,
    },
    /// It is a day or more before the time last seen.
    Behind { last_seen: DateTime<Utc> },
    /// It is 45 days or more after the time last seen.
    Ahead { last_seen: DateTime<Utc> },
}

/// A clock that is not believed; nothing is deleted or pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock says {}, {}: nothing is deleted until a run at or after {} finds a clock that has gone on from there; \
     if the clock is right, '{LIFTED_BY}' in a terminal asks, and continues",
    now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true), Words(*why),
    lifts_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
)]
pub struct ClockRefusal {
    /// The time of the run.
    pub now: DateTime<Utc>,
    /// What is wrong with it.
    pub why: ClockFault,
    /// The time of the first run in doubt.
    pub since: DateTime<Utc>,
    /// From when on a run whose clock has gone on normally is believed.
    pub lifts_at: DateTime<Utc>,
}

struct Words(ClockFault);

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let day = |time: DateTime<Utc>| time.format("%Y-%m-%d");
        match self.0 {
            ClockFault::BeforeBuild { built } => {
                write!(f, "which is before this program was built ({})", day(built))
            }
            ClockFault::Behind { last_seen } => {
                write!(f, "a day or more before the time last seen ({})", day(last_seen))
            }
            ClockFault::Ahead { last_seen } => {
                write!(f, "45 days or more after the time last seen ({})", day(last_seen))
            }
        }
    }
}

/// What the clock guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockVerdict {
    /// The run may delete, and its time counts as seen.
    Allowed,
    /// The run deletes and prunes nothing, and its time does not count as seen.
    Refused(ClockRefusal),
}

impl ClockVerdict {
    /// Whether the clock is believed.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed)
    }
}

/// Judges the clock; returns the verdict and the doubt to remember instead of `doubt`.
pub fn clock(sight: &ClockSight, doubt: Option<&ClockDoubt>) -> (ClockVerdict, Option<ClockDoubt>) {
    // A doubt is lifted by a second run at least 24 h after the first whose clock agrees with it: from run to
    // run it never went back, and never ahead by as much as is doubted (45 days). A run that does not agree
    // begins the doubt anew. A clock that is no longer doubtful ends it.
    let now = sight.now;
    let Some(why) = fault(sight) else { return (ClockVerdict::Allowed, None) };
    let agreed = doubt.filter(|doubt| {
        doubt.since <= doubt.latest && doubt.latest <= now && now.signed_duration_since(doubt.latest) < AHEAD
    });
    // A run that contradicts the one before begins anew: a clock that jumps must not wait out its own doubt.
    let since = agreed.map_or(now, |doubt| doubt.since);
    // Remembered even when agreed: a program with a build date in the future stays in doubt.
    let remembered = Some(ClockDoubt { since, latest: now });
    if now.signed_duration_since(since) >= GRACE {
        return (ClockVerdict::Allowed, remembered);
    }
    let lifts_at = since.checked_add_signed(GRACE).unwrap_or(DateTime::<Utc>::MAX_UTC);
    (ClockVerdict::Refused(ClockRefusal { now, why, since, lifts_at }), remembered)
}

fn fault(sight: &ClockSight) -> Option<ClockFault> {
    let ClockSight { now, built, .. } = *sight;
    // A clock of 1970, or of the day on which its battery died, is behind the program itself.
    if now < built {
        return Some(ClockFault::BeforeBuild { built });
    }
    let last_seen = sight.last_seen()?;
    if last_seen.signed_duration_since(now) >= BEHIND {
        return Some(ClockFault::Behind { last_seen });
    }
    // A jump ahead makes everything due at once. A laptop that lay in a drawer looks the same: for a day only.
    (now.signed_duration_since(last_seen) >= AHEAD).then_some(ClockFault::Ahead { last_seen })
}

/// How many of a user's sessions the rules of one guard would delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Sessions that are due for deletion.
    pub due: usize,
    /// All sessions that count, sealed ones included.
    pub total: usize,
}

/// That a policy would have deleted much at once; remembered in state between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MassReport {
    /// The digest of the policy.
    pub policy: String,
    /// The time of the first run that reported it.
    pub first_reported: DateTime<Utc>,
    /// How many runs have reported it.
    #[serde(default = "once")]
    pub times: u32,
}

/// What versions before this count stand for.
fn once() -> u32 {
    1
}

/// A deletion that is too large to go unasked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "this run would delete {} of {} sessions ({:.0} %); unattended runs stop above {:.0} %. \
     Run `{LIFTED_BY}` in a terminal to confirm, or set \"guard\" in the policy{}",
    grouped(*due as u64), grouped(*total as u64), share * 100.0, max_share * 100.0, Left(*lifts)
)]
pub struct MassRefusal {
    /// Sessions that are due.
    pub due: usize,
    /// All sessions that count.
    pub total: usize,
    /// The share that is due, 0 to 1.
    pub share: f64,
    /// The share that is allowed.
    pub max_share: f64,
    /// From when on a run goes on by itself, and after how many refusals; `None` where the clock is
    /// not believed.
    pub lifts: Option<(DateTime<Utc>, u32)>,
}

/// What becomes of a refusal that is left alone, in words.
struct Left(Option<(DateTime<Utc>, u32)>);

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some((at, refusals)) = self.0 else { return Ok(()) };
        write!(f, "; left alone, runs delete them from {} UTC on", at.format("%Y-%m-%d %H:%M"))?;
        match refusals {
            0 | 1 => Ok(()),
            several => write!(f, ", once {several} of them were refused"),
        }
    }
}

/// How long the same refusal has to stand, and how often, until a run passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The time since the first.
    pub span: TimeDelta,
    /// The number of refusals.
    pub refusals: u32,
}

impl Patience {
    /// That of managed rules: nobody is at the terminal of a managed machine.
    pub const MANAGED: Self = Self { span: GRACE, refusals: 1 };
    /// That of all other rules: an unattended machine must not be stopped for ever.
    pub const OTHERS: Self = Self { span: TimeDelta::days(7), refusals: 2 };
}

/// What lets a refusal pass in the end.
#[derive(Debug, Clone, Copy)]
pub struct MassGrace<'a> {
    /// The time of the run; its clock must be believed ([`ClockVerdict::Allowed`]), else there is
    /// no grace to be had: pass `None` instead of this.
    pub now: DateTime<Utc>,
    /// The digest that must be the same as then.
    pub policy: &'a str,
    /// How long it takes.
    pub patience: Patience,
}

/// Judges the deletions of the rules of one guard; takes note of a refusal in `reports`.
pub fn mass(
    guard: &MassGuard,
    load: Load,
    grace: Option<MassGrace<'_>>,
    reports: &mut Vec<MassReport>,
) -> Option<MassRefusal> {
    // Refused is what has `due / total` above `maxShare` and `due` at least `minSessions`, unless the same
    // digest reported it often enough and long enough ago. A report ends when a run of its policy is within the
    // bounds.
    let over = exceeded(guard, load);
    let Some(MassGrace { now, policy, patience }) = grace else { return over };
    // Versions before this had a report a store.
    let known: Vec<MassReport> = reports.extract_if(.., |report| report.policy == policy).collect();
    reports.retain(|report| now.signed_duration_since(report.first_reported) < REPORT_KEPT);
    let mut refusal = over?;
    // A report from the future was dated by a clock that has been put right since.
    let known = known.into_iter().filter(|report| report.first_reported <= now);
    let known = known.min_by_key(|report| report.first_reported);
    let (first_reported, times) = known.map_or((now, 0), |report| (report.first_reported, report.times));
    let passes = now.signed_duration_since(first_reported) >= patience.span && times >= patience.refusals;
    let times = if passes { times } else { times.saturating_add(1) };
    reports.push(MassReport { policy: policy.to_owned(), first_reported, times });
    reports.sort_by(|a, b| a.policy.cmp(&b.policy));
    refusal.lifts = first_reported.checked_add_signed(patience.span).map(|at| (at, patience.refusals));
    (!passes).then_some(refusal)
}

fn exceeded(guard: &MassGuard, load: Load) -> Option<MassRefusal> {
    let MassGuard::On { max_share, min_sessions } = *guard else { return None };
    let Load { due, total } = load;
    // A user of three sessions, of which two are due, is not about to lose everything by mistake.
    if due == 0 || due < min_sessions {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "no user has 2^52 sessions")]
    let share = due as f64 / total as f64;
    // A bound that is no number allows nothing.
    let within = share <= max_share;
    (!within).then_some(MassRefusal { due, total, share, max_share, lifts: None })
}

#[cfg(test)]
#[path = "guard/tests.rs"]
mod tests;
