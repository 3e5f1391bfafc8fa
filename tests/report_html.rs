//! `report --html` from outside: a page that stands for itself, of one account and of many machines.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::sandbox::has;
use crate::common::store::CONTENT;
use crate::common::{Sandbox, StoreBuilder, days, hours, id, skip};

fn sandbox() -> (Sandbox, StoreBuilder) {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let store = sandbox.store();
    for number in 1..=40 {
        let cwd = format!("/work/project-{}", number % 7);
        store.session(number).cwd(&cwd).aged(days(i64::from(number)) + hours(2)).write();
    }
    store.session(50).cwd("/work/<script>alert(1)</script>&\"'").aged(days(3)).write().satellites();
    store.history(Some(&id(50)), "/work/x", days(3));
    (sandbox, store)
}

fn page(sandbox: &Sandbox) -> String {
    let file = sandbox.root().join("report.html");
    sandbox.command(["report", "--html"]).arg(&file).run().exits(0).quietly().says("wrote");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644, "it follows the umask");
    fs::read_to_string(&file).unwrap()
}

/// Every element is closed where it should be, every id there once, every reference to one of them.
const WELL_FORMED: &str = r#"
import sys, html.parser
VOID = {"meta", "br"}
class P(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(); self.open = []; self.ids = []; self.refs = []; self.tags = {}
    def attrs(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("src", "srcset", "data", "action"), name
            assert name != "href", value
            if name == "id": self.ids.append(value)
            if name == "aria-labelledby": self.refs += value.split()
    def handle_starttag(self, tag, attrs):
        self.attrs(tag, attrs)
        if tag not in VOID: self.open.append(tag)
    def handle_startendtag(self, tag, attrs): self.attrs(tag, attrs)
    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:], self.getpos()); self.open.pop()
p = P(); p.feed(sys.stdin.read())
assert not p.open, p.open
assert len(p.ids) == len(set(p.ids)), p.ids
assert set(p.refs) <= set(p.ids), p.refs
assert "script" not in p.tags and "iframe" not in p.tags and "img" not in p.tags
assert p.tags["h1"] == 1 and p.tags["main"] == 1 and p.tags["title"] >= 1
print(p.tags.get("svg", 0), p.tags.get("desc", 0))
"#;

