//! Whether a client has a session open, by the pid files it leaves.
//!
//! A pid alone is no identity, so the start time has to be the same, and the file has to be of
//! our own pid domain (machine and pid namespace). The client writes `pidDomain` as
//! `linux:<machine or boot id>:<pid namespace>` and `procStart` as field 22 of `/proc/<pid>/stat`
//! (observed on 2.1.330); a reboot does not change a domain with a machine id, but `startedAt` then
//! lies before the boot. Of a process of another domain nothing is known but what it leaves, so its
//! session counts as open until nothing of it changed for a week.

mod pid_file;
mod system;
mod unread;

use std::ffi::OsStr;

use chrono::{DateTime, TimeDelta, Utc};

pub use pid_file::{FOLDER as PID_FILES, PidRecord, workers};
pub use system::System;
pub use unread::Unread;

/// After this long without any change, a session of another pid domain counts as over.
const STALE_AFTER: TimeDelta = TimeDelta::days(7);

/// Whether a session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Liveness {
    /// Nothing says so.
    #[default]
    Dead,
    /// A process of this machine has it open.
    Process(u32),
    /// A process of another container or host had it open and may still.
    Elsewhere(u32),
    /// A pid file that cannot be read may be of a process that has it open.
    Unread,
}

impl Liveness {
    /// Whether the session must be left alone.
    pub fn is_live(self) -> bool {
        self != Self::Dead
    }

    /// Whether a process surely runs, and is not only feared to.
    pub fn is_certain(self) -> bool {
        matches!(self, Self::Process(_))
    }
}

/// The processes that can be asked about; the system's own, or a made-up one in tests.
pub trait Processes: Sync {
    /// The start time of a running process, as the client writes it; `Some(None)` when it runs
    /// but its start cannot be told, `None` when no such process runs.
    fn start(&self, pid: u32) -> Option<Option<String>>;
    /// Our own pid domain, in every form in which the client may write it; none when it cannot be told.
    fn domains(&self) -> Vec<String>;
    /// When this machine was started.
    fn booted(&self) -> Option<DateTime<Utc>>;
    /// The id of the account that a running process is of; `None` when it cannot be told.
    fn owner(&self, pid: u32) -> Option<u32>;
    /// Makes later answers those of a moment after this call, where they are not so anyway.
    fn look_again(&self) {}
}

/// Where a pid file lies: what it is called, and the owner of its store.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub name: &'a OsStr,
    /// The id of the account that the store is of.
    pub owner: u32,
}

impl Place<'_> {
    fn bears(&self, pid: u32) -> bool {
        self.name
            .to_str()
            .and_then(|name| name.strip_suffix(".json"))
            .is_some_and(|name| name == pid.to_string())
    }
}

/// The same by what can be checked, which is all that managed rules go by: the files are the user's, and
/// neither another's process nor a file that is touched again and again may keep a session for ever unseen.
pub fn judge_checked(
    record: &PidRecord,
    place: &Place<'_>,
    processes: &dyn Processes,
    now: DateTime<Utc>,
) -> Liveness {
    record.told(by_what_is_checked(record, place, processes, now))
}

fn by_what_is_checked(
    record: &PidRecord,
    place: &Place<'_>,
    processes: &dyn Processes,
    now: DateTime<Utc>,
) -> Liveness {
    let (theirs, ours) = (record.domain.as_deref(), processes.domains());
    let is_ours = theirs.is_some_and(|theirs| ours.iter().any(|ours| ours == theirs));
    let found = processes.start(record.pid);
    if fits(record, found.as_ref()) {
        let is_his = processes.owner(record.pid).is_none_or(|owner| owner == place.owner);
        // A file that names the pid of somebody's long-running process, under any name, would keep a
        // session for ever.
        if is_his && place.bears(record.pid) {
            return Liveness::Process(record.pid);
        }
        if is_ours || theirs.is_none() {
            return Liveness::Dead;
        }
    }
    if is_ours && matches!((&found, &record.start), (Some(Some(_)), Some(_)) | (None, _)) {
        return Liveness::Dead;
    }
    if is_of_an_earlier_boot(record, &ours, processes) {
        return Liveness::Dead;
    }
    let written =
        [record.started_at, record.modified].into_iter().flatten().filter(|sign| *sign <= now).max();
    // Not by what was touched: the user can touch a file every week.
    let counts = written.is_some_and(|written| now.signed_duration_since(written) < STALE_AFTER);
    if counts { Liveness::Elsewhere(record.pid) } else { Liveness::Dead }
}

