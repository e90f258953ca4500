//! A NAT box on a link: what a home router does to addresses and ports.
//! Spec: RFC 4787 and RFC 5382 in their commonest form: endpoint-independent mapping, address- and port-dependent filtering is not
//! done; RFC 1624 for checksums. IPv4, TCP and UDP; anything else does not pass.
//! Owns: the mappings, which are never forgotten: no life is long enough. Bounded by the ports there are.
//! Not here: when frames pass (`world`).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

const TCP: u8 = 6;
const UDP: u8 = 17;
/// The first port outside. The lower ones are somebody's.
const FIRST_PORT: u16 = 40_000;

/// A NAT box.
#[derive(Clone, Debug)]
pub struct Nat {
    outside: Ipv4Addr,
    out: BTreeMap<(u8, SocketAddrV4), u16>,
    back: BTreeMap<(u8, u16), SocketAddrV4>,
    next_port: u16,
}

impl Nat {
    /// A box whose outer address is `outside`.
    pub fn new(outside: Ipv4Addr) -> Self {
        Self { outside, out: BTreeMap::new(), back: BTreeMap::new(), next_port: FIRST_PORT }
    }

    /// Its outer address.
    pub fn outside(&self) -> Ipv4Addr {
        self.outside
    }

    /// Changes a packet from inside to what leaves outside. False: it does not pass.
    pub fn go_out(&mut self, packet: &mut [u8]) -> bool {
        let Some(view) = View::of(packet) else { return false };
        let inside = view.address(packet, Which::Source);
        let key = (view.protocol, inside);
        let port = match self.out.get(&key) {
            Some(port) => *port,
            None => {
                let port = self.next_port;
                let Some(next) = port.checked_add(1) else { return false };
                self.next_port = next;
                self.out.insert(key, port);
                self.back.insert((view.protocol, port), inside);
                port
            }
        };
        view.set(packet, Which::Source, SocketAddrV4::new(self.outside, port));
        true
    }

    /// Changes a packet from outside to what arrives inside. False: nobody inside asked for it.
    pub fn come_in(&mut self, packet: &mut [u8]) -> bool {
        let Some(view) = View::of(packet) else { return false };
        let to = view.address(packet, Which::Destination);
        let Some(inside) = self.back.get(&(view.protocol, to.port())).copied() else { return false };
        view.set(packet, Which::Destination, inside);
        true
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Source,
    Destination,
}

/// Where the fields of a whole TCP or UDP packet are.
#[derive(Clone, Copy)]
struct View {
    protocol: u8,
    transport: usize,
    checksum: usize,
}

impl View {
    fn of(packet: &[u8]) -> Option<Self> {
        let first = *packet.first()?;
        let fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x3fff;
        if first >> 4 != 4 || fragment != 0 {
            return None;
        }
        let protocol = *packet.get(9)?;
        let transport = usize::from(first & 15) * 4;
        let checksum = transport
            + match protocol {
                TCP => 16,
                UDP => 6,
                _ => return None,
            };
        (packet.len() >= checksum + 2).then_some(Self { protocol, transport, checksum })
    }

    fn places(self, which: Which) -> (usize, usize) {
        match which {
            Which::Source => (12, self.transport),
            Which::Destination => (16, self.transport + 2),
        }
    }

    fn address(self, packet: &[u8], which: Which) -> SocketAddrV4 {
        let (address, port) = self.places(which);
        let octets: [u8; 4] = std::array::from_fn(|at| packet[address + at]);
        SocketAddrV4::new(octets.into(), u16::from_be_bytes([packet[port], packet[port + 1]]))
    }

    fn set(self, packet: &mut [u8], which: Which, to: SocketAddrV4) {
        let (address, port) = self.places(which);
        let [a, b, c, d] = to.ip().octets();
        // UDP's zero says that there is no checksum to keep right.
        let summed = self.protocol != UDP || packet[self.checksum..self.checksum + 2] != [0, 0];
        for (place, new) in [(address, [a, b]), (address + 2, [c, d]), (port, to.port().to_be_bytes())] {
            let old = [packet[place], packet[place + 1]];
            packet[place..place + 2].copy_from_slice(&new);
            // The addresses are in both sums, the port in one.
            if place != port {
                adjust(packet, 10, old, new);
            }
            if summed {
                adjust(packet, self.checksum, old, new);
            }
        }
    }
}

/// RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
fn adjust(packet: &mut [u8], at: usize, old: [u8; 2], new: [u8; 2]) {
    let word = |octets: [u8; 2]| u32::from(u16::from_be_bytes(octets));
    let mut sum = (!word([packet[at], packet[at + 1]]) & 0xffff) + (!word(old) & 0xffff) + word(new);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    packet[at..at + 2].copy_from_slice(&(!sum as u16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram of four octets with right checksums, made by hand.
    fn datagram(src: SocketAddrV4, dst: SocketAddrV4) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, UDP, 0, 0];
        packet.extend(src.ip().octets());
        packet.extend(dst.ip().octets());
        packet.extend(src.port().to_be_bytes());
        packet.extend(dst.port().to_be_bytes());
        packet.extend([0, 12, 0, 0, 1, 2, 3, 4]);
        let header = !sum(&packet[..20], 0);
        packet[10..12].copy_from_slice(&header.to_be_bytes());
        let whole = !udp_sum(&packet);
        packet[26..28].copy_from_slice(&whole.to_be_bytes());
        packet
    }

    fn sum(bytes: &[u8], start: u32) -> u16 {
        let mut sum =
            bytes.chunks(2).fold(start, |sum, word| sum + u32::from(u16::from_be_bytes([word[0], word[1]])));
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    fn udp_sum(packet: &[u8]) -> u16 {
        let pseudo = u32::from(sum(&packet[12..20], 0)) + u32::from(UDP) + 12;
        sum(&packet[20..], pseudo)
    }

    #[test]
    fn a_packet_goes_out_and_its_answer_comes_back() {
        let inside: SocketAddrV4 = "192.168.0.7:5000".parse().expect("an address");
        let outside: SocketAddrV4 = "10.1.0.1:40000".parse().expect("an address");
        let server: SocketAddrV4 = "10.0.0.1:5222".parse().expect("an address");
        let mut nat = Nat::new(*outside.ip());
        let mut packet = datagram(inside, server);
        assert!(nat.go_out(&mut packet));
        assert_eq!(packet, datagram(outside, server), "checksums too");
        let mut answer = datagram(server, outside);
        assert!(nat.come_in(&mut answer));
        assert_eq!(answer, datagram(server, inside));
        let mut stranger = datagram(server, "10.1.0.1:40001".parse().expect("an address"));
        assert!(!nat.come_in(&mut stranger));
    }
}
