//! Where the units of each backend lie: a table that takes the platform as a value.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::platform::{self, Platform};

use super::job::Scope;

/// The name of the systemd units, without ending, and of the file in `/etc/cron.d`.
pub const NAME: &str = "ccretain";
/// The label of the launchd job, and the name of its file without ending.
pub const LABEL: &str = "io.github.ccretain";

/// Folders and ids a schedule needs, resolved once for one user on one platform.
#[derive(Debug, Clone)]
pub struct Places {
    /// Which schedulers there can be.
    pub platform: Platform,
    /// The numeric id of the user, for launchd's domain.
    pub uid: u32,
    /// The name of the user, for messages about lingering.
    pub user: String,
    /// The folder of systemd's user units.
    pub systemd_user: PathBuf,
    /// The folder of the time stamps that systemd keeps of persistent user timers.
    pub systemd_user_stamps: PathBuf,
    /// The folder of the user's launch agents.
    pub launch_agents: PathBuf,
    /// The folder of the user's log, for launchd.
    pub user_log: PathBuf,
    /// The settings file of the client, which holds its hooks.
    pub client_settings: PathBuf,
    /// The folder of the client's managed settings, which may forbid hooks.
    pub client_managed: PathBuf,
    /// Where the receipt of what was made for a schedule is kept.
    pub receipt: PathBuf,
}

impl Places {
    /// The places of the user of a run.
    pub fn of(env: &Environment) -> Self {
        let variable = |name: &str| env.variable(name).map(OsStr::to_os_string);
        let user = (env.user.name.as_str(), env.user.uid);
        Self::new(env.platform, user, &env.user.home, &variable, &env.state_dir())
    }

    /// The places of a user; `variable` looks an environment variable up, `state_dir` is the
    /// user's folder of state.
    pub fn new(
        platform: Platform,
        user: (&str, u32),
        home: &Path,
        variable: &dyn Fn(&str) -> Option<OsString>,
        state_dir: &Path,
    ) -> Self {
        let at = |template: &str| platform::expand(template, home, variable).unwrap_or_else(|| home.into());
        Self {
            platform,
            uid: user.1,
            user: user.0.to_owned(),
            systemd_user: at("${XDG_CONFIG_HOME:-~/.config}/systemd/user"),
            systemd_user_stamps: at("${XDG_DATA_HOME:-~/.local/share}/systemd/timers"),
            launch_agents: at("~/Library/LaunchAgents"),
            user_log: at("~/Library/Logs/ccretain"),
            client_settings: at("${CLAUDE_CONFIG_DIR:-~/.claude}/settings.json"),
            client_managed: PathBuf::from(platform::layout(platform).client_managed),
            receipt: state_dir.join("schedule.json"),
        }
    }

    /// The folder of systemd's units.
    pub fn systemd(&self, scope: Scope) -> &Path {
        match scope {
            Scope::User => &self.systemd_user,
            Scope::System => Path::new("/etc/systemd/system"),
        }
    }

    /// The folders of units that packages ship, which an administrator switches on (systemd.unit(5)).
    pub fn systemd_shipped(&self, scope: Scope) -> &'static [&'static str] {
        match scope {
            Scope::User => &["/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"],
            Scope::System => {
                &["/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
            }
        }
    }

    /// The time stamp systemd keeps of our timer because it is persistent (systemd.timer(5)).
    pub fn systemd_stamp(&self, scope: Scope) -> PathBuf {
        let folder = match scope {
            Scope::User => self.systemd_user_stamps.as_path(),
            Scope::System => Path::new("/var/lib/systemd/timers"),
        };
        folder.join(format!("stamp-{NAME}.timer"))
    }

    /// The launchd job file.
    pub fn launchd(&self, scope: Scope) -> PathBuf {
        let folder = match scope {
            Scope::User => self.launch_agents.as_path(),
            Scope::System => Path::new("/Library/LaunchDaemons"),
        };
        folder.join(format!("{LABEL}.plist"))
    }

    /// The file launchd sends output to.
    pub fn launchd_log(&self, scope: Scope) -> PathBuf {
        match scope {
            Scope::User => self.user_log.join("schedule.log"),
            Scope::System => {
                PathBuf::from(platform::layout(Platform::Macos).system_ledger).join("schedule.log")
            }
        }
    }

    /// The file of the system's cron table.
    pub fn cron_d(&self) -> PathBuf {
        Path::new("/etc/cron.d").join(NAME)
    }
}
