//! Fuzz: builds the targets in `fuzz/` with coverage instrumentation and runs each for a while, from the inputs in
//! `fuzz/seeds`.
//! A crash leaves its input in `fuzz/artifacts`, and the command that replays it is printed.

use std::fs;
use std::process::Command;

use crate::shell;
use crate::tally::Tally;

/// What makes LLVM report the edges a run takes, so that the fuzzer can steer; the same flags `cargo fuzz` gives, less
/// the address sanitizer, which needs a nightly compiler and finds little in code without `unsafe`.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Gives them to our own crates alone: what they depend on is not what is searched.
const WRAPPER: &str = "fuzz/instrument.sh";

/// Memory a target may take before that counts as a finding, in MiB.
const MEMORY_MAX_MIB: u32 = 1024;

pub(crate) fn run(seconds: u32, seed: Option<u32>) -> Result<Tally, String> {
    let target = shell::target().join("fuzz");
    let mut build = shell::command(&["cargo", "build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    build
        .env("RUSTC_WRAPPER", shell::root().join(WRAPPER))
        .env("SWITCHBOARD_FUZZ_FLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", &target);
    shell::run_command(&mut build)?;
    let mut names: Vec<String> = fs::read_dir(shell::root().join("fuzz/targets"))
        .map_err(|error| format!("fuzz/targets: {error}"))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    let mut tally = Tally::default();
    for name in &names {
        let program = target.join("release").join(name);
        let corpus = shell::root().join("fuzz/corpus").join(name);
        let artifacts = shell::root().join("fuzz/artifacts").join(name);
        fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
        fs::create_dir_all(&artifacts).map_err(|error| format!("{}: {error}", artifacts.display()))?;
        let mut fuzz = shell::command(&[
            &program.to_string_lossy(),
            &corpus.to_string_lossy(),
            &format!("-max_total_time={seconds}"),
            // To libFuzzer 0 is a seed that nobody has seen.
            &format!("-seed={}", seed.unwrap_or(0)),
            &format!("-rss_limit_mb={MEMORY_MAX_MIB}"),
            "-timeout=5",
            "-max_len=4096",
            "-print_final_stats=1",
            "-verbosity=0",
            &format!("-artifact_prefix={}/", artifacts.display()),
        ]);
        // What is found goes to the corpus; the seeds are only read.
        let seeds = shell::root().join("fuzz/seeds").join(name);
        if !seeds.is_dir() {
            return Err(format!("{} is not there", seeds.display()));
        }
        fuzz.arg(seeds);
        tally.count(name, search(&mut fuzz));
    }
    if names.is_empty() { Err("fuzz/targets is empty".to_owned()) } else { Ok(tally) }
}

/// Runs a target. What libFuzzer says of its dictionary fills screens, so all of it is shown only where something was found.
fn search(fuzz: &mut Command) -> Result<(), String> {
    eprintln!("$ {fuzz:?}");
    let done = fuzz.output().map_err(|error| format!("{:?}: {error}", fuzz.get_program()))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        eprint!("{said}");
        return Err(format!("{:?}: {}", fuzz.get_program(), done.status));
    }
    said.lines().filter(|line| line.starts_with("stat::")).for_each(|line| eprintln!("{line}"));
    Ok(())
}
