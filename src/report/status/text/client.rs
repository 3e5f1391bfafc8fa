//! What Claude Code's own cleanup will do, in words.

use chrono::{DateTime, Utc};

use crate::client::Sweep;
use crate::document::{Document, Hue, Line, Paint};
use crate::report::human::{counted, grouped};
use crate::report::status::Status;
use crate::report::status::client::{Client, Expected};
use crate::report::when;

impl Status {
    /// The cleanup of each config folder.
    pub(super) fn client_text(&self, document: &mut Document, now: DateTime<Utc>, paint: Paint<'_>) {
        document.heading("Claude Code's own cleanup");
        if self.client.is_empty() {
            document.text(sweep_text(&self.sweep, ""));
        }
        for client in &self.client {
            let place = if self.client.len() > 1 { format!(" in {}", client.root) } else { String::new() };
            document.text(sweep_text(&client.sweep, &place));
            document.list(client_sessions(client, now, paint));
            for remark in &client.remarks {
                if !matches!(&client.sweep, Sweep::Paused { reason } if reason == remark) {
                    document.text(remark.as_str());
                }
            }
        }
    }
}

fn sweep_text(sweep: &Sweep, place: &str) -> Line {
    match sweep {
        Sweep::Runs { days, path } => {
            let by = path
                .as_ref()
                .map_or_else(|| "its default".to_owned(), |path| format!("'{}'", crate::escape::shown(path)));
            let days = counted(*days, "day");
            format!("deletes transcripts{place} untouched for {days} ({by}) each time Claude Code starts")
                .into()
        }
        Sweep::Paused { reason } => {
            Line::of("paused", Hue::Warn).and(format!("{place}: {reason}"), Hue::Plain)
        }
    }
}

fn client_sessions(client: &Client, now: DateTime<Utc>, paint: Paint<'_>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let first = |expected: &Expected| match expected.at {
        Some(at) if at > now => format!("the first on {}", when::day(at, now, paint)),
        _ if expected.sessions == 1 => "at its next start".to_owned(),
        _ => "the first at its next start".to_owned(),
    };
    if client.held.sessions > 0 {
        let what = format!(
            ": it will remove {} though held, {}",
            counted(client.held.sessions, "session"),
            first(&client.held)
        );
        lines.push(Line::of("holds bind ccretain only", Hue::Warn).and(what, Hue::Plain));
    }
    if client.before_us.sessions > 0 {
        let sessions = counted(client.before_us.sessions, "session");
        lines.push(
            format!("it will remove {sessions} before this policy does, {}", first(&client.before_us)).into(),
        );
    }
    if client.never > 0 {
        let desktop = match client.desktop {
            0 => String::new(),
            desktop => format!(" ({} written by the desktop application)", grouped(desktop)),
        };
        lines.push(format!("it will never remove {}{desktop}", counted(client.never, "session")).into());
    }
    lines
}
