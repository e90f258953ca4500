//! Frames as the stage sees them: whose they are, and how one is forged.
//! Owns: nothing. Invariants: only what our own stacks sent is read here, over IPv4 without options.
//! Not here: drawing (`ladder`).

use ladder::capture::{LinkType, Record};
use ladder::dissect::{Body, Dissected, dissect};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use wire::ip::{Protocol, pseudo};
use wire::tcp::{Flags, Header, fill_checksum};

/// A segment, to choose by.
#[derive(Debug, Clone, Copy)]
pub struct Seg {
    /// Its header.
    pub header: Header,
    /// Octets of text.
    pub len: u32,
    /// From where.
    pub src: SocketAddr,
    /// To where.
    pub dst: SocketAddr,
}

impl Seg {
    /// Reads a frame, if it is a segment.
    #[must_use]
    pub fn read(frame: &[u8]) -> Option<Seg> {
        let packet = read(frame)?;
        let Body::Tcp { len, .. } = packet.body else { return None };
        let header =
            Header { src_port: packet.src.port(), dst_port: packet.dst.port(), ..packet.body.header()? };
        Some(Seg { header, len, src: packet.src, dst: packet.dst })
    }

    /// SYN without ACK.
    #[must_use]
    pub fn is_syn(&self) -> bool {
        self.header.flags.syn() && !self.header.flags.ack()
    }

    /// SYN with ACK.
    #[must_use]
    pub fn is_syn_ack(&self) -> bool {
        self.header.flags.syn() && self.header.flags.ack()
    }

    /// FIN.
    #[must_use]
    pub fn is_fin(&self) -> bool {
        self.header.flags.fin()
    }

    /// RST.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.header.flags.rst()
    }

    /// Text.
    #[must_use]
    pub fn is_data(&self) -> bool {
        self.len > 0
    }

    /// Nothing but an acknowledgment.
    #[must_use]
    pub fn is_ack(&self) -> bool {
        let f = self.header.flags;
        f.ack() && self.len == 0 && !f.syn() && !f.fin() && !f.rst()
    }
}

/// A packet of a conversation.
#[must_use]
pub fn read(frame: &[u8]) -> Option<Dissected<'_>> {
    let record =
        Record { time: Duration::ZERO, link: LinkType::Raw, bytes: frame, original_len: frame.len() as u32 };
    dissect(&record).ok()
}

/// The text of a UDP datagram, if it is readable.
#[must_use]
pub fn datagram_text(frame: &[u8]) -> Option<String> {
    let payload = frame.get(28..)?;
    let text = std::str::from_utf8(payload).ok()?;
    (!text.is_empty() && text.len() <= 40 && text.chars().all(|c| !c.is_control())).then(|| text.to_owned())
}

/// A segment that nobody's stack sends: over IPv4, with both checksums right.
///
/// # Panics
/// The ends are not both of IPv4: a scenario's mistake.
#[must_use]
pub fn forge(src: SocketAddr, dst: SocketAddr, flags: Flags, seq: u32, ack: u32, text: &[u8]) -> Vec<u8> {
    let header = Header {
        src_port: src.port(),
        dst_port: dst.port(),
        seq,
        ack,
        flags,
        window: 1000,
        ..Header::default()
    };
    let mut segment = vec![0; header.header_len() + text.len()];
    let at = header.emit(&mut segment);
    segment[at..].copy_from_slice(text);
    let sum = pseudo(src.ip(), dst.ip(), Protocol::TCP, segment.len()).expect("both ends are of one family");
    fill_checksum(&mut segment, sum);
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (src.ip(), dst.ip()) else { panic!("the lab forges IPv4") };
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0];
    let total = (20 + segment.len()) as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet.extend(src.octets());
    packet.extend(dst.octets());
    let checksum = wire::checksum::Sum::ZERO.add_bytes(&packet).checksum();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(segment);
    packet
}

/// What a router says that cannot forward a packet whole (RFC 792, RFC 1191 4): fragmentation needed, and the MTU of its next link.
/// It speaks with the address of the packet's destination: any would do.
#[must_use]
pub fn too_big(packet: &[u8], mtu: u16) -> Vec<u8> {
    let quoted = &packet[..packet.len().min(28)];
    let mut icmp = vec![3, 4, 0, 0, 0, 0];
    icmp.extend(mtu.to_be_bytes());
    icmp.extend(quoted);
    let checksum = wire::checksum::Sum::ZERO.add_bytes(&icmp).checksum();
    icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut out = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 1, 0, 0];
    let total = (20 + icmp.len()) as u16;
    out[2..4].copy_from_slice(&total.to_be_bytes());
    out.extend(&packet[16..20]);
    out.extend(&packet[12..16]);
    let checksum = wire::checksum::Sum::ZERO.add_bytes(&out).checksum();
    out[10..12].copy_from_slice(&checksum.to_be_bytes());
    out.extend(icmp);
    out
}
