//! Signals by which a run is asked to stop.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};

/// The signals that were ignored when the program began, a bit each; `nohup` and `&` in a script leave them so.
static IGNORED: OnceLock<u64> = OnceLock::new();

/// Looks which signals whoever started the program ignores; once, before anything is done about one.
pub fn look() {
    IGNORED.get_or_init(ignored);
}

/// Takes a file that may not grow any more for an error as any other: unheard, its signal ends the program between a
/// deed and its record.
pub fn outlive_limits() {
    // Handled and not ignored, as a program that is started inherits what is ignored.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Notes where a run is asked to stop.
pub fn note_stops(asked: &Arc<AtomicBool>, interrupted: &Arc<AtomicBool>) {
    // A signal that the caller ignores asks for nothing, and stays ignored.
    // Without a handler the signal ends the program at once, which loses nothing either.
    if !is_ignored(SIGTERM) {
        let _ = signal_hook::flag::register(SIGTERM, Arc::clone(asked));
    }
    if !is_ignored(SIGINT) {
        // Whoever presses Ctrl-C twice does not want to wait for the session at hand.
        let _ = signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(interrupted));
        let _ = signal_hook::flag::register(SIGINT, Arc::clone(interrupted));
    }
}

/// Whether the caller ignores a signal.
pub fn is_ignored(signal: i32) -> bool {
    let mask = IGNORED.get().copied().unwrap_or_default();
    u32::try_from(signal - 1).ok().and_then(|bit| mask.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(target_os = "linux")]
fn ignored() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    mask(status.lines().find_map(|line| line.strip_prefix("SigIgn:")))
}

/// The system tells it only through a call that is not safe, or through `ps`.
#[cfg(all(unix, not(target_os = "linux")))]
fn ignored() -> u64 {
    let pid = std::process::id().to_string();
    let said = std::process::Command::new("/bin/ps").args(["-o", "ignored=", "-p", &pid]).output();
    mask(said.ok().as_ref().and_then(|said| std::str::from_utf8(&said.stdout).ok()))
}

fn mask(hex: Option<&str>) -> u64 {
    hex.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_the_kernel_is_read() {
        // As `nohup` and `&` leave it: SIGHUP, SIGINT and SIGQUIT.
        let ignored = mask(Some("\t0000000000000007"));
        assert_eq!([1, 2, 3, 15].map(|signal| ignored >> (signal - 1) & 1), [1, 1, 1, 0]);
        assert_eq!(mask(Some("no number")), 0);
        assert_eq!(mask(None), 0);
    }
}
