use super::*;
use proptest::prelude::*;

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
}

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

fn sight(now: i64, built: i64, ledger: Option<i64>, stores: Option<i64>) -> ClockSight {
    ClockSight { now: at(now), built: at(built), ledger: ledger.map(at), stores: stores.map(at) }
}

/// Runs one after the other, as an unattended machine would: an allowed run is seen by the ledger.
fn replay(built: i64, mut ledger: Option<i64>, runs: &[i64]) -> Vec<bool> {
    let mut doubt = None;
    runs.iter()
        .map(|now| {
            let (verdict, next) = clock(&sight(*now, built, ledger, None), doubt.as_ref());
            doubt = next;
            if verdict.is_allowed() {
                ledger = Some(*now);
            }
            verdict.is_allowed()
        })
        .collect()
}

#[test]
fn bounds_of_the_clock_are_exact() {
    let allowed = |now, built, ledger, stores| clock(&sight(now, built, ledger, stores), None).0.is_allowed();
    assert!(allowed(0, 0, None, None));
    assert!(!allowed(-1, 0, None, None));
    assert!(allowed(0, -999 * DAY, Some(DAY - 1), None));
    assert!(!allowed(0, -999 * DAY, Some(DAY), None));
    assert!(allowed(45 * DAY - 1, -999 * DAY, Some(0), None));
    assert!(!allowed(45 * DAY, -999 * DAY, Some(0), None));
    // A date of a store that lies in the future proves nothing; one before now does.
    assert!(allowed(0, -999 * DAY, None, Some(10 * DAY)));
    assert!(!allowed(0, -999 * DAY, None, Some(-45 * DAY)));
    assert!(allowed(0, -999 * DAY, Some(-50 * DAY), Some(-44 * DAY)));
}

#[test]
fn a_doubted_run_does_not_vouch_for_itself() {
    let wrong = 3650 * DAY;
    assert_eq!(replay(0, Some(0), &[wrong, wrong + 1, wrong + 2, wrong + 23 * HOUR]), [false; 4]);
    assert_eq!(
        replay(0, Some(0), &[wrong, wrong + DAY - 1, wrong + DAY, wrong + DAY + 1]),
        [false, false, true, true]
    );
}

#[test]
fn a_clock_that_jumps_is_never_agreed() {
    let wrong = 3650 * DAY;
    // There and back again: each return to the right time ends the doubt.
    assert_eq!(
        replay(0, Some(0), &[wrong, HOUR, wrong + DAY, 2 * HOUR, wrong + 2 * DAY, 3 * HOUR]),
        [false, true, false, true, false, true]
    );
    // Ever further ahead, and to and fro within the doubted time.
    assert_eq!(replay(0, Some(0), &[wrong, 2 * wrong, 3 * wrong]), [false; 3]);
    assert_eq!(replay(0, Some(0), &[wrong, wrong + 20 * HOUR, wrong + HOUR, wrong + 24 * HOUR]), [false; 4]);
}

#[test]
fn a_clock_before_the_build_is_agreed_once() {
    let built = 100 * DAY;
    assert_eq!(replay(built, None, &[0, DAY, DAY + 1, 3 * DAY]), [false, true, true, true]);
    assert_eq!(replay(built, None, &[0, DAY, HOUR, DAY + 1, DAY + HOUR]), [false, true, false, false, true]);
}

#[test]
fn a_clock_that_went_on_by_as_much_as_is_doubted_is_not_agreed() {
    let wrong = 3650 * DAY;
    assert_eq!(replay(0, Some(0), &[wrong, wrong + 45 * DAY - 1]), [false, true]);
    assert_eq!(replay(0, Some(0), &[wrong, wrong + 45 * DAY]), [false, false]);
}

