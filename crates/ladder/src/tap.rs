//! Taps: a conversation that is watched at one of its ends, whose states that end tells, as a ladder.
//! Owns: which packets are its own. Invariants: the states of the end where it is watched are those that were told, the other's are
//! inferred; times count from the first packet, drawn or not; packets begin with their IP header.
//! Not here: who watches (`server::network::trace`), how it is drawn (`ladder`).

use crate::capture::{LinkType, Record};
use crate::dissect::{Body, dissect};
use crate::flow::{Flows, item};
use crate::item::{Hosts, Item, Side};
use crate::state::State;
use crate::{Format, Ladder, LadderOptions};
use std::io::{self, Write};
use std::time::Duration;

/// A packet as the watched end had it.
#[derive(Debug, Clone, Copy)]
pub struct Tapped<'a> {
    /// When, since any origin.
    pub time: Duration,
    /// It was sent by the end where it is watched.
    pub sent: bool,
    /// That end's state once it was sent or dealt with; only for TCP.
    pub state: Option<State>,
    /// How long it was.
    pub len: u32,
    /// Its first octets, from the IP header on.
    pub octets: &'a [u8],
}

/// A ladder under way.
pub struct Tap<W: Write> {
    flows: Flows,
    format: Format,
    options: LadderOptions,
    /// What this end is called, and the other.
    names: [String; 2],
    out: Option<W>,
    ladder: Option<Ladder<W>>,
}

impl<W: Write> Tap<W> {
    /// Nothing has passed yet. `here` and `there` are what the two ends are called, before their addresses.
    pub fn new(out: W, format: Format, options: LadderOptions, here: &str, there: &str) -> Tap<W> {
        let names = [here.to_owned(), there.to_owned()];
        Tap { flows: Flows::new(), format, options, names, out: Some(out), ladder: None }
    }

    /// Draws a packet. What is no TCP and no UDP is left out.
    ///
    /// # Errors
    /// The writer's.
    pub fn push(&mut self, packet: &Tapped<'_>) -> io::Result<()> {
        match self.ladder_and_item(packet)? {
            Some((ladder, item)) => ladder.push(item),
            None => Ok(()),
        }
    }

    /// Takes a packet that passed before the picture begins: it is not drawn, but numbers, times and states follow from it.
    ///
    /// # Errors
    /// The writer's.
    pub fn push_unseen(&mut self, packet: &Tapped<'_>) -> io::Result<()> {
        if let Some((ladder, item)) = self.ladder_and_item(packet)? {
            ladder.push_unseen(item);
        }
        Ok(())
    }

    fn ladder_and_item(&mut self, packet: &Tapped<'_>) -> io::Result<Option<(&mut Ladder<W>, Item)>> {
        let Tapped { time, sent, state, len, octets } = *packet;
        let record = Record { time, link: LinkType::Raw, bytes: octets, original_len: len };
        let Ok(dissected) = dissect(&record) else { return Ok(None) };
        let Some(seen) = self.flows.observe(time, &dissected, len) else { return Ok(None) };
        // When the client connects again from the same port while it is watched, that is another flow, and which end seems to have opened may
        // be told differently of it: the picture keeps the sides and the origin of the first.
        let (first, flow) = (&self.flows.list()[0], &self.flows.list()[seen.index]);
        let from = if flow.ends == first.ends { seen.from } else { seen.from.other() };
        let here = if sent { from } else { from.other() };
        if let Some(out) = self.out.take() {
            // A conversation that is watched from its middle is open: at this end for certain. But a SYN, FIN or RST has changed the state,
            // and the one before it is not what was told.
            let changes = matches!(dissected.body, Body::Tcp { flags, .. } if flags.syn() || flags.fin() || flags.rst());
            let mut states = [None; 2];
            states[here.index()] = state.filter(|_| !changes);
            let names = Side::BOTH.map(|side| {
                let name = &self.names[usize::from(side != here)];
                format!("{name} {}", first.ends[side.index()])
            });
            let hosts = Hosts { names, states, time_wait: None };
            self.ladder = Some(Ladder::new(out, self.format, hosts, self.options)?);
        }
        let mut item = item(first, from, time, &dissected);
        if let Item::Step(step) = &mut item {
            let told = if sent { &mut step.sender } else { &mut step.receiver };
            *told = state;
        }
        Ok(self.ladder.as_mut().map(|ladder| (ladder, item)))
    }

    /// Flushes what is drawn so far; a picture is written at its end only.
    ///
    /// # Errors
    /// The writer's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.ladder.as_mut().map_or(Ok(()), Ladder::flush)
    }

    /// Draws the rest, and gives the writer back; `None` after an error of the writer's. If nothing has passed, nothing is drawn.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(self) -> io::Result<Option<W>> {
        match self.ladder {
            Some(ladder) => ladder.finish().map(Some),
            None => Ok(self.out),
        }
    }
}

#[cfg(test)]
mod tests;
