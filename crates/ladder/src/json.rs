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
    /// The line that is written.
    line: Object,
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

/// The object that is written. (Most of a capture's lines are numbers and names, which `format!` is slow at.)
#[derive(Default)]
struct Object(String);

impl Object {
    /// Begins anew.
    fn begin(&mut self, kind: &str) {
        self.0.clear();
        self.0.push_str("{\"kind\":\"");
        self.0.push_str(kind);
        self.0.push('"');
    }

    /// What comes before a value.
    fn name(&mut self, name: &str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    /// A value as it stands.
    fn bare(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(value);
    }

    fn number(&mut self, name: &str, value: impl itoa::Integer) {
        self.bare(name, itoa::Buffer::new().format(value));
    }

    /// A word of ours, in which nothing is to be escaped.
    fn word(&mut self, name: &str, word: &str) {
        self.name(name);
        self.0.push('"');
        self.0.push_str(word);
        self.0.push('"');
    }

    /// A time in seconds, to the nanosecond.
    fn seconds(&mut self, name: &str, time: Duration) {
        self.number(name, time.as_secs());
        let point = self.0.len();
        // One more digit in front, which the point takes the place of, gives the others their zeros.
        self.0.push_str(itoa::Buffer::new().format(1_000_000_000 + time.subsec_nanos()));
        self.0.replace_range(point..=point, ".");
    }

    /// The name of a state, or nothing.
    fn state(&mut self, standing: Option<Standing>) {
        match standing {
            Some(standing) => self.word("state", standing.state.name()),
            None => self.bare("state", "null"),
        }
    }

    fn marks(&mut self, marks: &Marks) {
        self.bare("marks", "[");
        for (index, mark) in marks.iter().enumerate() {
            self.0.push_str(if index > 0 { ",\"" } else { "\"" });
            self.0.push_str(mark.word());
            self.0.push('"');
        }
        self.0.push(']');
    }

    /// Pairs of numbers, as those of a SACK option.
    fn pairs(&mut self, name: &str, pairs: impl Iterator<Item = [u32; 2]>) {
        self.bare(name, "[");
        for (index, pair) in pairs.enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.pair(pair);
        }
        self.0.push(']');
    }

    fn pair(&mut self, [left, right]: [u32; 2]) {
        self.0.push('[');
        self.0.push_str(itoa::Buffer::new().format(left));
        self.0.push(',');
        self.0.push_str(itoa::Buffer::new().format(right));
        self.0.push(']');
    }

    fn end(&mut self) -> &[u8] {
        self.0.push_str("}\n");
        self.0.as_bytes()
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
        Ok(JsonLadder { out, label, line: Object::default() })
    }

    /// Writes a moment.
    ///
    /// # Errors
    /// The writer's.
    pub fn push(&mut self, moment: &Moment) -> io::Result<()> {
        let line = &mut self.line;
        match moment {
            Moment::Sent(sent) => self.sent(sent),
            Moment::Arrived(arrived) => {
                line.begin("arrived");
                line.number("id", arrived.id);
                match arrived.at {
                    Some(at) => line.seconds("time", at),
                    None => line.bare("time", "null"),
                }
                line.word("at", side(arrived.side));
                line.state(arrived.standing);
                line.marks(&arrived.marks);
            }
            Moment::Event { at, side: place, what, standing } => {
                line.begin("event");
                line.seconds("time", *at);
                line.word("at", side(*place));
                line.bare("what", &quoted(what));
                line.state(*standing);
            }
            Moment::Note(text) => {
                line.begin("note");
                line.bare("text", &quoted(text));
            }
        }
        self.out.write_all(self.line.end())
    }

    fn sent(&mut self, sent: &Sent) {
        let line = &mut self.line;
        line.begin("sent");
        line.number("id", sent.id);
        line.seconds("time", sent.at);
        line.word("from", side(sent.from));
        match &sent.packet {
            Packet::Segment { header, len } => {
                line.word("protocol", "tcp");
                line.word("flags", &flag_words(header.flags));
                line.number("seq", header.seq);
                line.number("ack", header.ack);
                if let Some(finding) = &sent.finding {
                    line.number("relative_seq", finding.seq);
                    line.number("relative_ack", finding.ack);
                    line.number("window", finding.window);
                    line.bare("window_is_raw", if finding.window_is_raw { "true" } else { "false" });
                }
                if !self.label.hide_lengths {
                    line.number("length", *len);
                }
                let o = &header.options;
                if let Some(mss) = o.mss {
                    line.number("mss", mss);
                }
                if let Some(shift) = o.window_scale {
                    line.number("window_scale", shift);
                }
                if o.sack_permitted {
                    line.bare("sack_permitted", "true");
                }
                if let Some(stamps) = o.timestamps {
                    line.name("timestamps");
                    line.pair([stamps.tsval, stamps.tsecr]);
                }
                if !o.sack.is_empty() {
                    line.pairs("sack", o.sack.iter().map(|block| [block.left, block.right]));
                }
            }
            Packet::Datagram { len, says } => {
                line.word("protocol", "udp");
                if !self.label.hide_lengths {
                    line.number("length", *len);
                }
                if let Some(says) = says {
                    line.bare("says", &quoted(says));
                }
            }
            Packet::Other(what) => line.bare("what", &quoted(what)),
        }
        line.state(sent.standing);
        // What is no segment is not analysed, but may be somebody else's.
        let foreign = || sent.forged.map_or(Marks::NONE, Marks::of);
        line.marks(&sent.finding.map_or_else(foreign, |finding| finding.marks));
        match sent.lost.as_deref() {
            Some(why) => line.bare("lost", &quoted(why)),
            None => line.bare("lost", "null"),
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
