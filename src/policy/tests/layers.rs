//! What each layer's rules run by, for every way in which layers can differ.

use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::policy::recipient::tests::{SSH, X25519};
use crate::policy::settings::HoldSettings;
use crate::policy::{Mode, Policy};

const M: Layer = Layer::Managed;
const S: Layer = Layer::System;
const U: Layer = Layer::User;
const MODES: [Option<Mode>; 3] = [None, Some(Mode::Audit), Some(Mode::Enforce)];

fn says(mode: Option<Mode>, has_rules: bool) -> Value {
    let rules = if has_rules { json!([{"deleteAfter": "7d"}]) } else { json!([]) };
    match mode {
        Some(Mode::Audit) => json!({"mode": "audit", "rules": rules}),
        Some(Mode::Enforce) => json!({"mode": "enforce", "rules": rules}),
        None => json!({"rules": rules}),
    }
}

fn holds(name: &str, project: &str) -> Vec<HoldSettings> {
    let says = json!({"holds": [{"name": name, "reason": "r", "projects": [project]}]});
    layer(U, "holds", &says).settings.holds.unwrap()
}

/// The mode of the mandate that has the rules of a layer.
fn mode_of(policy: &Policy, layer: Layer) -> Option<Mode> {
    let has = |mandate: &&crate::policy::Mandate| mandate.layers.iter().any(|of| of.source.layer == layer);
    policy.mandates.iter().find(has).map(|mandate| mandate.mode.value)
}

/// Managed rules run in the managed layer's mode, those of the system in the stricter of the system's and the user's,
/// and the user's and the built-in one in the user's. Of the built-in rule, which is nobody's, a user who says nothing
/// leaves it to the organisation.
#[test]
fn rules_run_in_the_mode_of_their_layer() {
    let all = MODES.into_iter().flat_map(|m| MODES.map(|s| (m, s)));
    let all = all.flat_map(|(m, s)| MODES.map(|u| (m, s, u)));
    for ((managed, system, user), bits) in all.flat_map(|modes| (0..8).map(move |bits| (modes, bits))) {
        let [of_managed, of_system, of_user] = [1, 2, 4].map(|bit| bits & bit != 0);
        let layers = vec![
            layer(S, "s", &says(system, of_system)),
            layer(U, "u", &says(user, of_user)),
            layer(M, "m", &says(managed, of_managed)),
        ];
        let policy = resolved(layers).unwrap();
        let organisation = if of_managed { system } else { managed.or(system) };
        let of_systems = match (system, user) {
            (Some(Mode::Audit), Some(Mode::Enforce)) => Mode::Enforce,
            (system, _) => system.unwrap_or(Mode::Enforce),
        };
        let of_users = match user {
            None if !of_user => organisation.unwrap_or(Mode::Enforce),
            user => user.unwrap_or(Mode::Enforce),
        };
        let context = format!("{managed:?} {system:?} {user:?} {bits}");
        let expected = |has: bool, mode: Mode| has.then_some(mode);
        assert_eq!(mode_of(&policy, M), expected(of_managed, managed.unwrap_or(Mode::Enforce)), "{context}");
        assert_eq!(mode_of(&policy, S), expected(of_system, of_systems), "{context}");
        assert_eq!(mode_of(&policy, U), expected(of_user, of_users), "{context}");
        assert_eq!(mode_of(&policy, Layer::BuiltIn), expected(bits == 0, of_users), "{context}");
        for mandate in &policy.mandates {
            let is_of = |layer: Layer| mandate.layers.iter().any(|of| of.source.layer == layer);
            assert_eq!(mandate.is_managed, is_of(M), "{context}");
            // Of two that say the same it is the organisation's word.
            if is_of(S) && system == Some(of_systems) {
                assert_eq!(mandate.mode.source.layer, S, "{context}");
            }
        }
        // Rules of one mode are judged together, so that a rule of either can be the first.
        let apart = of_system && of_user && of_systems != of_users;
        assert_eq!(policy.mandates.len(), 1 + usize::from(of_managed) + usize::from(apart), "{context}");
    }
}

