//! Switchboard: instant messaging by number, over TCP and UDP.
//!
//! Owns: the command line and its exit codes: 0 done, 1 failed (one line on standard error says what, where and what to
//! do), 2 wrong usage.
//! Invariants: standard output holds only what was asked for; everything else goes to standard error.
//! Not here: what an exchange does (`server`), what a client does (`client`).
//!
//! Reading order: `args` (what can be typed, raw), then `commands`, one file each, which check what was typed and do it.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod data;
mod failure;
mod output;
mod password;
mod progress;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // clap itself answers wrong usage, with exit code 2, and --help and --version, with 0.
    match commands::run(args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut err = std::io::stderr().lock();
            let _ = writeln!(err, "switchboard: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
