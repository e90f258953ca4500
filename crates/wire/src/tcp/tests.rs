//! Bytes written by hand from RFC 9293 3.1 and the option RFCs, and round trips.

use super::*;
use crate::ip::{Protocol, pseudo_v4};
use core::net::Ipv4Addr;
use proptest::prelude::*;

/// A SYN as Linux sends it: port 40000 to 80, MSS 1460, SACK, timestamps, scale 7.
const SYN: [u8; 40] = [
    0x9c, 0x40, 0x00, 0x50, // ports
    0x01, 0x02, 0x03, 0x04, // SEG.SEQ
    0x00, 0x00, 0x00, 0x00, // SEG.ACK
    0xa0, 0x02, 0xfa, 0xf0, // data offset 10, SYN, window 64240
    0x00, 0x00, 0x00, 0x00, // checksum, urgent
    2, 4, 0x05, 0xb4, // MSS 1460
    4, 2, 8, 10, // SACK permitted, timestamps
    0, 0, 0, 9, 0, 0, 0, 0, // TSval 9, TSecr 0
    1, 3, 3, 7, // nop, scale 7
];

fn syn() -> Header {
    Header {
        src_port: 40000,
        dst_port: 80,
        seq: 0x0102_0304,
        ack: 0,
        flags: Flags::SYN,
        window: 64240,
        urgent: 0,
        options: TcpOptions {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps { tsval: 9, tsecr: 0 }),
            ..TcpOptions::NONE
        },
    }
}

#[test]
fn reads_and_writes_the_syn() {
    let packet = Packet::new(&SYN).unwrap();
    assert_eq!(Header::parse(&packet), syn());
    assert_eq!((packet.header_len(), packet.payload().len()), (40, 0));
    let mut bytes = [0xee; 40];
    assert_eq!(syn().emit(&mut bytes), 40);
    assert_eq!(bytes, SYN);
}

#[test]
fn option_layouts_are_those_of_linux() {
    let ts = Some(Timestamps { tsval: 1, tsecr: 2 });
    let blocks = |n: u32| (0..n).map(|i| SackBlock { left: i, right: i + 1 }).collect::<SackBlocks>();
    let rows: [(TcpOptions, &[u8]); 7] = [
        (TcpOptions::NONE, &[]),
        (
            TcpOptions { mss: Some(536), sack_permitted: true, window_scale: Some(2), ..TcpOptions::NONE },
            &[2, 4, 2, 24, 1, 1, 4, 2, 1, 3, 3, 2],
        ),
        (TcpOptions { timestamps: ts, ..TcpOptions::NONE }, &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
        (
            TcpOptions { timestamps: ts, sack: blocks(1), ..TcpOptions::NONE },
            &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 1],
        ),
        (TcpOptions { mss: Some(1460), ..TcpOptions::NONE }, &[2, 4, 5, 180]),
        (
            TcpOptions { user_timeout: Some(UserTimeout { minutes: true, value: 5 }), ..TcpOptions::NONE },
            &[28, 4, 0x80, 5],
        ),
        (
            TcpOptions { sack: blocks(2), ..TcpOptions::NONE },
            &[1, 1, 5, 18, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2],
        ),
    ];
    for (options, expected) in rows {
        let mut bytes = vec![0xee; options.wire_len()];
        options.emit(&mut bytes);
        assert_eq!(bytes, expected, "{options:?}");
        assert_eq!(TcpOptions::parse(&bytes), options);
    }
}

#[test]
fn timestamps_leave_room_for_three_sack_blocks_and_none_for_four() {
    let mut options = TcpOptions {
        timestamps: Some(Timestamps::default()),
        sack: (0..9).map(|i| SackBlock { left: i, right: i + 1 }).collect(),
        ..TcpOptions::NONE
    };
    assert_eq!((options.sack.len(), options.sack_capacity(), options.wire_len()), (4, 3, 40));
    let mut bytes = [0; 40];
    options.emit(&mut bytes);
    assert_eq!(TcpOptions::parse(&bytes).sack, options.sack[..3].iter().copied().collect());
    options.timestamps = None;
    assert_eq!((options.sack_capacity(), options.wire_len()), (4, 36));
    options.mss = Some(1);
    options.window_scale = Some(1);
    options.sack_permitted = true;
    options.timestamps = Some(Timestamps::default());
    assert_eq!((options.sack_capacity(), options.wire_len()), (2, 40));
    options.user_timeout = Some(UserTimeout::default());
    assert_eq!((options.sack_capacity(), options.wire_len()), (1, 36));
}

#[test]
fn lengths_that_lie_are_refused() {
    let offset = |words: u8, len: usize| {
        let mut bytes = vec![0; len];
        bytes[12] = words << 4;
        Packet::new(&bytes).map(|_| ()).err()
    };
    assert_eq!(Packet::new(&[0; 19]).err(), Some(Malformed::Truncated));
    assert_eq!(offset(4, 20), Some(Malformed::HeaderLength));
    assert_eq!(offset(6, 20), Some(Malformed::HeaderLength));
    assert_eq!(offset(15, 59), Some(Malformed::HeaderLength));
    assert_eq!(offset(15, 60), None);
    assert_eq!(offset(5, 20), None);
}

