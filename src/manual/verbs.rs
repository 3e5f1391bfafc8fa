//! Section 1: the program, and a page for each verb, from the definition of the command line.

use clap::{Arg, ArgAction, Command};

use super::places::at;
use super::roff::Roff;
use super::{Page, page, services};
use crate::platform::{Layout, Platform};

const PROGRAM: &str = include_str!("words/ccretain.txt");
const EXIT: &str = include_str!("words/exit.txt");
const ENVIRONMENT: &str = include_str!("words/environment.txt");
const SECURITY: &str = include_str!("words/security.txt");

/// The verbs that are not hidden, in the order of the help.
pub fn visible(definition: &Command) -> impl Iterator<Item = &Command> {
    definition.get_subcommands().filter(|verb| !verb.is_hide_set())
}

/// `ccretain.1`.
pub fn program(definition: &Command) -> Page {
    let mut out = page("ccretain", 1);
    out.section("name").paragraph("ccretain - enforce retention on the session data of Claude Code");
    out.section("synopsis");
    for verb in visible(definition) {
        out.synopsis(&format!("ccretain {}", verb.get_name()), &short(verb));
    }
    out.synopsis("ccretain", &["[`--help`|`--version`]".to_owned()]);
    out.marked(PROGRAM);
    out.section("commands");
    for verb in visible(definition) {
        let (first, rest) = about(verb);
        out.term(&format!("`{}`", verb.get_name()), &first);
        for paragraph in rest {
            out.more(&paragraph);
        }
        out.more(&format!("See `ccretain-{}`(1).", verb.get_name()));
    }
    out.section("options of all commands");
    for arg in definition.get_arguments().filter(|arg| arg.is_global_set()) {
        option(&mut out, arg);
    }
    out.term("`-h`, `--help`", "Print help: `-h` a summary, `--help` all of it.");
    out.term("`-V`, `--version`", "Print the version, on one line.");
    out.marked(EXIT).marked(ENVIRONMENT);
    files(&mut out);
    out.marked(SECURITY);
    services::section(&mut out);
    let pages: Vec<String> =
        visible(definition).map(|verb| format!("`ccretain-{}`(1)", verb.get_name())).collect();
    out.section("see also").paragraph(&format!(
        "{}, `ccretain-policy`(5), `ccretain-ledger`(5), `age`(1), `systemd.timer`(5), `crontab`(5)",
        pages.join(", ")
    ));
    Page { name: "ccretain.1".into(), text: out.finish() }
}

/// A column of the table of places.
type Place = fn(&Layout) -> &'static str;

/// Places with what lies there; each is one on Linux and perhaps another on macOS.
const FILES: &[(Place, &str, &str)] = &[
    (|at| at.user_policy, "policy.json", "The user's policy; see `ccretain-policy`(5)."),
    (
        |at| at.user_policy,
        "holds.json",
        "The user's holds, kept by `ccretain hold`; `identity.age` beside it opens what is sealed.",
    ),
    (
        |at| at.system_policy,
        "managed-policy.json",
        "What the organisation manages; no user can loosen it. On macOS it can also come as a profile: then it is \
         `/Library/Managed Preferences/io.github.ccretain.plist`.",
    ),
    (
        |at| at.system_policy,
        "policy.json",
        "What the machine suggests to its users, with `policy.d/*.json` beside it.",
    ),
    (|at| at.state, "state.json", "What later runs must know: stores seen, dates of sessions, refusals."),
    (
        |at| at.state,
        "dates.json",
        "What transcripts said at the last look: dates and project paths, no content. Of a file that has not changed \
         since nothing is read again. It may be deleted at any time; a purge does.",
    ),
    (
        |at| at.state,
        "head.json",
        "The head of the ledger after the last run, by which the next one finds out that it was cut; `head-of-all.json` \
         is that of runs over all users.",
    ),
    (|at| at.ledger, "ledger.jsonl", "The ledger of a user; see `ccretain-ledger`(5)."),
    (|at| at.system_ledger, "ledger.jsonl", "The ledger of runs over all users."),
];