#[test]
fn that_holds_do_not_bind_is_said_where_there_are_some() {
    let holds = json!({"holds": [{"name": "mine", "reason": "r"}]});
    for (user, user_holds, is_said) in [
        (&holds, false, true),
        (&holds, true, false),
        (&json!({"quiet": "2h"}), false, false),
        (&json!({"quiet": "2h"}), true, false),
    ] {
        let managed = json!({"userHolds": user_holds, "rules": [{"deleteAfter": "7d"}]});
        let policy = resolved(vec![layer(U, "u", user), layer(M, "m", &managed)]).unwrap();
        assert_eq!(
            policy.notes.iter().any(|note| note.contains("do not bind")),
            is_said,
            "{:?}",
            policy.notes
        );
    }
}

#[test]
fn the_users_own_holds_bind_like_those_of_the_policy() {
    let source = Source { layer: U, path: Some("/holds.json".into()) };
    let own = |list: Vec<HoldSettings>, layers: Vec<RawLayer>| {
        resolve(Loaded { layers, holds: Some((source.clone(), list)), ..Loaded::default() }, &context())
    };
    let policy = own(holds("case", "/work/**"), Vec::new()).unwrap();
    assert_eq!(policy.mandates[0].holds[0].name, "case");
    assert!(policy.sources.contains(&source), "{:?}", policy.sources);
    assert_ne!(policy.digest, own(holds("case", "/other/**"), Vec::new()).unwrap().digest);
    // One that cannot be understood stops a run, and leaves the user's file out where others have rules.
    assert!(own(holds("case", "work/**"), Vec::new()).is_err());
    let system = layer(S, "s", &json!({"rules": [{"deleteAfter": "7d"}], "recipients": [SSH]}));
    let user = layer(
        U,
        "u",
        &json!({"rules": [{"deleteAfter": "1d"}], "recipients": [X25519],
            "holds": [{"name": "mine", "reason": "r"}]}),
    );
    let mut list = holds("good", "/work/**");
    list.extend(holds("bad", "work/**"));
    let policy = own(list, vec![system, user]).unwrap();
    assert_eq!(mode_of(&policy, U), None, "no rule of it counts");
    let names =
        |at: usize| policy.mandates[at].holds.iter().map(|hold| hold.name.as_str()).collect::<Vec<_>>();
    let known = ["good", "mine"];
    assert!(known.iter().all(|name| names(0).contains(name)) && names(0).len() == 2, "{:?}", names(0));
    assert!(names(1).contains(&"unreadable-holds"), "{:?}", names(1));
    assert!(policy.recipients.iter().all(|one| one.source.layer == S), "a key of it could be anybody's");
    assert_eq!(policy.recipients.len(), 1);
}

#[test]
fn an_invalid_layer_of_the_organisation_stops_a_run_whatever_else_has_rules() {
    let managed = layer(M, "m", &json!({"rules": [{"deleteAfter": "7d"}]}));
    let invalid = |of| layer(of, "x", &json!({"rules": [{"name": "x"}]}));
    assert!(resolved(vec![invalid(S), managed.clone()]).is_err());
    assert!(resolved(vec![managed.clone(), invalid(M)]).is_err());
    assert!(resolved(vec![invalid(U), managed]).is_ok());
}

#[test]
fn a_floor_may_be_as_long_as_the_managed_period() {
    let managed = layer(M, "m", &json!({"rules": [{"deleteAfter": "7d"}]}));
    let floor = |period: &str| layer(S, "s", &json!({"keepAtLeast": period}));
    assert!(resolved(vec![floor("7d"), managed.clone()]).is_ok());
    assert!(resolved(vec![floor("169h"), managed]).is_err());
}

#[test]
fn a_folder_that_several_layers_name_is_one() {
    let stores = |of, folder: &str| layer(of, "x", &json!({"stores": {"extra": [folder, "/both"]}}));
    let policy = resolved(vec![stores(S, "/a"), stores(U, "/b")]).unwrap();
    let found: Vec<PathBuf> = policy.extra_stores.iter().map(|folder| folder.value.clone()).collect();
    assert_eq!(found, ["/a", "/both", "/b"].map(PathBuf::from));
}

#[test]
fn files_that_are_no_policies_by_their_names_are_told() {
    let ignored = vec![PathBuf::from("/etc/ccretain/policy.d/a.JSON")];
    let policy = resolve(Loaded { ignored: ignored.clone(), ..Loaded::default() }, &context()).unwrap();
    assert_eq!(policy.ignored, ignored);
    let remarks = policy.all_notes();
    assert!(remarks[0].contains("a.JSON"), "{remarks:?}");
}
