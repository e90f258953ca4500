//! Fragments in any order, overlapping, doubled, contradicting, late: what comes out whole is what was sent, and what is
//! held stays inside its bounds (RFC 5722, RFC 8200 4.5).
//! A fragment is five octets: whose it is and whether it lies; where; how long; flags and mark; time that passes.

#![no_main]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use stack::config::ReassemblyConfig;
use stack::ip::reassembly::{Arrival, DatagramKey, Fragment, Reassembly, Refusal};
use stack::{Instant, Secret};
use wire::ip::{Ecn, Protocol};

const CONFIG: ReassemblyConfig = ReassemblyConfig {
    bytes_max: 16 << 10,
    datagrams_per_source_max: 4,
    fragments_max: 12,
    timeout_v4: Duration::from_secs(30),
    timeout_v6: Duration::from_secs(60),
};
/// Octets that a fragment's header takes; the limit of 65,535 counts them.
const HEADER_LEN: usize = 20;

/// What stands at this place of a datagram. A liar's fragments say something else, so the overlap rules meet both.
fn octet(ident: u32, lies: bool, at: usize) -> u8 {
    (at as u8).wrapping_mul(31) ^ (ident as u8) ^ if lies { 0x80 } else { 0 }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut table = Reassembly::new(CONFIG, Secret::from_seed(7).key("fuzz"));
    let mut now = Instant::from_secs(1);
    let mut ends: HashMap<DatagramKey, Vec<usize>> = HashMap::new();
    let mut liars: HashMap<DatagramKey, bool> = HashMap::new();
    for step in data.chunks_exact(5) {
        let &[who, place, len, how, wait] = step else { continue };
        now += Duration::from_millis(u64::from(wait) * 50);
        while let Some(expired) = table.poll_expired(now) {
            ends.remove(&expired.key);
        }
        assert!(table.next_deadline().is_none_or(|due| due > now), "what is due was given up");

        let ident = u32::from(who & 7);
        let (src, dst): (IpAddr, IpAddr) = if who & 8 == 0 {
            (Ipv4Addr::new(10, 0, 0, who >> 4 & 3).into(), Ipv4Addr::LOCALHOST.into())
        } else {
            (Ipv6Addr::from(u128::from(who >> 4 & 3)).into(), Ipv6Addr::LOCALHOST.into())
        };
        let key = DatagramKey { src, dst, ident, protocol: if src.is_ipv4() { 17 } else { 0 } };
        let lies = who & 0x80 != 0;
        // Most lie close together; some at the far end.
        let offset = if how & 8 == 0 { usize::from(place & 31) * 8 } else { usize::from(place) * 256 };
        let more = how & 1 == 0;
        let len = if more { usize::from(len >> 3) * 8 } else { usize::from(len) };
        let len = if how & 16 == 0 { len } else { len * 32 };
        let text: Vec<u8> = (offset..offset + len).map(|at| octet(ident, lies, at)).collect();
        let ecn = [Ecn::NotEct, Ecn::Ect0, Ecn::Ce, Ecn::NotEct][usize::from(how >> 1 & 3)];
        let fragment = Fragment {
            key,
            offset,
            more,
            data: &text,
            protocol: Protocol::UDP,
            ecn,
            header_len: HEADER_LEN,
            packet: &text,
        };
        if lies {
            liars.insert(key, true);
        }
        if !more {
            ends.entry(key).or_default().push(offset + len);
        }
        match table.handle_fragment(now, &fragment) {
            Arrival::Kept => {}
            Arrival::Refused(
                Refusal::Full | Refusal::Length | Refusal::TooLong | Refusal::Overlap | Refusal::Ecn,
            ) => {}
            Arrival::Complete(datagram) => {
                assert!(datagram.data.len() + HEADER_LEN <= 65_535);
                let ended = ends.get(&key).is_some_and(|ends| ends.contains(&datagram.data.len()));
                assert!(ended, "{} octets, and no fragment ended there", datagram.data.len());
                let lied = liars.get(&key).copied().unwrap_or(false);
                for (at, said) in datagram.data.iter().enumerate() {
                    let honest = *said == octet(ident, false, at);
                    assert!(honest || lied && *said == octet(ident, true, at), "octet {at} is nobody's");
                }
            }
        }
        assert!(table.bytes() <= CONFIG.bytes_max, "{} octets are held", table.bytes());
        assert!(table.len() <= CONFIG.datagrams_per_source_max * 8, "{} datagrams are held", table.len());
        assert_eq!(table.is_empty(), table.bytes() == 0);
    }
    now += CONFIG.timeout_v6;
    while table.poll_expired(now).is_some() {}
    assert!(table.is_empty() && table.bytes() == 0, "after their time nothing is held");
});
