//! What is installed, when it runs next, and how the last run ended.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::cli::context::{Context, Exit, Failure};
use crate::document::{Document, Fact, Hue, Line, Paint};
use crate::report::when;
use crate::schedule::{Backend, Installed, Scheduler, Scope, document as json};
use crate::state::StateFile;

pub(super) fn status(with: Scheduler<'_>, ctx: &Context) -> Result<Exit, Failure> {
    let state = StateFile::load(&ctx.env.state_dir())?.state;
    let last = match with.scope {
        Scope::System => state.last_run_of_all,
        Scope::User => state.last_run,
    };
    let installed = with.all(ctx.env.now, last.as_ref().map(|last| last.time))?;
    if ctx.global.json {
        let last = last.map(serde_json::to_value).transpose();
        let last = last.map_err(|error| Failure::because(Exit::Failed, &error))?.unwrap_or(Value::Null);
        ctx.console.json(&json(&installed, last))?;
        return Ok(Exit::Done);
    }
    let now = ctx.env.now;
    let mut document = Document::default();
    if installed.is_empty() {
        let system = if with.scope == Scope::System { " --system" } else { "" };
        let none = Line::of("no schedule is installed", Hue::Warn);
        document
            .text(none.and(format!(": `ccretain schedule install{system}` puts one in place"), Hue::Plain));
    }
    let paint = ctx.paint();
    installed.iter().for_each(|installed| put(&mut document, installed, now, paint));
    document.heading("last run");
    match last {
        None => document.text("none yet"),
        Some(last) => {
            let at = format!("{}, {}", when::moment(last.time, now, paint), when::away(last.time, now));
            let hue = if last.exit == 0 { Hue::Good } else { Hue::Bad };
            document.text(Line::from(format!("{at}, ")).and(format!("exit {}", last.exit), hue));
            let refused =
                |refusal: &String| Line::of("refused", Hue::Warn).and(format!(": {refusal}"), Hue::Plain);
            document.list(last.refusals.iter().map(refused).collect());
        }
    }
    ctx.console.data(&document.print(paint))?;
    Ok(Exit::Done)
}

/// One installed schedule for people.
fn put(document: &mut Document, installed: &Installed, now: DateTime<Utc>, paint: Paint<'_>) {
    let system = if installed.scope == Scope::System { " (of the whole system)" } else { "" };
    document.heading(format!("{}{system}", installed.backend.name()));
    let next = match (installed.next, installed.backend) {
        (Some(next), _) => format!("{}, {}", when::moment(next, now, paint), when::away(next, now)),
        (None, Backend::ClaudeHook) => "when a session ends".to_owned(),
        (None, _) => "unknown".to_owned(),
    };
    let mut facts = vec![
        Fact::new("place", installed.place.clone()),
        Fact::new("command", installed.command.clone()),
        Fact::new("next", next),
    ];
    if let Some(missed) = installed.missed.filter(|missed| *missed > 0) {
        facts.push(Fact::new("missed", Line::of(format!("{missed} since the last run"), Hue::Warn)));
    }
    let complaints = installed.complaints();
    facts.extend(complaints.into_iter().map(|why| Fact::new("attention", Line::of(why, Hue::Warn))));
    document.facts(facts);
}
