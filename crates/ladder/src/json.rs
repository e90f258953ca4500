//! The ladder as JSON: one object a line, so that it can be read while it is written.
//! Owns: the fields. Invariants: each line is a whole object; numbers both as on the wire and relative; names are `Mark::word`'s.
//! Not here: escaping rules beyond RFC 8259 section 7.
//!
//! ```text
//! {"kind":"hosts","left":"10.0.0.1:40000","right":"10.0.0.2:80"}
//! {"kind":"sent","id":0,"time":0.000000000,"from":"left","protocol":"tcp","flags":"SYN","seq":1000,"ack":0,"relative_seq":0,...}
//! {"kind":"arrived","id":0,"time":0.010000000,"at":"right","state":"SYN-RECEIVED","marks":[]}
//! {"kind":"event","time":60.1,"at":"left","what":"2*MSL are over","state":"CLOSED"}
//! {"kind":"note","text":"..."}
//! ```

use crate::analysis::Marks;
use crate::item::{Hosts, Packet, Side};
use crate::label::{LabelOptions, flag_words};
use crate::moment::{Moment, Sent, Standing};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

/// A ladder of lines of JSON.
pub struct JsonLadder<W: Write> {
    out: W,
    label: LabelOptions,
}

/// A text between quotation marks, escaped.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c)); // a String takes all
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
    }
}

fn state(standing: Option<Standing>) -> String {
    standing.map_or_else(|| "null".to_owned(), |standing| quoted(standing.state.name()))
}

fn seconds(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}

fn marks(marks: &Marks) -> String {
    let words: Vec<_> = marks.iter().map(|mark| quoted(mark.word())).collect();
    format!("[{}]", words.join(","))
}

impl<W: Write> JsonLadder<W> {
    /// Begins with the hosts.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(mut out: W, hosts: &Hosts, label: LabelOptions) -> io::Result<JsonLadder<W>> {
        writeln!(
            out,
            "{{\"kind\":\"hosts\",\"left\":{},\"right\":{}}}",
            quoted(&hosts.names[0]),
            quoted(&hosts.names[1])
        )?;
        Ok(JsonLadder { out, label })
    }

    /// Writes a moment.
    ///
    /// # Errors
    /// The writer's.
    pub fn push(&mut self, moment: &Moment) -> io::Result<()> {
        match moment {
            Moment::Sent(sent) => self.sent(sent),
            Moment::Arrived(arrived) => {
                let time = arrived.at.map_or_else(|| "null".to_owned(), seconds);
                writeln!(
                    self.out,
                    "{{\"kind\":\"arrived\",\"id\":{},\"time\":{time},\"at\":\"{}\",\"state\":{},\"marks\":{}}}",
                    arrived.id,
                    side(arrived.side),
                    state(arrived.standing),
                    marks(&arrived.marks),
                )
            }
            Moment::Event { at, side: place, what, standing } => writeln!(
                self.out,
                "{{\"kind\":\"event\",\"time\":{},\"at\":\"{}\",\"what\":{},\"state\":{}}}",
                seconds(*at),
                side(*place),
                quoted(what),
                state(*standing),
            ),
            Moment::Note(text) => writeln!(self.out, "{{\"kind\":\"note\",\"text\":{}}}", quoted(text)),
        }
    }

    fn sent(&mut self, sent: &Sent) -> io::Result<()> {
        let mut line = format!(
            "{{\"kind\":\"sent\",\"id\":{},\"time\":{},\"from\":\"{}\"",
            sent.id,
            seconds(sent.at),
            side(sent.from)
        );
        let mut field = |name: &str, value: String| {
            let _ = write!(line, ",\"{name}\":{value}"); // a String takes all
        };
        match &sent.packet {
            Packet::Segment { header, len } => {
                field("protocol", quoted("tcp"));
                field("flags", quoted(&flag_words(header.flags)));
                field("seq", header.seq.to_string());
                field("ack", header.ack.to_string());
                if let Some(finding) = &sent.finding {
                    field("relative_seq", finding.seq.to_string());
                    field("relative_ack", finding.ack.to_string());
                    field("window", finding.window.to_string());
                    field("window_is_raw", finding.window_is_raw.to_string());
                }
                if !self.label.hide_lengths {
                    field("length", len.to_string());
                }
                let o = &header.options;
                if let Some(mss) = o.mss {
                    field("mss", mss.to_string());
                }
                if let Some(shift) = o.window_scale {
                    field("window_scale", shift.to_string());
                }
                if o.sack_permitted {
                    field("sack_permitted", "true".to_owned());
                }
                if let Some(stamps) = o.timestamps {
                    field("timestamps", format!("[{},{}]", stamps.tsval, stamps.tsecr));
                }
                if !o.sack.is_empty() {
                    let blocks: Vec<_> = o.sack.iter().map(|b| format!("[{},{}]", b.left, b.right)).collect();
                    field("sack", format!("[{}]", blocks.join(",")));
                }
            }
            Packet::Datagram { len, says } => {
                field("protocol", quoted("udp"));
                if !self.label.hide_lengths {
                    field("length", len.to_string());
                }
                if let Some(says) = says {
                    field("says", quoted(says));
                }
            }
            Packet::Other(what) => field("what", quoted(what)),
        }
        field("state", state(sent.standing));
        field("marks", marks(&sent.finding.map_or(Marks::NONE, |finding| finding.marks)));
        field("lost", sent.lost.as_deref().map_or_else(|| "null".to_owned(), quoted));
        line.push('}');
        writeln!(self.out, "{line}")
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
