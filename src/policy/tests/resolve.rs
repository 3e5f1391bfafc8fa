use serde_json::json;

use super::*;
use crate::policy::error::LoadError;
use crate::policy::recipient::tests::{SSH, X25519, of_plugin, tagged_post_quantum};
use crate::policy::resolve::InvalidUser;
use crate::policy::{AgeBy, Mandate, MassGuard, Mode};

const M: Layer = Layer::Managed;
const S: Layer = Layer::System;
const U: Layer = Layer::User;

fn managed_rule() -> RawLayer {
    layer(M, "managed", &json!({"rules": [{"name": "org", "deleteAfter": "7d"}]}))
}

#[test]
fn without_files_the_built_in_rule_applies() {
    let policy = resolved(vec![]).unwrap();
    let [mandate] = policy.mandates.as_slice() else { panic!("one mandate") };
    assert_eq!(mandate.layers[0].rules[0].delete_after.as_ref().unwrap().to_string(), "30d");
    assert_eq!(mandate.quiet.value.to_string(), "1h");
    assert!(policy.user_holds.value && policy.suspended.is_none() && mandate.keep_at_least.is_none());
    assert_eq!(policy.sources.len(), 1);
}

#[test]
fn the_built_in_rule_ends_where_any_layer_deletes_and_stays_where_none_does() {
    let seals = layer(U, "u", &json!({"rules": [{"sealAfter": "1d"}], "recipients": [X25519]}));
    let policy = resolved(vec![seals]).unwrap();
    assert_eq!(policy.mandates[0].layers.len(), 2);
    let never = layer(U, "u", &json!({"rules": [{"deleteAfter": "never"}]}));
    let policy = resolved(vec![never]).unwrap();
    assert_eq!(policy.mandates[0].layers.len(), 1);
    assert_eq!(policy.mandates[0].layers[0].source.layer, U);
}

#[test]
fn a_client_that_cannot_be_asked_suspends_only_the_built_in_rule() {
    let asked = Context { built_in: Err("broken".into()), ..context() };
    let policy = resolve(Loaded::default(), &asked).unwrap();
    assert_eq!(policy.suspended.as_deref(), Some("broken"));
    assert!(policy.mandates[0].layers.is_empty());
    let own = Loaded { layers: vec![managed_rule()], ..Loaded::default() };
    assert_eq!(resolve(own, &asked).unwrap().suspended, None);
}

/// Each thing with which a user might stop or delay a managed rule, alone.
#[test]
fn nothing_of_a_user_reaches_the_managed_mandate() {
    let alone = resolved(vec![managed_rule()]).unwrap();
    let before = format!("{:?}", alone.mandates[0]);
    for says in [
        json!({"mode": "audit"}),
        json!({"quiet": "52w"}),
        json!({"ageBy": "newest"}),
        json!({"keepAtLeast": "999d"}),
        json!({"guard": {"maxShare": 0.01, "minSessions": 1}}),
        json!({"stores": {"exclude": ["~/.claude"]}}),
        json!({"holds": [{"name": "mine", "reason": "no"}]}),
        json!({"userHolds": true, "holds": [{"name": "mine", "reason": "no"}]}),
        json!({"rules": [{"deleteAfter": "never"}]}),
        json!({"recipients": [tagged_post_quantum()]}),
        json!({"rules": [{"name": "x"}]}),
        json!({"rules": [{"sealAfter": "1d"}]}),
    ] {
        let policy = resolved(vec![layer(U, "u", &says), managed_rule()]).unwrap();
        assert_eq!(format!("{:?}", policy.mandates[0]), before, "{says}");
        assert!(policy.excluded_stores.is_empty(), "{says}");
        assert!(!policy.user_holds.value);
    }
}

#[test]
fn a_users_preferences_hold_for_his_own_rules() {
    let says = json!({"mode": "audit", "quiet": "2h", "stores": {"exclude": ["~/x"]},
        "holds": [{"name": "mine", "reason": "no"}], "rules": [{"deleteAfter": "3d"}]});
    let policy = resolved(vec![layer(U, "u", &says), managed_rule()]).unwrap();
    let own = &policy.mandates[1];
    assert_eq!((own.mode.value, own.quiet.value.to_string().as_str()), (Mode::Audit, "2h"));
    assert_eq!(own.holds.len(), 1);
    assert_eq!(own.excluded_stores[0].value, Path::new("/home/ann/x"));
    assert_eq!(policy.mode(), Mode::Enforce);
    assert!(policy.notes[0].contains("mine"), "{:?}", policy.notes);
}

