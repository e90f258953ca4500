//! Carbons: what one of a user's clients sends or gets, the others that asked for it see too.
//!
//! Spec: XEP-0280 section 6.1 (which messages), 7 (received), 8 (sent), 9 (`<private/>`); XEP-0297 (forwarding); XEP-0334
//! 4.3 (`no-copy`).
//! Owns: which lines asked. Invariants: nobody gets a copy of what it got or sent itself; what waits for somebody to come
//! is copied when it is given, and not before.
//! Not here: who answers for a message that several lines have (`hands`). The `urn:xmpp:carbons:rules:0` of section 6.2 is
//! not announced: an error is not traced back to what it answers, so none is copied.

use xmpp::stanza::{Node, Stanza};
use xmpp::{ns, write};

use super::{Answer, Copies, Copy, Feature, Query, Scope};
use crate::line::LineId;
use crate::parcel::Letter;
use crate::route::{Kind, MessageType};
use crate::router::Router;

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    /// Whether it asked.
    type Line = bool;
    type Wait = ();

    const SERVER: &'static [&'static str] = &[ns::CARBONS];
    const ACCOUNT: &'static [&'static str] = &[ns::CARBONS];
    const INLINE: &'static [&'static str] = &[ns::CARBONS];

    fn on_query(router: &mut Router, query: &Query<'_>, _: &mut Vec<u8>) -> Option<Answer> {
        let wanted = match query.payload.name() {
            "enable" => true,
            "disable" => false,
            _ => return None,
        };
        let line = query.line.filter(|_| query.set && query.scope == Scope::Own)?;
        if query.payload.ns() != ns::CARBONS {
            return None;
        }
        // Section 10.1: as often as it likes.
        router.lines[line].features.carbons = wanted;
        Some(Answer::Result)
    }

    fn on_inline(router: &mut Router, line: LineId, asked: &Node<'_>, _: &mut Vec<u8>) {
        if asked.is("enable", ns::CARBONS) {
            router.lines[line].features.carbons = true;
        }
    }

    fn write_wishes(router: &Router, line: LineId, out: &mut Vec<u8>) {
        if router.lines[line].features.carbons {
            write::open(out, "enable").ns(ns::CARBONS).empty();
        }
    }

    fn on_sent(router: &mut Router, line: LineId, letter: &mut Letter<'_>, _: &Stanza<'_>, marks: &mut Vec<u8>) {
        // What somebody writes to itself comes back to it anyway, and is copied there.
        if letter.from == letter.to {
            return;
        }
        let others = router.others_that_asked(letter.from, &[line]);
        if others.is_empty() {
            return;
        }
        let Ok(stanza) = Stanza::parse(letter.stanza) else { return };
        if may_be_copied(letter.kind, &stanza) {
            for Copy { line, stanza } in router.write_copies("sent", letter, marks, &others) {
                router.deliver(line, stanza, None);
            }
        }
    }

    fn copy(router: &mut Router, letter: &Letter<'_>, given: &[LineId], copies: &mut Copies) {
        let mut others = router.others_that_asked(letter.to, given);
        if others.is_empty() {
            return;
        }
        let Ok(stanza) = Stanza::parse(letter.stanza) else { return };
        if letter.from == letter.to {
            others.retain(|other| stanza.from().as_deref() != Some(router.lines[*other].jid()));
        }
        if may_be_copied(letter.kind, &stanza) {
            copies.extend(router.write_copies("received", letter, &[], &others));
        }
    }

    fn original(stanza: &Stanza<'_>) -> Option<Vec<u8>> {
        // Nobody else can write in the account's own name (section 11).
        let to = stanza.to()?;
        if stanza.from()? != to.split_once('/')?.0 {
            return None;
        }
        let forwarded = stanza.child("received", ns::CARBONS)?.child("forwarded", ns::FORWARD)?;
        let mut message = Vec::new();
        forwarded.child("message", ns::CLIENT)?.write_alone(&mut message);
        read_forwarded(&message)
    }
}

/// 6.1. Chat rooms' messages (type `groupchat`) are not among them, nor is what they relay from one to one.
fn may_be_copied(kind: Kind, stanza: &Stanza<'_>) -> bool {
    let Kind::Message(kind) = kind else { return false };
    let mut children = stanza.children();
    let has = |is: fn(&Node<'_>) -> bool| stanza.children().any(|child| is(&child));
    if children.any(|child| child.is("private", ns::CARBONS) || child.is("no-copy", ns::HINTS)) {
        return false;
    }
    match kind {
        MessageType::Chat => true,
        MessageType::Normal => has(|child| {
            child.is("body", ns::CLIENT)
                || matches!(&*child.ns(), ns::RECEIPTS | ns::CHAT_STATES | ns::MARKERS)
                // XEP-0249, XEP-0045 7.8.2: an invitation is for the user, not for one device.
                || child.is("x", "jabber:x:conference")
                || child.is("x", "http://jabber.org/protocol/muc#user")
        }),
        MessageType::Groupchat | MessageType::Headline | MessageType::Error => false,
    }
}

impl Router {
    /// The lines of an account that asked for copies, but not these.
    fn others_that_asked(
        &self,
        number: xmpp::address::AccountNumber,
        but: &[LineId],
    ) -> smallvec::SmallVec<[LineId; 4]> {
        let Some(account) = self.accounts.get(number).filter(|account| account.lines.len() > 1) else {
            return smallvec::SmallVec::new();
        };
        let asked = |line: &LineId| self.lines[*line].features.carbons && !self.lines[*line].closing;
        account.lines.iter().copied().filter(|line| asked(line) && !but.contains(line)).collect()
    }

    /// Sections 7 and 8: the wrapping message is the account's own, for one resource, and of the same type.
    fn write_copies(&mut self, way: &str, letter: &Letter<'_>, marks: &[u8], to: &[LineId]) -> Copies {
        let kind = (letter.kind == Kind::Message(MessageType::Chat)).then_some("chat");
        let mut marked = Vec::new();
        let message = if marks.is_empty() {
            letter.stanza
        } else {
            crate::arrive::append(&mut marked, letter.stanza, marks);
            &marked
        };
        let mut copies = Copies::new();
        for &line in to {
            let (from, full) = (self.lines[line].bare(), self.lines[line].jid());
            let stanza = self.out.write(|out| {
                let wrapper = write::open(out, "message").attr("from", from).attr("to", full);
                wrapper.attr_opt("type", kind).with(|out| {
                    write::open(out, way).ns(ns::CARBONS).with(|out| {
                        write::open(out, "forwarded").ns(ns::FORWARD).with(|out| write_forwarded(out, message));
                    });
                });
            });
            copies.push(Copy { line, stanza });
        }
        copies
    }
}

/// How every message begins.
const START: &[u8] = b"<message";

/// The message as it was before [`write_forwarded`].
fn read_forwarded(message: &[u8]) -> Option<Vec<u8>> {
    let mut start = START.to_vec();
    write::attr(&mut start, "xmlns", ns::CLIENT);
    Some([START, message.strip_prefix(&start[..])?].concat())
}

/// XEP-0297 section 3: the message says which namespace it is in, since what is around it is in another.
fn write_forwarded(out: &mut Vec<u8>, message: &[u8]) {
    out.extend_from_slice(START);
    write::attr(out, "xmlns", ns::CLIENT);
    out.extend_from_slice(message.strip_prefix(START).unwrap_or_default());
}
