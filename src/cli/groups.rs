//! The help of the program as a whole: commands in groups, and where to begin.

use std::fmt::Write as _;

use clap::Command;

use crate::document::{Paint, wrap};

/// Which commands belong together, in the order in which somebody meets them.
const GROUPS: &[(&str, &[&str])] = &[
    ("Look", &["status", "list", "explain", "check", "report"]),
    ("Act", &["enforce", "seal", "unseal", "cat", "resume", "rekey", "purge"]),
    ("Set up", &["policy", "hold", "key", "schedule", "harden", "mdm", "completions", "man"]),
    ("Prove", &["ledger"]),
];

/// Where to begin.
const FIRST: &str =
    "Start with:\n  ccretain status\n  ccretain enforce --dry-run\n  ccretain schedule install";

/// The definition with its commands in groups, for a terminal of so many columns.
pub(super) fn added_to(definition: Command, width: Option<usize>) -> Command {
    let mut text = String::new();
    let widest = GROUPS.iter().flat_map(|(_, names)| *names).map(|name| name.len()).max().unwrap_or(0);
    for (title, names) in GROUPS {
        let _ = writeln!(text, "{title}:");
        for name in *names {
            let about = definition.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let line = format!("  {name:widest$}  {about}");
            text.push_str(&wrap(&line, widest + 4, Paint::new(false).fitting(width, None)));
        }
        text.push('\n');
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{FIRST}\n\n{text}Options:\n{{options}}{{after-help}}"
    );
    definition.help_template(template)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::args;
    use super::*;

    #[test]
    fn every_command_is_in_one_group_and_fits_a_line() {
        let definition = args::command();
        let visible = definition.get_subcommands().filter(|command| !command.is_hide_set());
        let names: BTreeSet<&str> = visible.map(Command::get_name).collect();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(grouped.len(), names.len(), "{grouped:?} {names:?}");
        assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), names);
        for name in names {
            let about = definition.find_subcommand(name).and_then(Command::get_about).unwrap().to_string();
            assert!(about.len() + 15 <= 80, "{name}: {about}");
        }
    }
}
