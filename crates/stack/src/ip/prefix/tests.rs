use super::*;

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

#[test]
fn text_and_back() {
    for text in ["192.0.2.7/24", "0.0.0.0/0", "2001:db8::7/64", "::/0", "fe80::1/128"] {
        assert_eq!(prefix(text).to_string(), text);
    }
    assert_eq!(prefix("192.0.2.7").prefix_len(), 32);
    for wrong in ["", "/", "192.0.2.7/33", "::/129", "192.0.2/24", "192.0.2.1/-1", "192.0.2.1/24/3"] {
        assert_eq!(wrong.parse::<Prefix>(), Err(PrefixError), "{wrong}");
    }
}

#[test]
fn what_a_prefix_contains() {
    let rows = [
        ("192.0.2.7/24", "192.0.2.255", true),
        ("192.0.2.7/24", "192.0.3.0", false),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "::1", false),
        ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("2001:db8::/33", "2001:db8:8000::1", false),
        ("::/0", "2001:db8::1", true),
        ("10.0.0.1/32", "10.0.0.1", true),
        ("10.0.0.1/32", "10.0.0.0", false),
    ];
    for (p, a, expected) in rows {
        assert_eq!(prefix(p).contains(a.parse().unwrap()), expected, "{p} {a}");
    }
}

#[test]
fn broadcast_of_a_prefix() {
    assert_eq!(prefix("192.0.2.7/24").broadcast(), Some(Ipv4Addr::new(192, 0, 2, 255)));
    assert_eq!(prefix("192.0.2.7/30").broadcast(), Some(Ipv4Addr::new(192, 0, 2, 7)));
    assert_eq!(prefix("192.0.2.6/31").broadcast(), None);
    assert_eq!(prefix("192.0.2.6/32").broadcast(), None);
    assert_eq!(prefix("2001:db8::/64").broadcast(), None);
}

#[test]
fn network_clears_host_bits() {
    assert_eq!(prefix("192.0.2.7/24").network(), prefix("192.0.2.0/24"));
    assert_eq!(prefix("2001:db8::ff/64").network(), prefix("2001:db8::/64"));
    assert_eq!(prefix("9.9.9.9/0").network(), Prefix::DEFAULT_V4);
}