fn well_formed(html: &str) -> (u32, u32) {
    use std::io::Write as _;
    let mut child = Command::new("python3")
        .args(["-c", WELL_FORMED])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    child.stdin.take().unwrap().write_all(html.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the page is not well formed");
    let said = String::from_utf8(output.stdout).unwrap();
    let mut numbers = said.split_whitespace().map(|word| word.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn the_page_of_a_machine_stands_for_itself() {
    let (sandbox, store) = sandbox();
    let before = page(&sandbox);
    assert!(before.contains("records no run"), "before the first run");
    well_formed(&before);
    sandbox.enforce().exits(0);
    store.session(60).aged(days(45)).write();
    let html = page(&sandbox);
    let (plots, described) = well_formed(&html);
    assert_eq!((plots, described), (7, 7), "each plot is described");
    for word in
        ["Sessions by age", "Bytes by project", "Bytes by kind", "fall due", "deleted by run", "overdue"]
    {
        assert!(html.contains(word), "{word}");
    }
    assert!(html.contains("/work/project-3") && html.contains("&lt;script&gt;"));
    assert!(!html.contains(CONTENT) && !html.contains("<script"));
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("@media print"));
    for word in ["http://", "https://", "url(", "@import", "@font-face"] {
        let place = html.find(word).map(|at| &html[at.saturating_sub(60)..]);
        assert_eq!(place.map(|text| text.get(..120)), None, "{word}");
    }
    // It only looks.
    let ledger = sandbox.ledger_lines().len();
    page(&sandbox);
    assert_eq!(sandbox.ledger_lines().len(), ledger);
}

#[test]
fn an_account_without_anything_has_a_page_too() {
    let sandbox = Sandbox::new();
    let html = page(&sandbox);
    well_formed(&html);
    assert!(html.contains("not compliant"));
    // Nor does a policy that cannot be used keep it from being written.
    sandbox.policy("{ broken");
    assert!(page(&sandbox).contains("no usable policy"));
}

#[test]
fn a_page_can_go_to_stdout_and_a_page_that_cannot_be_written_leaves_the_old_one() {
    let (sandbox, _) = sandbox();
    let output = sandbox.run(["report", "--html", "-"]);
    output.exits(0).quietly();
    assert!(output.stdout.starts_with("<!doctype html>") && output.stdout.ends_with("</html>\n"));
    sandbox.run(["report"]).exits(2);
    let nowhere = sandbox.root().join("no/such/folder/report.html");
    sandbox.command(["report", "--html"]).arg(&nowhere).run().exits(1).says("no/such/folder");
    let json =
        sandbox.command(["report", "--json", "--html"]).arg(sandbox.root().join("r.html")).run().json();
    assert_eq!((&json["schema"], &json["machines"]), (&"ccretain.report/1".into(), &1.into()));
}

fn documents(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.root().join("checks");
    fs::create_dir(&folder).unwrap();
    let one = sandbox.run(["check", "--json"]).json();
    for (number, host) in ["alpha", "beta", "gamma"].iter().enumerate() {
        let mut document = one.clone();
        document["host"] = json!(host);
        if number > 0 {
            document["findings"] = json!([]);
        }
        fs::write(folder.join(format!("{host}.json")), document.to_string()).unwrap();
    }
    folder
}

#[test]
fn a_fleet_page_has_a_row_a_machine_the_worst_first() {
    let (sandbox, _) = sandbox();
    let folder = documents(&sandbox);
    let file = sandbox.root().join("fleet.html");
    let output = sandbox.command(["report", "--json", "--html"]).arg(&file).arg(&folder).run();
    output.exits(0).quietly();
    assert_eq!((&output.json()["machines"], &output.json()["compliant"]), (&3.into(), &2.into()));
    let html = fs::read_to_string(&file).unwrap();
    well_formed(&html);
    let place =
        |host: &str| html.find(&format!("scope=\"row\">{host} ")).unwrap_or_else(|| panic!("no {host}"));
    assert!(place("alpha") < place("beta") && place("beta") < place("gamma"));
    assert!(html.contains("2 of 3 (66 %)") && html.contains("overdue"));
}

#[test]
fn a_file_that_is_none_is_named_and_nothing_else_is_lost() {
    let (sandbox, _) = sandbox();
    let folder = documents(&sandbox);
    let secret = "not-to-be-repeated";
    fs::write(folder.join("broken.json"), format!("{{\"schema\": \"ccretain.check/1\", {secret}")).unwrap();
    fs::write(folder.join("other.json"), json!({"schema": "ccretain.status/1", "x": secret}).to_string())
        .unwrap();
    fs::write(folder.join("half.json"), json!({"schema": "ccretain.check/1", "now": 5}).to_string()).unwrap();
    fs::write(folder.join("readme.txt"), "no document").unwrap();
    let file = sandbox.root().join("fleet.html");
    let missing = sandbox.root().join("missing.json");
    let output = sandbox.command(["report", "--html"]).arg(&file).arg(&folder).arg(&missing).run();
    output.exits(1).says("broken.json").says("other.json").says("half.json").says("missing.json");
    output.never_says(secret).never_says("readme.txt");
    let html = fs::read_to_string(&file).unwrap();
    well_formed(&html);
    for name in ["alpha", "beta", "gamma", "broken.json", "other.json", "half.json", "missing.json"] {
        assert!(html.contains(name), "{name}");
    }
    assert!(!html.contains(secret));
    // With nothing to show the page that is there stays.
    let output = sandbox.command(["report", "--html"]).arg(&file).arg(&missing).run();
    output.exits(1).says("nothing was written");
    assert_eq!(fs::read_to_string(&file).unwrap(), html);
}

#[test]
fn what_check_prints_today_is_what_report_reads() {
    let (sandbox, _) = sandbox();
    let check = sandbox.run(["check", "--json"]).json();
    let file = sandbox.write("check.json", check.to_string());
    let page = sandbox.command(["report", "--html", "-"]).arg(&file).run();
    page.exits(0).quietly();
    for finding in check["findings"].as_array().unwrap() {
        if finding["severity"] != "info" {
            page.says(finding["id"].as_str().unwrap());
        }
    }
    // Keys of a later version are passed over, and those of an earlier one may be missing.
    let old = json!({"schema": "ccretain.check/1", "now": "2026-01-01T00:00:00Z", "compliant": false,
        "later": {"x": [1]}, "findings": [{"id": "overdue", "severity": "high", "later": 5}]});
    let file = sandbox.write("old.json", old.to_string());
    sandbox.command(["report", "--html", "-"]).arg(&file).run().exits(0).quietly().says("overdue");
}

/// Renders a page in a browser; gives what the browser complained of.
fn browser(page: &Path, picture: &Path, more: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--log-level=0", "--window-size=1200,4200", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--screenshot={}", picture.display()))
        .args(more)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().filter(|line| line.contains(":CONSOLE")).map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn a_real_browser_shows_it_without_a_complaint() {
    if !has("chromium") {
        return skip("needs chromium");
    }
    let (sandbox, _) = sandbox();
    sandbox.enforce().exits(0);
    let html = page(&sandbox);
    let file = sandbox.root().join("report.html");
    let picture = sandbox.root().join("report.png");
    assert_eq!(browser(&file, &picture, &[]), "");
    assert!(fs::metadata(&picture).unwrap().len() > 20_000, "a picture of something");
    // The guard of the page itself holds: what asks for something else is refused and complained of.
    let probe = html.replace("</main>", "<img src=\"file:///etc/hostname\" alt=\"\"></main>");
    let probed = sandbox.write("probe.html", probe);
    assert!(browser(&probed, &picture, &[]).contains("Content Security Policy"));
}

#[test]
fn the_value_of_a_document_is_not_taken_on_trust() {
    let (sandbox, _) = sandbox();
    let mut document: Value = sandbox.run(["check", "--json"]).json();
    document["compliant"] = json!(true);
    document["verdict"] = json!("compliant");
    let file = sandbox.write("liar.json", document.to_string());
    let json = sandbox
        .command(["report", "--json", "--html"])
        .arg(sandbox.root().join("f.html"))
        .arg(&file)
        .run()
        .json();
    assert_eq!(json["compliant"], 0);
}
