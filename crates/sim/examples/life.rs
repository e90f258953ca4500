//! Lives one seed and prints it, a line a frame: `cargo run -p switchboard-sim --example life -- --seed N`.

use std::process::ExitCode;
use switchboard_sim::life::{Options, live};

/// Frames that are printed, at most: the latest.
const FRAMES_MAX: usize = 1_000_000;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some("--seed"), Some(Ok(seed))) = (args.next().as_deref(), args.next().map(|n| n.parse())) else {
        eprintln!("usage: life --seed N");
        return ExitCode::from(2);
    };
    let outcome = live(seed, Options { frames_max: FRAMES_MAX, ..Options::default() });
    println!("seed {seed}: {}", outcome.drawn);
    print!("{}", outcome.trace);
    println!("{} bytes in {:?}, digest {:016x}", outcome.delivered, outcome.lasted, outcome.digest);
    match outcome.violation {
        Some(violation) => {
            println!("VIOLATION: {violation}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
