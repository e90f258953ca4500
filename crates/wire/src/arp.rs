//! ARP for IPv4 over Ethernet.
//! Spec: RFC 826; RFC 5227 (probes and announcements are ordinary packets with particular addresses).
//! Not here: the neighbour table (`stack::neighbor`).

use crate::Malformed;
use crate::ethernet::MacAddr;
use core::net::Ipv4Addr;

/// The packet, in bytes.
pub const LEN: usize = 28;
/// Hardware Ethernet, protocol IPv4, address lengths 6 and 4: the only kind there is here.
const KIND: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

/// What is asked or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has it.
    Reply,
}

/// An ARP packet as a plain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// What is asked or told.
    pub operation: Operation,
    /// ar$sha
    pub sender_mac: MacAddr,
    /// ar$spa; unspecified in a probe (RFC 5227 1.1).
    pub sender_ip: Ipv4Addr,
    /// ar$tha
    pub target_mac: MacAddr,
    /// ar$tpa
    pub target_ip: Ipv4Addr,
}

impl Packet {
    /// Reads a packet; link padding behind it is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Packet, Malformed> {
        let b = bytes.first_chunk::<LEN>().ok_or(Malformed::Truncated)?;
        if b[..6] != KIND {
            return Err(Malformed::Field);
        }
        let operation = match u16::from_be_bytes([b[6], b[7]]) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Malformed::Field),
        };
        Ok(Packet {
            operation,
            sender_mac: MacAddr([b[8], b[9], b[10], b[11], b[12], b[13]]),
            sender_ip: Ipv4Addr::new(b[14], b[15], b[16], b[17]),
            target_mac: MacAddr([b[18], b[19], b[20], b[21], b[22], b[23]]),
            target_ip: Ipv4Addr::new(b[24], b[25], b[26], b[27]),
        })
    }

    /// Writes the packet to the start of `bytes` and returns its length. Panics when `bytes` is shorter than that.
    pub fn emit(&self, bytes: &mut [u8]) -> usize {
        let b = &mut bytes[..LEN];
        b[..6].copy_from_slice(&KIND);
        let operation: u16 = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        b[6..8].copy_from_slice(&operation.to_be_bytes());
        b[8..14].copy_from_slice(&self.sender_mac.0);
        b[14..18].copy_from_slice(&self.sender_ip.octets());
        b[18..24].copy_from_slice(&self.target_mac.0);
        b[24..28].copy_from_slice(&self.target_ip.octets());
        LEN
    }
}

#[cfg(test)]
mod tests;
