//! Churn: whole log-ins (SCRAM) and polite log-outs: server CPU a log-in, and the TIME-WAIT they leave on its port.
//! Units: microseconds of server CPU a log-in; sockets.
//! Invariants: the client follows RFC 6120 4.4: it ends its stream, waits for the server's end, then closes.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::load::login::{SaltedPasswords, Wishes, log_in};
use crate::process::{cpu_us, time_wait_on_port};
use crate::report::{Report, Side};
use crate::sut::Sut;

/// Accounts that take turns.
const ACCOUNTS: u32 = 50;

pub(crate) fn run(side: Side, log_ins: u32, report: &mut Report) -> io::Result<()> {
    let sut = Sut::start(side, ACCOUNTS)?;
    let mut salted = SaltedPasswords::default();
    let wishes = Wishes { presence: true, stream_management: false };
    let mut one = |index: u32| -> io::Result<()> {
        log_out(log_in(sut.address, &Sut::account(index % ACCOUNTS), wishes, &mut salted)?)
    };
    for index in 0..ACCOUNTS {
        one(index)?;
    }
    let waiting_before = time_wait_on_port(sut.address.port())?;
    let before = cpu_us(sut.pid)?;
    for index in 0..log_ins {
        one(index)?;
    }
    let cpu = cpu_us(sut.pid)? - before;
    let n = u64::from(log_ins);
    report.figure("login-cpu-us", side, cpu / n as f64, "us", n);
    let waiting = time_wait_on_port(sut.address.port())?.saturating_sub(waiting_before);
    report.figure("time-wait-left", side, waiting as f64, "count", n);
    Ok(())
}

/// Ends a stream politely: the server's end is awaited.
pub(crate) fn log_out(mut socket: TcpStream) -> io::Result<()> {
    socket.write_all(b"</stream:stream>")?;
    let mut text = Vec::new();
    let mut buffer = [0; 2048];
    while !text.windows(16).any(|w| w == b"</stream:stream>") {
        match socket.read(&mut buffer)? {
            0 => return Ok(()),
            n => text.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(())
}
