//! Whether a client has a session open, by the pid files it leaves.
//!
//! A pid alone is no identity, so the start time has to be the same, and the file has to be of
//! our own pid domain (machine and pid namespace). The client writes `pidDomain` as
//! `linux:<machine id>:<pid namespace>` and `procStart` as field 22 of `/proc/<pid>/stat`
//! (observed on 2.1.330); a reboot does not change the domain, but `startedAt` then lies before
//! the boot.

use std::io::Read;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::lenient::{Lenient, object};
use crate::catalogue::SessionId;

/// After this long without any change, a session of another pid domain counts as over.
const STALE_AFTER: TimeDelta = TimeDelta::days(7);
/// A pid file above this size is none.
const LARGEST: u64 = 1 << 20;

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
}

impl Liveness {
    /// Whether the session must be left alone.
    #[must_use]
    pub fn is_live(self) -> bool {
        self != Self::Dead
    }
}

/// What a pid file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidRecord {
    /// The process.
    pub pid: u32,
    /// The session it has open.
    pub session: Option<SessionId>,
    /// When that process started, in the platform's own terms.
    pub start: Option<String>,
    /// When the client started.
    pub started_at: Option<DateTime<Utc>>,
    /// Where that process id means something.
    pub domain: Option<String>,
}

impl PidRecord {
    /// Reads a pid file or the lock of an editor; `None` if it has no pid, and so is neither.
    #[must_use]
    pub fn read(file: impl Read) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw<'a> {
            #[serde(borrow, default)]
            pid: Lenient<'a>,
            #[serde(borrow, default)]
            session_id: Lenient<'a>,
            #[serde(borrow, default)]
            proc_start: Lenient<'a>,
            #[serde(borrow, default)]
            started_at: Lenient<'a>,
            #[serde(borrow, default)]
            pid_domain: Lenient<'a>,
        }
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text).ok()?;
        let raw: Raw<'_> = object(&text)?;
        let Lenient::Number(pid) = raw.pid else { return None };
        let text_of = |value: &Lenient<'_>| match value {
            Lenient::Text(text) => Some(text.to_string()),
            Lenient::Number(number) => Some(number.to_string()),
            Lenient::Other => None,
        };
        Some(Self {
            pid: u32::try_from(pid).ok()?,
            session: raw.session_id.text().and_then(|id| SessionId::from_bytes(id.as_bytes())),
            start: text_of(&raw.proc_start),
            started_at: raw.started_at.date(),
            domain: raw.pid_domain.text().map(ToString::to_string),
        })
    }
}

/// The processes that can be asked about; the system's own, or a made-up one in tests.
pub trait Processes: Sync {
    /// The start time of a running process, as the client writes it; `Some(None)` when it runs
    /// but its start cannot be told, `None` when no such process runs.
    fn start(&self, pid: u32) -> Option<Option<String>>;
    /// Our own pid domain, as the client writes it; `None` when it cannot be told.
    fn domain(&self) -> Option<String>;
    /// When this machine was started.
    fn booted(&self) -> Option<DateTime<Utc>>;
}

