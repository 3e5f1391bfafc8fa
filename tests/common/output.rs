//! What a run left: exit code and the two streams, with the sandbox's paths rewritten.

use serde_json::Value;

/// The end of a run.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output, paths rewritten to `[HOME]` and the like.
    pub stdout: String,
    /// Standard error, paths rewritten likewise.
    pub stderr: String,
}

impl Output {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }

    /// Asserts that nothing was said on standard error.
    #[track_caller]
    pub fn quietly(&self) -> &Self {
        assert_eq!(self.stderr, "", "standard error of {self}");
        self
    }

    /// Asserts that either stream contains a text.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "{text:?} is missing in {self}");
        self
    }

    /// Asserts that a terminal shows a text, which may go over the end of a line.
    #[track_caller]
    pub fn shows(&self, text: &str) -> &Self {
        let flowing = self.plain().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flowing.contains(text), "{text:?} is missing in {self}");
        self
    }

    /// Standard output without the colours and movements of a terminal.
    pub fn plain(&self) -> String {
        let mut parts = self.stdout.split("\u{1b}[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |plain, part| {
            plain + part.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).get(1..).unwrap_or_default()
        })
    }

    /// Asserts that neither stream contains a text.
    #[track_caller]
    pub fn never_says(&self, text: &str) -> &Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "{text:?} is in {self}");
        self
    }

    /// The one JSON document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("no single JSON document ({error}) on standard output of {self}"),
        }
    }

    /// A number of the `summary` of an enforce document.
    #[track_caller]
    pub fn summary(&self, key: &str) -> u64 {
        let json = self.json();
        json["summary"][key].as_u64().unwrap_or_else(|| panic!("no number summary.{key} in {self}"))
    }

    /// The items of an enforce document whose path ends so.
    #[track_caller]
    pub fn items(&self, path_end: &str) -> Vec<Value> {
        let json = self.json();
        let items = json["items"].as_array().unwrap_or_else(|| panic!("no items in {self}"));
        items
            .iter()
            .filter(|item| item["path"].as_str().is_some_and(|path| path.ends_with(path_end)))
            .cloned()
            .collect()
    }

    /// The one item of an enforce document whose path ends so.
    #[track_caller]
    pub fn item(&self, path_end: &str) -> Value {
        let items = self.items(path_end);
        assert_eq!(items.len(), 1, "one item ending in {path_end:?} expected in {self}");
        items.into_iter().next().unwrap()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}`\nexit: {:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

/// What people are told, with what differs from run to run replaced: moments become `[TIME]`, days
/// `[DAY]`, sizes of a KiB and more `[SIZE]`, and gaps between columns, which depend on the length of the sandbox's paths, two blanks.
pub fn settled(text: &str) -> String {
    fn shape(text: &str) -> String {
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let take = |count: usize| rest.get(..count).map(shape).unwrap_or_default();
        if take(20) == "0000-00-00T00:00:00Z" {
            out += "[TIME]";
            rest = &rest[20..];
        } else if take(10) == "0000-00-00" {
            out += "[DAY]";
            rest = without_time(&rest[10..]);
        } else if let Some(after) = without_day(rest).filter(|_| !out.ends_with(char::is_alphanumeric)) {
            out += "[DAY]";
            rest = without_time(after);
        } else if let Some(size) =
            ["0.0 KiB", "00 KiB", "000 KiB"].iter().find(|size| take(size.len()) == **size)
        {
            out += "[SIZE]";
            rest = &rest[size.len()..];
        } else if rest.starts_with("   ") && !out.ends_with('\n') && !out.is_empty() {
            out += "  ";
            rest = rest.trim_start_matches(' ');
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// What follows a day as people read it, `Nov 27`; `None` where none is there.
fn without_day(text: &str) -> Option<&str> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().find_map(|month| after_space(text.strip_prefix(month)?))?;
    let day = month.trim_start_matches(|c: char| c.is_ascii_digit());
    (day.len() < month.len()).then_some(day)
}

/// What follows one space, or the end of a line that was broken there; `None` where none is there.
fn after_space(text: &str) -> Option<&str> {
    text.strip_prefix(' ').or_else(|| Some(text.strip_prefix('\n')?.trim_start_matches(' ')))
}

/// What follows the time of a day, where one is there.
fn without_time(text: &str) -> &str {
    let is_time =
        |text: &str| text.char_indices().all(|(at, c)| if at == 2 { c == ':' } else { c.is_ascii_digit() });
    let rest = after_space(text);
    let after = rest.and_then(|rest| rest.get(..5).filter(|time| is_time(time)).and(rest.get(5..)));
    after.unwrap_or(text)
}
