//! The only place that prints: data to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Local, Utc};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::failure::{Exit, Failure};
use super::global::{Colour, Global};
use crate::document::{self, Hue, Line, Paint};
use crate::escape;
use crate::run::Screen;
use crate::run::link::Link;

/// Where a verb prints.
#[derive(Debug, Clone)]
pub struct Console {
    colour: Colour,
    quiet: bool,
    json: bool,
    progress: bool,
    no_color: bool,
    is_ascii: bool,
    log_json: bool,
    /// Whether stdout has been written to, by this console or a copy of it.
    has_answered: Arc<AtomicBool>,
    parent: Option<Link>,
}

impl Console {
    /// The console that the options ask for.
    #[expect(
        clippy::disallowed_methods,
        reason = "NO_COLOR, TERM and the locale are about printing, and printing is done here"
    )]
    pub fn new(global: &Global) -> Self {
        Self {
            colour: global.color,
            quiet: global.quiet,
            json: global.json,
            progress: !global.no_progress && !global.quiet,
            log_json: false,
            has_answered: Arc::default(),
            no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
                || std::env::var_os("TERM").is_some_and(|value| value == "dumb"),
            is_ascii: is_ascii(|name| std::env::var_os(name)),
            parent: None,
        }
    }

    /// The same for a child of a run over all users: what it prints goes to the parent.
    pub fn through(self, parent: Link) -> Self {
        Self { colour: Colour::Never, progress: false, parent: Some(parent), ..self }
    }

    /// The same console, with what goes to stderr as JSON lines.
    pub fn logging_json(mut self, log_json: bool) -> Self {
        self.log_json = log_json;
        self
    }

    /// Writes a line of log to stderr.
    pub fn log(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Whether a person can be asked: both stdin and stderr are terminals.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether progress is shown: stderr is a terminal and nobody said no.
    pub fn shows_progress(&self) -> bool {
        self.progress && io::stderr().is_terminal()
    }

    /// A bar of progress on stderr; hidden where nobody watches.
    pub fn progress(&self, total: u64, doing: &'static str) -> ProgressBar {
        if !self.shows_progress() || total == 0 {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if total == 1 {
            // There is no share of one thing.
            let spins = ProgressStyle::with_template("{spinner} {msg}").map(|style| match self.is_ascii {
                true => style.tick_chars("-\\|/ "),
                false => style,
            });
            let bar = bar.with_message(doing);
            spins.into_iter().for_each(|style| bar.set_style(style));
            bar.enable_steady_tick(TICK);
            return bar;
        }
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {left}") {
            let style = style.with_key("left", remaining);
            bar.set_style(if self.is_ascii { style.progress_chars("##-") } else { style });
        }
        let bar = bar.with_message(doing);
        bar.enable_steady_tick(TICK);
        bar
    }

    /// Whether a person looks at what is printed to stdout.
    pub fn has_terminal(&self) -> bool {
        self.parent.is_none() && io::stdout().is_terminal()
    }

    /// How data for people is shown: on a terminal it fits, in a pipe nothing is shortened.
    pub fn paint<'a>(&self, home: Option<&'a str>) -> Paint<'a> {
        let width = if self.has_terminal() { columns(terminal_size::terminal_size()) } else { None };
        self.of_width(self.colours_data(), width, home)
    }

    /// The same for messages on stderr.
    pub fn paint_messages<'a>(&self, home: Option<&'a str>) -> Paint<'a> {
        let is_terminal = self.parent.is_none() && io::stderr().is_terminal();
        let width = if is_terminal { columns(terminal_size::terminal_size_of(io::stderr())) } else { None };
        self.of_width(self.colours(is_terminal), width, home)
    }

    fn of_width<'a>(&self, is_coloured: bool, width: Option<usize>, home: Option<&'a str>) -> Paint<'a> {
        let home = home.filter(|_| width.is_some());
        let local = |at: DateTime<Utc>| at.with_timezone(&Local).fixed_offset();
        Paint::new(is_coloured).fitting(width, home).ascii(self.is_ascii).at_home(local)
    }

    /// Whether data on stdout is coloured.
    pub fn colours_data(&self) -> bool {
        self.colours(io::stdout().is_terminal())
    }

    fn colours(&self, is_terminal: bool) -> bool {
        match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => is_terminal && !self.no_color,
        }
    }

    /// Whether stdout holds one JSON document and nothing else.
    pub fn wants_json(&self) -> bool {
        self.json
    }

    /// Prints data for people to stdout; nothing when they asked for quiet or JSON.
    ///
    /// # Errors
    /// When stdout cannot be written; a closed pipe is no error.
    pub fn data(&self, text: &str) -> Result<(), Failure> {
        if self.quiet || self.json {
            return Ok(());
        }
        self.raw(text.as_bytes())
    }

    /// Prints sentences for people to stdout, each a line that is broken where the terminal ends.
    ///
    /// # Errors
    /// When stdout cannot be written; a closed pipe is no error.
    pub fn sentences(&self, text: &str) -> Result<(), Failure> {
        let paint = self.paint(None);
        self.data(&text.lines().map(|line| document::wrap(line, HANG, paint)).collect::<String>())
    }

    /// Prints one JSON document to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written; a closed pipe is no error.
    pub fn json(&self, document: &impl serde::Serialize) -> Result<(), Failure> {
        let mut text = escape::json::pretty(document)
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
        text.push('\n');
        self.raw(text.as_bytes())
    }

    /// Stdout for what is too long to hold in memory.
    pub fn stream(&self) -> impl Write {
        io::BufWriter::with_capacity(128 << 10, io::stdout())
    }

    /// Prints bytes to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written; a closed pipe is no error.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.has_answered.store(true, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            return parent
                .output(&String::from_utf8_lossy(bytes))
                .map_err(|error| Failure::without_parent(&error));
        }
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::Failed, format!("cannot write to stdout: {error}"))
                    .hint("what stdout is sent to does not take it: `df -h .` shows whether a disk is full"))
            }
            _ => Ok(()),
        }
    }

    /// Says something that must be heard, to stderr.
    pub fn warning(&self, message: &str) {
        self.say("warning", Hue::Warn, message);
    }

    /// Says something that went wrong, to stderr.
    pub fn error(&self, message: &str) {
        self.say("error", Hue::Bad, message);
    }

    /// Says what went wrong with a file or folder, named as it is shown; empty where none is concerned.
    pub fn error_about(&self, path: &str, message: &str) {
        if path.is_empty() {
            self.error(message);
        } else {
            self.error(&format!("'{path}': {message}"));
        }
    }

    /// Passes on what a child said, to stderr.
    pub fn passed_on(&self, line: &str) {
        let said = document::wrap(&format!("ccretain: {line}"), HANG, self.paint_messages(None));
        let _ = write!(io::stderr().lock(), "{said}");
    }

    /// Says what to do about it, to stderr.
    pub fn hint(&self, message: &str) {
        self.say("hint", Hue::Strong, message);
    }

    /// Says something worth knowing to a person at a terminal, and nothing into a pipe.
    pub fn note(&self, message: &str) {
        if !self.quiet && io::stderr().is_terminal() {
            self.say("note", Hue::Dim, message);
        }
    }

    /// Shows a report on stderr to a person at a terminal, as it is laid out, and nothing into a pipe.
    pub fn notice(&self, message: &str) {
        if !self.quiet && io::stderr().is_terminal() {
            let _ = writeln!(io::stderr().lock(), "{}", message.trim_end());
        }
    }

    /// Says why a verb failed.
    pub fn failure(&self, failure: &Failure) {
        if failure.is_cancelled && !self.log_json {
            return self.passed_on(&failure.message);
        }
        self.error(&failure.message);
        if let Some(hint) = &failure.hint {
            self.hint(hint);
        }
    }

    /// Gives whoever reads JSON the one document that is promised, where a failure came before any.
    pub fn answer_failure(&self, failure: &Failure) {
        if self.json && !self.has_answered.load(Ordering::Relaxed) {
            // What cannot be written cannot be told there either.
            let _ = self.json(&serde_json::json!({
                "schema": "ccretain.error/1", "exit": failure.exit.code(), "error": failure.message,
                "hint": failure.hint,
            }));
        }
    }

    /// Asks a question that only the word `yes` answers in the affirmative.
    pub fn confirm(&self, question: &str) -> bool {
        self.confirm_by(question, "yes")
    }

    /// Asks a question that only one word answers in the affirmative.
    pub fn confirm_by(&self, question: &str, word: &str) -> bool {
        let paint = self.paint_messages(None);
        let question = document::wrap(question, 0, paint);
        let prompt =
            document::wrap(&format!("This cannot be undone. Type \"{word}\" to continue:"), 0, paint);
        let mut out = io::stderr().lock();
        let asked = write!(out, "{question}{} ", prompt.trim_end()).and_then(|()| out.flush());
        let mut answer = String::new();
        asked.is_ok()
            && io::stdin().read_line(&mut answer).is_ok()
            && answer.trim().eq_ignore_ascii_case(word)
    }

    fn say(&self, word: &str, hue: Hue, message: &str) {
        if self.log_json {
            let line = serde_json::json!({ "level": word, "message": message });
            return self.log(&escape::json::line(&line).unwrap_or_default());
        }
        let paint = self.paint_messages(None);
        // An excerpt of a file, with its caret, follows in lines of its own.
        let (first, excerpt) = message.split_once('\n').unwrap_or((message, ""));
        let line = Line::from("ccretain: ").and(format!("{word}:"), hue).and(format!(" {first}"), Hue::Plain);
        let mut said = document::wrap_line(&line, HANG, paint);
        excerpt.lines().for_each(|line| said.push_str(&document::wrap(line, HANG, paint)));
        // Nothing is left to tell when stderr itself is gone.
        let _ = write!(io::stderr().lock(), "{said}");
    }
}

