//! Ethernet II frames.
//! Spec: RFC 894; IEEE 802.1Q and 802.1ad (tags are skipped); RFC 1112 6.4 and RFC 2464 7 (multicast addresses).
//! Owns: nothing; a view and plain values.
//! Not here: 802.3 length-framed packets (refused by their EtherType), who has which address (`stack::neighbor`).

use crate::Malformed;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The header without tags, in bytes.
pub const HEADER_LEN: usize = 14;
/// Tags that we are willing to skip: 802.1ad has two.
pub const TAGS_MAX: usize = 2;
const TAG_LEN: usize = 4;

/// A 48-bit hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);
    /// All zero: nobody.
    pub const UNSPECIFIED: MacAddr = MacAddr([0; 6]);

    /// The group bit; broadcast has it too.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Everyone on the link.
    pub fn is_broadcast(self) -> bool {
        self == MacAddr::BROADCAST
    }

    /// An address that one station can have.
    pub fn is_unicast(self) -> bool {
        !self.is_multicast() && self != MacAddr::UNSPECIFIED
    }

    /// Where packets to an IPv4 group go (RFC 1112 6.4: the low 23 bits).
    pub const fn from_multicast_v4(group: Ipv4Addr) -> MacAddr {
        let [_, b, c, d] = group.octets();
        MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d])
    }

    /// Where packets to an IPv6 group go (RFC 2464 section 7: the low 32 bits).
    pub const fn from_multicast_v6(group: Ipv6Addr) -> MacAddr {
        let o = group.octets();
        MacAddr([0x33, 0x33, o[12], o[13], o[14], o[15]])
    }

    /// Where packets to a group of either family go.
    pub const fn from_multicast(group: IpAddr) -> MacAddr {
        match group {
            IpAddr::V4(group) => MacAddr::from_multicast_v4(group),
            IpAddr::V6(group) => MacAddr::from_multicast_v6(group),
        }
    }

    /// The interface identifier made of the address (RFC 4291 appendix A: `ff:fe` in the middle, the universal bit inverted).
    pub const fn interface_id(self) -> [u8; 8] {
        let [a, b, c, d, e, f] = self.0;
        [a ^ 2, b, c, 0xff, 0xfe, d, e, f]
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: EtherType = EtherType(0x0800);
    /// ARP.
    pub const ARP: EtherType = EtherType(0x0806);
    /// IPv6.
    pub const IPV6: EtherType = EtherType(0x86dd);
    /// An 802.1Q tag.
    pub const VLAN: EtherType = EtherType(0x8100);
    /// An 802.1ad service tag.
    pub const SERVICE_VLAN: EtherType = EtherType(0x88a8);

    const fn is_tag(self) -> bool {
        matches!(self, EtherType::VLAN | EtherType::SERVICE_VLAN)
    }
}

/// A checked frame.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    fixed: &'a [u8; HEADER_LEN],
    ethertype: EtherType,
    vlan: Option<u16>,
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks the length and steps over tags.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        let (fixed, mut payload) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
        let mut ethertype = EtherType(u16::from_be_bytes([fixed[12], fixed[13]]));
        let mut vlan = None;
        let mut tags = 0;
        while ethertype.is_tag() {
            if tags == TAGS_MAX {
                return Err(Malformed::TooMany);
            }
            let (tag, rest) = payload.split_first_chunk::<TAG_LEN>().ok_or(Malformed::Truncated)?;
            vlan = Some(u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff);
            ethertype = EtherType(u16::from_be_bytes([tag[2], tag[3]]));
            payload = rest;
            tags += 1;
        }
        Ok(Packet { fixed, ethertype, vlan, payload })
    }

    /// The station it is for.
    #[inline]
    pub fn dst(&self) -> MacAddr {
        let f = self.fixed;
        MacAddr([f[0], f[1], f[2], f[3], f[4], f[5]])
    }

    /// The station it comes from.
    #[inline]
    pub fn src(&self) -> MacAddr {
        let f = self.fixed;
        MacAddr([f[6], f[7], f[8], f[9], f[10], f[11]])
    }

    /// What it carries, behind any tags.
    #[inline]
    pub fn ethertype(&self) -> EtherType {
        self.ethertype
    }

    /// The innermost VLAN, when tagged.
    #[inline]
    pub fn vlan(&self) -> Option<u16> {
        self.vlan
    }

    /// What follows the header, link padding included.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// An Ethernet header as a plain value, untagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The station it is for.
    pub dst: MacAddr,
    /// The station it comes from.
    pub src: MacAddr,
    /// What it carries.
    pub ethertype: EtherType,
}

impl Header {
    /// The value of a checked frame; tags are forgotten.
    pub fn parse(packet: &Packet<'_>) -> Header {
        Header { dst: packet.dst(), src: packet.src(), ethertype: packet.ethertype() }
    }

    /// Writes the header to the start of `frame` and returns its length. Panics when `frame` is shorter than that.
    #[inline]
    pub fn emit(&self, frame: &mut [u8]) -> usize {
        frame[0..6].copy_from_slice(&self.dst.0);
        frame[6..12].copy_from_slice(&self.src.0);
        frame[12..14].copy_from_slice(&self.ethertype.0.to_be_bytes());
        HEADER_LEN
    }
}

#[cfg(test)]
mod tests;
