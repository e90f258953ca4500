//! The list of conversations.
//!
//! Not here: finding them (`ladder::flow`).

use std::collections::BTreeSet;
use std::io::{self, Write};

use ladder::course::Ending;
use ladder::dissect::Transport;
use ladder::flow::Flow;
use ladder::item::Side;

use super::{pad, seconds};

const HEAD: [&str; 9] =
    ["#", "", "opener", "", "other", "packets", "bytes", "opened, ended", "resent, lasted"];

fn protocol(flow: &Flow) -> &'static str {
    match flow.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

fn course(flow: &Flow) -> String {
    match (flow.opening(), flow.ending()) {
        (Some(opening), Some(Ending::NotOpened)) => opening.to_string(),
        (Some(opening), Some(ending)) => format!("{opening}, {ending}"),
        _ => "-".to_owned(),
    }
}

/// Lines with their columns below each other.
pub(super) fn text(out: &mut impl Write, flows: &[Flow], ascii: bool) -> io::Result<()> {
    let arrow = if ascii { "<->" } else { "↔" };
    let row = |flow: &Flow| -> [String; 9] {
        let [left, right] = flow.ends.map(|end| end.to_string());
        let resent =
            if flow.transport == Transport::Tcp { flow.retransmissions.to_string() } else { "-".to_owned() };
        [
            flow.number.to_string(),
            protocol(flow).to_owned(),
            left,
            arrow.to_owned(),
            right,
            format!("{} + {}", flow.packets[0], flow.packets[1]),
            format!("{} + {}", flow.bytes[0], flow.bytes[1]),
            course(flow),
            format!("{resent}, {}", seconds(flow.duration())),
        ]
    };
    if flows.is_empty() {
        return writeln!(out, "no conversation of TCP or UDP");
    }
    let mut widths = HEAD.map(|word| word.chars().count());
    // Twice over the flows, rather than a million rows in memory.
    for flow in flows {
        for (width, cell) in widths.iter_mut().zip(row(flow)) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for cells in std::iter::once(HEAD.map(str::to_owned)).chain(flows.iter().map(row)) {
        let line: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| pad(cell, width)).collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

/// An object a line.
pub(super) fn json(out: &mut impl Write, flows: &[Flow]) -> io::Result<()> {
    for flow in flows {
        let by = |side: Option<Side>| match side {
            Some(Side::Left) => serde_json::json!("left"),
            Some(Side::Right) => serde_json::json!("right"),
            None => serde_json::Value::Null,
        };
        let line = serde_json::json!({
            "flow": flow.number,
            "protocol": protocol(flow),
            "left": flow.ends[0].to_string(),
            "right": flow.ends[1].to_string(),
            "packets": flow.packets,
            "bytes": flow.bytes,
            "opened": flow.opening().map(|opening| opening.word()),
            "ended": flow.ending().map(|ending| ending.word()),
            "ended_by": by(flow.ending().and_then(|ending| ending.by())),
            "retransmissions": (flow.transport == Transport::Tcp).then_some(flow.retransmissions),
            "seconds": flow.duration().as_secs_f64(),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// What is told while a capture grows: beginnings and ends.
#[derive(Default)]
pub(super) struct News {
    ended: BTreeSet<u64>,
}

impl News {
    pub(super) fn tell(&mut self, out: &mut impl Write, flow: &Flow, is_first: bool) -> io::Result<()> {
        let [left, right] = flow.ends;
        if is_first {
            writeln!(out, "flow {} begins: {} {left} -> {right}", flow.number, protocol(flow))?;
        }
        let ended =
            flow.is_over() && !matches!(flow.ending(), Some(Ending::LastAckMissing | Ending::StillOpen));
        if ended && self.ended.insert(flow.number) {
            writeln!(
                out,
                "flow {} ends: {} {left} -> {right}: {}",
                flow.number,
                protocol(flow),
                course(flow)
            )?;
        }
        out.flush()
    }
}
