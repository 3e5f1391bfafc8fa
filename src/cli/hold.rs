//! `ccretain hold`: exceptions, placed and released with a reason, and recorded.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Subcommand;

use super::survey::{self, Ground};
use super::{Context, Exit, Failure, enforce, status};
use crate::catalogue::{Root, SessionId};
use crate::enforce::preserve::{self, Preserved, Preserving};
use crate::escape::{shown, text};
use crate::guard::{self, ClockSight};
use crate::hold::{self, Coverage};
use crate::inventory::Inventory;
use crate::ledger::{self, Clock, Entry, Event, Ledger, Place, RunId};
use crate::policy::claude::ClientSettings;
use crate::policy::compile::{self, Globs};
use crate::policy::settings::{Glob, HoldSettings};
use crate::policy::{Hold, Layer, Source, holds};
use crate::report::hold::{HoldDone, HoldList, HoldReport};
use crate::seal::Recipients;
use crate::state::{State, StateFile};

/// The fewest characters of an id that name a session.
const FEWEST: usize = 8;

/// What to do with holds.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Place a hold: nothing it covers is changed or removed by ccretain.
    ///
    /// It does not bind Claude Code's own sweep; the answer says when that would remove what is
    /// held.
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    Add {
        /// Hold the sessions of these projects (repeatable).
        #[arg(long = "project", value_name = "GLOB", group = "what")]
        projects: Vec<String>,
        /// Hold this session (repeatable).
        #[arg(long = "session", value_name = "ID", group = "what")]
        sessions: Vec<String>,
        /// Why.
        #[arg(long)]
        reason: String,
        /// When it ends, such as 2027-03-01 or 2027-03-01T12:00:00Z; without it, when it is released.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Its name; one is made where none is given.
        #[arg(long)]
        name: Option<String>,
        /// Also keep sealed copies of what it covers now, which the client's own sweep cannot reach;
        /// they go when the hold is released.
        #[arg(long)]
        preserve: bool,
    },
    /// List the holds of all layers: which are in force, what they cover.
    List,
    /// Release a hold of one's own.
    Release {
        /// Its name.
        name: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// Runs `ccretain hold`.
///
/// # Errors
/// What is invalid (2), a hold that is not the user's to release (4), no ledger (4).
pub fn run(command: HoldCommand, ctx: &Context) -> Result<Exit, Failure> {
    let ground = survey::ground(ctx)?;
    // Before the look into the stores that the deed goes by.
    let _locks = match &command {
        HoldCommand::Add { preserve: true, .. } => Some(enforce::take_locks(&ground)?),
        HoldCommand::Release { name, .. } if copies(&ground, name).0 > 0 => {
            Some(enforce::take_locks(&ground)?)
        }
        _ => None,
    };
    let sight = Sight::new(&ground, ctx);
    match command {
        HoldCommand::Add { projects, sessions, reason, until, name, preserve } => {
            let new = New { projects, sessions, reason, until, name, preserve };
            add(new, &ground, &sight, ctx)
        }
        HoldCommand::List => list(&ground, &sight, ctx),
        HoldCommand::Release { name, reason } => release(&name, &reason, &ground, &sight, ctx),
    }
}

/// What lies in the stores, and what the client is set to do with it.
struct Sight {
    inventory: Inventory,
    clients: HashMap<usize, ClientSettings>,
}

impl Sight {
    fn new(ground: &Ground, ctx: &Context) -> Self {
        let inventory = ground.inventory(ctx);
        let clients = status::clients(&inventory, ctx).into_iter().collect();
        Self { inventory, clients }
    }

    fn report(&self, hold: &Hold, binds_all: bool, with_items: bool) -> HoldReport {
        let coverage: Coverage = hold::coverage(&self.inventory, hold);
        let sweeping = hold::sweeping(&self.inventory, hold, &coverage, &self.clients);
        HoldReport::new(hold, binds_all, &self.inventory, &coverage, &sweeping, with_items)
    }
}

fn list(ground: &Ground, sight: &Sight, ctx: &Context) -> Result<Exit, Failure> {
    let with_items = ctx.global.verbose > 0;
    let mut unknown = Vec::new();
    let reports = ground
        .policy
        .holds()
        .map(|(hold, binds_all)| {
            let mut report = sight.report(hold, binds_all, with_items);
            let (count, unread) = copies(ground, &hold.name);
            report.preserved = count;
            unknown.extend(unread);
            report
        })
        .collect();
    let list = HoldList::new(ctx.env.now, reports);
    if ctx.global.json {
        ctx.console.json(&list)?;
    } else {
        ctx.console.data(&list.text())?;
    }
    let mut exit = Exit::Done;
    for complaint in &ground.policy.complaints {
        ctx.console.error(complaint);
        exit = Exit::Failed;
    }
    for why in &unknown {
        ctx.console.error(why);
        exit = Exit::Failed;
    }
    for problem in &sight.inventory.problems {
        ctx.console.error(&format!("cannot {} '{}': {}", problem.doing, shown(&problem.path), problem.error));
        exit = Exit::Failed;
    }
    Ok(exit)
}

/// A hold as it was typed.
struct New {
    projects: Vec<String>,
    sessions: Vec<String>,
    reason: String,
    until: Option<String>,
    name: Option<String>,
    preserve: bool,
}

fn add(new: New, ground: &Ground, sight: &Sight, ctx: &Context) -> Result<Exit, Failure> {
    given("reason", &new.reason)?;
    let until = new.until.as_deref().map(|until| time(until, ctx.env.now)).transpose()?;
    let globs: Result<Vec<Glob>, String> = new.projects.iter().map(Glob::new).collect();
    let globs = globs.map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut ids: Vec<SessionId> = Vec::new();
    for named in &new.sessions {
        let id = session(&sight.inventory, named)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let recipients = if new.preserve { survey::recipients(&ground.policy)? } else { None };
    if new.preserve && recipients.is_none() {
        return Err(Failure::new(Exit::Usage, "there is no recipient to seal the copies to")
            .hint("`ccretain key new` makes an identity; put its recipient into the policy"));
    }
    let (mut ledger, run) = open_ledger(ground, sight, ctx)?;
    // Read again now that nobody else writes: the lock of the ledger is that of the holds, too.
    let path = holds::path(&ctx.env.config_dir());
    let mut own =
        holds::read(&path).map_err(|error| Failure::because(Exit::Usage, &error))?.unwrap_or_default();
    let taken: BTreeSet<&str> = ground
        .policy
        .holds()
        .map(|(hold, _)| hold.name.as_str())
        .chain(own.iter().map(|hold| hold.name.as_str()))
        .collect();
    let name = match new.name {
        Some(name) => {
            given("name", &name)?;
            if taken.contains(name.as_str()) {
                let message = format!("there is a hold named '{}' already", text(&name));
                return Err(Failure::new(Exit::Usage, message).hint("`ccretain hold list` shows it"));
            }
            name
        }
        None => free_name(&taken, ctx.env.now),
    };
    if new.preserve && !preserve::can_be_folder(&name) {
        let message = format!("'{}' cannot be the name of a folder of copies", text(&name));
        return Err(Failure::new(Exit::Usage, message).hint("use letters, digits, '.', '_' and '-'"));
    }
    let written = HoldSettings {
        comment: None,
        name: name.clone(),
        projects: (!globs.is_empty()).then_some(globs),
        kinds: None,
        sessions: (!ids.is_empty()).then_some(ids),
        reason: new.reason,
        until,
    };
    let source = Source { layer: Layer::User, path: Some(path.clone()) };
    let mut problems = Vec::new();
    let compiled = compile::holds(&source, std::iter::once(&written), Globs::new(&ctx.env), &mut problems);
    if let Some(problem) = problems.first() {
        return Err(Failure::because(Exit::Usage, problem));
    }
    let Some(hold) = compiled.into_iter().next() else {
        return Err(Failure::new(Exit::Usage, "the hold says nothing"));
    };
    own.push(written);
    let mut entry = Entry::new(Event::HoldAdded);
    entry.hold = Some(text(&name).into());
    entry.reason = Some(text(&hold.reason).into());
    entry.path = Some(text(&path).into());
    record(&mut ledger, Event::Intent, &entry, "hold-add", ctx)?;
    if let Err(error) = holds::write(&path, &own) {
        return Err(undone(ledger, entry, "hold-add", &error, ctx));
    }
    record(&mut ledger, Event::HoldAdded, &entry, "hold-add", ctx)?;
    let failed = match &recipients {
        Some(recipients) => keep_copies(&hold, ground, sight, recipients, &mut ledger, ctx)?,
        None => Vec::new(),
    };
    let exit = if failed.is_empty() { Exit::Done } else { Exit::Failed };
    let held = hold::covered_by(&sight.inventory, &hold);
    close(ledger, &run, "hold-add", exit, ground, ctx, |state| state.held.extend(held))?;
    let binds_all = ground.policy.user_holds.value;
    let mut report = sight.report(&hold, binds_all, ctx.global.verbose > 0);
    report.preserved = copies(ground, &name).0;
    if ctx.global.json {
        ctx.console.json(&HoldDone { schema: "ccretain.hold-add/1", hold: report, because: None })?;
    } else {
        let mut out = format!("hold '{}' added\n", text(&name));
        for line in report.coverage() {
            out.push_str(&format!("  {line}\n"));
        }
        ctx.console.data(&out)?;
    }
    for (path, why) in &failed {
        ctx.console.error(&format!("'{}' has no copy: {why}", shown(path)));
    }
    Ok(exit)
}

/// Copies what a hold covers now, each session recorded before and after; gives what failed.
fn keep_copies(
    hold: &Hold,
    ground: &Ground,
    sight: &Sight,
    recipients: &Recipients,
    ledger: &mut Ledger,
    ctx: &Context,
) -> Result<Vec<(PathBuf, String)>, Failure> {
    let preserving = Preserving {
        inventory: &sight.inventory,
        hold: &hold.name,
        recipients,
        compression: ground.policy.compression.value,
        now: ctx.env.now,
    };
    let mut all_failed = Vec::new();
    for index in hold::coverage(&sight.inventory, hold).sessions {
        let session = sight.inventory.session(index);
        let store = &sight.inventory.store(session.store).store;
        // What is sealed already is out of the client's reach.
        if session.plain == 0 || !store.in_scope || store.kind != Root::Config {
            continue;
        }
        let mut entry = Entry::new(Event::Intent);
        entry.hold = Some(text(&hold.name).into());
        entry.session = Some(session.id.to_string().into());
        entry.store = Some(text(&store.root).into());
        record(ledger, Event::Intent, &entry, "preserve", ctx)?;
        let Preserved { bytes, sealed, failed } = preserving.session(index);
        entry.files = Some(sealed.len() as u64);
        entry.bytes = Some(bytes);
        entry.sealed = sealed;
        entry.outcome = Some(if failed.is_empty() { "preserved" } else { "failed" }.into());
        entry.failed = failed
            .iter()
            .map(|(path, why)| ledger::Failure { path: text(path).into(), error: why.clone().into() })
            .collect();
        record(ledger, Event::Outcome, &entry, "preserve", ctx)?;
        all_failed.extend(failed);
    }
    Ok(all_failed)
}

/// How many sessions of a hold have a copy, and the stores that could not be asked.
fn copies(ground: &Ground, name: &str) -> (usize, Vec<String>) {
    let (mut found, mut unknown) = (0, Vec::new());
    for store in ground.stores.iter().filter(|store| store.kind == Root::Config) {
        match preserve::count(store, name) {
            Ok(count) => found += count,
            Err(error) => {
                unknown.push(format!("cannot look for copies in '{}': {error}", shown(&store.root)))
            }
        }
    }
    (found, unknown)
}

fn release(name: &str, reason: &str, ground: &Ground, sight: &Sight, ctx: &Context) -> Result<Exit, Failure> {
    given("reason", reason)?;
    let path = holds::path(&ctx.env.config_dir());
    let (mut ledger, run) = open_ledger(ground, sight, ctx)?;
    let mut own =
        holds::read(&path).map_err(|error| Failure::because(Exit::Usage, &error))?.unwrap_or_default();
    let Some(at) = own.iter().position(|hold| hold.name == name) else {
        return Err(not_own(name, ground));
    };
    let is_this = |hold: &Hold| hold.name == name && hold.source.path.as_ref() == Some(&path);
    let report = ground
        .policy
        .holds()
        .find(|(hold, _)| is_this(hold))
        .map(|(hold, binds_all)| sight.report(hold, binds_all, ctx.global.verbose > 0));
    own.remove(at);
    let mut entry = Entry::new(Event::HoldReleased);
    entry.hold = Some(text(name).into());
    entry.reason = Some(text(reason).into());
    entry.path = Some(text(&path).into());
    record(&mut ledger, Event::Intent, &entry, "hold-release", ctx)?;
    if let Err(error) = holds::write(&path, &own) {
        return Err(undone(ledger, entry, "hold-release", &error, ctx));
    }
    record(&mut ledger, Event::HoldReleased, &entry, "hold-release", ctx)?;
    let mut failed = Vec::new();
    for store in ground.stores.iter().filter(|store| store.kind == Root::Config) {
        if preserve::count(store, name).is_ok_and(|count| count == 0) {
            continue;
        }
        let mut entry = Entry::new(Event::Intent);
        entry.hold = Some(text(name).into());
        entry.store = Some(text(&store.root).into());
        record(&mut ledger, Event::Intent, &entry, "remove-copies", ctx)?;
        match preserve::remove(store, name) {
            Ok(files) => {
                entry.files = Some(files);
                entry.outcome = Some("deleted".into());
            }
            Err(error) => {
                entry.outcome = Some("failed".into());
                entry.error = Some(error.to_string().into());
                failed.push(format!("cannot remove the copies in '{}': {error}", shown(&store.root)));
            }
        }
        record(&mut ledger, Event::Outcome, &entry, "remove-copies", ctx)?;
    }
    let exit = if failed.is_empty() { Exit::Done } else { Exit::Failed };
    close(ledger, &run, "hold-release", exit, ground, ctx, |state| {
        state.held.retain(|held| held.hold != name);
    })?;
    match report {
        Some(hold) if ctx.global.json => {
            let because = Some(text(reason));
            ctx.console.json(&HoldDone { schema: "ccretain.hold-release/1", hold, because })?;
        }
        None if ctx.global.json => ctx.console.json(&serde_json::json!({
            "schema": "ccretain.hold-release/1", "hold": {"name": text(name)}, "because": text(reason),
        }))?,
        _ => ctx.console.data(&format!("hold '{}' released\n", text(name)))?,
    }
    for why in &failed {
        ctx.console.error(why);
    }
    Ok(exit)
}

/// Why a hold that is not in the user's own file is not released.
fn not_own(name: &str, ground: &Ground) -> Failure {
    let found = ground.policy.holds().map(|(hold, _)| hold).find(|hold| hold.name == name);
    let Some(hold) = found else {
        return Failure::new(Exit::Usage, format!("there is no hold named '{}'", text(name)))
            .hint("`ccretain hold list` shows the holds");
    };
    let place = hold.source.path.as_ref().map(|path| format!(" '{}'", shown(path))).unwrap_or_default();
    let message = format!(
        "hold '{}' is not released: it stands in the {} policy{place}",
        text(name),
        hold.source.layer
    );
    let hint = match hold.source.layer {
        Layer::User => "take it out of that file",
        Layer::BuiltIn | Layer::System | Layer::Managed => "only whoever keeps that policy can release it",
    };
    Failure::new(Exit::Refused, message).hint(hint)
}

fn given(what: &str, said: &str) -> Result<(), Failure> {
    if said.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, format!("the {what} is empty")));
    }
    Ok(())
}

