//! `switchboard trace`: the segments or datagrams of a number's line as they pass, as a ladder, and to a file.
//!
//! Owns: the asking, which keeps the trace going: an exchange that nobody asks for ten seconds watches no more.
//! Invariants: the states on the exchange's side are the stack's own, those on the client's are inferred; what was lost because it was
//! not taken in time is said.
//! Not here: the rings (`server::network::trace`), the drawing (`ladder`).

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::time::{Duration, Instant};

use ladder::capture::{LinkType, Record};
use ladder::dissect::dissect;
use ladder::flow::{Flows, item};
use ladder::item::{Hosts, Item as Drawn, Side};
use ladder::state::State;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness};
use server::admin::{Client, Frame, Item, Line, Request, Traced};

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
    let first = ask(&mut exchange, args)?;
    let line = choose(args, first.into_iter().map(|(about, _)| about).collect())?;
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
    loop {
        let traces = ask(&mut exchange, args)?;
        let ours = traces
            .into_iter()
            .find(|(about, _)| about.line.remote == line.remote && about.line.carrier == line.carrier);
        let is_over = ours.is_none();
        if let Some((about, frames)) = ours {
            if about.lost > 0 {
                eprintln!("switchboard: {} packets were not taken in time", about.lost);
            }
            for frame in &frames {
                match picture.take(frame) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    other => other.map_err(|error| Failure::failed(error.to_string()))?,
                }
            }
        }
        if is_over || end.is_some_and(|end| Instant::now() >= end) {
            return picture.finish().map_err(|error| Failure::failed(error.to_string()));
        }
        std::thread::sleep(PAUSE);
    }
}

type Traces = Vec<(Traced, Vec<Frame>)>;

fn ask(exchange: &mut Client, args: &Trace) -> Result<Traces, Failure> {
    let mut traces: Traces = Vec::new();
    exchange
        .ask(&Request::Trace { number: args.number.get() }, |item| match item {
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
fn choose(args: &Trace, all: Vec<Traced>) -> Result<Line, Failure> {
    let number = args.number;
    let wanted = all.into_iter().filter(|traced| match &args.resource {
        None => true,
        wanted => traced.line.resource == *wanted,
    });
    let mut wanted: Vec<Traced> = wanted.collect();
    wanted.sort_by_key(|traced| (traced.shown, traced.line.since));
    match (wanted.pop(), &args.resource) {
        (Some(traced), _) if traced.shown => Ok(traced.line),
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
    flows: Flows,
    ladder: Option<ladder::Ladder<BufWriter<Stdout>>>,
    args: (ladder::Format, ladder::LadderOptions),
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
        let args = (args.drawing.format, options(&args.drawing));
        Ok(Self { flows: Flows::new(), ladder: None, args, file: file.transpose()? })
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
        let record = Record { time, link: LinkType::Raw, bytes: &octets, original_len: frame.len };
        let Ok(packet) = dissect(&record) else { return Ok(()) };
        let Some(seen) = self.flows.observe(time, &packet, frame.len) else { return Ok(()) };
        let flow = &self.flows.list()[seen.index];
        let state = frame.state.as_deref().and_then(state);
        // The exchange's side is where what it sent comes from.
        let exchange = if frame.sent { seen.from } else { seen.from.other() };
        if self.ladder.is_none() {
            let mut states = [None; 2];
            // A conversation that is watched from its middle is open, at our end for certain.
            states[exchange.index()] = state;
            let names = Side::BOTH.map(|side| {
                let end = flow.ends[side.index()];
                if side == exchange { format!("exchange {end}") } else { format!("client {end}") }
            });
            let hosts = Hosts { names, states, time_wait: None };
            let out = BufWriter::new(io::stdout());
            self.ladder = Some(ladder::Ladder::new(out, self.args.0, hosts, self.args.1)?);
        }
        let Some(ladder) = &mut self.ladder else { return Ok(()) };
        let mut drawn = item(flow, seen.from, time, &packet);
        if let Drawn::Step(step) = &mut drawn {
            if frame.sent {
                step.sender = state;
            } else {
                step.receiver = state;
            }
        }
        ladder.push(drawn)?;
        ladder.flush()
    }

    fn finish(self) -> io::Result<()> {
        if let Some(file) = self.file {
            file.into_inner().flush()?;
        }
        match self.ladder {
            Some(ladder) => ladder.finish()?.flush(),
            None => Ok(()),
        }
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
