//! The umask of the process, as far as it would take a file of ours from its own user.

use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::process::umask;

/// The umask that the program was started with.
static CALLERS: OnceLock<Mode> = OnceLock::new();

/// Takes from the umask what is the owner's: a ledger or a lock that its own user cannot open stops every later run. What
/// it takes from group and others stays, which files that the caller names follow. Once, before any thread is started.
pub fn spare_owner() {
    CALLERS.get_or_init(|| {
        // The one way to look at it is to set it.
        let callers = umask(Mode::RWXG | Mode::RWXO);
        umask(callers - Mode::RWXU);
        callers
    });
}

/// Does something with the umask that the program was started with: starts a program that is not ours.
pub fn as_caller<T>(work: impl FnOnce() -> T) -> T {
    let Some(callers) = CALLERS.get() else { return work() };
    let ours = umask(*callers);
    let done = work();
    umask(ours);
    done
}
