//! Gathering what a verdict is made from: for `check`, and for the findings in a report.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::context::{Context, Failure};
use super::key::identity_path;
use super::{moved, returned, schedule, status};
use crate::catalogue::Root;
use crate::check::client::{self, ClientFacts, PolicyPeriods, Seen};
use crate::check::facts::{LedgerFact, PolicyFacts, RefusedFact, RunFacts, ScheduleFact};
use crate::check::modes::{OwnMode, Repair};
use crate::check::{Facts, look, modes, parked, untried};
use crate::client::{ClientSettings, FileState, switches};
use crate::enforce::lock;
use crate::error::chain;
use crate::escape::{shown, text};
use crate::exposure;
use crate::hold;
use crate::inventory::{Inventory, OUT_OF_REACH, Problem};
use crate::ledger::{self, Expected, Given, Names, Record};
use crate::locate::{Refusal, Store};
use crate::plan::{self, Plan};
use crate::policy::own::{self, Loose};
use crate::policy::{self, Mode, Policy, holds};
use crate::purge::certificate;
use crate::run::guards;
use crate::run::{self, Workspace};
use crate::schedule::{Program, Scope};
use crate::state::StateFile;

/// As many runs are looked back on.
const RUNS: usize = 400;
/// As far back the number of unrecognised files is compared.
const MONTH: TimeDelta = TimeDelta::days(30);

/// Everything that was gathered.
pub(super) struct Posture {
    /// What the verdict is made from.
    pub facts: Facts,
    /// Policy, state and stores; an invalid policy is replaced by one that judges nothing.
    pub ground: Workspace,
    /// What was found.
    pub inventory: Inventory,
    /// What is decided; `None` where the policy cannot be used.
    pub plan: Option<Plan>,
    /// What `--fix` would repair.
    pub repair: Repair,
    /// The summaries of the last runs, the newest first.
    pub runs: Vec<Record>,
}

impl Posture {
    /// The policy, where it can be used.
    pub fn policy(&self) -> Option<&Policy> {
        self.plan.as_ref().map(|_| &self.ground.policy)
    }
}

/// Looks at everything.
///
/// # Errors
/// A policy that was named and cannot be used, as everywhere; any other is a finding.
pub(super) fn gather(grace: TimeDelta, repairs: bool, ctx: &Context) -> Result<Posture, Failure> {
    let (policy, invalid) = match run::in_force(ctx) {
        Ok(policy) => (policy, None),
        // Who names a file wants that one.
        Err(error) if ctx.policy.is_some() => return Err(error.into()),
        Err(error) => (nothing(ctx)?, Some(chain(&error))),
    };
    let (state, state_error) = match run::remembered::remembered(&policy, ctx) {
        Ok((state, unused)) => (state, unused.into_iter().next()),
        Err(error) => (forgotten(ctx)?, Some(chain(&error))),
    };
    let ground = run::locate(ctx, policy, state, Vec::new());
    let inventory = ground.inventory(ctx);
    let now = ctx.env.now;
    let plan = invalid.is_none().then(|| plan::plan(&inventory, &ground.policy, now));
    let mut facts = Facts { now, grace, ..Facts::default() };
    facts.policy = of_policy(&ground.policy, invalid);
    facts.untried = untried::look(&inventory);
    facts.stores = look::stores(&inventory, plan.as_ref(), now, grace);
    let mut summaries = Vec::new();
    facts.runs = runs(&ground, &mut summaries, ctx);
    facts.runs.state = state_error;
    facts.runs.locked = locked(&ground, ctx);
    if let Some(plan) = &plan {
        of_plan(&mut facts, plan, &ground, &inventory, &summaries, ctx);
    }
    let recipients = run::recipients(&ground.policy);
    if let Err(error) = &recipients {
        facts.policy.complaints.push(chain(error));
    }
    facts.sealed = look::sealed(&inventory, recipients.ok().flatten().as_ref());
    unseen(&mut facts, &ground, &inventory);
    let (seen, repair) = modes::look(&inventory, repairs);
    facts.modes = seen;
    facts.modes.own = readable(ctx);
    facts.modes.loose = loose(ctx);
    match returned::came_back(&inventory, ctx) {
        Ok(found) => facts.came_back = found,
        // What it needs of the ledger is a finding already.
        Err(_) if facts.runs.ledger != LedgerFact::Sound => {}
        Err(why) => facts.runs.ledger = LedgerFact::Unreadable(why),
    }
    let roots: Vec<_> = ground
        .stores
        .iter()
        .filter(|store| !store.kind.holds_strays())
        .map(|store| store.root.clone())
        .collect();
    facts.exposure = exposed(&roots, &moved::evidence(&ground, ctx), ctx);
    facts.clients = clients(&ground, &inventory, plan.as_ref(), ctx);
    Ok(Posture { facts, ground, inventory, plan, repair, runs: summaries })
}

