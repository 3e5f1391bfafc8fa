//! What a user would type: the examples in the help of each verb and on its man page.

use std::fmt::Write as _;

use clap::Command;

/// Lines of help fit into so many columns.
const WIDTH: usize = 80;
/// What an example does stands beside it where there is room, else below it, this deep.
const DEPTH: usize = 8;

/// The examples of one verb: what is typed, and what that does.
struct Examples {
    verb: &'static str,
    of: &'static [(&'static str, &'static str)],
    /// What else is to be said after the options.
    note: &'static str,
}

impl Examples {
    const fn of(verb: &'static str, of: &'static [(&'static str, &'static str)]) -> Self {
        Self { verb, of, note: "" }
    }

    fn text(&self) -> String {
        let widest = self.of.iter().map(|(typed, _)| typed.len()).filter(|width| *width <= WIDTH / 2).max();
        let column = widest.unwrap_or_default() + 4;
        let mut text = String::from("Examples:\n");
        for (typed, does) in self.of {
            let room = WIDTH.saturating_sub(column + 2);
            let _ = if typed.len() + 2 <= column && does.len() <= room {
                writeln!(text, "  {typed:column$}{does}")
            } else {
                writeln!(text, "  {typed}\n{:DEPTH$}{does}", "")
            };
        }
        if !self.note.is_empty() {
            let _ = write!(text, "\n{}", self.note);
        }
        text.trim_end().to_owned()
    }
}

