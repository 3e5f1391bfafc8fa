//! What lies on servers is said whole, and what is sent from here service by service.

use serde_json::{Value, json};

use ccretain::internals::services::{KEPT, PROVIDERS, SERVICES};

use crate::common::{Sandbox, hours};

fn machine(settings: &Value) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    sandbox.store().session(1).aged(hours(3)).write();
    sandbox.write(".claude/settings.json", settings.to_string());
    sandbox
}

fn row<'v>(document: &'v Value, service: &str, provider: &str) -> &'v Value {
    let rows = document["clients"][0]["services"].as_array().unwrap();
    rows.iter().find(|row| row["service"] == service && row["provider"] == provider).unwrap()
}

#[test]
fn every_class_is_in_the_check_with_its_page_and_date() {
    let check = machine(&json!({})).run(["check", "--json"]).json();
    let findings = check["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["id"] == "server-side-retention").unwrap();
    assert_eq!(found["severity"], "info");
    let evidence = found["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), KEPT.len(), "none is cut");
    for (line, kept) in evidence.iter().zip(KEPT) {
        let line = line.as_str().unwrap();
        for part in [kept.what, kept.period, kept.page.url, kept.page.date] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    for part in [
        "5 years",
        "30 days",
        "up to 2 years",
        "Files API",
        "Cowork in Claude Desktop",
        "/feedback",
        "survey",
        "Compliance API",
    ] {
        assert!(found["evidence"].to_string().contains(part), "{part}");
    }
}

#[test]
fn every_certificate_says_it_too() {
    let sandbox = machine(&json!({}));
    for (name, what) in [("all", vec![]), ("part", vec!["--project", "/work/acme"])] {
        let file = sandbox.home().join(format!("{name}.json"));
        let path = file.to_str().unwrap().to_owned();
        let words = [vec!["purge", "--yes", "--certificate", &path], what].concat();
        sandbox.run(words);
        let text = std::fs::read_to_string(&file).unwrap();
        let certificate: Value = serde_json::from_str(&text).unwrap();
        let risks = certificate["residualRisks"].as_array().unwrap();
        let servers = risks.iter().find(|risk| risk["id"] == "server-side-retention").unwrap();
        let notes: Vec<&str> = servers["evidence"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| each["note"].as_str().unwrap())
            .collect();
        assert_eq!(notes, KEPT.iter().map(|kept| kept.sentence()).collect::<Vec<_>>(), "{name}");
        assert!(servers["remedy"].as_str().unwrap().contains("not covered by this purge"));
    }
}

#[test]
fn the_row_of_each_service_names_what_is_set_and_where() {
    let sandbox = machine(&json!({"env": {"DISABLE_TELEMETRY": "1"}, "skipWebFetchPreflight": true}));
    let document = sandbox.run(["check", "--services", "--json"]).exits(0).quietly().json();
    assert_eq!(document["schema"], "ccretain.services/1");
    assert_eq!(
        document["clients"][0]["services"].as_array().unwrap().len(),
        SERVICES.len() * PROVIDERS.len()
    );
    // As the sandbox writes its own paths.
    let settings = "[HOME]/.claude/settings.json";
    let metrics = row(&document, "metrics", "claude-api");
    assert_eq!(metrics["default"], "on");
    let here =
        json!({"state": "off", "decidedBy": "user", "variable": "DISABLE_TELEMETRY", "path": settings});
    assert_eq!(metrics["here"], here);
    assert_eq!(row(&document, "error-reports", "claude-api")["here"]["state"], "on (Pro, Max)");
    assert_eq!(
        row(&document, "feedback", "claude-api")["here"],
        json!({"state": "on", "decidedBy": "default"})
    );
    // Telemetry off also ends the survey.
    assert_eq!(row(&document, "survey", "claude-api")["here"]["variable"], "DISABLE_TELEMETRY");
    assert_eq!(row(&document, "web-fetch-check", "claude-api")["here"]["variable"], "skipWebFetchPreflight");
    assert!(row(&document, "metrics", "bedrock")["here"].is_null());
    assert_eq!(document["servers"].as_array().unwrap().len(), KEPT.len());
}

#[test]
fn another_provider_changes_the_defaults_and_the_survey_is_said_both_ways() {
    let sandbox = machine(&json!({"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}));
    let document = sandbox.run(["check", "--services", "--json"]).exits(0).json();
    assert_eq!(document["clients"][0]["provider"], "bedrock");
    assert_eq!(document["clients"][0]["chosen"]["variable"], "CLAUDE_CODE_USE_BEDROCK");
    assert_eq!(
        row(&document, "metrics", "bedrock")["here"],
        json!({"state": "off", "decidedBy": "provider"})
    );
    assert_eq!(row(&document, "survey", "bedrock")["here"]["state"], "on");
    let text = sandbox.run(["check", "--services"]).exits(0).quietly().stdout.clone();
    let flowing = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flowing.contains(
            "off on the page of February 2026, on on the undated one read in November 2026; here it is on"
        ),
        "{text}"
    );
    // A variable of the process counts where no settings say otherwise.
    let run =
        sandbox.command(["check", "--services", "--json"]).env("CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY", "1");
    let document = run.run().json();
    let survey = row(&document, "survey", "bedrock");
    assert_eq!(
        (&survey["here"]["state"], &survey["here"]["decidedBy"]),
        (&"off".into(), &"environment".into())
    );
    let check = sandbox.run(["check", "--json"]).json();
    let findings = check["findings"].as_array().unwrap();
    let provider = findings.iter().find(|finding| finding["id"] == "client-provider").unwrap();
    assert!(provider["evidence"][0].as_str().unwrap().contains("page of February 2026"), "{provider}");
}

#[test]
fn the_table_fits_a_terminal() {
    let sandbox = machine(&json!({"env": {"DISABLE_TELEMETRY": "1", "CLAUDE_CODE_USE_ANTHROPIC_AWS": "1"}}));
    for words in [vec!["check", "--services"], vec!["check", "--services", "-v"]] {
        let output = sandbox.command(words).env("COLUMNS", "80").on_terminal("").run();
        for line in output.exits(0).plain().lines() {
            // Only a path or an address that no blank breaks is longer.
            let has_long = line.split_whitespace().any(|word| word.chars().count() > 60);
            assert!(line.chars().count() <= 80 || has_long, "{} columns: {line}", line.chars().count());
        }
    }
    let shown = sandbox.run(["check", "--services"]).stdout.clone();
    let flowing = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flowing.contains("[1] DISABLE_TELEMETRY: user '"), "{shown}");
    assert!(!shown.contains("Amazon Bedrock  ") && shown.contains("Claude Platform on AWS"), "{shown}");
    assert!(sandbox.run(["check", "--services", "-v"]).stdout.contains("Amazon Bedrock"));
    sandbox.run(["check", "--services", "--fix"]).exits(2);
}