#[test]
fn an_invalid_user_layer_stops_a_run_only_without_managed_rules() {
    let invalid = layer(U, "u", &json!({"rules": [{"name": "x"}], "keepAtLeast": "9d"}));
    assert!(told(&resolved(vec![invalid.clone()]).unwrap_err()).contains("rule 'x' does nothing"));
    let holds_only = layer(M, "m", &json!({"quiet": "1h"}));
    assert!(resolved(vec![invalid.clone(), holds_only]).is_err(), "a managed layer without rules");
    let system = layer(S, "s", &json!({"rules": [{"deleteAfter": "3d"}]}));
    let policy = resolved(vec![system, invalid, managed_rule()]).unwrap();
    assert!(policy.complaints[0].contains("rule 'x' does nothing"), "{:?}", policy.complaints);
    // Rules of the system go on; without the user's file no built-in rule takes its place.
    let layers: Vec<usize> = policy.mandates.iter().map(|mandate| mandate.layers.len()).collect();
    assert_eq!(layers, [1, 1]);
    assert!(policy.sources.iter().all(|source| source.layer != U));
    let seals = layer(S, "s", &json!({"rules": [{"kinds": ["mcp-log"], "deleteAfter": "3d"}]}));
    let invalid = layer(U, "u", &json!({"rules": [{"name": "x"}]}));
    let policy = resolved(vec![seals, invalid.clone()]).unwrap();
    assert_eq!(policy.mandates[0].layers.len(), 1, "rules of a system layer are enough to go on");
    let looking = Context { invalid_user: InvalidUser::IsLeftOut, ..context() };
    let policy = resolve(Loaded { layers: vec![invalid], ..Loaded::default() }, &looking).unwrap();
    assert!(policy.mandates.iter().all(|mandate| mandate.layers.is_empty()), "nothing is due by a guess");
    assert_eq!(policy.complaints.len(), 1);
}

#[test]
fn holds_of_an_invalid_user_layer_go_on_where_they_can_be_read() {
    let broken = |layers: Vec<RawLayer>, has_unread_holds| {
        let faults = vec![LoadError::Missing { path: "/u.json".into() }];
        resolve(Loaded { layers, faults, has_unread_holds, ..Loaded::default() }, &context())
    };
    assert!(broken(vec![], true).is_err());
    let names = |policy: &Policy| -> Vec<Vec<String>> {
        let names = |mandate: &Mandate| mandate.holds.iter().map(|hold| hold.name.clone()).collect();
        policy.mandates.iter().map(names).collect()
    };
    let system = layer(S, "s", &json!({"rules": [{"deleteAfter": "7d"}]}));
    let lets = layer(M, "m", &json!({"userHolds": true, "rules": [{"deleteAfter": "7d"}]}));
    let user =
        layer(U, "u", &json!({"rules": [{"deleteAfter": "1d"}], "holds": [{"name": "mine", "reason": "r"}]}));
    // Known ones bind whom they would have bound.
    assert_eq!(names(&broken(vec![system.clone(), user.clone()], false).unwrap()), [["mine"]]);
    assert_eq!(names(&broken(vec![user.clone(), lets.clone()], false).unwrap()), [["mine"], ["mine"]]);
    assert_eq!(names(&broken(vec![user.clone(), managed_rule()], false).unwrap()), [vec![], vec!["mine"]]);
    // Unknown ones may cover anything, and stop what is the user's alone.
    assert_eq!(
        names(&broken(vec![system.clone(), user, lets], true).unwrap()),
        [vec!["mine"], vec!["mine"], vec!["mine", "unreadable-holds"]]
    );
    // A layer that contradicts itself has holds that do not.
    let says = json!({"rules": [{"name": "x"}], "holds": [
        {"name": "good", "reason": "r"}, {"name": "bad", "reason": "r", "projects": ["work/**"]}]});
    let policy = resolved(vec![system, layer(U, "u", &says)]).unwrap();
    assert_eq!(names(&policy), [vec!["good"], vec!["good", "unreadable-holds"]]);
    let with = |holds: Value| {
        let system = layer(S, "s", &json!({"rules": [{"deleteAfter": "7d"}]}));
        let invalid = layer(U, "u", &json!({"rules": [{"name": "x"}], "holds": holds}));
        names(&resolved(vec![system, invalid]).unwrap()).concat()
    };
    assert_eq!(with(json!([{"name": "good", "reason": "r"}])), ["good"]);
    assert_eq!(with(json!([{"name": "bad", "reason": "r", "projects": ["work/**"]}])), ["unreadable-holds"]);
}

