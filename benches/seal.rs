//! What sealing costs, beside the commands that would do the same: `cargo bench --bench seal`.
//!
//! Ratios of one run on one machine count, seconds do not. Files lie in memory where that is
//! possible (`/dev/shm`), nothing is flushed to a disk. On a busy machine compare the processor
//! times, which the other columns do not (those of the commands include their start).

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ccretain::internals::policy::Compression;
use ccretain::internals::seal::{Plugins, Recipients, Sealer, key};

const FILES: usize = 1000;
const SIZE: usize = 30_000;
const ROUNDS: usize = 5;

fn transcript(seed: u64, len: usize) -> Vec<u8> {
    let words = ["the", "file", "error", "function", "return", "let", "value", "test", "path", "session"];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut text = Vec::with_capacity(len + 1000);
    while text.len() < len {
        write!(text, "{{\"type\":\"assistant\",\"uuid\":\"{:016x}{:016x}\",\"text\":\"", next(), next())
            .unwrap();
        for _ in 0..next() % 80 {
            let word = words[(next() % 10) as usize];
            if next() % 4 == 0 {
                write!(text, "{word}{:x} ", next() % 4096).unwrap();
            } else {
                write!(text, "{word} ").unwrap();
            }
        }
        text.extend_from_slice(b"\"}\n");
    }
    text.truncate(len);
    text
}

fn ours(dir: &Path, recipients: &Recipients, compression: Compression, threads: usize) -> u64 {
    let files: Vec<PathBuf> = sources(dir);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let total = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                use std::sync::atomic::Ordering::Relaxed;
                let mut sealer = Sealer::new(recipients, compression).unwrap();
                while let Some(path) = files.get(next.fetch_add(1, Relaxed)) {
                    let mut source = File::open(path).unwrap();
                    let len = source.metadata().unwrap().len();
                    let mut target = File::create(path.with_extension("age")).unwrap();
                    total.fetch_add(
                        sealer.seal(&mut source, len, &mut target).unwrap().ciphertext_len,
                        Relaxed,
                    );
                }
            });
        }
    });
    total.into_inner()
}

fn seal_all(dir: &Path, recipients: &Recipients, compression: Compression, threads: usize) {
    let sealed = ours(dir, recipients, compression, threads);
    assert!(sealed > 0);
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    files
}

fn shell(dir: &Path, script: &str, recipient: &str) {
    let done =
        Command::new("sh").arg("-c").arg(script).env("R", recipient).current_dir(dir).status().unwrap();
    assert!(done.success());
}

/// Processor time of this process and of the commands it has waited for, in seconds (Linux).
fn cpu() -> f64 {
    let mut text = String::new();
    let read = File::open("/proc/self/stat").and_then(|mut file| file.read_to_string(&mut text));
    // Fields 14 to 17 of proc_pid_stat(5), counted from behind the name, in hundredths of a second.
    let fields = text.rsplit_once(')').filter(|_| read.is_ok()).map_or("", |(_, fields)| fields);
    fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>()
        / 100.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn peak() -> String {
    let mut text = String::new();
    let read = File::open("/proc/self/status").and_then(|mut file| file.read_to_string(&mut text));
    let line = text.lines().find(|line| line.starts_with("VmHWM")).filter(|_| read.is_ok());
    line.map_or_else(|| "peak memory unknown".to_owned(), str::to_owned)
}

type Way<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>);

