//! Captures: packets out of a file, one after the other, in place.
//! Spec: pcap (draft-ietf-opsawg-pcap) in both byte orders, micro- and nanoseconds; pcapng (draft-ietf-opsawg-pcapng).
//! Owns: one buffer, which is filled from the reader and read where it lies. Invariants: nothing is allocated a packet; the buffer grows
//! to [`BUFFER_MAX`] at most, and a block that is longer is a break; a broken capture gives what is before the break, then says where
//! and why.
//! Not here: what is in a packet (`dissect`).

mod pcap;
mod pcapng;

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

/// How much is read at a time.
const BUFFER: usize = 1 << 20;
/// The longest record or block: a packet of 256 KiB, several times over.
pub const BUFFER_MAX: usize = 16 << 20;
/// Interfaces of one section, at most.
pub const INTERFACES_MAX: usize = 4096;

/// What compressed files begin with: people keep captures so.
const COMPRESSED: [(&[u8], &str); 4] = [
    (&[0x1f, 0x8b], "gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0xfd, b'7', b'z', b'X'], "xz"),
    (b"BZh", "bzip2"),
];

/// What packets of an interface start with: the numbers of the registry of link types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkType {
    /// A family in the capturing host's byte order (0), or always big endian (108).
    Null,
    /// An Ethernet header (1).
    Ethernet,
    /// An IP header (101; 12 and 14 on some systems; 228 and 229 for one version only).
    Raw,
    /// Linux "cooked", version 1 (113).
    LinuxSll,
    /// Linux "cooked", version 2 (276).
    LinuxSll2,
    /// Any other: its packets are counted, not read.
    Other(u16),
}

impl LinkType {
    /// By its number; the upper bits of a pcap header's field mean something else.
    #[must_use]
    pub const fn from_number(number: u32) -> LinkType {
        match number & 0xffff {
            0 | 108 => LinkType::Null,
            1 => LinkType::Ethernet,
            12 | 14 | 101 | 228 | 229 => LinkType::Raw,
            113 => LinkType::LinuxSll,
            276 => LinkType::LinuxSll2,
            other => LinkType::Other(other as u16),
        }
    }
}

/// A packet as it lies in the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was seen, since the epoch of the capture.
    pub time: Duration,
    /// What it begins with.
    pub link: LinkType,
    /// What was kept of it.
    pub bytes: &'a [u8],
    /// How long it was.
    pub original_len: u32,
}

/// Why a capture ends before its end.
#[derive(Debug)]
pub struct Break {
    /// Octets before it.
    pub offset: u64,
    /// Packets before it.
    pub packets: u64,
    /// What is wrong.
    pub why: BreakReason,
}

/// What is wrong with a capture.
#[derive(Debug)]
pub enum BreakReason {
    /// The file ends within a record.
    Cut,
    /// There is nothing in it.
    Empty,
    /// It is compressed, and by what.
    Compressed(&'static str),
    /// It does not begin as a capture does.
    NotACapture,
    /// A record says that it is longer than any can be.
    TooLong(u64),
    /// A block's two lengths differ, or its parts do not fit into it.
    Inconsistent,
    /// A packet of an interface that was never described.
    UnknownInterface(u32),
    /// More interfaces than [`INTERFACES_MAX`].
    TooManyInterfaces,
    /// Reading failed.
    Io(io::Error),
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            BreakReason::Empty => return f.write_str("this is no capture: it is empty"),
            BreakReason::Compressed(by) => {
                return write!(f, "this is compressed by {by}: it must be decompressed first");
            }
            BreakReason::NotACapture => {
                return f.write_str("this is no capture: it begins neither as pcap nor as pcapng does");
            }
            BreakReason::Cut => write!(f, "the capture ends within a packet")?,
            BreakReason::TooLong(len) => write!(f, "the capture is broken: a record claims {len} bytes")?,
            BreakReason::Inconsistent => f.write_str("the capture is broken: a block contradicts itself")?,
            BreakReason::UnknownInterface(id) => {
                write!(f, "the capture is broken: a packet of interface {id}, which it does not describe")?;
            }
            BreakReason::TooManyInterfaces => {
                write!(f, "the capture has more than {INTERFACES_MAX} interfaces")?;
            }
            BreakReason::Io(error) => write!(f, "reading the capture failed: {error}")?,
        }
        write!(f, " (after {} packets, at byte {})", self.packets, self.offset)
    }
}

impl std::error::Error for Break {}

