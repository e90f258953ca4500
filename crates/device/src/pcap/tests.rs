//! What is written can be read by others, byte for byte; what is played comes when it came.

use super::*;
use crate::memory;
use pcap_file::pcap::{PcapPacket, PcapWriter};
use pcap_file::pcapng::{Block, PcapNgReader};
use wire::meta::TxMeta;

#[test]
fn a_capture_holds_both_directions_with_their_times() {
    let (a, mut b) = memory::pair(Capabilities::default());
    let mut a = Capture::new(a, Vec::new()).unwrap();
    let out = a.transmit(Nanos(5), 0);
    out.reserve(3).unwrap().copy_from_slice(b"out");
    out.commit(3, TxMeta::default());
    a.flush(Nanos(5), 0).unwrap();
    assert_eq!(b.receive(Nanos(5), 0, 9).unwrap().frame(0).bytes, b"out");
    let back = b.transmit(Nanos(6), 0);
    back.reserve(4).unwrap().copy_from_slice(b"back");
    back.commit(4, TxMeta::default());
    b.flush(Nanos(6), 0).unwrap();
    assert_eq!(a.receive(Nanos(1_000_000_007), 0, 9).unwrap().len(), 1);

    let (_, bytes) = a.into_parts().unwrap();
    // Read by hand, since the library's own reader would share its writer's mistakes: pcapng, section 4.
    let mut blocks = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let length = word(4) as usize;
        assert_eq!(word(length - 4) as usize, length, "the length stands at both ends");
        blocks.push((word(0), rest[8..length - 4].to_vec()));
        rest = &rest[length..];
    }
    let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 6], "section header, interface, two packets");
    assert_eq!(blocks[1].1[..2], [101, 0], "link type RAW");
    assert_eq!(blocks[1].1[8..13], [9, 0, 1, 0, 9], "if_tsresol: nanoseconds");
    let packet = |body: &[u8]| {
        let word = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().unwrap());
        let captured = word(12) as usize;
        (u64::from(word(4)) << 32 | u64::from(word(8)), body[20..20 + captured].to_vec())
    };
    assert_eq!(packet(&blocks[2].1), (5, b"out".to_vec()));
    assert_eq!(packet(&blocks[3].1), (1_000_000_007, b"back".to_vec()));
    // And the library agrees.
    let mut reader = PcapNgReader::new(&bytes[..]).unwrap();
    let mut packets = 0;
    while let Some(block) = reader.next_block() {
        packets += usize::from(matches!(block.unwrap(), Block::EnhancedPacket(_)));
    }
    assert_eq!(packets, 2);
}

#[test]
fn a_writer_that_fails_stops_the_capture_and_nothing_else() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= 1;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (a, mut b) = memory::pair(Capabilities::default());
    let mut a = Capture::new(a, Full(60)).unwrap();
    for _ in 0..100 {
        let sink = a.transmit(Nanos(0), 0);
        sink.reserve(1).unwrap()[0] = 7;
        sink.commit(1, TxMeta::default());
    }
    a.flush(Nanos(0), 0).unwrap();
    assert_eq!(b.receive(Nanos(0), 0, 200).unwrap().len(), 100);
    assert!(a.take_failure().is_some());
}

#[test]
fn a_replay_keeps_the_captures_times() {
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    for (millis, data) in [(1000, &b"first"[..]), (1000, b"with it"), (1250, b"later")] {
        writer
            .write_packet(&PcapPacket::new(Duration::from_millis(millis), data.len() as u32, data))
            .unwrap();
    }
    let file = writer.into_writer();
    let mut replay = Replay::new(&file[..]).unwrap();
    assert_eq!(replay.capabilities().medium, Medium::Ethernet);
    assert_eq!(replay.receive(Nanos(0), 0, 9).unwrap().len(), 2);
    assert_eq!(replay.next_deadline(), Some(Nanos(250_000_000)));
    assert!(replay.receive(Nanos(249_999_999), 0, 9).unwrap().is_empty());
    assert_eq!(replay.receive(Nanos(250_000_000), 0, 9).unwrap().frame(0).bytes, b"later");
    assert_eq!(replay.next_deadline(), None);
    assert!(Replay::new(&b"no capture at all, just text"[..]).is_err());
    assert!(
        Replay::new(&file[..file.len() - 3]).unwrap().receive(Nanos(u64::MAX), 0, 9).is_err(),
        "cut short"
    );
}
