//! One session or file: what it is, what dates and protects it, which rule decides, and when.

mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::json::{Policy as PolicyJson, time};
use super::{Run, root_word};
use crate::catalogue::{Disposal, Kind};
use crate::escape::text;
use crate::inventory::liveness::Liveness;
use crate::inventory::{ArtifactIndex, Evidence, FolderIndex, Oddity, Session, SessionIndex, StoreIndex};
use crate::plan::{Action, Decision, Keep, Opinion, Standing};
use crate::policy::claude::{ClientSettings, Sweep};
use crate::policy::{AgeBy, RuleRef, Source};

/// The order in which things decide.
pub const PRECEDENCE: [&str; 5] = ["hold", "live or quiet", "keepAtLeast", "delete rule", "seal rule"];

/// What is asked about.
#[derive(Debug)]
pub enum Asked {
    /// A session.
    Session(SessionIndex),
    /// A file of a store.
    File(ArtifactIndex),
    /// A folder of a store that is no session's.
    Folder {
        /// The folder.
        folder: FolderIndex,
        /// Its store.
        store: StoreIndex,
        /// Its path below the root.
        below: PathBuf,
    },
    /// Something that lies below a store's root and was not listed there.
    Unlisted {
        /// The path.
        path: PathBuf,
        /// The store.
        store: StoreIndex,
    },
    /// Something in no store.
    Outside {
        /// The path.
        path: PathBuf,
    },
}

/// Everything `explain` is made from.
#[derive(Debug)]
pub struct Explained<'a> {
    /// Stores, plan and policy; never carried out.
    pub run: Run<'a>,
    /// The client's settings, by the position of the config store they are for.
    pub clients: Vec<(usize, ClientSettings)>,
    /// What each mandate has to say.
    pub opinions: Vec<Opinion>,
    /// What is asked about.
    pub asked: Asked,
}

/// The report (`ccretain.explain/1`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explain {
    schema: &'static str,
    now: String,
    policy: PolicyJson,
    what: Subject,
    dates: Option<Dates>,
    liveness: Option<Life>,
    precedence: [&'static str; 5],
    holds: Vec<HoldJson>,
    keep_at_least: Vec<Floor>,
    rules: Vec<RuleJson>,
    decision: Option<DecisionJson>,
    /// Of a file of lines: what is decided about them.
    lines: BTreeMap<&'static str, u64>,
    client: Option<ClientJson>,
    notes: Vec<String>,
}

/// What something is.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// `session`, `file`, `folder` or `outside`.
    is: &'static str,
    kind: Option<&'static str>,
    path: Option<String>,
    session: Option<String>,
    store: Option<String>,
    store_kind: Option<&'static str>,
    project: Option<String>,
    projects: Vec<String>,
    evidence: Option<&'static str>,
    files: u64,
    bytes: u64,
    kinds: BTreeMap<&'static str, u64>,
    unrecognised: u32,
    desktop: bool,
    sealed: bool,
}

/// The dates of something.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dates {
    record: Option<String>,
    modified: Option<String>,
    touched: Option<String>,
    last_activity: Option<String>,
    /// Which date of a session the policy goes by; a file of nobody has only its own.
    age_by: Option<AgeBy>,
    age_by_source: Option<Source>,
    counts: &'static str,
    difference_seconds: Option<i64>,
    differs: bool,
}

/// Whether something is in use.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    live: bool,
    pid: Option<u32>,
    evidence: String,
    quiet: String,
    quiet_source: Source,
    quiet_until: Option<String>,
    is_quiet: bool,
}

/// A hold that covers it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldJson {
    name: String,
    reason: String,
    until: Option<String>,
    #[serde(flatten)]
    source: Source,
    binds: &'static str,
}

/// A floor.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Floor {
    keep_at_least: String,
    until: Option<String>,
    over: bool,
    #[serde(flatten)]
    source: Source,
}

/// A rule that was considered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleJson {
    name: String,
    #[serde(flatten)]
    source: Source,
    action: &'static str,
    after: String,
    standing: String,
    decides: bool,
    due: Option<String>,
    is_due: bool,
}

/// What is decided.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionJson {
    decision: &'static str,
    reason: Option<&'static str>,
    because: String,
    rule: Option<String>,
    layer: Option<String>,
    path: Option<PathBuf>,
    due: Option<String>,
}

/// What the client itself does with it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientJson {
    /// The earliest moment at which its sweep removes it; `None` for never.
    removes: Option<String>,
    days: Option<u64>,
    path: Option<PathBuf>,
    before_us: bool,
    because: String,
}

