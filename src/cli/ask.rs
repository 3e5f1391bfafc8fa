//! The person at the terminal, as those who need an answer see them.

use std::io::Write as _;

use super::console::Console;
use super::context::{Exit, Failure};
use crate::escape;
use crate::seal::{Ask, ExposeSecret as _, SecretString, key};

/// A passphrase with fewer characters is found by trying.
const SHORTEST: usize = 12;

/// Asks at the terminal; where there is none, nobody answers.
#[derive(Debug, Clone)]
pub struct Terminal(Console);

impl Terminal {
    /// The terminal of a console.
    pub fn new(console: &Console) -> Self {
        Self(console.clone())
    }

    /// A new passphrase: typed twice, or made and shown where nothing was typed.
    ///
    /// # Errors
    /// There is nobody to ask, or what was typed differs.
    pub fn new_passphrase(&self) -> Result<SecretString, Failure> {
        let nobody = || {
            Failure::new(Exit::Usage, "there is no terminal to read a passphrase from")
                .hint("run it in a terminal, or without --passphrase: `ccretain key new`")
        };
        let first = self.passphrase("new passphrase (empty: one is made for you)").ok_or_else(nobody)?;
        if first.expose_secret().is_empty() {
            let made = key::passphrase();
            // Also where somebody asked for quiet: nothing else has it.
            self.0
                .log(&format!("passphrase: {}\nwrite it down: it is not shown again", made.expose_secret()));
            return Ok(made);
        }
        if first.expose_secret().chars().count() < SHORTEST {
            self.0.warning(&format!("a passphrase of fewer than {SHORTEST} characters can be guessed"));
            self.0
                .hint("press Ctrl-C, run the same command again, and type nothing: then one is made for you");
        }
        let second = self.passphrase("the same again").ok_or_else(nobody)?;
        if first.expose_secret() != second.expose_secret() {
            return Err(Failure::new(Exit::Usage, "the two passphrases differ: nothing was made")
                .hint("run the same command again; `ccretain key new --help` tells of it"));
        }
        Ok(first)
    }
}

impl Ask for Terminal {
    fn passphrase(&self, what: &str) -> Option<SecretString> {
        if !self.0.can_ask() {
            return None;
        }
        rpassword::prompt_password(format!("{what}: ")).ok().map(SecretString::from)
    }

    fn tell(&self, message: &str) {
        self.0.note(message);
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let choices = no.map_or_else(|| format!("'{yes}'"), |no| format!("'{yes}' or '{no}'"));
        let answer = self.answer(&format!("{question} ({choices})"))?;
        Some(answer.eq_ignore_ascii_case(yes) || answer.eq_ignore_ascii_case("yes"))
    }

    fn answer(&self, question: &str) -> Option<String> {
        if !self.0.can_ask() {
            return None;
        }
        let mut out = std::io::stderr().lock();
        write!(out, "{}: ", escape::text(question)).and_then(|()| out.flush()).ok()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        // Whoever ends the input instead of a line leaves the cursor behind the question.
        if !answer.ends_with('\n') {
            writeln!(out).ok()?;
        }
        Some(answer.trim().to_owned())
    }
}
