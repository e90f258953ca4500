//! Packet headers to values and back: Ethernet, ARP, IPv4, IPv6, ICMP, IGMP, UDP, TCP, checksums.
//!
//! Every header exists twice:
//!
//! - a **checked packet** (`tcp::Packet<'a>`, `ipv4::Packet<'a>`, ...) is a view over borrowed bytes. Its existence
//!   means that every length inside it was checked, so its accessors neither fail nor panic. Use it on the way in.
//! - a **plain value** (`tcp::Header`, `ipv4::Header`, `icmpv6::Message<'a>`, ...) holds what the fields mean, with
//!   `emit` to write it. Use it to build, compare and print.
//!
//! Checksums are separate from lengths: a device may vouch for a packet ([`meta::RxMeta::checksum_ok`]), so `new`
//! never sums; `checksum_is_valid` does, and `fill_checksum` or `emit` computes.
//!
//! Spec: RFC 791, 792, 826, 1071, 2236, 2710, 3810, 4443, 4861, 768, 8200, 9293, and the TCP option RFCs.
//! Owns: nothing; every type is a borrowed view or a `Copy` value, and nothing here allocates.
//! Invariants: no input, however made, panics; `emit` then `new` gives the value back.
//! Not here: what a header *means for* a host (`stack`, `tcp`), sequence arithmetic (`tcp`).
//!
//! `emit` asserts (panics) when the caller's buffer is shorter than the value's own length: that is a caller's bug,
//! and no peer can cause it.
#![forbid(unsafe_code)]

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod icmpv4;
pub mod icmpv6;
pub mod igmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod meta;
pub mod mld;
pub mod ndisc;
pub mod pretty;
pub mod tcp;
pub mod udp;

mod malformed;

pub use malformed::Malformed;

#[cfg(test)]
mod arbitrary_bytes;
