//! A ladder in any format: items in, a diagram out.
//! Owns: the narrator and the drawer. Invariants: text and JSON are written while items come, in bounded memory; SVG and Mermaid stop at a
//! bound of their own, and say so.
//! Not here: the formats themselves (`text`, `svg`, `mermaid`, `json`).

use crate::analysis::Vantage;
use crate::item::{Hosts, Item};
use crate::json::JsonLadder;
use crate::mermaid::MermaidLadder;
use crate::moment::{Moment, Narrator};
use crate::svg::SvgLadder;
use crate::text::{TextLadder, TextOptions};
use std::io::{self, Write};

/// What a ladder is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Lines for a terminal.
    #[default]
    Text,
    /// A picture that stands alone.
    Svg,
    /// A Mermaid sequence diagram.
    Mermaid,
    /// A JSON object a line.
    Json,
}

impl Format {
    /// All, with the names that people type.
    pub const ALL: [(&str, Format); 4] =
        [("text", Format::Text), ("svg", Format::Svg), ("mermaid", Format::Mermaid), ("json", Format::Json)];
}

/// How a ladder is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LadderOptions {
    /// Where the packets were watched.
    pub vantage: Vantage,
    /// How text is written; its labels and decimals are those of every format.
    pub text: TextOptions,
}

enum Drawer<W: Write> {
    Text(Box<TextLadder<W>>),
    Svg(Box<SvgLadder<W>>),
    Mermaid(MermaidLadder<W>),
    Json(JsonLadder<W>),
}

/// A ladder under way.
pub struct Ladder<W: Write> {
    narrator: Narrator,
    moments: Vec<Moment>,
    drawer: Drawer<W>,
}

impl<W: Write> Ladder<W> {
    /// A ladder between `hosts`, written to `out`.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(out: W, format: Format, hosts: Hosts, options: LadderOptions) -> io::Result<Ladder<W>> {
        let narrator = Narrator::new(options.vantage, hosts.states);
        let (label, decimals) = (options.text.label, options.text.decimals);
        let drawer = match format {
            Format::Text => Drawer::Text(Box::new(TextLadder::new(out, hosts, options.text))),
            Format::Svg => Drawer::Svg(Box::new(SvgLadder::new(out, hosts, label, decimals))),
            Format::Mermaid => Drawer::Mermaid(MermaidLadder::new(out, &hosts, label, decimals)?),
            Format::Json => Drawer::Json(JsonLadder::new(out, &hosts, label)?),
        };
        Ok(Ladder { narrator, moments: Vec::new(), drawer })
    }

    /// Takes the next item.
    ///
    /// # Errors
    /// The writer's.
    pub fn push(&mut self, item: Item) -> io::Result<()> {
        self.narrator.push(item, &mut self.moments);
        self.draw()
    }

    /// Takes an item that happened before the picture begins: it is not drawn, but numbers, windows and states follow from it.
    pub fn push_unseen(&mut self, item: Item) {
        self.narrator.push(item, &mut self.moments);
        self.narrator.finish(&mut self.moments); // all of it has arrived before
        self.moments.clear();
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
            Drawer::Svg(svg) => svg.finish(),
            Drawer::Mermaid(mermaid) => mermaid.finish(),
            Drawer::Json(json) => json.finish(),
        }
    }

    /// Flushes what is written so far; a picture is written at its end only.
    ///
    /// # Errors
    /// The writer's.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.drawer {
            Drawer::Text(text) => text.writer().flush(),
            Drawer::Mermaid(mermaid) => mermaid.writer().flush(),
            Drawer::Json(json) => json.writer().flush(),
            Drawer::Svg(_) => Ok(()),
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        for moment in self.moments.drain(..) {
            match &mut self.drawer {
                Drawer::Text(text) => text.push(moment)?,
                Drawer::Svg(svg) => svg.push(moment),
                Drawer::Mermaid(mermaid) => mermaid.push(&moment)?,
                Drawer::Json(json) => json.push(&moment)?,
            }
        }
        Ok(())
    }
}
