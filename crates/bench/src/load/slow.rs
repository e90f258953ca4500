//! Slow: people who never read, and one who writes to them in turn, on a thread of its own.
//! Units: [`RATE`] messages a second of [`BODY_LEN`] octets: each reader falls behind by [`RATE`] x [`BODY_LEN`] / readers octets
//! a second.
//! Invariants: bounded in messages ([`MESSAGES_MAX`]); what the writer's socket does not take at once is not written, so a server
//! that stops reading the writer is not pressed; nothing is read on the readers' sockets, whose kernel buffers are small.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::line::Line;

const RATE: u64 = 400;
const BODY_LEN: usize = 8 * 1024;
const MESSAGES_MAX: u64 = 60_000;
/// Messages that are written together.
const BURST: u64 = 4;
/// What a reader's kernel takes before the server has to wait, in octets.
const RECEIVE_BUFFER: usize = 16 * 1024;

/// The writer's thread; it ends with this.
pub(crate) struct Slow {
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<io::Result<u64>>>,
    _readers: Vec<TcpStream>,
}

impl Slow {
    /// `readers`: each with its full address.
    pub(crate) fn start(writer: TcpStream, readers: Vec<(TcpStream, String)>) -> io::Result<Slow> {
        let (mut sockets, mut messages) = (Vec::new(), Vec::new());
        let body = "x".repeat(BODY_LEN);
        for (socket, to) in readers {
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
            sockets.push(socket);
            messages.push(format!("<message to='{to}' type='chat'><body>{body}</body></message>"));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let writer = std::thread::spawn(move || write(writer, &messages, &told));
        Ok(Slow { stop, writer: Some(writer), _readers: sockets })
    }

    /// Ends the writer; returns how many messages it has written.
    pub(crate) fn end(mut self) -> io::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let writer = self.writer.take().map(JoinHandle::join);
        writer
            .map_or(Ok(0), |written| written.unwrap_or_else(|_| Err(io::Error::other("the writer panicked"))))
    }
}

fn write(socket: TcpStream, messages: &[String], stop: &AtomicBool) -> io::Result<u64> {
    let mut line = Line::new(socket)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut written = 0;
    while written < MESSAGES_MAX && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_secs(1) * BURST as u32 / RATE as u32);
        // What a server says of those who do not read is not the load's business.
        line.drain(&mut buffer, |_| ())?;
        if line.flush()? {
            for _ in 0..BURST {
                line.queue(messages[written as usize % messages.len()].as_bytes());
                written += 1;
            }
            line.flush()?;
        }
    }
    Ok(written)
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
