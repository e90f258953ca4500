//! Frames by hand and round trips.

use super::*;
use proptest::prelude::*;

const FRAME: [u8; 16] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06, 0xaa, 0xbb];

#[test]
fn by_hand() {
    let packet = Packet::new(&FRAME).unwrap();
    let header =
        Header { dst: MacAddr::BROADCAST, src: MacAddr([2, 0, 0, 0, 0, 1]), ethertype: EtherType::ARP };
    assert_eq!(Header::parse(&packet), header);
    assert_eq!((packet.payload(), packet.vlan()), (&[0xaa, 0xbb][..], None));
    let mut out = FRAME;
    out[..14].fill(0);
    header.emit(&mut out);
    assert_eq!(out, FRAME);
}

#[test]
fn tags_are_stepped_over_up_to_two() {
    let tagged = |tags: &[[u8; 4]]| {
        let mut bytes = FRAME[..12].to_vec();
        tags.iter().for_each(|tag| bytes.extend(tag));
        bytes.extend([0x86, 0xdd, 7]);
        bytes
    };
    let one = tagged(&[[0x81, 0x00, 0xe0, 0x64]]);
    let packet = Packet::new(&one).unwrap();
    assert_eq!((packet.ethertype(), packet.vlan(), packet.payload()), (EtherType::IPV6, Some(100), &[7][..]));
    let two = tagged(&[[0x88, 0xa8, 0, 1], [0x81, 0x00, 0x0f, 0xff]]);
    let packet = Packet::new(&two).unwrap();
    assert_eq!((packet.ethertype(), packet.vlan()), (EtherType::IPV6, Some(4095)));
    assert_eq!(Packet::new(&tagged(&[[0x81, 0, 0, 1]; 3])).err(), Some(Malformed::TooMany));
    assert_eq!(Packet::new(&one[..16]).err(), Some(Malformed::Truncated));
    assert_eq!(Packet::new(&FRAME[..13]).err(), Some(Malformed::Truncated));
}

#[test]
fn groups_map_as_the_rfcs_say() {
    // RFC 1112 6.4: the high bit of the second octet is lost.
    let v4 = MacAddr::from_multicast("239.129.2.3".parse().unwrap());
    assert_eq!(v4.to_string(), "01:00:5e:01:02:03");
    let v6 = MacAddr::from_multicast("ff02::1:ff28:9c5a".parse().unwrap());
    assert_eq!(v6.to_string(), "33:33:ff:28:9c:5a");
    assert!(v4.is_multicast() && v6.is_multicast() && MacAddr::BROADCAST.is_multicast());
    assert!(MacAddr([2, 0, 0, 0, 0, 1]).is_unicast() && !MacAddr::UNSPECIFIED.is_unicast());
}

#[test]
fn interface_identifier_of_rfc_4291_appendix_a() {
    // 34-56-78-9A-BC-DE becomes 36-56-78-FF-FE-9A-BC-DE.
    let mac = MacAddr([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]);
    assert_eq!(mac.interface_id(), [0x36, 0x56, 0x78, 0xff, 0xfe, 0x9a, 0xbc, 0xde]);
}

proptest! {
    #[test]
    fn headers_round_trip(dst: [u8; 6], src: [u8; 6], ethertype: u16) {
        let header = Header { dst: MacAddr(dst), src: MacAddr(src), ethertype: EtherType(ethertype) };
        prop_assume!(!header.ethertype.is_tag());
        let mut bytes = [0; 14];
        header.emit(&mut bytes);
        prop_assert_eq!(Header::parse(&Packet::new(&bytes).unwrap()), header);
    }
}
