//! `-vv`: what the program does, on stderr.

use tracing::Level;

/// Shows every event from now on, a line each. Events name paths, counts and errors, and nothing of a file's content.
pub(super) fn show() {
    let lines = tracing_subscriber::fmt()
        .with_max_level(Level::DEBUG)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    // It fails only where events are shown already.
    let _ = lines.try_init();
}
