//! How fast a capture is read: makes one of a million packets in a folder, then lists its flows, several times, from a warm file.
//!
//! ```text
//! cargo run --release -p switchboard-ladder --example flow_list_speed -- [PACKETS] [OCTETS A PACKET] [FLOWS] [FILE]
//! ```

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};
use switchboard_ladder::capture::Capture;
use switchboard_ladder::dissect::dissect;
use switchboard_ladder::flow::Flows;

fn main() -> std::io::Result<()> {
    let mut words = std::env::args().skip(1);
    let mut number = |default: u32| words.next().and_then(|word| word.parse().ok()).unwrap_or(default);
    let (packets, octets, flows) = (number(1_000_000), number(700).max(54), number(1000));
    let path = std::env::args().nth(4).unwrap_or_else(|| {
        std::env::temp_dir()
            .join(format!("switchboard-flow-list-{}.pcap", std::process::id()))
            .display()
            .to_string()
    });
    write(&path, packets, octets, flows)?;
    let size = std::fs::metadata(&path)?.len();
    println!("{packets} packets of {octets} octets in {flows} flows: {} MB", size / 1_000_000);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        let found = list(&path)?;
        best = best.min(begin.elapsed());
        assert_eq!(found, flows as usize, "every flow is found");
    }
    let rate = size as f64 / best.as_secs_f64() / 1e6;
    println!(
        "best of 5: {best:.1?}, {rate:.0} MB/s, {:.0} ns a packet",
        best.as_nanos() as f64 / f64::from(packets)
    );
    std::fs::remove_file(&path)
}

fn list(path: &str) -> std::io::Result<usize> {
    let mut capture = Capture::new(File::open(path)?);
    let mut flows = Flows::new();
    while let Some(record) = capture.next_record().map_err(std::io::Error::other)? {
        let (time, len) = (record.time, record.original_len);
        if let Ok(packet) = dissect(&record) {
            flows.observe(time, &packet, len);
        }
    }
    Ok(flows.list().len())
}

/// Ethernet, IPv4, TCP with timestamps, text; the flows take turns of eight packets.
fn write(path: &str, packets: u32, octets: u32, flows: u32) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
    out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0])?;
    let mut frame = vec![0_u8; octets as usize];
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14] = 0x45;
    frame[16..18].copy_from_slice(&((octets - 14) as u16).to_be_bytes());
    frame[22..24].copy_from_slice(&[64, 6]);
    frame[36..38].copy_from_slice(&80_u16.to_be_bytes());
    frame[46] = 0x50;
    frame[47] = 0x10;
    for n in 0..packets {
        let flow = n / 8 % flows;
        frame[26..30].copy_from_slice(&(0x0a00_0000 + flow).to_be_bytes());
        frame[30..34].copy_from_slice(&0x0aff_ffff_u32.to_be_bytes());
        frame[34..36].copy_from_slice(&40_000_u16.to_be_bytes());
        frame[38..42].copy_from_slice(&(n * octets).to_be_bytes());
        for word in [n / 1_000_000, n % 1_000_000, octets, octets] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&frame)?;
    }
    out.flush()
}
