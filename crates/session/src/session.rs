//! The conductor: takes octets, lets the scanner find what stands in them, and hands each token to the talk.
//!
//! Spec: RFC 6120 4 (streams), 7395 3 (framing).
//! Owns: the scanner. An idle bound session is this struct and nothing else.
//! Invariants: one event a call; a stanza is handed on as it lies in the input.
//! Not here: what a token leads to (`talk`), SASL (`negotiation`), counting (`acknowledge`).

mod talk;

use std::sync::Arc;

use xmpp::address::Jid;
use xmpp::error::{StanzaError, StreamErrorKind};
use xmpp::ns;
use xmpp::scanner::{Limits, Scanner, Token, document};
use xmpp::stanza::StanzaKind;
use xmpp::time::{Instant, Now};
use xmpp::write;

use crate::acknowledge::{Acknowledge, Inbound};
use crate::config::{CarrierFacts, ChannelBindings, SessionConfig};
use crate::event::{Count, EndReason, Event, Overflow, Tag, TokensAnswer};
use crate::negotiation::{Negotiation, Verdict};
use crate::outbox::Outbox;
use crate::register::RegisterAnswer;
use crate::resume::{Parked, ResumeId};
use crate::sasl::CredentialsAnswer;
use talk::{Opening, Outcome, Phase, Talk, write_ping};

/// One client's conversation.
#[derive(Debug)]
pub struct Session {
    scanner: Scanner,
    talk: Talk,
}

impl Session {
    /// A conversation that begins. `seed` is randomness of its own.
    #[must_use]
    pub fn new(
        now: Now,
        config: Arc<SessionConfig>,
        facts: CarrierFacts,
        bindings: ChannelBindings,
        seed: [u8; 32],
    ) -> Session {
        let negotiation = Negotiation::new(seed, bindings, now.mono + config.negotiation_max);
        let talk = Talk {
            phase: Phase::Negotiating(Box::new(negotiation)),
            facts,
            inbound: Inbound::default(),
            acknowledge: None,
            confirmed: 0,
            finished: None,
            heard: now.mono,
            asked_for_life: false,
            number: None,
            registering: None,
            opened: false,
            enabled: false,
            resume_id: ResumeId::from_bits(0),
            config,
        };
        Session { scanner: Scanner::new(Limits::of(talk.config.stanza_max_unauth)), talk }
    }