/// A moment as it is typed: RFC 3339, or a day, which begins at midnight UTC.
fn time(typed: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    let of_day = || {
        let day = NaiveDate::parse_from_str(typed, "%Y-%m-%d").ok()?;
        Some(day.and_hms_opt(0, 0, 0)?.and_utc())
    };
    let time = DateTime::parse_from_rfc3339(typed).ok().map(|time| time.to_utc()).or_else(of_day);
    let Some(time) = time else {
        return Err(Failure::new(Exit::Usage, format!("'{}' is no time", text(typed)))
            .hint("write it like 2027-03-01 or 2027-03-01T00:00:00Z"));
    };
    if time <= now {
        return Err(Failure::new(
            Exit::Usage,
            format!("'{}' is over: such a hold holds nothing", text(typed)),
        ));
    }
    Ok(time)
}

/// The session that is meant; a full id need not be here, a beginning must fit one session alone.
fn session(inventory: &Inventory, named: &str) -> Result<SessionId, Failure> {
    if let Ok(id) = named.parse() {
        return Ok(id);
    }
    let wanted = named.to_ascii_lowercase();
    if wanted.len() < FEWEST || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(Failure::new(Exit::Usage, format!("'{}' is no session", text(named)))
            .hint("give the whole id, or 8 or more of its first characters"));
    }
    let fitting: BTreeSet<SessionId> = inventory
        .sessions
        .iter()
        .map(|session| session.id)
        .filter(|id| id.to_string().starts_with(&wanted))
        .collect();
    let mut ids = fitting.iter();
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(*id),
        (None, _) => Err(Failure::new(Exit::Usage, format!("no session '{}' was found", text(named)))
            .hint("a session that is not here yet can be held by its whole id")),
        _ => {
            let list: Vec<String> = fitting.iter().take(20).map(ToString::to_string).collect();
            let message = format!("'{}' fits several sessions: {}", text(named), list.join(", "));
            Err(Failure::new(Exit::Usage, message).hint("give more of the id"))
        }
    }
}

