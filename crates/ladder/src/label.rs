//! Labels: what stands on an arrow.
//! Owns: the words. Invariants: a label is made of pieces with a meaning each, so that whoever draws may colour them.
//! Not here: where it stands (`text`, `svg`).

use crate::analysis::Finding;
use crate::item::Packet;
use crate::moment::Sent;
use crate::phrase::Phrase;
use std::borrow::Cow;
use std::fmt::Write;
use tcp::SeqNum;
use wire::tcp::{Flags, Header};

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ink {
    /// Lines and ordinary words.
    #[default]
    Plain,
    /// Of less weight: times, names of fields, states that have not changed.
    Faint,
    /// The control bits of an ordinary segment.
    Flags,
    /// Those of one that opens.
    Opening,
    /// Those of one that closes.
    Closing,
    /// Those of one that resets.
    Reset,
    /// A state that is new.
    State,
    /// Something unusual.
    Trouble,
    /// Something worth a word.
    Remark,
    /// A program's call.
    Call,
    /// An explanation.
    Note,
}

/// Text in one ink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: Cow<'static, str>,
    /// Its ink.
    pub ink: Ink,
}

/// How labels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LabelOptions {
    /// Sequence and acknowledgment numbers as on the wire, rather than counted from the ISNs.
    pub absolute: bool,
    /// Leave lengths out: what is inside is drawn from chance (TLS, QUIC), so they differ from run to run.
    pub hide_lengths: bool,
}

/// A label: what is always said, and what is beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Label {
    /// Flags, numbers, length, window.
    pub main: Phrase,
    /// Marks and options.
    pub extras: Vec<Piece>,
}

/// The control bits in words: `SYN+ACK`, in the order that people say them.
#[must_use]
pub fn flag_words(flags: Flags) -> Cow<'static, str> {
    const WORDS: [(Flags, &str); 9] = [
        (Flags::SYN, "SYN"),
        (Flags::FIN, "FIN"),
        (Flags::RST, "RST"),
        (Flags::PSH, "PSH"),
        (Flags::URG, "URG"),
        (Flags::ACK, "ACK"),
        (Flags::ECE, "ECE"),
        (Flags::CWR, "CWR"),
        (Flags::AE, "AE"),
    ];
    // Most segments by far.
    const ACK: Flags = Flags::ACK;
    match flags {
        ACK => return Cow::Borrowed("ACK"),
        both if both == Flags::PSH | ACK => return Cow::Borrowed("PSH+ACK"),
        _ => {}
    }
    let mut words = String::with_capacity(8);
    for (_, word) in WORDS.iter().filter(|(flag, _)| flags.contains(*flag)) {
        if !words.is_empty() {
            words.push('+');
        }
        words.push_str(word);
    }
    if words.is_empty() { Cow::Borrowed("no flags") } else { Cow::Owned(words) }
}

/// The label of a packet.
#[must_use]
pub fn label(sent: &Sent, options: LabelOptions) -> Label {
    let mut label = Label::default();
    label.extras = fill(&mut label.main, sent, options);
    label
}

/// Fills an empty phrase with what is always said of a packet, and returns what is beside it.
pub(crate) fn fill(main: &mut Phrase, sent: &Sent, options: LabelOptions) -> Vec<Piece> {
    match (&sent.packet, &sent.finding) {
        (Packet::Segment { header, len }, Some(finding)) => segment(main, header, *len, finding, options),
        (Packet::Segment { header, .. }, None) => {
            main.push(&flag_words(header.flags), Ink::Flags);
            Vec::new()
        }
        (Packet::Datagram { len, says }, _) => {
            main.push("UDP", Ink::Flags);
            if !options.hide_lengths {
                field(main, " len ", i64::from(*len));
            }
            says.iter().map(|text| Piece { text: format!("\"{text}\"").into(), ink: Ink::Plain }).collect()
        }
        (Packet::Other(what), _) => {
            main.push(what, Ink::Remark);
            Vec::new()
        }
    }
}

/// A name between two spaces, and a value.
fn field(main: &mut Phrase, name: &str, value: i64) {
    main.push(name, Ink::Faint);
    main.push_number(value, Ink::Plain);
}

fn segment(
    main: &mut Phrase,
    header: &Header,
    len: u32,
    finding: &Finding,
    options: LabelOptions,
) -> Vec<Piece> {
    let flags = header.flags;
    let ink = if flags.rst() {
        Ink::Reset
    } else if flags.syn() {
        Ink::Opening
    } else if flags.fin() {
        Ink::Closing
    } else {
        Ink::Flags
    };
    main.push(&flag_words(flags), ink);
    let number = |absolute: u32, relative: u32| match options.absolute {
        true => i64::from(absolute),
        // An old double may lie before the ISN; no window is as wide as this is near to the end of the circle.
        false if relative > u32::MAX - (1 << 20) => i64::from(relative) - (1 << 32),
        false => i64::from(relative),
    };
    field(main, " seq ", number(header.seq, finding.seq));
    if flags.ack() {
        field(main, " ack ", number(header.ack, finding.ack));
    }
    if len > 0 && !options.hide_lengths {
        field(main, " len ", i64::from(len));
    }
    if !flags.rst() {
        // A window whose scale nobody saw is the bare field.
        field(main, " win ", i64::from(finding.window));
        if finding.window_is_raw {
            main.lengthen("*");
        }
    }
    let mut extras = Vec::new();
    for mark in finding.marks.iter() {
        let ink = if mark.is_trouble() { Ink::Trouble } else { Ink::Remark };
        extras.push(Piece { text: format!("[{mark}]").into(), ink });
    }
    let words = option_words(header, finding, options.absolute);
    if !words.is_empty() {
        extras.push(Piece { text: format!("<{words}>").into(), ink: Ink::Faint });
    }
    extras
}

/// The options that matter to a reader: what a SYN asks for, SACK blocks, a user timeout. Timestamps are on every segment, so they are
/// named where they are agreed on.
fn option_words(header: &Header, finding: &Finding, absolute: bool) -> String {
    let mut words: Vec<String> = Vec::new();
    let o = &header.options;
    if let Some(mss) = o.mss {
        words.push(format!("mss {mss}"));
    }
    if o.sack_permitted {
        words.push("sackOK".to_owned());
    }
    if o.timestamps.is_some() && header.flags.syn() {
        words.push("ts".to_owned());
    }
    if let Some(shift) = o.window_scale {
        words.push(format!("wscale {shift}"));
    }
    if !o.sack.is_empty() {
        let mut text = "sack".to_owned();
        for block in o.sack.iter() {
            let place = |n: u32| if absolute { n } else { SeqNum(n).since(finding.peer_base) };
            let _ = write!(text, " {}:{}", place(block.left), place(block.right)); // a String takes all
        }
        words.push(text);
    }
    if let Some(timeout) = o.user_timeout {
        words.push(format!("uto {} s", timeout.secs()));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests;
