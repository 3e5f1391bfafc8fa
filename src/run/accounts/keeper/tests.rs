//! What a child may say, and what is believed of it.

use super::*;
use crate::run::tally::Tally;

fn account() -> Account {
    Account { name: "ann".into(), uid: 1_000, gid: 1_000, home: "/home/ann".into() }
}

fn keeper(dir: &std::path::Path) -> Keeper {
    let (dir, state_dir) = (dir.join("log"), dir.join("state"));
    Keeper {
        place: Place { dir, state_dir, is_of_all: true },
        policy: LedgerPolicy::default(),
        run: RunId::random(),
        is_look: false,
        proven: true,
        last: None,
        now: DateTime::UNIX_EPOCH,
        began: Instant::now(),
    }
}

fn say(message: &FromChild) -> Vec<u8> {
    serde_json::to_vec(message).unwrap()
}

fn open() -> Vec<u8> {
    say(&FromChild::Open { proven: true })
}

fn outcome(files: u64) -> Entry<'static> {
    Entry { files: Some(files), decision: Some("delete".into()), ..Entry::new(Event::Outcome) }
}

#[test]
fn a_ledger_is_opened_once_and_only_for_records_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let (account, keeper) = (account(), keeper(dir.path()));
    let mut ended = Ended::new(&account);
    let mut desk = Desk::new(&account, &keeper, &mut ended);
    let close = |text: String| {
        let mut summary = Entry::new(Event::Summary);
        summary.reason = Some(text.into());
        say(&FromChild::Close { summary: Box::new(summary) })
    };
    assert!(desk.hear(&say(&FromChild::Append { entries: vec![outcome(1)] })).is_err());
    assert!(matches!(desk.hear(&open()), Ok(Some(ToChild::Done))));
    assert!(desk.hear(&open()).is_err());
    for event in [Event::Certificate, Event::HoldAdded, Event::Summary, Event::Segment, Event::Expired] {
        assert!(desk.hear(&say(&FromChild::Append { entries: vec![Entry::new(event)] })).is_err());
    }
    assert!(desk.hear(&close("x".repeat(LONGEST_SUMMARY))).is_err());
    assert!(matches!(desk.hear(&close("well".into())), Ok(Some(ToChild::Done))));
    assert!(desk.hear(&open()).is_err(), "once is once, also after its end");
    assert!(desk.hear(b"{\"output\":").is_err());
}

#[test]
fn no_count_is_believed_that_was_not_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (account, keeper) = (account(), keeper(dir.path()));
    let mut ended = Ended::new(&account);
    let mut desk = Desk::new(&account, &keeper, &mut ended);
    let mut sealed = outcome(50);
    sealed.decision = Some("seal".into());
    let mut entries = vec![outcome(3), sealed];
    entries[0].lines = Some(2);
    desk.hear(&open()).unwrap();
    desk.hear(&say(&FromChild::Append { entries })).unwrap();
    assert!(ended.recorded.covers(3, 2, 50) && !ended.recorded.covers(4, 0, 0));
    assert!(!ended.recorded.covers(0, 3, 0) && !ended.recorded.covers(0, 0, 51));
    let report = |dry_run: bool, deleted: u64| {
        let summary = serde_json::json!({ "deleted": deleted, "prunedLines": 2 });
        serde_json::json!({ "dryRun": dry_run, "mode": "enforce", "summary": summary })
    };
    assert!(ended.recorded.covers_report(&report(false, 3)));
    assert!(!ended.recorded.covers_report(&report(false, 4)));
    assert!(ended.recorded.covers_report(&report(true, 4)), "a dry run has done nothing");
}

