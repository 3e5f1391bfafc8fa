use std::path::Path;

use super::page::page;
use super::svg::{self, Mark};
use super::*;
use crate::document::escaped as esc;
use crate::report::check::Document;

fn document(json: &serde_json::Value) -> Document {
    let mut all = serde_json::json!({
        "schema": "ccretain.check/1", "now": "2026-11-23T12:00:00Z", "version": "1.0.0", "host": "h",
        "user": "u", "compliant": true, "findings": [],
    });
    for (key, value) in json.as_object().unwrap() {
        all[key] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

/// A fleet whose documents are found again by their numbers.
struct Made(Fleet, Vec<serde_json::Value>);

impl std::ops::Deref for Made {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        &self.0
    }
}

impl Made {
    fn html(&self) -> String {
        let read = |path: &Path| Some(document(&self.1[path.to_str()?.parse::<usize>().ok()?]));
        self.0.html(&read)
    }
}

fn fleet(documents: &[serde_json::Value]) -> Made {
    let mut fleet = Fleet::new("2026-11-23T13:00:00Z".parse().unwrap());
    for (at, value) in documents.iter().enumerate() {
        fleet.add(document(value), Path::new(&at.to_string()));
    }
    Made(fleet, documents.to_vec())
}

#[test]
fn what_could_be_read_as_markup_is_escaped_wherever_it_stands() {
    assert_eq!(esc("<a href=\"x\" b='y'>&amp;"), "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;");
    assert_eq!(esc("\u{1b}[31m\u{202e}x"), "\u{fffd}[31m\u{fffd}x");
    let evil = "</title><script>alert(1)</script>\"'&";
    let finding = serde_json::json!({
        "id": evil, "severity": "high", "title": evil, "area": evil, "remedy": evil, "evidence": [evil], "user": evil,
    });
    let store = serde_json::json!({"root": evil, "kind": evil, "owner": evil, "oldest": evil});
    let html = fleet(&[serde_json::json!({
        "host": evil, "user": evil, "version": evil, "now": evil, "lastGoodRun": evil, "findings": [finding],
        "stores": [store], "policy": {"sha256": evil},
    })])
    .html();
    assert!(!html.contains("<script") && !html.contains("alert(1)</"), "{html}");
    assert!(html.contains("&lt;script&gt;"));
    assert_eq!(html.matches("</title>").count(), html.matches("<title").count());
}

#[test]
fn a_plot_of_anything_holds_its_marks_and_no_number_is_none() {
    let values = [0.0, 1.0, 0.5, 1e18, 3.0, f64::MAX / 4.0];
    for many in [0, 1, 2, 400] {
        for value in values {
            let marks: Vec<Mark> = (0..many).map(|at| Mark::new(format!("n{at}"), value, "<v>")).collect();
            let points: Vec<_> = marks.iter().map(|mark| (0.5, mark.clone())).collect();
            let whole = |value: f64| format!("{value}");
            let plots = [
                svg::columns("a", ("t", "d"), &marks, (whole, false), 3),
                svg::columns("b", ("t", "d"), &marks, (whole, true), 3),
                svg::curve("f", ("t", "d"), &points, (whole, false), ["a", "b"]),
            ];
            for plot in plots {
                assert!(
                    !plot.svg.contains("NaN") && !plot.svg.contains("inf"),
                    "{many} {value}: {}",
                    plot.svg
                );
                assert!(plot.svg.contains("<title") && plot.svg.contains("<desc"), "{}", plot.svg);
                assert!(!plot.svg.contains("<v>"), "it is escaped");
                assert_eq!(plot.svg.matches("<g>").count(), plot.svg.matches("</g>").count());
            }
        }
    }
}

#[test]
fn a_page_asks_for_nothing_from_elsewhere() {
    let html = page("t", "<p>x</p>");
    for word in ["http://", "https://", "src=", "@import", "url(", "<script", "<iframe", "<img"] {
        assert!(!html.contains(word), "{word}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn the_worst_machine_comes_first_and_the_newest_document_counts() {
    let bad = |id: &str, severity: &str| serde_json::json!({"id": id, "severity": severity, "title": id});
    let fleet = fleet(&[
        serde_json::json!({"host": "fine"}),
        serde_json::json!({"host": "two", "findings": [bad("a", "medium"), bad("b", "medium")]}),
        serde_json::json!({"host": "worst", "findings": [bad("overdue", "high")]}),
        serde_json::json!({"host": "two", "now": "2026-11-22T12:00:00Z", "findings": [bad("overdue", "high")]}),
        // Its word for the verdict is not taken.
        serde_json::json!({"host": "liar", "compliant": true, "findings": [bad("overdue", "high"), bad("x", "high")]}),
    ]);
    assert_eq!((fleet.len(), fleet.compliant()), (4, 1));
    let html = fleet.html();
    let place = |host: &str| html.find(&format!("scope=\"row\">{host} ")).unwrap();
    assert!(place("liar") < place("worst") && place("worst") < place("two") && place("two") < place("fine"));
    assert!(html.contains("1 of 4 (25 %)") && html.contains("1 document left out"), "{html}");
}

#[test]
fn machines_are_told_apart_by_their_ids() {
    let bad = serde_json::json!([{"id": "overdue", "severity": "high", "title": "t"}]);
    let laptop = |id: &str, now: &str, findings: &serde_json::Value| serde_json::json!({"host": "MacBook-Pro.local", "machine": id, "now": now, "findings": findings});
    let well = serde_json::json!([]);
    let made = fleet(&[
        laptop("C02AAAAAAAAA", "2026-11-23T10:00:00Z", &bad),
        laptop("C02BBBBBBBBB", "2026-11-23T11:00:00Z", &well),
        laptop("C02BBBBBBBBB", "2026-11-22T11:00:00Z", &bad),
        // Two that were made from one image.
        serde_json::json!({"host": "one", "machine": "C02C", "findings": bad}),
        serde_json::json!({"host": "two", "machine": "C02C"}),
    ]);
    assert_eq!((made.len(), made.compliant()), (4, 2));
    let html = made.html();
    assert!(html.contains("1 document left out"), "{html}");
    for name in ["MacBook-Pro.local (u) C02AAAAA", "MacBook-Pro.local (u) C02BBBBB", ">two (u)<"] {
        assert!(html.contains(name), "{name}: {html}");
    }
    // Documents without an id go by the name, and are never taken for those of a machine with one.
    let made = fleet(&[
        serde_json::json!({"host": "h", "now": "2026-11-22T11:00:00Z"}),
        serde_json::json!({"host": "h", "findings": bad}),
        serde_json::json!({"host": "h", "machine": "h"}),
    ]);
    assert_eq!((made.len(), made.compliant()), (2, 1));
}

#[test]
fn a_machine_that_was_not_checked_for_a_week_is_not_compliant() {
    let made = fleet(&[
        serde_json::json!({"host": "fresh", "now": "2026-11-16T14:00:00Z"}),
        serde_json::json!({"host": "stale", "now": "2026-11-16T12:00:00Z"}),
        // Its clock is wrong, or its document was made to look fresh for years.
        serde_json::json!({"host": "ahead", "now": "2027-11-16T12:00:00Z"}),
        serde_json::json!({"host": "dateless", "now": "yesterday"}),
    ]);
    assert_eq!((made.len(), made.compliant(), made.stale()), (4, 1, 3));
    let html = made.html();
    assert!(html.contains("1 of 4 (25 %)"), "{html}");
    let row =
        |host: &str| html.split(&format!("scope=\"row\">{host} ")).nth(1).unwrap().split("</tr>").next();
    for host in ["stale", "ahead", "dateless"] {
        let row = row(host).unwrap();
        assert!(row.contains("not checked for a week") && !row.contains(">compliant<"), "{row}");
    }
    assert!(row("fresh").unwrap().contains(">compliant<"));
}

#[test]
fn a_page_does_not_grow_with_what_documents_say() {
    let long = "<x> ".repeat(500);
    let many = |number: usize| -> Vec<serde_json::Value> {
        let finding = |at: usize| {
            serde_json::json!({
                "id": format!("f{number}-{at}{long}"), "severity": "high", "title": long, "remedy": long,
                "evidence": vec![&long; 9], "user": long,
            })
        };
        (0..2).map(finding).collect()
    };
    let documents: Vec<serde_json::Value> = (0..520)
        .map(|number| {
            serde_json::json!({
                "host": format!("h{number}"), "version": format!("{number}{long}"), "findings": many(number),
            })
        })
        .collect();
    let made = fleet(&documents);
    let html = made.html();
    assert!(html.len() < 5_000_000, "{}", html.len());
    assert_eq!(html.matches("<tr class=\"more\">").count(), 500);
    assert!(html.contains("20 machines more:"), "those without a row are counted");
    let json = made.json();
    assert_eq!((&json["machines"], &json["compliant"]), (&520.into(), &0.into()));
    assert_eq!(json["findings"].as_array().unwrap().len(), 500);
}
