//! A page in the man macros, made from short marked-up text.
//!
//! The lines it writes are shorter than 80 bytes and hold ASCII alone, so that every formatter
//! reads them alike and `mandoc -T lint` has nothing to say.

use std::fmt::Write as _;

/// How long a filled line may be, in bytes.
const WIDTH: usize = 78;

/// A page while it is written.
#[derive(Debug, Default)]
pub struct Roff {
    text: String,
    /// A heading came last, which begins a paragraph by itself.
    after_heading: bool,
}

impl Roff {
    /// A page with its title line; the date is written as it is given.
    pub fn new(title: &str, section: u8, date: &str, source: &str) -> Self {
        let mut page = Self::default();
        page.line(&format!(
            ".TH {} {section} \"{date}\" \"{source}\" \"Manual of ccretain\"",
            escape(&title.to_uppercase())
        ));
        // A word that is broken or stretched can be neither copied nor searched for.
        page.line(".nh\n.ad l");
        page
    }

    /// The text of the page.
    pub fn finish(self) -> String {
        self.text
    }

    /// Begins a section.
    pub fn section(&mut self, title: &str) -> &mut Self {
        self.line(&format!(".SH \"{}\"", escape(&title.to_uppercase())));
        self.after_heading = true;
        self
    }

    /// Begins a part of a section.
    pub fn part(&mut self, title: &str) -> &mut Self {
        self.line(&format!(".SS \"{}\"", escape(title)));
        self.after_heading = true;
        self
    }

    /// A paragraph; what stands between backticks is bold, between underscores at the borders of
    /// words italic.
    pub fn paragraph(&mut self, text: &str) -> &mut Self {
        self.begin(".PP");
        self.fill(&words(text));
        self
    }

    pub fn term(&mut self, term: &str, meaning: &str) -> &mut Self {
        self.begin(".TP");
        self.fill(&[words(term).join("\\ ")]);
        self.fill(&words(meaning));
        self
    }

    /// A further paragraph under the term before.
    pub fn more(&mut self, text: &str) -> &mut Self {
        self.line(".IP");
        self.fill(&words(text));
        self
    }

    /// A bulleted item.
    pub fn item(&mut self, text: &str) -> &mut Self {
        self.line(".IP \\(bu 2");
        self.fill(&words(text));
        self.after_heading = false;
        self
    }

    /// Lines that stand as they are written.
    pub fn verbatim(&mut self, text: &str) -> &mut Self {
        self.begin(".PP");
        self.line(".RS 4\n.nf");
        for line in text.lines() {
            // An empty line in no-fill mode is a space to the one formatter and a paragraph to the other.
            let escaped = escape(line);
            self.line(&match escaped.as_str() {
                "" => "\\&".to_owned(),
                text if text.starts_with(['.', '\'']) => format!("\\&{text}"),
                text => text.to_owned(),
            });
        }
        self.line(".fi\n.RE");
        self
    }

    /// A synopsis: the first words bold, the others kept together each.
    pub fn synopsis(&mut self, command: &str, rest: &[String]) -> &mut Self {
        self.begin(".PP");
        let command = format!("\\fB{}\\fR", escape(command).replace(' ', "\\ "));
        let rest = rest.iter().map(|word| words(word).join("\\ "));
        self.fill(&std::iter::once(command).chain(rest).collect::<Vec<_>>());
        self
    }

    /// Text with marks at the beginnings of its lines: `# ` a section, `## ` a part, `- ` an item,
    /// `? ` a term with its meaning in the lines below, four blanks an example; an empty line ends
    /// whatever it was.
    pub fn marked(&mut self, text: &str) -> &mut Self {
        for block in text.trim_end().split("\n\n") {
            let block = block.trim_matches('\n');
            let folded = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            if let Some(title) = block.strip_prefix("# ") {
                self.section(title);
            } else if let Some(title) = block.strip_prefix("## ") {
                self.part(title);
            } else if let Some(rest) = block.strip_prefix("? ") {
                let (term, meaning) = rest.split_once('\n').unwrap_or((rest, ""));
                self.term(term, &folded(meaning));
            } else if block.starts_with("- ") {
                for item in format!("\n{block}").split("\n- ").filter(|item| !item.is_empty()) {
                    self.item(&folded(item));
                }
            } else if block.starts_with("    ") {
                let lines: Vec<&str> =
                    block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
                self.verbatim(&lines.join("\n"));
            } else {
                self.paragraph(&folded(block));
            }
        }
        self
    }