#[test]
fn the_refusal_says_when_and_how_it_is_lifted() {
    let (verdict, _) = clock(&sight(100 * DAY, 0, Some(0), None), None);
    let ClockVerdict::Refused(refusal) = verdict else { panic!("{verdict:?}") };
    assert_eq!((refusal.since, refusal.lifts_at), (at(100 * DAY), at(101 * DAY)));
    let text = refusal.to_string();
    for part in ["2025-01-12", "45 days", "2024-10-04", "ccretain enforce"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

fn load(due: usize, total: usize) -> Load {
    Load { due, total }
}

#[test]
fn bounds_of_the_mass_guard_are_exact() {
    let alone = |guard: &MassGuard, load| mass(guard, load, None, &mut Vec::new());
    let refused = |max_share, min_sessions, due, total| {
        alone(&MassGuard::On { max_share, min_sessions }, load(due, total)).is_some()
    };
    assert!(!refused(0.5, 20, 20, 40));
    assert!(refused(0.5, 20, 21, 40));
    assert!(refused(0.5, 20, 20, 39));
    assert!(!refused(0.5, 20, 19, 19));
    assert!(!refused(1.0, 0, 40, 40));
    assert!(!refused(0.1, 0, 1, 10));
    assert!(!refused(0.3, 0, 3, 10));
    assert!(refused(0.0, 0, 1, 1_000_000));
    assert!(!refused(0.0, 0, 0, 0));
    assert!(refused(f64::NAN, 0, 1, 10));
    assert!(alone(&MassGuard::Off, load(40, 40)).is_none());
    let text = alone(&MassGuard::default(), load(3708, 4889)).unwrap().to_string();
    assert!(text.starts_with("this run would delete 3,708 of 4,889 sessions (76 %)"), "{text}");
    assert!(text.contains("above 50 %") && text.contains(LIFTED_BY), "{text}");
}

/// Runs one after the other, each at its minute with its policy and its number of due sessions.
struct Runs {
    patience: Patience,
    reports: Vec<MassReport>,
}

impl Runs {
    fn of(patience: Patience) -> Self {
        Self { patience, reports: Vec::new() }
    }

    fn pass(&mut self, minute: i64, policy: &str, due: usize) -> bool {
        let grace = Some(MassGrace { now: at(minute), policy, patience: self.patience });
        mass(&MassGuard::default(), load(due, 40), grace, &mut self.reports).is_none()
    }
}

#[test]
fn managed_rules_wait_a_day_with_the_same_policy() {
    let mut runs = Runs::of(Patience::MANAGED);
    assert!(!runs.pass(0, "a", 30));
    assert!(!runs.pass(DAY - 1, "a", 30));
    assert!(!runs.pass(DAY, "b", 30), "another policy has reported nothing yet");
    assert!(runs.pass(DAY, "a", 30));
    assert!(runs.pass(DAY + 1, "a", 2));
    assert!(!runs.pass(3 * DAY, "a", 30), "what is over is reported anew");
    assert!(!runs.pass(2 * DAY, "a", 30), "a report from the future is no report");
    assert!(runs.pass(3 * DAY, "a", 30));
}

#[test]
fn other_rules_wait_a_week_and_two_refusals() {
    let mut daily = Runs::of(Patience::OTHERS);
    for day in 0..7 {
        assert!(!daily.pass(day * DAY, "a", 30), "day {day}");
    }
    assert!(daily.pass(7 * DAY, "a", 30));
    let mut weekly = Runs::of(Patience::OTHERS);
    assert!(!weekly.pass(0, "a", 30));
    assert!(!weekly.pass(7 * DAY, "a", 30), "one refusal is not two");
    assert!(weekly.pass(14 * DAY, "a", 30));
    let mut edited = Runs::of(Patience::OTHERS);
    assert!(!edited.pass(0, "a", 30) && !edited.pass(DAY, "a", 30));
    assert!(!edited.pass(7 * DAY, "b", 30), "an edited policy begins anew");
    assert!(edited.pass(7 * DAY, "a", 30));
    let mut mended = Runs::of(Patience::OTHERS);
    assert!(!mended.pass(0, "a", 30) && !mended.pass(DAY, "a", 30) && mended.pass(2 * DAY, "a", 1));
    assert!(!mended.pass(8 * DAY, "a", 30), "what is over is reported anew");
}

#[test]
fn a_report_of_a_policy_that_is_not_in_force_is_kept_for_45_days() {
    let mut runs = Runs::of(Patience::MANAGED);
    assert!(!runs.pass(0, "a", 30));
    let known = |runs: &Runs| runs.reports.iter().any(|report| report.policy == "a");
    assert!(runs.pass(45 * DAY - 1, "b", 0) && known(&runs));
    assert!(runs.pass(45 * DAY, "b", 0) && !known(&runs));
}

#[test]
fn a_refusal_says_when_runs_go_on_by_themselves() {
    let of = |patience| {
        let grace = Some(MassGrace { now: at(0), policy: "a", patience });
        mass(&MassGuard::default(), load(30, 40), grace, &mut Vec::new()).unwrap()
    };
    let managed = of(Patience::MANAGED);
    assert_eq!(managed.lifts, Some((at(DAY), 1)));
    assert!(managed.to_string().ends_with("runs delete them from 2024-10-05 00:00 UTC on"), "{managed}");
    let other = of(Patience::OTHERS).to_string();
    assert!(other.ends_with("from 2024-10-11 00:00 UTC on, once 2 of them were refused"), "{other}");
}

#[test]
fn a_report_of_an_earlier_version_still_counts() {
    let old = r#"[{"policy": "a", "store": "/x", "firstReported": "2024-10-04T00:00:00Z"},
        {"policy": "a", "store": "/y", "firstReported": "2024-10-04T12:00:00Z"}]"#;
    let mut runs = Runs { patience: Patience::MANAGED, reports: serde_json::from_str(old).unwrap() };
    assert!(runs.pass(DAY, "a", 30));
    assert_eq!(runs.reports.len(), 1);
}

proptest! {
    #[test]
    fn allowed_and_refused_are_what_the_words_say(
        now in -200 * DAY..200 * DAY,
        built in -200 * DAY..200 * DAY,
        ledger in proptest::option::of(-200 * DAY..200 * DAY),
        stores in proptest::option::of(-200 * DAY..200 * DAY),
    ) {
        let seen = ledger.into_iter().chain(stores.filter(|date| *date <= now)).max();
        let doubted = now < built || seen.is_some_and(|seen| now <= seen - DAY || now >= seen + 45 * DAY);
        let (verdict, doubt) = clock(&sight(now, built, ledger, stores), None);
        prop_assert_eq!(verdict.is_allowed(), !doubted);
        prop_assert_eq!(doubt.is_some(), doubted);
    }

    /// Whatever was remembered: an allowed clock is either plausible, or was doubted a day ago and
    /// has not gone back since; and the doubt that is remembered never gets older than it was.
    #[test]
    fn a_doubtful_clock_is_allowed_only_by_a_run_a_day_ago(
        now in 0..400 * DAY,
        since in -100 * DAY..500 * DAY,
        later in -10 * DAY..100 * DAY,
    ) {
        let doubt = ClockDoubt { since: at(since), latest: at(since + later) };
        let doubtful = sight(now, 1000 * DAY, None, None);
        let (verdict, next) = clock(&doubtful, Some(&doubt));
        let next = next.unwrap();
        prop_assert_eq!(next.latest, at(now));
        prop_assert!(next.since == at(now) || next.since == doubt.since);
        if verdict.is_allowed() {
            prop_assert!(doubt.since <= doubt.latest && doubt.latest <= at(now));
            prop_assert!(at(now) - doubt.since >= GRACE && at(now) - doubt.latest < AHEAD);
        } else {
            prop_assert!(at(now) - next.since < GRACE);
        }
    }

    /// Any sequence of runs: one that is allowed in doubt has behind it a run at least a day
    /// earlier, and from that run on no step back and no step of 45 days.
    #[test]
    fn agreement_is_an_unbroken_walk_of_a_day(steps in proptest::collection::vec(
        prop_oneof![4 => 0..12 * HOUR, 1 => -12 * HOUR..0, 1 => 40 * DAY..50 * DAY], 1..40,
    )) {
        let mut now = 1000 * DAY;
        let runs: Vec<i64> = steps.iter().map(|step| { now += step; now }).collect();
        // The build date keeps every run in doubt.
        for (index, allowed) in replay(9_999_999 * DAY / 100, None, &runs).into_iter().enumerate() {
            let mut first = index;
            while first > 0 && (0..45 * DAY).contains(&(runs[first] - runs[first - 1])) {
                first -= 1;
            }
            prop_assert_eq!(allowed, runs[index] - runs[first] >= DAY, "run {} of {:?}", index, runs);
        }
    }

    /// With the same memory, waiting never turns an agreed clock into a doubted one before the
    /// next doubt would be due.
    #[test]
    fn time_only_strengthens(since in 0..DAY, wait in 0..44 * DAY, more in 0..DAY) {
        let doubt = ClockDoubt { since: at(since), latest: at(since) };
        let allowed = |now| clock(&sight(now, 1000 * DAY, None, None), Some(&doubt)).0.is_allowed();
        prop_assert!(!allowed(since + wait) || allowed(since + wait + more));
    }

    #[test]
    fn mass_is_refused_exactly_above_both_bounds(
        due in 0usize..200, rest in 0usize..200, percent in 0u32..=100, min_sessions in 0usize..60,
        grace in proptest::bool::ANY,
    ) {
        let total = due + rest;
        let guard = MassGuard::On { max_share: f64::from(percent) / 100.0, min_sessions };
        let grace = grace.then_some(MassGrace { now: at(0), policy: "p", patience: Patience::MANAGED });
        let refused = mass(&guard, load(due, total), grace, &mut Vec::new());
        let over = due * 100 > total * percent as usize && due >= min_sessions;
        prop_assert_eq!(refused.is_some(), over);
        if let Some(refusal) = refused {
            prop_assert_eq!((refusal.due, refusal.total), (due, total));
        }
    }

    /// More that is due, or a tighter bound, never turns a refusal into a pass.
    #[test]
    fn more_is_never_safer(due in 0usize..100, more in 0usize..20, rest in 20usize..200, percent in 0u32..=100) {
        let total = 100 + 20 + rest;
        let refused = |percent: u32, due: usize| {
            let guard = MassGuard::On { max_share: f64::from(percent) / 100.0, min_sessions: 20 };
            mass(&guard, load(due, total), None, &mut Vec::new()).is_some()
        };
        prop_assert!(!refused(percent, due) || refused(percent, due + more));
        prop_assert!(!refused(percent, due) || refused(percent / 2, due));
    }
}
