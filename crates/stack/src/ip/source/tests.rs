use super::*;

const OUT: InterfaceId = InterfaceId(0);
const OTHER: InterfaceId = InterfaceId(1);

fn candidate(prefix: &str) -> Candidate {
    Candidate { prefix: prefix.parse().unwrap(), interface: OUT, deprecated: false }
}

fn choose(candidates: &[Candidate], dst: &str) -> Option<String> {
    choose_source(candidates.iter().copied(), dst.parse().unwrap(), OUT).map(|a| a.to_string())
}

/// The examples of RFC 6724 section 10.1 that need neither home nor temporary addresses: candidates, destination, choice.
#[test]
fn the_rfcs_examples() {
    let rows: &[(&[&str], &str, &str)] = &[
        // Rule 2, prefer appropriate scope.
        (&["2001:db8:3::1/64", "fe80::1/64"], "2001:db8:1::1", "2001:db8:3::1"),
        (&["2001:db8:3::1/64", "fe80::1/64"], "ff05::1", "2001:db8:3::1"),
        // Rule 1, prefer same address.
        (&["2001:db8:1::1/64", "2001:db8:2::1/64"], "2001:db8:1::1", "2001:db8:1::1"),
        // Rule 2.
        (&["fe80::1/64", "2001:db8:3::1/64"], "fe80::7", "fe80::1"),
        // Rule 8, longest matching prefix.
        (&["2001:db8:1::2/64", "2001:db8:3::2/64"], "2001:db8:1::1", "2001:db8:1::2"),
        // Rule 6, prefer matching label.
        (&["2002:c633:6401::2/64", "2001:db8:1::2/64"], "2002:c633:6401::1", "2002:c633:6401::2"),
        // IPv4, rule 2: link-local does not reach far.
        (&["169.254.13.78/16", "198.51.100.117/24"], "198.51.100.121", "198.51.100.117"),
        (&["10.1.2.3/8", "192.168.9.9/16"], "192.168.0.1", "192.168.9.9"),
    ];
    for (candidates, dst, expected) in rows {
        let forward: Vec<_> = candidates.iter().map(|c| candidate(c)).collect();
        let backward: Vec<_> = forward.iter().rev().copied().collect();
        assert_eq!(choose(&forward, dst).as_deref(), Some(*expected), "{candidates:?} {dst}");
        assert_eq!(choose(&backward, dst).as_deref(), Some(*expected), "{candidates:?} {dst}, reversed");
    }
}

#[test]
fn deprecated_addresses_are_the_last_resort() {
    let old = Candidate { deprecated: true, ..candidate("2001:db8:1::2/64") };
    let new = candidate("2001:db8:9::2/64");
    assert_eq!(choose(&[old, new], "2001:db8:1::1").unwrap(), "2001:db8:9::2");
    assert_eq!(choose(&[old], "2001:db8:1::1").unwrap(), "2001:db8:1::2");
}

#[test]
fn the_outgoing_interface_comes_before_the_longer_match() {
    let away = Candidate { interface: OTHER, ..candidate("2001:db8:1::2/64") };
    let here = candidate("2001:db8:9::2/64");
    assert_eq!(choose(&[away, here], "2001:db8:1::1").unwrap(), "2001:db8:9::2");
}

#[test]
fn link_local_addresses_serve_their_own_link_only() {
    let away = Candidate { interface: OTHER, ..candidate("fe80::2/64") };
    assert_eq!(choose(&[away], "fe80::1"), None);
}

#[test]
fn families_do_not_mix_and_the_match_stops_at_the_sources_prefix() {
    assert_eq!(choose(&[candidate("2001:db8::1/64")], "192.0.2.1"), None);
    // Both share the first 64 bits; what follows belongs to the host and decides nothing, so the first wins.
    let rows = [candidate("2001:db8::ffff/64"), candidate("2001:db8::2/64")];
    assert_eq!(choose(&rows, "2001:db8::1").unwrap(), "2001:db8::ffff");
}
