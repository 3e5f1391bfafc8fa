//! Counting what was removed; sums hold by construction.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::Kind;

/// Files, lines and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Amount {
    /// Files that are gone.
    pub files: u64,
    /// Lines and entries that are gone from files that stay.
    pub lines: u64,
    /// Bytes of the disk that are free by it: allocated blocks, none where the data have another name.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.bytes += other.bytes;
    }

    /// Whether it is nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// In which form content lay when it was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Readable by whoever could open the file.
    Plaintext,
    /// Encrypted, and a record shows that it lay in plaintext on this machine before.
    SealedAfterPlaintext,
    /// Encrypted, and no record shows that it ever lay on this machine in plaintext.
    OnlySealed,
}

/// What was removed, by the form in which it lay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forms {
    /// Content that was plaintext until it was removed.
    pub plaintext: Amount,
    /// Content that was encrypted, and had been plaintext on this machine before: its freed blocks
    /// may hold either form.
    pub sealed_after_plaintext: Amount,
    /// Content of which no record shows that it ever was plaintext on this machine.
    pub only_sealed: Amount,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Sessions of which anything was removed.
    pub sessions: u64,
    /// Projects they belong to, as far as they are known.
    pub projects: u64,
    /// Files that are gone: the sum over the kinds.
    pub files: u64,
    /// Lines and entries that are gone from files that stay: the sum over the kinds.
    pub lines: u64,
    /// Bytes of the disk that are free by it: the sum over the kinds.
    pub bytes: u64,
    /// Folders that became empty and are gone.
    pub folders: u64,
    /// What was removed, by kind of the catalogue; `unrecognised` for what it does not know.
    pub kinds: BTreeMap<String, Amount>,
    /// The same, by the form in which it lay.
    pub forms: Forms,
}

impl Counts {
    /// Counts a file that is gone; `None` is a file that the catalogue does not know.
    pub fn file(&mut self, kind: Option<Kind>, form: Form, bytes: u64) {
        self.add(kind, form, Amount { files: 1, lines: 0, bytes });
    }

    /// Counts lines that are gone from a file that stays.
    pub fn lines(&mut self, kind: Kind, lines: u64, bytes: u64) {
        self.add(Some(kind), Form::Plaintext, Amount { files: 0, lines, bytes });
    }

    /// Counts everything another count holds, e.g. that of another account.
    pub fn merge(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.projects += other.projects;
        self.files += other.files;
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.folders += other.folders;
        for (kind, amount) in &other.kinds {
            self.kinds.entry(kind.clone()).or_default().add(*amount);
        }
        self.forms.plaintext.add(other.forms.plaintext);
        self.forms.sealed_after_plaintext.add(other.forms.sealed_after_plaintext);
        self.forms.only_sealed.add(other.forms.only_sealed);
    }

    /// Everything that was removed.
    pub fn total(&self) -> Amount {
        Amount { files: self.files, lines: self.lines, bytes: self.bytes }
    }

    /// Whether the sums are those of the kinds and of the forms; a certificate of which they are
    /// not was changed.
    pub fn add_up(&self) -> bool {
        let total = self.total();
        let Forms { plaintext, sealed_after_plaintext, only_sealed } = &self.forms;
        sum(self.kinds.values()) == Some(total)
            && sum([plaintext, sealed_after_plaintext, only_sealed].into_iter()) == Some(total)
    }

    fn add(&mut self, kind: Option<Kind>, form: Form, amount: Amount) {
        let name = kind.map_or("unrecognised", Kind::name);
        self.kinds.entry(name.to_owned()).or_default().add(amount);
        match form {
            Form::Plaintext => &mut self.forms.plaintext,
            Form::SealedAfterPlaintext => &mut self.forms.sealed_after_plaintext,
            Form::OnlySealed => &mut self.forms.only_sealed,
        }
        .add(amount);
        self.files += amount.files;
        self.lines += amount.lines;
        self.bytes += amount.bytes;
    }
}

/// The sum of amounts; `None` where it is beyond what numbers can hold.
fn sum<'a>(mut amounts: impl Iterator<Item = &'a Amount>) -> Option<Amount> {
    amounts.try_fold(Amount::default(), |sum, each| {
        Some(Amount {
            files: sum.files.checked_add(each.files)?,
            lines: sum.lines.checked_add(each.lines)?,
            bytes: sum.bytes.checked_add(each.bytes)?,
        })
    })
}
