//! Names as they may be shown: control, bidirectional and invisible characters are escaped.
//!
//! Folder and file names under a store come from elsewhere, so a name must not be able to move
//! the cursor, colour the terminal or forge a line of a log.

pub mod json;
pub mod shell;

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

/// A path or name wrapped for printing; bytes that are not UTF-8 appear as `\xNN`.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(&'a OsStr);

/// Wraps a path or name for printing on a terminal, in a log or in a message.
pub fn shown<'a, P: AsRef<Path> + ?Sized>(path: &'a P) -> Shown<'a> {
    Shown(path.as_ref().as_os_str())
}

/// The printable form of a path as a string, the same in JSON, ledger and messages.
pub fn text<P: AsRef<Path> + ?Sized>(path: &P) -> String {
    shown(path).to_string()
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let bytes = self.0.as_encoded_bytes();
        // Nearly every name is plain, and a report shows many.
        if let (true, Some(plain)) = (bytes.iter().all(|b| (b' '..=b'~').contains(b)), self.0.to_str()) {
            return f.write_str(plain);
        }
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                if hidden(c) {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    f.write_char(c)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Characters that act on a terminal or cannot be seen: controls, line separators,
/// bidirectional overrides and zero-width characters (Unicode general categories Cc, Cf, Zl, Zp).
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(text("plain/é.txt"), "plain/é.txt");
        assert_eq!(text("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(text("x\u{202e}y"), "x\\u{202e}y");
    }

    #[cfg(unix)]
    #[test]
    fn escapes_bytes_that_are_no_text() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(text(OsStr::from_bytes(b"bad-\xff.jsonl")), "bad-\\xff.jsonl");
    }
}
