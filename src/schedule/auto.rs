//! Which scheduler a machine really runs.

use std::path::Path;

use super::{Backend, ScheduleError, Scheduler, Scope, cron, systemd};
use crate::platform::Platform;

impl Scheduler<'_> {
    /// The backend to use where none is named: what runs, not what is merely installed.
    ///
    /// # Errors
    /// Nothing that runs is known to this program.
    pub fn detect(&self) -> Result<Backend, ScheduleError> {
        match self.places.platform {
            Platform::Macos => Ok(Backend::Launchd),
            Platform::Windows => Err(ScheduleError::NoScheduler),
            // systemd before cron: it makes up a start that the machine slept through, cron does not.
            Platform::Linux if systemd::reachable(self).is_ok() => Ok(Backend::Systemd),
            Platform::Linux if cron::daemon(self) && self.has_table() => Ok(Backend::Cron),
            Platform::Linux => Err(ScheduleError::NoScheduler),
        }
    }

    /// The backend whose units are shown where none is named and none runs.
    pub fn likely(&self) -> Backend {
        self.detect().unwrap_or(match self.places.platform {
            Platform::Macos => Backend::Launchd,
            Platform::Linux | Platform::Windows => Backend::Systemd,
        })
    }

    fn has_table(&self) -> bool {
        match self.scope {
            // Any answer will do: only a missing program is no answer.
            Scope::User => self.host.run("crontab", &["-l"], b"").is_ok(),
            Scope::System => self.host.exists(Path::new("/etc/cron.d")).unwrap_or(false),
        }
    }
}
