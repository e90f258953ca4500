//! Networks: one exchange on the kernel's TCP, on our own, and over QUIC on each: an idle session all told, CPU a relayed message, CPU a
//! log-in. And very many sessions on our own stack, in this process.
//! Units: bytes a session; microseconds of server CPU; log-ins a second of one core that does nothing else.
//! Owns: which rows there are. Invariants: each network is measured in a network namespace of its own, by the same load. Over QUIC the
//! load is the project's own client, which counts a message once it is acknowledged (XEP-0198): that is a commit a message, so
//! such rows are named apart, and there is one over TCP with STARTTLS beside the one over QUIC.
//! Not here: the load over TCP (`load`), the crowd (`world::crowd`).

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use client::session::Account;
use client::{Connection, Options, Over, Server, Trust};
use world::crowd::Crowd;
use xmpp::address::AccountNumber;

use crate::churn::log_out;
use crate::load::login::{SaltedPasswords, Wishes, log_in};
use crate::load::pairs::Pairs;
use crate::process::{cpu_us, memory_bytes};
use crate::report::{Report, Side};
use crate::stack::kernel::slab_bytes;
use crate::sut::Sut;

/// How much of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Sessions of the rows of memory; over QUIC a tenth, since each of the load's has a socket and a thread's work of its own.
    pub(crate) sessions: u32,
    pub(crate) pairs: u32,
    pub(crate) seconds: u64,
    pub(crate) log_ins: u32,
}

/// Sessions and messages before anything is counted.
const WARM_UP: u32 = 100;
const SETTLE: Duration = Duration::from_secs(1);
/// Longest that the client's steps may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Both networks, each in a process and a network namespace of its own. False if one could not be measured.
pub(crate) fn run(plan: Plan) -> bool {
    let mut whole = true;
    for side in [Side::Kernel, Side::Ours] {
        if let Err(error) = run_apart(side, plan) {
            eprintln!("bench: networks: {}: not measured: {error}", side.name());
            whole = false;
        }
    }
    whole
}

fn run_apart(side: Side, plan: Plan) -> io::Result<()> {
    let Plan { sessions, pairs, seconds, log_ins } = plan;
    let own = std::env::current_exe()?;
    let script = "ip link set lo up && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script, "sh"]).arg(own).args(["networks", "--side", side.name()]);
    let numbers = [
        ("--idle", sessions.to_string()),
        ("--pairs", pairs.to_string()),
        ("--seconds", seconds.to_string()),
        ("--log-ins", log_ins.to_string()),
    ];
    for (name, value) in numbers {
        command.args([name, value.as_str()]);
    }
    if command.status()?.success() {
        Ok(())
    } else {
        Err(io::Error::other("the process that measures ended with an error (it needs root)"))
    }
}

/// The process of [`run_apart`].
pub(crate) fn measure(side: Side, plan: Plan) -> io::Result<()> {
    let stack = side == Side::Ours;
    let mut report = Report::default();
    over_tcp(side, stack, plan, &mut report)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(by_client(side, stack, plan, &mut report))
}

fn per_second(cpu_us: f64) -> f64 {
    1e6 / cpu_us
}

fn over_tcp(side: Side, stack: bool, plan: Plan, report: &mut Report) -> io::Result<()> {
    let sut = Sut::start_on(stack, (WARM_UP + plan.sessions).max(2 * plan.pairs))?;
    let mut salted = SaltedPasswords::default();
    let wishes = Wishes { presence: true, stream_management: false };

    let mut one = |index: u32| -> io::Result<()> {
        log_out(log_in(sut.address, &Sut::account(index), wishes, &mut salted)?)
    };
    (0..WARM_UP).try_for_each(&mut one)?;
    let before = cpu_us(sut.pid)?;
    (0..plan.log_ins).try_for_each(|index| one(index % WARM_UP))?;
    let cpu = (cpu_us(sut.pid)? - before) / f64::from(plan.log_ins);
    report.figure("tcp-login-cpu-us", side, cpu, "us", plan.log_ins.into());
    report.figure("tcp-logins-per-core-s", side, per_second(cpu), "1/s", plan.log_ins.into());

    let mut held = Vec::new();
    for index in 0..WARM_UP {
        held.push(log_in(sut.address, &Sut::account(index), wishes, &mut salted)?);
    }
    let (memory, slabs) = (memory_bytes(sut.pid)?, slab_bytes()?);
    for index in WARM_UP..WARM_UP + plan.sessions {
        held.push(log_in(sut.address, &Sut::account(index), wishes, &mut salted)?);
    }
    let sessions = f64::from(plan.sessions);
    let own = memory_bytes(sut.pid)?.saturating_sub(memory) as f64 / sessions;
    // Over loopback both ends are the kernel's; over a TUN its end is the load's.
    let kernel = if stack { 0.0 } else { (slab_bytes()? - slabs) / sessions / 2.0 };
    if kernel < 0.0 {
        return Err(io::Error::other("other work of the machine hid what the kernel's sockets take"));
    }
    report.figure("tcp-idle-session-bytes", side, own + kernel, "B", plan.sessions.into());
    report.figure("tcp-idle-session-process-bytes", side, own, "B", plan.sessions.into());
    drop(held);
    drop(sut);

    let sut = Sut::start_on(stack, 2 * plan.pairs)?;
    let mut sockets = Vec::new();
    for index in 0..plan.pairs {
        let (from, to) = (Sut::account(index * 2), Sut::account(index * 2 + 1));
        let sender = log_in(sut.address, &from, wishes, &mut salted)?;
        let receiver = log_in(sut.address, &to, wishes, &mut salted)?;
        sockets.push((sender, receiver, format!("{}@{}", to.name, to.domain)));
    }
    let mut pairs = Pairs::new(sockets)?;
    for window in [10, 1] {
        pairs.closed_loop(window, SETTLE)?;
        let before = cpu_us(sut.pid)?;
        let outcome = pairs.closed_loop(window, Duration::from_secs(plan.seconds))?;
        let cpu = cpu_us(sut.pid)? - before;
        let n = outcome.messages;
        report.figure(&format!("tcp-relay-cpu-{window}-us"), side, cpu / n as f64, "us", n);
    }
    Ok(())
}

