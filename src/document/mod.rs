//! Reports as documents: headings, facts, tables, lists and plots between the data and their printing.
//!
//! A report says what it shows and how important each column is; a printer decides how that fits. On a terminal
//! columns go by their rank and the middle of paths is left out; in a pipe nothing is shortened.

mod html;
mod layout;
mod paint;
mod text;
mod width;

pub use html::escaped;
pub use paint::{Hue, Paint};
pub use text::{wrap, wrap_line};
pub use width::with_tilde;

/// What a report shows, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// The parts.
    pub blocks: Vec<Block>,
}

/// A part of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A title of what follows.
    Heading(Line),
    /// Names with values.
    Facts(Vec<Fact>),
    /// Rows.
    Table(Table),
    /// Sentences, each of its own.
    List(Vec<Line>),
    /// A sentence or paragraph.
    Text(Line),
    /// Amounts to compare.
    Plot(Vec<Bar>),
}

/// A name with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub name: String,
    pub value: Line,
    /// What to do about it, where there is room beside it.
    pub aside: String,
}

/// A bar of a plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    pub name: String,
    /// How long it is.
    pub amount: u64,
    /// The amount as people read it.
    pub shown: String,
    /// What its colour says.
    pub hue: Hue,
}

/// A line of text in parts that may be coloured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// The parts.
    pub spans: Vec<Span>,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The text, fit to be shown.
    pub text: String,
    /// What its colour says.
    pub hue: Hue,
}

/// Rows and columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub title: String,
    /// Whether it holds numbers, which stand to the right.
    pub is_number: bool,
    /// Whether its cells name their rows.
    pub is_head: bool,
    /// How its cells are shortened.
    pub shape: Shape,
    /// The higher, the earlier it is left out where there is no room; 0 for never.
    pub rank: u8,
}

/// How the cells of a column may be shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// Not at all.
    #[default]
    Fixed,
    /// In the middle, at separators.
    Path,
    /// At the end.
    Text,
}

/// A row of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The cells, one a column, fit to be shown.
    pub cells: Vec<String>,
    /// What its colour says.
    pub hue: Hue,
    /// What the colours of single cells say on a page; none where there are fewer than cells.
    pub marks: Vec<Hue>,
    /// What a page has folded below it, with a title; a terminal shows the row alone.
    pub more: Option<(String, Document)>,
}

impl Document {
    /// Adds a heading.
    pub fn heading(&mut self, title: impl Into<Line>) {
        self.blocks.push(Block::Heading(title.into()));
    }

    /// Adds a table, unless it is empty.
    pub fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.blocks.push(Block::Table(table));
        }
    }

    /// Adds a paragraph.
    pub fn text(&mut self, line: impl Into<Line>) {
        self.blocks.push(Block::Text(line.into()));
    }

    /// Adds sentences, unless there are none.
    pub fn list(&mut self, lines: Vec<Line>) {
        if !lines.is_empty() {
            self.blocks.push(Block::List(lines));
        }
    }

    /// Adds facts, unless there are none.
    pub fn facts(&mut self, facts: Vec<Fact>) {
        if !facts.is_empty() {
            self.blocks.push(Block::Facts(facts));
        }
    }
}

impl Fact {
    pub fn new(name: impl Into<String>, value: impl Into<Line>) -> Self {
        Self { name: name.into(), value: value.into(), aside: String::new() }
    }

    /// The same with what to do about it.
    pub fn aside(self, aside: impl Into<String>) -> Self {
        Self { aside: aside.into(), ..self }
    }
}

impl Line {
    /// The same line with more of one colour.
    pub fn and(mut self, text: impl Into<String>, hue: Hue) -> Self {
        self.spans.push(Span { text: text.into(), hue });
        self
    }

    /// A line of one colour.
    pub fn of(text: impl Into<String>, hue: Hue) -> Self {
        Self::default().and(text, hue)
    }

    /// Its text without colours.
    pub fn plain(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::of(text, Hue::Plain)
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::of(text, Hue::Plain)
    }
}

impl Column {
    /// A column of text that is never left out or shortened.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), is_number: false, is_head: false, shape: Shape::Fixed, rank: 0 }
    }

    /// The same for what names its row.
    pub fn head(title: impl Into<String>) -> Self {
        Self { is_head: true, ..Self::new(title) }
    }

    /// The same for numbers.
    pub fn number(title: impl Into<String>) -> Self {
        Self { is_number: true, ..Self::new(title) }
    }

    /// The same for paths, which lose their middle.
    pub fn path(title: impl Into<String>) -> Self {
        Self { shape: Shape::Path, ..Self::new(title) }
    }

    /// The same for text that may lose its end.
    pub fn text(title: impl Into<String>) -> Self {
        Self { shape: Shape::Text, ..Self::new(title) }
    }

    /// The same with a rank by which it is left out.
    pub fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

impl Table {
    /// A table of these columns, without rows.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row of no colour.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.coloured(Hue::Plain, cells);
    }

    /// Adds a row.
    pub fn coloured<C: Into<String>>(&mut self, hue: Hue, cells: impl IntoIterator<Item = C>) {
        let cells = cells.into_iter().map(Into::into).collect();
        self.rows.push(Row { cells, hue, ..Row::default() });
    }
}