/// RFC 9293 3.1: MUST-5, MUST-6, MUST-7 and their neighbours, a row each.
#[test]
fn option_walks_survive_damage() {
    let mss = Some(1460);
    let rows: [(&[u8], Option<u16>, Option<u8>); 12] = [
        (&[2, 4, 5, 180], mss, None),
        (&[1, 1, 1, 2, 4, 5, 180], mss, None), // no-operations anywhere
        (&[254, 2, 2, 4, 5, 180], mss, None),  // unknown kinds are skipped
        (&[254, 6, 3, 3, 9, 1, 2, 4, 5, 180], mss, None), // with their contents, whatever these look like
        (&[0, 2, 4, 5, 180], None, None),      // nothing behind the end
        (&[2, 4, 5, 180, 3, 0], mss, None),    // length zero ends the walk
        (&[2, 4, 5, 180, 3, 1], mss, None),    // so does one
        (&[2, 4, 5, 180, 3, 9, 7], mss, None), // and one past the end
        (&[2, 4, 5, 180, 3], mss, None),       // and a kind alone
        (&[2, 3, 5, 3, 3, 7], None, Some(7)),  // a known kind of a wrong length is skipped
        (&[2, 4, 0, 1, 2, 4, 5, 180], mss, None), // the later of two wins
        (&[3, 3, 255, 2, 4, 5, 180], mss, Some(255)), // scale is not limited here
    ];
    for (bytes, mss, scale) in rows {
        let options = TcpOptions::parse(bytes);
        assert_eq!((options.mss, options.window_scale), (mss, scale), "{bytes:?}");
    }
    assert_eq!(OptionWalk::new(&[3, 0]).collect::<Vec<_>>(), [Err(Malformed::OptionLength)]);
    assert_eq!(OptionWalk::new(&[0, 3, 0]).next(), None);
}

#[test]
fn a_sack_option_of_an_odd_size_is_not_one() {
    assert!(TcpOptions::parse(&[5, 2]).sack.is_empty());
    assert!(TcpOptions::parse(&[5, 9, 0, 0, 0, 0, 0, 0, 0]).sack.is_empty());
    let five = [&[5u8, 42][..], &[7; 40]].concat();
    assert_eq!(
        TcpOptions::parse(&five).sack.len(),
        4,
        "five blocks cannot come in a real header; four are kept"
    );
}

#[test]
fn checksum_by_hand() {
    // 10.0.0.1 -> 10.0.0.2, ports 1 -> 2, an ACK with the text "ab", all else zero but the data offset.
    // pseudo: 0a00 0001 0a00 0002 0006 0016 ; header: 0001 0002 5010 ; text 6162 -> sum c594, complement 3a6b
    let header = Header { src_port: 1, dst_port: 2, flags: Flags::ACK, ..Header::default() };
    let mut bytes = [0; 22];
    let at = header.emit(&mut bytes);
    bytes[at..].copy_from_slice(b"ab");
    let pseudo = pseudo_v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), Protocol::TCP, 22);
    fill_checksum(&mut bytes, pseudo);
    assert_eq!(Packet::new(&bytes).unwrap().checksum(), 0x3a6b);
    assert!(Packet::new(&bytes).unwrap().checksum_is_valid(pseudo));
    bytes[21] ^= 1;
    assert!(!Packet::new(&bytes).unwrap().checksum_is_valid(pseudo));
}

#[test]
fn a_partial_checksum_is_completed_by_summing_from_the_header_on() {
    let pseudo = pseudo_v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), Protocol::TCP, 22);
    let mut bytes = [7; 22];
    Header { src_port: 9, ..Header::default() }.emit(&mut bytes);
    put_partial_checksum(&mut bytes, pseudo);
    let checksum = Sum::of(&bytes).checksum(); // what the device does
    put_checksum(&mut bytes, checksum);
    assert!(Packet::new(&bytes).unwrap().checksum_is_valid(pseudo));
}

#[test]
fn flags_print_as_tcpdump_prints_them() {
    assert_eq!((Flags::SYN | Flags::ACK).to_string(), "S.");
    assert_eq!((Flags::FIN | Flags::PSH | Flags::ACK).to_string(), "FP.");
    assert_eq!((Flags::SYN | Flags::ECE | Flags::CWR).to_string(), "SEW");
    assert_eq!(Flags::NONE.to_string(), "none");
    assert_eq!((Flags::SYN | Flags::FIN).sequence_len(), 2);
    assert_eq!(!Flags::NONE & Flags::SYN, Flags::SYN);
}

