//! The key of a connection: who talks to whom, as seen from here.
//! Spec: RFC 9293 3.3.1 (a connection is a pair of sockets), RFC 4291 2.5.5.2 (IPv4-mapped form, used here for storage only).
//! Owns: the key and how it is hashed. Invariants: IPv4 addresses are kept in mapped form, which no packet on a wire may
//! carry (`ip` drops it), so the two families never collide.
//! Not here: the table (`demux`).

use crate::random::HashKey;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Both ends of a conversation, ours first. Thirty-six octets for either family.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FlowKey {
    local: [u8; 16],
    remote: [u8; 16],
    local_port: u16,
    remote_port: u16,
}

/// The same over IPv4, in twelve octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FlowKeyV4 {
    local: [u8; 4],
    remote: [u8; 4],
    local_port: u16,
    remote_port: u16,
}

const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

#[inline]
fn octets(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(addr) => map(addr.octets()),
        IpAddr::V6(addr) => addr.octets(),
    }
}

#[inline]
fn map(v4: [u8; 4]) -> [u8; 16] {
    let mut all = [0; 16];
    all[..12].copy_from_slice(&MAPPED);
    all[12..].copy_from_slice(&v4);
    all
}

#[inline]
fn unmap(all: &[u8; 16]) -> Option<[u8; 4]> {
    let &[head @ .., a, b, c, d] = all;
    (head == MAPPED).then_some([a, b, c, d])
}

#[inline]
fn addr(all: &[u8; 16]) -> IpAddr {
    match unmap(all) {
        Some(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        None => IpAddr::V6(Ipv6Addr::from(*all)),
    }
}

impl FlowKey {
    #[inline]
    pub(crate) fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        FlowKey::of((local.ip(), local.port()), (remote.ip(), remote.port()))
    }

    /// The same of what a packet says.
    #[inline]
    pub(crate) fn of(local: (IpAddr, u16), remote: (IpAddr, u16)) -> Self {
        FlowKey {
            local: octets(local.0),
            remote: octets(remote.0),
            local_port: local.1,
            remote_port: remote.1,
        }
    }

    /// Both ends are one.
    #[inline]
    pub(crate) fn is_self(&self) -> bool {
        self.local_port == self.remote_port && self.local == self.remote
    }

    #[inline]
    pub(crate) fn local(&self) -> SocketAddr {
        SocketAddr::new(addr(&self.local), self.local_port)
    }

    #[inline]
    pub(crate) fn remote(&self) -> SocketAddr {
        SocketAddr::new(addr(&self.remote), self.remote_port)
    }

    /// The short form, if both ends speak IPv4.
    #[inline]
    pub(crate) fn v4(&self) -> Option<FlowKeyV4> {
        Some(FlowKeyV4 {
            local: unmap(&self.local)?,
            remote: unmap(&self.remote)?,
            local_port: self.local_port,
            remote_port: self.remote_port,
        })
    }

    pub(crate) fn is_v6(&self) -> bool {
        unmap(&self.remote).is_none()
    }

    /// The keyed hash that tables use: strangers choose remote ends, so they must not be able to choose buckets.
    #[inline]
    pub(crate) fn hash_with(&self, key: &HashKey) -> u64 {
        match self.v4() {
            Some(v4) => key.hash(&v4.bytes()),
            None => key.hash(&self.bytes()),
        }
    }

    /// A keyed hash that may leave the host.
    pub(crate) fn digest(&self, key: &HashKey) -> u64 {
        match self.v4() {
            Some(v4) => key.digest(&[&v4.bytes()]),
            None => key.digest(&[&self.bytes()]),
        }
    }

    /// Its octets, for digests of more than a key.
    pub(crate) fn bytes(&self) -> [u8; 36] {
        let mut all = [0; 36];
        all[..16].copy_from_slice(&self.local);
        all[16..32].copy_from_slice(&self.remote);
        all[32..34].copy_from_slice(&self.local_port.to_be_bytes());
        all[34..].copy_from_slice(&self.remote_port.to_be_bytes());
        all
    }
}

impl FlowKeyV4 {
    /// Its octets.
    #[inline]
    fn bytes(&self) -> [u8; 12] {
        let mut all = [0; 12];
        all[..4].copy_from_slice(&self.local);
        all[4..8].copy_from_slice(&self.remote);
        all[8..10].copy_from_slice(&self.local_port.to_be_bytes());
        all[10..].copy_from_slice(&self.remote_port.to_be_bytes());
        all
    }

    /// The long form.
    pub(crate) fn widen(&self) -> FlowKey {
        FlowKey {
            local: map(self.local),
            remote: map(self.remote),
            local_port: self.local_port,
            remote_port: self.remote_port,
        }
    }
}

impl std::fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}>{}", self.local(), self.remote())
    }
}

#[cfg(test)]
mod tests {
    use super::FlowKey;
    use crate::random::Secret;

    #[test]
    fn a_key_gives_back_its_addresses_in_either_family() {
        for (local, remote) in [("10.0.0.1:80", "10.9.8.7:65535"), ("[fe80::1]:1", "[2001:db8::2]:443")] {
            let (local, remote) = (local.parse().expect("valid"), remote.parse().expect("valid"));
            let key = FlowKey::new(local, remote);
            assert_eq!((key.local(), key.remote()), (local, remote));
            assert_eq!(key.v4().map_or(key, |v4| v4.widen()), key);
            assert_eq!(key.is_v6(), local.is_ipv6());
            let hash = Secret::from_seed(1).key("demux");
            assert_ne!(key.hash_with(&hash), FlowKey::new(remote, local).hash_with(&hash));
        }
        assert_eq!(size_of::<FlowKey>(), 36);
    }
}
