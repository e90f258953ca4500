//! Tun and tap: a network interface of the Linux kernel whose other end is this process.
//!
//! Spec: Linux `Documentation/networking/tuntap.rst`; virtio 1.2 section 5.1.6 (`virtio_net_hdr`).
//! Owns: the descriptors (one a queue), the buffers that frames lie in, the interface while it is open.
//! Invariants: an interface is ours alone; with offload every frame has a `virtio_net_hdr` before it; a frame that the kernel will not take is dropped
//! and counted; nothing blocks.
//! Not here: system calls (`sys`).

mod sys;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use wire::meta::{Capabilities, FrameBatch, FrameSink, Gso, GsoKind, Medium, Nanos, RxFrame, RxMeta, TxMeta};

use crate::{Device, Dropped};
pub use sys::Kind;

/// Octets of a `virtio_net_hdr` without the field for merged buffers.
const HEADER_LEN: usize = 10;
/// Longest IP packet.
const PACKET_MAX: usize = 65_535;
/// Longest link header, with room to spare.
const LINK_MAX: usize = 18;
/// Frames taken a turn at most; each has a buffer of 64 KiB that the kernel maps when it is first used.
pub const BATCH_MAX: usize = 64;

// virtio 1.2, 5.1.6: flags and kinds of super-packets.
const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// How to open an interface.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name, at most 15 octets; with `%d` in it the kernel chooses a number.
    pub name: String,
    /// Tun (IP packets) or tap (Ethernet frames).
    pub kind: Kind,
    /// Queues, each with a descriptor of its own.
    pub queues: u16,
    /// Super-packets and checksums left to whoever is last (`IFF_VNET_HDR`).
    pub offload: bool,
    /// The largest IP packet.
    pub mtu: u32,
    /// The kernel's own addresses on this link, each with its prefix length.
    pub addresses: Vec<(IpAddr, u8)>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: "sb%d".into(),
            kind: Kind::Tun,
            queues: 1,
            offload: true,
            mtu: 1500,
            addresses: Vec::new(),
        }
    }
}

/// An open interface; it goes when this is dropped.
#[derive(Debug)]
pub struct Tun {
    name: String,
    capabilities: Capabilities,
    queues: Vec<Queue>,
}

impl Tun {
    /// Makes the interface, gives the kernel its addresses and brings it up. Needs `CAP_NET_ADMIN`.
    ///
    /// # Errors
    /// What the kernel says, with what was being done: no right, a name in use (`ResourceBusy`), an address that does not fit.
    pub fn open(options: &Options) -> io::Result<Tun> {
        let queues = options.queues.max(1);
        let (name, first) = sys::open(&options.name, options.kind, queues > 1, options.offload, true)?;
        let mut descriptors = vec![first];
        for _ in 1..queues {
            descriptors.push(sys::open(&name, options.kind, true, options.offload, false)?.1);
        }
        let mut udp_offload = false;
        if options.offload {
            for descriptor in &descriptors {
                udp_offload = sys::set_offload(descriptor)?;
            }
        }
        sys::set_mtu(&name, options.mtu)?;
        for (address, prefix_len) in &options.addresses {
            sys::add_address(&name, *address, *prefix_len)?;
        }
        sys::set_up(&name)?;
        let super_packet = if options.offload { PACKET_MAX as u32 } else { 0 };
        let capabilities = Capabilities {
            medium: if options.kind == Kind::Tun { Medium::Ip } else { Medium::Ethernet },
            mtu: options.mtu,
            tx_checksum: options.offload,
            tso_max: super_packet,
            uso_max: if udp_offload { super_packet } else { 0 },
            gro_max: super_packet,
            queues,
        };
        let queues =
            (0..queues).zip(descriptors).map(|(index, fd)| Queue::new(index, fd, options.offload)).collect();
        Ok(Tun { name, capabilities, queues })
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface's Ethernet address; tap only.
    ///
    /// # Errors
    /// The kernel knows none.
    pub fn hardware_address(&self) -> io::Result<[u8; 6]> {
        sys::hardware_address(&self.name)
    }

    /// The queues one by one, for loops that own one each.
    #[must_use]
    pub fn into_queues(self) -> Vec<TunQueue> {
        let capabilities = Capabilities { queues: 1, ..self.capabilities };
        self.queues.into_iter().map(|queue| TunQueue { capabilities, queue }).collect()
    }
}

impl Device for Tun {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, _now: Nanos, queue: u16, frames_max: usize) -> io::Result<&dyn FrameBatch> {
        let queue = &mut self.queues[usize::from(queue)];
        queue.receive(frames_max)?;
        Ok(queue)
    }

    fn transmit(&mut self, _now: Nanos, queue: u16) -> &mut dyn FrameSink {
        &mut self.queues[usize::from(queue)]
    }

    fn flush(&mut self, _now: Nanos, queue: u16) -> io::Result<()> {
        self.queues[usize::from(queue)].take_failure()
    }