/// A name nobody has: `hold-` and the day.
fn free_name(taken: &BTreeSet<&str>, now: DateTime<Utc>) -> String {
    let day = now.format("hold-%Y-%m-%d").to_string();
    if !taken.contains(day.as_str()) {
        return day;
    }
    let mut number = 2_u32;
    loop {
        let name = format!("{day}-{number}");
        if !taken.contains(name.as_str()) {
            return name;
        }
        number = number.saturating_add(1);
    }
}

/// Opens the ledger, whose lock is that of the holds too, and records the beginning.
fn open_ledger(ground: &Ground, sight: &Sight, ctx: &Context) -> Result<(Ledger, RunId), Failure> {
    let last =
        ledger::last_time(&ctx.env.ledger_dir()).map_err(|error| Failure::because(Exit::Refused, &error))?;
    let seen = ClockSight {
        now: ctx.env.now,
        built: ctx.env.built,
        ledger: last,
        stores: sight.inventory.newest_date,
    };
    let (verdict, _) = guard::clock(&seen, ground.state.state.clock.as_ref());
    let clock = if verdict.is_allowed() { Clock::Proven } else { Clock::Unproven };
    let place = Place { dir: ctx.env.ledger_dir(), state_dir: ctx.env.state_dir() };
    let run = RunId::random();
    let ledger = Ledger::open(&place, &ground.policy.ledger.value, &run, clock, ctx.env.now);
    let ledger = ledger.map_err(|error| {
        let exit = if error.is_locked() { Exit::Locked } else { Exit::Refused };
        Failure::because(exit, &error).hint("a hold that is not recorded is not changed")
    })?;
    Ok((ledger, run))
}

