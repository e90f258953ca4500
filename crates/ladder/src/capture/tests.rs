use super::pcapng::interface_for_test as pcapng_interface;
use super::*;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, Endianness};
use proptest::prelude::*;

/// A packet of a capture: time, link type, octets.
type Packet = (Duration, LinkType, Vec<u8>);

/// What a capture gives, and its break.
fn read(bytes: &[u8]) -> (Vec<Packet>, Option<Break>) {
    let mut capture = Capture::new(bytes);
    let mut packets = Vec::new();
    loop {
        match capture.next_record() {
            Ok(Some(record)) => packets.push((record.time, record.link, record.bytes.to_vec())),
            Ok(None) => return (packets, None),
            Err(broken) => {
                assert!(matches!(capture.next_record(), Ok(None)), "after a break it is over");
                return (packets, Some(broken));
            }
        }
    }
}

/// A pcap file by hand: its magic, byte order, link type, and packets with seconds and fraction.
fn pcap(magic: u32, big: bool, link: u32, packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let word = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let half = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut file = Vec::new();
    file.extend(word(magic));
    file.extend(half(2));
    file.extend(half(4));
    for n in [0, 0, 65_535, link] {
        file.extend(word(n));
    }
    for (secs, fraction, bytes) in packets {
        let len = bytes.len() as u32;
        for n in [*secs, *fraction, len, len + 5] {
            file.extend(word(n));
        }
        file.extend(*bytes);
    }
    file
}

#[test]
fn pcap_in_both_orders_and_units() {
    for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
        for big in [false, true] {
            let file = pcap(magic, big, 1, &[(7, 9, b"one"), (8, 10, b"")]);
            let (packets, broken) = read(&file);
            assert!(broken.is_none());
            let expected = [
                (Duration::new(7, 9 * unit), LinkType::Ethernet, b"one".to_vec()),
                (Duration::new(8, 10 * unit), LinkType::Ethernet, Vec::new()),
            ];
            assert_eq!(packets, expected, "{magic:x} {big}");
        }
    }
}

/// Pcapng as another crate writes it: several interfaces, of different link types and resolutions.
fn pcapng(order: Endianness) -> Vec<u8> {
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), order).expect("a Vec takes all");
    let interfaces =
        [(DataLink::ETHERNET, None), (DataLink::RAW, Some(9)), (DataLink::LINUX_SLL2, Some(0x80 | 10))];
    for (link, resolution) in interfaces {
        let mut interface = InterfaceDescriptionBlock::new(link, 0);
        interface.options.extend(resolution.map(InterfaceDescriptionOption::IfTsResol));
        writer.write_block(&interface.into_block()).expect("a Vec takes all");
    }
    for id in 0..3_u32 {
        let block = EnhancedPacketBlock {
            interface_id: id,
            // The writer takes the number of units for nanoseconds.
            timestamp: Duration::from_nanos(1_500_000),
            original_len: 100,
            data: vec![id as u8; 5 + id as usize].into(),
            options: Vec::new(),
        };
        writer.write_block(&block.into_block()).expect("a Vec takes all");
    }
    writer.into_inner()
}

#[test]
fn pcapng_with_several_interfaces() {
    for order in [Endianness::Little, Endianness::Big] {
        let (packets, broken) = read(&pcapng(order));
        assert!(broken.is_none(), "{broken:?}");
        let links: Vec<_> = packets.iter().map(|packet| packet.1).collect();
        assert_eq!(links, [LinkType::Ethernet, LinkType::Raw, LinkType::LinuxSll2]);
        let bytes: Vec<_> = packets.iter().map(|packet| packet.2.clone()).collect();
        assert_eq!(bytes, [vec![0; 5], vec![1; 6], vec![2; 7]]);
    }
}

#[test]
fn times_follow_each_interfaces_resolution() {
    let interface = |resolution, offset| pcapng_interface(resolution, offset);
    let table = [
        (6, 0, 1_500_000, Duration::from_millis(1500)),
        (9, 0, 1_500_000_000, Duration::from_millis(1500)),
        (3, 0, 1500, Duration::from_millis(1500)),
        (0, 0, 3, Duration::from_secs(3)),
        (0x80 | 1, 0, 3, Duration::from_millis(1500)),
        (12, 0, 1_500_000_000_000, Duration::from_millis(1500)),
        (6, 10, 1_500_000, Duration::from_millis(11_500)),
        (6, -1, 1_500_000, Duration::from_millis(500)),
    ];
    for (resolution, offset, units, time) in table {
        assert_eq!(interface(resolution, offset).time(units), time, "{resolution} {offset}");
    }
}

