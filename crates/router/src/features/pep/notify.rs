//! Telling: an event goes to the homes of those who may know, and there to the lines that want it; and whoever comes is
//! told the last of what it wants.
//!
//! Spec: XEP-0163 section 4.3 (who is told), 4.3.4 (the last item); XEP-0060 section 7.1.2 (what is said).
//! Owns: nothing. Invariants: an account's home knows who may read, a contact's home knows which of its lines want to: each
//! decides its half.
//! Not here: which lines want what (`interest`).

use store::pep::Item;
use store::{Op, PepOp};
use xmpp::address::AccountNumber;
use xmpp::stanza::Stanza;
use xmpp::{ns, write};

use super::node::Node;
use super::{Asked, Wait};
use crate::line::LineId;
use crate::parcel::Letter;
use crate::route::Kind;
use crate::router::Router;
use crate::waiting::Waiting;

pub(super) fn write_item(out: &mut Vec<u8>, item: &Item) {
    write::open(out, "item").attr("id", &item.id).raw(&item.payload);
}

/// The inside of the event that tells an item.
pub(super) fn items_event(node: &str, item: &Item) -> Vec<u8> {
    let mut event = Vec::new();
    write::open(&mut event, "items").attr("node", node).with(|out| write_item(out, item));
    event
}

impl Router {
    /// Tells an event to the account's own lines and to every contact who may read the node.
    pub(super) fn tell(&mut self, number: AccountNumber, node: &Node, event: &[u8]) {
        self.send_event(number, number, None, event);
        let Some(account) = self.accounts.get(number) else { return };
        let items = account.roster.items.iter().filter(|item| item.subscription.is_from());
        let ours = items.filter(|item| item.contact.domain() == self.cfg.domain);
        let contacts: Vec<AccountNumber> = ours
            .filter_map(|item| item.contact.number())
            .filter(|contact| *contact != number && self.may_read(number, node, *contact))
            .collect();
        for contact in contacts {
            self.send_event(number, contact, None, event);
        }
    }

    pub(super) fn send_event(
        &mut self,
        from: AccountNumber,
        to: AccountNumber,
        resource: Option<&str>,
        event: &[u8],
    ) {
        let mut address = self.bare(to);
        if let Some(resource) = resource {
            address.push('/');
            address.push_str(resource);
        }
        let mut stanza = Vec::with_capacity(event.len() + 160);
        let message = write::open(&mut stanza, "message").attr("from", &self.bare(from)).attr("to", &address);
        message.attr("type", "headline").with(|out| {
            write::open(out, "event").ns(ns::PUBSUB_EVENT).raw(event);
        });
        self.route(Letter { resource, ..Letter::new(Kind::Event, from, to, &stanza) });
    }

    /// A line wants to be told of these from now on: whoever it may see is asked for the last of each.
    pub(super) fn send_wishes(&mut self, line: LineId, nodes: &[Box<str>]) {
        let number = self.lines[line].number;
        let Some(account) = self.accounts.get(number) else { return };
        let seen = account.roster.items.iter().filter(|item| item.subscription.is_to());
        let ours = seen.filter(|item| item.contact.domain() == self.cfg.domain);
        let mut contacts: Vec<AccountNumber> = ours.filter_map(|item| item.contact.number()).collect();
        contacts.retain(|contact| *contact != number);
        contacts.push(number);
        for contact in contacts {
            self.send_wish(line, contact, nodes);
        }
    }

    /// One of them is.
    pub(super) fn send_wish(&mut self, line: LineId, contact: AccountNumber, nodes: &[Box<str>]) {
        let mut stanza = Vec::new();
        let wish = write::open(&mut stanza, "presence").attr("from", self.lines[line].jid());
        wish.attr("to", &self.bare(contact)).with(|out| {
            nodes.iter().for_each(|node| write::open(out, "want").attr("node", node).empty());
        });
        let (kind, from) = (Kind::Wish, self.lines[line].number);
        self.route(Letter::new(kind, from, contact, &stanza));
    }

    /// Somebody came, and wants the last of some nodes.
    pub(super) fn grant_wishes(&mut self, letter: &Letter<'_>) {
        let Ok(stanza) = Stanza::parse(letter.stanza) else { return };
        let Some(asker) = stanza.from().and_then(|from| xmpp::Jid::parse(&from).ok()) else { return };
        let Some(resource) = asker.resource() else { return };
        let (number, to) = (letter.to, letter.from);
        let Some(account) = self.accounts.get(number) else { return };
        let sees = to == number || account.standing(asker.bare()).from;
        if !sees || account.features.pep.is_empty() {
            return;
        }
        let wanted: Vec<_> = stanza.children().filter_map(|want| want.attr("node")).collect();
        let nodes: Vec<Box<str>> = account
            .features
            .pep
            .iter()
            .filter(|node| node.last_on_presence && wanted.iter().any(|want| **want == *node.name))
            .filter(|node| self.may_read(number, node, to))
            .map(|node| node.name.clone())
            .collect();
        for node in nodes {
            // The least urgent thing to read.
            if self.waiting.len() >= self.cfg.probe_requests_max {
                return;
            }
            let op = PepOp::Items { number, node: node.clone(), ids: Vec::new(), limit: 1 };
            let asked = Asked::Last { number, node, to, resource: resource.into() };
            self.ask(Op::Pep(op), Waiting::Feature(Wait::pep(asked)));
        }
    }
}
