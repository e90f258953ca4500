//! Facts: what a loop can tell of one of its lines, for an administrator who has opened it.
//! Invariants: nothing of what was said on it, no key and no password.
//! Not here: what the kernel knows (`sock_diag`), who may ask (`errands`).

use super::EventLoop;
use crate::connection::{Connection, Line, Stage};
use crate::errands::Facts;
use crate::letter::SessionName;

impl EventLoop {
    /// Every line with its name.
    pub(super) fn named_lines(&self) -> Vec<(router::SessionId, crate::admin::Line)> {
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
        if let Line::Quic { endpoint, name } = connection.line {
            let rows = self.endpoints[usize::from(endpoint)].quic.facts(name);
            facts.extend(rows.map(|rows| Facts { of: "quic", rows }));
        }
        facts
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
