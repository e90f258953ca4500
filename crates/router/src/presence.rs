//! Presence: who is told that a resource came, changed and went.
//!
//! Spec: RFC 6121 section 4: initial (4.2), probes (4.3), updates (4.4), unavailable (4.5), directed (4.6), priority
//! (4.7.2.3).
//! Owns: nothing but what a line keeps. Invariants: who was told that a resource is available is told when it no longer
//! is, whether the client said so, its connection died or its place was taken.
//! Not here: subscriptions (`subscribe`).

use xmpp::address::AccountNumber;
use xmpp::error::StanzaError;
use xmpp::relay::{Head, relay};
use xmpp::stanza::Stanza;
use xmpp::{ns, write};

use crate::features;
use crate::line::LineId;
use crate::parcel::{Ack, Letter};
use crate::route::{Kind, PresenceType};
use crate::router::{Router, busy};
use crate::subscription::Verb;

/// What a session is said to have left with when it said nothing.
const GONE: &[u8] = b" type='unavailable'/>";

const START: &[u8] = b"<presence";

impl Router {
    /// A client sent presence to nobody in particular: it is there.
    pub(crate) fn available(&mut self, line: LineId, stanza: &Stanza<'_>, ack: Ack) {
        let Some(tail) = tail_of(stanza) else { return self.processed(ack) };
        let number = self.lines[line].number;
        let was_available = self.lines[line].is_available();
        let took_messages = self.lines[line].takes_messages();
        // RFC 6121 4.7.2.3: an integer from -128 to 127; what is none counts as the default.
        let priority =
            stanza.child("priority", ns::CLIENT).map(|node| node.text().trim().parse().unwrap_or(0));
        self.lines[line].priority = priority.unwrap_or(0);
        self.lines[line].presence = Some(tail.into());
        // XEP-0398 section 4: who says something of its picture is not contradicted.
        let update = stanza.child("x", ns::VCARD_UPDATE);
        self.lines[line].says_photo = update.is_some_and(|x| x.child("photo", ns::VCARD_UPDATE).is_some());

        let tail = self.tail_bytes(line);
        self.tell_contacts(line, PresenceType::Available, &tail);
        // 4.2.2: to the user's own resources too, this one included.
        for other in self.lines_of(number) {
            if self.lines[other].is_available() {
                self.show(line, other);
            }
        }
        if !was_available {
            self.probe_contacts(line);
            // 4.3: the user's other resources answer without being asked.
            for other in self.lines_of(number) {
                if other != line && self.lines[other].is_available() {
                    self.show(other, line);
                }
            }
            self.show_requests(line);
        }
        if self.lines[line].takes_messages() && !took_messages {
            features::on_ready(self, line);
        } else if took_messages && !self.lines[line].takes_messages() {
            features::on_unready(self, line);
        }
        features::on_presence(self, line, stanza);
        self.processed(ack);
    }