#[test]
fn user_timeouts_choose_the_unit_that_holds_them() {
    let rows = [(0, false, 0), (32767, false, 32767), (32768, true, 547), (u32::MAX, true, 32767)];
    for (secs, minutes, value) in rows {
        assert_eq!(UserTimeout::from_secs(secs), UserTimeout { minutes, value });
    }
    assert_eq!(UserTimeout { minutes: true, value: 547 }.secs(), 32820);
}

prop_compose! {
    fn any_options()(
        mss: Option<u16>, window_scale: Option<u8>, sack_permitted: bool, ts: Option<(u32, u32)>,
        sack in proptest::collection::vec(any::<(u32, u32)>(), 0..5), uto: Option<(bool, u16)>
    ) -> TcpOptions {
        let mut options = TcpOptions {
            mss, window_scale, sack_permitted,
            timestamps: ts.map(|(tsval, tsecr)| Timestamps { tsval, tsecr }),
            sack: sack.into_iter().map(|(left, right)| SackBlock { left, right }).collect(),
            user_timeout: uto.map(|(minutes, value)| UserTimeout { minutes, value: value & 0x7fff }),
        };
        options.sack.truncate(options.sack_capacity());
        options
    }
}

prop_compose! {
    fn any_header()(
        src_port: u16, dst_port: u16, seq: u32, ack: u32, flags in 0u16..0x200, window: u16, urgent: u16, options in any_options()
    ) -> Header {
        Header { src_port, dst_port, seq, ack, flags: Flags::from_bits(flags), window, urgent, options }
    }
}

proptest! {
    #[test]
    fn headers_round_trip(header in any_header(), text in proptest::collection::vec(any::<u8>(), 0..50)) {
        let mut bytes = vec![0xee; header.header_len() + text.len()];
        let at = header.emit(&mut bytes);
        prop_assert_eq!(at % 4, 0);
        bytes[at..].copy_from_slice(&text);
        let packet = Packet::new(&bytes).unwrap();
        prop_assert_eq!(Header::parse(&packet), header);
        prop_assert_eq!(packet.payload(), &text[..]);
    }

    #[test]
    fn the_short_way_reads_what_the_walk_reads(bytes in proptest::collection::vec(any::<u8>(), 12), aligned: bool) {
        let mut bytes = bytes;
        if aligned { bytes[..4].copy_from_slice(&[1, 1, 8, 10]); }
        prop_assert_eq!(TcpOptions::parse(&bytes), TcpOptions::walk(&bytes));
    }

    #[test]
    fn the_short_way_of_a_syn_reads_what_the_walk_reads(
        bytes in proptest::collection::vec(any::<u8>(), 20),
        broken in proptest::option::of(0usize..20),
    ) {
        let mut syn = bytes.clone();
        for (at, octet) in [(0, 2), (1, 4), (4, 4), (5, 2), (6, 8), (7, 10), (16, 1), (17, 3), (18, 3)] {
            syn[at] = octet;
        }
        if let Some(at) = broken {
            syn[at] = bytes[at];
        }
        prop_assert_eq!(TcpOptions::parse(&syn), TcpOptions::walk(&syn));
        prop_assert!(broken.is_some() || TcpOptions::parse(&syn).sack_permitted);
    }
}

#[test]
fn a_segment_continues_what_it_repeats_but_for_its_place_and_text() {
    let stamps = TcpOptions { timestamps: Some(Timestamps { tsval: 1, tsecr: 2 }), ..TcpOptions::NONE };
    let first = Header { seq: u32::MAX - 1, ack: 7, flags: Flags::ACK, options: stamps, ..syn() };
    let written = |header: &Header, text: &[u8], checksum: u16| {
        let mut bytes = vec![0; header.header_len()];
        header.emit(&mut bytes);
        bytes.extend_from_slice(text);
        put_checksum(&mut bytes, checksum);
        bytes
    };
    let before = written(&first, b"abc", 1);
    let continues = |header: Header| {
        let next = written(&header, b"defg", 2);
        Packet::new(&next).unwrap().continues(&Packet::new(&before).unwrap())
    };
    let next = Header { seq: 1, ..first };
    assert!(continues(next));
    assert!(continues(Header { flags: Flags::ACK | Flags::PSH, ..next }));
    let changes: [fn(&mut Header); 10] = [
        |header| header.src_port ^= 1,
        |header| header.dst_port ^= 1,
        |header| header.seq ^= 1,
        |header| header.ack ^= 1,
        |header| header.flags = Flags::ACK | Flags::FIN,
        |header| header.flags = Flags::ACK | Flags::CWR,
        |header| header.window ^= 1,
        |header| header.urgent ^= 1,
        |header| header.options = TcpOptions::NONE,
        |header| header.options.timestamps = Some(Timestamps { tsval: 1, tsecr: 3 }),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut other = next;
        change(&mut other);
        assert!(!continues(other), "change {at}");
    }
}