/// Which format, and its state.
#[derive(Debug)]
enum Kind {
    Pcap(pcap::Header),
    PcapNg(pcapng::Section),
}

/// A capture that is being read.
#[derive(Debug)]
pub struct Capture<R> {
    source: Source<R>,
    kind: Option<Kind>,
    packets: u64,
    broken: bool,
}

/// The reader and its buffer.
#[derive(Debug)]
struct Source<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Octets before `start`.
    offset: u64,
}

impl<R: Read> Source<R> {
    /// The next `len` octets, if there are so many; they stay until they are [taken](Source::take).
    #[inline]
    fn peek(&mut self, len: usize) -> Result<Option<&[u8]>, BreakReason> {
        if self.end - self.start < len && !self.fill(len)? {
            return Ok(None);
        }
        Ok(Some(&self.buffer[self.start..self.start + len]))
    }

    #[inline]
    fn take(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }

    /// What there is, if less was there than asked for.
    fn left(&self) -> usize {
        self.end - self.start
    }

    #[cold]
    fn fill(&mut self, len: usize) -> Result<bool, BreakReason> {
        if len > BUFFER_MAX {
            return Err(BreakReason::TooLong(len as u64));
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < len {
            self.buffer.resize(len.next_power_of_two(), 0);
        }
        // Only as much as must be: whoever follows a capture that grows wants what is there now.
        while self.end < len {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BreakReason::Io(error)),
            }
        }
        Ok(true)
    }
}

impl<R: Read> Capture<R> {
    /// Begins with whatever `reader` gives; nothing is read yet.
    pub fn new(reader: R) -> Capture<R> {
        let source = Source { reader, buffer: vec![0; BUFFER], start: 0, end: 0, offset: 0 };
        Capture { source, kind: None, packets: 0, broken: false }
    }

    /// Packets so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Octets so far.
    pub fn offset(&self) -> u64 {
        self.source.offset
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    /// The capture is cut or broken here. It is over then: the next call says `None`.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, Break> {
        if self.broken {
            return Ok(None);
        }
        // Found first as a place, since a borrow of the buffer cannot be given back and lent again.
        match self.find() {
            Ok(None) => Ok(None),
            Ok(Some(found)) => {
                self.packets += 1;
                let bytes = &self.source.buffer[found.start..found.start + found.len];
                Ok(Some(Record {
                    time: found.time,
                    link: found.link,
                    bytes,
                    original_len: found.original_len,
                }))
            }
            Err(why) => {
                self.broken = true;
                Err(Break { offset: self.source.offset, packets: self.packets, why })
            }
        }
    }

    #[inline]
    fn find(&mut self) -> Result<Option<Found>, BreakReason> {
        loop {
            match &mut self.kind {
                Some(Kind::Pcap(header)) => return header.next(&mut self.source),
                Some(Kind::PcapNg(section)) => return section.next(&mut self.source),
                None => {
                    self.kind = Some(begin(&mut self.source)?);
                }
            }
        }
    }
}

/// Where a packet lies in the buffer.
#[derive(Debug, Clone, Copy)]
struct Found {
    time: Duration,
    link: LinkType,
    start: usize,
    len: usize,
    original_len: u32,
}

fn begin<R: Read>(source: &mut Source<R>) -> Result<Kind, BreakReason> {
    let Some(magic) = source.peek(4)?.and_then(|bytes| bytes.first_chunk().copied()) else {
        return Err(if source.left() == 0 { BreakReason::Empty } else { BreakReason::NotACapture });
    };
    if let Some((_, by)) = COMPRESSED.iter().find(|(begins, _)| magic.starts_with(begins)) {
        return Err(BreakReason::Compressed(by));
    }
    if magic == pcapng::SECTION_HEADER {
        return Ok(Kind::PcapNg(pcapng::Section::default()));
    }
    let header = pcap::Header::begin(source, magic)?;
    header.map(Kind::Pcap).ok_or(BreakReason::NotACapture)
}

/// Numbers of either byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    /// The number at `at`, which is within `bytes`.
    #[inline]
    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let octets = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        match self {
            Order::Little => u32::from_le_bytes(octets),
            Order::Big => u32::from_be_bytes(octets),
        }
    }

    /// Likewise.
    #[inline]
    fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let octets = [bytes[at], bytes[at + 1]];
        match self {
            Order::Little => u16::from_le_bytes(octets),
            Order::Big => u16::from_be_bytes(octets),
        }
    }
}

#[cfg(test)]
mod tests;
