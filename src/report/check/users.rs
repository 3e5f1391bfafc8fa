//! One document of those of all accounts of a machine.

use serde_json::{Value, json};

use super::{Document, Found};
use crate::findings::FindingId;
use crate::report::all_users::AllUsers;

impl Document {
    /// The document of the machine: every account's stores and findings, each finding with the account it is of.
    pub fn with_users(mut self, all: &AllUsers<'_>, left_last: &[String]) -> Self {
        // What an account reports may be anything, as its user could change it, so only what reads as a
        // document of ours counts; one that gives none is a finding itself. `left_last` are the accounts that
        // the last run over all users was not through with.
        let mut rows: Vec<Value> = Vec::new();
        for user in &all.users {
            let report = user.report.clone().and_then(|value| serde_json::from_value::<Self>(value).ok());
            let report = report.filter(|report| report.schema == super::SCHEMA && user.error.is_none());
            let row = |compliant: Option<bool>| {
                json!({
                    "user": user.user, "uid": user.uid, "home": user.home, "exit": user.exit,
                    "compliant": compliant, "error": user.error,
                })
            };
            let Some(report) = report else {
                let why = user.error.clone().unwrap_or_else(|| user.messages.join("; "));
                self.findings.push(of_account(FindingId::AccountUnchecked, Some(&user.user), why));
                rows.push(row(None));
                continue;
            };
            // Its own words are not taken for the verdict: it follows from the findings.
            let report = report.printable().counted();
            rows.push(row(Some(report.compliant)));
            let name = Some(user.user.clone());
            self.findings
                .extend(report.findings.into_iter().map(|found| Found { user: name.clone(), ..found }));
            self.stores.extend(report.stores);
            self.client.extend(report.client.into_iter().map(|mut client| {
                if let Some(keys) = client.as_object_mut() {
                    keys.insert("user".to_owned(), json!(user.user));
                }
                client
            }));
            for schedule in report.schedules {
                if !self.schedules.iter().any(|known| known.place == schedule.place) {
                    self.schedules.push(schedule);
                }
            }
            // The worst of all: the account that was left longest.
            let older = |one: &Option<String>, other: &Option<String>| one.is_none() || other < one;
            if let Some(last) = report.last_run
                && self.last_run.as_ref().is_none_or(|known| last.time < known.time)
            {
                self.last_run = Some(last);
            }
            if report.last_good_run.is_some() && older(&self.last_good_run, &report.last_good_run) {
                self.last_good_run = report.last_good_run;
            }
            if report.next_run.is_some() && older(&self.next_run, &report.next_run) {
                self.next_run = report.next_run;
            }
            if let Some(fixed) = report.fixed {
                let sum = self.fixed.get_or_insert_default();
                sum.files += fixed.files;
                sum.folders += fixed.folders;
                sum.left.extend(fixed.left);
            }
        }
        for name in left_last {
            let why = format!("the last run over all users was not through with '{name}'");
            self.findings.push(of_account(FindingId::AccountLeftOut, Some(name), why));
        }
        if all.is_empty() {
            let why = "no account with a home of its own was found, so nothing was checked".to_owned();
            self.findings.push(of_account(FindingId::AccountLeftOut, None, why));
        }
        for refused in all.refused.iter().chain(&all.not_reached) {
            let id =
                if refused.is_of_a_store { FindingId::AccountLeftOut } else { FindingId::AccountUnchecked };
            let why = format!("'{}': {}", refused.home, refused.why);
            self.findings.push(of_account(id, Some(&refused.user), why));
            rows.push(json!({
                "user": refused.user, "uid": refused.uid, "home": refused.home, "exit": null,
                "compliant": null, "error": refused.why,
            }));
        }
        self.users = Some(rows);
        self.counted()
    }
}

fn of_account(id: FindingId, user: Option<&str>, why: String) -> Found {
    let known = id.known();
    Found {
        id: known.id.to_owned(),
        area: known.area.word().to_owned(),
        severity: known.severity,
        title: known.title.to_owned(),
        evidence: vec![why],
        remedy: known.remedy.to_owned(),
        count: None,
        bytes: None,
        fixable: false,
        user: user.map(str::to_owned),
    }
}
