//! Documents as pieces of a page.

use std::fmt::Write as _;

use super::{Bar, Block, Document, Fact, Hue, Line, Table};

/// Text as it may stand in an element or in an attribute in double quotes.
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
    /// The document as the body of a page, headings of the second level.
    pub fn html(&self) -> String {
        let mut out = String::new();
        for block in &self.blocks {
            let _ = match block {
                Block::Heading(title) => writeln!(out, "<h2>{}</h2>", escaped(title)),
                Block::Text(line) => writeln!(out, "<p>{}</p>", html_line(line)),
                Block::Facts(facts) => facts_html(&mut out, facts),
                Block::List(lines) => {
                    let items: String =
                        lines.iter().map(|line| format!("<li>{}</li>", html_line(line))).collect();
                    writeln!(out, "<ul>{items}</ul>")
                }
                Block::Table(of) => {
                    table(&mut out, "", of);
                    Ok(())
                }
                Block::Plot(bars) => plot(&mut out, bars),
            };
        }
        out
    }
}

fn facts_html(out: &mut String, facts: &[Fact]) -> std::fmt::Result {
    out.push_str("<dl>");
    for fact in facts {
        write!(out, "<dt>{}</dt><dd>{}", escaped(&fact.name), html_line(&fact.value))?;
        if !fact.aside.is_empty() {
            write!(out, " <span class=\"muted\">{}</span>", escaped(&fact.aside))?;
        }
        out.push_str("</dd>");
    }
    writeln!(out, "</dl>")
}

fn plot(out: &mut String, bars: &[Bar]) -> std::fmt::Result {
    let most = bars.iter().map(|bar| bar.amount).max().unwrap_or(0).max(1);
    out.push_str("<table class=\"bars\"><tbody>\n");
    for bar in bars {
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td><meter max=\"{most}\" value=\"{}\"></meter></td><td class=\"n\">{}</td></tr>",
            escaped(&bar.name),
            bar.amount,
            escaped(&bar.shown)
        )?;
    }
    writeln!(out, "</tbody></table>")
}

fn html_line(line: &Line) -> String {
    let class = |hue| match hue {
        Hue::Plain => None,
        Hue::Strong => Some("strong"),
        Hue::Good => Some("ok"),
        Hue::Warn => Some("medium"),
        Hue::Bad => Some("high"),
        Hue::Dim => Some("muted"),
    };
    line.spans
        .iter()
        .map(|span| match class(span.hue) {
            None => escaped(&span.text),
            Some(class) => format!("<span class=\"{class}\">{}</span>", escaped(&span.text)),
        })
        .collect()
}

/// A table with a caption.
pub fn table(out: &mut String, caption: &str, table: &Table) {
    let class = |at: usize| {
        if table.columns.get(at).is_some_and(|column| column.is_number) { " class=\"n\"" } else { "" }
    };
    let _ = write!(out, "<div class=\"wide\"><table><caption>{}</caption><thead><tr>", escaped(caption));
    for (at, column) in table.columns.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(at), escaped(&column.title));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (at, cell) in row.cells.iter().enumerate() {
            let _ = write!(out, "<td{}>{}</td>", class(at), escaped(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::super::Column;
    use super::*;

    #[test]
    fn no_text_of_a_document_is_markup() {
        let hostile = "<script>\"'&";
        let mut document = Document::default();
        document.heading(hostile);
        document.text(Line::of(hostile, Hue::Bad));
        document.list(vec![hostile.into()]);
        document.facts(vec![Fact::new(hostile, hostile).aside(hostile)]);
        let mut table = Table::new(vec![Column::new(hostile)]);
        table.row([hostile]);
        document.table(table);
        let bar = Bar { name: hostile.to_owned(), amount: 1, shown: hostile.to_owned() };
        document.blocks.push(Block::Plot(vec![bar]));
        let page = document.html();
        assert!(!page.contains("<script") && !page.contains("\"'"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 10);
    }
}
