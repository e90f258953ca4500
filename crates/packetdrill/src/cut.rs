//! Cutting super-packets as a device with TSO does, since packetdrill compares packets of the wire.
//! Spec: `wire::meta::Gso`: headers again for each piece, CWR on the first only, FIN and PSH on the last only.
//! Owns: nothing. Not here: how large a super-packet may be (`tcp`).

use wire::checksum::Sum;
use wire::ip::{Protocol, pseudo};
use wire::meta::{Gso, GsoKind, TxMeta};

const FIN: u8 = 1;
const PSH: u8 = 8;
const CWR: u8 = 128;

/// Hands each packet of the wire that `frame` stands for to `emit`.
pub(crate) fn cut(frame: &[u8], meta: TxMeta, mut emit: impl FnMut(Vec<u8>)) {
    let Some(Gso { kind: GsoKind::TcpV4 | GsoKind::TcpV6, size, header_len }) = meta.gso else {
        let mut whole = frame.to_vec();
        if meta.checksum.is_some() {
            finish(&mut whole);
        }
        emit(whole);
        return;
    };
    let (headers, text) = frame.split_at(usize::from(header_len));
    let ip_len = ip_header_len(frame);
    let pieces = text.len().div_ceil(usize::from(size));
    for (index, piece) in text.chunks(usize::from(size)).enumerate() {
        let mut packet = [headers, piece].concat();
        let at = index * usize::from(size);
        let tcp = &mut packet[ip_len..];
        let seq = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(at as u32);
        tcp[4..8].copy_from_slice(&seq.to_be_bytes());
        if index > 0 {
            tcp[13] &= !CWR;
        }
        if index + 1 < pieces {
            tcp[13] &= !(FIN | PSH);
        }
        set_length(&mut packet, index as u16);
        finish(&mut packet);
        emit(packet);
    }
}

fn is_v4(packet: &[u8]) -> bool {
    packet[0] >> 4 == 4
}

fn ip_header_len(packet: &[u8]) -> usize {
    if is_v4(packet) { usize::from(packet[0] & 15) * 4 } else { wire::ipv6::HEADER_LEN }
}

/// The IP header's length, and IPv4's identification and checksum.
fn set_length(packet: &mut [u8], index: u16) {
    let len = packet.len();
    if is_v4(packet) {
        let header_len = ip_header_len(packet);
        packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        let ident = u16::from_be_bytes([packet[4], packet[5]]).wrapping_add(index);
        packet[4..6].copy_from_slice(&ident.to_be_bytes());
        packet[10..12].fill(0);
        let sum = Sum::of(&packet[..header_len]).checksum();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        packet[4..6].copy_from_slice(&((len - wire::ipv6::HEADER_LEN) as u16).to_be_bytes());
    }
}

/// The TCP checksum, over pseudo-header and segment.
fn finish(packet: &mut [u8]) {
    let at = ip_header_len(packet);
    let addresses = if is_v4(packet) {
        let v4 =
            |at: usize| std::net::IpAddr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap_or_default());
        (v4(12), v4(16))
    } else {
        let v6 = |at: usize| {
            std::net::IpAddr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap_or_default())
        };
        (v6(8), v6(24))
    };
    let segment = &mut packet[at..];
    segment[16..18].fill(0);
    if let Some(sum) = pseudo(addresses.0, addresses.1, Protocol::TCP, segment.len()) {
        let sum = sum.add_bytes(segment).checksum();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{CWR, FIN, PSH, cut};
    use std::net::Ipv4Addr;
    use wire::ip::{Protocol, pseudo};
    use wire::meta::{ChecksumOffload, Gso, GsoKind, TxMeta};
    use wire::{ipv4, tcp};

    const SEQ: u32 = u32::MAX - 1_500;

    /// A packet with so many octets of text.
    fn frame(len: usize) -> Vec<u8> {
        let (src, dst) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let flags = tcp::Flags::ACK | tcp::Flags::PSH | tcp::Flags::FIN | tcp::Flags::CWR;
        let header = tcp::Header { src_port: 1, dst_port: 2, seq: SEQ, flags, ..tcp::Header::default() };
        let mut frame = vec![0; ipv4::HEADER_LEN + tcp::HEADER_LEN + len];
        ipv4::Header::new(src, dst, Protocol::TCP, 64, (tcp::HEADER_LEN + len) as u16).emit(&mut frame);
        header.emit(&mut frame[ipv4::HEADER_LEN..]);
        for (index, octet) in frame[ipv4::HEADER_LEN + tcp::HEADER_LEN..].iter_mut().enumerate() {
            *octet = index as u8;
        }
        frame
    }

    fn pieces(frame: &[u8], size: Option<u16>) -> Vec<Vec<u8>> {
        let header_len = (ipv4::HEADER_LEN + tcp::HEADER_LEN) as u16;
        let meta = TxMeta {
            checksum: Some(ChecksumOffload { start: 20, offset: 16 }),
            gso: size.map(|size| Gso { kind: GsoKind::TcpV4, size, header_len }),
            queue: 0,
        };
        let mut pieces = Vec::new();
        cut(frame, meta, |piece| pieces.push(piece));
        pieces
    }

    fn is_sound(packet: &[u8]) -> bool {
        let Ok(ip) = ipv4::Packet::new(packet) else { return false };
        let Ok(segment) = tcp::Packet::new(ip.payload()) else { return false };
        let sum = pseudo(ip.src().into(), ip.dst().into(), Protocol::TCP, ip.payload().len());
        ip.checksum_is_valid() && sum.is_some_and(|sum| segment.checksum_is_valid(sum))
    }

    #[test]
    fn a_super_packet_becomes_packets_of_the_wire() {
        let pieces = pieces(&frame(2_500), Some(1_000));
        let marks = |packet: &[u8]| packet[ipv4::HEADER_LEN + 13] & (FIN | PSH | CWR);
        assert_eq!(pieces.iter().map(|piece| marks(piece)).collect::<Vec<_>>(), [CWR, 0, FIN | PSH]);
        let mut text = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            assert!(is_sound(piece), "piece {index}");
            let ip = ipv4::Packet::new(piece).expect("sound");
            assert_eq!((ip.total_len(), usize::from(ip.ident())), (piece.len(), index));
            let segment = tcp::Packet::new(ip.payload()).expect("sound");
            assert_eq!(segment.seq(), SEQ.wrapping_add(1_000 * index as u32));
            text.extend_from_slice(segment.payload());
        }
        assert_eq!(text, frame(2_500)[40..], "nothing is lost, nothing comes twice");
    }

    #[test]
    fn what_fits_gets_its_checksum_and_stays_whole() {
        let whole = pieces(&frame(500), None);
        assert_eq!(whole.len(), 1);
        assert!(is_sound(&whole[0]));
        assert_eq!(whole[0][40..], frame(500)[40..]);
    }
}
