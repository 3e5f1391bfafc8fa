//! What was typed and is not understood, in the words of every other error, with what was likely meant.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::failure::{Exit, Failure};

/// What people type elsewhere, and what it is here.
const MEANT: &[(&str, &str)] = &[
    ("delete", "`ccretain enforce --dry-run` shows what the policy deletes, `ccretain enforce` does it"),
    ("remove", "`ccretain enforce --dry-run` shows what the policy deletes, `ccretain enforce` does it"),
    ("rm", "`ccretain enforce --dry-run` shows what the policy deletes, `ccretain enforce` does it"),
    ("clean", "`ccretain enforce --dry-run` shows what the policy deletes, `ccretain enforce` does it"),
    ("cleanup", "`ccretain enforce --dry-run` shows what the policy deletes, `ccretain enforce` does it"),
    ("prune", "`ccretain enforce --dry-run` shows what the policy deletes, `ccretain enforce` does it"),
    ("gc", "`ccretain enforce --dry-run` shows what the policy deletes, `ccretain enforce` does it"),
    ("run", "`ccretain enforce --dry-run` shows what the policy deletes, `ccretain enforce` does it"),
    ("wipe", "`ccretain purge --dry-run` shows what removing everything would take"),
    ("erase", "`ccretain purge --dry-run` shows what removing everything would take"),
    ("encrypt", "`ccretain seal SESSION` encrypts one session, `ccretain seal --idle 7d` what is idle"),
    (
        "decrypt",
        "`ccretain cat SESSION` reads an encrypted session, `ccretain unseal SESSION` brings it back",
    ),
    (
        "restore",
        "`ccretain unseal SESSION` brings an encrypted session back, `ccretain hold restore SESSION` a held one",
    ),
    ("open", "`ccretain resume SESSION` continues a session in Claude Code"),
    ("show", "`ccretain list` shows the sessions, `ccretain explain SESSION` one of them"),
    (
        "config",
        "`ccretain policy show` shows what is in force, `ccretain policy init` prints a policy to start from",
    ),
    (
        "settings",
        "`ccretain policy show` shows what is in force, `ccretain policy client` Claude Code's own settings",
    ),
    ("init", "`ccretain policy init` prints a policy to start from"),
    ("log", "`ccretain ledger show` lists what was done"),
    ("logs", "`ccretain ledger show` lists what was done"),
    ("history", "`ccretain ledger show` lists what was done"),
    ("verify", "`ccretain ledger verify` checks the ledger"),
    ("install", "`ccretain schedule install` runs it every day"),
    ("version", "`ccretain --version` prints it"),
    ("completion", "`ccretain completions bash` prints them (zsh, fish, elvish, powershell too)"),
    ("--force", "`--yes` answers the question; holds and guards stay"),
    ("-f", "`--yes` answers the question; holds and guards stay"),
    ("--dry", "`--dry-run` (`-n`) only shows what would be done"),
    ("--dryrun", "`--dry-run` (`-n`) only shows what would be done"),
    ("--older-than", "`ccretain list --older 30d` lists them; a rule's `deleteAfter` deletes them"),
    ("--days", "durations have a unit: `30d`; a rule's `deleteAfter` says when sessions are deleted"),
    ("--all", "`--all-users` handles every account of this machine (root only)"),
    ("--recursive", "a glob with `**` covers what lies below: `--project '/work/acme/**'`"),
];

/// What clap says, as a failure.
pub(super) fn failure(error: &clap::Error, typed: &[OsString]) -> Failure {
    let said = error.render().to_string();
    let mut paragraphs = said.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let message = first.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let tips: Vec<&str> = said.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).collect();
    let hint = match (meant(error), tips.as_slice()) {
        (Some(meant), _) => meant.to_owned(),
        (None, []) => format!("`{} --help` lists what it takes", command_of(typed)),
        (None, tips) => quoted(&tips.join("; ")),
    };
    Failure::new(Exit::Usage, message).hint(hint)
}

/// What was likely meant by a word that is none of ours.
fn meant(error: &clap::Error) -> Option<&'static str> {
    let kind = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => return None,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return None };
    MEANT.iter().find(|(typed, _)| typed == word).map(|(_, meant)| *meant)
}

/// Commands stand in backquotes, as everywhere.
fn quoted(tip: &str) -> String {
    tip.replace('\'', "`")
}

/// The command whose help says more: its first words that are no options.
fn command_of(typed: &[OsString]) -> String {
    let definition = super::args::command();
    let mut words = vec!["ccretain".to_owned()];
    let mut at = &definition;
    for word in typed.iter().skip(1).filter_map(|word| word.to_str()) {
        let Some(next) = at.find_subcommand(word) else { continue };
        words.push(next.get_name().to_owned());
        at = next;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::args;
    use super::*;

    fn said(typed: &str) -> Failure {
        let typed: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
        let error = args::Cli::typed(typed.clone()).expect_err("a mistake");
        failure(&error, &typed)
    }

    #[test]
    fn a_word_from_elsewhere_is_told_its_name_here() {
        for (typed, meant) in MEANT {
            let line = if typed.starts_with('-') {
                format!("ccretain enforce {typed}")
            } else {
                format!("ccretain {typed}")
            };
            let failure = said(&line);
            let hint = failure.hint.unwrap_or_default();
            assert!(hint == *meant, "{typed}: {} / {hint}", failure.message);
            // What it says can be typed.
            for command in meant.split('`').filter(|part| part.starts_with("ccretain ")) {
                let words = command.replace("SESSION", "00000001").replace('\'', "");
                let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
                let parsed = args::command().try_get_matches_from(words);
                let is_help = |error: &clap::Error| !error.use_stderr();
                assert!(parsed.is_ok() || parsed.as_ref().is_err_and(is_help), "{command}");
            }
        }
    }

    #[test]
    fn other_mistakes_name_the_help_of_their_command() {
        let failure = said("ccretain hold add --reason x --until");
        assert!(
            !failure.message.contains('\n') && !failure.message.starts_with("error"),
            "{}",
            failure.message
        );
        assert_eq!(failure.hint.as_deref(), Some("`ccretain hold add --help` lists what it takes"));
        assert_eq!(said("ccretain stauts").hint.as_deref(), Some("a similar subcommand exists: `status`"));
    }
}
