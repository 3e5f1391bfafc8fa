//! Paths as the manual writes them, from the table of places.

use crate::platform::{Layout, Platform, layout};

/// A template as a reader understands it: where nothing is set.
pub fn plain(template: &str) -> String {
    match template.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
        Some((variable, rest)) => {
            let default = variable.split_once(":-").map_or(variable, |(_, default)| default);
            format!("{default}{rest}")
        }
        None => template.to_owned(),
    }
}

/// A file in a place of a platform.
pub fn at(platform: Platform, place: &impl Fn(&Layout) -> &'static str, file: &str) -> String {
    format!("{}/{file}", plain(place(layout(platform))))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_default_stands_for_its_variable() {
        assert_eq!(super::plain("${XDG_CONFIG_HOME:-~/.config}/ccretain"), "~/.config/ccretain");
        assert_eq!(super::plain("/etc/ccretain"), "/etc/ccretain");
        let at = super::at(super::Platform::Macos, &|layout| layout.system_policy, "policy.json");
        assert_eq!(at, "/Library/Application Support/ccretain/policy.json");
    }
}
