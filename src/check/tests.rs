use crate::policy::own::{Loose, Writer};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::client::{ClientFacts, Row};
use super::facts::{Amount, CameBack, LedgerFact, RefusedFact, ScheduleFact, StoreFacts};
use super::modes::{Count, OwnMode, Reach, StoreModes};
use super::*;
use crate::exposure::{self, RISKS, Seen};
use crate::findings::TABLE;
use crate::inventory::SessionIndex;
use crate::ledger::Deletion;

fn now() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// A machine with which nothing is wrong.
fn clean() -> Facts {
    let mut facts = Facts { now: now(), grace: TimeDelta::days(1), ..Facts::default() };
    facts.runs.last = Some((now() - TimeDelta::hours(5), 0));
    facts.runs.last_well = facts.runs.last.map(|(at, _)| at);
    facts.runs.schedules =
        vec![ScheduleFact { backend: "cron".into(), starts: true, ..ScheduleFact::default() }];
    facts.stores =
        vec![StoreFacts { root: "/s".into(), kind: "config", sessions: 3, ..StoreFacts::default() }];
    facts.modes.stores =
        vec![StoreModes { root: "/s".into(), mode: 0o700, is_own: true, ..StoreModes::default() }];
    facts
}

fn amount() -> Amount {
    Amount { sessions: 1, files: 2, lines: 0, bytes: 9, oldest: Some(now() - TimeDelta::days(9)) }
}

fn client(subject: &'static str, state: &str, decided_by: &'static str) -> ClientFacts {
    let row = Row { subject, setting: "X", state: state.into(), decided_by, path: None, pinned: false };
    ClientFacts { store: "/s".into(), rows: vec![row], ..ClientFacts::default() }
}

