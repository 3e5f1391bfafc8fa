//! What is told about a decision is what it went by, on random inventories and random policies.

use proptest::prelude::*;

use super::policies::policy;
use super::world::{NOW, world};
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// `explain` names the rule, hold or guard that decides, and the date it went by.
    #[test]
    fn what_is_told_is_what_decided(world in world(true), mut policy in policy()) {
        // Of two mandates, the weaker's reason is not the decision's.
        policy.mandates.truncate(1);
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        for (at, (session, verdict)) in inventory.sessions.iter().zip(&plan.sessions).enumerate() {
            let told = opinions(&inventory, &policy, NOW(), What::Session(SessionIndex::of(at)));
            prop_assert_eq!(told.len(), 1);
            let told = &told[0];
            prop_assert_eq!(told.date.ok(), verdict.date);
            prop_assert!(explains(told, verdict.decision), "{verdict:?} {told:?}");
            // A hold that covers it decides, and one that does not is not told.
            let demand = Demand { of: &policy.mandates[0], inventory: &inventory, now: NOW() };
            prop_assert_eq!(!told.holds.is_empty(), demand.holds_session(session, Kind::Transcript));
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
                    for (told, (at, rule)) in said.into_iter().zip(acting) {
                        let matches = rule.selector.selects(Kind::Transcript, session.project.as_deref(), Some(session.id));
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
            let told = opinions(&inventory, &policy, NOW(), What::Artifact(ArtifactIndex::of(at)));
            // A file of lines stays, whatever applies to its lines; of several owners of a paste the
            // rule of one is told.
            let is_of_lines = artifact.kind.is_some_and(|kind| kind.row().disposal != Disposal::File);
            if !is_of_lines && referring(&inventory, artifact).len() < 2 {
                prop_assert!(explains(&told[0], *decision), "{artifact:?} {decision:?} {told:?}");
            }
        }
    }

    /// A session matches a delete rule exactly where one applies to it.
    #[test]
    fn a_session_has_a_delete_rule_or_none(world in world(true), policy in policy()) {
        let inventory = world.inventory();
        for (at, session) in inventory.sessions.iter().enumerate() {
            let told = opinions(&inventory, &policy, NOW(), What::Session(SessionIndex::of(at)));
            let applies = told.iter().flat_map(|opinion| &opinion.rules).any(|rule| {
                rule.action == Action::Delete && rule.standing == Standing::Applies
            });
            prop_assert_eq!(has_delete_rule(&policy, session), applies);
        }
    }
}
