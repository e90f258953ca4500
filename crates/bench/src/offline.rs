//! Offline: messages to people who are away, counted when the server has acknowledged them (XEP-0198).
//! Units: messages a second. The second row writes behind a long queue: a store that slows as queues grow shows there.
//! Not here: whether an acknowledged message survives a kill; the peers acknowledge before they have synced, ours after.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::load::login::{SaltedPasswords, Wishes, log_in};
use crate::report::{Report, Side};
use crate::sut::Sut;

/// Senders that write at once.
const SENDERS: u32 = 20;
/// Messages a sender writes before it asks for, and waits for, an acknowledgement.
const BATCH: u32 = 100;
const BODY_LEN: usize = 200;

pub(crate) fn run(side: Side, messages: u32, report: &mut Report) -> io::Result<()> {
    let sut = Sut::start(side, SENDERS * 2)?;
    let mut salted = SaltedPasswords::default();
    let wishes = Wishes { presence: false, stream_management: true };
    let mut senders = Vec::new();
    for index in 0..SENDERS {
        let socket = log_in(sut.address, &Sut::account(index), wishes, &mut salted)?;
        let away = Sut::account(SENDERS + index);
        senders.push((socket, format!("{}@{}", away.name, away.domain)));
    }
    let mut acknowledged = 0;
    for case in ["offline-stored", "offline-stored-long-queue"] {
        let start = Instant::now();
        acknowledged = write_all(&mut senders, acknowledged, messages / SENDERS)?;
        let took = start.elapsed().as_secs_f64();
        report.figure(case, side, f64::from(messages) / took, "1/s", u64::from(messages));
    }
    Ok(())
}

/// Each sender on a thread of its own, as people are; returns how many each has had acknowledged.
fn write_all(senders: &mut [(TcpStream, String)], already: u32, each: u32) -> io::Result<u32> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = senders
            .iter_mut()
            .map(|(socket, to)| scope.spawn(move || write_batches(socket, to, already, each)))
            .collect();
        let mut total = already;
        for thread in threads {
            total = thread.join().map_err(|_| io::Error::other("a sender panicked"))??;
        }
        Ok(total)
    })
}

fn write_batches(socket: &mut TcpStream, to: &str, already: u32, each: u32) -> io::Result<u32> {
    let body = "x".repeat(BODY_LEN);
    let message = format!("<message to='{to}' type='chat'><body>{body}</body></message>");
    let mut batch = message.repeat(BATCH as usize);
    batch.push_str("<r xmlns='urn:xmpp:sm:3'/>");
    let mut total = already;
    while total < already + each {
        socket.write_all(batch.as_bytes())?;
        total += BATCH;
        wait_for_h(socket, total)?;
    }
    Ok(total)
}

/// Reads until the server has said `<a h='...'/>` with at least `wanted`.
fn wait_for_h(socket: &mut TcpStream, wanted: u32) -> io::Result<()> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let n = socket.read(&mut buffer)?;
        if n == 0 {
            return Err(io::Error::other(format!("the server closed: {text}")));
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
        if text.contains("type='error'") || text.contains("type=\"error\"") {
            return Err(io::Error::other(format!("the server refused a message: {text}")));
        }
        let newest = text.match_indices("h=").filter_map(|(at, _)| leading_number(&text[at + 3..])).last();
        if newest.is_some_and(|h| h >= wanted) {
            return Ok(());
        }
    }
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    text[..end].parse().ok()
}
