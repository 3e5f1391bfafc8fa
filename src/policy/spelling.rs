//! One folder, many spellings: Unicode forms, doubled slashes, drives and shares as Windows and WSL write them.
//!
//! A record says what one program was told on one system; a glob is typed by a person on another. macOS gives
//! names decomposed, shells give them composed; `C:\x` is `/mnt/c/x` to WSL and `/c/x` to Git Bash.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use crate::environment::Environment;
use crate::platform::Platform;

/// How paths are compared on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paths {
    /// Whether names that differ only in case are one.
    pub ignore_case: bool,
    /// Whether paths of the machine may lie on drives of Windows, so that `/mnt/c/x` and `/c/x` are one.
    pub has_drives: bool,
}

impl Paths {
    pub fn of(env: &Environment) -> Self {
        Self {
            ignore_case: env.platform.ignores_case(),
            has_drives: env.platform == Platform::Windows || env.is_wsl,
        }
    }
}

/// A path in one of the ways in which it may be spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spelling<'a> {
    pub text: Cow<'a, str>,
    /// It is of Windows, where case does not matter.
    pub ignores_case: bool,
    /// Nothing but a letter says that it is a drive: on Linux `/c/x` may be just that.
    pub is_guess: bool,
}

/// Every way in which a recorded path may be spelled, the plain one first.
pub(super) fn spellings(path: &str) -> Vec<Spelling<'_>> {
    let of_windows = |text: String| Spelling { text: text.into(), ignores_case: true, is_guess: false };
    if let Some(text) = windows(path) {
        let text = plain(&text).into_owned();
        let mut found = equivalents(&text).unwrap_or_default();
        if let Some(inner) = in_wsl(&text) {
            found.extend(equivalents(inner).unwrap_or_default());
            found.push(inner.to_owned());
        }
        found.insert(0, text);
        return found.into_iter().map(of_windows).collect();
    }
    let text = plain(path);
    let guesses = equivalents(&text).unwrap_or_default();
    let mut found = vec![Spelling { text, ignores_case: false, is_guess: false }];
    let guess = |text: String| Spelling { text: text.into(), ignores_case: true, is_guess: true };
    found.extend(guesses.into_iter().map(guess));
    found
}

/// Composed (NFC), with single slashes and none at the end.
pub(super) fn plain(path: &str) -> Cow<'_, str> {
    let path: Cow<'_, str> = match is_nfc_quick(path.chars()) {
        IsNormalized::Yes => path.into(),
        _ => path.nfc().collect::<String>().into(),
    };
    if !path.contains("//") && (path.len() <= 1 || !path.ends_with('/')) {
        return path;
    }
    // Two slashes at the beginning name a server on Windows; `windows` wrote them.
    let (server, rest) = match path.strip_prefix(SERVER) {
        Some(rest) => (SERVER, rest),
        None => ("", &*path),
    };
    let mut text = String::with_capacity(path.len());
    text.push_str(server);
    for c in rest.chars() {
        if c != '/' || !text.ends_with('/') {
            text.push(c);
        }
    }
    while text.len() > 1 && text.ends_with('/') {
        text.pop();
    }
    text.into()
}

/// What stands for the two backslashes of a server, so that doubled slashes of others can be told apart.
const SERVER: &str = "\u{1}/";
/// The two names of WSL's own share; the second is canonical.
const WSL: [&str; 2] = ["wsl$", "wsl.localhost"];

/// Without case, as file systems that ignore it compare; not that of one language.
pub(super) fn without_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Upper case first brings the forms of a letter together that have the same one, as final sigma.
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

/// The path with slashes where it is written as Windows does: with a drive, a server, or from the root.
pub(super) fn windows(path: &str) -> Option<String> {
    let slashes = |text: &str| text.replace('\\', "/");
    let path = ["\\\\?\\", "\\\\.\\", "//?/"].iter().find_map(|mark| path.strip_prefix(mark)).map_or_else(
        || Cow::from(path),
        |rest| match rest.strip_prefix("UNC\\").or_else(|| rest.strip_prefix("UNC/")) {
            Some(share) => format!("\\\\{share}").into(),
            None => rest.into(),
        },
    );
    if drive_of(&path).is_some() {
        return Some(slashes(&path));
    }
    if let Some(share) = path.strip_prefix("\\\\") {
        return Some(share_of(&slashes(share)));
    }
    let is_wsl = |share: &&str| {
        let host = share.split('/').next().unwrap_or_default();
        WSL.iter().any(|known| host.eq_ignore_ascii_case(known))
    };
    if let Some(share) = path.strip_prefix("//").filter(is_wsl) {
        return Some(share_of(share));
    }
    path.starts_with('\\').then(|| slashes(&path))
}