/// What the plan shows.
fn of_plan(
    facts: &mut Facts,
    plan: &Plan,
    ground: &Workspace,
    inventory: &Inventory,
    summaries: &[Record],
    ctx: &Context,
) {
    facts.unruled = look::unruled(inventory, plan, &ground.policy);
    if ground.policy.is_managed() {
        let parked = parked::look(inventory, plan, facts.now);
        facts.past_due = plan::past_due(inventory, &ground.policy, &parked, facts.now, facts.grace);
    }
    facts.left_copies = look::left_copies(inventory, &ground.policy);
    facts.unruled.unrecognised_before = unrecognised_before(summaries, ctx);
    match guards::judge(ground, inventory, plan, &ground.policy, ctx) {
        Ok(judged) => {
            let new = judged.refusals.into_iter();
            facts.runs.refusals.extend(new.filter(|refusal| !is_known(ground, refusal)));
        }
        // What it needs of the ledger is a finding already.
        Err(_) if facts.runs.ledger != LedgerFact::Sound => {}
        Err(error) => facts.runs.ledger = LedgerFact::Unreadable(chain(&error)),
    }
    facts.vanished = hold::vanished(&ground.state.state.held, inventory, &ground.policy, facts.now)
        .iter()
        .map(|gone| {
            format!("session {}, held by '{}', in '{}'", gone.session, text(&gone.hold), shown(&gone.store))
        })
        .collect();
}

/// What could not be looked at.
fn unseen(facts: &mut Facts, ground: &Workspace, inventory: &Inventory) {
    facts.refused = ground
        .refused
        .iter()
        .filter(|refused| !refused.is_note())
        .map(|refused| RefusedFact {
            path: refused.path.clone(),
            why: refused.why.to_string(),
            is_missing: refused.why.is_absence(),
        })
        .collect();
    let (missed, unread): (Vec<&Problem>, Vec<&Problem>) =
        inventory.problems.iter().partition(|problem| problem.doing == OUT_OF_REACH);
    let told =
        |problem: &&Problem| (text(&problem.path), format!("cannot {} it: {}", problem.doing, problem.error));
    facts.unread = unread.iter().map(told).collect();
    facts.out_of_reach = missed.iter().map(told).collect();
    let refused = ground.refused.iter().filter(|refused| matches!(refused.why, Refusal::OwnFolder(_)));
    facts.out_of_reach.extend(refused.map(|refused| (text(&refused.path), refused.why.to_string())));
}

/// A policy that nobody wrote: what stands in for one that cannot be used.
pub(super) fn nothing(ctx: &Context) -> Result<Policy, Failure> {
    policy::built_in(&ctx.env).map_err(|error| Failure::because(super::Exit::Usage, &error))
}

/// State that remembers nothing: what stands in for one that cannot be read. Never saved.
fn forgotten(ctx: &Context) -> Result<StateFile, Failure> {
    StateFile::load(&ctx.env.state_dir().join(".no-state"))
        .map_err(|error| Failure::because(super::Exit::Failed, &error))
}

