//! `ccretain completions`: what a shell needs to complete the command line, ids of sessions included.

use clap_complete::Shell;

use super::args;
use super::context::{Context, Exit, Failure};

/// The commands whose arguments are sessions.
const OF_SESSIONS: &[&str] = &["explain", "seal", "unseal", "cat", "resume"];

/// Bash: what clap makes, and ids where a session is meant.
const BASH: &str = r#"
_ccretain_with_sessions() {
    _ccretain "$@"
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
    if [[ ${prev} == --session || ( " @COMMANDS@ " == *" ${COMP_WORDS[1]} "* && ${cur} != -* && ${COMP_CWORD} -gt 1 && ${prev} != --* ) ]]; then
        COMPREPLY=( $(compgen -W "$(ccretain list --complete 2>/dev/null | cut -f1)" -- "${cur}") )
    fi
}
complete -F _ccretain_with_sessions -o bashdefault -o default ccretain
"#;

/// Zsh: a function that arguments of that kind are completed by.
const ZSH: &str = r#"
_ccretain_sessions() {
    local -a ids
    ids=(${(f)"$(ccretain list --complete 2>/dev/null | sed -e 's/:/\\:/g' -e 's/	/:/')"})
    _describe -V session ids || _default
}
"#;

/// Prints the completions for a shell.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(shell: Shell, ctx: &Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "ccretain", &mut script);
    let script = with_sessions(shell, &String::from_utf8_lossy(&script));
    ctx.console.raw(script.as_bytes())?;
    Ok(Exit::Done)
}

/// The same script with the ids of sessions, for the shells in which most people work.
fn with_sessions(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => format!("{script}{}", BASH.replace("@COMMANDS@", &OF_SESSIONS.join(" "))),
        Shell::Fish => {
            let ids = "(ccretain list --complete 2>/dev/null)";
            let of = |command: &&str| {
                format!(
                    "complete -c ccretain -n \"__fish_ccretain_using_subcommand {command}\" -k -f -a \"{ids}\"\n"
                )
            };
            let option = format!(
                "complete -c ccretain -n \"__fish_seen_subcommand_from hold purge\" -l session -x -k -a \"{ids}\"\n"
            );
            format!("{script}{}{option}", OF_SESSIONS.iter().map(of).collect::<String>())
        }
        Shell::Zsh => {
            let (first, rest) = script.split_once('\n').unwrap_or((script, ""));
            let lines = rest.lines().map(|line| {
                let is_of_session =
                    ["':session -- ", "'*::sessions -- ", "'*:sessions -- ", "':what -- ", "':named -- "]
                        .iter()
                        .any(|start| line.starts_with(start))
                        || line.contains("--session=");
                if is_of_session {
                    line.replace(":_default'", ":_ccretain_sessions'")
                } else {
                    line.to_owned()
                }
            });
            format!("{first}\n{ZSH}{}\n", lines.collect::<Vec<_>>().join("\n"))
        }
        _ => script.to_owned(),
    }
}
