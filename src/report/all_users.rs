//! Reports of a run over all users: one document from those of the children.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::json::time;
use super::metrics::{FIGURES, FILES, heading, read_series, series};
use crate::policy::Policy;

/// A run over all users.
#[derive(Debug)]
pub struct AllUsers<'a> {
    pub verb: &'static str,
    /// The id of the run, which all accounts share.
    pub run: &'a str,
    /// When it began.
    pub now: DateTime<Utc>,
    /// The policy of the machine.
    pub policy: &'a Policy,
    /// The accounts that were handled.
    pub users: Vec<User>,
    /// Those that were not, and stores of no account.
    pub refused: Vec<Refusal>,
    /// Those whose turn did not come.
    pub not_reached: Vec<Refusal>,
}

/// An account that was handled.
#[derive(Debug, Serialize)]
pub struct User {
    /// Its name.
    pub user: String,
    /// Its user id.
    pub uid: u32,
    pub home: String,
    /// What its child exited with.
    pub exit: Option<u8>,
    /// What its child reported; anything, as the user could change it.
    #[serde(skip)]
    pub report: Option<Value>,
    /// What its child said beside.
    pub messages: Vec<String>,
    /// What went wrong with the child itself.
    pub error: Option<String>,
}

/// An account that was left out.
#[derive(Debug, Serialize)]
pub struct Refusal {
    /// Its name.
    pub user: String,
    /// Its user id.
    pub uid: u32,
    pub home: String,
    pub why: String,
    /// Whether it is a store that no account covers.
    #[serde(skip)]
    pub is_of_a_store: bool,
}

impl AllUsers<'_> {
    /// Whether there is no account at all.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.refused.is_empty() && self.not_reached.is_empty()
    }

    /// The document, for which the accounts' own are used up: that of `enforce` with the accounts beside, or a list of documents.
    pub fn json(&mut self) -> Value {
        if self.verb == "enforce" { self.merged() } else { self.listed() }
    }

    /// A list of the documents, for verbs whose reports cannot be put together.
    fn listed(&mut self) -> Value {
        let users = self.users.iter_mut().map(|user| {
            let report = user.report.take();
            with(user, "report", report)
        });
        let users: Vec<Value> = users.collect();
        json!({
            "schema": format!("ccretain.{}-all-users/1", self.verb),
            "now": time(self.now),
            "users": users,
            "refused": self.refused,
            "notReached": self.not_reached,
        })
    }

    /// One report: stores, items and errors of all, the numbers added up.
    fn merged(&mut self) -> Value {
        let (mut stores, mut items, mut refusals, mut errors) = (vec![], vec![], vec![], vec![]);
        let (mut summary, mut users) = (Map::new(), vec![]);
        let (mut dry_run, mut mode) = (false, "audit");
        for user in &mut self.users {
            let has_report = user.report.is_some();
            let mut report = user.report.take().unwrap_or_default();
            let first = stores.len() as u64;
            let mut list = |key: &str| match report.get_mut(key).map(Value::take) {
                Some(Value::Array(list)) => list,
                _ => Vec::new(),
            };
            stores.extend(list("stores"));
            items.extend(list("items").into_iter().map(|mut item| {
                if let Some(store) = item.get("store").and_then(Value::as_u64) {
                    item["store"] = json!(store.saturating_add(first));
                }
                item
            }));
            refusals.extend(list("refusals"));
            errors.extend(list("errors"));
            if let Some(counts) = report.get("summary").and_then(Value::as_object) {
                add(&mut summary, counts);
            }
            dry_run |= report.get("dryRun") == Some(&Value::Bool(true));
            if report.get("mode").and_then(Value::as_str) == Some("enforce") {
                mode = "enforce";
            }
            let mut row = with(user, "policy", report.get_mut("policy").map(Value::take));
            row["stores"] = json!((first..stores.len() as u64).collect::<Vec<_>>());
            users.push(row);
            if let Some(error) = &user.error {
                errors.push(json!({"path": user.home, "error": error}));
            } else if !has_report {
                // Nothing was reported, so what was said is why.
                let why = user.messages.join("; ");
                errors.push(json!({"path": user.home, "error": why}));
            }
        }
        for refused in &self.refused {
            errors.push(json!({"path": refused.home, "error": format!("{}: {}", refused.user, refused.why)}));
        }
        summary.insert("accountsNotReached".to_owned(), json!(self.not_reached.len()));
        json!({
            "schema": "ccretain.enforce/1",
            "run": self.run,
            "now": time(self.now),
            "dryRun": dry_run,
            "mode": if self.users.is_empty() { json!(self.policy.mode()) } else { json!(mode) },
            "policy": {"sha256": self.policy.digest, "layers": self.policy.sources},
            "stores": stores,
            "summary": summary,
            "items": items,
            "refusals": refusals,
            "errors": errors,
            "users": users,
            "refused": self.refused,
            "notReached": self.not_reached,
        })
    }
}

