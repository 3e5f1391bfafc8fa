//! Tables of cron that somebody else has filled.

use proptest::prelude::*;

use super::*;

fn table() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "[ -~]{0,30}".prop_map(String::into_bytes),
        Just(b"0 1 * * * /bin/backup # ccretain".to_vec()),
        Just(b"# 0 1 * * * /usr/bin/ccretain enforce --yes # ccretain".to_vec()),
        Just(b"MAILTO=\"\"\r".to_vec()),
        Just(b"0 * * * * x \xff\xfe \\% %".to_vec()),
    ];
    (prop::collection::vec(line, 0..6), any::<bool>()).prop_map(|(lines, ended)| {
        let mut table = lines.join(&b'\n');
        if ended && !table.is_empty() {
            table.push(b'\n');
        }
        table
    })
}

proptest! {
    #[test]
    fn a_cron_table_comes_back_byte_for_byte(table in table(), minute in 0u32..60) {
        let first = render(Backend::Cron, &job(Scope::User)).unwrap()[0].content.clone();
        let at = At { hour: 3, minute };
        let second = render(Backend::Cron, &Job { at, ..job(Scope::User) }).unwrap()[0].content.clone();
        let once = cron::with_line(&table, &first);
        prop_assert_eq!(cron::with_line(&once, &first), once.clone());
        let changed = cron::with_line(&once, &second);
        prop_assert_eq!(cron::with_line(&changed, &first), once.clone());
        for installed in [once, changed] {
            let text = String::from_utf8_lossy(&installed).into_owned();
            prop_assert_eq!(text.matches("* /usr/bin/ccretain enforce --yes >/dev/null # ccretain\n").count(), 1);
            prop_assert_eq!(cron::without(&installed), table.clone());
        }
        prop_assert_eq!(cron::without(&table), table);
    }

    #[test]
    fn an_existing_table_survives_an_installation(table in table()) {
        // What cannot be told from a carriage return is left alone, and tried elsewhere.
        prop_assume!(table.contains(&b'\r') || memchr::memmem::find(&table, b"\\r").is_none());
        let host = FakeHost::with(&["crontab"]);
        let places = places(Platform::Linux);
        host.machine.borrow_mut().crontab = Some(table);
        let before = snapshot(&host);
        let with = scheduler(&host, &places, Scope::User);
        with.install(Backend::Cron, &job(Scope::User)).unwrap();
        prop_assert!(snapshot(&host) != before);
        with.remove(Backend::Cron).unwrap();
        prop_assert_eq!(snapshot(&host), before);
    }
}
