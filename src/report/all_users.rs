//! Reports of a run over all users: one document from those of the children.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::json::time;
use crate::escape::text;
use crate::policy::Policy;

/// A run over all users.
#[derive(Debug)]
pub struct AllUsers<'a> {
    /// The verb.
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
    /// Its home.
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
    /// Its home.
    pub home: String,
    /// Why.
    pub why: String,
    /// Whether it is a store that no account covers.
    #[serde(skip)]
    pub is_of_a_store: bool,
}

impl AllUsers<'_> {
    /// Whether there is no account at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.refused.is_empty() && self.not_reached.is_empty()
    }

    /// The document: that of `enforce` with the accounts beside, or a list of documents.
    #[must_use]
    pub fn json(&self) -> Value {
        if self.verb == "enforce" { self.merged() } else { self.listed() }
    }

    /// A list of the documents, for verbs whose reports cannot be put together.
    fn listed(&self) -> Value {
        let users: Vec<Value> =
            self.users.iter().map(|user| with(user, "report", user.report.clone())).collect();
        json!({
            "schema": format!("ccretain.{}-all-users/1", self.verb),
            "now": time(self.now),
            "users": users,
            "refused": self.refused,
            "notReached": self.not_reached,
        })
    }

    /// One report: stores, items and errors of all, the numbers added up.
    fn merged(&self) -> Value {
        let (mut stores, mut items, mut refusals, mut errors) = (vec![], vec![], vec![], vec![]);
        let (mut summary, mut users) = (Map::new(), vec![]);
        let (mut dry_run, mut mode) = (false, "audit");
        for user in &self.users {
            let empty = Value::Null;
            let report = user.report.as_ref().unwrap_or(&empty);
            let first = stores.len() as u64;
            let list = |key: &str| report.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
            stores.extend(list("stores"));
            items.extend(list("items").into_iter().map(|mut item| {
                if let Some(store) = item.get("store").and_then(Value::as_u64) {
                    item["store"] = json!(store.saturating_add(first));
                }
                item
            }));
            refusals.extend(list("refusals"));
            errors.extend(list("errors"));
            for (key, value) in report.get("summary").and_then(Value::as_object).into_iter().flatten() {
                if let Some(number) = value.as_u64() {
                    let sum = summary.get(key).and_then(Value::as_u64).unwrap_or(0).saturating_add(number);
                    summary.insert(key.clone(), json!(sum));
                }
            }
            dry_run |= report.get("dryRun") == Some(&Value::Bool(true));
            if report.get("mode").and_then(Value::as_str) == Some("enforce") {
                mode = "enforce";
            }
            let mut row = with(user, "policy", report.get("policy").cloned());
            row["stores"] = json!((first..stores.len() as u64).collect::<Vec<_>>());
            users.push(row);
            if let Some(error) = &user.error {
                errors.push(json!({"path": user.home, "error": error}));
            } else if user.report.is_none() {
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

/// The figures of all accounts: added up, but for the time and the exit code, which are those of
/// the whole run. What does not look like a figure of ours is left out: a user could change it.
#[must_use]
pub fn figures(of_users: &[&str], ended: DateTime<Utc>, exit: u8) -> String {
    let mut sums: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in of_users.iter().flat_map(|figures| figures.lines()) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<u64>() else { continue };
        let (name, labels) = series.split_at(series.find('{').unwrap_or(series.len()));
        let is_name = name.starts_with("ccretain_")
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let are_labels = labels.is_empty()
            || (labels.starts_with("{store=\"") && labels.ends_with("\"}") && text(labels) == labels);
        if is_name && are_labels {
            let sum = sums.entry((name, labels)).or_default();
            *sum = sum.saturating_add(value);
        }
    }
    sums.insert(
        ("ccretain_last_run_timestamp_seconds", ""),
        u64::try_from(ended.timestamp()).unwrap_or_default(),
    );
    sums.insert(("ccretain_last_run_exit_code", ""), exit.into());
    if let Some(stopped) = sums.get_mut(&("ccretain_last_run_stopped", "")) {
        *stopped = (*stopped).min(1);
    }
    let (mut out, mut last) = (String::new(), "");
    for ((name, labels), value) in sums {
        if name != last {
            let _ = writeln!(out, "# TYPE {name} gauge");
            last = name;
        }
        let _ = writeln!(out, "{name}{labels} {value}");
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
        let ann = "# HELP ccretain_sessions_kept x\n# TYPE ccretain_sessions_kept gauge\nccretain_sessions_kept 2\n\
            ccretain_last_run_exit_code 4\nccretain_files{store=\"/home/a b/.claude\",kind=\"transcript\",outcome=\"kept\"} 2\n";
        let bob = "ccretain_sessions_kept 3\nnode_load1 9\nccretain_x{bad 1\nccretain_files{job=\"x\"} 1\nccretain_sessions_kept -1\n";
        let at = DateTime::from_timestamp(1_000, 0).unwrap();
        assert_eq!(
            figures(&[ann, bob], at, 1),
            "# TYPE ccretain_files gauge\nccretain_files{store=\"/home/a b/.claude\",kind=\"transcript\",outcome=\"kept\"} 2\n\
             # TYPE ccretain_last_run_exit_code gauge\nccretain_last_run_exit_code 1\n\
             # TYPE ccretain_last_run_timestamp_seconds gauge\nccretain_last_run_timestamp_seconds 1000\n\
             # TYPE ccretain_sessions_kept gauge\nccretain_sessions_kept 5\n"
        );
    }
}