/// How deep the lines of a message are that follow its first.
const HANG: usize = 2;

/// How often a bar is drawn, whether or not something was done.
const TICK: Duration = Duration::from_millis(200);

/// How long it will take, once that can be told: the first items say little of the others.
fn remaining(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    const TOLD_FROM: f32 = 0.05;
    if state.fraction() >= TOLD_FROM {
        let _ = write!(out, "{:#}", HumanDuration(Duration::from_secs(state.eta().as_secs())));
    }
}

/// How many columns the terminal of the program has; `None` where there is none.
pub(super) fn width() -> Option<usize> {
    columns(terminal_size::terminal_size())
}

/// How many columns a terminal has; `None` where it does not tell.
fn columns(size: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<usize> {
    size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
}

/// Whether the locale has no more than ASCII: the first variable that is set decides.
fn is_ascii(read: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(read).find(|value| !value.is_empty());
    let is_utf8 = |value: std::ffi::OsString| value.to_string_lossy().to_lowercase().contains("utf");
    cfg!(unix) && !set.is_some_and(is_utf8)
}

impl Screen for Console {
    fn warning(&self, message: &str) {
        self.warning(message);
    }

    fn note(&self, message: &str) {
        self.note(message);
    }

    fn progress(&self, total: u64, doing: &'static str) -> ProgressBar {
        self.progress(total, doing)
    }
}
