//! Sending: a stanza enters at its sender's home, its `from` is made true, and it goes where its `to` says.
//!
//! Spec: RFC 6120 8.1.1 (`to`), 8.1.2 (`from`), 8.2.3 (iq), 10.3 (no `to`), 10.4 (other domains), 10.5 (ours).
//! Owns: nothing. Invariants: what leaves here bears its sender's address, whatever the client wrote.
//! Not here: what happens at the other end (`arrive`), presence without an address (`presence`).

use xmpp::address::{AccountNumber, JidRef};
use xmpp::error::{StanzaCondition, StanzaError, StreamErrorKind};
use xmpp::relay::{Head, relay};
use xmpp::stanza::{Stanza, StanzaKind};

use crate::account::Pending;
use crate::again;
use crate::arrive::message_type;
use crate::features::{self, Scope};
use crate::line::{Line, LineId};
use crate::parcel::{Ack, Counted, Letter, Place, Receipt};
use crate::resume::Resumption;
use crate::route::{IqType, Kind, PresenceType};
use crate::router::{Router, busy};
use crate::subscription::Verb;

/// Where a stanza is to go.
#[derive(Clone, Copy)]
enum Destination {
    /// No address: the sender's own account (RFC 6120 10.3).
    Own,
    /// The exchange itself.
    Server,
    Number(AccountNumber),
    /// An address at our domain that is no number, so nobody has it.
    Nobody,
    /// Another domain.
    Foreign,
    Malformed,
}

impl Router {
    /// A line's client sent a stanza.
    pub(crate) fn sent(&mut self, line: LineId, place: Place, stanza: &Stanza<'_>) {
        let (session, number) = (self.lines[line].session, self.lines[line].number);
        let ack = self.receipt(line, place, stanza);
        // RFC 6120 8.1.2.1 and 4.9.3.9: the client's own full or bare address, or none.
        if let Some(from) = stanza.from()
            && !self.is_own_address(line, &from)
        {
            self.processed(ack);
            return self.close(line, StreamErrorKind::InvalidFrom);
        }
        if self.accounts.get(number).is_some_and(|account| account.loading || account.unread) {
            self.reload(number);
            let mut bytes = Vec::new();
            relay(&mut bytes, stanza, &Head::default());
            let input = Pending::Sent { session, place, stanza: bytes.into() };
            if self.put_off(number, input).is_err() {
                self.refuse_sent_as_busy(line, stanza, ack);
            }
            return;
        }
        self.dispatch(line, stanza, ack);
    }

    /// The promise to say that a stanza was processed.
    pub(crate) fn receipt(&self, line: LineId, place: Place, stanza: &Stanza<'_>) -> Ack {
        let Line { session, number, .. } = self.lines[line];
        let counted = self.lines[line].resumable.as_ref().map(|resumable| {
            let Resumption { key, base } = resumable.resumption;
            // What came before XEP-0198 was turned on may still be under way.
            let floor = place.processed.wrapping_sub(base);
            let floor = if floor > u32::MAX / 2 { 0 } else { floor };
            Counted { key, number, h: place.seq.wrapping_sub(base), floor, mark: again::mark(stanza) }
        });
        Some(Receipt::counted(session, place.seq, counted))
    }

    /// Where it goes is up to its kind and its address.
    pub(crate) fn dispatch(&mut self, line: LineId, stanza: &Stanza<'_>, ack: Ack) {
        let to = stanza.to();
        let to = to.as_deref().map(JidRef::parse);
        let destination = match &to {
            None => Destination::Own,
            Some(Err(_)) => Destination::Malformed,
            Some(Ok(jid)) if jid.domain() != self.cfg.domain => Destination::Foreign,
            Some(Ok(jid)) => match (jid.local(), jid.number()) {
                (None, _) => Destination::Server,
                (Some(_), Some(number)) => Destination::Number(number),
                (Some(_), None) => Destination::Nobody,
            },
        };
        let to = to.as_ref().and_then(|jid| jid.as_ref().ok());
        match stanza.kind() {
            StanzaKind::Message => self.message_sent(line, stanza, destination, to, ack),
            StanzaKind::Presence => self.presence_sent(line, stanza, destination, to, ack),
            StanzaKind::Iq => self.iq_sent(line, stanza, destination, to, ack),
            StanzaKind::Other => {
                self.processed(ack);
                self.close(line, StreamErrorKind::UnsupportedStanzaType);
            }
        }
    }

    fn is_own_address(&self, line: LineId, from: &str) -> bool {
        let line = &self.lines[line];
        let is = |from: &str| from == line.jid() || from == line.bare();
        is(from) || JidRef::parse(from).is_ok_and(|from| is(from.as_str()))
    }