    /// The request that begins a paragraph, unless a heading has just done so.
    fn begin(&mut self, request: &str) {
        if !self.after_heading || request != ".PP" {
            self.line(request);
        }
        self.after_heading = false;
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
    }

    /// Words, as many in a line as fit.
    fn fill(&mut self, words: &[String]) {
        let mut line = String::new();
        for word in words {
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                self.line(&line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            } else if word.starts_with(['.', '\'']) {
                line.push_str("\\&");
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            self.line(&line);
        }
    }
}

/// The words of a text, escaped, with the fonts that its marks ask for.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut is_bold = false;
    for word in text.split_ascii_whitespace() {
        let mut out = String::new();
        if is_bold {
            out.push_str("\\fB");
        }
        let pieces: Vec<&str> = word.split('`').collect();
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                is_bold = !is_bold;
                out.push_str(if is_bold { "\\fB" } else { "\\fR" });
            }
            match italic(piece) {
                Some((before, inner, after)) if !is_bold => {
                    let _ = write!(out, "{}\\fI{}\\fR{}", escape(before), escape(inner), escape(after));
                }
                _ => out.push_str(&escape(piece)),
            }
        }
        if is_bold {
            out.push_str("\\fR");
        }
        words.push(out);
    }
    words
}

/// What stands between the first and the last underscore of a piece, if both are at a border.
fn italic(piece: &str) -> Option<(&str, &str, &str)> {
    let (start, end) = (piece.find('_')?, piece.rfind('_')?);
    let (before, after) = (piece.get(..start)?, piece.get(end + 1..)?);
    let is_border = |text: &str| !text.chars().any(char::is_alphanumeric);
    (end > start + 1 && is_border(before) && is_border(after)).then_some((
        before,
        piece.get(start + 1..end)?,
        after,
    ))
}

/// Text as the formatters print it back.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '"' => out.push_str("\\(dq"),
            '\u{a0}' => out.push_str("\\ "),
            c if c.is_ascii() => out.push(c),
            c => {
                let _ = write!(out, "\\[u{:04X}]", u32::from(c));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_fonts_and_nothing_is_a_request() {
        assert_eq!(words("`a b` c"), ["\\fBa\\fR", "\\fBb\\fR", "c"]);
        assert_eq!(words("a_b _FILE_ (_X_)"), ["a_b", "\\fIFILE\\fR", "(\\fIX\\fR)"]);
        assert_eq!(words("`A_B`"), ["\\fBA_B\\fR"]);
        let mut page = Roff::default();
        page.paragraph(".profile is no request").paragraph("'nor this'").verbatim(".nor\n\nthat");
        let text = page.finish();
        assert!(text.contains("\n\\&.profile is"), "{text}");
        assert!(text.contains("\n\\&.nor\n\\&\nthat\n"), "{text}");
        assert!(text.contains("\n\\(aqnor this\\(aq\n"), "{text}");
        assert_eq!(escape("…\\"), "\\[u2026]\\e");
    }

    #[test]
    fn lines_are_short() {
        let mut page = Roff::default();
        page.paragraph(&"word ".repeat(200)).term("t", &"mean-ing ".repeat(100));
        assert!(page.finish().lines().all(|line| line.len() <= WIDTH));
    }

    #[test]
    fn marked_text_has_every_form() {
        let mut page = Roff::default();
        page.marked(
            "# A\n\ntext\nmore\n\n## B\n\n- one\n  two\n- three\n\n? term\nmeaning\n\n    as it\n      is\n",
        );
        let expected = ".SH \"A\"\ntext more\n.SS \"B\"\n.IP \\(bu 2\none two\n.IP \\(bu 2\nthree\n.TP\nterm\nmeaning\n.PP\n.RS 4\n.nf\nas it\n  is\n.fi\n.RE\n";
        assert_eq!(page.finish(), expected);
    }
}