    /// Takes octets of a byte stream; at most one event a call, so call again until it answers `None`. What is left of
    /// the input then could not be taken: keep it, and do not read more, until [`Session::wants_input`] says so.
    pub fn handle_input<'a, 'i: 'a>(
        &'a mut self,
        now: Now,
        input: &mut &'i [u8],
        out: &mut Outbox,
    ) -> Option<Event<'a>> {
        if !input.is_empty() {
            self.talk.hear(now);
        }
        loop {
            if let Some(event) = self.talk.poll_event() {
                return Some(event);
            }
            if self.talk.is_over() {
                *input = &[];
                return None;
            }
            if input.is_empty() || !self.wants_input() {
                return None;
            }
            let whole = *input;
            let found = match self.scanner.scan(whole) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    *input = &[];
                    return None;
                }
                Err(kind) => {
                    *input = &[];
                    self.talk.end(kind, out);
                    continue;
                }
            };
            *input = &whole[found.consumed..];
            // What only the router understands is looked at once.
            let relayed = matches!(found.stanza_kind(), Some(StanzaKind::Message | StanzaKind::Presence));
            if relayed && self.is_bound() {
                let seq = self.talk.inbound.receive();
                let processed = self.talk.inbound.processed();
                return match self.scanner.view(whole, &found) {
                    Token::Stanza(stanza) => Some(Event::Stanza { seq, processed, stanza }),
                    Token::Open(_) | Token::Close => None,
                };
            }
            let outcome = match self.scanner.view(whole, &found) {
                Token::Open(header) => {
                    let (to, from, version) = (header.to(), header.from(), header.version());
                    self.talk.on_open(&Opening { to, from, version }, out);
                    Outcome::Nothing
                }
                Token::Stanza(element) => self.talk.on_element(now, &element, out),
                Token::Close => {
                    self.talk.on_close(out);
                    Outcome::Nothing
                }
            };
            match outcome {
                Outcome::Nothing => {}
                Outcome::Tell(event) => return Some(event),
                Outcome::RestartAnd(event) => {
                    self.restart();
                    return Some(event);
                }
                Outcome::RaiseAnd(event) => {
                    self.raise();
                    return Some(event);
                }
                Outcome::Stanza(seq) => {
                    let processed = self.talk.inbound.processed();
                    return match self.scanner.view(whole, &found) {
                        Token::Stanza(stanza) => Some(Event::Stanza { seq, processed, stanza }),
                        Token::Open(_) | Token::Close => None,
                    };
                }
            }
        }
    }

    /// Takes one message of a framed carrier (RFC 7395 3.3): one document. `None` as input only asks for events that
    /// still wait.
    pub fn handle_message<'a, 'i: 'a>(
        &'a mut self,
        now: Now,
        message: &mut Option<&'i [u8]>,
        out: &mut Outbox,
    ) -> Option<Event<'a>> {
        if message.is_some() {
            self.talk.hear(now);
        }
        loop {
            if let Some(event) = self.talk.poll_event() {
                return Some(event);
            }
            if self.talk.is_over() {
                *message = None;
                return None;
            }
            if !self.wants_input() {
                return None;
            }
            let bytes = message.take()?;
            let limit = if self.talk.is_logged_in() {
                self.talk.config.stanza_max
            } else {
                self.talk.config.stanza_max_unauth
            };
            let element = match document(bytes, Limits::of(limit)) {
                Ok(element) => element,
                Err(kind) => {
                    self.talk.end(kind, out);
                    continue;
                }
            };
            if element.ns() == ns::FRAMING {
                match element.name() {
                    "open" => {
                        let (to, from, version) = (element.to(), element.from(), element.attr("version"));
                        self.talk.on_open(&Opening { to, from, version }, out);
                    }
                    "close" => self.talk.on_close(out),
                    _ => self.talk.end(StreamErrorKind::UnsupportedStanzaType, out),
                }
                continue;
            }
            match self.talk.on_element(now, &element, out) {
                // A framed stream restarts with the client's next <open/> (RFC 7395 3.7).
                Outcome::Nothing => {}
                Outcome::Tell(event) | Outcome::RaiseAnd(event) => return Some(event),
                Outcome::RestartAnd(event) => {
                    self.talk.opened = false;
                    return Some(event);
                }
                Outcome::Stanza(seq) => {
                    let processed = self.talk.inbound.processed();
                    return Some(Event::Stanza { seq, processed, stanza: element });
                }
            }
        }
    }

    /// Whether input can be taken now: not while an answer is waited for, nor while too many stanzas are in flight.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match &self.talk.phase {
            Phase::Negotiating(negotiation) => negotiation.wants_input(),
            Phase::Bound => self.talk.inbound.in_flight() < self.talk.config.in_flight_max,
            Phase::Resuming(..) => false,
            Phase::Over => true,
        }
    }

    /// TLS has begun (RFC 6120 5.4.3.3): these are the facts now.
    pub fn handle_secured(&mut self, now: Now, facts: CarrierFacts, bindings: ChannelBindings) {
        self.talk.hear(now);
        self.talk.facts = facts;
        if let Phase::Negotiating(negotiation) = &mut self.talk.phase {
            negotiation.on_secured(bindings);
        }
        self.restart();
    }

    /// The answer to [`Event::Credentials`].
    pub fn handle_credentials(
        &mut self,
        now: Now,
        answer: CredentialsAnswer,
        out: &mut Outbox,
    ) -> Option<Event<'static>> {
        let Phase::Negotiating(negotiation) = &mut self.talk.phase else { return None };
        let verdict = negotiation.on_credentials(now, answer, &self.talk.config, &self.talk.facts, out);
        self.follow(verdict, out)
    }

    /// The answer to [`Event::Tokens`].
    pub fn handle_tokens(&mut self, answer: TokensAnswer, out: &mut Outbox) -> Option<Event<'static>> {
        let Phase::Negotiating(negotiation) = &mut self.talk.phase else { return None };
        let verdict = negotiation.on_settled(answer, &self.talk.config, out);
        self.follow(verdict, out)
    }

    /// The answer to [`Event::Register`].
    pub fn handle_registered(
        &mut self,
        now: Now,
        answer: RegisterAnswer,
        out: &mut Outbox,
    ) -> Option<Event<'static>> {
        let talk = &mut self.talk;
        match &mut talk.phase {
            Phase::Negotiating(negotiation) => {
                let verdict = negotiation.on_registered(now, answer, &talk.config, &talk.facts, out);
                self.follow(verdict, out)
            }
            Phase::Bound => {
                talk.on_account_changed(now, answer, out);
                talk.poll_event()
            }
            // Whoever resumes has asked on another connection.
            Phase::Resuming(..) | Phase::Over => None,
        }
    }

    fn follow(&mut self, verdict: Verdict, out: &mut Outbox) -> Option<Event<'static>> {
        match self.talk.apply(verdict, out) {
            Outcome::RestartAnd(event) => {
                self.restart();
                Some(event)
            }
            Outcome::RaiseAnd(event) => {
                self.raise();
                Some(event)
            }
            Outcome::Tell(event) => Some(event),
            Outcome::Nothing | Outcome::Stanza(_) => self.talk.poll_event(),
        }
    }

    /// After [`Event::LoggedIn`]: the session is where it will stay, and what its client asked for along with its log-in
    /// (XEP-0388) may be seen to.
    pub fn handle_home(&mut self, out: &mut Outbox) -> Option<Event<'static>> {
        let Phase::Negotiating(negotiation) = &mut self.talk.phase else { return None };
        negotiation.on_home(&self.talk.config, &self.talk.facts, out)
    }

    /// The answer to [`Event::Bind`]: the session is this address now. `inline` is what features say to what was asked
    /// for along with it (XEP-0386), as XML.
    pub fn handle_bound(&mut self, now: Now, jid: &Jid, inline: &[u8], out: &mut Outbox) {
        let talk = &mut self.talk;
        let Phase::Negotiating(negotiation) = &mut talk.phase else { return };
        let mut inside = inline.to_vec();
        talk.resume_id = negotiation.draw_resume_id();
        if let Some(asked) = negotiation.enable() {
            talk.enable(asked, &mut inside);
        }
        let Phase::Negotiating(negotiation) = &talk.phase else { return };
        negotiation.write_bound(jid, &inside, &talk.config, &talk.facts, out);
        talk.phase = Phase::Bound;
        talk.hear(now);
    }

    /// The other answer to [`Event::Bind`] (RFC 6120 7.6.2).
    pub fn handle_bind_refused(&mut self, error: &StanzaError, out: &mut Outbox) {
        if let Phase::Negotiating(negotiation) = &mut self.talk.phase {
            negotiation.on_bind_refused(error, &self.talk.config, &self.talk.facts, out);
        }
    }

    /// The answer to [`Event::Resume`]: the session that the client wants is here now, as it was when its connection was
    /// lost. It is written to once all that the client had sent is processed and on record ([`Session::poll_count`]).
    /// Returned is what the client confirms by its request.
    pub fn handle_resumed(&mut self, now: Now, jid: &Jid, parked: Parked, out: &mut Outbox) -> Vec<Tag> {
        let talk = &mut self.talk;
        let Some(h) = talk.negotiation().and_then(Negotiation::resuming) else { return Vec::new() };
        let Phase::Negotiating(negotiation) = std::mem::replace(&mut talk.phase, Phase::Over) else {
            return Vec::new();
        };
        let (inbound, mut acknowledge) = parked.into_parts();
        talk.resume_id = acknowledge.resumable.as_ref().map_or(talk.resume_id, |resumable| resumable.id());
        let confirmed = acknowledge.on_answer(h);
        (talk.inbound, talk.acknowledge) = (inbound, Some(acknowledge));
        talk.phase = Phase::Resuming(negotiation, jid.clone());
        talk.hear(now);
        let mut tags = Vec::new();
        match (confirmed, &mut talk.acknowledge) {
            (Ok(newly), Some(acknowledge)) => {
                tags.extend((0..newly).filter_map(|_| acknowledge.pop_confirmed()));
                talk.resume_if_ready(out);
            }
            (Err(too_high), _) => talk.end_too_high(too_high, out),
            (Ok(_), None) => {}
        }
        tags
    }

    /// The other answer to [`Event::Resume`] (XEP-0198 section 5). Of the session `h` stanzas are known to have been
    /// handled, if anything is known. The client may bind instead.
    pub fn handle_resume_refused(&mut self, h: Option<u32>, out: &mut Outbox) -> Option<Event<'static>> {
        let Phase::Negotiating(negotiation) = &mut self.talk.phase else { return None };
        negotiation.on_resume_refused(h, &self.talk.config, &self.talk.facts, out)
    }

    /// What the record of this session should say of how many stanzas of its client were handled, so that the client can
    /// be told. Asked for at the end of a turn; [`Session::handle_counted`] wants the count back once it is durable.
    pub fn poll_count(&mut self) -> Option<Count> {
        let talk = &mut self.talk;
        let acknowledge = talk.acknowledge.as_mut()?;
        let processed = talk.inbound.processed();
        let upto = match talk.phase {
            Phase::Bound => acknowledge.count_due(&talk.inbound)?,
            Phase::Resuming(..) if talk.inbound.in_flight() == 0 => {
                acknowledge.resumable.as_mut()?.count(processed)?
            }
            _ => return None,
        };
        let id = acknowledge.resumable.as_ref()?.id();
        Some(Count { id, upto, h: upto.wrapping_sub(acknowledge.base()) })
    }

    /// A count is on record.
    pub fn handle_counted(&mut self, upto: u32, out: &mut Outbox) {
        if let Some(resumable) = self.talk.acknowledge.as_mut().and_then(|a| a.resumable.as_mut()) {
            resumable.on_counted(upto);
        }
        self.talk.resume_if_ready(out);
        self.talk.answer_if_due(out);
    }

    /// A count could not be put on record; it is asked for again when something else happens.
    pub fn handle_uncounted(&mut self) {
        if let Some(resumable) = self.talk.acknowledge.as_mut().and_then(|a| a.resumable.as_mut()) {
            resumable.forget_counting();
        }
    }

    /// What is left of a session that is over, if its client may come back for it. To be asked before
    /// [`Session::take_unacked`], which then has nothing to give.
    pub fn park(&mut self, reason: EndReason) -> Option<Parked> {
        let resumable =
            self.talk.acknowledge.as_ref().is_some_and(|acknowledge| acknowledge.resumable.is_some());
        if !resumable || !reason.is_resumable() {
            return None;
        }
        self.talk.give_up_waiting();
        Parked::of(std::mem::take(&mut self.talk.inbound), self.talk.acknowledge.take()?)
    }

    /// A stanza for the client, ready for delivery, without `xmlns`.
    ///
    /// # Errors
    /// The stream is over, perhaps because this was too much for a client that does not read: then it has been closed
    /// with `policy-violation`, and [`Event::Finished`] comes at the next call. The stanza is not lost:
    /// [`Session::take_unacked`] gives it back.
    pub fn handle_delivery(
        &mut self,
        now: Now,
        stanza: &[u8],
        tag: Option<Tag>,
        out: &mut Outbox,
    ) -> Result<(), Overflow> {
        let talk = &mut self.talk;
        if !talk.has_room(stanza.len(), out) {
            talk.end(StreamErrorKind::PolicyViolation, out);
        }
        match talk.phase {
            Phase::Bound => {}
            Phase::Resuming(..) => {
                // It follows what waits.
                talk.acknowledge.iter_mut().for_each(|acknowledge| acknowledge.keep(stanza, tag));
                return Ok(());
            }
            Phase::Negotiating(_) | Phase::Over => {
                talk.acknowledge.get_or_insert_with(|| Box::new(Acknowledge::new(0))).keep(stanza, tag);
                return Err(Overflow);
            }
        }
        talk.give(now, stanza, tag, out);
        Ok(())
    }

    /// A stanza of the client has been processed: what it asked for is durable, or done.
    pub fn handle_processed(&mut self, seq: u32, out: &mut Outbox) {
        self.talk.inbound.process(seq);
        self.talk.resume_if_ready(out);
        self.talk.answer_if_due(out);
    }

    /// The same, and that it was is on record (the record of this session counts it).
    pub fn handle_recorded(&mut self, seq: u32, out: &mut Outbox) {
        if let Some(resumable) = self.talk.acknowledge.as_mut().and_then(|a| a.resumable.as_mut()) {
            resumable.on_recorded(seq);
        }
        self.handle_processed(seq, out);
    }

    /// The exchange ends the conversation, with an error or without.
    pub fn handle_close(&mut self, error: Option<StreamErrorKind>, out: &mut Outbox) {
        match error {
            Some(kind) => self.talk.end(kind, out),
            None => self.talk.finish(EndReason::Exchange, out),
        }
    }

    /// The connection has ended. The next call of [`Session::poll_event`] tells why the conversation did.
    pub fn handle_eof(&mut self) {
        if !self.talk.is_over() {
            self.talk.phase = Phase::Over;
            self.talk.finished = Some(EndReason::ConnectionLost);
        }
    }

    /// A deadline has passed.
    pub fn handle_timer(&mut self, now: Now, out: &mut Outbox) -> Option<Event<'static>> {
        if self.next_deadline().is_none_or(|deadline| deadline > now.mono) {
            return None;
        }
        let talk = &mut self.talk;
        if let Phase::Negotiating(negotiation) = &mut talk.phase {
            let verdict = negotiation.on_due(now, &talk.config, out);
            return self.follow(verdict, out);
        }
        match &talk.phase {
            Phase::Bound
                if talk.asked_for_life || talk.answer_deadline().is_some_and(|at| at <= now.mono) =>
            {
                talk.end(StreamErrorKind::ConnectionTimeout, out);
            }
            Phase::Bound => {
                talk.asked_for_life = true;
                if let Some(acknowledge) = &mut talk.acknowledge {
                    acknowledge.shrink();
                }
                let framed = talk.facts.carrier.is_framed();
                match &mut talk.acknowledge {
                    Some(_) => out.element(|out| write::open(out, "r").ns(ns::SM).empty()),
                    None => out.element(|out| write_ping(&talk.config.domain, framed, out)),
                }
            }
            // What stands between it and its client is not to be had: another connection may try.
            Phase::Resuming(..) => talk.end(StreamErrorKind::ConnectionTimeout, out),
            Phase::Negotiating(_) | Phase::Over => {}
        }
        self.poll_event()
    }

    /// When [`Session::handle_timer`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let talk = &self.talk;
        match &talk.phase {
            Phase::Negotiating(negotiation) => Some(negotiation.next_deadline()),
            Phase::Bound if talk.asked_for_life => {
                Some(talk.heard + talk.config.idle_max + talk.config.answer_max)
            }
            Phase::Bound => {
                let idle = talk.heard + talk.config.idle_max;
                Some(talk.answer_deadline().map_or(idle, |at| at.min(idle)))
            }
            Phase::Resuming(negotiation, _) => Some(negotiation.next_deadline()),
            Phase::Over => None,
        }
    }

    /// An event that waits without input, such as the end after a refused delivery.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.talk.poll_event()
    }

    /// Whether a resource is bound and the stream open.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        matches!(self.talk.phase, Phase::Bound | Phase::Resuming(..))
    }

    /// Whether XEP-0198 is on.
    #[must_use]
    pub fn acknowledges(&self) -> bool {
        self.talk.acknowledge.is_some()
    }

    /// The facts of the carrier.
    #[must_use]
    pub fn facts(&self) -> &CarrierFacts {
        &self.talk.facts
    }

    /// The client moved to another address (QUIC migration, RFC 9000 9).
    pub fn handle_moved(&mut self, remote: std::net::SocketAddr) {
        self.talk.facts.remote = remote;
    }

    /// What XEP-0198 has not confirmed, and what came too late to be sent, oldest first: for the router, once the
    /// conversation is over.
    pub fn take_unacked(&mut self) -> impl Iterator<Item = (Vec<u8>, Option<Tag>)> + use<> {
        self.talk.acknowledge.take().into_iter().flat_map(|acknowledge| acknowledge.into_unacked())
    }

    fn restart(&mut self) {
        self.talk.opened = false;
        self.scanner.restart();
        self.raise();
    }

    /// Who has logged in may send longer stanzas.
    fn raise(&mut self) {
        let config = &self.talk.config;
        self.scanner.set_limits(Limits::of(if self.talk.is_logged_in() {
            config.stanza_max
        } else {
            config.stanza_max_unauth
        }));
    }
}

/// A stanza ready for delivery leans on the stream's default namespace; a message of its own must declare it.
pub(crate) fn write_delivery(stanza: &[u8], framed: bool, out: &mut Vec<u8>) {
    let name_end = stanza.iter().position(|b| matches!(b, b' ' | b'/' | b'>')).unwrap_or(stanza.len());
    if framed {
        out.extend_from_slice(&stanza[..name_end]);
        write::attr(out, "xmlns", ns::CLIENT);
        out.extend_from_slice(&stanza[name_end..]);
    } else {
        out.extend_from_slice(stanza);
    }
}

#[cfg(test)]
mod tests;
