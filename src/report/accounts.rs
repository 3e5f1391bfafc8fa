//! A run over all accounts for people: the sums first, then a row an account, then what is true of which accounts.

use serde_json::{Map, Value};

use super::all_users::add;
use super::enforce::{amounts, question, whole};
use super::human::{counted, grouped, named, size};
use crate::document::{Column, Document, Hue, Line, Paint, Table};
use crate::run::link::{Note, Totals};
use crate::run::tally::Tally;

/// A run over all accounts.
#[derive(Debug)]
pub struct Accounts<'a> {
    /// The command.
    pub verb: &'static str,
    /// Whether the accounts' runs could act, and did not only look.
    pub is_done: bool,
    pub rows: Vec<AccountRow<'a>>,
}

#[derive(Debug)]
pub struct AccountRow<'a> {
    pub name: String,
    /// How it ended, in a word or two, and what that word is worth.
    pub ended: (&'static str, Hue),
    /// What its run comes to; `None` where it gave no account of it.
    pub totals: Option<&'a Totals>,
}

/// The sums of some accounts.
fn sum<'a>(all: impl Iterator<Item = &'a Totals>) -> Totals {
    let (mut sums, mut tally) = (Totals::default(), Map::new());
    for one in all {
        sums.sessions = sums.sessions.saturating_add(one.sessions);
        sums.files = sums.files.saturating_add(one.files);
        sums.bytes = sums.bytes.saturating_add(one.bytes);
        if let Ok(Value::Object(counts)) = serde_json::to_value(one.tally) {
            add(&mut tally, &counts);
        }
    }
    sums.tally = serde_json::from_value(Value::Object(tally)).unwrap_or_default();
    sums
}

/// How many sessions a run acts on.
fn acted_on(tally: &Tally) -> u64 {
    tally.sessions_deleted.saturating_add(tally.sessions_sealed)
}

