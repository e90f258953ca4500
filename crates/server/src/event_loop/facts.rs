//! Facts: what a loop can tell of one of its lines, for an administrator who has opened it.
//! Invariants: nothing of what was said on it, no key and no password.
//! Not here: what TCP knows (`network`), who may ask (`errands`), how frames are kept (`network::trace`).

use router::SessionId;
use xmpp::address::AccountNumber;

use super::EventLoop;
use crate::admin::{self, TraceOf};
use crate::connection::{Connection, Line, Stage};
use crate::errands::Facts;
use crate::letter::SessionName;
use crate::network::trace::{Answer, Flow, Question, SNAP_MAX};

/// Octets of a frame that a picture is drawn from: all headers, with every option and extension that is read.
const HEADERS: usize = 192;

impl EventLoop {
    /// Every line that has a connection, with its name; who may come back stands in `who` alone.
    pub(super) fn named_lines(&self) -> Vec<(SessionId, admin::Line)> {
        let slots = self.lines.slots();
        let named = slots.into_iter().filter_map(|slot| {
            let name = self.lines.name(slot)?;
            Some((name.to_id(), self.line_of(self.lines.get(slot)?)))
        });
        named.collect()
    }

    /// What is known of a line; nothing if it is gone.
    pub(super) fn facts_of(&self, name: SessionName) -> Vec<Facts> {
        let Some(connection) = self.lines.find(name).and_then(|slot| self.lines.get(slot)) else {
            return Vec::new();
        };
        let mut facts = vec![session(connection), carrier(connection)];
        if let Some(tls) = &connection.tls {
            facts.push(Facts { of: "tls", rows: tls.facts() });
        }
        let of_line = match connection.line {
            Line::Stream { network, socket } => {
                self.networks[usize::from(network)].tcp_facts(socket).map(|rows| Facts { of: "tcp", rows })
            }
            Line::Quic { endpoint, name } => {
                let rows = self.endpoints[usize::from(endpoint)].quic.facts(name);
                rows.map(|rows| Facts { of: "quic", rows })
            }
            Line::Moving => None,
        };
        facts.extend(of_line);
        facts
    }

    /// A number's lines for `switchboard trace`, or one of them with its frames. Who follows a line asks ten times a second, so one that
    /// is named costs what it costs itself, however many there are.
    pub(super) fn trace(&mut self, number: AccountNumber, of: Option<&TraceOf>) -> Vec<admin::Trace> {
        let Some(of) = of else { return self.lines_to_trace(number) };
        let name = SessionName::from_id(SessionId::from_bits(of.name));
        let connection = self.lines.find(name).and_then(|slot| self.lines.get(slot));
        let Some(connection) = connection.filter(|connection| connection.number == Some(number)) else {
            return Vec::new();
        };
        let (line, about) = (connection.line, self.line_of(connection));
        let answer = self.frames(line, of.after, SNAP_MAX);
        vec![admin::Trace::new(about, of.name, self.now, answer)]
    }

    fn lines_to_trace(&self, number: AccountNumber) -> Vec<admin::Trace> {
        let slots = self.lines.slots().into_iter();
        let of_number = slots.filter_map(|slot| {
            let connection = self.lines.get(slot).filter(|connection| connection.number == Some(number))?;
            let shown =
                self.flow(connection.line).is_some_and(|(network, _)| self.networks[network].shows_frames());
            let name = self.lines.name(slot)?.to_id().to_bits();
            Some(admin::Trace::of_line(self.line_of(connection), name, shown))
        });
        of_number.collect()
    }

    /// The latest frames of a line, as far as a picture needs them; `None` if it is gone.
    pub(super) fn frames_of(&mut self, name: SessionName) -> Option<Answer> {
        let line = self.lines.get(self.lines.find(name)?)?.line;
        Some(self.frames(line, 0, HEADERS))
    }

    /// Frames of a conversation on the first network, which need not be a line yet.
    pub(crate) fn watch(&mut self, question: Question) -> Answer {
        self.networks[0].trace(question)
    }

    fn frames(&mut self, line: Line, after: u64, snap: usize) -> Answer {
        let Some((network, flow)) = self.flow(line) else { return Answer::Hidden };
        self.networks[network].trace(Question { flow, after, snap })
    }

    /// Which network's which conversation a line is.
    fn flow(&self, line: Line) -> Option<(usize, Flow)> {
        let (network, protocol, remote) = match line {
            Line::Stream { network, socket } => {
                (network, Flow::TCP, self.networks[usize::from(network)].remote(socket)?)
            }
            Line::Quic { endpoint, name } => {
                let endpoint = &self.endpoints[usize::from(endpoint)];
                (endpoint.network, Flow::UDP, endpoint.quic.remote(name)?)
            }
            Line::Moving => return None,
        };
        Some((usize::from(network), Flow { protocol, remote }))
    }
}

fn session(connection: &Connection) -> Facts {
    let mut rows = vec![("state", connection.state().to_owned())];
    if let Stage::Session(session) = &connection.stage {
        rows.push(("confirms what it gets", yes_or_no(session.acknowledges())));
        rows.push(("may use clear text", yes_or_no(session.facts().clear_text_allowed)));
    }
    Facts { of: "session", rows }
}

fn carrier(connection: &Connection) -> Facts {
    let rows = vec![
        ("carrier", connection.carrier.name().to_owned()),
        ("by way of a proxy", yes_or_no(connection.flags.forwarded)),
        (
            "waits to be sent",
            format!("{} octets", connection.outbox.as_ref().map_or(0, |outbox| outbox.len())),
        ),
        (
            "waits to be read",
            format!("{} octets", connection.backlog.as_ref().map_or(0, |bytes| bytes.len())),
        ),
        ("socket is full", yes_or_no(connection.flags.write_blocked)),
    ];
    Facts { of: "carrier", rows }
}

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}