type Change = (&'static str, fn(&mut Facts));

/// For every row of the table, what makes it appear.
const CHANGES: &[Change] = &[
    ("overdue", |facts| facts.stores[0].overdue = amount()),
    ("overdue", |facts| facts.stores[0].overdue.lines = 1),
    ("unsealed", |facts| facts.stores[0].unsealed = amount()),
    ("leftovers", |facts| facts.stores[0].leftovers = amount()),
    ("run-missing", |facts| (facts.runs.last, facts.runs.last_well) = (None, None)),
    ("run-missing", |facts| (facts.runs.last, facts.runs.last_well) = (Some((now(), 1)), None)),
    ("run-late", |facts| facts.runs.last_well = Some(now() - TimeDelta::days(4))),
    ("run-failed", |facts| facts.runs.last = Some((now(), 4))),
    ("schedule-missing", |facts| facts.runs.schedules.clear()),
    ("schedule-broken", |facts| facts.runs.schedules[0].starts = false),
    ("schedule-broken", |facts| facts.runs.schedules[0].active = Some(false)),
    ("schedule-version", |facts| facts.runs.schedules[0].other_version = Some("ccretain 9".into())),
    ("schedule-twice", |facts| facts.runs.schedules.extend(facts.runs.schedules.clone())),
    ("schedule-unknown", |facts| facts.runs.schedules_unknown = Some("no".into())),
    ("ledger-broken", |facts| facts.runs.ledger = LedgerFact::Broken("line 3".into())),
    ("ledger-cut", |facts| facts.runs.ledger = LedgerFact::Cut(Vec::new())),
    ("ledger-unreadable", |facts| facts.runs.ledger = LedgerFact::Unreadable("no".into())),
    ("ledger-unwritable", |facts| facts.runs.unwritable = Some("no".into())),
    ("state-unreadable", |facts| facts.runs.state = Some("no".into())),
    ("guard-refusal", |facts| facts.runs.refusals = vec!["too much".into()]),
    ("sealed-to-others", |facts| facts.sealed.to_others = 1),
    ("sealed-to-unknown", |facts| (facts.sealed.to_unknown, facts.sealed.has_recipients) = (1, true)),
    ("sealed-unreadable", |facts| facts.sealed.unreadable = vec![("id".into(), "no".into())]),
    ("sealed-redated", |facts| facts.sealed.redated = 1),
    ("copies-left", |facts| facts.left_copies = (vec!["hold 'x'".into()], 1)),
    ("unrecognised-growing", |facts| {
        (facts.unruled.unrecognised, facts.unruled.unrecognised_before) = (30, Some(3));
    }),
    ("unrecognised", |facts| facts.unruled.unrecognised = 1),
    ("no-delete-rule", |facts| facts.unruled.no_delete_rule = 1),
    ("future-dated", |facts| facts.unruled.future_dated = 1),
    ("undated", |facts| facts.unruled.undated = 1),
    ("owner-unknown", |facts| facts.unruled.owner_unknown = 1),
    ("held-vanished", |facts| facts.vanished = vec!["session x".into()]),
    ("client-newer", |facts| {
        facts.untried.versions = vec![("2.2.0".parse().unwrap(), 3)];
        facts.untried.shapes = vec![("new/<n>.bin".to_owned(), 2)];
    }),
    ("came-back", |facts| {
        facts.came_back = vec![CameBack {
            what: facts::What::Session(SessionIndex::of(0)),
            store: "/s".into(),
            session: "0a0b0c0d-0000-4000-8000-000000000001".parse().unwrap(),
            copy: None,
            deletion: Deletion { time: now(), run: "x".into() },
        }];
    }),
    ("root-missing", |facts| {
        facts.refused = vec![RefusedFact { path: "/gone".into(), why: "gone".into(), is_missing: true }];
    }),
    ("root-refused", |facts| {
        facts.refused = vec![RefusedFact { path: "/other".into(), why: "no".into(), is_missing: false }];
    }),
    ("out-of-reach", |facts| facts.out_of_reach = vec![("/x".into(), "no".into())]),
    ("unreadable", |facts| facts.unread = vec![("/x".into(), "no".into())]),
    ("policy-invalid", |facts| facts.policy.invalid = Some("no".into())),
    ("policy-complaint", |facts| facts.policy.complaints = vec!["no".into()]),
    ("policy-ignored", |facts| facts.policy.ignored = vec!["no".into()]),
    ("policy-suspended", |facts| facts.policy.suspended = Some("no".into())),
    ("kept-past-due", |facts| facts.past_due = [("quiet", 1)].into()),
    ("lock-held", |facts| facts.runs.locked = vec![("/x".into(), facts.now)]),
    ("audit-mode", |facts| facts.policy.audits = true),
    ("store-readable", |facts| facts.modes.stores[0].mode = 0o755),
    ("store-group-writable", |facts| {
        (facts.modes.stores[0].mode, facts.modes.stores[0].group_writes) = (0o770, true);
    }),
    ("files-readable", |facts| facts.modes.stores[0].readable = Count { files: 1, bytes: 1 }),
    ("files-readable", |facts| facts.modes.stores[0].behind = Count { files: 1, bytes: 1 }),
    ("credentials-loose", |facts| {
        facts.modes.stores[0].secrets = vec![("/s/.credentials.json".into(), 0o644, Reach::Everybody)];
    }),
    ("heap-snapshot", |facts| facts.stores[0].heap.files = 1),
    ("identity-loose", |facts| {
        facts.modes.own = vec![OwnMode { path: "/i".into(), mode: 0o644, is_identity: true }];
    }),
    ("own-files-loose", |facts| {
        facts.modes.own = vec![OwnMode { path: "/l".into(), mode: 0o755, is_identity: false }];
    }),
    ("policy-writable", |facts| {
        facts.modes.loose = vec![Loose { path: "/p".into(), by: Writer::Owner(1) }];
    }),
    ("client-period-shorter", |facts| {
        facts.clients = vec![ClientFacts::default()];
        facts.clients[0].period.shorter = Some((7, "30d".into()));
    }),
    ("client-removes-held", |facts| {
        facts.clients = vec![ClientFacts::default()];
        facts.clients[0].period.held = (1, Some(now()));
    }),
    ("client-period-longer", |facts| {
        facts.clients = vec![ClientFacts::default()];
        facts.clients[0].period.longer = Some((99_999, "30d".into()));
    }),
    ("client-sweep-paused", |facts| {
        facts.clients = vec![ClientFacts::default()];
        facts.clients[0].period.paused = Some("broken".into());
    }),
    ("client-period-overridden", |facts| {
        facts.clients = vec![ClientFacts::default()];
        facts.clients[0].period.overridden = vec!["/p".into()];
    }),
    ("client-zero-period", |facts| {
        facts.clients = vec![ClientFacts::default()];
        facts.clients[0].period.zero = vec!["/p".into()];
    }),
    ("client-desktop-kept", |facts| {
        facts.clients = vec![ClientFacts::default()];
        facts.clients[0].period.desktop = 2;
    }),
    ("client-metrics", |facts| facts.clients = vec![client("metrics", "on", "default")]),
    ("client-error-reports", |facts| facts.clients = vec![client("error-reports", "on", "default")]),
    ("client-feedback", |facts| facts.clients = vec![client("feedback", "on", "default")]),
    ("client-survey", |facts| facts.clients = vec![client("survey", "on", "default")]),
    ("client-switch-overridden", |facts| {
        facts.clients = vec![ClientFacts { overridden: vec!["metrics".into()], ..ClientFacts::default() }];
    }),
    ("client-switch-odd", |facts| {
        facts.clients = vec![ClientFacts { odd: vec!["X".into()], ..ClientFacts::default() }];
    }),
    ("client-provider", |facts| facts.clients = vec![client("provider", "Amazon Bedrock", "user")]),
    ("client-writes-nothing", |facts| facts.clients = vec![client("transcripts", "not written", "user")]),
    ("server-side-retention", |facts| facts.clients = vec![client("metrics", "off", "user")]),
];

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(evaluate(&clean()), []);
}