impl Explained<'_> {
    /// The report, facts first.
    #[must_use]
    pub fn explain(&self) -> Explain {
        let decision = self.decision();
        let mut explain = Explain {
            schema: "ccretain.explain/1",
            now: time(self.run.plan.now),
            policy: PolicyJson::of(self.run.policy),
            what: self.subject(),
            dates: None,
            liveness: None,
            precedence: PRECEDENCE,
            holds: Vec::new(),
            keep_at_least: Vec::new(),
            rules: Vec::new(),
            decision: decision.map(|decision| self.decided(decision)),
            lines: self.lines(),
            client: None,
            notes: self.notes(),
        };
        if self.is_dated() {
            explain.dates = self.dates();
        }
        if self.is_ruled() {
            explain.liveness = self.life();
            explain.holds = self.holds();
            explain.keep_at_least = self.floors();
            explain.rules = self.rules(decision);
            explain.client = self.client();
        }
        explain
    }

    /// Whether one date decides about it: not about files of which the lines are artifacts.
    fn is_dated(&self) -> bool {
        match self.asked {
            Asked::Session(_) => true,
            Asked::File(at) => self
                .run
                .inventory
                .artifact(at)
                .kind
                .is_some_and(|kind| kind.row().disposal == Disposal::File || kind == Kind::ConfigBackup),
            _ => false,
        }
    }

    /// Whether rules decide about it.
    fn is_ruled(&self) -> bool {
        self.is_dated()
            && match self.decision() {
                Some(Decision::Keep(Keep::Protected | Keep::Link | Keep::Foreign)) | None => false,
                Some(_) => true,
            }
    }

    fn session(&self) -> Option<(usize, &Session)> {
        let inventory = self.run.inventory;
        match self.asked {
            Asked::Session(at) => Some((at.at(), inventory.session(at))),
            Asked::File(at) => match inventory.artifact(at).belongs {
                crate::inventory::Belongs::Session(at) => Some((at.at(), inventory.session(at))),
                crate::inventory::Belongs::Loose => None,
            },
            _ => None,
        }
    }

    fn decision(&self) -> Option<Decision> {
        match self.asked {
            Asked::Session(at) => self.run.plan.sessions.get(at.at()).map(|verdict| verdict.decision),
            Asked::File(at) => self.run.plan.decisions.get(at.at()).copied(),
            _ => None,
        }
    }

    fn subject(&self) -> Subject {
        let inventory = self.run.inventory;
        let mut subject = Subject::default();
        let store = match &self.asked {
            Asked::Session(at) => Some(inventory.session(*at).store),
            Asked::File(at) => Some(inventory.store_of(inventory.artifact(*at))),
            Asked::Folder { store, .. } | Asked::Unlisted { store, .. } => Some(*store),
            Asked::Outside { .. } => None,
        };
        if let Some(view) = store.map(|store| inventory.store(store)) {
            subject.store = Some(text(&view.store.root));
            subject.store_kind = Some(root_word(view.store.kind));
        }
        if let Some((_, session)) = self.session() {
            subject.session = Some(session.id.to_string());
            subject.project = session.project.as_deref().map(text);
            subject.projects = session.projects.iter().map(|project| text(&**project)).collect();
            subject.evidence = Some(match session.evidence {
                Evidence::Transcript => "transcript",
                Evidence::Sealed => "sealed",
                Evidence::Orphaned => "orphaned",
                Evidence::Unknown => "unknown",
            });
            subject.desktop = session.is_desktop;
        }
        match &self.asked {
            Asked::Session(at) => {
                let session = inventory.session(*at);
                subject.is = "session";
                subject.unrecognised = session.unrecognised;
                for artifact in session.artifacts.iter().map(|index| inventory.artifact(*index)) {
                    subject.files += 1;
                    subject.bytes += artifact.stamp.size;
                    subject.sealed |= artifact.sealed;
                    *subject.kinds.entry(artifact.kind.map_or("unrecognised", Kind::name)).or_default() += 1;
                }
            }
            Asked::File(at) => {
                let artifact = inventory.artifact(*at);
                subject.is = "file";
                subject.kind = Some(artifact.kind.map_or("unrecognised", Kind::name));
                subject.path = Some(text(&inventory.full_path(artifact)));
                subject.files = 1;
                subject.bytes = artifact.stamp.size;
                subject.sealed = artifact.sealed;
                if subject.project.is_none() {
                    subject.project = artifact.project.as_deref().map(text);
                    subject.projects = subject.project.iter().cloned().collect();
                }
            }
            Asked::Folder { folder, below, .. } => {
                subject.is = "folder";
                subject.path = Some(text(&inventory.full_folder_path(*folder)));
                for artifact in &inventory.artifacts {
                    let within = inventory.folder(artifact.folder).store == inventory.folder(*folder).store
                        && inventory.folder_path(artifact.folder).starts_with(below);
                    if within {
                        subject.files += 1;
                        subject.bytes += artifact.stamp.size;
                        let kind = artifact.kind.map_or("unrecognised", Kind::name);
                        *subject.kinds.entry(kind).or_default() += 1;
                    }
                }
            }
            Asked::Unlisted { path, .. } => {
                subject.is = "unlisted";
                subject.path = Some(text(path));
            }
            Asked::Outside { path } => {
                subject.is = "outside";
                subject.path = Some(text(path));
            }
        }
        subject
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match &self.asked {
            Asked::Outside { .. } => notes.push("it lies in no store: ccretain never touches it".to_owned()),
            Asked::Unlisted { .. } => notes.push(
                "it lies below a store and was not listed there: another file system, behind a link, a lock or \
                 something of ccretain itself; ccretain does not touch it"
                    .to_owned(),
            ),
            Asked::Folder { .. } => notes.push(
                "rules decide about the files in a folder; a folder goes when it became empty by that".to_owned(),
            ),
            Asked::File(at) => {
                let artifact = self.run.inventory.artifact(*at);
                if artifact.kind.is_none() {
                    notes.push(
                        "the catalogue does not know this name: it is reported as unrecognised and never touched"
                            .to_owned(),
                    );
                }
                if artifact.hard_linked {
                    notes.push("it has more than one hard link: where it goes, its data remain".to_owned());
                }
                if artifact.kind.is_some_and(|kind| kind.row().disposal != Disposal::File) {
                    notes.push("the file stays; its lines or entries are decided about one by one".to_owned());
                }
            }
            Asked::Session(at) => {
                let unrecognised = self.run.inventory.session(*at).unrecognised;
                if unrecognised > 0 {
                    notes.push(format!(
                        "{unrecognised} in its folders is unrecognised and would stay: it would be partly deleted"
                    ));
                }
            }
        }
        notes
    }

    fn lines(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        let Asked::File(at) = self.asked else { return counts };
        for (file, lines) in self.run.inventory.line_files.iter().zip(&self.run.plan.lines) {
            if file.artifact == at {
                for decision in lines {
                    let word = match decision {
                        Decision::Keep(keep) => keep.reason(),
                        _ => "prune",
                    };
                    *counts.entry(word).or_default() += 1;
                }
            }
        }
        counts
    }

    fn dates(&self) -> Option<Dates> {
        let opinion = self.opinions.first()?;
        let age_by = &self.run.policy.mandates.get(opinion.mandate)?.age_by;
        let (record, modified, touched) = match (self.session(), &self.asked) {
            (Some((_, session)), _) => (session.newest_record, session.modified, session.touched),
            (None, Asked::File(at)) => {
                let modified = self.run.inventory.artifact(*at).stamp.modified.date();
                (None, modified, modified)
            }
            _ => (None, None, None),
        };
        let is_session = self.session().is_some();
        let last = opinion.date.ok();
        let difference =
            record.zip(modified).map(|(record, modified)| modified.signed_duration_since(record));
        let counts = match last {
            None => "none",
            Some(last) if Some(last) == record => "record",
            Some(last) if Some(last) == modified => "mtime",
            Some(_) => "references",
        };
        Some(Dates {
            record: record.map(time),
            modified: modified.map(time),
            touched: touched.map(time),
            last_activity: last.map(time),
            age_by: is_session.then_some(age_by.value),
            age_by_source: is_session.then(|| age_by.source.clone()),
            counts,
            difference_seconds: difference.map(|difference| difference.num_seconds()),
            differs: difference.is_some_and(|difference| difference.abs() > TimeDelta::days(1)),
        })
    }

    fn life(&self) -> Option<Life> {
        let opinion = self.opinions.iter().max_by_key(|opinion| opinion.quiet_until)?;
        let quiet = &self.run.policy.mandates.get(opinion.mandate)?.quiet;
        let liveness = self.session().map_or(Liveness::Dead, |(_, session)| session.liveness);
        let (pid, mut evidence) = match liveness {
            Liveness::Dead => (None, "no client has it open".to_owned()),
            Liveness::Process(pid) => (Some(pid), format!("process {pid} has it open")),
            Liveness::Elsewhere(pid) => (
                Some(pid),
                format!("process {pid} of another container or host has it open, or had within 7 days"),
            ),
        };
        if let Asked::File(at) = self.asked {
            if self.run.inventory.artifact(at).oddity == Oddity::InUse {
                "it is in use, or the newest usable copy".clone_into(&mut evidence);
            }
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

    fn holds(&self) -> Vec<HoldJson> {
        let mut holds: Vec<HoldJson> = Vec::new();
        for hold in self.opinions.iter().flat_map(|opinion| &opinion.holds) {
            let Some(hold) = self.run.policy.hold(*hold) else { continue };
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
                until: hold.until.map(time),
                source: hold.source.clone(),
                binds: if all { "all rules" } else { "the rules of its own and lower layers" },
            });
        }
        holds
    }

    fn floors(&self) -> Vec<Floor> {
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

    fn rules(&self, decision: Option<Decision>) -> Vec<RuleJson> {
        let now = self.run.plan.now;
        let of = |action: Action| {
            let rules = self.opinions.iter().flat_map(|opinion| &opinion.rules);
            rules
                .filter(move |rule| rule.action == action && rule.standing == Standing::Applies)
                .filter_map(|rule| Some((rule.due?, rule.rule)))
                .min()
                .map(|(_, rule)| rule)
        };
        let named = decision.and_then(rule_of);
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

    fn decided(&self, decision: Decision) -> DecisionJson {
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
            Keep::Live => "a client has it open".to_owned(),
            Keep::Quiet => "it was touched within the quiet period, which counts as live".to_owned(),
            Keep::KeepAtLeast(_) => "a delete rule is due, and keepAtLeast keeps it longer".to_owned(),
            Keep::NotDue(..) => "its delete rule is not due yet".to_owned(),
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
            Keep::Foreign => "it is another owner's, on another file system, or no regular file".to_owned(),
            Keep::OutOfScope => "its store is excluded, or another one is named with --store".to_owned(),
        }
    }

    /// When the client itself removes the transcript, and with it the session.
    fn client(&self) -> Option<ClientJson> {
        let (at, session) = self.session()?;
        let settings = self.clients.iter().find(|(store, _)| *store == session.store.at())?;
        let never = |because: String| {
            Some(ClientJson { removes: None, days: None, path: None, before_us: false, because })
        };
        match session.evidence {
            Evidence::Sealed => return never("its sweep does not know sealed files".to_owned()),
            Evidence::Orphaned | Evidence::Unknown => {
                return never(
                    "there is no transcript by which it would remove the session; single files may go by their own dates"
                        .to_owned(),
                );
            }
            Evidence::Transcript => {}
        }
        let project = session.project.as_deref().map(Path::new);
        let Some(removal) = settings.1.removal(session.modified?, project, session.is_desktop) else {
            return never(match settings.1.sweep(None) {
                Sweep::Paused { reason } => format!("its sweep is paused: {reason}"),
                Sweep::Runs { .. } if session.is_desktop => {
                    "it keeps what the desktop application wrote".to_owned()
                }
                Sweep::Runs { .. } => "its period ends beyond what dates can hold".to_owned(),
            });
        };
        let verdict = self.run.plan.sessions.get(at)?;
        let ours = match verdict.decision {
            Decision::Keep(Keep::Held(_)) => None,
            Decision::Keep(Keep::KeepAtLeast(end)) => Some(end),
            _ => verdict.deletion.map(|(due, _)| due),
        };
        let source = removal
            .path
            .as_ref()
            .map_or_else(|| "its default".to_owned(), |path| format!("'{}'", crate::escape::shown(path)));
        Some(ClientJson {
            removes: Some(time(removal.at)),
            days: Some(removal.days),
            before_us: ours.is_none_or(|due| removal.at < due),
            because: format!(
                "not written to for {} ({source})",
                crate::report::human::counted(removal.days, "day")
            ),
            path: removal.path,
        })
    }
}

/// The rule behind a decision, also behind one that waits.
fn rule_of(decision: Decision) -> Option<RuleRef> {
    match decision {
        Decision::Keep(Keep::NotDue(_, rule)) => Some(rule),
        decision => decision.due().map(|due| due.rule()),
    }
}
