//! A machine made of maps: files, folders, a cron table, a systemd and a launchd that remember.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::found::Output;
use super::host::Host;
use super::places::Places;
use super::{Scheduler, Scope};
use crate::platform::Platform;

/// What `launchctl` prints while a job of the same name is still there.
const BUSY: &str = include_str!("../../tests/recorded/macos/launchctl-bootstrap-busy.txt");

/// Everything that can be different before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub folders: BTreeSet<PathBuf>,
    pub crontab: Option<Vec<u8>>,
    /// Loaded launchd targets and started systemd units.
    pub loaded: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub struct FakeHost {
    pub machine: RefCell<Machine>,
    pub calls: RefCell<Vec<String>>,
    /// Programs that exist.
    pub programs: BTreeSet<&'static str>,
    /// Programs that run.
    pub running: Vec<String>,
    /// Calls that fail, by a part of their command line.
    pub broken: RefCell<Vec<&'static str>>,
    /// Whether `crontab` takes a table and forgets it.
    pub forgets: Cell<bool>,
    /// Paths that cannot be written.
    pub read_only: RefCell<Vec<PathBuf>>,
    pub version: &'static str,
    /// How many pauses launchd needs to let go of a job that was running.
    pub lingering: Cell<u32>,
    /// What it has still to let go of.
    pub leaving: RefCell<Option<(String, u32)>>,
}

impl FakeHost {
    pub fn with(programs: &[&'static str]) -> Self {
        let host = Self {
            programs: programs.iter().copied().collect(),
            running: vec!["sh".into(), "cron".into()],
            version: "ccretain 1.0.0",
            ..Self::default()
        };
        for folder in
            ["/", "/home", "/home/ann", "/etc", "/etc/systemd", "/etc/systemd/system", "/etc/cron.d"]
        {
            host.machine.borrow_mut().folders.insert(folder.into());
        }
        host
    }

    pub fn called(&self, part: &str) -> usize {
        self.calls.borrow().iter().filter(|call| call.contains(part)).count()
    }

    fn has(&self, path: &Path) -> bool {
        let machine = self.machine.borrow();
        machine.files.contains_key(path) || machine.folders.contains(path)
    }
}

pub fn places(platform: Platform) -> Places {
    Places::new(
        platform,
        ("ann", 501),
        Path::new("/home/ann"),
        &|_| None,
        Path::new("/home/ann/.local/state/ccretain"),
    )
}

pub fn scheduler<'a>(host: &'a FakeHost, places: &'a Places, scope: Scope) -> Scheduler<'a> {
    Scheduler { host, places, scope }
}

fn said(code: i32, stdout: &[u8], stderr: &str) -> Output {
    Output { code: Some(code), stdout: stdout.to_vec(), stderr: stderr.as_bytes().to_vec() }
}

impl Host for FakeHost {
    fn version(&self, program: &Path) -> io::Result<Output> {
        if self.has(program) {
            Ok(said(0, self.version.as_bytes(), ""))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn run(&self, program: &str, arguments: &[&str], stdin: &[u8]) -> io::Result<Output> {
        let line = format!("{program} {}", arguments.join(" "));
        self.calls.borrow_mut().push(line.clone());
        if !self.programs.contains(program) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.broken.borrow().iter().any(|part| line.contains(part)) {
            return Ok(said(1, b"", "\nit did not work\nand more"));
        }
        let mut machine = self.machine.borrow_mut();
        Ok(match (program, arguments) {
            ("crontab", ["-l"]) => match &machine.crontab {
                Some(table) => said(0, table, ""),
                None => said(1, b"", "no crontab for ann\n"),
            },
            ("crontab", ["-"]) => {
                if !self.forgets.get() {
                    machine.crontab = Some(stdin.to_vec());
                }
                said(0, b"", "")
            }
            ("crontab", ["-r"]) => {
                machine.crontab = None;
                said(0, b"", "")
            }
            ("systemctl", [scope, "enable", "--now", unit]) => {
                let places = places(Platform::Linux);
                let scope = if *scope == "--user" { Scope::User } else { Scope::System };
                let folder = places.systemd(scope);
                assert!(machine.files.contains_key(&folder.join(unit)), "{unit} is not there");
                let wants = folder.join("timers.target.wants");
                machine.folders.insert(wants.clone());
                machine.files.insert(wants.join(unit), b"link".to_vec());
                let stamp = places.systemd_stamp(scope);
                machine.folders.extend(stamp.parent().unwrap().ancestors().map(Path::to_path_buf));
                machine.files.insert(stamp, Vec::new());
                machine.loaded.insert((*unit).to_owned());
                said(0, b"", "")
            }
            ("systemctl", [_, "disable", "--now", unit]) => {
                machine.loaded.remove(*unit);
                said(0, b"", "")
            }
            ("systemctl", [_, "is-active", unit]) => {
                let active = machine.loaded.contains(*unit);
                said(0, if active { b"active\n" } else { b"inactive\n" }, "")
            }
            ("systemctl", [_, "show", _, "--property=NextElapseUSecRealtime", ..]) => {
                said(0, b"@1800000000\n", "")
            }
            ("loginctl", _) => said(0, b"no\n", ""),
            ("launchctl", ["print", target]) => {
                said(i32::from(!machine.loaded.contains(*target)) * 113, b"", "")
            }
            ("launchctl", ["bootstrap", domain, path]) => {
                assert!(machine.files.contains_key(Path::new(path)));
                if self.leaving.borrow().is_some() {
                    return Ok(said(5, b"", BUSY));
                }
                let fresh = machine.loaded.insert(format!("{domain}/io.github.ccretain"));
                said(if fresh { 0 } else { 5 }, b"", BUSY)
            }
            ("launchctl", ["bootout", target]) if self.lingering.get() > 0 => {
                assert!(machine.loaded.contains(*target));
                *self.leaving.borrow_mut() = Some(((*target).to_owned(), self.lingering.get()));
                said(36, b"", "Boot-out failed: 36: Operation now in progress")
            }
            ("launchctl", ["bootout", target]) => {
                said(if machine.loaded.remove(*target) { 0 } else { 3 }, b"", "")
            }
            _ => said(0, b"", ""),
        })
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.machine.borrow().files.get(path).cloned())
    }

    fn write(&self, path: &Path, content: &[u8], _: u32) -> io::Result<()> {
        if self.read_only.borrow().iter().any(|fixed| fixed == path) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if !self.has(path.parent().unwrap()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.machine.borrow_mut().files.insert(path.into(), content.into());
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<bool> {
        Ok(self.machine.borrow_mut().files.remove(path).is_some())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.has(path))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        assert!(self.has(path.parent().unwrap()) && !self.has(path), "{}", path.display());
        self.machine.borrow_mut().folders.insert(path.into());
        Ok(())
    }

    fn remove_empty_dir(&self, path: &Path) -> bool {
        let mut machine = self.machine.borrow_mut();
        let within = |other: &PathBuf| other != path && other.starts_with(path);
        if machine.files.keys().any(within) || machine.folders.iter().any(within) {
            return false;
        }
        machine.folders.remove(path)
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        path.into()
    }

    fn programs(&self) -> Vec<String> {
        self.running.clone()
    }

    fn pause(&self, _: Duration) {
        let mut leaving = self.leaving.borrow_mut();
        if let Some((target, left)) = &mut *leaving {
            *left -= 1;
            if *left == 0 {
                self.machine.borrow_mut().loaded.remove(target);
                *leaving = None;
            }
        }
    }
}
