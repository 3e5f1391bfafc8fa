//! What is told about a decision is what it went by, on random inventories and random policies.

use proptest::prelude::*;

use super::policies::policy;
use super::world::{NOW, shared_paste, world};
use super::*;
use crate::inventory::{ArtifactIndex, SessionIndex};

/// What of an opinion a decision must be explained by.
fn explains(opinion: &Opinion, decision: Decision) -> bool {
    let applies = |action: Action, rule: RuleRef, due: DateTime<Utc>| {
        opinion.rules.contains(&Considered { rule, action, standing: Standing::Applies, due: Some(due) })
    };
    match decision {
        Decision::Delete(due) => applies(Action::Delete, due.rule(), due.since()),
        Decision::Seal(due) => applies(Action::Seal, due.rule(), due.since()),
        Decision::Keep(Keep::NotDue(when, rule)) => applies(Action::Delete, rule, when),
        Decision::Keep(Keep::KeepAtLeast(end)) => opinion.floor == Some(end),
        Decision::Keep(Keep::Held(hold)) => opinion.holds.contains(&hold),
        Decision::Keep(Keep::Quiet) => opinion.quiet_until.is_some_and(|until| until > NOW()),
        Decision::Keep(keep @ (Keep::Undated | Keep::FutureDated)) => opinion.date == Err(keep),
        Decision::Keep(Keep::NoRule) => !opinion.rules.iter().any(|rule| {
            rule.action == Action::Delete && rule.standing == Standing::Applies && rule.due.is_some()
        }),
        _ => true,
    }
}

/// A plan, and what is told of each session and of each file.
fn told(inventory: &Inventory, policy: &Policy) -> (Plan, Vec<Vec<Opinion>>, Vec<Vec<Opinion>>) {
    let sessions = (0..inventory.sessions.len()).map(|at| What::Session(SessionIndex::of(at)));
    let files = (0..inventory.artifacts.len()).map(|at| What::Artifact(ArtifactIndex::of(at)));
    let (plan, mut told) = explained(inventory, policy, NOW(), &sessions.chain(files).collect::<Vec<_>>());
    let of_files = told.split_off(inventory.sessions.len());
    (plan, told, of_files)
}

/// Whether a file is decided about by itself: a file of lines stays, whatever applies to its lines, and the record of
/// sealed files goes with the last of them.
fn is_decided_alone(artifact: &Artifact) -> bool {
    artifact.kind.is_none_or(|kind| kind.row().disposal == Disposal::File && kind != Kind::SealedRecord)
}

