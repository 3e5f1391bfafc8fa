//! Colour for people: a few styles, and none of them where it is not wanted.

use anstyle::{AnsiColor, Style};
use comfy_table::Table;

/// Whether text is coloured, and how.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Paint that colours, or one that leaves text as it is.
    #[must_use]
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    fn styled(self, style: Style, text: &str) -> String {
        if self.on && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A heading, or what matters most in a line.
    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// What is well.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.styled(Style::new().fg_color(Some(AnsiColor::Green.into())), text)
    }

    /// What deserves a look.
    #[must_use]
    pub fn warn(self, text: &str) -> String {
        self.styled(Style::new().fg_color(Some(AnsiColor::Yellow.into())), text)
    }

    /// What went wrong.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.styled(Style::new().fg_color(Some(AnsiColor::Red.into())), text)
    }

    /// The lines of a table, its header strong, each row as `of_row` says; `indent` blanks before each.
    ///
    /// Rows are coloured after they are laid out, so that columns stay aligned. No cell may hold
    /// a newline; escaped names hold none.
    #[must_use]
    pub fn table(self, table: &Table, indent: usize, of_row: impl Fn(usize) -> Hue) -> String {
        let mut text = String::new();
        for (at, line) in table.lines().enumerate() {
            let line = line.trim_end();
            let painted = match at.checked_sub(1) {
                None => self.strong(line),
                Some(row) => match of_row(row) {
                    Hue::Plain => line.to_owned(),
                    Hue::Warn => self.warn(line),
                    Hue::Bad => self.bad(line),
                },
            };
            text.extend(std::iter::repeat_n(' ', indent));
            text.push_str(&painted);
            text.push('\n');
        }
        text
    }
}

/// The colour of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hue {
    /// None.
    Plain,
    /// It deserves a look.
    Warn,
    /// It went wrong.
    Bad,
}
