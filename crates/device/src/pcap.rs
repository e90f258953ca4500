//! Pcap: a device that writes down what passes through another, and a device that plays a capture.
//!
//! Spec: pcapng (draft-ietf-opsawg-pcapng), pcap (draft-ietf-opsawg-pcap); link types `RAW` (101) and `ETHERNET` (1).
//! Owns: the writer. Units: times in nanoseconds, which the interface block says (`if_tsresol` 9).
//! Invariants: the inner device cannot tell; a frame is written as it passed, super-packets too; when writing fails, frames
//! still pass and the failure is kept.
//! Not here: reading captures for people (`ladder`).

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness};
use wire::meta::{Capabilities, FrameBatch, FrameSink, Medium, Nanos, RxFrame, RxMeta};

use crate::memory::Sink;
use crate::{Device, Dropped};

/// Longest frame that a capture holds: a super-packet with its link header.
const SNAP_LEN: u32 = 262_144;

/// Writes down what passes through a device.
pub struct Capture<D, W: Write> {
    inner: D,
    writer: PcapNgWriter<W>,
    sink: Sink,
    failure: Option<io::Error>,
}

impl<D: Device, W: Write> Capture<D, W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// The writer refuses the header.
    pub fn new(inner: D, writer: W) -> io::Result<Capture<D, W>> {
        let mut writer =
            PcapNgWriter::with_endianness(writer, Endianness::Little).map_err(io::Error::other)?;
        let link = match inner.capabilities().medium {
            Medium::Ip => DataLink::RAW,
            Medium::Ethernet => DataLink::ETHERNET,
        };
        let mut interface = InterfaceDescriptionBlock::new(link, SNAP_LEN);
        // Nanoseconds: the times are 10^-9 seconds.
        interface.options.push(InterfaceDescriptionOption::IfTsResol(9));
        writer.write_pcapng_block(interface).map_err(io::Error::other)?;
        Ok(Capture { inner, writer, sink: Sink::default(), failure: None })
    }

    /// Why the capture stopped, if it did.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// The device and the writer, flushed.
    ///
    /// # Errors
    /// The writer cannot be flushed.
    pub fn into_parts(mut self) -> io::Result<(D, W)> {
        self.writer.get_mut().flush()?;
        Ok((self.inner, self.writer.into_inner()))
    }
}

fn note<W: Write>(writer: &mut PcapNgWriter<W>, failure: &mut Option<io::Error>, now: Nanos, frame: &[u8]) {
    if failure.is_some() {
        return;
    }
    let block = EnhancedPacketBlock {
        interface_id: 0,
        timestamp: Duration::from_nanos(now.0),
        original_len: frame.len() as u32,
        data: Cow::Borrowed(frame),
        options: Vec::new(),
    };
    if let Err(error) = writer.write_pcapng_block(block) {
        *failure = Some(io::Error::other(error));
    }
}

impl<D: Device, W: Write> Device for Capture<D, W> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn receive(&mut self, now: Nanos, queue: u16, frames_max: usize) -> io::Result<&dyn FrameBatch> {
        let batch = self.inner.receive(now, queue, frames_max)?;
        for index in 0..batch.len() {
            note(&mut self.writer, &mut self.failure, now, batch.frame(index).bytes);
        }
        Ok(batch)
    }

    fn transmit(&mut self, _now: Nanos, _queue: u16) -> &mut dyn FrameSink {
        &mut self.sink
    }

    fn flush(&mut self, now: Nanos, queue: u16) -> io::Result<()> {
        let inner = self.inner.transmit(now, queue);
        for (frame, meta) in &self.sink.ready {
            note(&mut self.writer, &mut self.failure, now, frame);
            if let Some(room) = inner.reserve(frame.len()) {
                room.copy_from_slice(frame);
                inner.commit(frame.len(), *meta);
            }
        }
        self.sink.recycle();
        self.inner.flush(now, queue)
    }

    fn next_deadline(&self) -> Option<Nanos> {
        self.inner.next_deadline()
    }

    fn descriptor(&self, queue: u16) -> Option<BorrowedFd<'_>> {
        self.inner.descriptor(queue)
    }

    fn dropped(&self) -> Dropped {
        self.inner.dropped()
    }
}

/// Plays a classic pcap file: each frame arrives when it did, counted from the first; what is sent goes nowhere.
pub struct Replay<R: Read> {
    reader: PcapReader<R>,
    capabilities: Capabilities,
    start: Option<Duration>,
    next: Option<(Nanos, Vec<u8>)>,
    batch: Vec<Vec<u8>>,
    sink: Sink,
}

impl<R: Read> Replay<R> {
    /// Opens a capture.
    ///
    /// # Errors
    /// It is no pcap file, or its frames are neither Ethernet nor bare IP.
    pub fn new(reader: R) -> io::Result<Replay<R>> {
        let reader =
            PcapReader::new(reader).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
        let medium = match reader.header().datalink {
            DataLink::ETHERNET => Medium::Ethernet,
            DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => Medium::Ip,
            other => {
                let reason = format!("frames of link type {other:?} are not understood");
                return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
            }
        };
        let capabilities = Capabilities { medium, gro_max: SNAP_LEN, ..Capabilities::default() };
        let mut replay = Replay {
            reader,
            capabilities,
            start: None,
            next: None,
            batch: Vec::new(),
            sink: Sink::default(),
        };
        replay.advance()?;
        Ok(replay)
    }

    fn advance(&mut self) -> io::Result<()> {
        self.next = match self.reader.next_packet() {
            None => None,
            Some(Ok(packet)) => {
                let start = *self.start.get_or_insert(packet.timestamp);
                let at = Nanos(0).after(packet.timestamp.saturating_sub(start));
                Some((at, packet.data.into_owned()))
            }
            Some(Err(error)) => {
                self.next = None;
                return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string()));
            }
        };
        Ok(())
    }
}

impl<R: Read> Device for Replay<R> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, now: Nanos, _queue: u16, frames_max: usize) -> io::Result<&dyn FrameBatch> {
        self.batch.clear();
        while self.batch.len() < frames_max && self.next.as_ref().is_some_and(|(at, _)| *at <= now) {
            self.batch.extend(self.next.take().map(|(_, frame)| frame));
            self.advance()?;
        }
        Ok(self)
    }

    fn transmit(&mut self, _now: Nanos, _queue: u16) -> &mut dyn FrameSink {
        &mut self.sink
    }

    fn flush(&mut self, _now: Nanos, _queue: u16) -> io::Result<()> {
        self.sink.recycle();
        Ok(())
    }

    fn next_deadline(&self) -> Option<Nanos> {
        self.next.as_ref().map(|(at, _)| *at)
    }
}

impl<R: Read> FrameBatch for Replay<R> {
    fn len(&self) -> usize {
        self.batch.len()
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        RxFrame { bytes: &self.batch[index], meta: RxMeta::default() }
    }
}

#[cfg(test)]
mod tests;
