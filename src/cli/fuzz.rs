//! Fuzz target: moments and periods as they are typed, and as records have them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::moment;
use crate::fuzzing::now;
use crate::inventory::lenient::Lenient;
use crate::period::{Length, Period};

/// A text that may be a date or a period.
pub fn dates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = (moment::since(text), moment::end(text));
    if let Ok(moment) = moment::moment(text) {
        assert_eq!(moment::moment(&moment.to_rfc3339()), Ok(moment), "{text}");
    }
    if let Ok(period) = text.parse::<Period>() {
        assert_eq!(period.to_string(), text);
        let after = period.after(now());
        assert!(after.is_none_or(|after| after >= now()), "{text}");
        assert_eq!(after.is_none(), period.length() == Length::Never, "{text}: within what dates hold");
    }
    let first = chrono::DateTime::from_timestamp(1_704_067_200, 0).unwrap();
    let written = [text.to_owned(), serde_json::to_string(text).unwrap()];
    for value in written.iter().filter_map(|text| serde_json::from_str::<Lenient<'_>>(text).ok()) {
        assert!(value.date().is_none_or(|date| date >= first), "{text}: no date is before Claude Code");
    }
    // What is shown of it on a terminal moves no cursor.
    assert!(!crate::escape::text(text).contains(char::is_control));
    assert!(!crate::escape::shown(text).to_string().contains(char::is_control));
}
