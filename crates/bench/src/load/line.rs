//! Line: one logged-in connection of the load, non-blocking: a queue of bytes to write, a count of what came.
//! Owns: the socket and what it could not take yet.
//! Invariants: stanzas are counted by their end tags, also when a tag is cut between two reads.
//! Not here: XML. The load trusts the server it measures; checking is the interop tests' work.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

/// Longest end tag that is counted.
const END_TAG_MAX: usize = 16;

/// Counts an end tag in a stream that comes in pieces.
#[derive(Debug)]
pub(crate) struct TagCounter {
    tag: &'static [u8],
    tail: Vec<u8>,
}

impl TagCounter {
    pub(crate) fn new(tag: &'static str) -> TagCounter {
        debug_assert!(tag.len() <= END_TAG_MAX);
        TagCounter { tag: tag.as_bytes(), tail: Vec::with_capacity(END_TAG_MAX * 2) }
    }

    /// How many tags end within `bytes`, those that began in earlier pieces included.
    pub(crate) fn count(&mut self, bytes: &[u8]) -> u64 {
        let overlap = self.tag.len() - 1;
        let seam_end = bytes.len().min(overlap);
        let from_before = self.tail.len();
        self.tail.extend_from_slice(&bytes[..seam_end]);
        // A tag that lies in both pieces begins before the seam and ends behind it.
        let mut found =
            self.tail.windows(self.tag.len()).take(from_before).filter(|w| *w == self.tag).count();
        found += memchr_count(bytes, self.tag);
        if bytes.len() >= overlap {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - overlap..]);
        } else {
            let surplus = self.tail.len().saturating_sub(overlap);
            self.tail.drain(..surplus);
        }
        found as u64
    }
}

fn memchr_count(bytes: &[u8], tag: &[u8]) -> usize {
    let mut found = 0;
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|b| *b == tag[0]) {
        at += next;
        if bytes[at..].starts_with(tag) {
            found += 1;
            at += tag.len();
        } else {
            at += 1;
        }
    }
    found
}

/// A connection of the load.
pub(crate) struct Line {
    pub(crate) socket: TcpStream,
    unsent: Vec<u8>,
    sent: usize,
}

impl Line {
    pub(crate) fn new(socket: std::net::TcpStream) -> io::Result<Line> {
        socket.set_nonblocking(true)?;
        Ok(Line { socket: TcpStream::from_std(socket), unsent: Vec::new(), sent: 0 })
    }

    /// Adds bytes to what is to be written; `flush` writes them.
    pub(crate) fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Writes what the socket takes; whether that was all.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.sent < self.unsent.len() {
            match self.socket.write(&self.unsent[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        self.unsent.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Reads everything that is there and hands each piece to `seen`.
    pub(crate) fn drain(&mut self, buffer: &mut [u8], mut seen: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed")),
                Ok(n) => seen(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_counted_however_the_stream_is_cut() {
        let stream = b"<message></message><message>x</message></messag</message>";
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let mut counter = TagCounter::new("</message>");
                let found = counter.count(&stream[..first])
                    + counter.count(&stream[first..second])
                    + counter.count(&stream[second..]);
                assert_eq!(found, 3, "cut at {first} and {second}");
            }
        }
        let mut counter = TagCounter::new("</message>");
        assert_eq!(stream.iter().map(|b| counter.count(&[*b])).sum::<u64>(), 3, "byte by byte");
    }
}