fn files(out: &mut Roff) {
    out.section("files");
    for (place, file, meaning) in FILES {
        let [linux, macos] = [Platform::Linux, Platform::Macos].map(|platform| at(platform, place, file));
        out.term(&format!("`{linux}`"), meaning);
        if linux != macos {
            out.more(&format!("macOS: `{macos}`"));
        }
    }
    out.term("_STORE_`/ccretain/sealed/`", "Sealed sessions, in the store they came from.");
    out.term("_STORE_`/ccretain/held/`", "Sealed copies of what a hold preserves.");
    out.term("_STORE_`/ccretain/lock`", "The lock that one run at a time holds.");
}

pub fn verb(definition: &Command, verb: &Command) -> Page {
    let name = format!("ccretain-{}", verb.get_name());
    let command = format!("ccretain {}", verb.get_name());
    let mut out = page(&name, 1);
    let (first, rest) = about(verb);
    out.section("name").paragraph(&format!("{name} - {}", headline(&first)));
    out.section("synopsis");
    let inner: Vec<&Command> = visible(verb).collect();
    if inner.is_empty() {
        out.synopsis(&command, &arguments(verb));
    }
    for each in &inner {
        out.synopsis(&format!("{command} {}", each.get_name()), &arguments(each));
    }
    out.section("description").paragraph(&first);
    for paragraph in rest {
        out.paragraph(&paragraph);
    }
    if !inner.is_empty() {
        out.section("commands");
        for each in inner {
            out.part(&format!("{} {}", command, each.get_name()));
            let (first, rest) = about(each);
            out.paragraph(&first);
            for paragraph in rest {
                out.paragraph(&paragraph);
            }
            own(each).for_each(|arg| option(&mut out, arg));
            after(&mut out, each, true);
        }
    } else if own(verb).next().is_some() {
        out.section("options");
        own(verb).for_each(|arg| option(&mut out, arg));
    }
    let global: Vec<String> = definition
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .filter_map(|arg| Some(format!("`--{}`", arg.get_long()?)))
        .collect();
    out.paragraph(&format!("The options of all commands are in `ccretain`(1): {}.", global.join(", ")));
    after(&mut out, verb, false);
    out.section("exit status")
        .paragraph("0 when all is done; the others are the same for every command: see `ccretain`(1).");
    out.section("see also").paragraph("`ccretain`(1), `ccretain-policy`(5), `ccretain-ledger`(5)");
    Page { name: format!("{name}.1"), text: out.finish() }
}

/// What the help says after the options. A line that ends with a colon heads what follows; an indented
/// one is a command with its meaning behind two blanks or more, or in deeper lines below it.
fn after(out: &mut Roff, command: &Command, is_inner: bool) {
    let Some(text) = command.get_after_long_help().or_else(|| command.get_after_help()) else { return };
    let text = text.to_string();
    let mut example: Option<(String, String)> = None;
    let mut paragraph = String::new();
    for line in text.lines().chain([""]) {
        let words = line.trim_start();
        let depth = line.len() - words.len();
        let heading = (depth == 0).then(|| line.strip_suffix(':')).flatten().filter(|text| text.len() < 40);
        if let Some((_, meaning)) = example.as_mut().filter(|_| depth > 6 && !words.is_empty()) {
            *meaning = format!("{meaning} {words}").trim().to_owned();
            continue;
        }
        if let Some((command, meaning)) = example.take() {
            shown(out, &command, &meaning);
        }
        if (words.is_empty() || depth > 0 || heading.is_some()) && !paragraph.is_empty() {
            out.paragraph(&std::mem::take(&mut paragraph));
        }
        if let Some(heading) = heading {
            // Among several commands a section would end the list of them.
            if !is_inner {
                out.section(heading);
            }
        } else if depth > 0 && !words.is_empty() {
            let (command, meaning) = words.split_once("  ").unwrap_or((words, ""));
            example = Some((command.to_owned(), meaning.trim().to_owned()));
        } else if !words.is_empty() {
            paragraph.push_str(words);
            paragraph.push(' ');
        }
    }
}

