//! Subscriptions between two numbers: the stanzas of RFC 6121 section 3, carried out on both sides.
//!
//! Spec: RFC 6121 section 3; the order of effects in each of 3.1.2 to 3.4.3.
//! Owns: nothing. Invariants: a side's new standing is committed before anything that follows from it is seen by anyone;
//! what two numbers say to each other arrives in the order in which it was said.
//! Not here: the state machine itself (`subscription`), the roster's own queries (`roster`).

use store::{RosterItem, Subscription};
use xmpp::address::{AccountNumber, BareJid};
use xmpp::relay::{Head, relay};
use xmpp::stanza::Stanza;
use xmpp::write;

use crate::line::LineId;
use crate::parcel::{Ack, Letter};
use crate::route::{Kind, PresenceType};
use crate::router::Router;
use crate::subscription::{Standing, Verb};
use crate::waiting::Effect;

impl Router {
    /// A client sent one of the four (A.2).
    pub(crate) fn subscription_sent(
        &mut self,
        line: LineId,
        stanza: &Stanza<'_>,
        verb: Verb,
        contact: AccountNumber,
        ack: Ack,
    ) {
        let number = self.lines[line].number;
        let Ok(jid) = BareJid::parse(&self.bare(contact)) else { return self.processed(ack) };
        // One sees oneself anyway.
        if contact == number {
            return self.processed(ack);
        }
        let Some(account) = self.accounts.get(number) else { return self.processed(ack) };
        let before = account.item(jid.as_str()).cloned().unwrap_or_else(|| RosterItem::new(jid.clone()));
        let standing = account.standing(jid.as_str());
        let out = standing.outbound(verb);

        // 3.1.2 and its like: between accounts, so bare addresses on both ends.
        let mut bytes = Vec::new();
        let head = Head { from: Some(self.lines[line].bare()), to: Some(jid.as_str()), ..Head::default() };
        relay(&mut bytes, stanza, &head);
        let kind = Kind::Presence(PresenceType::Subscription(verb));
        let letter = Letter { ack, ..Letter::new(kind, number, contact, &bytes) };

        let mut effects = Vec::new();
        if verb == Verb::Unsubscribed && standing.from {
            effects.push(Effect::Unavailable(contact));
        }
        if out.route {
            effects.push(Effect::Send(letter.to_owned()));
        } else {
            effects.push(Effect::Processed(ack));
        }
        if verb == Verb::Subscribed && out.route {
            // 3.1.5: and then what there is to see.
            effects.push(Effect::Presence(contact));
        }
        let mut after = with_standing(before.clone(), out.standing, None);
        // 3.1.2, 3.1.5, 3.4.2: whom the user asked or allowed is in the roster from now on.
        after.listed |= out.standing != standing && matches!(verb, Verb::Subscribe | Verb::Subscribed);
        // What an error would bear as its sender is the client's own address.
        let mut asked = Vec::new();
        relay(&mut asked, stanza, &Head { from: Some(self.lines[line].jid()), ..Head::default() });
        let request = Letter { stanza: &asked, ..letter };
        self.change_item(number, &before, after, effects, Some(request));
    }

    /// One of the four reached the account that it is for (A.3).
    pub(crate) fn subscription_arrived(&mut self, letter: Letter<'_>) {
        let Kind::Presence(PresenceType::Subscription(verb)) = letter.kind else {
            return self.processed(letter.ack);
        };
        let (Ok(sender), Some(account)) =
            (BareJid::parse(&self.bare(letter.from)), self.accounts.get(letter.to))
        else {
            return self.processed(letter.ack);
        };
        let before =
            account.item(sender.as_str()).cloned().unwrap_or_else(|| RosterItem::new(sender.clone()));
        let standing = account.standing(sender.as_str());
        let inbound = standing.inbound(verb);

        let mut effects = Vec::new();
        if inbound.deliver {
            let stanza = letter.stanza.into();
            // 3.1.3: a request is for whoever is there; the rest for those who follow the roster (3.1.6, 3.2.3, 3.3.3).
            let available = verb == Verb::Subscribe;
            effects.push(if available { Effect::ToAvailable(stanza) } else { Effect::ToInterested(stanza) });
        }
        if verb == Verb::Unsubscribe && standing.from {
            effects.push(Effect::Unavailable(letter.from));
        }
        if inbound.standing.to && !standing.to {
            effects.push(Effect::Sees(letter.from));
        }
        if inbound.approve {
            let answer = self.make_subscription(letter.to, sender.as_str(), letter.from, Verb::Subscribed);
            effects.push(Effect::Send(answer));
            effects.push(Effect::Presence(letter.from));
        }
        effects.push(Effect::Processed(letter.ack));
        let after = with_standing(before.clone(), inbound.standing, Some(letter.stanza));
        self.change_item(letter.to, &before, after, effects, None);
    }

    /// Sends one of the four in an account's name.
    pub(crate) fn send_subscription(
        &mut self,
        number: AccountNumber,
        contact: AccountNumber,
        verb: Verb,
        ack: Ack,
    ) {
        let to = self.bare(contact);
        let mut letter = self.make_subscription(number, &to, contact, verb);
        letter.ack = ack;
        self.route(letter.borrow());
    }

    /// Makes one of the four in an account's name.
    pub(crate) fn make_subscription(
        &self,
        number: AccountNumber,
        to: &str,
        contact: AccountNumber,
        verb: Verb,
    ) -> crate::parcel::OwnedLetter {
        let mut bytes = Vec::new();
        let from = self.bare(number);
        write::open(&mut bytes, "presence")
            .attr("from", &from)
            .attr("to", to)
            .attr("type", verb.as_str())
            .empty();
        let kind = Kind::Presence(PresenceType::Subscription(verb));
        Letter::new(kind, number, contact, &bytes).to_owned()
    }
}

/// The item with a new standing. A request that begins to wait is kept as it came.
fn with_standing(mut item: RosterItem, standing: Standing, request: Option<&[u8]>) -> RosterItem {
    item.subscription = Subscription::of(standing.to, standing.from);
    item.ask = standing.ask;
    item.approved = standing.approved;
    item.pending_in = match (standing.pending_in, item.pending_in.take()) {
        (false, _) => None,
        (true, Some(earlier)) => Some(earlier),
        (true, None) => request.map(<[u8]>::to_vec),
    };
    item
}
