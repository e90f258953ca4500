//! The stack beside smoltcp and the kernel: memory, echoes among many, opening and closing, goodput.
//! Owns: which cases there are, and who can run them. Every case runs in a process of its own, so that none measures what another
//! left behind.
//! Units: in each line. Not here: how a side does it (`ours`, `smol`, `kernel`).

mod goodput;
pub(crate) mod kernel;
mod ours;
mod smol;
mod tunnel;

use crate::report::{Report, Side};
use std::io;
use std::process::Command;

/// Connections that rest: one more than a million, so that no table is just full.
const IDLE: usize = (1 << 20) + 1;

/// What can be measured, and by whom.
const CASES: &[(&str, &[Side])] = &[
    ("idle-bytes", &[Side::Ours, Side::Smoltcp, Side::Kernel]),
    ("idle-bytes-v6", &[Side::Ours, Side::Smoltcp]),
    ("time-wait-bytes", &[Side::Ours, Side::Smoltcp]),
    ("echo-1-ns", &[Side::Ours, Side::Smoltcp]),
    ("echo-1k-ns", &[Side::Ours, Side::Smoltcp]),
    ("echo-100k-ns", &[Side::Ours, Side::Smoltcp]),
    ("echo-1m-ns", &[Side::Ours]),
    ("conn-close-per-s", &[Side::Ours, Side::Smoltcp, Side::Kernel]),
    ("conn-close-1m-per-s", &[Side::Ours]),
    ("goodput-mem-1500-gbit", &[Side::Ours, Side::Smoltcp]),
    ("goodput-mem-65535-gbit", &[Side::Ours, Side::Smoltcp]),
    ("goodput-tun-in-gbit", &[Side::Ours, Side::Smoltcp]),
    ("goodput-tun-out-gbit", &[Side::Ours, Side::Smoltcp]),
];

/// Ten million connections take two and a half gigabytes an end and minutes: only when asked for by name.
const ON_REQUEST: &[(&str, &[Side])] = &[("idle-bytes-10m", &[Side::Ours])];

/// Runs the cases, or those that `only` names; each in a process of its own. False if one could not be measured.
pub(crate) fn run(only: &[String]) -> bool {
    let chosen = |case: &str| only.iter().any(|name| name == case);
    let always = CASES.iter().filter(|(case, _)| only.is_empty() || chosen(case));
    let asked = ON_REQUEST.iter().filter(|(case, _)| chosen(case));
    let mut whole = true;
    for (case, sides) in always.chain(asked) {
        for side in *sides {
            if let Err(error) = run_apart(case, *side) {
                eprintln!("bench: {case}: {}: not measured: {error}", side.name());
                whole = false;
            }
        }
    }
    for name in only {
        if !CASES.iter().chain(ON_REQUEST).any(|(case, _)| case == name) {
            eprintln!("bench: {name}: no such case");
            whole = false;
        }
    }
    whole
}

/// One case of one side in a process of its own; over TUN, in a network namespace of its own.
fn run_apart(case: &str, side: Side) -> io::Result<()> {
    let own = std::env::current_exe()?;
    let mut command = if case.contains("-tun-") {
        let mut command = Command::new("unshare");
        command.arg("--net").arg(own);
        command
    } else {
        Command::new(own)
    };
    let status = command.args(["stack", "--apart", case, "--side", side.name()]).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("the process that measures ended with an error"))
    }
}

/// The process of [`run_apart`].
pub(crate) fn measure(case: &str, side: Side) -> io::Result<()> {
    let mut report = Report::default();
    let mut say =
        |case: &str, value: f64, unit: &str, n: usize| report.figure(case, side, value, unit, n as u64);
    match (case, side) {
        ("idle-bytes" | "idle-bytes-v6" | "idle-bytes-10m", Side::Ours) => {
            let count = if case == "idle-bytes-10m" { 10_000_000 } else { IDLE };
            let (live, peak) = ours::idle(count, case == "idle-bytes-v6")?;
            say(case, live, "B", count);
            say(&format!("{case}-peak"), peak, "B", count);
        }
        ("idle-bytes" | "idle-bytes-v6" | "time-wait-bytes", Side::Smoltcp) => {
            say(case, smol::socket_bytes(), "B", smol::SOCKETS);
        }
        ("idle-bytes", Side::Kernel) => {
            let (bytes, count) = kernel::idle()?;
            say(case, bytes, "B", count);
        }
        ("time-wait-bytes", Side::Ours) => {
            let (bytes, count) = ours::time_wait()?;
            say(case, bytes, "B", count);
        }
        ("echo-1-ns" | "echo-1k-ns" | "echo-100k-ns" | "echo-1m-ns", _) => {
            let among = match case {
                "echo-1-ns" => 1,
                "echo-1k-ns" => 1_000,
                "echo-100k-ns" => 100_000,
                _ => 1_000_000,
            };
            let nanos = if side == Side::Ours { ours::echo(among)? } else { smol::echo(among)? };
            say(case, nanos, "ns", among);
        }
        ("conn-close-per-s", Side::Ours) => say(case, ours::open_and_close(0, 200_000)?, "1/s", 200_000),
        ("conn-close-1m-per-s", Side::Ours) => {
            say(case, ours::open_and_close(1 << 20, 200_000)?, "1/s", 200_000);
        }
        ("conn-close-per-s", Side::Smoltcp) => say(case, smol::open_and_close(2_000)?, "1/s", 2_000),
        ("conn-close-per-s", Side::Kernel) => say(case, kernel::open_and_close(10_000)?, "1/s", 10_000),
        ("goodput-mem-1500-gbit" | "goodput-mem-65535-gbit", _) => {
            let mtu = if case.contains("1500") { 1_500 } else { 65_535 };
            let gbit = if side == Side::Ours { goodput::ours(mtu)? } else { goodput::smoltcp(mtu)? };
            say(case, gbit, "Gbit/s", goodput::TOTAL);
        }
        ("goodput-tun-in-gbit" | "goodput-tun-out-gbit", _) => {
            let into = case.contains("-in-");
            let gbit = if side == Side::Ours { tunnel::ours(into)? } else { tunnel::smoltcp(into)? };
            say(case, gbit, "Gbit/s", tunnel::TOTAL);
        }
        _ => return Err(io::Error::other("this side cannot run the case")),
    }
    Ok(())
}