    fn descriptor(&self, queue: u16) -> Option<BorrowedFd<'_>> {
        self.queues.get(usize::from(queue)).map(|queue| queue.descriptor.as_fd())
    }

    fn dropped(&self) -> Dropped {
        Dropped { received: 0, sent: self.queues.iter().map(|queue| queue.dropped).sum() }
    }
}

/// One queue of an interface with several.
#[derive(Debug)]
pub struct TunQueue {
    capabilities: Capabilities,
    queue: Queue,
}

impl Device for TunQueue {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, _now: Nanos, _queue: u16, frames_max: usize) -> io::Result<&dyn FrameBatch> {
        self.queue.receive(frames_max)?;
        Ok(&self.queue)
    }

    fn transmit(&mut self, _now: Nanos, _queue: u16) -> &mut dyn FrameSink {
        &mut self.queue
    }

    fn flush(&mut self, _now: Nanos, _queue: u16) -> io::Result<()> {
        self.queue.take_failure()
    }

    fn descriptor(&self, _queue: u16) -> Option<BorrowedFd<'_>> {
        Some(self.queue.descriptor.as_fd())
    }

    fn dropped(&self) -> Dropped {
        Dropped { received: 0, sent: self.queue.dropped }
    }
}

/// One descriptor with its buffers.
#[derive(Debug)]
struct Queue {
    index: u16,
    descriptor: std::os::fd::OwnedFd,
    header_len: usize,
    buffers: Vec<Box<[u8]>>,
    lengths: Vec<usize>,
    outgoing: Box<[u8]>,
    dropped: u64,
    failure: Option<io::Error>,
}

impl Queue {
    fn new(index: u16, descriptor: std::os::fd::OwnedFd, offload: bool) -> Queue {
        Queue {
            index,
            descriptor,
            header_len: if offload { HEADER_LEN } else { 0 },
            buffers: Vec::new(),
            lengths: Vec::with_capacity(BATCH_MAX),
            outgoing: vec![0; HEADER_LEN + LINK_MAX + PACKET_MAX].into(),
            dropped: 0,
            failure: None,
        }
    }

    fn receive(&mut self, frames_max: usize) -> io::Result<()> {
        self.lengths.clear();
        while self.lengths.len() < frames_max.min(BATCH_MAX) {
            let at = self.lengths.len();
            if self.buffers.len() == at {
                self.buffers.push(vec![0; HEADER_LEN + LINK_MAX + PACKET_MAX].into());
            }
            match sys::read(&self.descriptor, &mut self.buffers[at]) {
                Ok(length) if length > self.header_len => self.lengths.push(length),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take_failure(&mut self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

impl FrameBatch for Queue {
    fn len(&self) -> usize {
        self.lengths.len()
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        let whole = &self.buffers[index][..self.lengths[index]];
        let (header, bytes) = whole.split_at(self.header_len);
        RxFrame { bytes, meta: RxMeta { queue: self.index, ..read_header(header) } }
    }
}

impl FrameSink for Queue {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.outgoing.get_mut(self.header_len..self.header_len + len)
    }

    fn commit(&mut self, len: usize, meta: TxMeta) {
        if self.header_len > 0 {
            self.outgoing[..HEADER_LEN].copy_from_slice(&make_header(meta));
        }
        match sys::write(&self.descriptor, &self.outgoing[..self.header_len + len]) {
            Ok(_) => {}
            // The interface is down, the kernel has no memory, or it does not like the packet: the network lost it.
            Err(error) if is_loss(&error) => self.dropped += 1,
            Err(error) => self.failure = Some(error),
        }
    }
}

fn is_loss(error: &io::Error) -> bool {
    let transient =
        [libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM, libc::EIO, libc::EINVAL, libc::EINTR, libc::EMSGSIZE];
    error.raw_os_error().is_some_and(|code| transient.contains(&code))
}

/// What the kernel says of a frame: a checksum that it left undone was never on a wire, so there is nothing to check.
fn read_header(header: &[u8]) -> RxMeta {
    let &[flags, kind, _, _, size_0, size_1, ..] = header else { return RxMeta::default() };
    let gso_size = if kind & !GSO_ECN == GSO_NONE { 0 } else { u16::from_ne_bytes([size_0, size_1]) };
    RxMeta { checksum_ok: flags & (NEEDS_CSUM | DATA_VALID) != 0, gso_size, queue: 0 }
}

/// What the kernel is asked to do to a frame.
fn make_header(meta: TxMeta) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    if let Some(checksum) = meta.checksum {
        header[0] = NEEDS_CSUM;
        header[6..8].copy_from_slice(&checksum.start.to_ne_bytes());
        header[8..10].copy_from_slice(&checksum.offset.to_ne_bytes());
    }
    if let Some(Gso { kind, size, header_len }) = meta.gso {
        header[1] = match kind {
            GsoKind::TcpV4 => GSO_TCPV4,
            GsoKind::TcpV6 => GSO_TCPV6,
            GsoKind::Udp => GSO_UDP_L4,
        };
        header[2..4].copy_from_slice(&header_len.to_ne_bytes());
        header[4..6].copy_from_slice(&size.to_ne_bytes());
    }
    header
}

#[cfg(test)]
mod tests;
