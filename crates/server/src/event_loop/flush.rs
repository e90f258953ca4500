//! Bytes out: from the sessions' outboxes through WebSocket frames and TLS records to the socket or the stream, once a
//! connection and turn.
//! Invariants: a connection is written to until it takes no more; what it did not take stays in the outbox, whose size
//! the session bounds; a buffer goes back to its pool once it is empty.
//! Not here: when a connection is closed (`closing`).

use std::io::{self, IoSlice, Write};

use super::EventLoop;
use crate::connection::{Connection, Line, Stage};
use crate::network::{Network, SocketId};
use framing::websocket;

/// Octets given to TLS at a time: one record.
const RECORD: usize = 16 * 1024;

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// All is out.
    All,
    /// The line is full; its readiness tells when to go on.
    Full,
    /// The line is broken.
    Broken,
}

/// A socket as something that rustls can write to.
struct Socket<'n> {
    network: &'n mut dyn Network,
    socket: SocketId,
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.network.send_vectored(self.socket, &[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.network.send_vectored(self.socket, buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl EventLoop {
    /// Writes to every connection that has something to be written, and sets its timer.
    pub(super) fn flush_dirty(&mut self) {
        // Flushing can mark others (an ended session's contacts are told), so a few rounds; what is left waits a turn.
        for _ in 0..4 {
            let mut dirty = self.lines.take_dirty();
            if dirty.is_empty() {
                self.lines.give_back_dirty(dirty);
                return;
            }
            for slot in dirty.drain(..) {
                let Some(connection) = self.lines.get_mut(slot) else { continue };
                connection.flags.in_dirty = false;
                self.note_count(slot);
                self.flush(slot);
                if self.lines.get_mut(slot).is_some_and(|connection| connection.flags.moving) {
                    self.send_home(slot);
                } else {
                    self.arm(slot);
                }
            }
            self.lines.give_back_dirty(dirty);
        }
    }

    /// Writes what waits, and closes what is done.
    pub(super) fn flush(&mut self, slot: usize) {
        let Some((connection, pools)) = self.lines.with_pools(slot) else { return };
        if connection.flags.write_blocked {
            return;
        }
        let most = connection.outbox.as_ref().map_or(0, |outbox| outbox.len());
        make_frames(connection);
        if matches!(connection.stage, Stage::Closing) && !connection.flags.finished {
            say_goodbye(connection);
        }
        let written = write_out(connection, &mut self.networks, &mut self.endpoints);
        let left = connection.outbox.as_ref().map_or(0, |outbox| outbox.len());
        self.counts.octets_out += most.saturating_sub(left) as u64;
        if let Some(outbox) = connection.outbox.take_if(|outbox| outbox.is_empty()) {
            pools.give_back(outbox, most);
        }
        connection.flags.write_blocked = written == Written::Full;
        match written {
            Written::Broken => self.on_broken(slot),
            Written::All => self.close_if_done(slot),
            Written::Full => {}
        }
    }
}

/// Messages become frames, as soon as the frames before them are out.
fn make_frames(connection: &mut Connection) {
    if let (Some(socket), Some(outbox)) = (&mut connection.websocket, &mut connection.outbox)
        && socket.frames.is_empty()
        && !outbox.is_empty()
    {
        for message in outbox.messages() {
            if !socket.close_sent {
                websocket::write_message(message, &mut socket.frames);
            }
        }
        outbox.clear();
    }
}

/// The last words of each carrier, to leave in one write with the stream's own: a client that closes as soon as it has
/// read those would answer anything later with a reset.
fn say_goodbye(connection: &mut Connection) {
    if let Some(socket) = &mut connection.websocket {
        if connection.outbox.as_ref().is_some_and(|outbox| !outbox.is_empty()) {
            // Frames before them are still on their way.
            return;
        }
        if !std::mem::replace(&mut socket.close_sent, true) {
            websocket::write_close(websocket::CloseCode::Normal, &mut socket.frames);
        }
    }
    // RFC 8446 6.1; it follows what waits.
    connection.flags.close_notify_due = connection.tls.is_some();
    connection.flags.finished = true;
}

fn write_out(
    connection: &mut Connection,
    networks: &mut [Box<dyn Network>],
    endpoints: &mut [super::Endpoint],
) -> Written {
    match connection.line {
        Line::Stream { network, socket } => {
            let Some(network) = networks.get_mut(usize::from(network)) else { return Written::Broken };
            write_socket(connection, &mut **network, socket)
        }
        Line::Quic { endpoint, name } => {
            let Some(endpoint) = endpoints.get_mut(usize::from(endpoint)) else { return Written::Broken };
            while let Some(outbox) = connection.outbox.as_mut().filter(|outbox| !outbox.is_empty()) {
                match endpoint.quic.write(name, outbox.bytes()) {
                    Ok(0) => return Written::Full,
                    Ok(count) => outbox.consume(count),
                    Err(()) => return Written::Broken,
                }
            }
            if connection.flags.finished {
                endpoint.quic.finish(name);
            }
            Written::All
        }
        Line::Moving => Written::All,
    }
}

fn write_socket(connection: &mut Connection, network: &mut dyn Network, socket: SocketId) -> Written {
    if let Some(bytes) = &mut connection.before_tls {
        match send(network, socket, bytes) {
            (count, Written::All) => debug_assert_eq!(count, bytes.len()),
            (count, other) => {
                bytes.drain(..count);
                return other;
            }
        }
        connection.before_tls = None;
    }
    let Connection { tls, websocket, outbox, flags, .. } = connection;
    let Some(tls) = tls else {
        return match (websocket, outbox) {
            (Some(websocket), _) => {
                let (count, written) = send(network, socket, &websocket.frames);
                consume_frames(&mut websocket.frames, count);
                written
            }
            (None, Some(outbox)) => {
                let (count, written) = send(network, socket, outbox.bytes());
                if count > 0 {
                    outbox.consume(count);
                }
                written
            }
            (None, None) => Written::All,
        };
    };
    loop {
        if !tls.wants_write() && !tls.is_handshaking() {
            // A record at a time, so that what waits, waits where the session counts it.
            let waiting = match (&websocket, &outbox) {
                (Some(websocket), _) => &websocket.frames[..],
                (None, Some(outbox)) => outbox.bytes(),
                (None, None) => &[],
            };
            let count = waiting.len().min(RECORD);
            let last = count == waiting.len();
            if count > 0 {
                tls.encrypt(&waiting[..count]);
                match (&mut *websocket, &mut *outbox) {
                    (Some(websocket), _) => consume_frames(&mut websocket.frames, count),
                    (None, Some(outbox)) => outbox.consume(count),
                    (None, None) => {}
                }
            }
            if last && std::mem::take(&mut flags.close_notify_due) {
                tls.send_close_notify();
            }
        }
        if !tls.wants_write() {
            return Written::All;
        }
        while tls.wants_write() {
            match tls.write_to(&mut Socket { network, socket }) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Full,
                Err(_) => return Written::Broken,
            }
        }
    }
}

fn consume_frames(frames: &mut Vec<u8>, count: usize) {
    if count == frames.len() {
        // Frames are short-lived: an idle connection holds none.
        *frames = Vec::new();
    } else {
        frames.drain(..count);
    }
}

/// Sends until all is out or the line takes no more.
fn send(network: &mut dyn Network, socket: SocketId, bytes: &[u8]) -> (usize, Written) {
    let mut sent = 0;
    while sent < bytes.len() {
        match network.send_vectored(socket, &[IoSlice::new(&bytes[sent..])]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (sent, Written::Full),
            Err(_) => return (sent, Written::Broken),
        }
    }
    (sent, Written::All)
}
