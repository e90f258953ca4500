//! Two queues of packets that the stack built itself: control packets waiting for a sink, and packets to ourselves.
//! Owns: the packets, and spare buffers for the next ones. Invariants: held bytes never exceed the bound of each queue; what does
//! not fit is refused, and the caller counts it.
//! Not here: packets that wait for a neighbour (`neighbor::table`), data of sockets (each socket's own queue).

use crate::frame::InterfaceId;
use std::collections::VecDeque;
use wire::ethernet::{EtherType, MacAddr};

/// Spare buffers kept, at most; more than that go back to the allocator.
const SPARES_MAX: usize = 256;

/// A packet without its link header, ready but for a sink.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ControlPacket {
    pub(crate) interface: InterfaceId,
    /// Where it goes on an Ethernet link; `None` on others.
    pub(crate) link: Option<MacAddr>,
    pub(crate) ethertype: EtherType,
    pub(crate) bytes: Vec<u8>,
}

/// Control packets, oldest first.
#[derive(Debug)]
pub(crate) struct ControlQueue {
    packets: VecDeque<ControlPacket>,
    bytes: usize,
    bytes_max: usize,
    spares: Vec<Vec<u8>>,
}

/// What each packet is reckoned at beyond its octets.
const PACKET_COST: usize = 64;

impl ControlQueue {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { packets: VecDeque::new(), bytes: 0, bytes_max, spares: Vec::new() }
    }

    /// A buffer of `len` zero octets, warm if possible.
    pub(crate) fn buffer(&mut self, len: usize) -> Vec<u8> {
        let mut buffer = self.spares.pop().unwrap_or_default();
        buffer.clear();
        buffer.resize(len, 0);
        buffer
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spares.len() < SPARES_MAX {
            self.spares.push(buffer);
        }
    }

    /// Whether packets of `bytes` octets in all would be taken now.
    pub(crate) fn has_room(&self, packets: usize, bytes: usize) -> bool {
        self.bytes + bytes + packets * PACKET_COST <= self.bytes_max
    }

    /// Queues a packet; a refused one comes back.
    pub(crate) fn push(&mut self, packet: ControlPacket) -> Result<(), ControlPacket> {
        if !self.has_room(1, packet.bytes.len()) {
            return Err(packet);
        }
        self.bytes += packet.bytes.len() + PACKET_COST;
        self.packets.push_back(packet);
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<ControlPacket> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.bytes.len() + PACKET_COST;
        Some(packet)
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

/// Packets from us to us.
#[derive(Debug)]
pub(crate) struct LoopbackQueue {
    packets: VecDeque<Vec<u8>>,
    bytes: usize,
    bytes_max: usize,
    spares: Vec<Vec<u8>>,
}

impl LoopbackQueue {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { packets: VecDeque::new(), bytes: 0, bytes_max, spares: Vec::new() }
    }

    /// Whether a packet of `len` octets would be taken now.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.bytes + len + PACKET_COST <= self.bytes_max
    }

    /// A buffer of `len` octets of garbage or zeros.
    pub(crate) fn buffer(&mut self, len: usize) -> Vec<u8> {
        let mut buffer = self.spares.pop().unwrap_or_default();
        if buffer.len() < len {
            buffer.resize(len, 0);
        } else {
            buffer.truncate(len);
        }
        buffer
    }

    /// Queues a packet for which there is room.
    pub(crate) fn push(&mut self, packet: Vec<u8>) {
        self.bytes += packet.len() + PACKET_COST;
        self.packets.push_back(packet);
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.len() + PACKET_COST;
        Some(packet)
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spares.len() < SPARES_MAX {
            self.spares.push(buffer);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

#[cfg(test)]
mod tests;