#[test]
fn a_system_layer_that_lets_no_users_hold_bind_says_it_for_itself_and_above() {
    let user =
        layer(U, "u", &json!({"holds": [{"name": "mine", "reason": "r"}], "rules": [{"deleteAfter": "9d"}]}));
    let forbids = layer(S, "s", &json!({"userHolds": false, "rules": [{"deleteAfter": "7d"}]}));
    let policy = resolved(vec![forbids.clone(), user.clone(), managed_rule()]).unwrap();
    let bound: Vec<_> = policy.mandates.iter().map(|m| (m.layers[0].source.layer, m.holds.len())).collect();
    assert_eq!(bound, [(M, 0), (S, 0), (U, 1)]);
    let lets = layer(M, "m", &json!({"userHolds": true, "rules": [{"deleteAfter": "7d"}]}));
    let policy = resolved(vec![forbids, user, lets]).unwrap();
    let bound: Vec<_> = policy.mandates.iter().map(|m| (m.layers[0].source.layer, m.holds.len())).collect();
    assert_eq!(bound, [(M, 1), (S, 0), (U, 1)]);
    assert!(!policy.user_holds.value, "not every rule is bound");
}

#[test]
fn a_hold_of_the_organisation_that_cannot_be_understood_holds_everything() {
    for bad in ["", "work/**", "~bob/x", "/work/../x", "/work/[a"] {
        let says = json!({"rules": [{"deleteAfter": "7d"}], "holds": [{"name": "court", "reason": "r", "projects": [bad, "/a"]}]});
        for at in [S, M] {
            let policy = resolved(vec![layer(at, "x", &says)]).unwrap();
            assert!(policy.mandates[0].holds[0].selector.projects.is_none(), "{bad}");
            assert!(
                policy.complaints[0].contains("hold 'court' holds all projects"),
                "{:?}",
                policy.complaints
            );
        }
        assert!(resolved(vec![layer(U, "x", &says)]).is_err(), "{bad}");
    }
    // What another platform writes is never an error.
    for good in [r"C:\work\**", "C:/work/**", r"\\wsl$\Ubuntu\x", "~\\x", "/work/**"] {
        let says = json!({"holds": [{"name": "court", "reason": "r", "projects": [good]}]});
        assert!(resolved(vec![layer(M, "x", &says)]).unwrap().complaints.is_empty(), "{good}");
    }
}

#[test]
fn kinds_in_a_hold_have_no_effect() {
    let says = json!({"holds": [{"name": "h", "reason": "r", "kinds": ["debug-log"], "projects": ["/a"]}]});
    let policy = resolved(vec![layer(M, "m", &says)]).unwrap();
    assert!(policy.mandates[0].holds[0].selector.kinds.is_none());
    assert!(policy.notes[0].contains("hold 'h' names kinds"), "{:?}", policy.notes);
}

