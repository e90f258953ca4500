//! Chat: relayed messages between pairs over clear TCP: CPU a message with 10 and with 1 under way, messages a second,
//! and latency at a steady 1,000 a second, alone and beside people who never read what one writes to them; for ours the same again
//! with the archive on.
//! Units: microseconds of server CPU a message; messages a second; microseconds from due to received.

use std::io;
use std::time::Duration;

use crate::load::login::{SaltedPasswords, Wishes, log_in};
use crate::load::pairs::Pairs;
use crate::load::slow::Slow;
use crate::process::cpu_us;
use crate::report::{Report, Side};
use crate::sut::Sut;

/// How the load is shaped; the defaults are those of docs/benchmarks.md.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) pairs: u32,
    pub(crate) seconds: u64,
    pub(crate) rate: u32,
}

/// Messages that are exchanged before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// People who never read, of the last row. With the one who writes to them they stand behind the pairs.
const SLOW: u32 = 10;

pub(crate) fn run(side: Side, plan: Plan, report: &mut Report) -> io::Result<()> {
    let people = plan.pairs * 2 + SLOW + 1;
    measure(&Sut::start(side, people)?, "chat", side, plan, report)?;
    // The peers' archives commit nothing before they deliver, nor before they acknowledge.
    if side == Side::Ours {
        measure(&Sut::start_archiving(people)?, "chat-archived", side, plan, report)?;
    }
    Ok(())
}

fn measure(sut: &Sut, case: &str, side: Side, plan: Plan, report: &mut Report) -> io::Result<()> {
    let mut salted = SaltedPasswords::default();
    let wishes = Wishes { presence: true, stream_management: false };
    let mut sockets = Vec::new();
    for index in 0..plan.pairs {
        let (from, to) = (Sut::account(index * 2), Sut::account(index * 2 + 1));
        let sender = log_in(sut.address, &from, wishes, &mut salted)?;
        let receiver = log_in(sut.address, &to, wishes, &mut salted)?;
        sockets.push((sender, receiver, format!("{}@{}", to.name, to.domain)));
    }
    let mut pairs = Pairs::new(sockets)?;
    pairs.closed_loop(1, WARM_UP)?;
    let time = Duration::from_secs(plan.seconds);
    for window in [10, 1] {
        pairs.closed_loop(window, WARM_UP)?;
        let before = cpu_us(sut.pid)?;
        let outcome = pairs.closed_loop(window, time)?;
        let cpu = cpu_us(sut.pid)? - before;
        let n = outcome.messages;
        report.figure(&format!("{case}-cpu-{window}-us"), side, cpu / n as f64, "us", n);
        let rate = n as f64 / outcome.took.as_secs_f64();
        report.figure(&format!("{case}-rate-{window}"), side, rate, "1/s", n);
    }
    latency(&mut pairs, case, side, plan, report)?;
    let first = plan.pairs * 2;
    let writer = log_in(sut.address, &Sut::account(first), wishes, &mut salted)?;
    let mut readers = Vec::new();
    for index in first + 1..=first + SLOW {
        let reader = Sut::account(index);
        let socket = log_in(sut.address, &reader, wishes, &mut salted)?;
        readers.push((socket, format!("{}@{}", reader.name, reader.domain)));
    }
    let slow = Slow::start(writer, readers)?;
    latency(&mut pairs, &format!("{case}-beside-slow"), side, plan, report)?;
    report.figure(&format!("{case}-beside-slow-unread"), side, slow.end()? as f64, "messages", 1);
    Ok(())
}

fn latency(pairs: &mut Pairs, case: &str, side: Side, plan: Plan, report: &mut Report) -> io::Result<()> {
    let outcome = pairs.open_loop(plan.rate, u64::from(plan.rate) * plan.seconds)?;
    let mut latencies = outcome.latencies;
    latencies.sort_unstable();
    for (name, share) in [("p50", 0.50), ("p99", 0.99)] {
        let at = ((latencies.len() - 1) as f64 * share) as usize;
        let latency = latencies[at].as_secs_f64() * 1e6;
        report.figure(&format!("{case}-latency-{name}-us"), side, latency, "us", outcome.messages);
    }
    Ok(())
}