    fn message_sent(
        &mut self,
        line: LineId,
        stanza: &Stanza<'_>,
        destination: Destination,
        to: Option<&JidRef<'_>>,
        ack: Ack,
    ) {
        if self.came_again(line, stanza, ack) {
            return;
        }
        let kind = Kind::Message(message_type(stanza.type_().as_deref()));
        match destination {
            Destination::Number(number) if self.turned_back(line, stanza, kind, number, to) => {
                self.processed(ack);
            }
            Destination::Number(number) => {
                let resource = to.and_then(JidRef::resource);
                self.relay(line, stanza, kind, number, to, resource, ack);
            }
            Destination::Own => {
                let number = self.lines[line].number;
                self.relay(line, stanza, kind, number, None, None, ack);
            }
            _ => self.refuse_destination(line, stanza, kind, destination, ack),
        }
    }

    /// Whether a feature keeps a stanza from leaving; its sender is told then.
    fn turned_back(
        &mut self,
        line: LineId,
        stanza: &Stanza<'_>,
        kind: Kind,
        number: AccountNumber,
        to: Option<&JidRef<'_>>,
    ) -> bool {
        if number == self.lines[line].number || !kind.may_be_refused() {
            return false;
        }
        let full = to.map_or("", JidRef::as_str);
        let Some(error) = features::refuse_sent(self, line, kind, number, full) else { return false };
        self.refuse_sent(line, stanza, &error);
        true
    }

    /// Writes the stanza as its recipient sees it and routes it.
    #[expect(clippy::too_many_arguments, reason = "an address in its parts")]
    fn relay(
        &mut self,
        line: LineId,
        stanza: &Stanza<'_>,
        kind: Kind,
        number: AccountNumber,
        to: Option<&JidRef<'_>>,
        resource: Option<&str>,
        ack: Ack,
    ) {
        let mut bytes = std::mem::take(&mut self.scratch);
        let sender = &self.lines[line];
        let (to, bare) = match to {
            Some(to) => (to.as_str(), to.bare()),
            None => (sender.bare(), sender.bare()),
        };
        // XEP-0359 section 5: what only the two archives may say, nobody says for them.
        let archives = [bare, sender.bare()];
        let head =
            Head { from: Some(sender.jid()), to: Some(to), without_stanza_id_by: &archives, append: &[] };
        relay(&mut bytes, stanza, &head);
        let mut letter = Letter { resource, ack, ..Letter::new(kind, sender.number, number, &bytes) };
        if matches!(kind, Kind::Message(_)) {
            features::on_sent(self, line, &mut letter, stanza);
        }
        self.route(letter);
        bytes.clear();
        self.scratch = bytes;
    }

    /// There is nobody to route it to.
    fn refuse_destination(
        &mut self,
        line: LineId,
        stanza: &Stanza<'_>,
        kind: Kind,
        destination: Destination,
        ack: Ack,
    ) {
        let condition = match destination {
            // RFC 6120 10.4: this exchange speaks to no other.
            Destination::Foreign => StanzaCondition::RemoteServerNotFound,
            Destination::Malformed => StanzaCondition::JidMalformed,
            _ => StanzaCondition::ServiceUnavailable,
        };
        if kind.may_be_refused() {
            self.refuse_sent(line, stanza, &StanzaError::new(condition));
        }
        self.processed(ack);
    }

    /// Too much is waiting, or the store cannot say what is needed.
    pub(crate) fn refuse_sent_as_busy(&mut self, line: LineId, stanza: &Stanza<'_>, ack: Ack) {
        if !matches!(stanza.type_().as_deref(), Some("error" | "result")) {
            self.refuse_sent(line, stanza, &busy());
        }
        self.processed(ack);
    }

    /// Tells the sender itself, unless it is gone.
    fn refuse_sent(&mut self, line: LineId, stanza: &Stanza<'_>, error: &StanzaError) {
        let sender = &self.lines[line];
        if sender.closing {
            return;
        }
        let (to, id) = (stanza.to(), stanza.id());
        let from = to.as_deref().unwrap_or(sender.bare());
        let bytes = self.out.write(|bytes| {
            error.write_reply(bytes, stanza.kind().name(), id.as_deref(), Some(from), Some(sender.jid()));
        });
        self.deliver(line, bytes, None);
    }