#[test]
fn users_holds_bind_managed_rules_only_where_these_let_them() {
    let holds = layer(U, "u", &json!({"holds": [{"name": "mine", "reason": "r"}]}));
    let lets = layer(M, "m", &json!({"userHolds": true, "rules": [{"deleteAfter": "7d"}]}));
    let system_lets = layer(S, "s", &json!({"userHolds": true, "holds": [{"name": "case", "reason": "r"}]}));
    let binding = |layers| resolved(layers).unwrap().mandates[0].holds.len();
    assert_eq!(binding(vec![holds.clone(), lets]), 1);
    assert_eq!(binding(vec![system_lets, holds.clone(), managed_rule()]), 1, "only the system's");
    let forbids = layer(S, "s", &json!({"userHolds": false, "rules": [{"deleteAfter": "7d"}]}));
    let policy = resolved(vec![forbids, holds]).unwrap();
    assert_eq!(policy.mandates.iter().map(|m| m.holds.len()).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn the_highest_layer_decides_a_preference_and_the_longest_floor_counts() {
    let system = layer(
        S,
        "s",
        &json!({"quiet": "3h", "keepAtLeast": "5d", "compression": "none",
        "ledger": {"keep": "800d", "detail": "files"}, "guard": "off"}),
    );
    let user = layer(
        U,
        "u",
        &json!({"quiet": "2h", "keepAtLeast": "2d", "ageBy": "newest",
        "ledger": {"names": "keyed"}}),
    );
    let managed = layer(M, "m", &json!({"quiet": "1h", "keepAtLeast": "3d"}));
    let policy = resolved(vec![system, user, managed]).unwrap();
    let [mandate] = policy.mandates.as_slice() else { panic!("one mandate") };
    assert_eq!((mandate.quiet.value.to_string().as_str(), mandate.quiet.source.layer), ("1h", M));
    let keep = mandate.keep_at_least.as_ref().unwrap();
    assert_eq!((keep.value.to_string().as_str(), keep.source.layer), ("5d", S));
    assert_eq!((mandate.age_by.value, mandate.guard.value), (AgeBy::Newest, MassGuard::Off));
    assert_eq!(policy.compression.source.layer, S);
    assert_eq!(policy.ledger.value.keep.to_string(), "800d");
    assert_eq!(policy.ledger.value.names, crate::policy::Names::Keyed);

    let rows = crate::policy::show::values(&policy);
    let quiet = rows.iter().find(|row| row.key == "quiet").unwrap();
    let shadowed: Vec<_> = quiet.shadowed.iter().map(|one| one.value.as_str().unwrap()).collect();
    assert_eq!(shadowed, ["2h", "3h"]);
    let keep = rows.iter().find(|row| row.key == "ledger.keep").unwrap();
    assert_eq!(keep.source.layer, S);
    for row in &rows {
        assert!(crate::policy::keys::KEYS.iter().any(|key| key.path == row.key), "{}", row.key);
    }
}

#[test]
fn every_key_that_holds_a_value_is_shown() {
    use crate::policy::keys::{Across, KEYS};
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let says = json!({"desktopDeleted": "immediately", "recipients": [recipient],
        "stores": {"extra": ["/a"], "exclude": ["/b"]}});
    let policy = resolved(vec![layer(S, "s", &says)]).unwrap();
    let shown: Vec<&str> = crate::policy::show::values(&policy).iter().map(|row| row.key).collect();
    for key in KEYS {
        // What is about a file, of a list, or in an object that is shown as a whole has no row of its own.
        let is_part = matches!(key.across, Across::OfFile | Across::Part | Across::PartByPart);
        let is_list = matches!(key.across, Across::Earliest | Across::Holds);
        assert!(is_part || is_list || shown.contains(&key.path), "{}", key.path);
    }
}

#[test]
fn a_floor_of_the_organisation_must_not_stop_its_own_rules() {
    for of in [M, S] {
        let floor = layer(of, "floor", &json!({"keepAtLeast": "8d"}));
        assert!(
            told(&resolved(vec![floor, managed_rule()]).unwrap_err()).contains("longer than the managed")
        );
    }
    assert!(resolved(vec![layer(U, "u", &json!({"keepAtLeast": "8d"})), managed_rule()]).is_ok());
}

#[test]
fn recipients_are_united_and_duplicates_merged() {
    let of = |layer_, name, list: &[&str]| layer(layer_, name, &json!({"recipients": list}));
    let policy = resolved(vec![
        of(S, "s", &[&format!("{SSH} root@host")]),
        of(U, "u", &[X25519, &format!("{SSH} ann@desk")]),
        of(M, "m", &[X25519]),
    ])
    .unwrap();
    let found: Vec<_> = policy.recipients.iter().map(|one| one.source.layer).collect();
    assert_eq!(found, [M, S], "each once, and the organisation's");
}

#[test]
fn recipients_that_cannot_be_mixed() {
    let quantum = tagged_post_quantum();
    let of = |layer_, list: &[&str]| layer(layer_, "x", &json!({"recipients": list}));
    let policy = resolved(vec![of(U, &[&quantum]), of(M, &[X25519])]).unwrap();
    assert_eq!(policy.recipients.len(), 1);
    assert!(policy.complaints[0].contains("is left out"), "{:?}", policy.complaints);
    assert!(resolved(vec![of(U, &[&quantum, X25519])]).is_err());
    assert!(resolved(vec![of(S, &[&quantum]), of(U, &[X25519])]).is_err());
    assert!(resolved(vec![of(S, &[&quantum]), of(M, &[X25519])]).is_err());
    let plugin = of_plugin("yubikey");
    assert!(told(&resolved(vec![of(U, &[&plugin])]).unwrap_err()).contains("plugin"));
    assert!(resolved(vec![of(S, &[&plugin])]).is_ok());
    assert!(resolved(vec![of(M, &[&plugin, &quantum])]).is_ok());
}

#[test]
fn a_user_cannot_take_away_whom_a_managed_rule_seals_to() {
    let seals = layer(M, "m", &json!({"rules": [{"sealAfter": "1d"}]}));
    let has = layer(U, "u", &json!({"recipients": [X25519]}));
    assert!(
        resolved(vec![has.clone(), seals]).is_err(),
        "valid with the user's key would be invalid without"
    );
    let system = layer(S, "s", &json!({"rules": [{"sealAfter": "1d"}]}));
    assert!(resolved(vec![system.clone()]).is_err());
    assert!(resolved(vec![system.clone(), has]).is_ok());
    let policy = resolved(vec![system, managed_rule()]).unwrap();
    assert_eq!(policy.complaints.len(), 1);
    assert!(policy.mandates[1].layers.iter().flat_map(|l| &l.rules).all(|rule| rule.seal_after.is_none()));
}

#[test]
fn the_digest_is_of_what_is_said() {
    let digest = |layers| resolved(layers).unwrap().digest;
    let a = || layer(S, "a", &json!({"rules": [{"deleteAfter": "7d"}], "quiet": "2h"}));
    let b = || layer(S, "b", &json!({"keepAtLeast": "1d"}));
    let renamed = RawLayer { source: Source { layer: S, path: Some("/z.json".into()) }, ..a() };
    let remark = layer(S, "a", &json!({"$comment": "x", "quiet": "2h", "rules": [{"deleteAfter": "7d"}]}));
    assert_eq!(digest(vec![a(), b()]), digest(vec![b(), a()]));
    assert_eq!(digest(vec![a(), b()]), digest(vec![renamed, b()]));
    assert_eq!(digest(vec![a(), b()]), digest(vec![remark, b()]));
    assert_ne!(digest(vec![a()]), digest(vec![a(), b()]));
    assert_ne!(digest(vec![a()]), digest(vec![RawLayer { source: Source { layer: U, path: None }, ..a() }]));
    let own = |says| resolved(vec![layer(U, "u", &says), managed_rule()]).unwrap();
    let (one, two) = (own(json!({"quiet": "2h"})), own(json!({"quiet": "3h"})));
    assert_ne!(one.digest, two.digest);
    assert_eq!(one.mandates[0].digest, two.mandates[0].digest, "a user's edit starts no grace anew");
    // Canonical because keys are sorted; a feature of serde_json would change that.
    assert_eq!(json!({"b": 1, "a": 2}).to_string(), r#"{"a":2,"b":1}"#);
}

#[test]
fn parts_of_a_session_never_outlive_it() {
    let fails = |rules: Value| {
        resolved(vec![layer(U, "u", &json!({"rules": rules}))]).err().map(|error| told(&error))
    };
    let logs = |period: &str| json!({"name": "logs", "kinds": ["debug-log"], "deleteAfter": period});
    let all = |period: &str| json!({"name": "all", "deleteAfter": period});
    let at = |project: &str, period: &str| json!({"name": "p", "projects": [project], "deleteAfter": period});
    let logs_at = |project: &str, period: &str| json!({"name": "logs", "projects": [project], "kinds": ["debug-log"], "deleteAfter": period});
    assert_eq!(fails(json!([logs("3d"), all("30d")])), None);
    assert!(fails(json!([logs("60d"), all("30d")])).unwrap().contains("whole session after 30d"));
    assert!(fails(json!([all("30d"), logs("60d")])).is_some(), "it could never apply, and would be later");
    assert!(fails(json!([logs("never"), all("30d")])).is_some());
    assert_eq!(fails(json!([logs("60d"), all("never")])), None);
    assert_eq!(fails(json!([logs("10d"), all("10d")])), None);
    // The project's rule comes first and takes its logs too.
    assert_eq!(fails(json!([at("/work/**", "7d"), logs("10d"), all("30d")])), None);
    assert!(fails(json!([logs("10d"), at("/work/**", "7d"), all("30d")])).is_some());
    assert_eq!(fails(json!([logs_at("/a/**", "10d"), at("/b/**", "7d"), all("30d")])), None);
    assert!(fails(json!([logs_at("/a/**", "10d"), at("/a/b/**", "7d"), all("30d")])).is_some());
    // A rule that nothing reaches decides no session.
    assert_eq!(fails(json!([logs("10d"), all("30d"), at("/work/**", "7d")])), None);
    // Loose kinds have their own date.
    assert_eq!(fails(json!([{"kinds": ["mcp-log", "history"], "deleteAfter": "60d"}, all("30d")])), None);
}
