//! Whose home a run is about: root leaves alone what another account would be locked out of.

use std::path::Path;

use crate::environment::Environment;

/// Whether this is root, and the home another's: `sudo` may keep `HOME`.
#[cfg(unix)]
pub fn is_of_another(home: &Path, uid: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    uid == 0 && home.metadata().is_ok_and(|found| found.uid() != 0)
}

#[cfg(not(unix))]
pub fn is_of_another(_: &Path, _: u32) -> bool {
    false
}

/// Whether state is to be left as it is: root would lock the user out of it.
pub fn is_foreign(env: &Environment) -> bool {
    let moved = |name| env.variable(name).is_some();
    is_of_another(&env.user.home, env.user.uid)
        && !(moved("CCRETAIN_STATE_DIR") && moved("CCRETAIN_CONFIG_DIR"))
}
