#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ccretain::targets::run("remembered_dates", data));
