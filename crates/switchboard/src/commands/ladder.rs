//! `switchboard ladder`: the conversations of a capture, listed or drawn.
//!
//! Owns: where packets come from (a file, standard input, an interface) and when it ends.
//! Invariants: a capture is read once, in bounded memory; what is before a break is drawn, then the break is said, with exit code 1.
//! Not here: captures, flows and drawing (`ladder`), the system calls of a live capture (`device`).

mod list;
mod source;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::time::Duration;

use ladder::canvas::width;
use ladder::dissect::{Skipped, dissect};
use ladder::flow::{Flow, Flows, item};
use ladder::item::Hosts;
use ladder::label::LabelOptions;
use ladder::text::{TextOptions, WIDTH_DEFAULT, WIDTH_MAX, WIDTH_MIN};
use ladder::{Format, LadderOptions};

use crate::args::{Drawing, Ladder};
use crate::failure::Failure;
use crate::output;
use source::{End, Source};

/// Microseconds, as most captures have them.
const DECIMALS: usize = 6;

pub(crate) fn run(args: &Ladder) -> Result<(), Failure> {
    if args.flow.is_none() && matches!(args.drawing.format, Format::Svg | Format::Mermaid) {
        return Err(Failure::usage(
            "a list of conversations has no such format; --flow N says which one to draw",
        ));
    }
    let mut source = Source::open(args)?;
    let mut out = BufWriter::new(io::stdout());
    let done = match args.flow {
        Some(number) => draw(args, number, &mut source, &mut out),
        None => list(args, &mut source, &mut out),
    };
    let flushed = out.flush();
    let end = match done {
        Ok(end) => end,
        Err(error) => return output::unless_gone(Err(error)),
    };
    if flushed.is_err() {
        return output::unless_gone(flushed);
    }
    match end {
        Outcome::Whole => Ok(()),
        Outcome::Broken(why) => Err(Failure::failed(format!("{}: {why}", source.name()))),
        Outcome::NoSuchFlow(number, of) => {
            Err(Failure::failed(format!("{} has no conversation {number}; it has {of}", source.name())))
        }
    }
}

enum Outcome {
    Whole,
    Broken(String),
    NoSuchFlow(u64, usize),
}

/// Packets that belong to no conversation, by why.
#[derive(Default)]
struct Tally {
    skipped: [u64; Skipped::ALL.len()],
}

impl Tally {
    fn count(&mut self, why: Skipped) {
        if let Some(at) = Skipped::ALL.iter().position(|other| *other == why) {
            self.skipped[at] += 1;
        }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let counted = Skipped::ALL.into_iter().zip(self.skipped);
        counted.filter(|(_, count)| *count > 0).map(|(why, count)| {
            let packets = if count == 1 { "packet" } else { "packets" };
            format!("{count} {packets} {}", why.words())
        })
    }
}

fn draw(args: &Ladder, number: u64, source: &mut Source, out: &mut BufWriter<Stdout>) -> io::Result<Outcome> {
    let mut flows = Flows::new();
    let mut ladder: Option<ladder::Ladder<&mut BufWriter<Stdout>>> = None;
    let mut out = Some(out);
    let live = source.is_live();
    let end = loop {
        let record = match source.next() {
            Ok(Some(record)) => record,
            Ok(None) => {
                // Nothing for now: what there is shall be seen.
                if let Some(ladder) = &mut ladder {
                    ladder.flush()?;
                }
                continue;
            }
            Err(end) => break end,
        };
        let (time, len) = (record.time, record.original_len);
        let Ok(packet) = dissect(&record) else { continue };
        if args.filter.as_ref().is_some_and(|filter| !filter.wants(&packet)) {
            continue;
        }
        let Some(seen) = flows.observe(time, &packet, len) else { continue };
        let flow = &flows.list()[seen.index];
        if flow.number != number {
            continue;
        }
        if let Some(out) = out.take() {
            ladder =
                Some(ladder::Ladder::new(out, args.drawing.format, hosts(flow), options(&args.drawing))?);
        }
        let Some(ladder) = &mut ladder else { continue };
        ladder.push(item(flow, seen.from, time, &packet))?;
        if live {
            ladder.flush()?;
        }
    };
    match ladder {
        Some(ladder) => {
            ladder.finish()?;
            Ok(end.into())
        }
        None => match end {
            End::Whole => Ok(Outcome::NoSuchFlow(number, flows.list().len())),
            End::Broken(why) => Ok(Outcome::Broken(why)),
        },
    }
}

impl From<End> for Outcome {
    fn from(end: End) -> Outcome {
        match end {
            End::Whole => Outcome::Whole,
            End::Broken(why) => Outcome::Broken(why),
        }
    }
}

fn list(args: &Ladder, source: &mut Source, out: &mut BufWriter<Stdout>) -> io::Result<Outcome> {
    let mut flows = Flows::new();
    let mut tally = Tally::default();
    let mut news = args.follow.then(list::News::default);
    let end = loop {
        let record = match source.next() {
            Ok(Some(record)) => record,
            Ok(None) => {
                out.flush()?;
                continue;
            }
            Err(end) => break end,
        };
        match dissect(&record) {
            Ok(packet) => {
                if args.filter.as_ref().is_some_and(|filter| !filter.wants(&packet)) {
                    continue;
                }
                let seen = flows.observe(record.time, &packet, record.original_len);
                if let (Some(news), Some(seen)) = (&mut news, seen) {
                    news.tell(out, &flows.list()[seen.index], seen.is_first)?;
                }
            }
            Err(why) => tally.count(why),
        }
    };
    // Where nothing could be read, why not is all that there is to say.
    let unread = flows.list().is_empty() && matches!(end, End::Broken(_));
    match args.drawing.format {
        _ if unread => {}
        Format::Json => list::json(out, flows.list())?,
        _ => list::text(out, flows.list(), args.drawing.ascii)?,
    }
    if flows.beyond() > 0 {
        eprintln!(
            "switchboard: {} packets of conversations beyond the first {} are not listed",
            flows.beyond(),
            flows.list().len()
        );
    }
    for line in tally.lines() {
        eprintln!("switchboard: {}: {line}", source.name());
    }
    if source.dropped() > 0 {
        eprintln!("switchboard: {}: the kernel had no room for {} packets", source.name(), source.dropped());
    }
    Ok(end.into())
}

fn hosts(flow: &Flow) -> Hosts {
    Hosts { names: flow.ends.map(|end| end.to_string()), states: [None; 2], time_wait: None }
}

/// How a ladder is drawn here.
pub(crate) fn options(drawing: &Drawing) -> LadderOptions {
    let terminal = io::stdout().is_terminal();
    let columns = drawing.width.or_else(|| terminal_width().filter(|_| terminal)).unwrap_or(WIDTH_DEFAULT);
    LadderOptions {
        text: TextOptions {
            width: columns.clamp(WIDTH_MIN, WIDTH_MAX),
            ascii: drawing.ascii,
            // https://no-color.org
            colour: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            decimals: DECIMALS,
            label: LabelOptions { absolute: drawing.absolute, hide_lengths: false },
        },
        ..LadderOptions::default()
    }
}

fn terminal_width() -> Option<usize> {
    rustix::termios::tcgetwinsize(io::stdout())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
}

/// Seconds for a list.
fn seconds(span: Duration) -> String {
    format!("{:.3} s", span.as_secs_f64())
}

/// Text padded to columns of the terminal.
fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}
