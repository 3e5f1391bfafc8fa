//! Counts, sizes and sightings as people read them.

pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A number with thin groups of three digits: `12,345`.
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// Bytes as people read them: `924 KiB`, and `1.2 MiB` where one digit says too little.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut whole, mut tenths, mut unit) = (bytes, 0, 0);
    for (at, _) in UNITS.iter().enumerate() {
        unit = at;
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        if whole < 1024 {
            break;
        }
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if whole < 10 { format!("{whole}.{tenths} {unit}") } else { format!("{whole} {unit}") }
}

/// What was seen, in a sentence each: several paths of which the same is so share one.
pub fn by_note(seen: impl Iterator<Item = (Option<String>, String)>) -> Vec<String> {
    let mut notes: Vec<(String, Vec<String>)> = Vec::new();
    for (path, note) in seen {
        let path = path.map(|path| format!("'{path}'"));
        match notes.iter_mut().find(|(known, paths)| *known == note && !paths.is_empty()) {
            Some((_, paths)) => paths.extend(path),
            None => notes.push((note, path.into_iter().collect())),
        }
    }
    let line = |(note, paths): (String, Vec<String>)| match paths.as_slice() {
        [] => note,
        paths => format!("{}: {note}", paths.join(", ")),
    };
    notes.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{by_note, size};

    #[test]
    fn sizes_have_no_more_digits_than_anybody_reads() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(944_271), "922 KiB");
        assert_eq!(size(1_300_000), "1.2 MiB");
        assert_eq!(size(1024 * 1024 - 1), "1023 KiB");
        assert_eq!(size(u64::MAX), "15 EiB");
    }

    #[test]
    fn what_is_so_of_several_places_is_said_once() {
        let seen = [(Some("/a"), "x"), (None, "y"), (Some("/b"), "x"), (None, "y"), (Some("/c"), "z")];
        let seen = seen.map(|(path, note)| (path.map(str::to_owned), note.to_owned()));
        assert_eq!(by_note(seen.into_iter()), ["'/a', '/b': x", "y", "y", "'/c': z"]);
    }
}
