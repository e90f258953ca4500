//! What comes of a scenario: acts to draw, checks, packets to write down.
//! Owns: the order in which they are printed. Invariants: a play whose checks did not all hold says so last.
//! Not here: how it is played (`stage`).

use crate::words::Lang;
use ladder::analysis::Vantage;
use ladder::canvas::wrap;
use ladder::item::{Hosts, Item};
use ladder::{Format, Ladder, LadderOptions};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, Endianness};
use std::io::{self, Write};
use std::time::Duration;

/// Longest packet of a capture.
const SNAP_LEN: u32 = 262_144;

/// One ladder of a play.
#[derive(Debug, Clone)]
pub struct Act {
    /// What it shows; empty when the play has but one.
    pub title: String,
    /// Who stands left and right.
    pub hosts: Hosts,
    /// What happened before the picture begins: numbers and windows follow from it.
    pub before: Vec<Item>,
    /// What happens.
    pub items: Vec<Item>,
}

/// Something that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub what: String,
    /// Whether it held.
    pub held: bool,
}

/// A scenario that has been played.
#[derive(Debug, Clone)]
pub struct Play {
    /// In which language it speaks.
    pub lang: Lang,
    /// The ladders.
    pub acts: Vec<Act>,
    /// What was checked.
    pub checks: Vec<Check>,
    /// What a capture at the left host saw: when, since the beginning, and the IP packet.
    pub packets: Vec<(Duration, Vec<u8>)>,
    /// Explanations whose segment never came: a scenario that says something that did not happen.
    pub unsaid: Vec<String>,
}

impl Play {
    /// Whether everything held.
    #[must_use]
    pub fn held(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.held) && self.unsaid.is_empty()
    }

    /// Draws it. Text and Mermaid draw one act below the other, SVG too, as pictures of their own; JSON is lines anyway.
    ///
    /// # Errors
    /// The writer's.
    pub fn draw(&self, out: &mut impl Write, format: Format, mut options: LadderOptions) -> io::Result<()> {
        options.vantage = Vantage::BothEnds;
        let text = format == Format::Text;
        for act in &self.acts {
            if text && !act.title.is_empty() {
                writeln!(out, "\n{}", act.title)?;
            }
            if text {
                writeln!(out)?;
            }
            let mut ladder = Ladder::new(&mut *out, format, act.hosts.clone(), options)?;
            for item in &act.before {
                ladder.push_unseen(item.clone());
            }
            for item in &act.items {
                ladder.push(item.clone())?;
            }
            ladder.finish()?;
        }
        if text {
            self.report(out, options.text.width, options.text.ascii)?;
        }
        Ok(())
    }

    /// What was checked, and whether it held.
    fn report(&self, out: &mut impl Write, width: usize, ascii: bool) -> io::Result<()> {
        let (yes, no) = if ascii { ("ok", "NO") } else { ("✓", "✗") };
        writeln!(out, "\n{}", self.lang.pick("Checked:", "检查："))?;
        for check in &self.checks {
            let mark = if check.held { yes } else { no };
            for (index, line) in wrap(&check.what, width.saturating_sub(6)).iter().enumerate() {
                writeln!(out, "  {} {line}", if index == 0 { mark } else { " " })?;
            }
        }
        for text in &self.unsaid {
            writeln!(
                out,
                "  {no} {}",
                self.lang.pick("this was to be explained, and did not happen:", "应当解释却没有发生：")
            )?;
            for line in wrap(text, width.saturating_sub(6)) {
                writeln!(out, "    {line}")?;
            }
        }
        Ok(())
    }

    /// Writes the packets as pcapng, with nanoseconds and the link type of bare IP.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_pcap(&self, out: impl Write) -> io::Result<()> {
        let mut writer = PcapNgWriter::with_endianness(out, Endianness::Little).map_err(io::Error::other)?;
        let mut interface = InterfaceDescriptionBlock::new(DataLink::RAW, SNAP_LEN);
        interface.options.push(InterfaceDescriptionOption::IfTsResol(9));
        writer.write_block(&interface.into_block()).map_err(io::Error::other)?;
        for (time, packet) in &self.packets {
            let block = EnhancedPacketBlock {
                interface_id: 0,
                timestamp: *time,
                original_len: packet.len() as u32,
                data: packet.as_slice().into(),
                options: Vec::new(),
            };
            writer.write_block(&block.into_block()).map_err(io::Error::other)?;
        }
        writer.get_mut().flush()
    }
}
