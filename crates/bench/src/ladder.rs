//! Ladder: how fast a capture is listed and drawn, from a warm file, and how much memory that takes.
//! Units: MB/s of the file; bytes that were allocated at most, for all rows together.
//! Owns: the captures it makes. Invariants: a listing finds every flow and a drawing every packet, or the row fails; of several rounds
//! the best counts, since the machine has other work.
//! Not here: reading and drawing (`ladder`).

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::ladder::capture::Capture;
use ::ladder::dissect::dissect;
use ::ladder::flow::{Flows, item};
use ::ladder::item::Hosts;
use ::ladder::{Format, Ladder, LadderOptions};
use wire::tcp::{Flags, Header, Timestamps};

use crate::report::{Report, Side};

const ROUNDS: u32 = 3;
/// Packets of a flow that come one after the other.
const TRAIN: u32 = 8;
/// Of so many packets one is an acknowledgement, as a receiver sends them that answers every second segment.
const ACK_EVERY: u32 = 3;
const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;

/// A capture that is made for one row.
struct Sample {
    /// In the name of the row.
    name: &'static str,
    packets: u32,
    flows: u32,
    /// Octets of text of a full segment.
    text: usize,
}

pub(crate) fn run(packets: u32, report: &mut Report) -> io::Result<()> {
    for (name, text) in [("mtu", 1448), ("small", 12)] {
        let many = Sample { name, packets, flows: 1000.min(packets.div_ceil(TRAIN)), text };
        many.measure(report, "list", |path| list(path).map(|flows| flows == many.flows as usize))?;
        let one = Sample { flows: 1, ..many };
        for (case, format) in [("draw-text", Format::Text), ("draw-json", Format::Json)] {
            one.measure(report, case, |path| draw(path, format).map(|drawn| drawn == packets))?;
        }
    }
    let peak = crate::ALLOCATOR.max_allocated() as f64;
    report.figure("ladder-peak-bytes", Side::Ours, peak, "B", packets.into());
    Ok(())
}

impl Sample {
    fn measure(
        &self,
        report: &mut Report,
        case: &str,
        read: impl Fn(&Path) -> io::Result<bool>,
    ) -> io::Result<()> {
        let path = std::env::temp_dir().join(format!("switchboard-bench-{}.pcap", std::process::id()));
        let path = Removed(path);
        self.write(&path.0)?;
        let size = fs::metadata(&path.0)?.len();
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            if !read(&path.0)? {
                return Err(io::Error::other(format!("{case}-{}: not everything was found", self.name)));
            }
            best = best.min(begun.elapsed());
        }
        let rate = size as f64 / 1e6 / best.as_secs_f64();
        let case = format!("ladder-{case}-{}-mb-s", self.name);
        report.figure(&case, Side::Ours, rate, "MB/s", self.packets.into());
        Ok(())
    }

    /// Ethernet, IPv4, TCP with timestamps: two segments of text from the client, one acknowledgement of the server.
    fn write(&self, path: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        for word in [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 65_535, 1_u32] {
            out.write_all(&word.to_le_bytes())?;
        }
        let mut sent = vec![0_u32; self.flows as usize];
        let mut frame = Vec::new();
        for n in 0..self.packets {
            let flow = n / TRAIN % self.flows;
            let seq = &mut sent[flow as usize];
            let is_ack = n % ACK_EVERY == ACK_EVERY - 1;
            let ends = [(0x0a00_0000 + flow, 40_000), (0x0aff_ffff, 80)];
            let (src, dst) = if is_ack { (ends[1], ends[0]) } else { (ends[0], ends[1]) };
            let header = Header {
                src_port: src.1,
                dst_port: dst.1,
                seq: if is_ack { 1 } else { *seq },
                ack: if is_ack { *seq } else { 1 },
                flags: Flags::ACK,
                window: 512,
                options: wire::tcp::TcpOptions {
                    timestamps: Some(Timestamps { tsval: n, tsecr: n }),
                    ..wire::tcp::TcpOptions::NONE
                },
                ..Header::default()
            };
            let text = if is_ack { 0 } else { self.text };
            *seq = seq.wrapping_add(text as u32);
            let total = IPV4_LEN + header.header_len() + text;
            frame.clear();
            frame.resize(ETHERNET_LEN + total, 0);
            frame[12] = 0x08; // IPv4
            let ip = wire::ipv4::Header::new(
                src.0.into(),
                dst.0.into(),
                wire::ip::Protocol::TCP,
                64,
                (total - IPV4_LEN) as u16,
            );
            ip.emit(&mut frame[ETHERNET_LEN..]);
            header.emit(&mut frame[ETHERNET_LEN + IPV4_LEN..]);
            let len = frame.len() as u32;
            for word in [n / 100_000, n % 100_000 * 10, len, len] {
                out.write_all(&word.to_le_bytes())?;
            }
            out.write_all(&frame)?;
        }
        out.flush()
    }
}

/// A file that goes when it is done with.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // in a folder for temporary files
    }
}

/// Flows found.
fn list(path: &Path) -> io::Result<usize> {
    let mut capture = Capture::new(File::open(path)?);
    let mut flows = Flows::new();
    while let Some(record) = capture.next_record().map_err(io::Error::other)? {
        if let Ok(packet) = dissect(&record) {
            flows.observe(record.time, &packet, record.original_len);
        }
    }
    Ok(flows.list().len())
}

/// Packets drawn, of the first flow, to nowhere.
fn draw(path: &Path, format: Format) -> io::Result<u32> {
    let mut capture = Capture::new(File::open(path)?);
    let mut flows = Flows::new();
    let hosts = Hosts { names: ["client".into(), "server".into()], states: [None; 2], time_wait: None };
    let mut ladder = Ladder::new(io::sink(), format, hosts, LadderOptions::default())?;
    let mut drawn = 0;
    while let Some(record) = capture.next_record().map_err(io::Error::other)? {
        if let Ok(packet) = dissect(&record)
            && let Some(seen) = flows.observe(record.time, &packet, record.original_len)
            && seen.index == 0
        {
            ladder.push(item(&flows.list()[0], seen.from, record.time, &packet))?;
            drawn += 1;
        }
    }
    ladder.finish()?;
    Ok(drawn)
}
