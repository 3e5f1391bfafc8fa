//! One folder and whatever it may be called: a hold on one spelling covers every other.

use proptest::prelude::*;
use proptest::sample::select;
use unicode_normalization::UnicodeNormalization as _;

use crate::policy::selector::ProjectGlob;
use crate::policy::spelling::Paths;

/// Names of folders, none of which is a drive or has a sign of a glob.
const NAMES: [&str; 8] = [
    "work",
    "acme corp",
    "caf\u{e9}",
    "\u{fc}ber",
    "\u{434}\u{435}\u{43b}\u{43e}",
    "a.b",
    "x-1",
    "\u{ac00}\u{ac01}",
];

/// Where a folder lies: on Unix, on a drive of Windows, on WSL's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Unix,
    Drive(char),
    Wsl,
}

fn root() -> impl Strategy<Value = Root> {
    prop_oneof![
        2 => Just(Root::Unix),
        2 => select(vec!['c', 'd', 'z']).prop_map(Root::Drive),
        1 => Just(Root::Wsl)
    ]
}

/// How a folder is written this time.
#[derive(Debug, Clone)]
struct Form {
    way: usize,
    is_decomposed: bool,
    doubled: usize,
    is_ended: bool,
    is_upper: bool,
}

fn form() -> impl Strategy<Value = Form> {
    (0usize..8, any::<bool>(), 0usize..4, any::<bool>(), any::<bool>()).prop_map(
        |(way, is_decomposed, doubled, is_ended, is_upper)| Form {
            way,
            is_decomposed,
            doubled,
            is_ended,
            is_upper,
        },
    )
}

impl Form {
    fn write(&self, root: Root, names: &[&str]) -> String {
        let (start, separator, is_windows) = match root {
            Root::Unix => ("/".to_owned(), "/", false),
            Root::Drive(letter) => match self.way {
                0 => (format!("{}:\\", letter.to_ascii_uppercase()), "\\", true),
                1 => (format!("{letter}:/"), "/", true),
                2 => (format!("\\\\?\\{letter}:\\"), "\\", true),
                3 | 4 => (format!("/mnt/{letter}/"), "/", false),
                5 => (format!("/{letter}/"), "/", false),
                6 => (format!("{letter}:\\"), "/", true),
                _ => (format!("\\\\wsl$\\D\\mnt\\{letter}\\"), "\\", true),
            },
            Root::Wsl => match self.way {
                0 | 1 => ("\\\\wsl$\\Debian\\".to_owned(), "\\", true),
                2 | 3 => ("\\\\wsl.localhost\\Debian\\".to_owned(), "\\", true),
                4 => ("//wsl$/Debian/".to_owned(), "/", true),
                _ => ("/".to_owned(), "/", false),
            },
        };
        let mut text = start;
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                text.push_str(separator);
                if at == self.doubled {
                    text.push_str(separator);
                }
            }
            match is_windows && self.is_upper {
                true => text.push_str(&name.to_uppercase()),
                false => text.push_str(name),
            }
        }
        if self.is_ended {
            text.push_str(separator);
        }
        if self.is_decomposed { text.nfd().collect() } else { text }
    }
}

fn glob(text: &str) -> ProjectGlob {
    ProjectGlob::new(text, &[], Paths::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A hold matches what an equivalent spelling of its glob matches, and what lies in the folder.
    #[test]
    fn a_hold_covers_a_folder_however_both_are_spelled(
        root in root(), names in prop::collection::vec(select(&NAMES[..]), 1..4), held in form(), recorded in form(), below in select(&NAMES[..])
    ) {
        let (written, path) = (held.write(root, &names), recorded.write(root, &names));
        prop_assert!(glob(&written).covers(&path), "{written} {path}");
        let inside = recorded.write(root, &[&names[..], &[below]].concat());
        let deep = format!("{written}/**");
        prop_assert!(glob(&deep).covers(&path) && glob(&deep).covers(&inside), "{deep} {inside}");
        prop_assert!(!glob(&written).covers(&inside), "{written} {inside}");
        let any = recorded.write(root, &[&names[..names.len() - 1], &["another"]].concat());
        prop_assert!(!glob(&deep).covers(&any), "{deep} {any}");
    }

    /// A rule does so wherever one of both is written as Windows does, or neither has a drive.
    #[test]
    fn a_rule_finds_a_folder_where_a_hold_does_and_no_drive_is_guessed(
        root in root(), names in prop::collection::vec(select(&NAMES[..]), 1..4), ruled in form(), recorded in form()
    ) {
        let (written, path) = (ruled.write(root, &names), recorded.write(root, &names));
        let is_windows = |text: &str| text.contains('\\') || text.contains(':') || text.starts_with("//");
        let is_certain = matches!(root, Root::Unix | Root::Wsl) || is_windows(&written) || is_windows(&path);
        if is_certain {
            prop_assert!(glob(&written).matches(&path), "{written} {path}");
        }
        let on_windows = ProjectGlob::new(&written, &[], Paths { has_drives: true, ignore_case: true }).unwrap();
        prop_assert!(on_windows.matches(&path), "{written} {path}");
    }
}
