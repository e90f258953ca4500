//! Fuzz: builds the targets in `fuzz/` with coverage instrumentation and runs each for a while, from the inputs in
//! `fuzz/seeds`.
//! A crash leaves its input in `fuzz/artifacts`, and the command that replays it is printed.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

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

/// Targets that run at a time; each takes a core.
const AT_ONCE: usize = 2;

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
    if names.is_empty() {
        return Err("fuzz/targets is empty".to_owned());
    }
    let left = Mutex::new(names.iter());
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(name) = left.lock().expect("nobody panics with it").next() else { break };
                    let outcome = search(name, &target.join("release").join(name), seconds, seed);
                    tally.lock().expect("nobody panics with it").count(name, outcome);
                }
            });
        }
    });
    Ok(tally.into_inner().expect("nobody panicked with it"))
}

/// Runs a target for a while. What libFuzzer says of its dictionary fills screens, so all of it is shown only where something was
/// found.
fn search(name: &str, program: &Path, seconds: u32, seed: Option<u32>) -> Result<(), String> {
    let [corpus, artifacts, seeds] =
        ["corpus", "artifacts", "seeds"].map(|folder| shell::root().join("fuzz").join(folder).join(name));
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    if !seeds.is_dir() {
        return Err(format!("{} is not there", seeds.display()));
    }
    let mut fuzz = shell::command(&[&program.to_string_lossy()]);
    // What is found goes to the first folder; the second is only read.
    fuzz.args([&corpus, &seeds])
        .arg(format!("-max_total_time={seconds}"))
        // To libFuzzer 0 is a seed that nobody has seen.
        .arg(format!("-seed={}", seed.unwrap_or(0)))
        .arg(format!("-rss_limit_mb={MEMORY_MAX_MIB}"))
        .args(["-timeout=5", "-max_len=4096", "-print_final_stats=1", "-verbosity=0"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()));
    let done = fuzz.output().map_err(|error| format!("{:?}: {error}", fuzz.get_program()))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        eprint!("$ {fuzz:?}\n{said}");
        return Err(format!("{:?}: {}", fuzz.get_program(), done.status));
    }
    let figures: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("stat::")).collect();
    eprintln!("{name}: {}", figures.join(", "));
    Ok(())
}
