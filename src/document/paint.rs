//! What the place can show that text is printed to: colours, so many columns, more than ASCII.

use anstyle::{AnsiColor, Style};
use chrono::{DateTime, FixedOffset, Utc};

use super::{Table, layout};

/// How text is shown.
#[derive(Debug, Clone, Copy)]
pub struct Paint<'a> {
    is_coloured: bool,
    /// How many columns there are; `None` in a pipe, where nothing is shortened.
    pub width: Option<usize>,
    /// Whether tables and commands keep all they have, however wide that makes them: in a file that is kept.
    pub is_whole: bool,
    /// Whether only ASCII can be shown.
    pub is_ascii: bool,
    /// The home folder, for which people read `~`.
    pub home: Option<&'a str>,
    /// A moment where the reader is; UTC where that is not known.
    pub local: fn(DateTime<Utc>) -> DateTime<FixedOffset>,
}

impl Default for Paint<'_> {
    fn default() -> Self {
        let local = |at: DateTime<Utc>| at.fixed_offset();
        Self { is_coloured: false, width: None, is_whole: false, is_ascii: false, home: None, local }
    }
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hue {
    /// Nothing.
    #[default]
    Plain,
    /// It matters most.
    Strong,
    /// All is well.
    Good,
    /// It deserves a look.
    Warn,
    /// It went wrong, or is removed.
    Bad,
    /// It is worth less than the rest.
    Dim,
}

impl<'a> Paint<'a> {
    /// Text with or without colours, of any width.
    pub fn new(is_coloured: bool) -> Self {
        Self { is_coloured, ..Self::default() }
    }

    /// The same for a terminal of so many columns.
    pub fn fitting(self, width: Option<usize>, home: Option<&'a str>) -> Self {
        Self { width, home, ..self }
    }

    /// The same where nothing has to fit.
    pub(super) fn of_any_width(self) -> Self {
        Self { width: None, ..self }
    }

    /// For a file: sentences are broken where they are longer than this, and nothing is shortened.
    pub fn for_file(width: usize) -> Self {
        Self { width: Some(width), is_whole: true, ..Self::default() }
    }

    /// The same for a reader whose clock is told by this.
    pub fn at_home(self, local: fn(DateTime<Utc>) -> DateTime<FixedOffset>) -> Self {
        Self { local, ..self }
    }

    /// The same where only ASCII can be shown.
    pub fn ascii(self, is_ascii: bool) -> Self {
        Self { is_ascii, ..self }
    }

    /// A text of others as the terminal can show it: `?` for what it cannot.
    pub fn displayable(self, text: &str) -> String {
        text.chars().map(|char| if self.is_ascii && !char.is_ascii() { '?' } else { char }).collect()
    }

    /// The sign for what is left out.
    pub fn ellipsis(self) -> &'static str {
        if self.is_ascii { "..." } else { "…" }
    }

    /// The sign before what to do.
    pub fn arrow(self) -> &'static str {
        if self.is_ascii { "->" } else { "→" }
    }

    /// Text in a colour.
    pub fn hued(self, hue: Hue, text: &str) -> String {
        let style = match hue {
            Hue::Plain => return text.to_owned(),
            Hue::Strong => Style::new().bold(),
            Hue::Good => Style::new().fg_color(Some(AnsiColor::Green.into())),
            Hue::Warn => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
            Hue::Bad => Style::new().fg_color(Some(AnsiColor::Red.into())),
            Hue::Dim => Style::new().dimmed(),
        };
        if self.is_coloured && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// The lines of a table, `indent` blanks before each.
    pub fn table(self, table: &Table, indent: usize) -> String {
        layout::table(table, indent, self)
    }
}
