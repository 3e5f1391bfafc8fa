//! The properties of a plan, on random inventories and random policies.
//!
//! What must go is decided a second time, by `oracle`: a demand of any mandate whose time has come
//! and against which nothing of that mandate speaks.

mod lines;
mod next;
mod oracle;
mod policies;
mod purge;
mod sessions;
mod settling;
mod why;
mod words;
mod world;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::catalogue::{Disposal, Kind, Owner, Protection, Sensitivity, SessionId, Slug};
use crate::inventory::lines::{Format, LineFile};
use crate::inventory::memory::Memory;
use crate::inventory::{Artifact, Evidence, Oddity, Session, StoreIndex, StoreView};
use crate::period::Period;
use crate::policy::selector::Selector;
use crate::policy::{AgeBy, Mandate, Mode, Rule};
use oracle::{Demand, demands, is_paste, lacks_references, referring};
use policies::{floored, mandate, one_kind_first, policy, silent};
use world::{NOW, World, sealed_session, shared_paste, world};

/// What is remembered once a plan was carried out to its end.
fn memory_after(inventory: &Inventory, plan: &Plan, policy: &Policy) -> Memory {
    memory(
        inventory,
        plan,
        policy,
        &|file| matches!(plan.decisions[file.at()], Decision::Delete(due) if !policy.audits(due.rule())),
    )
}

/// So many worlds, or as many as whoever runs the tests asks for.
#[expect(clippy::disallowed_methods, reason = "a test is asked for more, or for fewer, by whoever runs it")]
fn worlds(cases: u32) -> ProptestConfig {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let known = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = if is_set("CCRETAIN_SLOW_TESTS") { 10 * cases } else { cases };
    if is_set("PROPTEST_CASES") { known } else { ProptestConfig { cases, ..known } }
}

/// How strong each decision is, artifacts first, then lines.
fn strengths(plan: &Plan) -> Vec<u8> {
    plan.decisions.iter().chain(plan.lines.iter().flatten()).map(|decision| decision.strength()).collect()
}

fn not_weaker(weak: &Plan, strong: &Plan) -> Result<(), TestCaseError> {
    for (at, (weak, strong)) in strengths(weak).into_iter().zip(strengths(strong)).enumerate() {
        prop_assert!(weak <= strong, "item {at}: {weak} became {strong}");
    }
    Ok(())
}

/// What of the inventory is left once a plan was carried out.
fn applied(world: &World, plan: &Plan) -> World {
    let mut left = world.clone();
    left.apply(plan);
    left
}

