//! What several reports remark on: the noun that is counted, and what is so.

/// A noun and what is so of it.
pub type Remark = (&'static str, &'static str);

pub const UNKNOWN: Remark = ("file", "unknown to ccretain, never touched");
pub const DATES_DIFFER: Remark = ("session", "whose records and file times differ by more than a day");
pub const UNDATED_LINES: Remark = ("line", "without a date, kept");
pub const UNSEALABLE: Remark = (
    "session",
    "that cannot be encrypted: a file has a hard link elsewhere, belongs to another account or is out of reach",
);
