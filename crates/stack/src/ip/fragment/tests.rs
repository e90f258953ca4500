use super::*;

fn out(v6: bool) -> Outgoing {
    let (src, dst) = if v6 { ("2001:db8::1", "2001:db8::2") } else { ("192.0.2.1", "192.0.2.2") };
    Outgoing::new(src.parse().unwrap(), dst.parse().unwrap(), Protocol::UDP)
}

fn pieces(v6: bool, len: usize, mtu: u32) -> Vec<Vec<u8>> {
    let (out, whole) = (out(v6), (0..len).map(|i| i as u8).collect::<Vec<_>>());
    let cut = Cut::new(&out, len, mtu).unwrap();
    let piece = |index| {
        let mut packet = vec![0; cut.packet_len(index)];
        cut.write(index, &out, 64, 77, &whole, &mut packet);
        packet
    };
    (0..cut.pieces()).map(piece).collect()
}

#[test]
fn ipv4_pieces_fit_and_cover_the_datagram() {
    let mut covered = Vec::new();
    let cut = pieces(false, 3_000, 1_001);
    for (index, bytes) in cut.iter().enumerate() {
        let packet = ipv4::Packet::new(bytes).unwrap();
        assert!(bytes.len() <= 1_001 && packet.checksum_is_valid() && !packet.dont_fragment());
        assert_eq!(usize::from(packet.fragment_offset()), covered.len());
        assert_eq!(packet.more_fragments(), index + 1 < cut.len());
        assert_eq!((packet.ident(), packet.ttl(), packet.protocol()), (77, 64, Protocol::UDP));
        covered.extend_from_slice(packet.payload());
    }
    assert_eq!(covered, (0..3_000).map(|i| i as u8).collect::<Vec<_>>());
}

#[test]
fn ipv6_pieces_carry_a_fragment_header() {
    let mut covered = Vec::new();
    let cut = pieces(true, 3_000, 1_280);
    for (index, bytes) in cut.iter().enumerate() {
        let packet = ipv6::Packet::new(bytes).unwrap();
        let walk = packet.walk().unwrap();
        let fragment = walk.fragment.unwrap();
        assert!(bytes.len() <= 1_280);
        assert_eq!((usize::from(fragment.offset), fragment.ident), (covered.len(), 77));
        assert_eq!((fragment.more, fragment.next_header), (index + 1 < cut.len(), Protocol::UDP));
        covered.extend_from_slice(walk.payload);
    }
    assert_eq!(covered.len(), 3_000);
}

#[test]
fn what_cannot_be_cut() {
    assert!(Cut::new(&out(false), 65_515, 1_500).is_some());
    assert!(Cut::new(&out(false), 65_516, 1_500).is_none(), "no receiver could put it together");
    assert!(Cut::new(&out(true), 65_536, 1_500).is_none());
    assert!(Cut::new(&out(false), 100, 27).is_none(), "no room for eight octets");
    assert_eq!(Cut::new(&out(false), 100, 28).unwrap().pieces(), 13);
}

#[test]
fn identifications_of_one_pair_do_not_repeat_and_cannot_be_foreseen() {
    let mut idents = Identifications::new(&Secret::from_seed(1));
    let (a, b) = (out(false), IpAddr::from([192, 0, 2, 9]));
    let mut seen = vec![false; 65_536];
    for _ in 0..65_536 {
        let ident = idents.next(a.src, a.dst, Protocol::UDP) as u16;
        assert!(!std::mem::replace(&mut seen[usize::from(ident)], true));
        idents.next(a.src, b, Protocol::UDP);
    }
    let first = |seed| Identifications::new(&Secret::from_seed(seed)).next(a.src, a.dst, Protocol::UDP);
    assert_ne!(first(1), first(2));
}
