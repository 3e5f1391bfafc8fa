//! Random policies.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::world::{IDS, STORES, before, id, root};
use super::*;
use crate::catalogue::KINDS;
use crate::policy::selector::{ProjectGlob, Selector};
use crate::policy::{
    Compression, DesktopDeleted, Hold, Layer, LedgerPolicy, MassGuard, Mode, RuleLayer, Source, Sourced,
};

fn source() -> Source {
    Source { layer: Layer::User, path: None }
}

fn sourced<T>(value: T) -> Sourced<T> {
    Sourced { value, source: source() }
}

fn period(of: &'static [&'static str]) -> impl Strategy<Value = Period> {
    select(of).prop_map(|text| text.parse().unwrap())
}

fn selector() -> impl Strategy<Value = Selector> {
    let glob =
        |text: &str| ProjectGlob::new(text, &[std::path::Path::new("/home/x")], Default::default()).unwrap();
    let globs = select(vec!["/work/acme/**", "/work/*", "/work/beta", "~/**", "/home/x"]);
    let all: Vec<Kind> = KINDS.iter().map(|row| row.kind).collect();
    let count = all.len();
    (
        prop::option::weighted(0.3, prop::collection::vec(globs, 1..3)),
        prop::option::weighted(0.25, subsequence(all, 0..=count)),
        prop::option::weighted(0.2, prop::collection::btree_set(0..IDS, 1..3)),
    )
        .prop_map(move |(projects, kinds, sessions)| Selector {
            projects: projects.map(|globs| globs.into_iter().map(glob).collect()),
            kinds: kinds.map(|kinds| kinds.into_iter().collect()),
            sessions: sessions.map(|ids| ids.into_iter().map(id).collect()),
            ..Selector::default()
        })
}

fn rule() -> impl Strategy<Value = Rule> {
    let delete = period(&["never", "immediately", "1h", "3d", "7d", "30d", "30d"]);
    let seal = period(&["never", "immediately", "1h", "1d"]);
    (selector(), prop::option::weighted(0.8, delete), prop::option::weighted(0.3, seal)).prop_map(
        |(selector, delete_after, seal_after)| Rule {
            name: "rule".to_owned(),
            // Loading refuses a `sealAfter` beside `kinds`.
            seal_after: seal_after.filter(|_| selector.kinds.is_none()),
            selector,
            delete_after,
        },
    )
}

fn hold() -> impl Strategy<Value = Hold> {
    (selector(), prop::option::of(-300i64..300)).prop_map(|(selector, until)| Hold {
        name: "hold".to_owned(),
        // Loading drops `kinds`: a hold covers whole sessions.
        selector: Selector { kinds: None, ..selector },
        reason: "because".to_owned(),
        until: until.map(|until| before(until).fixed_offset()),
        source: source(),
    })
}

/// A layer's rules, with `desktopDeleted` before them where it has that.
fn layer((desktop_deleted, rules): (bool, Vec<Rule>)) -> RuleLayer {
    let first = desktop_deleted.then(|| DesktopDeleted::Immediately.rule());
    RuleLayer { source: source(), rules: first.into_iter().chain(rules).collect() }
}

/// A random mandate.
pub fn mandate() -> impl Strategy<Value = Mandate> {
    (
        prop::collection::vec((prop::bool::weighted(0.2), prop::collection::vec(rule(), 0..4)), 0..3),
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(hold(), 1..3)],
        prop::option::weighted(0.3, period(&["1d", "14d", "60d", "never"])),
        period(&["1h", "1h", "3d", "immediately"]),
        select(vec![AgeBy::Record, AgeBy::Record, AgeBy::Mtime, AgeBy::Newest]),
        prop::option::weighted(0.2, 0..STORES),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(layers, holds, floor, quiet, age_by, excluded, is_managed)| Mandate {
            mode: sourced(Mode::Enforce),
            layers: layers.into_iter().map(layer).collect(),
            holds,
            keep_at_least: floor.map(sourced),
            quiet: sourced(quiet),
            age_by: sourced(age_by),
            guard: sourced(MassGuard::Off),
            is_managed,
            excluded_stores: excluded.map(|at| sourced(root(at))).into_iter().collect(),
            digest: String::new(),
        })
}

/// A mandate without rules.
pub fn silent(mode: Mode) -> Mandate {
    Mandate {
        mode: sourced(mode),
        layers: Vec::new(),
        holds: Vec::new(),
        keep_at_least: None,
        quiet: sourced("1h".parse().unwrap()),
        age_by: sourced(AgeBy::Record),
        guard: sourced(MassGuard::Off),
        is_managed: false,
        excluded_stores: Vec::new(),
        digest: String::new(),
    }
}

/// A random policy of one or two mandates.
pub fn policy() -> impl Strategy<Value = Policy> {
    prop::collection::vec(mandate(), 1..=2).prop_map(of)
}

pub fn of(mandates: Vec<Mandate>) -> Policy {
    Policy {
        digest: String::new(),
        sources: Vec::new(),
        mandates,
        suspended: None,
        recipients: Vec::new(),
        compression: sourced(Compression::None),
        extra_stores: Vec::new(),
        excluded_stores: Vec::new(),
        ledger: sourced(LedgerPolicy::default()),
        user_holds: sourced(true),
        complaints: Vec::new(),
        notes: Vec::new(),
        ignored: Vec::new(),
        said: Vec::new(),
    }
}

/// A policy with a rule for one kind of file before the rest: that goes first, and the rest is as old as it was.
pub fn one_kind_first() -> impl Strategy<Value = Policy> {
    let kinds = select(vec![Kind::Subagent, Kind::FileHistory, Kind::DebugLog, Kind::TempFile]);
    (policy(), kinds, period(&["1h", "3d", "7d"])).prop_map(|(mut policy, kind, period)| {
        let first = Rule {
            name: "first".to_owned(),
            selector: Selector { kinds: Some([kind].into_iter().collect()), ..Selector::default() },
            delete_after: Some(period),
            seal_after: None,
        };
        policy.mandates[0].layers.insert(0, RuleLayer { source: source(), rules: vec![first] });
        policy
    })
}

/// A mandate with a floor under two rules: one for a project, and a sooner one for the others.
pub fn floored() -> impl Strategy<Value = Policy> {
    let (own, others) = (period(&["30d", "90d"]), period(&["immediately", "3d"]));
    (policy(), own, others, period(&["7d", "14d", "60d"])).prop_map(|(mut policy, own, others, floor)| {
        let glob = ProjectGlob::new("/work/acme/**", &[], Default::default()).unwrap();
        let rule = |delete: Period, projects: Option<Vec<ProjectGlob>>| Rule {
            name: "rule".to_owned(),
            selector: Selector { projects, ..Selector::default() },
            delete_after: Some(delete),
            seal_after: None,
        };
        let rules = vec![rule(own, Some(vec![glob])), rule(others, None)];
        policy.mandates.truncate(1);
        policy.mandates[0].layers = vec![RuleLayer { source: source(), rules }];
        policy.mandates[0].keep_at_least = Some(sourced(floor));
        policy.mandates[0].holds.clear();
        policy
    })
}