/// Records one step of the deed.
fn record(
    ledger: &mut Ledger,
    event: Event,
    about: &Entry<'_>,
    verb: &'static str,
    ctx: &Context,
) -> Result<(), Failure> {
    let mut entry = about.clone();
    entry.event = event;
    entry.decision = Some(verb.into());
    ledger
        .append(&[entry], ctx.env.now)
        .map_err(|error| Failure::new(Exit::Refused, format!("cannot write the ledger: {error}")))
}

/// The holds could not be written: the ledger says so too.
fn undone(
    mut ledger: Ledger,
    mut entry: Entry<'static>,
    verb: &'static str,
    error: &crate::error::PathError,
    ctx: &Context,
) -> Failure {
    entry.error = Some(crate::error::chain(error).into());
    entry.outcome = Some("failed".into());
    // The file is what it was; a ledger that cannot be written either changes nothing about that.
    let _ = record(&mut ledger, Event::Outcome, &entry, verb, ctx);
    Failure::because(Exit::Failed, error)
}

/// Closes the ledger, and remembers what is held and the ledger's head, by which one finds out that
/// it was cut.
fn close(
    ledger: Ledger,
    run: &RunId,
    verb: &'static str,
    exit: Exit,
    ground: &Ground,
    ctx: &Context,
    remember: impl FnOnce(&mut State),
) -> Result<(), Failure> {
    let mut summary = Entry::new(Event::Summary);
    summary.policy = Some(ground.policy.digest.clone().into());
    summary.decision = Some(verb.into());
    summary.counts = vec![("exit".into(), u64::from(exit.code()))];
    tracing::debug!(run = run.0, verb, "recorded");
    let mut file =
        StateFile::load(&ctx.env.state_dir()).map_err(|error| Failure::because(Exit::Failed, &error))?;
    let head = ledger
        .close(summary, ctx.env.now)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot close the ledger: {error}")))?;
    if let Some(last) = &mut file.state.last_run {
        last.head = Some(head);
    }
    remember(&mut file.state);
    file.save().map_err(|error| Failure::because(Exit::Failed, &error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_moments_or_days_to_come() {
        let now = DateTime::parse_from_rfc3339("2026-11-22T10:00:00Z").unwrap().to_utc();
        assert_eq!(time("2026-11-23", now).unwrap().to_rfc3339(), "2026-11-23T00:00:00+00:00");
        assert_eq!(time("2027-03-01T12:00:00+02:00", now).unwrap().to_rfc3339(), "2027-03-01T10:00:00+00:00");
        for wrong in ["2026-11-22", "tomorrow", "30d", "", "2026-13-01", "2026-11-22T10:00:00Z"] {
            assert_eq!(time(wrong, now).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn made_names_are_free() {
        let now = DateTime::parse_from_rfc3339("2026-11-22T10:00:00Z").unwrap().to_utc();
        assert_eq!(free_name(&BTreeSet::new(), now), "hold-2026-11-22");
        let taken = BTreeSet::from(["hold-2026-11-22", "hold-2026-11-22-2"]);
        assert_eq!(free_name(&taken, now), "hold-2026-11-22-3");
    }
}
