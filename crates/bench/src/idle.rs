//! Idle: process memory of a session that has logged in and says nothing.
//! Units: bytes of the server's own memory (Pss) a session, the kernel's part of the sockets not included.

use std::io;

use crate::load::login::{SaltedPasswords, Wishes, log_in};
use crate::process::memory_bytes;
use crate::report::{Report, Side};
use crate::sut::Sut;

/// Sessions opened before the first reading, so that tables and pools have been made.
const WARM_UP: u32 = 200;

pub(crate) fn run(side: Side, sessions: u32, report: &mut Report) -> io::Result<()> {
    let sut = Sut::start(side, WARM_UP + sessions)?;
    let mut salted = SaltedPasswords::default();
    let wishes = Wishes { presence: true, stream_management: false };
    let mut held = Vec::new();
    let mut log_in_all = |range: std::ops::Range<u32>| -> io::Result<()> {
        for index in range {
            held.push(log_in(sut.address, &Sut::account(index), wishes, &mut salted)?);
        }
        Ok(())
    };
    log_in_all(0..WARM_UP)?;
    let before = memory_bytes(sut.pid)?;
    log_in_all(WARM_UP..WARM_UP + sessions)?;
    let grown = memory_bytes(sut.pid)?.saturating_sub(before);
    report.figure("idle-session-bytes", side, grown as f64 / f64::from(sessions), "B", u64::from(sessions));
    Ok(())
}