fn measure(title: &str, dir: &Path, ways: &[Way<'_>], rounds: usize) {
    println!("\n{title} (median of {rounds}, interleaved)");
    let mut times = vec![Vec::new(); ways.len()];
    let mut work = vec![0.0; ways.len()];
    for _ in 0..rounds {
        for (at, (_, way)) in ways.iter().enumerate() {
            let (start, before) = (Instant::now(), cpu());
            way(dir);
            work[at] += cpu() - before;
            times[at].push(start.elapsed());
        }
    }
    let medians: Vec<_> = times.into_iter().map(median).collect();
    println!("   wall in ms   ratio    cpu in ms   ratio");
    for (((name, _), time), work_here) in ways.iter().zip(&medians).zip(&work) {
        let (wall, cpu) = (time.as_secs_f64() * 1000.0, work_here * 1000.0 / rounds as f64);
        let (wall_ratio, cpu_ratio) = (time.as_secs_f64() / medians[0].as_secs_f64(), work_here / work[0]);
        println!("  {wall:11.1}  {wall_ratio:6.3}  {cpu:11.1}  {cpu_ratio:6.3}  {name}");
    }
}

fn main() {
    let shm = Path::new("/dev/shm");
    let base = if shm.is_dir() { shm.to_path_buf() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(&base).unwrap();
    let new = key::generate(chrono::DateTime::UNIX_EPOCH);
    let to = Recipients::parse([(&*new.recipient, Plugins::Refused)]).unwrap();
    let each = "for f in *.jsonl; do";

    let small = dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    for at in 0..FILES {
        std::fs::write(small.join(format!("{at}.jsonl")), transcript(at as u64 + 1, SIZE)).unwrap();
    }
    let sealed = ours(&small, &to, Compression::Zstd, 1);
    println!("{FILES} files of {SIZE} bytes, sealed to {sealed} bytes; {}", peak());
    let age_each = format!("{each} age -r $R <$f >$f.age; done");
    let loop_each = format!("{each} zstd -3 -q -c $f | age -r $R >$f.age; done");
    measure(
        "small files",
        &small,
        &[
            ("age, one process a file", Box::new(|dir| shell(dir, &age_each, &new.recipient))),
            ("zstd -3 | age, two processes a file", Box::new(|dir| shell(dir, &loop_each, &new.recipient))),
            ("ours, no compression, 1 thread", Box::new(|dir| seal_all(dir, &to, Compression::None, 1))),
            ("ours, no compression, 2 threads", Box::new(|dir| seal_all(dir, &to, Compression::None, 2))),
            ("ours, zstd, 1 thread", Box::new(|dir| seal_all(dir, &to, Compression::Zstd, 1))),
            ("ours, zstd, 2 threads", Box::new(|dir| seal_all(dir, &to, Compression::Zstd, 2))),
        ],
        ROUNDS,
    );
    println!("  {}", peak());

    let medium = dir.path().join("medium");
    std::fs::create_dir(&medium).unwrap();
    for at in 0..50 {
        std::fs::write(medium.join(format!("{at}.jsonl")), transcript(at + 5000, 4_000_000)).unwrap();
    }
    measure(
        "50 files of 4 MB",
        &medium,
        &[
            ("zstd -3 | age", Box::new(|dir| shell(dir, &loop_each, &new.recipient))),
            ("ours, no compression, 1 thread", Box::new(|dir| seal_all(dir, &to, Compression::None, 1))),
            ("ours, zstd, 1 thread", Box::new(|dir| seal_all(dir, &to, Compression::Zstd, 1))),
            ("ours, zstd, 2 threads", Box::new(|dir| seal_all(dir, &to, Compression::Zstd, 2))),
        ],
        ROUNDS,
    );
    println!("  {}", peak());

    let large = dir.path().join("large");
    std::fs::create_dir(&large).unwrap();
    for at in 0..2 {
        let mut file = File::create(large.join(format!("{at}.jsonl"))).unwrap();
        // In small pieces, so that the peak below is the sealer's; each appears once.
        for piece in 0..100 {
            file.write_all(&transcript(at * 1000 + piece, 1_000_000)).unwrap();
        }
    }
    measure(
        "two files of 100 MB",
        &large,
        &[
            ("age", Box::new(|dir| shell(dir, &age_each, &new.recipient))),
            ("zstd -3 | age", Box::new(|dir| shell(dir, &loop_each, &new.recipient))),
            ("ours, no compression, 1 thread", Box::new(|dir| seal_all(dir, &to, Compression::None, 1))),
            ("ours, zstd, 1 thread", Box::new(|dir| seal_all(dir, &to, Compression::Zstd, 1))),
            ("ours, zstd, 2 threads", Box::new(|dir| seal_all(dir, &to, Compression::Zstd, 2))),
        ],
        3,
    );
    println!("  {}", peak());
}