fn of_policy(policy: &Policy, invalid: Option<String>) -> PolicyFacts {
    if invalid.is_some() {
        return PolicyFacts { invalid, ..PolicyFacts::default() };
    }
    PolicyFacts {
        invalid: None,
        complaints: policy.complaints.clone(),
        suspended: policy.suspended.clone(),
        audits: policy.mode() == Mode::Audit,
    }
}

/// The stores of which the lock is held for too long.
fn locked(ground: &Workspace, ctx: &Context) -> Vec<(String, DateTime<Utc>)> {
    let since = |store: &Store| {
        let since = lock::held_since(store).filter(|since| lock::is_stuck(*since, ctx.env.now))?;
        Some((text(&store.root), since))
    };
    ground.stores.iter().filter(|store| store.kind == Root::Config).filter_map(since).collect()
}

fn is_known(ground: &Workspace, refusal: &str) -> bool {
    let last = ground.state.state.last_run.as_ref();
    last.is_some_and(|last| last.refusals.iter().any(|known| known == refusal))
}

/// Runs, schedules and the ledger.
fn runs(ground: &Workspace, summaries: &mut Vec<Record>, ctx: &Context) -> RunFacts {
    let mut facts = RunFacts::default();
    let last = ground.state.state.last_run.as_ref();
    facts.last = last.map(|last| (last.time, u64::from(last.exit)));
    facts.last_well = last.filter(|last| last.exit == 0).map(|last| last.time);
    facts.refusals = last.map(|last| last.refusals.clone()).unwrap_or_default();
    schedules(&mut facts, ctx);
    let dir = ctx.env.ledger_dir();
    // Of a run over all users the parent keeps the ledger, and looks at it.
    let is_elsewhere = last.is_some_and(|last| last.head.is_none()) && !dir.join(ledger::ACTIVE).exists();
    if ctx.parent.is_some() || is_elsewhere {
        facts.ledger = LedgerFact::Elsewhere;
        return facts;
    }
    let head = last.and_then(|last| last.head.as_ref()).map(|head| head.sha256.as_str());
    facts.ledger = ledger_fact(&dir, head, &ground.policy, ctx);
    facts.unwritable = unwritable(&dir);
    match ledger::summaries(&dir, RUNS) {
        Ok(found) => {
            let of_a_run = |record: &&Record| is_a_run(record) && exit_of(record) == Some(0);
            facts.last_well =
                facts.last_well.or_else(|| found.iter().find(of_a_run).map(|record| record.time));
            if facts.last.is_none() {
                let newest = found.iter().find(|record| is_a_run(record));
                facts.last = newest.map(|record| (record.time, exit_of(record).unwrap_or_default()));
            }
            *summaries = found;
        }
        Err(error) if facts.ledger == LedgerFact::Sound => {
            facts.ledger = LedgerFact::Unreadable(chain(&error));
        }
        Err(_) => {}
    }
    facts
}

/// Whether a summary is that of `enforce`, and not of another verb.
pub(super) fn is_a_run(record: &Record) -> bool {
    matches!(record.text("decision"), Some("enforce" | "audit"))
}

/// What a run exited with.
pub(super) fn exit_of(record: &Record) -> Option<u64> {
    record.fields.get("counts")?.get("exit")?.as_u64()
}

