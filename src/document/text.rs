//! Documents for terminals and pipes.

use super::width::columns;
use super::{Bar, Block, Document, Fact, Hue, Line, Paint, Span};

/// How deep what stands under a heading is.
const INDENT: usize = 2;
/// The longest bar.
const BAR: usize = 40;

impl Document {
    /// The document as text.
    pub fn print(&self, paint: Paint<'_>) -> String {
        let mut out = String::new();
        let mut indent = 0;
        for block in &self.blocks {
            match block {
                Block::Heading(title) => {
                    if !out.is_empty() {
                        out.push('\n');
                    }
                    let strong = |span: &Span| match span.hue {
                        Hue::Plain => Span { hue: Hue::Strong, ..span.clone() },
                        _ => span.clone(),
                    };
                    let title = Line { spans: title.spans.iter().map(strong).collect() };
                    put(&mut out, &title, 0, INDENT, paint);
                    indent = INDENT;
                }
                Block::Facts(facts) => print_facts(&mut out, facts, indent, paint),
                Block::Table(table) => out.push_str(&paint.table(table, indent)),
                Block::List(lines) => {
                    lines.iter().for_each(|line| put(&mut out, line, indent, indent + INDENT, paint));
                }
                Block::Text(line) => put(&mut out, line, indent, indent, paint),
                Block::Plot(bars) => print_bars(&mut out, bars, indent, paint),
            }
        }
        out
    }
}

fn print_facts(out: &mut String, facts: &[Fact], indent: usize, paint: Paint<'_>) {
    let name = facts.iter().map(|fact| columns(&fact.name)).max().unwrap_or(0);
    let hang = indent + name + 2;
    for fact in facts {
        let blanks = " ".repeat(name - columns(&fact.name) + 2);
        let mut line = Line::of(format!("{}{blanks}", fact.name), Hue::Plain);
        line.spans.extend(fact.value.spans.iter().cloned());
        let used = indent + columns(&line.plain());
        let fits = |width: usize| used + 2 + columns(&fact.aside) <= width;
        match (fact.aside.is_empty(), paint.width) {
            (true, _) => put(out, &line, indent, hang, paint),
            (false, Some(width)) if !fits(width) => {
                put(out, &line, indent, hang, paint);
                put(out, &Line::of(fact.aside.clone(), Hue::Dim), hang, hang, paint);
            }
            (false, _) => {
                put(out, &line.and(format!("  {}", fact.aside), Hue::Dim), indent, hang, paint);
            }
        }
    }
}

