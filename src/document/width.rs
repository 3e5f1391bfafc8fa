//! How wide text is on a terminal, and how it is made to fit.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Paint;

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// The beginning of a text that takes no more than so many columns.
fn beginning(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// The end of a text that takes no more than so many columns.
fn end(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > width {
            return text.get(at + c.len_utf8()..).unwrap_or_default();
        }
    }
    text
}

/// A text that lost its end where it does not fit.
pub fn fitted(text: &str, width: usize, paint: Paint<'_>) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let sign = paint.ellipsis();
    let kept = beginning(text, width.saturating_sub(columns(sign))).trim_end();
    format!("{kept}{sign}")
}

/// A path with `~` for the home folder.
pub fn with_tilde(path: &str, home: Option<&str>) -> String {
    let below = home.filter(|home| home.len() > 1).and_then(|home| path.strip_prefix(home));
    match below {
        Some("") => "~".to_owned(),
        Some(below) if below.starts_with(['/', '\\']) => format!("~{below}"),
        _ => path.to_owned(),
    }
}

/// A path that lost its middle where it does not fit: `~/work/…/payments-api`.
pub fn shortened_path(path: &str, width: usize, paint: Paint<'_>) -> String {
    // Its last name says most.
    let path = with_tilde(path, paint.home);
    if columns(&path) <= width {
        return path;
    }
    let separator = if path.contains('/') || !path.contains('\\') { '/' } else { '\\' };
    let sign = paint.ellipsis();
    let names: Vec<&str> = path.split(separator).collect();
    let joined = |names: &[&str]| names.join(&separator.to_string());
    // As much of the beginning as fits beside the last name; one more of the end where that fits too.
    for head in (1..names.len().saturating_sub(1)).rev() {
        for tail in [2, 1] {
            if head + tail >= names.len() {
                continue;
            }
            let (first, last) = (joined(&names[..head]), joined(&names[names.len() - tail..]));
            let short = format!("{first}{separator}{sign}{separator}{last}");
            if columns(&short) <= width {
                return short;
            }
        }
    }
    let last = format!("{sign}{separator}{}", names.last().copied().unwrap_or_default());
    if columns(&last) <= width {
        return last;
    }
    format!("{sign}{}", end(&path, width.saturating_sub(columns(sign))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_path_goes_and_its_last_name_stays() {
        let paint = Paint::new(false).fitting(Some(80), Some("/home/maya"));
        let path = "/home/maya/work/acme/services/payments-api";
        assert_eq!(shortened_path(path, 60, paint), "~/work/acme/services/payments-api");
        assert_eq!(shortened_path(path, 30, paint), "~/work/acme/…/payments-api");
        assert_eq!(shortened_path(path, 24, paint), "~/work/…/payments-api");
        assert_eq!(shortened_path(path, 18, paint), "~/…/payments-api");
        assert_eq!(shortened_path(path, 14, paint), "…/payments-api");
        assert_eq!(shortened_path(path, 9, paint), "…ents-api");
        assert_eq!(shortened_path(path, 20, paint.ascii(true)), "~/.../payments-api");
        for width in 4..50 {
            assert!(columns(&shortened_path(path, width, paint)) <= width);
        }
    }

    #[test]
    fn only_the_home_itself_becomes_a_tilde() {
        assert_eq!(with_tilde("/home/maya2/x", Some("/home/maya")), "/home/maya2/x");
        assert_eq!(with_tilde("/home/maya", Some("/home/maya")), "~");
        assert_eq!(with_tilde("/x", Some("/")), "/x");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(columns("日本"), 4);
        assert_eq!(fitted("日本語の名前", 6, Paint::new(false)), "日本…");
    }
}