/// How a ledger is; `head` is what the last run left as its head.
pub(super) fn ledger_fact(dir: &Path, head: Option<&str>, policy: &Policy, ctx: &Context) -> LedgerFact {
    let keep = Some(super::ledger::keep_in_force(policy));
    let found = match ledger::verify(dir, &Expected { head, keep, now: ctx.env.now }) {
        Err(error) => return LedgerFact::Unreadable(chain(&error)),
        Ok(found) => found,
    };
    match (&found.broken, found.disallowed()) {
        // A run is writing, or was cut off; the next one closes the line and says so.
        (Some(broken), _) if broken.fault != ledger::Fault::Unfinished => LedgerFact::Broken(format!(
            "'{}', line {}: {}",
            shown(&broken.segment),
            broken.line,
            broken.fault
        )),
        (_, Some(expiry)) => LedgerFact::Broken(format!(
            "'{}': record {} dropped records {} to {}, which 'ledger.keep' of the policy ({}) still keeps",
            shown(dir),
            expiry.record,
            expiry.first,
            expiry.last,
            policy.ledger.value.keep
        )),
        (None, None) if found.given == Some(Given::Absent) => LedgerFact::Cut,
        _ => LedgerFact::Sound,
    }
}

/// Why a ledger cannot be written, where that can be told without writing.
pub(super) fn unwritable(dir: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        // What is not there is made in the nearest folder that is.
        let there = dir.ancestors().find(|folder| folder.symlink_metadata().is_ok())?;
        if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
            return Some(format!("'{}': {}", shown(there), std::io::Error::from(error)));
        }
        let file = dir.join(ledger::ACTIVE);
        if file.symlink_metadata().is_ok()
            && let Err(error) = access(&file, Access::WRITE_OK)
        {
            return Some(format!("'{}': {}", shown(&file), std::io::Error::from(error)));
        }
    }
    #[cfg(not(unix))]
    let _ = dir;
    None
}

fn schedules(facts: &mut RunFacts, ctx: &Context) {
    match schedule::installed(ctx) {
        Ok(found) => facts.schedules.extend(found.into_iter().map(|installed| ScheduleFact {
            backend: installed.backend.name().to_owned(),
            is_system: installed.scope == Scope::System,
            place: installed.place,
            starts: installed.program != Program::Missing,
            other_version: match installed.program {
                Program::Other(version) => Some(version),
                Program::Current | Program::NotAsked | Program::Missing | Program::Unknown => None,
            },
            active: installed.active,
            next: installed.next,
            missed: installed.missed,
        })),
        Err(failure) => facts.schedules_unknown = Some(failure.message),
    }
    // A package puts its units elsewhere; what is enabled shows in the link.
    let link = Path::new("/etc/systemd/system/timers.target.wants/ccretain.timer");
    if facts.schedules.iter().all(|schedule| !schedule.is_system) && link.symlink_metadata().is_ok() {
        facts.schedules.push(ScheduleFact {
            backend: "systemd".to_owned(),
            is_system: true,
            place: text(link),
            starts: true,
            ..ScheduleFact::default()
        });
    }
    if !facts.schedules.is_empty() {
        facts.schedules_unknown = None;
    }
}

/// How many unrecognised files the oldest run of the last month saw.
fn unrecognised_before(summaries: &[Record], ctx: &Context) -> Option<u64> {
    let is_recent = |record: &Record| ctx.env.now.signed_duration_since(record.time) <= MONTH;
    let oldest = summaries.iter().rfind(|record| is_recent(record) && is_a_run(record))?;
    oldest.fields.get("counts")?.get("unrecognised")?.as_u64()
}

/// What of ccretain's own lies outside the stores and is open to others.
fn readable(ctx: &Context) -> Vec<OwnMode> {
    let identity = identity_path(&ctx.env);
    let mut folders = vec![ctx.env.state_dir()];
    if ctx.parent.is_none() && ctx.env.ledger_dir() != folders[0] {
        folders.push(ctx.env.ledger_dir());
    }
    let all = folders.into_iter().map(|path| (path, false)).chain([(identity, true)]);
    all.filter_map(|(path, is_identity)| {
        let mode = mode_of(&path)?;
        (mode & 0o077 != 0).then_some(OwnMode { path, mode, is_identity })
    })
    .collect()
}