/// Whether the process runs here. Its start tells it from every other, so that the domain need not be known: it cannot
/// be told while the files that name it cannot be read.
fn fits(record: &PidRecord, found: Option<&Option<String>>) -> bool {
    matches!((found, &record.start), (Some(Some(running)), Some(noted)) if running == noted)
}

/// Whether a process of another domain of this machine began before the machine did.
fn is_of_an_earlier_boot(record: &PidRecord, ours: &[String], processes: &dyn Processes) -> bool {
    let same_machine = machine_of(record.domain.as_deref())
        .is_some_and(|id| ours.iter().any(|ours| machine_of(Some(ours)) == Some(id)));
    same_machine
        && matches!((record.started_at, processes.booted()), (Some(start), Some(boot)) if start < boot)
}

/// Whether the process of a pid file has its session open. `touched` is the last change of
/// anything of that session; that the client started and wrote the file counts as one.
pub fn judge(
    record: &PidRecord,
    processes: &dyn Processes,
    touched: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Liveness {
    // Nothing tells which processes a folder names that cannot be listed, so none can be said to be over.
    if record.is_unread && record.pid == 0 {
        return Liveness::Unread;
    }
    record.told(by_all_signs(record, processes, touched, now))
}

fn by_all_signs(
    record: &PidRecord,
    processes: &dyn Processes,
    touched: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Liveness {
    let (theirs, ours) = (record.domain.as_deref(), processes.domains());
    let is_ours = theirs.is_some_and(|theirs| ours.iter().any(|ours| ours == theirs));
    let found = processes.start(record.pid);
    if fits(record, found.as_ref()) {
        return Liveness::Process(record.pid);
    }
    // Clients that wrote no domain may have run here or elsewhere.
    if is_ours || theirs.is_none() {
        match (found, &record.start) {
            (Some(Some(_)), Some(_)) | (None, _) => {}
            // Also without a start time in the file: a process of that number runs, and doubt keeps.
            (Some(_), _) => return Liveness::Process(record.pid),
        }
        if is_ours {
            return Liveness::Dead;
        }
    }
    let signs = [touched, record.started_at, record.modified].into_iter().flatten();
    let is_stale = signs
        .filter(|sign| *sign <= now)
        .max()
        .is_some_and(|sign| now.signed_duration_since(sign) >= STALE_AFTER);
    if is_stale || is_of_an_earlier_boot(record, &ours, processes) {
        Liveness::Dead
    } else {
        Liveness::Elsewhere(record.pid)
    }
}

/// Whether a worker of the service for background sessions runs, by what can be checked.
pub fn judge_worker_checked(
    record: &PidRecord,
    owner: u32,
    processes: &dyn Processes,
    now: DateTime<Utc>,
) -> Liveness {
    // No file bears its name: the service keeps one of all.
    let name = format!("{}.json", record.pid);
    judge_checked(record, &Place { name: name.as_ref(), owner }, processes, now)
}

/// The machine part of a pid domain, if it has one.
fn machine_of(domain: Option<&str>) -> Option<&str> {
    domain?.split(':').nth(1).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;
    impl Processes for Fake {
        fn start(&self, pid: u32) -> Option<Option<String>> {
            match pid {
                10 => Some(Some("777".into())),
                11 => Some(None),
                _ => None,
            }
        }
        fn domains(&self) -> Vec<String> {
            vec!["linux:machine:pid:[1]".into(), "linux:boot:pid:[1]".into()]
        }
        fn booted(&self) -> Option<DateTime<Utc>> {
            Some(now() - TimeDelta::days(20))
        }
        fn owner(&self, pid: u32) -> Option<u32> {
            (pid < 20).then_some(if pid == 10 { 1000 } else { 0 })
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000, 0).unwrap()
    }

    fn verdict(json: &str, days_since_touched: i64) -> Liveness {
        let started = (now() - TimeDelta::days(10)).timestamp_millis().to_string();
        let record = PidRecord::parse(json.replace("STARTED", &started).as_bytes()).unwrap();
        judge(&record, &Fake, Some(now() - TimeDelta::days(days_since_touched)), now())
    }

    #[test]
    fn our_own_domain_goes_by_pid_and_start() {
        let ours = r#""pidDomain":"linux:machine:pid:[1]""#;
        assert_eq!(verdict(&format!(r#"{{"pid":10,"procStart":"777",{ours}}}"#), 99), Liveness::Process(10));
        assert_eq!(verdict(&format!(r#"{{"pid":10,"procStart":"778",{ours}}}"#), 0), Liveness::Dead);
        assert_eq!(verdict(&format!(r#"{{"pid":10,{ours}}}"#), 99), Liveness::Process(10));
        assert_eq!(verdict(&format!(r#"{{"pid":11,"procStart":"1",{ours}}}"#), 99), Liveness::Process(11));
        assert_eq!(verdict(&format!(r#"{{"pid":12,{ours}}}"#), 0), Liveness::Dead);
        let by_boot = r#"{"pid":12,"pidDomain":"linux:boot:pid:[1]"}"#;
        assert_eq!(verdict(by_boot, 0), Liveness::Dead);
    }

    #[test]
    fn of_files_that_cannot_be_read_the_one_that_counts_longest_decides() {
        let file = |name: &str, days: Option<i64>| {
            PidRecord::unread(Some(name.as_ref()), days.map(|days| now() - TimeDelta::days(days)))
        };
        let (running, gone, undated) =
            (file("10.json", Some(99)), file("12.json", Some(99)), file("13.json", None));
        let touched = [None, Some(-1), Some(1), Some(99)];
        let touched = touched.map(|days| days.map(|days| now() - TimeDelta::days(days)));
        let judged = |files: &[&PidRecord]| {
            let mut unread = Unread::default();
            for file in files {
                unread.add(file, &Place { name: "".as_ref(), owner: 1000 }, &Fake, now());
            }
            touched.map(|touched| unread.judge(touched, &Fake, now()).is_live())
        };
        for (files, expected) in [
            (&[][..], [false; 4]),
            (&[&running], [true; 4]),
            (&[&gone], [false, false, true, false]),
            (&[&undated], [true, true, true, false]),
            (&[&running, &undated], [true; 4]),
            (&[&undated, &running], [true; 4]),
            (&[&gone, &undated], [true, true, true, false]),
        ] {
            assert_eq!(judged(files), expected, "{files:?}");
            let each =
                touched.map(|touched| files.iter().any(|file| judge(file, &Fake, touched, now()).is_live()));
            assert_eq!(each, expected, "{files:?}, one by one");
        }
    }

    #[test]
    fn without_a_domain_a_process_that_is_not_here_may_run_elsewhere() {
        assert_eq!(verdict(r#"{"pid":10,"procStart":"777"}"#, 99), Liveness::Process(10));
        for gone in [r#"{"pid":10,"procStart":"778"}"#, r#"{"pid":12}"#] {
            assert_eq!(verdict(gone, 6), Liveness::Elsewhere(PidRecord::parse(gone.as_bytes()).unwrap().pid));
            assert_eq!(verdict(gone, 7), Liveness::Dead);
        }
    }

    #[test]
    fn our_domain_is_machine_and_namespace_both() {
        for other in ["linux:machine:pid:[2]", "linux:other:pid:[1]", "linux::pid:[1]", "linux:", "", "x"] {
            let other = format!(r#"{{"pid":12,"startedAt":STARTED,"pidDomain":"{other}"}}"#);
            assert_eq!(verdict(&other, 6), Liveness::Elsewhere(12), "{other}");
            assert_eq!(verdict(&other, 7), Liveness::Dead, "{other}");
        }
    }

    #[test]
    fn that_a_client_started_and_wrote_its_file_counts_as_a_touch() {
        let record = |modified: i64, started: i64| PidRecord {
            modified: Some(now() - TimeDelta::days(modified)),
            started_at: Some(now() - TimeDelta::days(started)),
            ..PidRecord::parse(br#"{"pid":12,"pidDomain":"linux:other:pid:[1]"}"#).unwrap()
        };
        let old = Some(now() - TimeDelta::days(50));
        let judged = |modified, started, touched| judge(&record(modified, started), &Fake, touched, now());
        assert_eq!(judged(6, 50, old), Liveness::Elsewhere(12));
        assert_eq!(judged(50, 6, old), Liveness::Elsewhere(12));
        assert_eq!(judged(50, 50, old), Liveness::Dead);
        // What lies ahead says nothing.
        assert_eq!(judged(-5, 50, old), Liveness::Dead);
        assert_eq!(judged(50, -5, old), Liveness::Dead);
        assert_eq!(judged(-5, 6, old), Liveness::Elsewhere(12));
        assert_eq!(judged(50, 50, None), Liveness::Dead);
    }

    #[test]
    fn another_domain_counts_until_nothing_changed_for_a_week() {
        let other = r#"{"pid":10,"procStart":"1","startedAt":STARTED,"pidDomain":"linux:machine:pid:[2]"}"#;
        assert_eq!(verdict(other, 6), Liveness::Elsewhere(10));
        assert_eq!(verdict(other, 7), Liveness::Dead);
        let host = r#"{"pid":12,"startedAt":STARTED,"pidDomain":"linux:elsewhere:pid:[1]"}"#;
        assert_eq!(verdict(host, 6), Liveness::Elsewhere(12));
    }

    /// Where the domain of this machine cannot be read, none is the same as ours.
    #[test]
    fn a_process_with_the_noted_start_is_the_client_whatever_its_domain() {
        let other = r#"{"pid":10,"procStart":"777","startedAt":STARTED,"pidDomain":"linux:unknown:pid:[1]"}"#;
        assert_eq!(verdict(other, 99), Liveness::Process(10));
        let other = r#"{"pid":10,"procStart":"777","pidDomain":"linux:unknown:pid:[1]"}"#;
        assert_eq!(checked(other, "10.json", 1000, 99), Liveness::Process(10));
        assert_eq!(checked(other, "10.json", 1001, 99), Liveness::Dead);
        assert_eq!(checked(other, "11.json", 1000, 99), Liveness::Dead);
    }

    #[test]
    fn a_process_from_before_the_boot_is_gone() {
        let before = (now() - TimeDelta::days(21)).timestamp_millis();
        for machine in ["machine", "boot"] {
            let before =
                format!(r#"{{"pid":12,"startedAt":{before},"pidDomain":"linux:{machine}:pid:[2]"}}"#);
            assert_eq!(verdict(&before, 0), Liveness::Dead);
        }
    }

    /// What a managed rule believes: `days` ago the file was written.
    fn checked(json: &str, name: &str, owner: u32, days: i64) -> Liveness {
        let modified = Some(now() - TimeDelta::days(days));
        let record = PidRecord { modified, ..PidRecord::parse(json.as_bytes()).unwrap() };
        judge_checked(&record, &Place { name: OsStr::new(name), owner }, &Fake, now())
    }

    #[test]
    fn managed_rules_go_by_what_can_be_checked() {
        const OURS: &str = r#""pidDomain":"linux:machine:pid:[1]""#;
        let ours = |rest: &str| format!("{{{OURS},{rest}}}");
        let sound = ours(r#""pid":10,"procStart":"777""#);
        assert_eq!(checked(&sound, "10.json", 1000, 99), Liveness::Process(10));
        // Another name, another's process, another start: each is enough.
        assert_eq!(checked(&sound, "11.json", 1000, 0), Liveness::Dead);
        assert_eq!(checked(&sound, "10.json", 1001, 0), Liveness::Dead);
        assert_eq!(checked(&ours(r#""pid":10,"procStart":"778""#), "10.json", 1000, 0), Liveness::Dead);
        assert_eq!(checked(&ours(r#""pid":12,"procStart":"1""#), "12.json", 1000, 0), Liveness::Dead);
        assert_eq!(checked(r#"{"pid":10,"procStart":"777"}"#, "100.json", 1000, 0), Liveness::Dead);
    }

    #[test]
    fn what_cannot_be_checked_counts_for_a_week_for_managed_rules() {
        for record in [
            r#"{"pid":10}"#,
            r#"{"pid":12}"#,
            r#"{"pid":77,"pidDomain":"linux:elsewhere:pid:[1]"}"#,
            r#"{"pid":10,"procStart":"778"}"#,
            // A date that is still to come is none.
            r#"{"pid":77,"pidDomain":"linux:elsewhere:pid:[1]","startedAt":4085000000000}"#,
        ] {
            assert!(checked(record, "x.json", 1000, 6).is_live(), "{record}");
            assert_eq!(checked(record, "x.json", 1000, 7), Liveness::Dead, "{record}");
            assert_eq!(checked(record, "x.json", 1000, -1), Liveness::Dead, "{record}");
        }
    }
}