#[test]
fn each_finding_appears_where_it_should_and_says_what_to_do() {
    for (id, change) in CHANGES {
        let mut facts = clean();
        change(&mut facts);
        let findings = evaluate(&facts);
        let found = findings.iter().find(|finding| finding.id == *id);
        let found = found.unwrap_or_else(|| panic!("no {id} in {findings:?}"));
        assert!(!found.remedy.is_empty() && !found.title.is_empty(), "{id}");
        assert!(TABLE.iter().any(|known| known.id == *id && known.title == found.title), "{id}");
    }
    for known in TABLE {
        // Those are made where the accounts are put together.
        let is_tried = known.id.starts_with("account-") || CHANGES.iter().any(|(id, _)| *id == known.id);
        assert!(is_tried, "{} is in the table and nothing shows it", known.id);
        assert_eq!(TABLE.iter().filter(|other| other.id == known.id).count(), 1, "{}", known.id);
        assert!(known.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", known.id);
        assert!(!RISKS.iter().any(|row| row.id == known.id && known.id != "server-side-retention"));
    }
}

#[test]
fn what_the_machine_exposes_is_found_and_what_is_unknown_is_not() {
    for row in RISKS {
        for (seen, is_told) in [(Seen::Yes, true), (Seen::No, false), (Seen::Unknown("so".into()), false)] {
            let mut facts = clean();
            let evidence = vec![exposure::Evidence { path: Some("/x".into()), note: "seen".into() }];
            facts.exposure = vec![exposure::Finding { risk: row.risk, seen, evidence }];
            let is_doubt = matches!(facts.exposure[0].seen, Seen::Unknown(_));
            let findings = evaluate(&facts);
            // A doubt with something to show for it is worth a look, and no verdict.
            let told = findings
                .iter()
                .any(|finding| finding.id == row.id && (!is_doubt || finding.severity > Severity::Info));
            // What matters only for what was deleted is the certificate's to tell.
            let is_for_certificates = matches!(
                row.id,
                "cowork-vm-disk"
                    | "agent-worktrees"
                    | "checkpoint-refs"
                    | "project-files"
                    | "freed-blocks"
                    | "server-side-retention"
            );
            assert_eq!(told, is_told && !is_for_certificates, "{}", row.id);
        }
    }
}

#[test]
fn who_gets_to_it_says_how_bad_it_is() {
    let severity = |reach| {
        let mut facts = clean();
        let store = &mut facts.modes.stores[0];
        (store.mode, store.reach) = (0o755, reach);
        evaluate(&facts)[0].severity
    };
    let all = [Reach::Nobody, Reach::Group, Reach::Everybody].map(severity);
    assert_eq!(all, [Severity::Low, Severity::Medium, Severity::High]);
    let mut facts = clean();
    (facts.modes.stores[0].mode, facts.modes.stores[0].is_own) = (0o755, false);
    assert_eq!(evaluate(&facts), [], "a home folder is the user's own");
}

#[test]
fn a_weekly_schedule_that_was_answered_is_not_late() {
    let mut facts = clean();
    facts.runs.last_well = Some(now() - TimeDelta::days(6));
    assert!(evaluate(&facts).iter().any(|finding| finding.id == "run-late"));
    facts.runs.schedules[0].missed = Some(0);
    assert_eq!(evaluate(&facts), []);
    facts.runs.schedules[0].missed = Some(1);
    assert!(evaluate(&facts).iter().any(|finding| finding.id == "run-late"));
}

#[test]
fn much_evidence_is_cut_and_counted() {
    let mut facts = clean();
    facts.unread = (0..100).map(|at| (format!("/{at}"), "no".into())).collect();
    let found = &evaluate(&facts)[0];
    assert_eq!((found.evidence.len(), found.count), (NAMED + 1, Some(100)));
    assert_eq!(found.evidence.last().unwrap(), "and 92 more");
}

proptest! {
    #[test]
    fn the_verdict_is_that_of_the_worst_finding(
        chosen in proptest::collection::vec(0..CHANGES.len(), 0..6),
        threshold in 0..4_usize,
    ) {
        let mut facts = clean();
        for at in chosen {
            // One that was made before may have taken away what another changes.
            if facts.runs.schedules.is_empty() {
                facts.runs.schedules.push(ScheduleFact { starts: true, ..ScheduleFact::default() });
            }
            (CHANGES[at].1)(&mut facts);
        }
        let findings = evaluate(&facts);
        let threshold = Severity::ALL[threshold];
        let worst = findings.iter().map(|finding| finding.severity).max();
        prop_assert_eq!(is_compliant(&findings, threshold), worst.is_none_or(|worst| worst < threshold));
        prop_assert!(findings.is_sorted_by(|a, b| a.severity >= b.severity));
        prop_assert_eq!(&findings, &evaluate(&facts), "it is the same whenever it is asked");
    }
}
