//! What dates something, what protects it, and which rule decides.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Asked, Dates, DecisionJson, Explained, Floor, HoldJson, Life, RuleJson};
use crate::catalogue::Disposal;
use crate::escape::text;
use crate::inventory::Oddity;
use crate::inventory::liveness::Liveness;
use crate::plan::{Action, Decision, Keep, Opinion, Standing, deciding};
use crate::policy::RuleRef;
use crate::report::json::time;

impl Explained<'_> {
    pub(super) fn dates(&self) -> Option<Dates> {
        let opinion = self.opinions.first()?;
        let age_by = &self.run.policy.mandates.get(opinion.mandate)?.age_by;
        let damaged = self.session().and_then(|(_, session)| session.damaged);
        let (record, modified, touched) = match (self.session(), &self.asked) {
            (Some((_, session)), _) => (session.newest_record, session.modified, session.touched),
            (None, Asked::File(at)) => {
                let modified = self.run.inventory.artifact(*at).modified();
                (None, modified, modified)
            }
            _ => (None, None, None),
        };
        let is_session = self.session().is_some();
        let last = opinion.date.ok();
        let difference =
            record.zip(modified).map(|(record, modified)| modified.signed_duration_since(record));
        let first_seen = match self.asked {
            Asked::File(at) if !is_session => {
                let artifact = self.run.inventory.artifact(at);
                self.run.inventory.dated(artifact).filter(|_| modified.is_none())
            }
            _ => self.session().and_then(|(_, session)| session.first_seen),
        };
        let counts = match last {
            None => "none",
            Some(last) if Some(last) == record => "record",
            Some(last) if Some(last) == modified || Some(last) == damaged => "mtime",
            Some(last) if Some(last) == first_seen => "first-seen",
            Some(_) => "references",
        };
        Some(Dates {
            record: record.map(time),
            modified: modified.map(time),
            touched: touched.map(time),
            damaged: damaged.map(time),
            first_seen: first_seen.map(time),
            last_activity: last.map(time),
            age_by: is_session.then_some(age_by.value),
            age_by_source: is_session.then(|| age_by.source.clone()),
            counts,
            difference_seconds: difference.map(|difference| difference.num_seconds()),
            differs: difference.is_some_and(|difference| difference.abs() > TimeDelta::days(1)),
        })
    }

    pub(super) fn life(&self) -> Option<Life> {
        let opinion = self.opinions.iter().max_by_key(|opinion| opinion.quiet_until)?;
        let quiet = &self.run.policy.mandates.get(opinion.mandate)?.quiet;
        let liveness = self.session().map_or(Liveness::Dead, |(_, session)| session.liveness);
        let (pid, mut evidence) = match liveness {
            Liveness::Dead => (None, "it is not open in Claude Code".to_owned()),
            Liveness::Process(pid) => (Some(pid), format!("process {pid} has it open")),
            Liveness::Elsewhere(pid) => (
                Some(pid),
                format!("process {pid} of another container or host has it open, or had within 7 days"),
            ),
            Liveness::Unread => {
                (None, "it may be open in Claude Code: what says so cannot be read".to_owned())
            }
        };
        if matches!(self.asked, Asked::File(at) if self.run.inventory.artifact(at).oddity == Oddity::InUse) {
            "it is in use, or the newest usable copy".clone_into(&mut evidence);
        }
        Some(Life {
            live: liveness.is_live(),
            pid,
            evidence,
            quiet: quiet.value.to_string(),
            quiet_source: quiet.source.clone(),
            quiet_until: opinion.quiet_until.map(time),
            is_quiet: opinion.quiet_until.is_some_and(|until| self.run.plan.now < until),
        })
    }

    pub(super) fn holds(&self) -> Vec<HoldJson> {
        let mut holds: Vec<HoldJson> = Vec::new();
        for hold in self.opinions.iter().flat_map(|opinion| &opinion.holds) {
            let Some(hold) = self.run.policy.hold(*hold) else { continue };
            // A hold may bind several mandates, and is one row.
            if holds.iter().any(|known| known.name == text(&hold.name) && known.source == hold.source) {
                continue;
            }
            let all = self.opinions.iter().all(|opinion| {
                opinion
                    .holds
                    .iter()
                    .any(|other| self.run.policy.hold(*other).is_some_and(|other| other.name == hold.name))
            });
            holds.push(HoldJson {
                name: text(&hold.name),
                reason: text(&hold.reason),
                until: hold.until.map(|until| time(until.to_utc())),
                ends: hold.until.map(crate::report::human::in_zone),
                source: hold.source.clone(),
                binds: if all { "all rules" } else { "the rules of its own and lower layers" },
            });
        }
        holds
    }

    pub(super) fn floors(&self) -> Vec<Floor> {
        let of = |opinion: &Opinion| {
            let floor = self.run.policy.mandates.get(opinion.mandate)?.keep_at_least.as_ref()?;
            Some(Floor {
                keep_at_least: floor.value.to_string(),
                until: opinion.floor.filter(|until| *until < DateTime::<Utc>::MAX_UTC).map(time),
                over: opinion.floor.is_some_and(|until| until <= self.run.plan.now),
                source: floor.source.clone(),
            })
        };
        self.opinions.iter().filter_map(of).collect()
    }

    pub(super) fn rules(&self, decision: Option<Decision>) -> Vec<RuleJson> {
        let now = self.run.plan.now;
        let of = |action| deciding(&self.opinions, action, self.run.policy);
        let named = decision.and_then(rule_of);
        // A decision to seal names a seal rule; the delete rule is then the one that would be next.
        let seals = matches!(decision, Some(Decision::Seal(_)));
        let deletes = if seals { of(Action::Delete) } else { named.or_else(|| of(Action::Delete)) };
        let sealing = if seals { named } else { of(Action::Seal) };
        let mut rules = Vec::new();
        for considered in self.opinions.iter().flat_map(|opinion| &opinion.rules) {
            let Some((layer, rule)) = self.run.policy.rule(considered.rule) else { continue };
            let (action, after, deciding) = match considered.action {
                Action::Delete => ("delete", rule.delete_after.as_ref(), deletes),
                Action::Seal => ("seal", rule.seal_after.as_ref(), sealing),
            };
            let decides = deciding == Some(considered.rule);
            let standing = match considered.standing {
                _ if decides => "decides".to_owned(),
                Standing::Applies if considered.due.is_none() => "never".to_owned(),
                Standing::Applies => "later".to_owned(),
                Standing::Shadowed(by) => {
                    format!("shadowed by '{}'", text(&self.run.policy.rule_name(by)))
                }
                Standing::DoesNotMatch => "does not match".to_owned(),
            };
            rules.push(RuleJson {
                name: text(&rule.name),
                source: layer.source.clone(),
                action,
                after: after.map(ToString::to_string).unwrap_or_default(),
                standing,
                decides,
                due: considered.due.map(time),
                is_due: considered.due.is_some_and(|due| due <= now),
            });
        }
        rules
    }

    pub(super) fn decided(&self, decision: Decision) -> DecisionJson {
        let deletion = match self.asked {
            Asked::Session(at) => self.run.plan.sessions.get(at.at()).and_then(|verdict| verdict.deletion),
            _ => self.session().and_then(|(at, _)| self.run.plan.sessions.get(at)?.deletion),
        };
        let rule = rule_of(decision).or_else(|| deletion.map(|(_, rule)| rule));
        let due = match decision {
            Decision::Keep(Keep::NotDue(due, _) | Keep::KeepAtLeast(due)) => Some(due),
            Decision::Keep(Keep::Held(_) | Keep::Live | Keep::Quiet) => deletion.map(|(due, _)| due),
            decision => decision.due().map(|due| due.since()),
        };
        let concerned = due.is_some().then_some(rule).flatten();
        let layer = concerned.and_then(|rule| self.run.policy.rule(rule)).map(|(layer, _)| layer);
        DecisionJson {
            decision: decision.word(),
            reason: match decision {
                Decision::Keep(keep) => Some(keep.reason()),
                _ => None,
            },
            because: self.because(decision, layer.is_some()),
            rule: concerned.map(|rule| text(&self.run.policy.rule_name(rule))),
            layer: layer.map(|layer| layer.source.layer.to_string()),
            path: layer.and_then(|layer| layer.source.path.clone()),
            due: due.map(time),
        }
    }

    fn because(&self, decision: Decision, has_rule: bool) -> String {
        let keep = match decision {
            decision if self.run.is_audited(decision) => {
                return "a rule matches and is due, but is in audit mode, which only reports".into();
            }
            Decision::Delete(_) => {
                return "a delete rule matches and is due, and nothing above it keeps it".into();
            }
            Decision::Prune(_) => return "lines of it are due; the file stays".into(),
            Decision::Seal(_) => {
                return "a seal rule matches and is due, and nothing above it keeps it".into();
            }
            Decision::Keep(keep) => keep,
        };
        match keep {
            Keep::Held(hold) => self.run.policy.hold(hold).map_or_else(
                || "a hold covers it".to_owned(),
                |hold| format!("hold '{}' covers it: {}", text(&hold.name), text(&hold.reason)),
            ),
            Keep::Live => "it is open in Claude Code".to_owned(),
            Keep::Quiet => "it was touched within the quiet period, which counts as live".to_owned(),
            Keep::KeepAtLeast(_) => "a delete rule is due, and keepAtLeast keeps it longer".to_owned(),
            Keep::NotDue(..) => "its delete rule is not due yet".to_owned(),
            Keep::Refused(_) => "a delete rule is due, and a guard refuses to delete so much".to_owned(),
            Keep::Unsealable(_) => "a seal rule is due, and a file of the session cannot be sealed: it has a hard link elsewhere, belongs to another account, lies out of reach or has too long a name".to_owned(),
            Keep::NoRule if has_rule => "it goes with its session".to_owned(),
            Keep::NoRule => match &self.asked {
                Asked::File(at)
                    if self
                        .run
                        .inventory
                        .artifact(*at)
                        .kind
                        .is_some_and(|kind| kind.row().disposal != Disposal::File) =>
                {
                    "the file itself stays, and no line of it is due".to_owned()
                }
                _ => "no rule ever deletes it".to_owned(),
            },
            Keep::Protected => "it is protected: age never removes it".to_owned(),
            Keep::Unrecognised => "it is unrecognised: the catalogue does not know it".to_owned(),
            Keep::Undated => "it has no date that can be relied on".to_owned(),
            Keep::FutureDated => "its date lies in the future".to_owned(),
            Keep::OwnerUnknown => "what it belongs to could not be found out".to_owned(),
            Keep::Link => "it is a link, and links outside a session's own folders stay".to_owned(),
            Keep::Foreign => "it belongs to another account, or is not a regular file".to_owned(),
            Keep::OutOfReach => "it, or the lock of the store that it may belong to, lies behind a mount point or a link that is not followed".to_owned(),
            Keep::OutOfScope => "its store is excluded, or another one is named with --store".to_owned(),
        }
    }
}

/// The rule behind a decision, also behind one that waits.
fn rule_of(decision: Decision) -> Option<RuleRef> {
    match decision {
        Decision::Keep(Keep::NotDue(_, rule)) => Some(rule),
        Decision::Keep(Keep::Unsealable(due)) => Some(due.rule()),
        decision => decision.due().map(|due| due.rule()),
    }
}
