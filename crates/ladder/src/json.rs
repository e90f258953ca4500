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
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::time::Duration;

/// A ladder of lines of JSON.
pub struct JsonLadder<W: Write> {
    out: W,
    label: LabelOptions,
    /// The line that is written.
    line: String,
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

/// The name of a state, or nothing.
struct State(Option<Standing>);

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(standing) => write!(f, "\"{}\"", standing.state.name()),
            None => f.write_str("null"),
        }
    }
}

/// A time in seconds, to the nanosecond.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

/// The words of marks, which are of letters and hyphens.
struct Words<'a>(&'a Marks);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, mark) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}\"{}\"", mark.word())?;
        }
        f.write_str("]")
    }
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
        Ok(JsonLadder { out, label, line: String::new() })
    }

    /// Writes a moment.
    ///
    /// # Errors
    /// The writer's.
    pub fn push(&mut self, moment: &Moment) -> io::Result<()> {
        match moment {
            Moment::Sent(sent) => self.sent(sent),
            Moment::Arrived(arrived) => {
                let time = arrived.at.map_or_else(|| "null".to_owned(), |at| Seconds(at).to_string());
                writeln!(
                    self.out,
                    "{{\"kind\":\"arrived\",\"id\":{},\"time\":{time},\"at\":\"{}\",\"state\":{},\"marks\":{}}}",
                    arrived.id,
                    side(arrived.side),
                    State(arrived.standing),
                    Words(&arrived.marks),
                )
            }
            Moment::Event { at, side: place, what, standing } => writeln!(
                self.out,
                "{{\"kind\":\"event\",\"time\":{},\"at\":\"{}\",\"what\":{},\"state\":{}}}",
                Seconds(*at),
                side(*place),
                quoted(what),
                State(*standing),
            ),
            Moment::Note(text) => writeln!(self.out, "{{\"kind\":\"note\",\"text\":{}}}", quoted(text)),
        }
    }

    fn sent(&mut self, sent: &Sent) -> io::Result<()> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let _ = write!(
            line,
            "{{\"kind\":\"sent\",\"id\":{},\"time\":{},\"from\":\"{}\"",
            sent.id,
            Seconds(sent.at),
            side(sent.from)
        ); // a String takes all
        let mut field = |name: &str, value: fmt::Arguments<'_>| {
            let _ = write!(line, ",\"{name}\":{value}"); // likewise
        };
        match &sent.packet {
            Packet::Segment { header, len } => {
                field("protocol", format_args!("\"tcp\""));
                field("flags", format_args!("\"{}\"", flag_words(header.flags)));
                field("seq", format_args!("{}", header.seq));
                field("ack", format_args!("{}", header.ack));
                if let Some(finding) = &sent.finding {
                    field("relative_seq", format_args!("{}", finding.seq));
                    field("relative_ack", format_args!("{}", finding.ack));
                    field("window", format_args!("{}", finding.window));
                    field("window_is_raw", format_args!("{}", finding.window_is_raw));
                }
                if !self.label.hide_lengths {
                    field("length", format_args!("{len}"));
                }
                let o = &header.options;
                if let Some(mss) = o.mss {
                    field("mss", format_args!("{mss}"));
                }
                if let Some(shift) = o.window_scale {
                    field("window_scale", format_args!("{shift}"));
                }
                if o.sack_permitted {
                    field("sack_permitted", format_args!("true"));
                }
                if let Some(stamps) = o.timestamps {
                    field("timestamps", format_args!("[{},{}]", stamps.tsval, stamps.tsecr));
                }
                if !o.sack.is_empty() {
                    let blocks: Vec<_> = o.sack.iter().map(|b| format!("[{},{}]", b.left, b.right)).collect();
                    field("sack", format_args!("[{}]", blocks.join(",")));
                }
            }
            Packet::Datagram { len, says } => {
                field("protocol", format_args!("\"udp\""));
                if !self.label.hide_lengths {
                    field("length", format_args!("{len}"));
                }
                if let Some(says) = says {
                    field("says", format_args!("{}", quoted(says)));
                }
            }
            Packet::Other(what) => field("what", format_args!("{}", quoted(what))),
        }
        field("state", format_args!("{}", State(sent.standing)));
        field("marks", format_args!("{}", Words(&sent.finding.map_or(Marks::NONE, |finding| finding.marks))));
        match sent.lost.as_deref() {
            Some(why) => field("lost", format_args!("{}", quoted(why))),
            None => field("lost", format_args!("null")),
        }
        line.push_str("}\n");
        let written = self.out.write_all(line.as_bytes());
        self.line = line;
        written
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
