//! Handing in a machine on which the client has worked: nothing of what was said is left, what is no content is
//! untouched, and the client starts as if it were new.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Client, Desk, NEWEST, is_slow};
use crate::common::{Sandbox, Tree, skip};

/// Said, read, written and pasted; must be nowhere afterwards.
const CANARY: &str = "canary-7f3a91c2";

/// Every file below a folder that holds the canary, in its content or in its name.
fn with_canary(root: &Path) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        path.to_string_lossy().contains(CANARY)
            || fs::read(root.join(path))
                .is_ok_and(|bytes| bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()))
    };
    Tree::of(root).0.into_keys().filter(holds).collect()
}

impl Desk<'_> {
    /// Works with tools that leave all they can: large output, edits, subagents, tasks in the background.
    fn work(&self) -> Vec<String> {
        let file = self.project.join("mine.txt");
        let file = file.to_str().unwrap();
        fs::write(file, format!("{CANARY} before\n")).unwrap();
        let calls = json!([
            ["Bash", {"command": format!("seq -f '{CANARY} %g' 1 20000"), "description": "count"}],
            ["Bash", {"command": format!("echo {CANARY}; sleep 1"), "description": "later", "run_in_background": true}],
            ["Read", {"file_path": file}],
            ["Write", {"file_path": file, "content": format!("{CANARY} after\n")}],
            ["TodoWrite", {"todos": [{"content": CANARY, "status": "pending", "activeForm": CANARY}]}],
            ["TaskCreate", {"subject": CANARY, "description": CANARY}],
            ["Task", {"description": CANARY, "prompt": CANARY, "subagent_type": "general-purpose"}],
            ["Agent", {"description": CANARY, "prompt": CANARY, "subagent_type": "general-purpose"}],
        ]);
        for _ in 0..2 {
            let prompt = format!("{CANARY} CALL:{calls}");
            let tools = "Bash,Read,Write,TodoWrite,TaskCreate,Task,Agent";
            let (said, ok) = self.run(&["-p", &prompt, "--allowedTools", tools, "--debug"]);
            assert!(ok && said.contains("An answer."), "the client did not answer: {said}");
        }
        self.sessions()
    }

    /// Types prompts and a long paste at an interactive session.
    fn type_at(&self) {
        let project = fs::canonicalize(&self.project).unwrap();
        let path = self.sandbox.home().join(".claude.json");
        let mut global: Value =
            fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or(json!({}));
        global["hasCompletedOnboarding"] = json!(true);
        global["theme"] = json!("dark");
        global["customApiKeyResponses"] = json!({"approved": ["no-key"], "rejected": []});
        global["projects"][project.to_str().unwrap()]["hasTrustDialogAccepted"] = json!(true);
        global["projects"][project.to_str().unwrap()]["hasCompletedProjectOnboarding"] = json!(true);
        fs::write(&path, global.to_string()).unwrap();
        let paste: String = (0..60).map(|line| format!("{CANARY} pasted {line}\r")).collect();
        let script = json!([
            [6, format!("{CANARY} typed")],
            [1, "\r"],
            [6, format!("\u{1b}[200~{paste}\u{1b}[201~")],
            [2, "\r"],
            [6, "/exit"],
            [1, "\r"],
            [2, "\r"],
        ]);
        self.run_typing(&script.to_string());
    }
}

fn a_client_and_a_purge(version: &str, leaves: &[&str]) {
    let Some(client) = Client::get(version) else { return };
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, client);
    fs::create_dir_all(sandbox.home().join(".claude/skills/own")).unwrap();
    sandbox.write(".claude/skills/own/SKILL.md", "a skill of the user's");
    sandbox.write(".claude/CLAUDE.md", "the user's own words");
    sandbox.write(".claude/settings.json", "{}");
    let sessions = desk.work();
    assert_eq!(sessions.len(), 2);
    desk.type_at();
    let found: Vec<PathBuf> =
        [sandbox.home(), sandbox.tmp()].iter().flat_map(|root| with_canary(root)).collect();
    let has = |part: &str| found.iter().any(|path| path.to_string_lossy().contains(part));
    assert!(has("projects/"), "the client wrote nothing: {found:?}");
    for part in leaves.iter().filter(|part| !has(part)) {
        skip(&format!("the client left nothing in {part}, so that part is not tested"));
    }
    let before = Tree::of(&sandbox.home());

    let output = sandbox.run([
        "purge",
        "--yes",
        "--json",
        "--certificate",
        "purge.json",
        "--certificate",
        "purge.html",
        "--certificate",
        "purge.txt",
    ]);
    output.exits(0).quietly();
    assert_eq!(output.json()["verdict"], "complete", "{output}");
    for root in [sandbox.home(), sandbox.tmp(), sandbox.state(), sandbox.config()] {
        assert_eq!(with_canary(&root), Vec::<PathBuf>::new(), "{output}");
    }
    output.never_says(CANARY);
    // No session is named anywhere but in the records of what was done.
    for session in &sessions {
        let named = |root: &Path| {
            let tree = Tree::of(root).0.into_keys();
            tree.filter(|path| {
                path.to_string_lossy().contains(session)
                    || fs::read_to_string(root.join(path)).is_ok_and(|text| text.contains(session))
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(named(&sandbox.home()), Vec::<PathBuf>::new(), "{output}");
        assert_eq!(named(&sandbox.tmp()), Vec::<PathBuf>::new(), "{output}");
    }
    // What is no content is as it was.
    let after = Tree::of(&sandbox.home());
    for path in [".claude/skills/own/SKILL.md", ".claude/CLAUDE.md", ".claude/settings.json"] {
        assert_eq!(before.0.get(Path::new(path)), after.0.get(Path::new(path)), "{path}");
    }
    let changed: Vec<String> = before
        .difference(&after)
        .into_iter()
        .filter(|line| {
            line.starts_with("~ ")
                && !line.starts_with("~ .claude.json")
                && !line.contains("history.jsonl")
                && !line.contains("backup")
        })
        .collect();
    assert_eq!(changed, Vec::<String>::new());
    assert!(!desk.resumes(&sessions[0]), "a purged session was resumed");
    // And the client works.
    let new = desk.converse(&[]);
    assert!(!sessions.contains(&new));
    assert!(desk.resumes(&new));
    sandbox.run(["ledger", "verify"]).exits(0);
}

#[test]
fn the_newest_client_is_purged() {
    a_client_and_a_purge(NEWEST, &["history.jsonl", "paste-cache", "subagents", "tasks/"]);
}

#[test]
fn an_old_client_is_purged() {
    a_client_and_a_purge("2.0.30", &["history.jsonl", "todos"]);
}

#[test]
fn a_client_that_cleans_up_after_ten_minutes_is_purged() {
    if is_slow() {
        a_client_and_a_purge("2.1.50", &["history.jsonl", "todos", "tool-results"]);
    }
}
