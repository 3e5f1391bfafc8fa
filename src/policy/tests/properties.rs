use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::catalogue::Kind;
use crate::period::Length;
use crate::policy::Mandate;

/// Artifacts to try rules on.
const TRIED: [(Kind, Option<&str>); 5] = [
    (Kind::Transcript, Some("/work/a")),
    (Kind::Transcript, Some("/work/b/x")),
    (Kind::Transcript, None),
    (Kind::DebugLog, Some("/work/a")),
    (Kind::McpLog, Some("/work/b/x")),
];

/// How long a mandate's rules let an artifact rest before it is deleted: across layers the
/// earliest, within a layer the first rule that matches and has the action.
fn due(mandate: &Mandate, kind: Kind, project: Option<&str>, seal: bool) -> Option<Length> {
    let layers = mandate.layers.iter().filter_map(|layer| {
        let period = |rule: &crate::policy::Rule| {
            let period = if seal { &rule.seal_after } else { &rule.delete_after };
            period.as_ref().map(|period| period.length())
        };
        layer.rules.iter().filter(|rule| rule.selector.selects(kind, project, None)).find_map(period)
    });
    layers.min()
}

/// The earliest over all mandates.
fn verdicts(policy: &Policy) -> Vec<Option<Length>> {
    let each = |seal| {
        TRIED.iter().map(move |(kind, project)| {
            policy.mandates.iter().filter_map(|mandate| due(mandate, *kind, *project, seal)).min()
        })
    };
    each(false).chain(each(true)).collect()
}

/// Whether each verdict is at least as strong as the one before.
fn only_stronger(before: &[Option<Length>], after: &[Option<Length>]) -> bool {
    let rank = |length: &Option<Length>| length.unwrap_or(Length::Never);
    before.iter().zip(after).all(|(before, after)| rank(after) <= rank(before))
}

fn rule() -> impl Strategy<Value = Value> {
    let projects = prop::option::of(prop::sample::select(vec!["/work/a/**", "/work/b/**", "/work/*", "~/x"]));
    (projects, any::<bool>(), prop::option::of(2u32..40), prop::option::of(1u32..3)).prop_map(
        |(project, logs, delete, seal)| {
            let mut rule = json!({});
            if let Some(project) = project {
                rule["projects"] = json!([project]);
            }
            if logs {
                rule["kinds"] = json!(["mcp-log"]);
            } else if let Some(seal) = seal {
                rule["sealAfter"] = json!(format!("{seal}h"));
            }
            if delete.is_some() || logs || seal.is_none() {
                rule["deleteAfter"] = json!(format!("{}d", delete.unwrap_or(9)));
            }
            rule
        },
    )
}

fn rules() -> impl Strategy<Value = Value> {
    prop::collection::vec(rule(), 1..4)
        .prop_map(|rules| json!({"rules": rules, "recipients": [crate::policy::recipient::tests::X25519]}))
}

/// Whatever a user may write, valid or not.
fn user() -> impl Strategy<Value = Value> {
    let may = |values: Vec<Value>| prop::option::of(prop::sample::select(values));
    (
        may(vec![json!("audit"), json!("enforce")]),
        may(vec![json!("52w"), json!("immediately")]),
        may(vec![json!("999d"), json!("1h")]),
        may(vec![json!("newest"), json!("mtime")]),
        may(vec![json!("off"), json!({"maxShare": 0.01, "minSessions": 0})]),
        may(vec![json!({"exclude": ["~/.claude", "/"]}), json!({"extra": ["/x"]})]),
        may(vec![json!([{"name": "all", "reason": "r"}]), json!([{"name": "", "reason": ""}])]),
        may(vec![
            json!([{"deleteAfter": "never"}]),
            json!([{"deleteAfter": "1d"}]),
            json!([{"name": "nothing"}]),
            json!([{"sealAfter": "2d", "deleteAfter": "1d"}]),
        ]),
        may(vec![
            json!([crate::policy::recipient::tests::X25519]),
            json!([crate::policy::recipient::tests::tagged_post_quantum()]),
            json!([crate::policy::recipient::tests::of_plugin("plug")]),
        ]),
        may(vec![json!(true), json!(false)]),
    )
        .prop_map(|(mode, quiet, keep, age, guard, stores, holds, rules, recipients, user_holds)| {
            let keys = [
                ("mode", mode),
                ("quiet", quiet),
                ("keepAtLeast", keep),
                ("ageBy", age),
                ("guard", guard),
                ("stores", stores),
                ("holds", holds),
                ("rules", rules),
                ("recipients", recipients),
                ("userHolds", user_holds),
            ];
            keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
        })
}

proptest! {
    #[test]
    fn the_order_of_files_never_matters(
        says in prop::collection::vec((rules(), 0usize..3), 1..5),
        seed in any::<prop::sample::Index>(),
    ) {
        let of = |at: usize, (says, layer_): &(Value, usize)| {
            layer([Layer::System, Layer::User, Layer::Managed][*layer_], &format!("f{at}"), says)
        };
        let one: Vec<_> = says.iter().enumerate().map(|(at, it)| of(at, it)).collect();
        let mut two = one.clone();
        two.rotate_left(seed.index(one.len()));
        two.reverse();
        let (one, two) = (resolved(one).unwrap(), resolved(two).unwrap());
        prop_assert_eq!(verdicts(&one), verdicts(&two));
        prop_assert_eq!(one.digest, two.digest);
    }

    #[test]
    fn no_user_changes_the_managed_mandate(
        managed in rules(), system in prop::option::of(rules()), user in user(), broken in any::<bool>(),
    ) {
        let organisation = || {
            let system = system.iter().map(|says| layer(Layer::System, "s", says));
            system.chain([layer(Layer::Managed, "m", &managed)]).collect::<Vec<_>>()
        };
        let before = resolved(organisation()).unwrap();
        let mut layers = organisation();
        layers.push(layer(Layer::User, "u", &user));
        let missing = || crate::policy::error::LoadError::Missing { path: "/u".into() };
        let loaded = Loaded { layers, faults: broken.then(missing).into_iter().collect(), has_unread_holds: broken, ..Loaded::default() };
        let after = resolve(loaded, &context()).unwrap();
        prop_assert_eq!(format!("{:?}", before.mandates[0]), format!("{:?}", after.mandates[0]));
        prop_assert_eq!(before.excluded_stores, after.excluded_stores);
    }

    #[test]
    fn another_layer_of_rules_only_strengthens(
        base in prop::collection::vec((rules(), 0usize..3), 1..4), more in rules(), at in 0usize..3,
    ) {
        let kinds = [Layer::System, Layer::User, Layer::Managed];
        let mut layers: Vec<_> = base
            .iter()
            .enumerate()
            .map(|(n, (says, kind))| layer(kinds[*kind], &format!("f{n}"), says))
            .collect();
        // The built-in rule gives way to any rule that deletes, so one is there from the start.
        layers.push(layer(Layer::System, "base", &json!({"rules": [{"deleteAfter": "39d"}]})));
        let before = resolved(layers.clone()).unwrap();
        layers.push(layer(kinds[at], "more", &more));
        layers.sort_by_key(|layer| layer.source.layer);
        let after = resolved(layers).unwrap();
        prop_assert!(only_stronger(&verdicts(&before), &verdicts(&after)));
    }
}