#[test]
fn a_cut_capture_is_read_up_to_the_cut() {
    for file in
        [pcap(0xa1b2_c3d4, false, 1, &[(1, 1, b"first"), (2, 2, b"second")]), pcapng(Endianness::Little)]
    {
        let whole = read(&file).0;
        for len in 0..file.len() {
            let (packets, broken) = read(&file[..len]);
            assert!(whole.starts_with(&packets), "{len}");
            // Between two records a cut cannot be told from an end.
            if let Some(broken) = broken {
                assert_eq!(broken.packets, packets.len() as u64);
                let cut =
                    matches!(broken.why, BreakReason::Cut | BreakReason::NotACapture | BreakReason::Empty);
                assert!(cut, "{len}: {broken}");
            }
        }
        let (packets, broken) = read(&file[..file.len() - 1]);
        assert_eq!(packets.len(), whole.len() - 1);
        let said = broken.expect("a packet is cut").to_string();
        assert!(said.starts_with("the capture ends within a packet (after "), "{said}");
    }
}

#[test]
fn what_is_no_capture_is_said() {
    for (bytes, said) in [
        (&b""[..], "this is no capture: it is empty"),
        (b"abc", "this is no capture: it begins neither as pcap nor as pcapng does"),
        (b"GET / HTTP/1.1\r\n", "this is no capture: it begins neither as pcap nor as pcapng does"),
        (b"\x1f\x8b\x08\0", "this is compressed by gzip: it must be decompressed first"),
        (b"\x28\xb5\x2f\xfd", "this is compressed by zstd: it must be decompressed first"),
    ] {
        assert_eq!(read(bytes).1.expect("it is none").to_string(), said);
    }
}

#[test]
fn a_record_of_impossible_length_breaks() {
    let mut file = pcap(0xa1b2_c3d4, false, 1, &[(1, 1, b"first")]);
    file.extend([0; 8]);
    file.extend(u32::MAX.to_le_bytes());
    file.extend([0; 100]);
    let (packets, broken) = read(&file);
    assert_eq!(packets.len(), 1);
    assert!(matches!(broken.expect("broken").why, BreakReason::TooLong(len) if len == u64::from(u32::MAX)));
}

/// A reader that gives its octets in pieces, as a pipe does.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.1.min(self.0.len()).min(buffer.len());
        buffer[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        Ok(len)
    }
}

#[test]
fn pieces_of_any_size_give_the_same() {
    let file = pcapng(Endianness::Little);
    let whole = read(&file).0;
    for piece in [1, 3, 7, 100] {
        let mut capture = Capture::new(Dribble(&file, piece));
        let mut count = 0;
        while let Some(record) = capture.next_record().expect("whole") {
            assert_eq!(record.bytes, whole[count].2);
            count += 1;
        }
        assert_eq!(count, whole.len());
    }
}

#[test]
fn memory_is_bounded_by_the_longest_record() {
    let long = vec![7; 3 << 20];
    let packets: Vec<(u32, u32, &[u8])> = (0..20).map(|n| (n, 0, &long[..])).collect();
    let file = pcap(0xa1b2_c3d4, false, 1, &packets);
    let mut capture = Capture::new(&file[..]);
    let mut count = 0;
    while capture.next_record().expect("whole").is_some() {
        count += 1;
        assert!(capture.source.buffer.len() <= 4 << 20);
    }
    assert_eq!(count, 20);
}

proptest! {
    #[test]
    fn no_octets_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0..200_usize, flips in prop::collection::vec(any::<u8>(), 1..8)) {
        read(&bytes);
        for mut file in [pcap(0xa1b2_c3d4, true, 1, &[(1, 1, &bytes)]), pcapng(Endianness::Big)] {
            for (offset, flip) in flips.iter().enumerate() {
                let at = (at + offset) % file.len();
                file[at] ^= flip;
            }
            read(&file);
        }
    }
}
