//! However long a capture is, listing and drawing it take the same memory: what the reader holds, and what is under way.

use std::io::{self, Read};
use switchboard_ladder::capture::Capture;
use switchboard_ladder::dissect::dissect;
use switchboard_ladder::flow::{Flows, item};
use switchboard_ladder::item::Hosts;
use switchboard_ladder::{Format, Ladder, LadderOptions};

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// What may be allocated at one time: the reader's buffer of 1 MiB, and as much again.
const BYTES_MAX: usize = 2 << 20;
/// Each is drawn as some 300 octets: who kept them would hold three times [`BYTES_MAX`].
const PACKETS: u32 = 20_000;
const PACKET_LEN: usize = 1500;

/// A capture of one connection that sends full segments, made as it is read.
struct Endless {
    n: u32,
    record: Vec<u8>,
    at: usize,
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Endless {
    fn new() -> Endless {
        Endless { n: 0, record: words(&[0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 65_535, 101]), at: 0 }
    }

    fn next_record(&mut self) {
        let len = PACKET_LEN as u32;
        let mut packet = [0; PACKET_LEN];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(PACKET_LEN as u16).to_be_bytes());
        packet[8..10].copy_from_slice(&[64, 6]);
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        packet[20..24].copy_from_slice(&[0x9c, 0x40, 0, 80]);
        packet[24..28].copy_from_slice(&(self.n * (len - 40)).to_be_bytes());
        packet[32..36].copy_from_slice(&[0x50, 0x10, 0xff, 0xff]);
        self.record = words(&[self.n / 1000, self.n % 1000 * 1000, len, len]);
        self.record.extend(packet);
        self.at = 0;
        self.n += 1;
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.record.len() && self.n < PACKETS {
            self.next_record();
        }
        let len = buffer.len().min(self.record.len() - self.at);
        buffer[..len].copy_from_slice(&self.record[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

#[test]
fn a_long_capture_takes_no_more_memory_than_a_short_one() {
    // Pictures stop at a bound of their own; these do not.
    for format in [Format::Text, Format::Json] {
        let before = ALLOCATOR.allocated();
        let mut most = 0;
        let mut capture = Capture::new(Endless::new());
        let mut flows = Flows::new();
        let hosts = Hosts { names: ["client".into(), "server".into()], states: [None; 2], time_wait: None };
        let mut ladder =
            Ladder::new(io::sink(), format, hosts, LadderOptions::default()).expect("a sink takes all");
        while let Some(record) = capture.next_record().expect("the capture is whole") {
            let packet = dissect(&record).expect("a segment");
            let seen = flows.observe(record.time, &packet, record.original_len).expect("there is room");
            let item = item(&flows.list()[seen.index], seen.from, record.time, &packet);
            ladder.push(item).expect("a sink takes all");
            most = most.max(ALLOCATOR.allocated().saturating_sub(before));
        }
        ladder.finish().expect("a sink takes all");
        assert_eq!((capture.packets(), flows.list().len()), (PACKETS.into(), 1));
        assert!(most <= BYTES_MAX, "{format:?}: {most} bytes for {PACKETS} packets");
    }
}