proptest! {
    #![proptest_config(worlds(400))]

    /// `explain` names the rule, hold or guard that decides, and the date it went by.
    #[test]
    fn what_is_told_is_what_decided(world in world(true), mut policy in policy()) {
        // Of two mandates, the weaker's reason is not the decision's.
        policy.mandates.truncate(1);
        let inventory = world.inventory();
        let (plan, of_sessions, of_files) = told(&inventory, &policy);
        for (at, (session, verdict)) in inventory.sessions.iter().zip(&plan.sessions).enumerate() {
            prop_assert_eq!(of_sessions[at].len(), 1);
            let told = &of_sessions[at][0];
            prop_assert_eq!(told.date.ok(), verdict.date);
            prop_assert!(explains(told, verdict.decision), "{verdict:?} {told:?}");
            // A hold that covers it decides, and one that does not is not told.
            let demand = Demand { of: &policy.mandates[0], inventory: &inventory, now: NOW() };
            prop_assert_eq!(!told.holds.is_empty(), demand.holds_session(session, Kind::Transcript));
            // It is told to be quiet exactly where it is.
            let is_quiet = demand.touches(session).into_iter().any(|at| demand.is_quiet(at));
            prop_assert_eq!(told.quiet_until.is_some_and(|until| until > NOW()), is_quiet);
            let floor = policy.mandates[0].keep_at_least.as_ref();
            let end = floor.zip(verdict.date).map(|(floor, date)| floor.value.after(date).unwrap_or(DateTime::<Utc>::MAX_UTC));
            prop_assert_eq!(told.floor, end);
            let applying = |action: Action| told.rules.iter().filter(move |rule| {
                rule.action == action && rule.standing == Standing::Applies
            });
            prop_assert_eq!(applying(Action::Delete).filter_map(|rule| rule.due).min(), verdict.deletion.map(|of| of.0));
            // Every action of every rule is told once, and in each layer the first that matches applies.
            for (layer, of) in policy.mandates[0].layers.iter().enumerate() {
                for action in [Action::Delete, Action::Seal] {
                    let said: Vec<_> = told.rules.iter()
                        .filter(|rule| usize::from(rule.rule.layer) == layer && rule.action == action)
                        .collect();
                    let acting = of.rules.iter().enumerate().filter(|(_, rule)| match action {
                        Action::Delete => rule.delete_after.is_some(),
                        Action::Seal => rule.seal_after.is_some(),
                    });
                    let mut first = None;
                    prop_assert_eq!(said.len(), acting.clone().count());
                    // Of several projects that are equally its own, one is told.
                    if !session.rivals.is_empty() {
                        continue;
                    }
                    for (told, (at, rule)) in said.into_iter().zip(acting) {
                        let matches = selects_of(session, &rule.selector, Kind::Transcript, session.project.as_deref());
                        let expected = match first {
                            _ if !matches => Standing::DoesNotMatch,
                            None => Standing::Applies,
                            Some(before) => Standing::Shadowed(before),
                        };
                        prop_assert_eq!((usize::from(told.rule.rule), told.standing), (at, expected));
                        if matches && first.is_none() {
                            first = Some(told.rule);
                        }
                    }
                }
            }
        }
        for (at, (artifact, decision)) in inventory.artifacts.iter().zip(&plan.decisions).enumerate() {
            let told = &of_files[at][0];
            if is_decided_alone(artifact) {
                prop_assert!(explains(told, *decision), "{artifact:?} {decision:?} {told:?}");
            }
        }
    }

    /// Of several mandates, what is told of one explains what the plan does.
    #[test]
    fn what_is_told_comes_to_what_is_done(world in world(true), policy in policy()) {
        let inventory = world.inventory();
        let (plan, of_sessions, of_files) = told(&inventory, &policy);
        for (told, verdict) in of_sessions.iter().zip(&plan.sessions) {
            prop_assert!(told.iter().any(|opinion| explains(opinion, verdict.decision)), "{verdict:?} {told:?}");
        }
        let files = inventory.artifacts.iter().zip(&of_files).zip(&plan.decisions);
        for ((artifact, told), decision) in files.filter(|((artifact, _), _)| is_decided_alone(artifact)) {
            prop_assert!(told.iter().any(|opinion| explains(opinion, *decision)), "{artifact:?} {decision:?} {told:?}");
        }
    }

    /// Of a paste with several owners the rule, the date and the floor are told by which the plan goes.
    #[test]
    fn of_a_shared_paste_that_is_told_which_decides(world in shared_paste(), mut policy in policy()) {
        policy.mandates.truncate(1);
        let inventory = world.inventory();
        let (plan, _, told) = told(&inventory, &policy);
        let (decision, told) = (plan.decisions[0], &told[0][0]);
        prop_assert!(explains(told, decision), "{decision:?} {told:?}");
        let demand = Demand { of: &policy.mandates[0], inventory: &inventory, now: NOW() };
        let paste = &inventory.artifacts[0];
        let owners = referring(&inventory, paste);
        // The due date of a rule that is told to apply is the latest, and that of one of the lines.
        let dues: Option<Vec<_>> = owners.iter()
            .map(|line| {
                let of = |kind| demand.due(kind, line.project.as_deref(), line.session, false, line.date.unwrap());
                of(Kind::Paste).into_iter().chain(of(Kind::History)).min()
            })
            .collect();
        let applies = told.rules.iter().filter(|rule| rule.action == Action::Delete && rule.standing == Standing::Applies);
        prop_assert_eq!(applies.filter_map(|rule| rule.due).min(), dues.clone().and_then(|dues| dues.into_iter().max()));
        // All lines' holds are told.
        let is_held = owners.iter().any(|line| {
            let projects: Vec<&str> = line.project.iter().map(|project| &**project).collect();
            demand.holds(Kind::Paste, &projects, projects.is_empty(), line.session)
        });
        prop_assert_eq!(!told.holds.is_empty(), is_held);
        prop_assert_eq!(told.quiet_until.is_some_and(|until| until > NOW()), demand.is_quiet(paste.modified()));
        if let (Some(floor), Some(_)) = (&policy.mandates[0].keep_at_least, dues) {
            let newest = owners.iter().filter_map(|line| line.date).max();
            prop_assert_eq!(told.floor, newest.map(|date| floor.value.after(date).unwrap_or(DateTime::<Utc>::MAX_UTC)));
        }
    }

    /// A session matches a delete rule exactly where one applies to it.
    #[test]
    fn a_session_has_a_delete_rule_or_none(world in world(true), policy in policy()) {
        let inventory = world.inventory();
        let (_, of_sessions, _) = told(&inventory, &policy);
        let alone = |(_, session): &(usize, &Session)| session.rivals.is_empty();
        for (at, session) in inventory.sessions.iter().enumerate().filter(alone) {
            let applies = of_sessions[at].iter().flat_map(|opinion| &opinion.rules).any(|rule| {
                rule.action == Action::Delete && rule.standing == Standing::Applies
            });
            prop_assert_eq!(has_delete_rule(&policy, session), applies);
        }
    }
}