/// An example: what it does, and the command, in lines that fit.
fn shown(out: &mut Roff, command: &str, meaning: &str) {
    if !meaning.is_empty() {
        let mut letters = meaning.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        out.paragraph(&format!("{}:", first.chain(letters).collect::<String>().trim_end_matches('.')));
    }
    let mut lines = vec![String::new()];
    for word in command.split(' ') {
        let Some(line) = lines.last_mut() else { continue };
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + word.len() < 62 {
            line.push(' ');
            line.push_str(word);
        } else {
            line.push_str(" \\");
            lines.push(format!("    {word}"));
        }
    }
    out.verbatim(&lines.join("\n"));
}

/// The first paragraph of what a command is for, and the others; with full stops.
fn about(command: &Command) -> (String, Vec<String>) {
    let text = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string);
    let text = text.unwrap_or_default();
    let mut paragraphs = text.split("\n\n").map(sentence);
    let first = paragraphs.next().unwrap_or_default();
    (first, paragraphs.collect())
}

/// A line for the index of manuals: without the full stop, and small at its beginning.
fn headline(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.ends_with(['.', ':', '?']) { text } else { format!("{text}.") }
}

/// Arguments of a command that are neither hidden nor those of all verbs.
fn own(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_global_set())
}

/// What may follow a verb, in a word or two.
fn short(verb: &Command) -> Vec<String> {
    let inner: Vec<String> = visible(verb).map(|each| format!("`{}`", each.get_name())).collect();
    if inner.is_empty() { arguments(verb) } else { vec![inner.join("|"), "...".to_owned()] }
}

/// The arguments as a synopsis gives them: options first.
fn arguments(command: &Command) -> Vec<String> {
    let (positional, options): (Vec<&Arg>, Vec<&Arg>) = own(command).partition(|arg| arg.is_positional());
    options.into_iter().chain(positional).map(synopsis).collect()
}

fn synopsis(arg: &Arg) -> String {
    let mut text = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`|`--{long}`"),
        (None, Some(long)) => format!("`--{long}`"),
        (Some(short), None) => format!("`-{short}`"),
        (None, None) => String::new(),
    };
    if takes_value(arg) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&value(arg));
        if arg.is_last_set() {
            text = format!("`--` {text}");
        }
    }
    let is_many = arg.get_num_args().is_some_and(|range| range.max_values() > 1)
        || matches!(arg.get_action(), ArgAction::Append);
    let many = if is_many { "..." } else { "" };
    if arg.is_required_set() { format!("{text}{many}") } else { format!("[{text}]{many}") }
}

fn takes_value(arg: &Arg) -> bool {
    arg.is_positional() || arg.get_action().takes_values()
}

/// The names of the values, italic.
fn value(arg: &Arg) -> String {
    let own = arg.get_id().as_str().to_uppercase();
    let names: Vec<String> = match arg.get_value_names() {
        Some(names) => names.iter().map(ToString::to_string).collect(),
        None => vec![own],
    };
    names.iter().map(|name| format!("_{}_", name.replace('_', "-"))).collect::<Vec<_>>().join(" ")
}

/// An option with its help, its words and its default.
fn option(out: &mut Roff, arg: &Arg) {
    let mut term = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}`"),
        (None, Some(long)) => format!("`--{long}`"),
        (Some(short), None) => format!("`-{short}`"),
        (None, None) => String::new(),
    };
    if takes_value(arg) {
        term = format!("{term} {}", value(arg)).trim_start().to_owned();
    }
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut paragraphs = help.split("\n\n").map(sentence);
    out.term(&term, &paragraphs.next().unwrap_or_default());
    for paragraph in paragraphs {
        out.more(&paragraph);
    }
    if takes_value(arg) {
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| match value.get_help() {
                Some(help) => {
                    format!("`{}` ({})", value.get_name(), headline(&sentence(&help.to_string())))
                }
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !values.is_empty() && !arg.is_hide_possible_values_set() {
            out.more(&format!("One of {}.", values.join(", ")));
        }
        let defaults: Vec<String> =
            arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        if !defaults.is_empty() {
            out.more(&format!("Without it: {}.", defaults.join(", ")));
        }
    }
}
