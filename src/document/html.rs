//! Documents as pieces of a page, and the one place where text becomes markup.

use std::fmt::Write as _;

use super::{Bar, Block, Document, Fact, Hue, Line, Shape, Table};

/// Text as it may stand in an element or in an attribute in quotes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What no HTML document may hold, and what turns the direction of what follows.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

impl Document {
    /// The document as the body of a page, each heading of the second level with what follows it.
    pub fn html(&self) -> String {
        let mut out = String::new();
        let mut is_open = false;
        for block in &self.blocks {
            match block {
                Block::Heading(title) => {
                    out.push_str(if is_open { "</section>\n" } else { "" });
                    let _ = writeln!(out, "<section><h2>{}</h2>", title.html());
                    is_open = true;
                }
                Block::Text(line) => drop(writeln!(out, "<p>{}</p>", line.html())),
                Block::Facts(facts) => facts_html(&mut out, facts),
                Block::List(lines) => {
                    out.push_str("<ul>\n");
                    for line in lines {
                        let _ = writeln!(out, "<li>{}</li>", line.html());
                    }
                    out.push_str("</ul>\n");
                }
                Block::Table(table) => table_html(&mut out, table),
                Block::Plot(bars) => bars_html(&mut out, bars),
            }
        }
        out.push_str(if is_open { "</section>\n" } else { "" });
        out
    }
}

fn facts_html(out: &mut String, facts: &[Fact]) {
    out.push_str("<dl>\n");
    for fact in facts {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}", escaped(&fact.name), fact.value.html());
        if !fact.aside.is_empty() {
            let _ = write!(out, " <span class=\"muted\">{}</span>", escaped(&fact.aside));
        }
        out.push_str("</dd></div>\n");
    }
    out.push_str("</dl>\n");
}

fn bars_html(out: &mut String, bars: &[Bar]) {
    let most = bars.iter().map(|bar| bar.amount).max().unwrap_or(0).max(1);
    out.push_str("<table class=\"bars\"><tbody>\n");
    for bar in bars {
        // No more than it stands for, and of anything at least a sign.
        let share = u128::from(bar.amount) * 100 / u128::from(most);
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td><span class=\"bar {}\" style=\"width:{share}%\"></span></td><td class=\"n\">{}</td></tr>",
            escaped(&bar.name),
            class(bar.hue).unwrap_or_default(),
            escaped(&bar.shown)
        );
    }
    out.push_str("</tbody></table>\n");
}

/// The class of a colour.
fn class(hue: Hue) -> Option<&'static str> {
    match hue {
        Hue::Plain => None,
        Hue::Strong => Some("strong"),
        Hue::Good => Some("ok"),
        Hue::Warn => Some("medium"),
        Hue::Bad => Some("high"),
        Hue::Dim => Some("muted"),
    }
}

impl Line {
    /// The line; what stands in backquotes is code.
    pub fn html(&self) -> String {
        let text = |text: &str| {
            // One without its other half is a backquote.
            if !text.matches('`').count().is_multiple_of(2) {
                return escaped(text);
            }
            let code = |(at, piece): (usize, &str)| match at % 2 {
                1 => format!("<code>{}</code>", escaped(piece)),
                _ => escaped(piece),
            };
            text.split('`').enumerate().map(code).collect::<String>()
        };
        let spans = self.spans.iter().map(|span| match class(span.hue) {
            None => text(&span.text),
            Some(class) => format!("<span class=\"{class}\">{}</span>", text(&span.text)),
        });
        spans.collect()
    }
}

fn table_html(out: &mut String, table: &Table) {
    let number = |at: usize| {
        if table.columns.get(at).is_some_and(|column| column.is_number) { " class=\"n\"" } else { "" }
    };
    out.push_str("<div class=\"wide\"><table><thead><tr>");
    for (at, column) in table.columns.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", number(at), escaped(&column.title));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (at, cell) in row.cells.iter().enumerate() {
            let is_path = table.columns.get(at).is_some_and(|column| column.shape == Shape::Path);
            let cell = if is_path { format!("<code>{}</code>", escaped(cell)) } else { escaped(cell) };
            let class = match row.marks.get(at).and_then(|hue| class(*hue)) {
                Some(mark) if number(at).is_empty() => format!(" class=\"tag {mark}\""),
                Some(mark) => format!(" class=\"n {mark}\""),
                None => number(at).to_owned(),
            };
            let _ = match table.columns.get(at) {
                Some(column) if column.is_head => write!(out, "<th scope=\"row\"{class}>{cell}</th>"),
                _ => write!(out, "<td{class}>{cell}</td>"),
            };
        }
        out.push_str("</tr>\n");
        if let Some((title, document)) = &row.more {
            let (columns, title) = (table.columns.len(), escaped(title));
            let _ = write!(
                out,
                "<tr class=\"more\"><td colspan=\"{columns}\"><details><summary>{title}</summary>"
            );
            let _ = writeln!(out, "{}</details></td></tr>", document.html());
        }
    }
    out.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::super::{Column, Row};
    use super::*;

    #[test]
    fn no_text_of_a_document_is_markup() {
        let hostile = "<script>\"'&`";
        let mut document = Document::default();
        document.heading(hostile);
        document.text(Line::of(hostile, Hue::Bad));
        document.list(vec![hostile.into()]);
        document.facts(vec![Fact::new(hostile, hostile).aside(hostile)]);
        let mut table = Table::new(vec![Column::new(hostile), Column::path(hostile)]);
        let mut more = Document::default();
        more.text(hostile);
        let cells = [hostile, hostile].map(str::to_owned).to_vec();
        let marks = vec![Hue::Bad, Hue::Plain];
        table.rows.push(Row { cells, marks, more: Some((hostile.to_owned(), more)), ..Row::default() });
        document.table(table);
        let bar = Bar { name: hostile.to_owned(), amount: 1, shown: hostile.to_owned(), hue: Hue::Plain };
        document.blocks.push(Block::Plot(vec![bar]));
        let page = document.html();
        assert!(!page.contains("<script") && !page.contains("\"'"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 14);
        assert_eq!(page.matches("<section>").count(), page.matches("</section>").count());
    }

    #[test]
    fn nothing_turns_what_follows() {
        assert_eq!(escaped("a\u{202e}b\u{1b}[31m\n"), "a\u{fffd}b\u{fffd}[31m\n");
    }

    #[test]
    fn a_command_is_code() {
        assert_eq!(Line::from("type `a <b>` now").html(), "type <code>a &lt;b&gt;</code> now");
    }
}