/// What others can write of the user's own policy, holds and identity, each once.
fn loose(ctx: &Context) -> Vec<Loose> {
    let dir = ctx.env.config_dir();
    let named = ctx.global.policy.as_ref().map(|path| ctx.env.absolute(path));
    let files =
        [named.unwrap_or_else(|| dir.join("policy.json")), holds::path(&dir), identity_path(&ctx.env)];
    let mut found: Vec<Loose> = Vec::new();
    for loose in files.iter().filter_map(|path| own::look(path, ctx.env.user.uid)) {
        if !found.contains(&loose) {
            found.push(loose);
        }
    }
    found
}

#[cfg(unix)]
fn mode_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(fs_err::metadata(path).ok()?.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode_of(_: &Path) -> Option<u32> {
    None
}

/// What makes content readable elsewhere. What matters only for what was deleted, and takes a look
/// at every process, is left to certificates.
fn exposed(
    roots: &[std::path::PathBuf],
    moved: &[exposure::Evidence],
    ctx: &Context,
) -> Vec<exposure::Finding> {
    use exposure::Risk;
    let subject = exposure::Subject::of(&ctx.env, roots).with_moved(moved);
    let is_for_certificates = |risk: Risk| {
        matches!(
            risk,
            Risk::OpenDeletedFiles
                | Risk::CoworkDisk
                | Risk::AgentWorktrees
                | Risk::Checkpoints
                | Risk::ProjectFiles
                | Risk::FreedBlocks
                | Risk::ServerSide
        )
    };
    let rows = exposure::RISKS.iter().filter(|row| row.platforms.contains(&subject.platform));
    rows.filter(|row| !is_for_certificates(row.risk))
        .map(|row| exposure::look_for(row.risk, &subject, &exposure::System))
        .collect()
}

/// What the clients of each config folder do.
fn clients(
    ground: &Workspace,
    inventory: &Inventory,
    plan: Option<&Plan>,
    ctx: &Context,
) -> Vec<ClientFacts> {
    let environment = switches::of_environment(|name| ctx.env.variable(name));
    let periods = match plan {
        Some(_) => PolicyPeriods::of(&ground.policy),
        None => PolicyPeriods::default(),
    };
    let of = |client: &ClientSettings, root: &str| {
        client::look(root, &Seen { client, environment: &environment }, &periods)
    };
    let mut found: BTreeMap<String, ClientFacts> = BTreeMap::new();
    for (at, client) in status::clients(inventory, ctx) {
        let Some(view) = inventory.stores.get(at) else { continue };
        let root = text(&view.store.root);
        let mut facts = of(&client, &root);
        if let Some(plan) = plan {
            facts.count(&client, at, inventory, plan, &ground.policy);
        }
        found.insert(root, facts);
    }
    if found.is_empty() && ground.client.files().any(|file| file.state != FileState::Missing) {
        found.insert(String::new(), of(&ground.client, ""));
    }
    found.into_values().collect()
}

/// What tells this machine from others of its name, keyed where the names of the ledger are.
///
/// A child of a run over all users leaves it to its parent.
pub(super) fn machine_id(policy: &Policy, ctx: &Context) -> Option<String> {
    if ctx.parent.is_some() {
        return None;
    }
    let id = certificate::machine_id(ctx.env.platform, &exposure::System)?;
    match policy.ledger.value.names {
        policy::Names::Plain => Some(id),
        // Without a key yet there is no name to give.
        policy::Names::Keyed => Some(Names::load(&ctx.env.state_dir()).ok()??.keyed(&id)),
    }
}

/// The name of this machine.
pub(super) fn host(ctx: &Context) -> String {
    let of_kernel = || fs_err::read_to_string("/proc/sys/kernel/hostname").ok();
    let of_variable = || ctx.env.variable("COMPUTERNAME").map(|name| name.to_string_lossy().into_owned());
    let of_program = || {
        if ctx.parent.is_some() {
            return None;
        }
        let output = std::process::Command::new("/bin/hostname").output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let name = of_kernel().or_else(of_variable).or_else(of_program).unwrap_or_default();
    text(name.trim())
}
