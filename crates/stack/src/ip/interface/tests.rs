use super::*;

#[test]
fn solicited_node_groups() {
    // The example of RFC 4291 2.7.1.
    let addr: Ipv6Addr = "4037::1:800:200e:8c6c".parse().unwrap();
    assert_eq!(solicited_node(addr), "ff02::1:ff0e:8c6c".parse::<Ipv6Addr>().unwrap());
}
