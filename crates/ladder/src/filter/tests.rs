use super::*;
use crate::dissect::Body;

fn packet(src: &str, dst: &str) -> Dissected<'static> {
    let end = |text: &str| text.parse().expect("an address and a port");
    Dissected { src: end(src), dst: end(dst), body: Body::Udp { len: 1 } }
}

#[test]
fn filters_choose_packets() {
    let one = packet("10.0.0.1:5000", "10.0.0.2:53");
    let six = packet("[fd00::1]:5000", "[fd00::2]:443");
    let table = [
        ("udp", true, true),
        ("tcp", false, false),
        ("host 10.0.0.2", true, false),
        ("src host 10.0.0.2", false, false),
        ("dst port 53", true, false),
        ("port 5000", true, true),
        ("udp port 5000 and not ip6", true, false),
        ("host 10.0.0.9 or host fd00::2", false, true),
        ("not (port 53 or port 80)", false, true),
        ("net 10.0.0.0/8", true, false),
        ("net 0.0.0.0/0", true, false),
        ("net fd00::/16 and port 443", false, true),
        ("src net 10.0.0.2/32", false, false),
    ];
    for (text, first, second) in table {
        let filter: Filter = text.parse().expect(text);
        assert_eq!((filter.wants(&one), filter.wants(&six)), (first, second), "{text}");
    }
}

#[test]
fn what_is_no_filter_is_said() {
    for text in [
        "",
        "port",
        "port http",
        "host",
        "(tcp",
        "tcp)",
        "net 10.0.0.0/33",
        "net 10.0.0.0",
        "and",
        "src tcp",
        "foo",
    ] {
        assert!(text.parse::<Filter>().is_err(), "{text}");
    }
    let long = "not ".repeat(TERMS_MAX) + "tcp";
    assert!(long.parse::<Filter>().is_err());
}