#[test]
fn totals_are_of_what_was_recorded_and_fit_to_be_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (account, keeper) = (account(), keeper(dir.path()));
    let totals = |deleted: u64| {
        let tally = Tally { deleted, bytes_freed: u64::MAX, ..Tally::default() };
        let notes = vec![Note::sentence("\u{1b}[31m".repeat(1_000)); 1_000];
        say(&FromChild::Totals {
            totals: Box::new(Totals { tally, is_done: true, notes, ..Totals::default() }),
        })
    };
    let mut ended = Ended::new(&account);
    let mut desk = Desk::new(&account, &keeper, &mut ended);
    desk.hear(&open()).unwrap();
    desk.hear(&say(&FromChild::Append { entries: vec![outcome(3)] })).unwrap();
    desk.hear(&totals(4)).unwrap();
    assert!(ended.totals.is_none());
    assert_eq!(ended.error.take(), Some(more_than_recorded()));
    let mut desk = Desk::new(&account, &keeper, &mut ended);
    desk.hear(&totals(3)).unwrap();
    let believed = *ended.totals.take().unwrap();
    assert_eq!(believed.tally.bytes_freed, 3 << 20, "nobody frees more than was recorded");
    let notes = believed.notes;
    assert_eq!(notes.len(), MOST_NOTES);
    assert!(notes.iter().all(|note| !note.what.contains('\u{1b}') && note.what.len() < 20 * LONGEST_NOTE));
}

#[test]
fn what_a_run_says_that_it_would_have_done_is_no_part_of_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    let (account, mut keeper) = (account(), keeper(dir.path()));
    let tally = Tally { deleted: 9, sealed: 9, sessions_sealed: 9, kept: 2, audit: 1, ..Tally::default() };
    let said = |is_done: bool| {
        say(&FromChild::Totals { totals: Box::new(Totals { tally, is_done, ..Totals::default() }) })
    };
    let mut ended = Ended::new(&account);
    Desk::new(&account, &keeper, &mut ended).hear(&said(false)).unwrap();
    let found = ended.totals.take().unwrap().tally;
    assert_eq!((found.deleted, found.sealed, found.kept, found.audit), (0, 0, 2, 1));
    // Nothing was recorded as sealed.
    Desk::new(&account, &keeper, &mut ended).hear(&said(true)).unwrap();
    assert!(ended.totals.is_none());
    assert_eq!(ended.error.take(), Some(more_than_recorded()));
    // A look says what would be done, whatever its child says.
    keeper.is_look = true;
    Desk::new(&account, &keeper, &mut ended).hear(&said(true)).unwrap();
    let looked = ended.totals.unwrap();
    assert_eq!((looked.is_done, looked.tally.deleted), (false, 9));
}

#[test]
fn what_is_written_for_one_account_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (account, keeper) = (account(), keeper(dir.path()));
    let mut ended = Ended::new(&account);
    let mut desk = Desk::new(&account, &keeper, &mut ended);
    desk.hear(&open()).unwrap();
    // Each is four times as long in the ledger as in the message.
    let entries = || (0..20_000).map(|_| Entry::new(Event::Intent)).collect::<Vec<_>>();
    let mut answers = (0..80).map(|_| desk.hear(&say(&FromChild::Append { entries: entries() })).unwrap());
    let refused = answers.any(|answer| matches!(answer, Some(ToChild::Failed { .. })));
    assert!(refused, "too much was written");
    let written: u64 = fs_err::read_dir(&keeper.place.dir)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(written < MOST_RECORDED + (64 << 20), "{written}");
}

#[test]
fn a_report_that_is_too_long_is_dropped_and_the_work_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (account, keeper) = (account(), keeper(dir.path()));
    let mut ended = Ended::new(&account);
    let mut desk = Desk::new(&account, &keeper, &mut ended);
    let text = say(&FromChild::Output { text: "x".repeat(1 << 20) });
    for _ in 0..=(LONGEST_REPORT >> 20) {
        assert!(matches!(desk.hear(&text), Ok(None)));
    }
    assert!(matches!(desk.hear(&open()), Ok(Some(ToChild::Done))));
    assert!(ended.is_cut && ended.output.is_empty());
}