async fn open(sut: &Sut, over: Over, index: u32) -> io::Result<Connection> {
    let address = match over {
        Over::Quic => sut.quic.ok_or_else(|| io::Error::other("the exchange has no QUIC"))?,
        _ => sut.address,
    };
    let account = Sut::account(index);
    let number = account.name.parse().ok().and_then(AccountNumber::new);
    let options = Options {
        account: Account {
            number: number.ok_or_else(|| io::Error::other("no number"))?,
            domain: account.domain,
            password: account.password,
            resource: None,
        },
        over,
        server: Server { host: address.ip().to_string(), port: Some(address.port()) },
        trust: Trust { insecure: true, ..Trust::default() },
        bind: None,
        timeout: PATIENCE,
    };
    let mut connection = Connection::open(options).await.map_err(io::Error::other)?;
    connection.be_available().await.map_err(io::Error::other)?;
    Ok(connection)
}

async fn by_client(side: Side, stack: bool, plan: Plan, report: &mut Report) -> io::Result<()> {
    let sessions = (plan.sessions / 10).max(2);
    let sut = Sut::start_on(stack, WARM_UP + sessions)?;
    relay_acknowledged(&sut, Over::Tcp, side, plan, report).await?;
    let mut held = Vec::new();
    for index in 0..WARM_UP {
        held.push(open(&sut, Over::Quic, index).await?);
    }
    let (memory, cpu) = (memory_bytes(sut.pid)?, cpu_us(sut.pid)?);
    for index in WARM_UP..WARM_UP + sessions {
        held.push(open(&sut, Over::Quic, index).await?);
    }
    let n = u64::from(sessions);
    let cpu = (cpu_us(sut.pid)? - cpu) / f64::from(sessions);
    report.figure("quic-login-cpu-us", side, cpu, "us", n);
    report.figure("quic-logins-per-core-s", side, per_second(cpu), "1/s", n);
    let grown = memory_bytes(sut.pid)?.saturating_sub(memory) as f64;
    report.figure("quic-idle-session-bytes", side, grown / f64::from(sessions), "B", n);
    drop(held);
    relay_acknowledged(&sut, Over::Quic, side, plan, report).await
}

/// One pair: its sender waits for each message's acknowledgement, its receiver takes what comes.
async fn relay_acknowledged(
    sut: &Sut,
    over: Over,
    side: Side,
    plan: Plan,
    report: &mut Report,
) -> io::Result<()> {
    let mut sender = open(sut, over, 0).await?;
    let mut receiver = open(sut, over, 1).await?;
    let to = Sut::account(1);
    let to = format!("{}@{}", to.name, to.domain);
    let body = "x".repeat(200);
    let (mut messages, mut before, mut end) = (0_u64, 0.0, Instant::now() + SETTLE);
    let mut counts = false;
    loop {
        let (sent, came) = tokio::join!(sender.send(&to, &body), receiver.next());
        sent.map_err(io::Error::other)?;
        let Some((serial, _)) = came.map_err(io::Error::other)? else {
            return Err(io::Error::other("the exchange closed"));
        };
        receiver.release(serial).await.map_err(io::Error::other)?;
        messages += u64::from(counts);
        if Instant::now() < end {
            continue;
        }
        if counts {
            break;
        }
        (counts, before, end) = (true, cpu_us(sut.pid)?, Instant::now() + Duration::from_secs(plan.seconds));
    }
    let cpu = cpu_us(sut.pid)? - before;
    let case = format!("{}-relay-acknowledged-cpu-us", if over == Over::Quic { "quic" } else { "tcp" });
    report.figure(&case, side, cpu / messages as f64, "us", messages);
    Ok(())
}

/// So many sessions on our own stack in this process: what each takes, and how fast they came.
pub(crate) fn crowd(sessions: usize) {
    let mut report = Report::default();
    for loops in [1, 2] {
        let warm = WARM_UP as usize * 10;
        let mut crowd = Crowd::new(loops, warm + sessions);
        crowd.log_in(0..warm);
        crowd.rest(SETTLE * 5);
        let before = crate::ALLOCATOR.allocated();
        let begun = Instant::now();
        crowd.log_in(warm..warm + sessions);
        let took = begun.elapsed();
        crowd.rest(SETTLE * 5);
        let each = crate::ALLOCATOR.allocated().saturating_sub(before) as f64 / sessions as f64;
        let n = sessions as u64;
        report.figure(&format!("crowd-session-bytes-{loops}-loops"), Side::Ours, each, "B", n);
        let rate = sessions as f64 / took.as_secs_f64();
        report.figure(&format!("crowd-logins-per-s-{loops}-loops"), Side::Ours, rate, "1/s", n);
    }
}
