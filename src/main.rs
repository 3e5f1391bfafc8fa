//! The `ccretain` program: the library's command line and nothing else.

// With musl's own a dry run over 5,000 sessions takes 1.4 times the processor time that it takes with glibc's.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    ccretain::cli::main()
}
