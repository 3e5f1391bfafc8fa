//! Reading the environment and the clock, once.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::context::{Exit, Failure};
use crate::environment::{Environment, User};
use crate::escape::shown;
use crate::platform::Platform;
use crate::run::home::is_of_another;
use crate::run::link;

/// Midnight of the day this program was built, in seconds since 1970.
const BUILT: &str = env!("CCRETAIN_BUILT");

/// Reads what the program knows of its surroundings; `of_account` takes the home of the account where `HOME` is
/// somebody else's.
///
/// # Errors
/// When there is no home folder or no current folder.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment and the clock")]
pub(super) fn read(of_account: bool) -> Result<Environment, Failure> {
    let uid = uid();
    let home = home(uid, of_account)?;
    let working_dir = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot find the current folder: {error}")))?;
    let variables: std::collections::BTreeMap<_, _> = std::env::vars_os().collect();
    let name = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|key| variables.get(std::ffi::OsStr::new(key)))
        .map_or_else(|| uid.to_string(), |name| name.to_string_lossy().into_owned());
    let real_home = fs_err::canonicalize(&home).unwrap_or_else(|_| home.clone());
    Ok(Environment {
        platform: Platform::HERE,
        user: User { name, uid, home, real_home },
        variables,
        now: Utc::now(),
        built: BUILT
            .parse()
            .ok()
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .unwrap_or_default(),
        working_dir,
        is_wsl: is_wsl(),
    })
}

/// The home: `HOME`, else that of the account.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment and the clock")]
fn home(uid: u32, of_account: bool) -> Result<PathBuf, Failure> {
    let named = std::env::var_os("HOME").filter(|home| !home.is_empty());
    if cfg!(unix)
        && let Some(named) = named.map(PathBuf::from)
    {
        if !named.is_absolute() {
            return Err(Failure::new(
                Exit::Usage,
                format!("HOME is '{}', which is not a whole path", shown(&named)),
            )
            .hint(where_home_is(uid)));
        }
        // `sudo` may keep the caller's HOME: root would then run on that user's stores, with that user's
        // settings.
        let own = if of_account && is_of_another(&named, uid) { account_home(uid) } else { None };
        return Ok(own.unwrap_or(named));
    }
    // An empty HOME is none; the library would take it for the home.
    let known = if cfg!(unix) && std::env::var_os("HOME").is_some() { None } else { std::env::home_dir() };
    known
        .or_else(|| account_home(uid))
        .filter(|home| home.is_absolute())
        .ok_or_else(|| Failure::new(Exit::Usage, "the home folder is not known").hint(where_home_is(uid)))
}

/// What to do where the home cannot be used.
pub(super) fn where_home_is(uid: u32) -> String {
    let own = account_home(uid).filter(|home| home.is_dir()).unwrap_or_else(|| "/path/to/home".into());
    format!("mount it, or set HOME to the home folder: `export HOME='{}'`", shown(&own))
}

/// The home that the file of accounts names.
#[cfg(unix)]
fn account_home(uid: u32) -> Option<PathBuf> {
    let accounts = crate::locate::users::from_passwd(&fs_err::read_to_string("/etc/passwd").ok()?);
    accounts.into_iter().find(|account| account.uid == uid).map(|account| account.home)
}

#[cfg(not(unix))]
fn account_home(_: u32) -> Option<PathBuf> {
    None
}

/// Whether this Linux runs inside of Windows.
fn is_wsl() -> bool {
    let release = fs_err::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().to_lowercase();
    cfg!(target_os = "linux") && (release.contains("microsoft") || release.contains("wsl"))
}

/// What the clock says now, for what is said of a run at its end; decisions go by the time it began.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment and the clock")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Whether this is a child of a run over all users.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment and the clock")]
pub(super) fn has_parent() -> bool {
    std::env::var_os(link::MARKER).is_some()
}

#[cfg(unix)]
fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn uid() -> u32 {
    0
}
