//! `switchboard trace`: the segments or datagrams of a number's line as they pass, as a ladder, and to a file.
//!
//! Owns: the asking, which keeps the trace going: an exchange that nobody asks for ten seconds watches no more.
//! Invariants: the states on the exchange's side are the stack's own, those on the client's are inferred; what was lost because it was
//! not taken in time is said; others may trace the same line.
//! Not here: the rings (`server::network::trace`), the drawing (`ladder`).

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::time::{Duration, Instant};

use ladder::state::State;
use ladder::tap::{Tap, Tapped};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness};
use server::admin::{Client, Frame, Item, Request, TraceOf, Traced};

use crate::args::Trace;
use crate::commands::ladder::options;
use crate::data;
use crate::failure::Failure;

/// How often the exchange is asked: often enough to be live, seldom enough to cost it nothing.
const PAUSE: Duration = Duration::from_millis(100);
/// Octets of a packet in the file, at most.
const SNAP_LEN: u32 = 2048;

pub(crate) fn run(args: &Trace) -> Result<(), Failure> {
    let folder = &args.data.data;
    let Some(mut exchange) = data::running(folder)? else {
        return Err(Failure::failed(format!(
            "no exchange runs on {}: start one with `switchboard serve`, or name its folder with --data",
            folder.display()
        )));
    };
    let lines = ask(&mut exchange, args, None)?;
    let Traced { line, name, .. } = choose(args, lines.into_iter().map(|(about, _)| about).collect())?;
    let mut of = TraceOf { name, after: 0 };
    // It is watched from here on, so what follows the next words is seen.
    let mut traces = ask(&mut exchange, args, Some(&of))?;
    if traces.iter().any(|(about, _)| about.full) {
        return Err(Failure::failed(
            "as many lines are traced as can be at a time: end another trace, and wait ten seconds",
        ));
    }
    eprintln!(
        "switchboard: tracing {}/{}, {} on {}, from {}",
        args.number,
        line.resource.as_deref().unwrap_or("-"),
        line.carrier,
        line.network,
        line.remote
    );
    let mut picture = Picture::new(args)?;
    let end = (!args.follow).then(|| Instant::now() + Duration::from_secs(args.seconds));
    while let Some((about, frames)) = traces.pop() {
        of.after = about.next;
        if about.lost > 0 {
            eprintln!("switchboard: {} packets were not taken in time", about.lost);
        }
        for frame in &frames {
            match picture.take(frame) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                other => other.map_err(|error| Failure::failed(error.to_string()))?,
            }
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
        std::thread::sleep(PAUSE);
        traces = ask(&mut exchange, args, Some(&of))?;
    }
    picture.finish().map_err(|error| Failure::failed(error.to_string()))
}

type Traces = Vec<(Traced, Vec<Frame>)>;

fn ask(exchange: &mut Client, args: &Trace, of: Option<&TraceOf>) -> Result<Traces, Failure> {
    let mut traces: Traces = Vec::new();
    exchange
        .ask(&Request::Trace { number: args.number.get(), of: of.cloned() }, |item| match item {
            Item::Trace(about) => traces.push((about, Vec::new())),
            Item::Frame(frame) => {
                if let Some((_, frames)) = traces.last_mut() {
                    frames.push(frame);
                }
            }
            _ => {}
        })
        .map_err(|error| Failure::failed(format!("the exchange's admin socket: {error}")))?
        .map_err(|(_, reason)| Failure::failed(reason))?;
    Ok(traces)
}

/// The line that is meant, if it can be shown.
fn choose(args: &Trace, all: Vec<Traced>) -> Result<Traced, Failure> {
    let number = args.number;
    let wanted = all.into_iter().filter(|traced| match &args.resource {
        None => true,
        wanted => traced.line.resource == *wanted,
    });
    let mut wanted: Vec<Traced> = wanted.collect();
    wanted.sort_by_key(|traced| (traced.shown, traced.line.since));
    match (wanted.pop(), &args.resource) {
        (Some(traced), _) if traced.shown => Ok(traced),
        (Some(traced), _) => Err(Failure::failed(format!(
            "{number} is on the network `{}`, which shows no packets: only our own stack does (serve --network tun:...); \
             for others see `switchboard ladder --live`",
            traced.line.network
        ))),
        (None, Some(resource)) => {
            Err(Failure::failed(format!("{number} has no line with the resource `{resource}`")))
        }
        (None, None) => Err(Failure::failed(format!("{number} has no line: see `switchboard who`"))),
    }
}

/// What is drawn and written.
struct Picture {
    tap: Tap<BufWriter<Stdout>>,
    file: Option<PcapNgWriter<BufWriter<File>>>,
}

impl Picture {
    fn new(args: &Trace) -> Result<Self, Failure> {
        let file = args.pcap.as_ref().map(|path| -> Result<_, Failure> {
            let fail =
                |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", path.display()));
            let file = File::create(path).map_err(|error| fail(&error))?;
            let mut writer = PcapNgWriter::with_endianness(BufWriter::new(file), Endianness::Little)
                .map_err(|error| fail(&error))?;
            let mut interface = InterfaceDescriptionBlock::new(DataLink::RAW, SNAP_LEN);
            // Nanoseconds: the times are 10^-9 seconds.
            interface.options.push(InterfaceDescriptionOption::IfTsResol(9));
            writer.write_pcapng_block(interface).map_err(|error| fail(&error))?;
            Ok(writer)
        });
        let out = BufWriter::new(io::stdout());
        let tap = Tap::new(out, args.drawing.format, options(&args.drawing), "exchange", "client");
        Ok(Self { tap, file: file.transpose()? })
    }

    fn take(&mut self, frame: &Frame) -> io::Result<()> {
        let octets = octets(&frame.octets);
        let time = Duration::from_nanos(frame.at);
        if let Some(file) = &mut self.file {
            let block = EnhancedPacketBlock {
                interface_id: 0,
                timestamp: time,
                original_len: frame.len,
                data: Cow::Borrowed(&octets),
                options: Vec::new(),
            };
            file.write_pcapng_block(block).map_err(io::Error::other)?;
        }
        let state = frame.state.as_deref().and_then(state);
        self.tap.push(&Tapped { time, sent: frame.sent, state, len: frame.len, octets: &octets })?;
        self.tap.flush()
    }

    fn finish(self) -> io::Result<()> {
        if let Some(file) = self.file {
            file.into_inner().flush()?;
        }
        self.tap.finish()?.map_or(Ok(()), |mut out| out.flush())
    }
}

/// The RFC's spelling, read.
fn state(name: &str) -> Option<State> {
    use State::*;
    let all = [
        Closed,
        Listen,
        SynSent,
        SynReceived,
        Established,
        FinWait1,
        FinWait2,
        CloseWait,
        Closing,
        LastAck,
        TimeWait,
    ];
    all.into_iter().find(|state| state.name() == name)
}

fn octets(hex: &str) -> Vec<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16).unwrap_or(0) as u8;
    hex.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_exchange_writes_is_read() {
        assert_eq!(octets("00ff5a"), [0, 255, 90]);
        assert_eq!(state("FIN-WAIT-2"), Some(State::FinWait2));
        assert_eq!(state("ESTABLISHED"), Some(State::Established));
        assert_eq!(state("OPEN"), None);
    }
}
