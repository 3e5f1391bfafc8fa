//! The processes of this machine, by what each platform tells of them.

use chrono::{DateTime, Utc};

use super::Processes;

/// The processes of this machine.
#[derive(Debug, Default)]
pub struct System {
    /// What `ps` listed at the last look: a program started for each pid file takes 20 ms a file.
    #[cfg(target_os = "macos")]
    listed: std::sync::Mutex<Option<std::sync::Arc<Listed>>>,
}

/// Every process that runs, by its id; `None` where the system did not tell.
#[cfg(any(target_os = "macos", test))]
type Listed = Option<std::collections::BTreeMap<u32, (Option<u32>, String)>>;

/// Reads what `ps -ax -o pid= -o uid= -o lstart=` prints.
///
/// Something always runs, so an empty list is no answer: it would make every session look closed.
#[cfg(any(target_os = "macos", test))]
fn from_ps(listed: &str) -> Listed {
    let process = |line: &str| {
        let (pid, rest) = line.trim().split_once(' ')?;
        let (uid, start) = rest.trim_start().split_once(' ')?;
        // The account "nobody" has a negative id.
        Some((pid.parse().ok()?, (uid.parse().ok(), start.trim().to_owned())))
    };
    let listed: std::collections::BTreeMap<_, _> = listed.lines().filter_map(process).collect();
    (!listed.is_empty()).then_some(listed)
}

#[cfg(target_os = "macos")]
impl System {
    fn listed(&self) -> std::sync::Arc<Listed> {
        let mut listed = self.listed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let look = || {
            // Each keyword by itself: all that follows a `=` is the text of one heading.
            let ps = std::process::Command::new("/bin/ps")
                .args(["-ax", "-o", "pid=", "-o", "uid=", "-o", "lstart="])
                .env_clear()
                .env("TZ", "UTC")
                .env("LC_ALL", "C")
                .output();
            let said = ps.ok().filter(|output| output.status.success());
            std::sync::Arc::new(said.and_then(|output| from_ps(&String::from_utf8_lossy(&output.stdout))))
        };
        std::sync::Arc::clone(listed.get_or_insert_with(look))
    }
}

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

    fn domains(&self) -> Vec<String> {
        let Ok(namespace) = fs_err::read_link("/proc/self/ns/pid") else { return Vec::new() };
        ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"]
            .into_iter()
            .filter_map(|file| fs_err::read_to_string(file).ok())
            // A machine without an id is not told from others by it.
            .filter(|id| !id.trim().is_empty())
            .map(|id| format!("linux:{}:{}", id.trim(), namespace.display()))
            .collect()
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        let stat = fs_err::read_to_string("/proc/stat").ok()?;
        let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        DateTime::from_timestamp(line.trim().parse().ok()?, 0)
    }

    fn owner(&self, pid: u32) -> Option<u32> {
        // The folder itself is root's where the process may not be looked into.
        let status = fs_err::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }
}

#[cfg(target_os = "macos")]
impl Processes for System {
    fn start(&self, pid: u32) -> Option<Option<String>> {
        match self.listed().as_ref() {
            Some(listed) => listed.get(&pid).map(|(_, start)| Some(start.clone())),
            None => Some(None),
        }
    }

    fn domains(&self) -> Vec<String> {
        // What the client writes wherever it is not on Linux.
        vec!["linux".to_owned()]
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn owner(&self, pid: u32) -> Option<u32> {
        self.listed().as_ref().as_ref()?.get(&pid)?.0
    }

    fn look_again(&self) {
        *self.listed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
impl Processes for System {
    fn start(&self, _: u32) -> Option<Option<String>> {
        // Not known, so every process counts as running.
        Some(None)
    }

    fn domains(&self) -> Vec<String> {
        Vec::new()
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn owner(&self, _: u32) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_ps_names_each_process_with_its_owner_and_start() {
        let said = "    1     0 Thu Nov  5 22:30:11 2026\n  501   501 Thu Nov 26 09:05:00 2026    \n\
                    12345    -2 Fri Nov 27 09:05:00 2026\n? ?\n\n";
        let listed = from_ps(said).unwrap();
        let start = |text: &str| text.to_owned();
        assert_eq!(listed[&1], (Some(0), start("Thu Nov  5 22:30:11 2026")));
        assert_eq!(listed[&501], (Some(501), start("Thu Nov 26 09:05:00 2026")));
        assert_eq!(listed[&12345], (None, start("Fri Nov 27 09:05:00 2026")));
        assert_eq!(listed.len(), 3);
        assert_eq!(from_ps(""), None, "something always runs");
        // Claude Code had written this start of the process beside its id.
        let recorded = include_str!("../../../tests/recorded/macos/ps-lstart.txt");
        let expected = (72_031, (Some(501), start("Mon Aug 17 05:43:19 2026")));
        assert_eq!(from_ps(recorded).unwrap().into_iter().collect::<Vec<_>>(), [expected]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process_is_found() {
        let me = std::process::id();
        let start = System::default().start(me).unwrap().unwrap();
        assert!(start.parse::<u64>().is_ok(), "{start}");
        assert!(System::default().domains().iter().all(|domain| domain.starts_with("linux:")));
    }
}