/// Whether the process of a pid file has its session open. `touched` is the last change of
/// anything of that session.
#[must_use]
pub fn judge(
    record: &PidRecord,
    processes: &dyn Processes,
    touched: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Liveness {
    let (theirs, ours) = (record.domain.as_deref(), processes.domain());
    let is_ours = match (theirs, ours.as_deref()) {
        // Files of clients that did not write the domain yet are taken for our own.
        (None, _) => true,
        (Some(theirs), Some(ours)) => theirs == ours,
        (Some(_), None) => false,
    };
    if !is_ours {
        let same_machine = machine_of(theirs).is_some_and(|id| Some(id) == machine_of(ours.as_deref()));
        let before_boot =
            matches!((record.started_at, processes.booted()), (Some(start), Some(boot)) if start < boot);
        let stale = touched.is_some_and(|touched| now.signed_duration_since(touched) >= STALE_AFTER);
        return if (same_machine && before_boot) || stale {
            Liveness::Dead
        } else {
            Liveness::Elsewhere(record.pid)
        };
    }
    match (processes.start(record.pid), &record.start) {
        (None, _) => Liveness::Dead,
        (Some(Some(running)), Some(noted)) if running != *noted => Liveness::Dead,
        _ => Liveness::Process(record.pid),
    }
}

/// The machine part of a pid domain, if it has one.
fn machine_of(domain: Option<&str>) -> Option<&str> {
    domain?.split(':').nth(1).filter(|id| !id.is_empty())
}

/// The processes of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

#[cfg(target_os = "linux")]
impl Processes for System {
    fn start(&self, pid: u32) -> Option<Option<String>> {
        // Field 2 may hold spaces and parentheses, so fields are counted after the last one.
        match fs_err::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => Some(stat.rsplit_once(')').and_then(|(_, rest)| {
                // `rest` begins with field 3, so field 22 is the twentieth of it.
                rest.split_ascii_whitespace().nth(19).map(str::to_owned)
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(_) => Some(None),
        }
    }

    fn domain(&self) -> Option<String> {
        let machine = fs_err::read_to_string("/etc/machine-id").unwrap_or_default();
        let namespace = fs_err::read_link("/proc/self/ns/pid").ok()?;
        Some(format!("linux:{}:{}", machine.trim(), namespace.to_str()?))
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        let stat = fs_err::read_to_string("/proc/stat").ok()?;
        let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        DateTime::from_timestamp(line.trim().parse().ok()?, 0)
    }
}

#[cfg(target_os = "macos")]
impl Processes for System {
    fn start(&self, pid: u32) -> Option<Option<String>> {
        let ps = std::process::Command::new("/bin/ps")
            .args(["-o", "lstart=", "-p", &pid.to_string()])
            .env_clear()
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .output();
        match ps {
            Ok(output) => {
                let start = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                (!start.is_empty()).then_some(Some(start))
            }
            Err(_) => Some(None),
        }
    }

    fn domain(&self) -> Option<String> {
        // What the client writes wherever it is not on Linux.
        Some("linux".to_owned())
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        None
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
impl Processes for System {
    fn start(&self, _: u32) -> Option<Option<String>> {
        // Not known, so every process counts as running.
        Some(None)
    }

    fn domain(&self) -> Option<String> {
        None
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        None
    }
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
        fn domain(&self) -> Option<String> {
            Some("linux:machine:pid:[1]".into())
        }
        fn booted(&self) -> Option<DateTime<Utc>> {
            DateTime::from_timestamp(1_000_000, 0)
        }
    }

    fn verdict(json: &str, days_since_touched: i64) -> Liveness {
        let now = DateTime::from_timestamp(3_000_000, 0).unwrap();
        let record = PidRecord::read(json.as_bytes()).unwrap();
        judge(&record, &Fake, Some(now - TimeDelta::days(days_since_touched)), now)
    }

    #[test]
    fn our_own_domain_goes_by_pid_and_start() {
        let ours = r#""pidDomain":"linux:machine:pid:[1]""#;
        assert_eq!(verdict(&format!(r#"{{"pid":10,"procStart":"777",{ours}}}"#), 99), Liveness::Process(10));
        assert_eq!(verdict(&format!(r#"{{"pid":10,"procStart":"778",{ours}}}"#), 0), Liveness::Dead);
        assert_eq!(verdict(&format!(r#"{{"pid":10,{ours}}}"#), 99), Liveness::Process(10));
        assert_eq!(verdict(&format!(r#"{{"pid":11,"procStart":"1",{ours}}}"#), 99), Liveness::Process(11));
        assert_eq!(verdict(&format!(r#"{{"pid":12,{ours}}}"#), 0), Liveness::Dead);
        assert_eq!(verdict(r#"{"pid":10,"procStart":"777"}"#, 0), Liveness::Process(10));
    }

    #[test]
    fn another_domain_counts_until_nothing_changed_for_a_week() {
        let other =
            r#"{"pid":10,"procStart":"1","startedAt":2000000000,"pidDomain":"linux:machine:pid:[2]"}"#;
        assert_eq!(verdict(other, 6), Liveness::Elsewhere(10));
        assert_eq!(verdict(other, 7), Liveness::Dead);
        let host = r#"{"pid":12,"startedAt":1,"pidDomain":"linux:elsewhere:pid:[1]"}"#;
        assert_eq!(verdict(host, 6), Liveness::Elsewhere(12));
    }

    #[test]
    fn a_process_from_before_the_boot_is_gone() {
        let before = r#"{"pid":12,"startedAt":999999000,"pidDomain":"linux:machine:pid:[2]"}"#;
        assert_eq!(verdict(before, 0), Liveness::Dead);
    }

    #[test]
    fn a_file_without_a_pid_is_no_pid_file() {
        for text in ["", "{}", "[]", r#"{"pid":"10"}"#, "note: buy milk", r#"{"pid":-1}"#] {
            assert_eq!(PidRecord::read(text.as_bytes()), None, "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process_is_found() {
        let me = std::process::id();
        let start = System.start(me).unwrap().unwrap();
        assert!(start.parse::<u64>().is_ok(), "{start}");
        assert!(System.domain().unwrap().starts_with("linux:"));
    }
}
