//! A line's ladder: its latest packets as a picture, for an administrator who watches it.
//! Spec: `urn:switchboard:lines:0` (docs/web-client.md).
//! Owns: how much is drawn. Invariants: at most [`STEPS_MAX`] packets, and an answer of at most [`ANSWER_MAX`] octets; what was there
//! before is not drawn, but numbers, times and states follow from it; nothing of what was said is shown.
//! Not here: the frames (`network::trace`), the drawing (`ladder`), who may ask (`errands`).

use std::io;
use std::time::Duration;

use ladder::tap::{Tap, Tapped};
use ladder::text::TextOptions;
use ladder::{Format, LadderOptions};
use xmpp::error::StanzaCondition;
use xmpp::{ns, write};

use crate::network::trace::{Answer, TracedFrame};

#[cfg(test)]
mod tests;

/// Packets in the picture: about two screens.
const STEPS_MAX: usize = 60;
/// Octets of the answer: what fits a stanza of the usual size (256 KiB), with its wrapping.
const ANSWER_MAX: usize = 240 * 1024;
/// Microseconds.
const DECIMALS: usize = 6;

/// Writes the answer to whoever has seen the picture up to the packet number `after`: without a picture if nothing is new, or if there is
/// nothing to draw.
pub(super) fn write(line: u64, after: u64, shown: &Answer, out: &mut Vec<u8>) -> Result<(), StanzaCondition> {
    let traced = match shown {
        Answer::Hidden => {
            let tag = write::open(out, "trace").ns(ns::LINES).attr("line", &line.to_string());
            tag.attr("shown", "false").empty();
            return Ok(());
        }
        Answer::Full => return Err(StanzaCondition::ResourceConstraint),
        Answer::Watched(traced) => traced,
    };
    let mut steps = if after == traced.next { 0 } else { STEPS_MAX.min(traced.frames.len()) };
    loop {
        let picture = if steps == 0 { None } else { draw(&traced.frames, steps) };
        let before = out.len();
        let tag = write::open(out, "trace").ns(ns::LINES).attr("line", &line.to_string());
        let tag = tag.attr("shown", "true").attr("cursor", &traced.next.to_string());
        match picture {
            Some(picture) => tag.text(&picture),
            None => tag.empty(),
        }
        if out.len() - before <= ANSWER_MAX {
            return Ok(());
        }
        out.truncate(before);
        steps /= 2;
    }
}

/// The last `steps` of the packets; `None` if none of them can be drawn.
fn draw(frames: &[TracedFrame], steps: usize) -> Option<String> {
    let text = TextOptions { decimals: DECIMALS, ..TextOptions::default() };
    let options = LadderOptions { text, ..LadderOptions::default() };
    let mut tap = Tap::new(Vec::new(), Format::Svg, options, "exchange", "client");
    let (before, drawn) = frames.split_at(frames.len() - steps);
    let all = || -> io::Result<Vec<u8>> {
        for frame in before {
            tap.push_unseen(&tapped(frame))?;
        }
        for frame in drawn {
            tap.push(&tapped(frame))?;
        }
        Ok(tap.finish()?.unwrap_or_default())
    };
    // A vector takes all.
    let picture = String::from_utf8(all().ok()?).ok()?;
    (!picture.is_empty()).then_some(picture)
}

fn tapped(frame: &TracedFrame) -> Tapped<'_> {
    Tapped {
        time: Duration::from_nanos(frame.at.as_nanos()),
        sent: frame.sent,
        state: frame.state.map(Into::into),
        len: frame.len,
        octets: &frame.octets,
    }
}
