//! The ladder as a Mermaid sequence diagram, which many wikis and forges draw.
//! Spec: Mermaid's `sequenceDiagram`. Owns: escaping. Invariants: after [`STEPS_MAX`] moments it says that it stops: what draws Mermaid draws
//! no more than a few thousand.
//! Not here: slant; a sequence diagram has one line a message, so an arrival that tells something is a note.

use crate::item::{Hosts, Side};
use crate::label::LabelOptions;
use crate::moment::Moment;
use crate::state::State;
use crate::text::one_line;
use std::io::{self, Write};

/// Moments that are drawn, at most.
pub const STEPS_MAX: usize = 2000;

/// A Mermaid diagram.
pub struct MermaidLadder<W: Write> {
    out: W,
    label: LabelOptions,
    steps: usize,
    decimals: usize,
}

/// Text that ends no line and begins no comment: `;` and `#` have meanings, so has `end`, which needs no escape within a message.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '#' => out.push_str("#35;"),
            ';' => out.push_str("#59;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '\n' => out.push_str("<br/>"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Left => "L",
        Side::Right => "R",
    }
}

impl<W: Write> MermaidLadder<W> {
    /// Begins with the hosts.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(
        mut out: W,
        hosts: &Hosts,
        label: LabelOptions,
        decimals: usize,
    ) -> io::Result<MermaidLadder<W>> {
        writeln!(out, "sequenceDiagram")?;
        for side in Side::BOTH {
            writeln!(out, "    participant {} as {}", name(side), escaped(&hosts.names[side.index()]))?;
        }
        Ok(MermaidLadder { out, label, steps: 0, decimals })
    }

    /// Writes a moment.
    ///
    /// # Errors
    /// The writer's.
    pub fn push(&mut self, moment: &Moment) -> io::Result<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            if self.steps == STEPS_MAX + 1 {
                writeln!(
                    self.out,
                    "    Note over L,R: the drawing stops here: more than {STEPS_MAX} moments"
                )?;
            }
            return Ok(());
        }
        let state = |side: Side, state: State, out: &mut W| {
            writeln!(
                out,
                "    Note {} of {}: {}",
                if side == Side::Left { "left" } else { "right" },
                name(side),
                state
            )
        };
        match moment {
            Moment::Sent(sent) => {
                let (from, to) = (name(sent.from), name(sent.from.other()));
                let arrow = if sent.lost.is_some() { "-x" } else { "->>" };
                let label = escaped(&one_line(sent, self.label));
                let time = format!("{:.1$} s", sent.at.as_secs_f64(), self.decimals);
                let lost = sent.lost.as_ref().map_or(String::new(), |why| format!(" [{}]", escaped(why)));
                writeln!(self.out, "    {from}{arrow}{to}: {time}: {label}{lost}")?;
                match sent.standing {
                    Some(standing) if standing.is_new => state(sent.from, standing.state, &mut self.out),
                    _ => Ok(()),
                }
            }
            Moment::Arrived(arrived) => {
                for mark in arrived.marks.iter() {
                    writeln!(self.out, "    Note over {}: {mark}", name(arrived.side))?;
                }
                match arrived.standing {
                    Some(standing) if standing.is_new => state(arrived.side, standing.state, &mut self.out),
                    _ => Ok(()),
                }
            }
            Moment::Event { side, what, standing, .. } => {
                writeln!(self.out, "    Note over {}: {}", name(*side), escaped(what))?;
                match standing {
                    Some(standing) if standing.is_new => state(*side, standing.state, &mut self.out),
                    _ => Ok(()),
                }
            }
            Moment::Note(text) => writeln!(self.out, "    Note over L,R: {}", escaped(text)),
        }
    }

    /// Ends, and gives the writer back.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// What is written so far, for whoever must flush it.
    pub fn writer(&mut self) -> &mut W {
        &mut self.out
    }
}