fn print_bars(out: &mut String, bars: &[Bar], indent: usize, paint: Paint<'_>) {
    let name = bars.iter().map(|bar| columns(&bar.name)).max().unwrap_or(0);
    let shown = bars.iter().map(|bar| columns(&bar.shown)).max().unwrap_or(0);
    let most = bars.iter().map(|bar| bar.amount).max().unwrap_or(0).max(1);
    let room = paint.width.map_or(BAR, |width| width.saturating_sub(indent + name + shown + 4)).min(BAR);
    let block = if paint.is_ascii { "#" } else { "█" };
    for bar in bars {
        let length = (u128::from(bar.amount) * room as u128).div_ceil(u128::from(most));
        let length = usize::try_from(length).unwrap_or(room);
        let line = format!(
            "{:indent$}{}{:gap$}{:>shown$}  {}",
            "",
            bar.name,
            "",
            bar.shown,
            paint.hued(bar.hue, &block.repeat(length)),
            gap = name - columns(&bar.name) + 2,
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// A word with the blanks before it, in pieces of one colour: a word may have several.
type Word = (usize, Vec<(Hue, String)>);

fn words(line: &Line) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut blanks = 0;
    let mut is_open = false;
    for span in &line.spans {
        for (place, piece) in span.text.split(' ').enumerate() {
            if place > 0 {
                blanks += 1;
                is_open = false;
            }
            if piece.is_empty() {
                continue;
            }
            match words.last_mut().filter(|_| is_open) {
                Some((_, pieces)) => pieces.push((span.hue, piece.to_owned())),
                None => words.push((blanks, vec![(span.hue, piece.to_owned())])),
            }
            blanks = 0;
            is_open = true;
        }
    }
    words
}

/// The same with each command in backquotes in one piece, where that fits in a line: whoever copies it must not
/// copy a line break.
fn with_whole_commands(words: Vec<Word>, room: usize) -> Vec<Word> {
    let is_open = |(_, pieces): &Word| {
        pieces.iter().map(|(_, piece)| piece.matches('`').count()).sum::<usize>() % 2 == 1
    };
    let width =
        |(blanks, pieces): &Word| blanks + pieces.iter().map(|(_, piece)| columns(piece)).sum::<usize>();
    let mut out: Vec<Word> = Vec::new();
    let mut rest = words.into_iter();
    while let Some(first) = rest.next() {
        if !is_open(&first) {
            out.push(first);
            continue;
        }
        let mut command = vec![first];
        for word in rest.by_ref() {
            let ends = is_open(&word);
            command.push(word);
            if ends {
                break;
            }
        }
        if command.iter().map(width).sum::<usize>() - command[0].0 > room {
            out.extend(command);
            continue;
        }
        let mut whole: Word = (command[0].0, Vec::new());
        for (at, (blanks, pieces)) in command.into_iter().enumerate() {
            if let Some((_, last)) = whole.1.last_mut().filter(|_| at > 0) {
                last.push_str(&" ".repeat(blanks));
            }
            whole.1.extend(pieces);
        }
        out.push(whole);
    }
    out
}

/// A line, broken at blanks where it does not fit; `first` blanks before it and `hang` before what follows.
fn put(out: &mut String, line: &Line, first: usize, hang: usize, paint: Paint<'_>) {
    let width = paint.width.unwrap_or(usize::MAX);
    let (mut at, mut is_begun) = (first, false);
    // Words of one colour that stand beside each other are coloured together.
    let mut run: (Hue, String) = (Hue::Plain, String::new());
    let mut text = " ".repeat(first);
    let room = if paint.is_whole { usize::MAX } else { width.saturating_sub(hang) };
    for (blanks, pieces) in with_whole_commands(words(line), room) {
        let wide: usize = pieces.iter().map(|(_, piece)| columns(piece)).sum();
        if is_begun && at + blanks + wide > width {
            text.push_str(&paint.hued(run.0, &run.1));
            run.1.clear();
            text.push('\n');
            text.push_str(&" ".repeat(hang));
            at = hang;
        } else {
            let gap = " ".repeat(blanks);
            if pieces.first().is_some_and(|(hue, _)| *hue == run.0) {
                run.1.push_str(&gap);
            } else {
                text.push_str(&paint.hued(run.0, &run.1));
                text.push_str(&gap);
                run.1.clear();
            }
            at += blanks;
        }
        for (hue, piece) in pieces {
            if hue != run.0 {
                text.push_str(&paint.hued(run.0, &run.1));
                run = (hue, String::new());
            }
            run.1.push_str(&piece);
        }
        at += wide;
        is_begun = true;
    }
    text.push_str(&paint.hued(run.0, &run.1));
    if is_begun {
        out.push_str(&text);
    }
    out.push('\n');
}

/// A line of several colours, broken in the same way.
pub fn wrap_line(line: &Line, hang: usize, paint: Paint<'_>) -> String {
    let mut out = String::new();
    put(&mut out, line, 0, hang, paint);
    out
}

/// A text broken at blanks where it is longer than the terminal is wide; blanks at its beginning stay, and what
/// follows the first line hangs `hang` deep.
pub fn wrap(text: &str, hang: usize, paint: Paint<'_>) -> String {
    let body = text.trim_start_matches(' ');
    let mut out = String::new();
    put(&mut out, &Line::from(body), text.len() - body.len(), hang, paint);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let mut document = Document::default();
        document
            .text("12 sessions, 924 KiB in 3 projects; 4 are overdue (356 KiB): ccretain enforce --dry-run");
        document.facts(vec![
            Fact::new("policy", "built-in: delete after 30 days").aside("(ccretain policy init)"),
            Fact::new("runs", Line::of("not scheduled", Hue::Warn)).aside("(ccretain schedule install)"),
        ]);
        document.heading("what stays");
        document.list(vec!["1 session kept: active within the last hour, and whoever has it open".into()]);
        document.blocks.push(Block::Plot(vec![
            Bar { name: "a day".to_owned(), amount: 4, shown: "4".to_owned(), hue: Hue::Plain },
            Bar { name: "a week".to_owned(), amount: 12, shown: "12".to_owned(), hue: Hue::Plain },
        ]));
        for width in 36..100 {
            let text = document.print(Paint::new(false).fitting(Some(width), None));
            for line in text.lines() {
                assert!(columns(line) <= width, "{width}: {line}");
                assert_eq!(line, line.trim_end());
            }
        }
        insta::assert_snapshot!(document.print(Paint::new(false).fitting(Some(40), None)), @r"
        12 sessions, 924 KiB in 3 projects; 4
        are overdue (356 KiB): ccretain enforce
        --dry-run
        policy  built-in: delete after 30 days
                (ccretain policy init)
        runs    not scheduled
                (ccretain schedule install)

        what stays
          1 session kept: active within the last
            hour, and whoever has it open
          a day    4  █████████
          a week  12  ██████████████████████████
        ");
    }

    #[test]
    fn a_command_is_not_torn() {
        let paint = |width| Paint::new(false).fitting(Some(width), None);
        let text = "look first: `ccretain enforce --dry-run`, then act";
        assert_eq!(wrap(text, 2, paint(40)), "look first:\n  `ccretain enforce --dry-run`, then act\n");
        // One that is longer than a line is torn like everything else.
        assert_eq!(wrap(text, 2, paint(20)), "look first:\n  `ccretain enforce\n  --dry-run`, then\n  act\n");
    }

    #[test]
    fn colours_take_no_room() {
        let line = Line::of("one two", Hue::Warn).and(" three four", Hue::Plain);
        let mut out = String::new();
        put(&mut out, &line, 0, 2, Paint::new(true).fitting(Some(9), None));
        assert_eq!(out, "\u{1b}[33mone two\u{1b}[0m\n  three\n  four\n");
    }
}
