//! The next step of a session is what a plan of that moment does, and no plan before it does anything.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::policies::policy;
use super::world::{NOW, world};
use super::*;

/// Whether a plan at another moment goes by the same facts: what was in the future then is dated now.
fn is_comparable(inventory: &Inventory, policy: &Policy, at: usize, then: DateTime<Utc>) -> bool {
    let session = &inventory.sessions[at];
    let mandate = &policy.mandates[0];
    let holds_end = mandate.holds.iter().any(|hold| hold.is_active(NOW()) != hold.is_active(then));
    let clocks = [session.newest_record, session.modified, session.damaged, session.touched_ahead];
    !holds_end
        && session.found.is_none()
        && session.before.is_none()
        && clocks.into_iter().flatten().all(|clock| clock <= NOW())
        && !inventory.stores.iter().any(|view| !view.live.is_empty())
        // For how long a managed rule goes by it hangs on the moment.
        && !(mandate.is_managed && session.unsealed.is_some())
        && !session.liveness.is_live()
        && !session.checked.is_live()
}

proptest! {
    #![proptest_config(worlds(400))]

    #[test]
    fn it_is_what_a_plan_of_that_moment_does(world in world(true), mut policy in policy()) {
        policy.mandates.truncate(1);
        let inventory = world.inventory();
        let today = plan(&inventory, &policy, NOW());
        for (at, verdict) in today.sessions.iter().enumerate() {
            if let Some(step) = verdict.decision.step() {
                prop_assert_eq!(verdict.next, Some(step));
            }
            let Some(step) = verdict.coming(NOW()) else {
                let ends = policy.mandates[0].keep_at_least.as_ref().is_none_or(|floor| floor.value.after(NOW()).is_some());
                prop_assert!(!(ends && matches!(verdict.decision, Decision::Keep(Keep::NotDue(..)))), "{verdict:?}");
                continue;
            };
            if !is_comparable(&inventory, &policy, at, step.at) {
                continue;
            }
            let then = plan(&inventory, &policy, step.at).sessions[at];
            let before = plan(&inventory, &policy, step.at - TimeDelta::seconds(1)).sessions[at];
            prop_assert!(matches!(before.decision, Decision::Keep(_)), "{before:?} {verdict:?}");
            let done = then.decision.step();
            prop_assert!(
                done.is_some_and(|done| done.action == step.action && done.rule == step.rule),
                "{then:?} {verdict:?}"
            );
        }
    }
}