    /// The picture of an account changed: everybody who may see it is told by the presence of each of its lines.
    #[allow(dead_code, reason = "nobody changes it when no feature keeps pictures")]
    pub(crate) fn set_photo(&mut self, number: AccountNumber, photo: Option<Box<str>>) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        if account.photo == photo {
            return;
        }
        account.photo = photo;
        for line in self.lines_of(number) {
            if self.lines[line].is_available() && !self.lines[line].says_photo {
                let tail = self.tail_bytes(line);
                self.tell_contacts(line, PresenceType::Available, &tail);
                for other in self.lines_of(number) {
                    if self.lines[other].is_available() {
                        self.show(line, other);
                    }
                }
            }
        }
    }

    /// What follows the addresses in a line's presence: what its client said, and the hash of the account's picture
    /// (XEP-0153 section 4.1) where the client says nothing of one.
    fn tail_bytes(&self, line: LineId) -> Vec<u8> {
        let line = &self.lines[line];
        let tail = line.presence.as_deref().unwrap_or_default();
        let photo = self.accounts.get(line.number).and_then(|account| account.photo.as_deref());
        let Some(photo) = photo.filter(|_| !line.says_photo) else { return tail.to_vec() };
        let mut bytes = Vec::with_capacity(tail.len() + 120);
        match (tail.strip_suffix(b"</presence>"), tail.strip_suffix(b"/>")) {
            (Some(open), _) => bytes.extend_from_slice(open),
            (None, Some(tag)) => {
                bytes.extend_from_slice(tag);
                bytes.push(b'>');
            }
            (None, None) => return tail.to_vec(),
        }
        write::open(&mut bytes, "x").ns(ns::VCARD_UPDATE).with(|out| write::open(out, "photo").text(photo));
        write::close(&mut bytes, "presence");
        bytes
    }

    /// The presence of a line as it may be shown to its own account.
    pub(crate) fn own_presence(&self, line: LineId) -> Option<Vec<u8>> {
        let line = &self.lines[line];
        Some(write_presence(line.jid(), line.bare(), line.presence.as_deref()?))
    }

    /// A client sent unavailable presence to nobody in particular: it leaves, though its session may stay.
    pub(crate) fn unavailable(&mut self, line: LineId, stanza: &Stanza<'_>, ack: Ack) {
        let tail = tail_of(stanza).unwrap_or_else(|| GONE.to_vec());
        self.leave_with(line, &tail);
        self.processed(ack);
    }

    /// A line ends, whatever its client said.
    pub(crate) fn leave(&mut self, line: LineId) {
        self.leave_with(line, GONE);
    }

    fn leave_with(&mut self, line: LineId, tail: &[u8]) {
        let took_messages = self.lines[line].is_available() && self.lines[line].priority >= 0;
        let directed = std::mem::take(&mut self.lines[line].directed);
        let number = self.lines[line].number;
        self.lines[line].requests_due = false;
        if self.lines[line].presence.take().is_some() {
            self.tell_contacts(line, PresenceType::Unavailable, tail);
            let bare = self.lines[line].bare().to_owned();
            for other in self.lines_of(number) {
                if other != line && self.lines[other].is_available() {
                    let stanza = write_presence(self.lines[line].jid(), &bare, tail);
                    let stanza = self.out.put(&stanza);
                    self.deliver(other, stanza, None);
                }
            }
        }
        // 4.6.3: those it wrote to directly, unless they were told as contacts.
        for to in directed {
            let bare = to.split('/').next().unwrap_or_default();
            let told = self.accounts.get(number).is_some_and(|account| account.standing(bare).from);
            if !told && let Ok(jid) = xmpp::Jid::parse(&to) {
                let stanza = write_presence(self.lines[line].jid(), &to, tail);
                self.send_presence(line, PresenceType::Unavailable, &jid, &stanza);
            }
        }
        if took_messages {
            features::on_unready(self, line);
        }
    }

    /// Remembers whom a line wrote to directly, or forgets (4.6.3).
    pub(crate) fn note_directed(
        &mut self,
        line: LineId,
        kind: PresenceType,
        to: &str,
    ) -> Result<(), StanzaError> {
        let max = self.cfg.directed_max;
        let kept = &mut self.lines[line].directed;
        let place = kept.iter().position(|other| **other == *to);
        // A box rather than a vector, since hardly any line has any and each has room for them.
        let mut directed = std::mem::take(kept).into_vec();
        let full = directed.len() >= max;
        match (kind, place) {
            (PresenceType::Available, None) if !full => directed.push(to.into()),
            (PresenceType::Unavailable, Some(at)) => {
                directed.swap_remove(at);
            }
            _ => {}
        }
        *kept = directed.into_boxed_slice();
        if full && place.is_none() && kind == PresenceType::Available { Err(busy()) } else { Ok(()) }
    }

    /// A probe reached the account that it asks about (4.3.2).
    pub(crate) fn probe_arrived(&mut self, letter: Letter<'_>) {
        let Ok(stanza) = Stanza::parse(letter.stanza) else { return self.processed(letter.ack) };
        let Some(asker) = stanza.from().and_then(|from| xmpp::Jid::parse(&from).ok()) else {
            return self.processed(letter.ack);
        };
        let bare = asker.bare();
        let standing = self.accounts.get(letter.to).map(|account| account.standing(bare)).unwrap_or_default();
        let (mut known, mut shown, own) = (standing.from, false, letter.from == letter.to);
        for line in self.lines_of(letter.to) {
            let directed = |to: &str| to == asker.as_str() || to == bare;
            let directed = self.lines[line].directed.iter().any(|to| directed(to));
            known |= directed;
            if (standing.from || own || directed) && self.lines[line].is_available() {
                let tail = self.tail_bytes(line);
                let stanza = write_presence(self.lines[line].jid(), asker.as_str(), &tail);
                self.send_presence(line, PresenceType::Available, &asker, &stanza);
                shown = true;
            }
        }
        if standing.from && !shown {
            // 4.3.2: nobody is there, which is said rather than left to be guessed.
            let stanza = write_presence(&self.bare(letter.to), asker.as_str(), GONE);
            let kind = Kind::Presence(PresenceType::Unavailable);
            let (from, to, resource) = (letter.to, letter.from, asker.resource());
            self.route(Letter { resource, ..Letter::new(kind, from, to, &stanza) });
        } else if !known && !own && !standing.pending_in {
            // 4.3.2: whoever believes to be subscribed and is not learns it. A request that waits is still undecided.
            self.send_subscription(letter.to, letter.from, Verb::Unsubscribed, None);
        }
        self.processed(letter.ack);
    }

    /// Tells a contact that each available resource is there, or that it is gone.
    pub(crate) fn show_all(&mut self, number: AccountNumber, contact: AccountNumber, kind: PresenceType) {
        if features::hides(self, number, contact) {
            return;
        }
        let to = self.bare(contact);
        for line in self.lines_of(number) {
            if self.lines[line].is_available() {
                let available = self.tail_bytes(line);
                let tail = if kind == PresenceType::Available { &available[..] } else { GONE };
                let stanza = write_presence(self.lines[line].jid(), &to, tail);
                let letter = Letter::new(Kind::Presence(kind), number, contact, &stanza);
                self.route(letter);
            }
        }
    }

    /// Everybody who may see this user hears of one line.
    fn tell_contacts(&mut self, line: LineId, kind: PresenceType, tail: &[u8]) {
        for contact in self.contacts(line, |item| item.subscription.is_from()) {
            let to = self.bare(contact);
            let stanza = write_presence(self.lines[line].jid(), &to, tail);
            let from = self.lines[line].number;
            let letter = Letter::new(Kind::Presence(kind), from, contact, &stanza);
            self.route(letter);
        }
    }

    /// Everybody whom this user may see is asked (4.3.1).
    fn probe_contacts(&mut self, line: LineId) {
        for contact in self.contacts(line, |item| item.subscription.is_to()) {
            let to = self.bare(contact);
            let stanza = write_presence(self.lines[line].jid(), &to, b" type='probe'/>");
            let from = self.lines[line].number;
            let kind = Kind::Presence(PresenceType::Probe);
            self.route(Letter::new(kind, from, contact, &stanza));
        }
    }

    /// The numbers among a user's contacts of which something holds. Contacts elsewhere cannot be reached.
    fn contacts(&self, line: LineId, holds: impl Fn(&store::RosterItem) -> bool) -> Vec<AccountNumber> {
        let number = self.lines[line].number;
        let Some(account) = self.accounts.get(number) else { return Vec::new() };
        let items = account.roster.items.iter().filter(|item| holds(item));
        let ours = items.filter(|item| item.contact.domain() == self.cfg.domain);
        let contacts = ours.filter_map(|item| item.contact.number());
        contacts.filter(|contact| *contact != number && !features::hides(self, number, *contact)).collect()
    }

    /// Shows one line of an account to another.
    fn show(&mut self, line: LineId, to: LineId) {
        let tail = self.tail_bytes(line);
        let stanza = write_presence(self.lines[line].jid(), self.lines[to].jid(), &tail);
        let stanza = self.out.put(&stanza);
        self.deliver(to, stanza, None);
    }

    /// Requests that nobody has answered yet are shown to each resource that comes (3.1.3), as far as they are
    /// committed: of a write under way it is not known yet whether it adds one or answers one.
    fn show_requests(&mut self, line: LineId) {
        let Some(account) = self.accounts.get(self.lines[line].number) else { return };
        let settled = !account.loading && account.last_write.is_none();
        self.lines[line].requests_due = !settled;
        if !settled {
            return;
        }
        let requests = account.roster.items.iter().filter_map(|item| item.pending_in.as_deref());
        let ranges: Vec<_> = requests.map(|request| self.out.put(request)).collect();
        for stanza in ranges {
            self.deliver(line, stanza, None);
        }
    }

    /// The roster is as it is on the disk: who came meanwhile is shown what waits.
    pub(crate) fn show_due_requests(&mut self, number: AccountNumber) {
        for line in self.lines_of(number) {
            if self.lines[line].requests_due {
                self.show_requests(line);
            }
        }
    }

    fn send_presence(&mut self, line: LineId, kind: PresenceType, to: &xmpp::Jid, stanza: &[u8]) {
        let Some(number) = to.number() else { return };
        let from = self.lines[line].number;
        let kind = Kind::Presence(kind);
        self.route(Letter { resource: to.resource(), ..Letter::new(kind, from, number, stanza) });
    }
}

/// What follows the addresses when a presence is sent onward.
fn tail_of(stanza: &Stanza<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    relay(&mut bytes, stanza, &Head::default());
    bytes.strip_prefix(START).map(<[u8]>::to_vec)
}

fn write_presence(from: &str, to: &str, tail: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(START.len() + from.len() + to.len() + tail.len() + 16);
    bytes.extend_from_slice(START);
    write::attr(&mut bytes, "from", from);
    write::attr(&mut bytes, "to", to);
    bytes.extend_from_slice(tail);
    bytes
}
