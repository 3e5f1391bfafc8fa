//! Reading the environment and the clock, once.

use chrono::{DateTime, Utc};

use super::args::Global;
use super::{Exit, Failure};
use crate::environment::{Environment, User};
use crate::platform::Platform;

/// Midnight of the day this program was built, in seconds since 1970.
const BUILT: &str = env!("CCRETAIN_BUILT");

/// Reads what the program knows of its surroundings.
///
/// # Errors
/// When there is no home folder or no current folder.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment and the clock")]
pub(super) fn read(_: &Global) -> Result<Environment, Failure> {
    let home = std::env::home_dir()
        .filter(|home| home.is_absolute())
        .ok_or_else(|| Failure::new(Exit::Usage, "the home folder is not known").hint("set HOME"))?;
    let working_dir = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot find the current folder: {error}")))?;
    let variables: std::collections::BTreeMap<_, _> = std::env::vars_os().collect();
    let uid = uid();
    let name = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|key| variables.get(std::ffi::OsStr::new(key)))
        .map_or_else(|| uid.to_string(), |name| name.to_string_lossy().into_owned());
    Ok(Environment {
        platform: Platform::HERE,
        user: User { name, uid, home },
        variables,
        now: Utc::now(),
        built: BUILT
            .parse()
            .ok()
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .unwrap_or_default(),
        working_dir,
    })
}

/// What the clock says now, for what is said of a run at its end; decisions go by the time it began.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment and the clock")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Whether this is a child of a run over all users.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment and the clock")]
pub(super) fn has_parent() -> bool {
    std::env::var_os(super::link::MARKER).is_some()
}

#[cfg(unix)]
fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn uid() -> u32 {
    0
}
