//! What has to be true of the runs on a world.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::Duration;
use serde_json::{Value, json};

use super::disk::Disk;
use super::oracle::{self, Fate};
use super::{File, Place, World};
use crate::common::id;
use crate::common::sandbox::has;

const DRY: [&str; 4] = ["-v", "enforce", "-n", "--json"];
const RUN: [&str; 4] = ["-v", "enforce", "--yes", "--json"];
/// By so many minutes no date and no date of a hold comes near to a period.
const WEEKS: i64 = 20 * 24 * 60;

/// Each decision with its reason, by store and path.
type Decisions = BTreeMap<(String, String), (String, Value)>;

/// What the runs and the contract say of each file and line; the text of the first difference.
pub fn judge(world: &World, disk: &Disk, has_layers: bool) -> Result<(), String> {
    let before = disk.snapshot();
    let dry = disk.run(&DRY).run();
    let found = decisions(&dry.json());
    if dry.code == Some(2) {
        return Err(format!("the policy is not valid: {dry}"));
    }
    if before != disk.snapshot() {
        return Err("a dry run changed something".to_owned());
    }
    if has_layers {
        judge_another_layer(world, &found)?;
    }
    let has_faketime = has("faketime");
    if has_faketime {
        judge_shifted(world, &found)?;
        judge_later(world, disk, "later")?;
    }
    judge_run(world, disk, &found, &before)?;
    // What a user's own state says of what went does not delay the organisation's rules for long; and what lies ahead
    // says nothing to the run, and something later.
    if has_faketime && world.managed.is_none() && !world.has_future() {
        judge_later(world, disk, "after a run and later")?;
    }
    Ok(())
}

/// What a document of `enforce` decided, without what is ours, which is there from the first run on.
fn decisions(document: &Value) -> Decisions {
    let all = all_decisions(document).into_iter();
    all.filter(|((_, path), _)| !path.starts_with("ccretain/")).collect()
}

/// What a document of `enforce` decided, by path; items of one path are in different stores.
fn all_decisions(document: &Value) -> Decisions {
    let stores = document["stores"].as_array().into_iter().flatten();
    let roots: Vec<&str> = stores.filter_map(|store| store["root"].as_str()).collect();
    let items = document["items"].as_array().into_iter().flatten();
    let decided = |item: &Value| {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let root = roots[usize::try_from(item["store"].as_u64().unwrap()).unwrap()].to_owned();
        ((root, text("path")), (text("decision"), item["reason"].clone()))
    };
    items.map(decided).collect()
}

/// A layer more of the system's, and of the organisation's, or a rule more of theirs, only strengthens.
fn judge_another_layer(world: &World, before: &Decisions) -> Result<(), String> {
    let more = json!({"name": "more", "deleteAfter": "14d"});
    let rules = |known: Option<&Vec<super::Rule>>| {
        let known = known.into_iter().flatten().enumerate().map(|(at, rule)| rule.json(&format!("k{at}")));
        known.chain([more.clone()]).collect::<Vec<Value>>()
    };
    let mut system = json!({"version": 1, "rules": rules(world.system.as_ref().map(|system| &system.rules))});
    if let Some(known) = &world.system {
        system["userHolds"] = json!(known.user_holds);
        if let Some(floor) = known.floor {
            system["keepAtLeast"] = json!(floor);
        }
    }
    let of_managed = rules(world.managed.as_ref().map(|managed| &managed.rules));
    let mut managed = json!({"version": 1, "rules": of_managed, "guard": "off"});
    if let Some(known) = &world.managed {
        managed["userHolds"] = json!(known.user_holds);
    }
    for (name, text) in [("policy.json", system), ("managed-policy.json", managed)] {
        // Written anew: what a world is must not change for what follows.
        let disk = Disk::of(world, Duration::zero());
        disk.system_file(name, &text);
        let after = decisions(&disk.run(&DRY).run().json());
        for (path, (decision, _)) in before {
            let then = after.get(path).map(|(decision, _)| decision.as_str());
            let is_weaker = match decision.as_str() {
                "delete" => then != Some("delete"),
                "seal" => !matches!(then, Some("seal" | "delete")),
                "prune" => !matches!(then, Some("prune" | "delete")),
                _ => then.is_none(),
            };
            if is_weaker {
                return Err(format!("{path:?}: {decision}, and with more in {name} {then:?}: {text}"));
            }
        }
    }
    Ok(())
}

/// The same world at another time, with everything in it that much later, is decided in the same way.
fn judge_shifted(world: &World, before: &Decisions) -> Result<(), String> {
    let shifted = Disk::of(world, Duration::days(9) + Duration::minutes(7));
    let run = shifted.later(&DRY, 0).run();
    let after = decisions(&run.json());
    let differs = before.iter().find(|(path, decision)| after.get(*path) != Some(*decision));
    match differs {
        None if before.len() == after.len() => Ok(()),
        _ => Err(format!("{differs:?} here, and of the same world nine days later: {run}")),
    }
}