    fn iq_sent(
        &mut self,
        line: LineId,
        stanza: &Stanza<'_>,
        destination: Destination,
        to: Option<&JidRef<'_>>,
        ack: Ack,
    ) {
        let kind = match stanza.type_().as_deref() {
            Some("get") => IqType::Get,
            Some("set") => IqType::Set,
            Some("result") => IqType::Result,
            Some("error") => IqType::Error,
            _ => {
                self.refuse_sent(line, stanza, &StanzaError::new(StanzaCondition::BadRequest));
                return self.processed(ack);
            }
        };
        // RFC 6120 8.2.3: an id always; a question has exactly one payload.
        let asks = matches!(kind, IqType::Get | IqType::Set);
        if asks && (stanza.id().is_none() || stanza.children().count() != 1) {
            self.refuse_sent(line, stanza, &StanzaError::new(StanzaCondition::BadRequest));
            return self.processed(ack);
        }
        let own = self.lines[line].number;
        match destination {
            Destination::Server | Destination::Own if !asks => {
                features::on_answer(self, line, stanza.id().as_deref().unwrap_or_default(), stanza);
                self.processed(ack);
            }
            Destination::Own => self.own_query(line, stanza, kind, ack),
            Destination::Number(number)
                if number == own && asks && to.is_some_and(|to| to.resource().is_none()) =>
            {
                self.own_query(line, stanza, kind, ack);
            }
            Destination::Server if to.is_some_and(|to| to.resource().is_none()) => {
                let bytes = self.write_query(line, stanza);
                let letter = Letter { ack, ..Letter::new(Kind::Iq(kind), own, own, &bytes) };
                self.query(letter, Scope::Server, Some(line));
            }
            Destination::Number(number) if self.turned_back(line, stanza, Kind::Iq(kind), number, to) => {
                self.processed(ack);
            }
            Destination::Number(number) => {
                let resource = to.and_then(JidRef::resource);
                self.relay(line, stanza, Kind::Iq(kind), number, to, resource, ack);
            }
            _ => self.refuse_destination(line, stanza, Kind::Iq(kind), destination, ack),
        }
    }

    /// A question to the sender's own account.
    fn own_query(&mut self, line: LineId, stanza: &Stanza<'_>, kind: IqType, ack: Ack) {
        let number = self.lines[line].number;
        let bytes = self.write_query(line, stanza);
        let letter = Letter { ack, ..Letter::new(Kind::Iq(kind), number, number, &bytes) };
        if !self.roster_query(line, letter) {
            self.query(letter, Scope::Own, Some(line));
        }
    }

    fn write_query(&self, line: LineId, stanza: &Stanza<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        relay(&mut bytes, stanza, &Head { from: Some(self.lines[line].jid()), ..Head::default() });
        bytes
    }

    fn presence_sent(
        &mut self,
        line: LineId,
        stanza: &Stanza<'_>,
        destination: Destination,
        to: Option<&JidRef<'_>>,
        ack: Ack,
    ) {
        let kind = match stanza.type_().as_deref() {
            None => PresenceType::Available,
            Some("unavailable") => PresenceType::Unavailable,
            Some("subscribe") => PresenceType::Subscription(Verb::Subscribe),
            Some("subscribed") => PresenceType::Subscription(Verb::Subscribed),
            Some("unsubscribe") => PresenceType::Subscription(Verb::Unsubscribe),
            Some("unsubscribed") => PresenceType::Subscription(Verb::Unsubscribed),
            Some("probe") => PresenceType::Probe,
            Some("error") => PresenceType::Error,
            Some(_) => {
                self.refuse_sent(line, stanza, &StanzaError::new(StanzaCondition::BadRequest));
                return self.processed(ack);
            }
        };
        // Its session ended, or its place was taken, while this was on its way: everybody has been told that it is gone.
        // What it asked of the account, or wrote to somebody, goes on.
        if self.lines[line].closing && !matches!(kind, PresenceType::Subscription(_)) {
            return self.processed(ack);
        }
        match (destination, kind) {
            (Destination::Own, PresenceType::Available) => self.available(line, stanza, ack),
            (Destination::Own, PresenceType::Unavailable) => self.unavailable(line, stanza, ack),
            // The rest means nothing without an address, and nothing to the exchange.
            (Destination::Own, PresenceType::Subscription(_)) => {
                self.refuse_sent(line, stanza, &StanzaError::new(StanzaCondition::BadRequest));
                self.processed(ack);
            }
            (Destination::Own | Destination::Server, _) => self.processed(ack),
            (Destination::Number(_), PresenceType::Subscription(_)) if self.store_is_busy() => {
                self.refuse_sent(line, stanza, &busy());
                self.processed(ack);
            }
            (Destination::Number(number), _)
                if matches!(
                    kind,
                    PresenceType::Available | PresenceType::Subscription(Verb::Subscribe | Verb::Subscribed)
                ) && self.turned_back(line, stanza, Kind::Presence(kind), number, to) =>
            {
                self.processed(ack);
            }
            (Destination::Number(number), PresenceType::Subscription(verb)) => {
                self.subscription_sent(line, stanza, verb, number, ack);
            }
            (Destination::Number(number), _) => {
                let full = to.map_or("", JidRef::as_str);
                if let Err(error) = self.note_directed(line, kind, full) {
                    self.refuse_sent(line, stanza, &error);
                    return self.processed(ack);
                }
                let resource = to.and_then(JidRef::resource);
                self.relay(line, stanza, Kind::Presence(kind), number, to, resource, ack);
            }
            // RFC 6121 8.5.1: silence, as for a number that nobody has.
            (Destination::Nobody, _) => self.processed(ack),
            // Leaving is never refused.
            (_, PresenceType::Unavailable) => self.processed(ack),
            _ => self.refuse_destination(line, stanza, Kind::Presence(kind), destination, ack),
        }
    }
}
