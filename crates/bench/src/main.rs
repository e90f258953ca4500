//! Bench: side-by-side measurements of the exchange and the stack.
//!
//! `cargo run --release -p bench -- chat|idle|offline|churn [--against prosody,ejabberd]` starts each server on loopback,
//! puts the same load on each in turn, and prints a JSON line a figure, then the ratios. `bench networks` compares the exchange with
//! itself on the kernel's network and on our own; `bench ladder` reads and draws captures; `bench stack` does so for the TCP/IP stack,
//! beside smoltcp and the kernel. The method and the last figures
//! stand in docs/benchmarks.md. Loads are bounded in count and time; traffic stays on loopback.

mod archive;
mod chat;
mod churn;
mod idle;
mod ladder;
mod load;
mod networks;
mod offline;
mod process;
mod report;
mod stack;
mod sut;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use report::{Bound, Report, Side};

/// Every byte that is allocated is counted: what the stack's cases of memory read.
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// Side-by-side measurements: JSON lines on standard output, the rest on standard error.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    case: Case,
}

#[derive(Subcommand)]
enum Case {
    /// Relayed messages: CPU each, rate, latency.
    Chat {
        #[command(flatten)]
        sides: Sides,
        /// Pairs of people.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=2000))]
        pairs: u32,
        /// Seconds a row.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=120))]
        seconds: u64,
        /// Messages a second of the latency row.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rate: u32,
    },
    /// Memory of idle sessions.
    Idle {
        #[command(flatten)]
        sides: Sides,
        /// Sessions.
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=15_000))]
        sessions: u32,
    },
    /// Messages stored for people who are away.
    Offline {
        #[command(flatten)]
        sides: Sides,
        /// Messages a row.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2000..=2_000_000))]
        messages: u32,
    },
    /// Pages of 50 out of a long archive, from the store; ours only. Takes some gigabytes of the folder for temporary files.
    Archive {
        /// Messages in it.
        #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
        rows: u64,
        /// A folder to fill and to leave there; one that was filled before is measured as it is.
        #[arg(long)]
        folder: Option<PathBuf>,
        #[command(flatten)]
        bounds: Bounds,
    },
    /// Log-ins and polite log-outs.
    Churn {
        #[command(flatten)]
        sides: Sides,
        /// Log-ins.
        #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(10..=50_000))]
        log_ins: u32,
    },
    /// Captures: how fast they are listed and drawn, and in how much memory; ours only.
    Ladder {
        /// Packets of each; with full segments a million take a gigabyte of the folder for temporary files.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
        packets: u32,
    },
    /// The exchange on kernel TCP, on our own TCP, over QUIC on each: an idle session all told, CPU a relayed message, log-ins. As root.
    Networks {
        /// Instead: so many sessions on our own stack, in this process.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1000..=1_500_000))]
        sessions: Option<u32>,
        /// Idle sessions of the rows of memory.
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=15_000))]
        idle: u32,
        /// Pairs of people.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=2000))]
        pairs: u32,
        /// Seconds a row.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=120))]
        seconds: u64,
        /// Log-ins.
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=50_000))]
        log_ins: u32,
        /// What a process of one network alone is told.
        #[arg(long, hide = true)]
        side: Option<String>,
    },
    /// The TCP/IP stack beside smoltcp and the kernel: memory, echoes, opening and closing, goodput. Over TUN it needs root.
    Stack {
        /// Cases to run; all if none is named, except idle-bytes-10m.
        cases: Vec<String>,
        /// What a process of one case alone is told.
        #[arg(long, hide = true, requires = "side")]
        apart: Option<String>,
        #[arg(long, hide = true)]
        side: Option<String>,
    },
}

#[derive(Args)]
struct Sides {
    /// Peers to measure beside ours, in turn; each must be installed.
    #[arg(long, value_delimiter = ',')]
    against: Vec<Peer>,
    /// Rounds, alternating between the sides.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    #[command(flatten)]
    bounds: Bounds,
}

#[derive(Args)]
struct Bounds {
    /// Fail if this figure of ours is higher, by the median of its rounds.
    #[arg(long, value_name = "CASE=VALUE")]
    at_most: Vec<Bound>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    Prosody,
    Ejabberd,
}

impl Sides {
    /// Runs `measure` for each side in turn, as often as there are rounds; a side that fails is said and left out.
    fn run(&self, mut measure: impl FnMut(Side, &mut Report) -> io::Result<()>) -> bool {
        let mut report = Report::default();
        let mut sides = vec![Side::Ours];
        sides.extend(self.against.iter().map(|peer| match peer {
            Peer::Prosody => Side::Prosody,
            Peer::Ejabberd => Side::Ejabberd,
        }));
        let mut whole = true;
        for _ in 0..self.rounds {
            for side in &sides {
                if let Err(error) = measure(*side, &mut report) {
                    eprintln!("bench: {}: not measured: {error}", side.name());
                    whole = false;
                }
            }
        }
        report.ratios();
        report.is_within(&self.bounds.at_most) && whole
    }
}

/// Whether a case was measured; if not, why is said.
fn told(case: &str, outcome: &io::Result<()>) -> bool {
    if let Err(error) = outcome {
        eprintln!("bench: {case}: not measured: {error}");
    }
    outcome.is_ok()
}

fn main() -> ExitCode {
    let whole = match Command::parse().case {
        Case::Chat { sides, pairs, seconds, rate } => {
            let plan = chat::Plan { pairs, seconds, rate };
            sides.run(|side, report| chat::run(side, plan, report))
        }
        Case::Idle { sides, sessions } => sides.run(|side, report| idle::run(side, sessions, report)),
        Case::Offline { sides, messages } => sides.run(|side, report| offline::run(side, messages, report)),
        Case::Archive { rows, folder, bounds } => {
            let mut report = Report::default();
            told("archive", &archive::run(rows, folder.as_deref(), &mut report))
                && report.is_within(&bounds.at_most)
        }
        Case::Ladder { packets } => told("ladder", &ladder::run(packets, &mut Report::default())),
        Case::Stack { apart: Some(case), side, .. } => {
            let side = side.as_deref().and_then(Side::by_name);
            let outcome = side
                .map_or_else(|| Err(io::Error::other("no such side")), |side| stack::measure(&case, side));
            if let Err(error) = &outcome {
                eprintln!("bench: {case}: {error}");
            }
            outcome.is_ok()
        }
        Case::Networks { sessions: Some(sessions), .. } => {
            networks::crowd(sessions as usize);
            true
        }
        Case::Networks { idle, pairs, seconds, log_ins, side, .. } => {
            let plan = networks::Plan { sessions: idle, pairs, seconds, log_ins };
            match side.as_deref().and_then(Side::by_name) {
                None => networks::run(plan),
                Some(side) => {
                    let outcome = networks::measure(side, plan);
                    if let Err(error) = &outcome {
                        eprintln!("bench: networks: {}: {error}", side.name());
                    }
                    outcome.is_ok()
                }
            }
        }
        Case::Stack { cases, .. } => stack::run(&cases),
        Case::Churn { sides, log_ins } => sides.run(|side, report| churn::run(side, log_ins, report)),
    };
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
