//! Words for a POSIX shell.

/// Whether a word means itself: to a shell, to systemd and to cron.
pub fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./,:+@=".contains(&b))
}

/// A word that a POSIX shell takes for exactly this one (XCU 2.2.2, single quotes).
pub fn word(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    // Between single quotes nothing but the quote itself means anything; it is put in from outside of them.
    format!("'{}'", word.replace('\'', "'\\''"))
}
