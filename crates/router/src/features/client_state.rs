//! Client state: while nobody looks at a client, what can wait does, so that its radio may sleep.
//!
//! Spec: XEP-0352 section 4 (the two words), 5.1 (order), 5.2 (a resumed stream is active); XEP-0386 2.2 (inactive from the
//! beginning).
//! Owns: what is held back for a line. Invariants: of each sender the last presence and the last chat state wait, and
//! nothing else does; what goes at once takes them along before it, so nothing is overtaken; a line holds
//! [`HELD_MAX`] stanzas and [`HELD_BYTES_MAX`] octets at most; what waits when the exchange ends is saved with the rest
//! that its client has not confirmed.
//! Not here: messages with a text, requests and questions, which go at once always.

use std::collections::BTreeMap;
use std::ops::Range;

use xmpp::address::AccountNumber;
use xmpp::stanza::{Node, Stanza, StanzaKind};
use xmpp::{ns, write};

use super::Feature;
use crate::chat_state::is_alone;
use crate::line::{LineId, SessionId};
use crate::router::Router;
use crate::tag::Tag;

/// Stanzas that wait for one client; with one more all of them go.
const HELD_MAX: usize = 500;

/// Their octets.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// What waits for a client that nobody looks at.
#[derive(Default)]
pub(crate) struct Held {
    /// By what each takes the place of: a kind and a sender. Oldest first.
    stanzas: Vec<(Box<str>, Box<[u8]>)>,
    bytes: usize,
}

pub(crate) struct It;

impl Feature for It {
    /// Of those lines for which something waits.
    type Router = BTreeMap<SessionId, Held>;
    type Account = ();
    /// Nobody looks.
    type Line = bool;
    type Wait = ();

    const INLINE: &'static [&'static str] = &[ns::CSI];

    fn write_stream_features(_: &crate::RouterConfig, out: &mut Vec<u8>) {
        write::open(out, "csi").ns(ns::CSI).empty();
    }

    fn on_inline(router: &mut Router, line: LineId, asked: &Node<'_>, _: &mut Vec<u8>) {
        router.lines[line].features.client_state |= asked.is("inactive", ns::CSI);
    }

    fn on_client_state(router: &mut Router, line: LineId, active: bool) {
        router.lines[line].features.client_state = !active;
        if active {
            let_go(router, line);
        }
    }

    fn hold_back(router: &mut Router, line: LineId, stanza: &Range<usize>, tag: Option<Tag>) -> bool {
        if !router.lines[line].features.client_state {
            return false;
        }
        let bytes = router.out.bytes(stanza);
        let Some(place) = place_of(bytes) else {
            let_go(router, line);
            return false;
        };
        let bytes: Box<[u8]> = bytes.into();
        let session = router.lines[line].session;
        // Nobody misses it if it is lost, so nobody waits for its confirmation.
        if let Some(tag) = tag {
            router.delivered(line, tag);
        }
        let held = router.features.client_state.entry(session).or_default();
        if let Some(at) = held.stanzas.iter().position(|(other, _)| *other == place) {
            let (_, before) = held.stanzas.remove(at);
            held.bytes -= before.len();
        }
        held.bytes += bytes.len();
        held.stanzas.push((place, bytes));
        if held.stanzas.len() > HELD_MAX || held.bytes > HELD_BYTES_MAX {
            let_go(router, line);
        }
        true
    }

    fn on_line_lost(router: &mut Router, _: AccountNumber, session: SessionId) {
        router.features.client_state.remove(&session);
    }

    fn on_line_moved(router: &mut Router, _: AccountNumber, from: SessionId, to: SessionId) {
        if let Some(held) = router.features.client_state.remove(&from) {
            router.features.client_state.insert(to, held);
        }
    }

    fn on_line_resumed(router: &mut Router, line: LineId) {
        Self::on_client_state(router, line, true);
    }

    fn on_stopping(router: &mut Router, number: AccountNumber) {
        router.lines_of(number).into_iter().for_each(|line| let_go(router, line));
    }

    fn write_wishes(router: &Router, line: LineId, out: &mut Vec<u8>) {
        if router.lines[line].features.client_state {
            write::open(out, "inactive").ns(ns::CSI).empty();
        }
    }
}

/// What has waited goes to the client, the oldest first.
fn let_go(router: &mut Router, line: LineId) {
    let Some(held) = router.features.client_state.remove(&router.lines[line].session) else { return };
    for (_, stanza) in held.stanzas {
        let stanza = router.out.put(&stanza);
        router.deliver_now(line, stanza, None);
    }
}

/// What a stanza takes the place of, if it can wait.
fn place_of(bytes: &[u8]) -> Option<Box<str>> {
    let stanza = Stanza::parse(bytes).ok()?;
    let from = stanza.from().unwrap_or_default();
    match stanza.kind() {
        StanzaKind::Presence if matches!(stanza.type_().as_deref(), None | Some("unavailable")) => {
            Some(format!("presence {from}").into())
        }
        StanzaKind::Message if is_alone(stanza.children()) => Some(format!("state {from}").into()),
        // A copy of one (XEP-0280).
        StanzaKind::Message => {
            let copy = stanza.children().find(|child| child.ns() == ns::CARBONS)?;
            let message = copy.child("forwarded", ns::FORWARD)?.child("message", ns::CLIENT)?;
            let between = (message.attr("from")?, message.attr("to")?);
            is_alone(message.children()).then(|| format!("copy {} {}", between.0, between.1).into())
        }
        _ => None,
    }
}