impl Accounts<'_> {
    fn totals(&self) -> impl Iterator<Item = &Totals> {
        self.rows.iter().filter_map(|row| row.totals)
    }

    /// Whether no account has anything to be done.
    pub fn changes_nothing(&self) -> bool {
        let tally = sum(self.totals()).tally;
        tally.deleted == 0 && tally.sealed == 0 && tally.pruned == 0
    }

    /// The question before the first change: what is done, how much of it, and to how many accounts.
    pub fn question(&self) -> String {
        let tally = sum(self.totals()).tally;
        let changed = self.totals().filter(|totals| {
            let Tally { deleted, sealed, pruned, .. } = totals.tally;
            deleted > 0 || sealed > 0 || pruned > 0
        });
        let deleted = whole(tally.sessions_deleted, tally.deleted, tally.bytes_freed);
        let act = question(&tally, &deleted, &counted(tally.pruned_lines, "line"));
        format!("{act} of {}?", counted(changed.count() as u64, "account"))
    }

    /// The report.
    pub fn text(&self, paint: Paint<'_>) -> String {
        let mut document = Document::default();
        let all = sum(self.totals());
        let first = format!(
            "{}: {}, {}, {}",
            counted(self.rows.len() as u64, "account"),
            counted(all.sessions, "session"),
            counted(all.files, "file"),
            size(all.bytes)
        );
        document.text(Line::of(first, Hue::Strong));
        if self.verb != "status" {
            document.facts(amounts(&all.tally, self.is_done, counted(all.tally.pruned_lines, "line")));
        } else if self.changes_nothing() {
            document.text(Line::of("nothing is due", Hue::Good));
        } else {
            let due = format!(
                "{} due, {} would be freed: ",
                counted(acted_on(&all.tally), "session"),
                size(all.tally.bytes_freed)
            );
            let due = Line::of(due, Hue::Warn);
            document.text(due.and("`ccretain --all-users enforce -n`", Hue::Strong));
        }
        document.heading("accounts");
        document.table(self.table());
        let notes = self.notes();
        if !notes.is_empty() {
            document.heading("notes, with the accounts they are about");
            document.list(notes);
        }
        document.print(paint)
    }

    /// A row an account.
    fn table(&self) -> Table {
        let mut columns = vec![Column::text("account")];
        columns.extend(match self.verb {
            "status" => vec![
                Column::number("sessions"),
                Column::number("files").rank(3),
                Column::number("size").rank(1),
                Column::number("due"),
            ],
            _ => vec![
                Column::number("deleted"),
                Column::number("files").rank(3),
                Column::number("lines").rank(4),
                Column::number("encrypted").rank(2),
                Column::number("freed").rank(1),
                Column::number("kept"),
            ],
        });
        columns.push(Column::text("ended"));
        let cells = columns.len() - 2;
        let mut table = Table::new(columns);
        for AccountRow { name, ended: (word, hue), totals } in &self.rows {
            let counts = match totals {
                None => vec!["-".to_owned(); cells],
                Some(one) if self.verb == "status" => {
                    vec![
                        grouped(one.sessions),
                        grouped(one.files),
                        size(one.bytes),
                        grouped(acted_on(&one.tally)),
                    ]
                }
                Some(Totals { tally, .. }) => vec![
                    grouped(tally.sessions_deleted),
                    grouped(tally.deleted),
                    grouped(tally.pruned_lines),
                    grouped(tally.sessions_sealed),
                    size(tally.bytes_freed),
                    grouped(tally.sessions_kept),
                ],
            };
            table.coloured(*hue, [vec![name.clone()], counts, vec![(*word).to_owned()]].concat());
        }
        table
    }

    /// What the accounts' reports say, each once, with its sum and the accounts it is true of.
    fn notes(&self) -> Vec<Line> {
        let mut found: Vec<(Note, Vec<&str>)> = Vec::new();
        for row in &self.rows {
            for note in row.totals.iter().flat_map(|totals| &totals.notes) {
                let is_same = |(known, _): &&mut (Note, Vec<&str>)| {
                    known.what == note.what
                        && known.noun == note.noun
                        && (known.count == 0) == (note.count == 0)
                };
                match found.iter_mut().find(is_same) {
                    Some((known, names)) => {
                        known.count = known.count.saturating_add(note.count);
                        names.push(&row.name);
                    }
                    None => found.push((note.clone(), vec![&row.name])),
                }
            }
        }
        let line = |(note, names): (Note, Vec<&str>)| {
            let what = match note.count {
                0 => note.what,
                count => format!("{} {}", counted(count, &note.noun), note.what),
            };
            Line::from(format!("{what}: ")).and(named(&names), Hue::Strong)
        };
        found.into_iter().map(line).collect()
    }
}

