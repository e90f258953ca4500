//! A ladder in any format: items in, a diagram out.
//! Owns: the narrator and the drawer. Invariants: text and JSON are written while items come, in bounded memory; SVG and Mermaid need
//! to know the end, and say so when they stop at their bound.
//! Not here: the formats themselves (`text`, `svg`, `mermaid`, `json`).

use crate::analysis::Vantage;
use crate::item::{Hosts, Item};
use crate::moment::{Moment, Narrator};
use crate::text::{TextLadder, TextOptions};
use std::io::{self, Write};

/// What a ladder is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Lines for a terminal.
    #[default]
    Text,
}

/// How a ladder is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LadderOptions {
    /// Where the packets were watched.
    pub vantage: Vantage,
    /// How text is written; labels in every format.
    pub text: TextOptions,
}

enum Drawer<W: Write> {
    Text(TextLadder<W>),
}

/// A ladder under way.
pub struct Ladder<W: Write> {
    narrator: Narrator,
    moments: Vec<Moment>,
    drawer: Drawer<W>,
}

impl<W: Write> Ladder<W> {
    /// A ladder between `hosts`, written to `out`.
    pub fn new(out: W, format: Format, hosts: Hosts, options: LadderOptions) -> Ladder<W> {
        let narrator = Narrator::new(options.vantage, hosts.states);
        let drawer = match format {
            Format::Text => Drawer::Text(TextLadder::new(out, hosts, options.text)),
        };
        Ladder { narrator, moments: Vec::new(), drawer }
    }

    /// Takes the next item.
    ///
    /// # Errors
    /// The writer's.
    pub fn push(&mut self, item: Item) -> io::Result<()> {
        self.narrator.push(item, &mut self.moments);
        self.draw()
    }

    /// Draws the rest, and gives the writer back.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<W> {
        self.narrator.finish(&mut self.moments);
        self.draw()?;
        match self.drawer {
            Drawer::Text(text) => text.finish(),
        }
    }

    /// Flushes what is written so far.
    ///
    /// # Errors
    /// The writer's.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.drawer {
            Drawer::Text(text) => text.writer().flush(),
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        for moment in self.moments.drain(..) {
            match &mut self.drawer {
                Drawer::Text(text) => text.push(moment)?,
            }
        }
        Ok(())
    }
}