/// What a dry run three weeks later says of what is there: the world is judged as an older one.
fn judge_later(world: &World, disk: &Disk, when: &str) -> Result<(), String> {
    let mut older = world.older(WEEKS);
    older.holds.iter_mut().for_each(|hold| hold.is_over = true);
    let later = disk.later(&DRY, WEEKS).run();
    let found = all_decisions(&later.json());
    let decided = |place: Place, path: &Path| -> Option<&str> {
        let below = path.strip_prefix(Disk::root(&disk.sandbox, place)).unwrap().display().to_string();
        found.get(&(disk.shown_root(place), below)).map(|(decision, _)| decision.as_str())
    };
    let expected = oracle::fates(&older);
    for ((file, path), fate) in older.files.iter().zip(&disk.files).zip(&expected.files) {
        let is_right = match (path.exists(), sealed(disk, file, path)) {
            (true, _) => match decided(file.place, path) {
                Some("delete") => *fate == Fate::Goes,
                Some("seal") => *fate == Fate::Sealed,
                _ => *fate == Fate::Stays,
            },
            // Sealed before: no period begins anew by that.
            (false, Some((place, path))) => {
                (decided(place, &path) == Some("delete")) == (*fate == Fate::Goes)
            }
            (false, None) => true,
        };
        if !is_right {
            return Err(format!("{when}: {file:?} at {path:?} {fate:?}, and in fact not: {later}"));
        }
    }
    for ((owned, path), goes) in older.owned.iter().zip(&disk.owned).zip(&expected.owned) {
        // The name of a plan is content, and not shown.
        let is_shown = !owned.is_plan && path.exists();
        if is_shown && (decided(owned.place, path) == Some("delete")) != *goes {
            return Err(format!("{when}: {owned:?} at {path:?} goes: {goes}, and in fact not: {later}"));
        }
    }
    Ok(())
}

/// A run does what the dry run said and the contract says, and a second one nothing.
fn judge_run(
    world: &World,
    disk: &Disk,
    dry: &Decisions,
    before: &BTreeMap<PathBuf, Vec<u8>>,
) -> Result<(), String> {
    let output = disk.run(&RUN).run();
    let run = decisions(&output.json());
    if *dry != run {
        return Err(format!("the dry run said {dry:#?}, and the run {run:#?}"));
    }
    let expected = oracle::fates(world);
    for ((file, path), fate) in world.files.iter().zip(&disk.files).zip(&expected.files) {
        let found = match (path.exists(), sealed(disk, file, path).is_some()) {
            (true, false) => Fate::Stays,
            (false, true) => Fate::Sealed,
            (false, false) => Fate::Goes,
            (true, true) => return Err(format!("{path:?} is there twice")),
        };
        if found != *fate {
            return Err(format!("{file:?} at {path:?} {fate:?}, and in fact {found:?}: {output}"));
        }
        if found == Fate::Stays && before.get(path) != fs::read(path).ok().as_ref() {
            return Err(format!("{path:?} was kept and changed"));
        }
    }
    for ((owned, path), goes) in world.owned.iter().zip(&disk.owned).zip(&expected.owned) {
        if path.exists() == *goes {
            return Err(format!("{owned:?} at {path:?} goes: {goes}, and in fact not: {output}"));
        }
    }
    let left = disk.lines();
    for (at, (line, stays)) in world.lines.iter().zip(&expected.lines).enumerate() {
        if left.contains(&at) != *stays {
            return Err(format!("{line:?} stays: {stays}, and in fact {}: {output}", !stays));
        }
    }
    let after = disk.snapshot();
    let again = disk.run(&RUN).run();
    let summary = again.json()["summary"].clone();
    let did_nothing = ["deleted", "pruned", "sealed", "failed"].iter().all(|count| summary[count] == 0);
    if !did_nothing || after != disk.snapshot() {
        return Err(format!("the second run did something: {again}"));
    }
    Ok(())
}

/// Where a file is sealed, by its place in the sealed folder of either store.
fn sealed(disk: &Disk, file: &File, path: &Path) -> Option<(Place, PathBuf)> {
    let root = Disk::root(&disk.sandbox, file.place);
    let below = path.strip_prefix(&root).unwrap();
    let name = match file.place {
        Place::Temp => Path::new("temp").join(below.iter().skip(2).collect::<PathBuf>()),
        _ => below.to_owned(),
    };
    let places = [Place::Home, Place::Other].into_iter();
    let mut places = places.filter(|place| file.place == Place::Temp || file.place == *place).map(|place| {
        let sealed = Disk::root(&disk.sandbox, place).join("ccretain/sealed").join(id(file.session));
        (place, PathBuf::from(format!("{}.zst.age", sealed.join(&name).display())))
    });
    places.find(|(_, path)| path.exists())
}