/// What the accounts said beside their reports: the same once, with all of whom it is true. A home is `~` in what
/// several say; a hint belongs to what stands before it, and is that of the first: what it says to type has a real path.
pub fn said_by<'a>(
    messages: impl Iterator<Item = (&'a str, &'a str, &'a [String])>,
) -> Vec<(String, String)> {
    struct Said {
        key: String,
        /// As the first said it.
        words: String,
        /// The same as of several.
        shown: String,
        names: Vec<String>,
    }
    let mut said: Vec<Said> = Vec::new();
    for (name, home, lines) in messages {
        let mut blocks: Vec<String> = Vec::new();
        for line in lines {
            match blocks.last_mut().filter(|_| line.starts_with("hint:")) {
                Some(block) => *block = format!("{block}\n{line}"),
                None => blocks.push(line.clone()),
            }
        }
        for words in blocks {
            let place = |text: &str| if home.len() > 1 { text.replace(home, "~") } else { text.to_owned() };
            let (first, hints) = words.split_at(words.find("\nhint:").unwrap_or(words.len()));
            let (key, shown) = (place(&words), place(first) + hints);
            match said.iter_mut().find(|known| known.key == key) {
                Some(known) if known.names.iter().any(|known| known == name) => {}
                Some(known) => known.names.push(name.to_owned()),
                None => said.push(Said { key, words, shown, names: vec![name.to_owned()] }),
            }
        }
    }
    said.into_iter()
        .map(|Said { words, shown, names, .. }| {
            let all: Vec<&str> = names.iter().map(String::as_str).collect();
            (named(&all), if names.len() > 1 { shown } else { words })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(sessions: u64, notes: Vec<Note>) -> Totals {
        let tally = Tally {
            deleted: 3 * sessions,
            sessions_deleted: sessions,
            bytes_freed: 2048,
            ..Tally::default()
        };
        Totals { sessions: 10, files: 30, bytes: 4096, is_done: false, tally, notes }
    }

    #[test]
    fn sums_come_first_and_a_finding_is_told_once() {
        let held = |count| Note::counted(count, "session", "held");
        let policy = || Note::sentence("policy: delete after 30 days");
        let (ann, bob) = (totals(1, vec![held(2), policy()]), totals(4, vec![policy(), held(1)]));
        let row =
            |name: &str, totals| AccountRow { name: name.to_owned(), ended: ("done", Hue::Good), totals };
        let mut rows = vec![row("ann", Some(&ann)), row("bob", Some(&bob))];
        rows.push(AccountRow { name: "eve".to_owned(), ended: ("left out", Hue::Bad), totals: None });
        let accounts = Accounts { verb: "enforce", is_done: false, rows };
        assert_eq!(accounts.question(), "Permanently delete 5 sessions (15 files, 4.0 KiB) of 2 accounts?");
        insta::assert_snapshot!(accounts.text(Paint::default()), @r"
        3 accounts: 20 sessions, 60 files, 8.0 KiB
        would delete  5 sessions, 15 files
        would free    4.0 KiB of disk
        kept          0 sessions, 0 files

        accounts
          ACCOUNT  DELETED  FILES  LINES  ENCRYPTED    FREED  KEPT  ENDED
          ann            1      3      0          0  2.0 KiB     0  done
          bob            4     12      0          0  2.0 KiB     0  done
          eve            -      -      -          -        -     -  left out

        notes, with the accounts they are about
          3 sessions held: ann, bob
          policy: delete after 30 days: ann, bob
        ");
        insta::assert_snapshot!(Accounts { verb: "status", ..accounts }.text(Paint::default()), @r"
        3 accounts: 20 sessions, 60 files, 8.0 KiB
        5 sessions due, 4.0 KiB would be freed: `ccretain --all-users enforce -n`

        accounts
          ACCOUNT  SESSIONS  FILES     SIZE  DUE  ENDED
          ann            10     30  4.0 KiB    1  done
          bob            10     30  4.0 KiB    4  done
          eve             -      -        -    -  left out

        notes, with the accounts they are about
          3 sessions held: ann, bob
          policy: delete after 30 days: ann, bob
        ");
    }

    #[test]
    fn no_sum_is_too_large() {
        let most = Totals {
            tally: Tally { deleted: u64::MAX, sealed: 1, ..Tally::default() },
            ..totals(0, Vec::new())
        };
        let row = AccountRow { name: "ann".to_owned(), ended: ("done", Hue::Good), totals: Some(&most) };
        assert!(
            Accounts { verb: "enforce", is_done: false, rows: vec![row] }
                .question()
                .contains("of 1 account?")
        );
    }

    #[test]
    fn what_several_say_is_said_once() {
        let lines =
            |home: &str| vec![format!("error: '{home}/x': no"), "hint: chmod".to_owned(), "note".to_owned()];
        let (ann, bob) = (lines("/home/ann"), lines("/home/bob"));
        let all = [("ann", "/home/ann", &ann[..]), ("bob", "/home/bob", &bob[..2])];
        let said = said_by(all.into_iter());
        assert_eq!(said[0], ("ann, bob".to_owned(), "error: '~/x': no\nhint: chmod".to_owned()));
        assert_eq!(said[1], ("ann".to_owned(), "note".to_owned()));
    }
}