const EXAMPLES: &[Examples] = &[
    Examples::of(
        "status",
        &[
            ("ccretain status", "what is there and what is due"),
            ("ccretain status --search /srv", "with stores anywhere below"),
            ("ccretain status --json", "for scripts"),
        ],
    ),
    Examples::of(
        "list",
        &[
            ("ccretain list", "every session, newest first"),
            ("ccretain list --due", "what the next run deletes or encrypts"),
            ("ccretain list --project '~/work/acme/**' --older 7d", "of one client, idle for a week"),
            ("ccretain list --held", "what holds keep"),
            ("ccretain list | cut -f1", "the ids, for scripts"),
        ],
    ),
    Examples::of(
        "policy",
        &[
            ("ccretain policy init > policy.json", "a commented start"),
            ("ccretain policy check policy.json", "before it is put in place"),
            ("ccretain policy init --managed > managed.json", "for all users; it only reports"),
            ("ccretain policy check --as managed managed.json", "as what it will be"),
            ("ccretain policy show", "what holds, and who says so"),
            ("ccretain policy client", "what Claude Code itself would do"),
        ],
    ),
    Examples::of(
        "enforce",
        &[
            ("ccretain enforce --dry-run", "what would go, and why"),
            ("ccretain enforce --dry-run -v", "a line a session; -vv: a line a file"),
            ("ccretain enforce", "asks, then does it"),
            ("ccretain enforce --yes --max-runtime 30min", "unattended, for half an hour at most"),
        ],
    ),
    Examples::of(
        "check",
        &[
            ("ccretain check", "the findings, and what to do about each"),
            ("ccretain check --fix", "make stores private (chmod go-rwx)"),
            ("ccretain check --json > check.json", "for `ccretain report --html`"),
            ("ccretain check --format jamf", "an extension attribute"),
            ("ccretain check --exit-style intune", "a detection script"),
            (
                "ccretain check --format prometheus --output ccretain.prom",
                "for the node exporter's collector",
            ),
        ],
    ),
    Examples::of(
        "harden",
        &[
            ("ccretain harden --emit", "the settings, as JSON"),
            ("ccretain harden --emit --format plist", "for com.anthropic.claudecode"),
            ("ccretain harden --emit --keep-updates", "without the switch that stops updates"),
            (
                "ccretain harden --emit > /etc/claude-code/managed-settings.d/50-ccretain.json",
                "put in place on Linux",
            ),
        ],
    ),
    Examples::of(
        "report",
        &[
            ("ccretain report --html report.html", "this account"),
            ("ccretain report --html fleet.html checks/", "every *.json in the folder"),
            ("ccretain report --html - a.json b.json", "to stdout"),
        ],
    ),
    Examples::of(
        "hold",
        &[
            (
                "ccretain hold add --project '/work/acme/**' --reason litigation",
                "nothing of it goes, until released",
            ),
            (
                "ccretain hold add --session 3f2a9c1e --reason audit --until 2027-03-01",
                "one conversation, until a day",
            ),
            ("ccretain hold list", "what is held, and until when"),
            ("ccretain hold restore acme", "put back what Claude Code deleted of it, from preserved copies"),
            ("ccretain hold release acme --reason settled", "the rules apply again"),
        ],
    ),
    Examples::of(
        "explain",
        &[
            ("ccretain explain 3f2a9c1e", "a session, by the start of its id"),
            ("ccretain explain ~/.claude/history.jsonl", "a file"),
            ("ccretain explain --json 3f2a9c1e", "for scripts"),
        ],
    ),
    Examples::of(
        "ledger",
        &[
            ("ccretain ledger show --since 7d", "what was done in a week"),
            ("ccretain ledger show --session 3f2a9c1e", "what became of a session"),
            ("ccretain ledger verify", "whether its records hold together"),
            ("ccretain ledger verify --certificate purge.json", "whether a certificate belongs to it"),
        ],
    ),
    Examples::of(
        "schedule",
        &[
            ("ccretain schedule install", "daily, by what runs here"),
            ("ccretain schedule install --at 09:15", "at a time of day"),
            ("ccretain schedule status", "the next run and the last"),
            ("ccretain schedule print --backend cron", "to look at, or to deploy"),
            ("ccretain schedule remove", "without a trace"),
        ],
    ),
    Examples::of(
        "seal",
        &[
            ("ccretain seal 3f2a9c1e", "one conversation"),
            ("ccretain seal --idle 7d", "what nobody touched for a week"),
        ],
    ),
    Examples::of(
        "unseal",
        &[
            ("ccretain unseal 3f2a9c1e", "as it was"),
            ("ccretain unseal 3f2a9c1e --touch", "as if used now: Claude Code keeps it"),
            ("ccretain unseal 3f2a9c1e --identity escrow.age", "with another identity"),
        ],
    ),
    Examples::of(
        "cat",
        &[
            ("ccretain cat 3f2a9c1e | less", "read it; nothing is written"),
            ("ccretain cat 3f2a9c1e --identity escrow.age", "with another identity"),
        ],
    ),
    Examples::of(
        "resume",
        &[
            ("ccretain resume 3f2a9c1e", "go on with a conversation"),
            ("ccretain resume 3f2a9c1e -- --model opus", "with words for Claude Code"),
        ],
    ),
    Examples::of(
        "rekey",
        &[
            ("ccretain rekey", "after the recipients have changed"),
            ("ccretain rekey --identity old.age", "with the identity of before"),
        ],
    ),
    Examples::of(
        "key",
        &[
            ("ccretain key new", "an identity beside the policy"),
            ("ccretain key new --passphrase", "one that asks for a passphrase"),
            ("ccretain key show", "its recipient, for a policy"),
        ],
    ),
    Examples {
        verb: "purge",
        of: &[
            ("ccretain purge --dry-run", "what would go, from where, what stays"),
            (
                "ccretain purge --certificate purge.html --certificate purge.json",
                "remove it, look again, certify",
            ),
            (
                "ccretain purge --yes --with credentials,settings,memory,unrecognised,identity",
                "leave nothing of Claude Code's, unattended",
            ),
            (
                "ccretain purge --project '/work/acme/**' --before 2026-07-01",
                "a part of it; the certificate is headed so",
            ),
        ],
        note: "Exits with 0 where nothing is left, 1 where anything is (each is named), 4 where it was refused.",
    },
    Examples::of(
        "completions",
        &[
            ("ccretain completions bash > ~/.ccretain.bash", "bash"),
            ("ccretain completions zsh > ~/.zfunc/_ccretain", "zsh"),
            ("ccretain completions fish > ~/.config/fish/completions/ccretain.fish", "fish"),
        ],
    ),
    Examples::of("man", &[("ccretain man ~/.local/share/man/man1", "then `man ccretain`")]),
    Examples::of(
        "mdm",
        &[
            ("ccretain mdm kit", "for the policy to start with: it only reports"),
            ("ccretain mdm kit --policy my-policy.json", "for yours"),
        ],
    ),
];

/// The definition with its examples.
pub(super) fn added_to(definition: Command) -> Command {
    EXAMPLES.iter().fold(definition, |definition, examples| {
        definition.mut_subcommand(examples.verb, |verb| verb.after_help(examples.text()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::args;
    use super::*;

    /// The words of an example, as a shell makes them.
    fn words(typed: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for letter in typed.chars() {
            match letter {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                other => words.last_mut().unwrap().push(other),
            }
        }
        words.into_iter().take_while(|word| word != "|" && word != ">").collect()
    }

    #[test]
    fn every_example_is_understood_and_is_of_its_verb() {
        for examples in EXAMPLES {
            for (typed, _) in examples.of {
                let words = words(typed);
                assert_eq!(&words[..2], ["ccretain", examples.verb], "{typed}");
                let parsed = args::command().try_get_matches_from(&words);
                assert!(parsed.is_ok(), "{typed}: {}", parsed.unwrap_err());
            }
        }
        assert!(args::command().try_get_matches_from(words("ccretain seal --idel 7d")).is_err());
    }

    #[test]
    fn every_verb_has_examples_that_fit_a_terminal() {
        for verb in args::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(text.starts_with("Examples:\n  ccretain "), "{}: {text}", verb.get_name());
            for line in text.lines().filter(|line| line.starts_with(' ')) {
                assert!(line.len() <= WIDTH, "{line}");
            }
        }
    }
}