proptest! {
    #![proptest_config(worlds(600))]

    /// 2. Unprotected and due is acted on, and nothing else is (3).
    #[test]
    fn what_is_due_goes_and_nothing_else(world in world(true), policy in prop_oneof![policy(), floored(), one_kind_first()]) {
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        let demands = demands(&inventory, &policy, NOW());
        for (at, (artifact, decision)) in inventory.artifacts.iter().zip(&plan.decisions).enumerate() {
            let expected = oracle::goes(&demands, artifact);
            prop_assert_eq!(matches!(decision, Decision::Delete(_)), expected, "artifact {}: {:?} {:?}", at, artifact, decision);
        }
        for (file, decisions) in inventory.line_files.iter().zip(&plan.lines) {
            for (line, decision) in file.content.lines.iter().zip(decisions) {
                let expected = demands.iter().any(|demand| demand.line_goes(file, line));
                prop_assert_eq!(decision.due().is_some(), expected, "{:?} {:?}", line, decision);
            }
            let some = decisions.iter().any(|decision| decision.due().is_some());
            let of_file = plan.decisions[file.artifact.at()];
            // A file that does not go whole is pruned exactly when a line of it goes.
            prop_assert!(matches!(of_file, Decision::Delete(_)) || some == matches!(of_file, Decision::Prune(_)));
        }
    }

    /// 2. It is acted on at the first moment it is due: what is kept because its time has not
    /// come goes at the very moment the plan names, and not a second before.
    #[test]
    fn what_waits_goes_at_the_moment_it_is_told(world in world(false), mut policy in policy()) {
        // Of two mandates that keep, one names the reason, and the other may still keep then.
        policy.mandates.truncate(1);
        let inventory = world.inventory();
        let first = plan(&inventory, &policy, NOW());
        let all: Vec<Decision> = first.decisions.iter().chain(first.lines.iter().flatten()).copied().collect();
        for (at, decision) in all.iter().enumerate() {
            let Decision::Keep(Keep::NotDue(when, _) | Keep::KeepAtLeast(when)) = *decision else { continue };
            prop_assert!(when > NOW());
            let look = |now: DateTime<Utc>| {
                let plan = plan(&inventory, &policy, now);
                plan.decisions.iter().chain(plan.lines.iter().flatten()).copied().nth(at).unwrap()
            };
            // A floor may stand behind the due date; a seal rule may act sooner.
            let then = look(when);
            // A line that would have gone with its session waits for whatever is behind that.
            let is_line = at >= inventory.artifacts.len() && policy.mandates[0].keep_at_least.is_some();
            let has_floor = policy.mandates[0].keep_at_least.is_some();
            let is_behind = matches!(then, Decision::Keep(Keep::KeepAtLeast(_)))
                || has_floor && matches!(then, Decision::Keep(Keep::Unsealable(_)));
            let is_floored = matches!(decision, Decision::Keep(Keep::NotDue(..))) && (is_line || is_behind);
            prop_assert!(then.due().is_some() || is_floored, "{decision:?} then {then:?}");
            if matches!(decision, Decision::Keep(Keep::NotDue(..))) {
                let before = look(when - TimeDelta::seconds(1));
                prop_assert!(!matches!(before, Decision::Delete(_)), "{decision:?} went early");
            }
        }
    }

    /// 1. One decision an artifact, a line and a session. 3. What is protected is kept.
    #[test]
    fn every_thing_has_a_decision_and_the_protected_stays(world in world(true), policy in policy()) {
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        prop_assert_eq!(plan.decisions.len(), inventory.artifacts.len());
        prop_assert_eq!(plan.sessions.len(), inventory.sessions.len());
        prop_assert_eq!(plan.lines.len(), inventory.line_files.len());
        for (file, lines) in inventory.line_files.iter().zip(&plan.lines) {
            prop_assert_eq!(lines.len(), file.content.lines.len());
        }
        for (artifact, decision) in inventory.artifacts.iter().zip(&plan.decisions) {
            let store = &inventory.store(inventory.store_of(artifact)).store;
            let kept = matches!(decision, Decision::Keep(_));
            prop_assert!(kept || artifact.kind.is_some());
            // A job that says it is at work goes with its own session all the same.
            let is_sessions_job = artifact.oddity == Oddity::InUse && inventory.session_of(artifact).is_some();
            prop_assert!(kept || artifact.oddity == Oddity::None || is_sessions_job || matches!(decision, Decision::Prune(_)));
            prop_assert!(kept || store.in_scope);
            prop_assert!(kept || !artifact.kind.unwrap().is_protected() || matches!(decision, Decision::Prune(_)));
            if let Some(session) = inventory.session_of(artifact) {
                // Whether a client runs that cannot be checked is the user's word.
                let is_managed = policy.mandates.iter().any(|mandate| mandate.is_managed);
                let liveness = if is_managed { session.checked } else { session.liveness };
                prop_assert!(kept || !liveness.is_live());
                prop_assert!(kept || session.evidence != Evidence::Unknown);
                prop_assert!(kept || !session.is_unreadable);
            }
        }
    }

    /// 4. Every action names a rule that matches and is due, on the session's one date (9), and
    /// nothing is sealed twice.
    #[test]
    fn every_action_is_accounted_for(world in world(true), policy in policy()) {
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        for (artifact, decision) in inventory.artifacts.iter().zip(&plan.decisions) {
            let Some(due) = decision.due() else { continue };
            prop_assert!(due.since() <= NOW());
            let (_, rule) = policy.rule(due.rule()).unwrap();
            let kind = artifact.kind.unwrap();
            let demand = Demand { of: &policy.mandates[usize::from(due.rule().mandate)], inventory: &inventory, now: NOW() };
            let Some(session) = inventory.session_of(artifact) else {
                if is_paste(artifact) && !referring(&inventory, artifact).is_empty() {
                    prop_assert_eq!(demand.paste_due(artifact, kind), Some(due.since()));
                } else if kind == Kind::Plan && !demand.owners(artifact).is_empty() {
                    prop_assert_eq!(demand.plan_due(artifact), Some(due.since()));
                }
                continue;
            };
            let date = demand.date(session).unwrap();
            let (period, date) = match decision {
                Decision::Seal(_) => {
                    prop_assert!(kind.row().sealable && !artifact.sealed && artifact.can_be_sealed());
                    prop_assert!(session.rule_projects().map(|project| Some(&**project)).chain([None]).any(|project| selects_of(session, &rule.selector, Kind::Transcript, project)));
                    let unsealed = demand.unsealed(session, demand.seal_due(session, date));
                    (rule.seal_after.as_ref(), unsealed.map_or(date, |unsealed| unsealed.max(date)))
                }
                _ => (rule.delete_after.as_ref(), date),
            };
            prop_assert_eq!(period.and_then(|period| period.after(date)), Some(due.since()));
            let mut projects = session.rule_projects().map(|project| Some(&**project)).chain([None]);
            // The record of sealed files goes by the rule of the last of them.
            let of_record = inventory.files(session).iter().map(|index| inventory.artifact(*index));
            let of_record = of_record.filter(|file| kind == Kind::SealedRecord && file.sealed).filter_map(|file| file.kind);
            let kinds: Vec<Kind> = of_record.chain([kind, Kind::Transcript]).collect();
            prop_assert!(projects.any(|project| kinds.iter().any(|kind| selects_of(session, &rule.selector, *kind, project))));
        }
    }

    /// 5. Time only strengthens, as long as nothing is dated in the future.
    #[test]
    fn time_only_strengthens(world in world(false), policy in policy(), hours in 0i64..2000) {
        let inventory = world.inventory();
        let later = plan(&inventory, &policy, NOW() + TimeDelta::hours(hours));
        not_weaker(&plan(&inventory, &policy, NOW()), &later)?;
    }

    /// 6. Another layer only strengthens, wherever it is put, and the order never matters.
    #[test]
    fn another_layer_only_strengthens(world in world(true), policy in policy(), more in mandate(), to in any::<Index>(), place in any::<Index>()) {
        let inventory = world.inventory();
        let before = plan(&inventory, &policy, NOW());
        let mut wider = policy.clone();
        let mandate = to.get_mut(&mut wider.mandates);
        for layer in more.layers {
            let at = place.index(mandate.layers.len() + 1);
            mandate.layers.insert(at, layer);
        }
        let after = plan(&inventory, &wider, NOW());
        not_weaker(&before, &after)?;
        let mut turned = wider.clone();
        turned.mandates.iter_mut().for_each(|mandate| mandate.layers.reverse());
        let turned = plan(&inventory, &turned, NOW());
        prop_assert_eq!(strengths(&after), strengths(&turned));
        let dates = |plan: &Plan| plan.sessions.iter().map(|v| (v.date, v.deletion.map(|d| d.0))).collect::<Vec<_>>();
        prop_assert_eq!(dates(&after), dates(&turned));
    }

    /// 7. Another hold only weakens.
    #[test]
    fn another_hold_only_weakens(world in world(true), policy in policy(), more in mandate(), to in any::<Index>()) {
        let inventory = world.inventory();
        let before = plan(&inventory, &policy, NOW());
        let mut held = policy.clone();
        to.get_mut(&mut held.mandates).holds.extend(more.holds);
        not_weaker(&plan(&inventory, &held, NOW()), &before)?;
    }

    /// 8. Once a plan was carried out, a second one finds nothing left.
    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing(world in world(true), policy in policy()) {
        let before = world.inventory();
        let first = plan(&before, &policy, NOW());
        let left = applied(&world, &first);
        let mut inventory = left.inventory();
        // As a run does: what a session was is remembered once it is gone.
        inventory.recall(&memory_after(&before, &first, &policy), false);
        let second = plan(&inventory, &policy, NOW());
        for (artifact, decision) in inventory.artifacts.iter().zip(&second.decisions) {
            // A paste whose lines have just gone belongs to nobody from now on.
            let orphaned = is_paste(artifact) && first.lines.iter().flatten().any(|line| line.due().is_some());
            // So does a plan, or a log, whose sessions have.
            let is_owned = artifact.kind.is_some_and(|kind| matches!(kind.row().owner, Owner::References | Owner::Named));
            let orphaned = orphaned || is_owned && first.sessions.iter().any(|of| matches!(of.decision, Decision::Delete(_)));
            // A session that could not be sealed can be, once the file that stood in the way went by a rule of its own.
            let session = inventory.session_of(artifact).map(|session| (session.id, session.store));
            let was_in_the_way = before.sessions.iter().zip(&first.sessions).any(|(of, verdict)| {
                Some((of.id, of.store)) == session && matches!(verdict.decision, Decision::Keep(Keep::Unsealable(_)))
            });
            let freed = was_in_the_way && matches!(decision, Decision::Seal(_));
            prop_assert!(matches!(decision, Decision::Keep(_)) || orphaned || freed, "{:?} {:?}", artifact, decision);
        }
        prop_assert!(second.lines.iter().flatten().all(|line| line.due().is_none()));
    }

    /// What a mandate demands alone is demanded whatever another one says.
    #[test]
    fn no_mandate_delays_another(world in world(true), policy in policy(), other in mandate()) {
        let inventory = world.inventory();
        let mut alone = policy.clone();
        alone.mandates.truncate(1);
        let mut both = alone.clone();
        both.mandates.push(other);
        not_weaker(&plan(&inventory, &alone, NOW()), &plan(&inventory, &both, NOW()))?;
        both.mandates.swap(0, 1);
        not_weaker(&plan(&inventory, &alone, NOW()), &plan(&inventory, &both, NOW()))?;
    }

    /// What only reports dates and names nothing where another has something to say.
    #[test]
    fn what_only_reports_is_told_last(world in world(true), policy in policy(), other in mandate()) {
        let inventory = world.inventory();
        let mut alone = policy.clone();
        alone.mandates.truncate(1);
        let mut both = alone.clone();
        both.mandates.push(Mandate { mode: silent(Mode::Audit).mode, ..other });
        let (alone, both) = (plan(&inventory, &alone, NOW()), plan(&inventory, &both, NOW()));
        for (alone, both) in alone.sessions.iter().zip(&both.sessions) {
            prop_assert!(alone.date.is_none() || both.date == alone.date, "{alone:?} {both:?}");
            prop_assert!(alone.deletion.is_none() || both.deletion == alone.deletion, "{alone:?} {both:?}");
        }
    }

    /// The record of sealed files stays and goes with the last of them, and says what that says.
    #[test]
    fn a_record_stays_as_long_as_what_it_describes(world in sealed_session(), mut policy in one_kind_first()) {
        policy.mandates.truncate(1);
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        let demands = demands(&inventory, &policy, NOW());
        let until = |decision: &Decision| match decision {
            Decision::Keep(Keep::NotDue(until, _) | Keep::KeepAtLeast(until)) => Some(*until),
            _ => None,
        };
        for (artifact, decision) in inventory.artifacts.iter().zip(&plan.decisions) {
            prop_assert_eq!(matches!(decision, Decision::Delete(_)), oracle::goes(&demands, artifact), "{:?} {:?}", artifact, decision);
        }
        let sealed = inventory.artifacts.iter().zip(&plan.decisions).filter(|(file, _)| file.sealed);
        let ends: Option<Vec<_>> = sealed.map(|(_, decision)| until(decision)).collect();
        if let (Some(last), Some(of_record)) = (ends.and_then(|ends| ends.into_iter().max()), until(&plan.decisions[0])) {
            prop_assert!(of_record >= last, "{of_record} {last}");
        }
    }

    /// A paste is due at the latest of the dates of the lines that refer to it, and then goes.
    #[test]
    fn a_shared_paste_is_due_at_the_latest_of_its_dates(world in shared_paste(), mut policy in policy()) {
        policy.mandates.truncate(1);
        policy.mandates[0].holds.clear();
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        let demand = Demand { of: &policy.mandates[0], inventory: &inventory, now: NOW() };
        let expected = demand.may_touch(StoreIndex::of(0)).then(|| demand.paste_due(&inventory.artifacts[0], Kind::Paste));
        prop_assert_eq!(plan.decisions[0].due().map(Due::since), expected.flatten());
    }

    /// A floor under a paste counts from the newest of its lines, whichever of them is due last.
    #[test]
    fn a_floor_under_a_shared_paste_counts_from_its_newest_line(world in shared_paste(), policy in floored()) {
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        let demand = Demand { of: &policy.mandates[0], inventory: &inventory, now: NOW() };
        let expected = demand.may_touch(StoreIndex::of(0)).then(|| demand.paste_due(&inventory.artifacts[0], Kind::Paste));
        prop_assert_eq!(plan.decisions[0].due().map(Due::since), expected.flatten());
    }

    /// A paste stays while any line that refers to it does, by rule, hold or life.
    #[test]
    fn a_paste_outlives_none_of_its_lines(world in world(true), policy in policy(), choice in select(vec![0usize, 1])) {
        let inventory = world.inventory();
        let mut policy = policy;
        // Where rules or holds ask for kinds, a paste may go earlier than its lines.
        for mandate in &mut policy.mandates {
            mandate.holds.iter_mut().for_each(|hold| hold.selector.kinds = None);
            for rule in mandate.layers.iter_mut().flat_map(|layer| &mut layer.rules) {
                rule.selector.kinds = None;
            }
        }
        policy.mandates.truncate(1 + choice);
        let plan = plan(&inventory, &policy, NOW());
        for (artifact, decision) in inventory.artifacts.iter().zip(&plan.decisions) {
            if !is_paste(artifact) || matches!(decision, Decision::Keep(_)) {
                continue;
            }
            let store = inventory.store_of(artifact);
            let hash = inventory.name(artifact).to_str().unwrap().split('.').next().unwrap();
            for (file, lines) in inventory.line_files.iter().zip(&plan.lines) {
                if inventory.store_of(inventory.artifact(file.artifact)) != store {
                    continue;
                }
                for (of, line) in &file.content.references {
                    let told = &file.content.lines[*line as usize];
                    let line = &lines[*line as usize];
                    // A paste goes by the date of the session, where a line has none itself.
                    let demand = Demand { of: &policy.mandates[0], inventory: &inventory, now: NOW() };
                    let session = demand.session_named(told, store);
                    let held = match line {
                        Decision::Keep(Keep::Held(_) | Keep::Live | Keep::Quiet | Keep::OwnerUnknown) => true,
                        Decision::Keep(Keep::Undated) => session.is_none_or(|of| demand.date(of).is_none()),
                        _ => session.is_some_and(|of| demand.date(of).is_none()),
                    };
                    prop_assert!(&**of != hash || policy.mandates.len() > 1 || !held, "{line:?} refers to {hash}");
                }
            }
        }
    }
}

/// Whether a rule's selector selects a kind of file of a session, were it of a project.
fn selects_of(session: &Session, selector: &Selector, kind: Kind, project: Option<&str>) -> bool {
    let id = Some(session.id);
    if session.is_desktop_deleted {
        selector.selects_deleted(kind, project, id)
    } else {
        selector.selects(kind, project, id)
    }
}
