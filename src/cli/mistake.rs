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
    ("--force", "--yes answers the question, holds and guards stay: `ccretain COMMAND --help`"),
    ("-f", "--yes answers the question, holds and guards stay: `ccretain COMMAND --help`"),
    ("--dry", "--dry-run (-n) only shows what would be done: `ccretain COMMAND --help`"),
    ("--dryrun", "--dry-run (-n) only shows what would be done: `ccretain COMMAND --help`"),
    ("--older-than", "`ccretain list --older 30d` lists them; \"deleteAfter\" of a rule deletes them"),
    ("--days", "`ccretain list --older 30d` lists them; \"deleteAfter\" of a rule deletes them"),
    ("--all", "--all-users handles every account of this machine (root only): `ccretain COMMAND --help`"),
    ("--recursive", "a glob with ** covers what lies below: `ccretain list --project '/work/acme/**'`"),
];

/// What clap says, as a failure.
pub(super) fn failure(error: &clap::Error, typed: &[OsString]) -> Failure {
    let said = error.render().to_string();
    let mut paragraphs = said.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let message = first.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let tips: Vec<&str> = said.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).collect();
    let hint = meant(error)
        .map(|meant| meant.replace("ccretain COMMAND", &command_of(typed)))
        .or_else(|| behind(error, typed))
        .or_else(|| session(error))
        .or_else(|| similar(error, typed))
        .unwrap_or_else(|| match tips.as_slice() {
            [] => help_of(typed),
            tips => format!("{}; {}", tips.join("; "), help_of(typed)),
        });
    Failure::new(Exit::Usage, message).hint(hint)
}

/// Where what a command takes can be read.
pub(super) fn help_of(typed: &[OsString]) -> String {
    format!("`{} --help` lists what it takes", command_of(typed))
}

/// What was likely meant by a word that is none of ours.
fn meant(error: &clap::Error) -> Option<&'static str> {
    let word = unknown(error)?;
    MEANT.iter().find(|(typed, _)| *typed == word).map(|(_, meant)| *meant)
}

/// The word that is not known.
fn unknown(error: &clap::Error) -> Option<&str> {
    let kind = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => return None,
    };
    match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word),
        _ => None,
    }
}

/// A session that was named where none can be.
fn session(error: &clap::Error) -> Option<String> {
    let word = unknown(error)?;
    let is_one = word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_one.then(|| format!("`ccretain explain {word}` tells about one session"))
}

/// An option of a command that was typed before it.
fn behind(error: &clap::Error, typed: &[OsString]) -> Option<String> {
    let option = unknown(error).filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let is_it = |word: &OsString| word.to_str().is_some_and(|word| word.split('=').next() == Some(option));
    let at = typed.iter().position(is_it)?;
    let command = command_of(typed);
    let is_before = command_of(typed.get(..at)?) != command;
    let line: Vec<OsString> = command.split(' ').chain([option]).map(OsString::from).collect();
    let fits = match super::args::command().try_get_matches_from(line) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::UnknownArgument,
    };
    (is_before && fits).then(|| format!("an option of a command goes after it: `{command} {option}`"))
}

/// A command or a value that is spelled nearly so.
fn similar(error: &clap::Error, typed: &[OsString]) -> Option<String> {
    let first = |value: &ContextValue| match value {
        ContextValue::String(one) => Some(one.clone()),
        ContextValue::Strings(several) => several.first().cloned(),
        _ => None,
    };
    let command = command_of(typed);
    if let Some(known) = error.get(ContextKind::SuggestedSubcommand).and_then(first) {
        return Some(format!("did you mean `{command} {known}`? {}", help_of(typed)));
    }
    let known = error.get(ContextKind::SuggestedValue).and_then(first)?;
    Some(format!("did you mean \"{known}\"? {}", help_of(typed)))
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
            assert!(hint == meant.replace("COMMAND", "enforce"), "{typed}: {} / {hint}", failure.message);
            // What it says can be typed.
            for command in hint.split('`').filter(|part| part.starts_with("ccretain ")) {
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
        assert_eq!(
            said("ccretain stauts").hint.as_deref(),
            Some("did you mean `ccretain status`? `ccretain --help` lists what it takes")
        );
        let behind = said("ccretain -n enforce").hint.unwrap_or_default();
        assert_eq!(behind, "an option of a command goes after it: `ccretain enforce -n`");
        assert!(said("ccretain --frobnicate enforce").hint.unwrap_or_default().contains("--help"));
    }
}