/// Adds counts to others of the same names.
pub(super) fn add(sums: &mut Map<String, Value>, counts: &Map<String, Value>) {
    for (key, value) in counts {
        if let Some(number) = value.as_u64() {
            let sum = sums.get(key).and_then(Value::as_u64).unwrap_or(0).saturating_add(number);
            sums.insert(key.clone(), json!(sum));
        }
    }
}

/// The figures of one account, and which stores are its own.
pub struct Figures<'a> {
    /// As the account's child wrote them.
    pub text: &'a str,
    /// Whether a store is the account's.
    pub owns: &'a dyn Fn(&str) -> bool,
}

/// The figures of all accounts: added up, but for the time and the exit code, which are those of the whole run.
pub fn figures(of_users: &[Figures<'_>], ended: DateTime<Utc>, exit: u8) -> String {
    // What is none of ours, or is about a store of another account, is left out: one odd line makes a collector
    // drop the whole file.
    let mut sums = [0_u64; FIGURES.len()];
    let mut files: BTreeMap<(String, &str, &str), u64> = BTreeMap::new();
    for user in of_users {
        for line in user.text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            let known = name
                .strip_prefix("ccretain_")
                .and_then(|name| FIGURES.iter().position(|(known, _)| *known == name));
            let sum = match (known, read_series(name)) {
                (Some(at), _) => sums.get_mut(at),
                (None, Some(labels)) if (user.owns)(&labels.0) => Some(files.entry(labels).or_default()),
                _ => None,
            };
            if let Some(sum) = sum {
                *sum = sum.saturating_add(value);
            }
        }
    }
    let mut out = String::new();
    for ((name, help), sum) in FIGURES.iter().zip(sums) {
        let value = match *name {
            "last_run_timestamp_seconds" => u64::try_from(ended.timestamp()).unwrap_or_default(),
            "last_run_exit_code" => exit.into(),
            "last_run_stopped" => sum.min(1),
            _ => sum,
        };
        let _ = writeln!(out, "{}ccretain_{name} {value}", heading(name, help));
    }
    if !files.is_empty() {
        out.push_str(&heading(FILES.0, FILES.1));
    }
    for ((store, kind, fate), count) in files {
        let _ = writeln!(out, "{} {count}", series(&store, kind, fate));
    }
    out
}

/// An account's row with one more key.
fn with(user: &User, key: &str, value: Option<Value>) -> Value {
    let mut row = json!(user);
    row[key] = value.unwrap_or(Value::Null);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_added_up_and_nothing_else_gets_in() {
        let series =
            |store: &str, rest: &str| format!("ccretain_files{{store=\"{store}\",kind=\"transcript\"{rest}");
        let kept = series("/home/a b/x\\\"y", ",outcome=\"kept\"} 2\n");
        let ann = format!(
            "# HELP ccretain_sessions_kept x\n# TYPE ccretain_sessions_kept gauge\nccretain_sessions_kept 2\n\
             ccretain_last_run_exit_code 4\n{kept}"
        );
        let bob = [
            "ccretain_sessions_kept 3\nnode_load1 9\nccretain_x{bad 1\nccretain_files{job=\"x\"} 1\n"
                .to_owned(),
            "ccretain_sessions_kept -1\nccretain_other 1\nccretain_sessions_kept{store=\"/b\"} 7\n"
                .to_owned(),
            series("/b", ",outcome=\"kept\"} 5\n"),
            series("/b\"y", ",outcome=\"kept\"} 1\n"),
            series("/b\\y", ",outcome=\"kept\"} 1\n"),
            series("/b\u{9b}", ",outcome=\"kept\"} 1\n"),
            series("/b", ",outcome=\"kept\",outcome=\"x\"} 1\n"),
            series("/b", ",outcome=\"lost\"} 1\n"),
            kept.clone(),
        ]
        .concat();
        let at = DateTime::from_timestamp(1_000, 0).unwrap();
        let of = |text, owns| Figures { text, owns };
        let (anns, bobs) = (|store: &str| store.starts_with("/home/a b/"), |store: &str| store == "/b");
        let all = figures(&[of(&ann, &anns), of(&bob, &bobs)], at, 1);
        let values: Vec<&str> =
            all.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0")).collect();
        let files = series("/b", ",outcome=\"kept\"} 5\n");
        let expected = [
            "ccretain_last_run_timestamp_seconds 1000",
            "ccretain_last_run_exit_code 1",
            "ccretain_sessions_kept 5",
            files.trim_end(),
            kept.trim_end(),
        ];
        assert_eq!(values, expected, "{all}");
        assert_eq!(all.lines().filter(|line| line.starts_with("# HELP ccretain_files ")).count(), 1);
    }
}