/// A share, with one name for WSL's.
fn share_of(share: &str) -> String {
    let share = share.trim_start_matches('/');
    let (host, rest) = share.split_once('/').unwrap_or((share, ""));
    let host = if host.eq_ignore_ascii_case(WSL[0]) { WSL[1] } else { host };
    format!("{SERVER}{host}/{rest}")
}

/// What a path on WSL's share is called inside of it.
pub(super) fn in_wsl(path: &str) -> Option<&str> {
    let (host, rest) = path.strip_prefix(SERVER)?.split_once('/')?;
    let inner = &rest[rest.find('/')?..];
    host.eq_ignore_ascii_case(WSL[1]).then_some(inner)
}

/// `c:/x`, `/mnt/c/x` and `/c/x`, where the path is one of the three.
pub(super) fn equivalents(path: &str) -> Option<Vec<String>> {
    let letter_at = |rest: &'_ str| -> Option<(char, usize)> {
        let letter = rest.chars().next().filter(char::is_ascii_alphabetic)?;
        matches!(rest.as_bytes().get(1), None | Some(b'/')).then_some((letter, 1))
    };
    let (drive, rest) = match drive_of(path) {
        Some(letter) => (letter, &path[2..]),
        None => {
            let below = path.strip_prefix("/mnt/").or_else(|| path.strip_prefix('/'))?;
            let (letter, length) = letter_at(below)?;
            (letter, &below[length..])
        }
    };
    let drive = drive.to_ascii_lowercase();
    Some(vec![format!("{drive}:{rest}"), format!("/mnt/{drive}{rest}"), format!("/{drive}{rest}")])
}

/// The letter of the drive that a path begins with: `C:\`, `C:/` or `C:` alone.
fn drive_of(path: &str) -> Option<char> {
    let mut chars = path.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    (chars.next() == Some(':') && matches!(chars.next(), None | Some('/' | '\\'))).then_some(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str) -> Vec<String> {
        spellings(path).into_iter().map(|each| each.text.replace(SERVER, "//")).collect()
    }

    #[test]
    fn a_folder_of_windows_has_the_same_spellings_whoever_wrote_it() {
        let drive = ["c:/work/acme", "/mnt/c/work/acme", "/c/work/acme"];
        for path in
            [r"C:\work\acme", "C:/work/acme/", r"\\?\C:\work\\acme", "/mnt/c/work/acme", "/c/work//acme"]
        {
            let found: Vec<String> = texts(path).iter().map(|text| without_case(text)).collect();
            assert!(drive.iter().all(|want| found.iter().any(|text| text == want)), "{path}: {found:?}");
        }
        for path in [r"\\wsl$\Ubuntu\home\ann", r"\\wsl.localhost\Ubuntu\home\ann", "//wsl$/Ubuntu/home/ann/"]
        {
            assert_eq!(texts(path), ["//wsl.localhost/Ubuntu/home/ann", "/home/ann"], "{path}");
        }
        assert!(texts(r"\\wsl$\D\mnt\c\x").contains(&"c:/x".to_owned()));
        assert_eq!(texts(r"\\server\share\x"), ["//server/share/x"]);
        assert_eq!(texts(r"\\?\UNC\server\share\x"), ["//server/share/x"]);
        assert_eq!(texts(r"\work\x"), ["/work/x"]);
    }

    #[test]
    fn a_path_of_unix_is_itself() {
        for (path, text) in [
            ("/work/acme", "/work/acme"),
            ("/work//acme/", "/work/acme"),
            ("//work/acme", "/work/acme"),
            ("/", "/"),
            ("/mntx/c", "/mntx/c"),
            ("/work/a\\b", "/work/a\\b"),
            ("/work/cafe\u{301}", "/work/caf\u{e9}"),
        ] {
            assert_eq!(texts(path), [text], "{path}");
        }
    }

    #[test]
    fn letters_that_differ_only_in_case_are_one_in_every_script() {
        for (a, b) in [("ÜBER", "über"), ("ДЕЛО", "дело"), ("ΟΔΟΣ", "οδος"), ("οδοσ", "οδος")]
        {
            assert_eq!(without_case(a), without_case(b), "{a} {b}");
        }
    }
}
