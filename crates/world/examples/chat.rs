//! Lives one seed and prints it, a line an event:
//! `cargo run --release -p switchboard-world --example chat -- --seed N [--clients N] [--quic PER-MILLION] [--tls PER-MILLION]`.

use std::process::ExitCode;

use switchboard_world::life::{Options, live};

/// Lines that are printed, at most: the latest.
const LINES_MAX: usize = 200_000;

fn main() -> ExitCode {
    let mut options = Options { lines_max: LINES_MAX, ..Options::default() };
    let mut seed = None;
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().and_then(|value| value.parse::<u64>().ok());
        match (name.as_str(), value) {
            ("--seed", Some(value)) => seed = Some(value),
            ("--clients", Some(value)) => options.clients_max = value,
            ("--quic", Some(value)) => options.quic = u32::try_from(value).unwrap_or(u32::MAX),
            ("--tls", Some(value)) => options.tls = u32::try_from(value).unwrap_or(u32::MAX),
            _ => seed = None,
        }
    }
    let Some(seed) = seed else {
        eprintln!("usage: chat --seed N [--clients N] [--quic PER-MILLION] [--tls PER-MILLION]");
        return ExitCode::from(2);
    };
    let outcome = live(seed, options);
    println!("seed {seed}: {}", outcome.drawn);
    outcome.lines.iter().for_each(|line| println!("{line}"));
    let [written, acknowledged, arrived, repeats, bounced] = outcome.counts;
    println!(
        "{written} written, {acknowledged} acknowledged, {arrived} arrived, {repeats} repeated, {bounced} came back; \
         {} sessions, {} kills, {:?}, digest {:016x}",
        outcome.sessions, outcome.kills, outcome.lasted, outcome.digest
    );
    match outcome.violation {
        Some(violation) => {
            println!("VIOLATION: {violation}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
