//! Development tasks: `cargo xtask check` is what CI runs before the foreign clients come; `cargo xtask interop` is the
//! foreign clients, a browser and the kernel as peers; `cargo xtask graph` draws the crates; `cargo xtask fuzz` runs each target a while.
//!
//! Each task prints what it runs, and last a line `N passed, N failed`. A task that cannot run what it names fails: nothing
//! is skipped in silence.

mod features;
mod foreign;
mod fuzz;
mod graph;
mod instructions;
mod interop;
mod kernel_peer;
mod net_examples;
mod packetdrill;
mod shell;
mod simulate;
mod tally;
mod web;

use std::process::ExitCode;

use tally::Tally;

/// What the cases of properties are drawn from in CI.
const PROPERTY_SEED: &str = "9293";

const USAGE: &str = "usage: cargo xtask prepare | check | simulate [--from SEED] | interop [NAME...] | web-test [--screenshots] [NAME...] | features | fuzz [--seconds N [--seed S]] | graph | instructions | packetdrill PROGRAM SCRIPT...

  prepare    installs at once what interop, web-test and instructions would (needs root, Debian's apt, pip and npm)
  check      format, clippy, documentation, all tests of the workspace
  simulate   a thousand fresh seeds of the simulated network, whole chats, a million connections
  interop    foreign clients and the kernel as peers (needs root, Debian's apt, pip and npm); NAMEs choose some
  web-test   the web client in Debian's Chromium, part of interop; NAMEs choose files of tests/web; --screenshots
             writes docs/screenshots anew
  features   takes each feature file of the router away in turn and builds
  fuzz       runs every fuzz target for N seconds (default 10), on seeds of its own or from one seed
  instructions
             counts what the stack's paths cost and compares with crates/stack/instructions.txt (installs valgrind by apt)
  packetdrill
             runs packetdrill's scripts (files or folders) against the stack (needs root, iproute2, python3; see docs/conformance.md)
  graph      prints the crate graph for docs/ARCHITECTURE.md (Mermaid)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["prepare"] => foreign::all().map(|()| Tally::default()),
        ["check"] => check(),
        ["simulate"] => simulate::run(None),
        ["simulate", "--from", seed] => match seed.parse() {
            Ok(seed) => simulate::run(Some(seed)),
            Err(_) => return usage(),
        },
        ["interop", names @ ..] => interop::run(names),
        ["web-test", "--screenshots", names @ ..] => web::run(names, true),
        ["web-test", names @ ..] => web::run(names, false),
        ["features"] => features::run(),
        ["fuzz"] => fuzz::run(10, None),
        ["fuzz", "--seconds", seconds] => match seconds.parse() {
            Ok(seconds) => fuzz::run(seconds, None),
            Err(_) => return usage(),
        },
        ["fuzz", "--seconds", seconds, "--seed", seed] => match (seconds.parse(), seed.parse()) {
            (Ok(seconds), Ok(seed)) => fuzz::run(seconds, Some(seed)),
            _ => return usage(),
        },
        ["instructions"] => instructions::run(),
        ["packetdrill", program, scripts @ ..] if !scripts.is_empty() => packetdrill::run(program, scripts),
        ["graph"] => graph::run(),
        _ => return usage(),
    };
    match outcome {
        Ok(tally) => {
            println!("{tally}");
            if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Everything that needs only Rust.
fn check() -> Result<Tally, String> {
    let mut tally = Tally::default();
    tally.step("format", &["cargo", "fmt", "--all", "--check"]);
    let mut clippy = shell::cargo("clippy", &["--all-targets", "--", "-D", "warnings"]);
    tally.count("clippy", shell::run_command(&mut clippy));
    let mut documentation = shell::cargo("doc", &["--no-deps"]);
    tally.count("documentation", shell::run_command(documentation.env("RUSTDOCFLAGS", "-D warnings")));
    // Properties draw the same cases each time here, so that what fails is what was changed; a plain `cargo test` draws fresh ones.
    let mut tests = shell::cargo("test", &["--no-fail-fast"]);
    tally.test_command("tests", tests.env("PROPTEST_RNG_SEED", PROPERTY_SEED));
    Ok(tally)
}
