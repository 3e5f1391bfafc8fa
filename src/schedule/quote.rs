//! Words and the lines that hold them: quoting for a POSIX shell and for systemd, and back.

use crate::escape::shell::{is_plain, word};

/// One line a POSIX shell splits into exactly these words.
pub fn shell(words: &[String]) -> String {
    words.iter().map(|one| word(one)).collect::<Vec<_>>().join(" ")
}

/// One line systemd splits into exactly these words (systemd.service(5), "command lines").
pub fn systemd(words: &[String]) -> String {
    // A `$` is left alone: the caller turns variable substitution off with the prefix `:`.
    let escape = |word: &str| word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let quoted = |word: &String| match is_plain(word) {
        true => word.clone(),
        false => format!("\"{}\"", escape(word)),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// The words of a line, as far as quotes and backslashes go; an unquoted `#` that starts a word,
/// and unquoted operators, end the command. Enough to find the program in a line we wrote.
pub fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut open: Option<char> = None;
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        match (open, c) {
            (Some(quote), _) if c == quote => open = None,
            (Some('\''), _) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                open = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '>' | '<' | '|' | '&' | ';' | '(' | ')') => break,
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[ -~é\\u{202e}]{0,12}", 1..5)
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in words()) {
            prop_assert_eq!(split(&shell(&words)), words.clone());
            prop_assert_eq!(split(&systemd(&words).replace("%%", "%")), words);
        }

        #[test]
        fn a_real_shell_agrees(words in words()) {
            let script = format!("printf '%s\\n' {}", shell(&words));
            let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), words.join("\n") + "\n");
        }
    }
}
