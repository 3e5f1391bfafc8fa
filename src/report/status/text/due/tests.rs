//! How what falls due is grouped.

use super::*;

#[test]
fn days_follow_each_other_over_the_end_of_a_month() {
    let now: DateTime<Utc> = "2026-11-28T12:00:00Z".parse().unwrap();
    let item = |at: &str| Item {
        due: at.to_owned(),
        at: at.parse().unwrap(),
        session: String::new(),
        store: 0,
        project: None,
        files: 1,
        bytes: 1,
        decision: "keep",
        step: "delete",
        action: crate::plan::Action::Delete,
        rule: String::new(),
        layer: None,
        reason: None,
        overdue: false,
    };
    let items =
        ["2026-11-29T12:00:00Z", "2026-11-30T12:00:00Z", "2026-12-01T12:00:00Z", "2026-12-10T12:00:00Z"];
    let table = by_day(&items.map(item), now, Paint::new(false).fitting(Some(80), None));
    let days: Vec<&str> = table.rows.iter().map(|row| row.cells[0].as_str()).collect();
    assert_eq!(days, ["Nov 29", "Nov 30", "Dec 1", "Dec 10"]);
}
