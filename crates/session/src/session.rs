//! The conductor: takes octets, lets the scanner find what stands in them, and hands each to the room that knows it.
//!
//! Spec: RFC 6120 4 (streams: opening, errors, closing), 7395 3 (framing); XEP-0198 3, 4.
//! Owns: the scanner, the phase, the rooms. An idle bound session is this struct and nothing else.
//! Invariants: after `Finished` nothing is written and nothing is told; our header stands before our first error.
//! Not here: SASL (`negotiation`), counting (`acknowledge`).

use std::sync::Arc;

use xmpp::address::Jid;
use xmpp::error::{StanzaError, StreamErrorKind};
use xmpp::ns;
use xmpp::scanner::{Limits, Scanner, Token, document};
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::time::{Instant, Now};
use xmpp::write;

use crate::acknowledge::{Acknowledge, Inbound, TooHigh};
use crate::config::{CarrierFacts, SessionConfig};
use crate::event::{EndReason, Event, Overflow, Tag};
use crate::negotiation::{Negotiation, Verdict};
use crate::outbox::Outbox;
use crate::sasl::CredentialsAnswer;

/// The id of our request for a sign of life (XEP-0199), where XEP-0198 cannot ask.
const SIGN_OF_LIFE: &str = "sign-of-life";

/// One client's conversation.
#[derive(Debug)]
pub struct Session {
    scanner: Scanner,
    talk: Talk,
}

/// All of a session but its scanner, so that a room can write while a token is looked at.
#[derive(Debug)]
struct Talk {
    config: Arc<SessionConfig>,
    facts: CarrierFacts,
    phase: Phase,
    inbound: Inbound,
    acknowledge: Option<Box<Acknowledge>>,
    /// How many of the oldest unconfirmed stanzas the client has just confirmed.
    confirmed: u32,
    /// Told at the next call.
    finished: Option<EndReason>,
    heard: Instant,
    asked_for_life: bool,
    /// Our header was written to the stream that is open now.
    opened: bool,
}

#[derive(Debug)]
enum Phase {
    Negotiating(Box<Negotiation>),
    Bound,
    Over,
}

/// What a token leads to.
enum Outcome {
    Nothing,
    Tell(Event<'static>),
    /// The token is a stanza for the router.
    Stanza(u32),
    /// The next octets open a new stream.
    RestartAnd(Event<'static>),
}

impl Session {
    /// A conversation that begins. `seed` is randomness of its own.
    #[must_use]
    pub fn new(now: Now, config: Arc<SessionConfig>, facts: CarrierFacts, seed: [u8; 32]) -> Session {
        let negotiation = Negotiation::new(seed, now.mono + config.negotiation_max);
        let talk = Talk {
            phase: Phase::Negotiating(Box::new(negotiation)),
            facts,
            inbound: Inbound::default(),
            acknowledge: None,
            confirmed: 0,
            finished: None,
            heard: now.mono,
            asked_for_life: false,
            opened: false,
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
            let outcome = match self.scanner.view(whole, &found) {
                Token::Open(header) => {
                    self.talk.on_open(header.to().as_deref(), header.version().as_deref(), out);
                    Outcome::Nothing
                }
                Token::Stanza(element) => self.talk.on_element(&element, out),
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
                Outcome::Stanza(seq) => {
                    return match self.scanner.view(whole, &found) {
                        Token::Stanza(stanza) => Some(Event::Stanza { seq, stanza }),
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
                        self.talk.on_open(element.to().as_deref(), element.attr("version").as_deref(), out);
                    }
                    "close" => self.talk.on_close(out),
                    _ => self.talk.end(StreamErrorKind::UnsupportedStanzaType, out),
                }
                continue;
            }
            match self.talk.on_element(&element, out) {
                // A framed stream restarts with the client's next <open/> (RFC 7395 3.7).
                Outcome::Nothing => {}
                Outcome::Tell(event) => return Some(event),
                Outcome::RestartAnd(event) => {
                    self.talk.opened = false;
                    return Some(event);
                }
                Outcome::Stanza(seq) => return Some(Event::Stanza { seq, stanza: element }),
            }
        }
    }

    /// Whether input can be taken now: not while an answer is waited for, nor while too many stanzas are in flight.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match &self.talk.phase {
            Phase::Negotiating(negotiation) => negotiation.wants_input(),
            Phase::Bound => self.talk.inbound.in_flight() < self.talk.config.in_flight_max,
            Phase::Over => true,
        }
    }

    /// TLS has begun (RFC 6120 5.4.3.3): these are the facts now.
    pub fn handle_secured(&mut self, now: Now, facts: CarrierFacts) {
        self.talk.hear(now);
        self.talk.facts = facts;
        if let Phase::Negotiating(negotiation) = &mut self.talk.phase {
            negotiation.on_secured();
        }
        self.restart();
    }

    /// The answer to [`Event::Credentials`].
    pub fn handle_credentials(
        &mut self,
        answer: CredentialsAnswer,
        out: &mut Outbox,
    ) -> Option<Event<'static>> {
        let Phase::Negotiating(negotiation) = &mut self.talk.phase else { return None };
        let verdict = negotiation.on_credentials(answer, &self.talk.config, out);
        match self.talk.apply(verdict, out) {
            Outcome::RestartAnd(event) => {
                self.restart();
                Some(event)
            }
            Outcome::Tell(event) => Some(event),
            Outcome::Nothing | Outcome::Stanza(_) => self.talk.poll_event(),
        }
    }

    /// The answer to [`Event::Bind`]: the session is this address now.
    pub fn handle_bound(&mut self, now: Now, jid: &Jid, out: &mut Outbox) {
        let Phase::Negotiating(negotiation) = &self.talk.phase else { return };
        let framed = self.talk.facts.carrier.is_framed();
        out.element(|out| negotiation.write_bound(jid, framed, out));
        self.talk.phase = Phase::Bound;
        // It has served its purpose, and is a secret of the connection.
        self.talk.facts.tls_exporter = None;
        self.talk.hear(now);
    }

    /// The other answer to [`Event::Bind`] (RFC 6120 7.6.2).
    pub fn handle_bind_refused(&mut self, error: &StanzaError, out: &mut Outbox) {
        if let Phase::Negotiating(negotiation) = &mut self.talk.phase {
            let framed = self.talk.facts.carrier.is_framed();
            if let Some(reply) = negotiation.on_bind_refused(error) {
                out.element(|out| write_delivery(&reply, framed, out));
            }
        }
    }

    /// A stanza for the client, ready for delivery, without `xmlns`.
    ///
    /// # Errors
    /// The stream is over, perhaps because this was too much for a client that does not read: then it has been closed
    /// with `policy-violation`, and [`Event::Finished`] comes at the next call. The stanza is not lost:
    /// [`Session::take_unacked`] gives it back.
    pub fn handle_delivery(
        &mut self,
        stanza: &[u8],
        tag: Option<Tag>,
        out: &mut Outbox,
    ) -> Result<(), Overflow> {
        let talk = &mut self.talk;
        let unacked = talk.acknowledge.as_ref().map_or(0, |acknowledge| acknowledge.unacked());
        let too_much =
            unacked >= talk.config.unacked_max || out.len() + stanza.len() > talk.config.output_max;
        if too_much {
            talk.end(StreamErrorKind::PolicyViolation, out);
        }
        if !matches!(talk.phase, Phase::Bound) {
            talk.acknowledge.get_or_insert_with(|| Box::new(Acknowledge::new(0))).on_sent(stanza, tag);
            return Err(Overflow);
        }
        out.element(|out| write_delivery(stanza, talk.facts.carrier.is_framed(), out));
        if talk.acknowledge.as_mut().is_some_and(|acknowledge| acknowledge.on_sent(stanza, tag)) {
            out.element(|out| write::open(out, "r").ns(ns::SM).empty());
        }
        Ok(())
    }

    /// A stanza of the client has been processed: what it asked for is durable, or done.
    pub fn handle_processed(&mut self, seq: u32, out: &mut Outbox) {
        self.talk.inbound.process(seq);
        self.talk.answer_if_due(out);
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
    pub fn handle_timer(&mut self, now: Now, out: &mut Outbox) {
        if self.next_deadline().is_none_or(|deadline| deadline > now.mono) {
            return;
        }
        let talk = &mut self.talk;
        match &talk.phase {
            Phase::Negotiating(_) => talk.end(StreamErrorKind::ConnectionTimeout, out),
            Phase::Bound if talk.asked_for_life => talk.end(StreamErrorKind::ConnectionTimeout, out),
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
            Phase::Over => {}
        }
    }

    /// When [`Session::handle_timer`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let talk = &self.talk;
        match &talk.phase {
            Phase::Negotiating(negotiation) => Some(negotiation.deadline),
            Phase::Bound if talk.asked_for_life => {
                Some(talk.heard + talk.config.idle_max + talk.config.answer_max)
            }
            Phase::Bound => Some(talk.heard + talk.config.idle_max),
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
        matches!(self.talk.phase, Phase::Bound)
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
        let config = &self.talk.config;
        self.scanner.set_limits(Limits::of(if self.talk.is_logged_in() {
            config.stanza_max
        } else {
            config.stanza_max_unauth
        }));
    }
}

impl Talk {
    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    fn is_logged_in(&self) -> bool {
        match &self.phase {
            Phase::Negotiating(negotiation) => negotiation.is_logged_in(),
            Phase::Bound => true,
            Phase::Over => false,
        }
    }

    fn hear(&mut self, now: Now) {
        self.heard = now.mono;
        self.asked_for_life = false;
    }

    fn poll_event(&mut self) -> Option<Event<'static>> {
        while self.confirmed > 0 {
            self.confirmed -= 1;
            if let Some(tag) = self.acknowledge.as_mut().and_then(|acknowledge| acknowledge.pop_confirmed()) {
                return Some(Event::Delivered { tag });
            }
        }
        self.finished.take().map(|reason| Event::Finished { reason })
    }

    // RFC 6120 4.2, 4.7: the answer to a header is our header and what we offer.
    fn on_open(&mut self, to: Option<&str>, version: Option<&str>, out: &mut Outbox) {
        if self.opened {
            // A second <open/> in a framed stream; the scanner refuses a second header itself.
            return self.end(StreamErrorKind::BadFormat, out);
        }
        if let Some(to) = to
            && !to.eq_ignore_ascii_case(&self.config.domain)
        {
            // RFC 6120 4.9.3.6.
            return self.end(StreamErrorKind::HostUnknown, out);
        }
        // RFC 6120 4.7.5: no version is 0.9, which we do not speak.
        let major =
            version.and_then(|text| text.split('.').next()).and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < 1) {
            return self.end(StreamErrorKind::UnsupportedVersion, out);
        }
        self.write_header(out);
        if let Phase::Negotiating(negotiation) = &self.phase {
            out.element(|out| negotiation.write_features(&self.config, &self.facts, out));
        }
    }

    fn write_header(&mut self, out: &mut Outbox) {
        let Phase::Negotiating(negotiation) = &mut self.phase else { return };
        self.opened = true;
        let id = negotiation.draw();
        let id: String = id[..8].iter().map(|b| format!("{b:02x}")).collect();
        let domain = &self.config.domain;
        let framed = self.facts.carrier.is_framed();
        out.element(|out| {
            if framed {
                let open = write::open(out, "open").ns(ns::FRAMING).attr("from", domain).attr("id", &id);
                open.attr("version", "1.0").attr("xml:lang", "en").empty();
            } else {
                out.extend_from_slice(b"<?xml version='1.0'?>");
                let open = write::open(out, "stream:stream").ns(ns::CLIENT).attr("xmlns:stream", ns::STREAMS);
                open.attr("from", domain)
                    .attr("id", &id)
                    .attr("version", "1.0")
                    .attr("xml:lang", "en")
                    .start();
            }
        });
    }

    fn on_element(&mut self, element: &Stanza<'_>, out: &mut Outbox) -> Outcome {
        match &mut self.phase {
            Phase::Negotiating(negotiation) if self.opened => {
                let verdict = negotiation.on_element(element, &self.config, &self.facts, out);
                self.apply(verdict, out)
            }
            Phase::Negotiating(_) => {
                // RFC 7395 3.4: a framed stream begins with <open/>.
                self.end(StreamErrorKind::NotAuthorized, out);
                Outcome::Nothing
            }
            Phase::Bound if element.kind() != StanzaKind::Other => self.on_stanza(element, out),
            Phase::Bound => {
                self.on_nonza(element, out);
                Outcome::Nothing
            }
            Phase::Over => Outcome::Nothing,
        }
    }

    fn apply(&mut self, verdict: Verdict, out: &mut Outbox) -> Outcome {
        match verdict {
            Verdict::Done => Outcome::Nothing,
            Verdict::Tell(event) => Outcome::Tell(event),
            Verdict::LoggedIn(number) => Outcome::RestartAnd(Event::LoggedIn { number }),
            Verdict::Failed(number) => Outcome::Tell(Event::LogInFailed { number }),
            Verdict::FailedTooOften(number) => {
                // RFC 6120 6.4.5: enough retries.
                self.end(StreamErrorKind::PolicyViolation, out);
                Outcome::Tell(Event::LogInFailed { number })
            }
            Verdict::End(kind) => {
                self.end(kind, out);
                Outcome::Nothing
            }
        }
    }

    fn on_stanza(&mut self, stanza: &Stanza<'_>, out: &mut Outbox) -> Outcome {
        let seq = self.inbound.receive();
        if stanza.kind() == StanzaKind::Iq && self.answers_here(stanza, out) {
            self.inbound.process(seq);
            self.answer_if_due(out);
            return Outcome::Nothing;
        }
        Outcome::Stanza(seq)
    }

    /// The two requests that concern the stream and not the router.
    fn answers_here(&self, iq: &Stanza<'_>, out: &mut Outbox) -> bool {
        match iq.type_().as_deref() {
            // RFC 3921 3: it means nothing any more, and old clients wait for the answer.
            Some("set") if iq.child("session", ns::SESSION).is_some() => {
                let framed = self.facts.carrier.is_framed().then_some(ns::CLIENT);
                out.element(|out| {
                    let reply = write::open(out, "iq").attr_opt("xmlns", framed).attr("type", "result");
                    reply.attr_opt("id", iq.id().as_deref()).empty();
                });
                true
            }
            Some("result" | "error") => iq.id().as_deref() == Some(SIGN_OF_LIFE),
            _ => false,
        }
    }

    fn on_nonza(&mut self, element: &Stanza<'_>, out: &mut Outbox) {
        if element.ns() != ns::SM {
            return self.end(StreamErrorKind::UnsupportedStanzaType, out);
        }
        match (element.name(), &mut self.acknowledge) {
            ("enable", acknowledge @ None) => {
                *acknowledge = Some(Box::new(Acknowledge::new(self.inbound.received())));
                out.element(|out| write::open(out, "enabled").ns(ns::SM).empty());
            }
            ("enable" | "resume", _) => out.element(|out| {
                // XEP-0198 section 3: not twice.
                write::open(out, "failed").ns(ns::SM).with(|out| {
                    write::open(out, "unexpected-request").ns(ns::STANZA_ERRORS).empty();
                });
            }),
            ("r", Some(acknowledge)) => {
                acknowledge.on_request(&self.inbound);
                self.answer_if_due(out);
            }
            ("a", Some(acknowledge)) => {
                let h = element.attr("h").and_then(|h| h.trim().parse::<u32>().ok());
                match h.map(|h| acknowledge.on_answer(h)) {
                    Some(Ok(newly)) => self.confirmed = newly,
                    Some(Err(too_high)) => self.end_too_high(too_high, out),
                    None => self.end(StreamErrorKind::InvalidXml, out),
                }
                self.ask_if_due(out);
            }
            ("r" | "a", None) => self.end(StreamErrorKind::PolicyViolation, out),
            _ => self.end(StreamErrorKind::UnsupportedStanzaType, out),
        }
    }

    fn answer_if_due(&mut self, out: &mut Outbox) {
        if self.is_over() {
            return;
        }
        if let Some(h) =
            self.acknowledge.as_mut().and_then(|acknowledge| acknowledge.take_answer(&self.inbound))
        {
            out.element(|out| write::open(out, "a").ns(ns::SM).attr_number("h", u64::from(h)).empty());
        }
    }

    /// Asks for the rest when the client's answer did not cover all it has been sent.
    fn ask_if_due(&mut self, out: &mut Outbox) {
        let confirmed = self.confirmed as usize;
        let due = |acknowledge: &mut Box<Acknowledge>| {
            acknowledge.unacked() > confirmed && acknowledge.wants_to_ask()
        };
        if !self.is_over() && self.acknowledge.as_mut().is_some_and(due) {
            out.element(|out| write::open(out, "r").ns(ns::SM).empty());
        }
    }

    // RFC 6120 4.4: the client ended its stream; we end ours, and the client closes the connection.
    fn on_close(&mut self, out: &mut Outbox) {
        self.answer_at_the_end(out);
        self.finish(EndReason::Client, out);
    }

    /// XEP-0198 section 4: who leaves is told how far we are.
    fn answer_at_the_end(&self, out: &mut Outbox) {
        if let Some(acknowledge) = &self.acknowledge {
            let h = acknowledge.h(&self.inbound);
            out.element(|out| write::open(out, "a").ns(ns::SM).attr_number("h", u64::from(h)).empty());
        }
    }

    fn end(&mut self, kind: StreamErrorKind, out: &mut Outbox) {
        self.end_with(kind, None, out);
    }

    // XEP-0198 section 4: a client that confirms what it was never sent.
    fn end_too_high(&mut self, found: TooHigh, out: &mut Outbox) {
        let mut application = Vec::new();
        let tag = write::open(&mut application, "handled-count-too-high").ns(ns::SM);
        tag.attr_number("h", u64::from(found.h)).attr_number("send-count", u64::from(found.sent)).empty();
        let application = String::from_utf8(application).unwrap_or_default();
        self.end_with(StreamErrorKind::UndefinedCondition, Some(&application), out);
    }

    fn end_with(&mut self, kind: StreamErrorKind, application: Option<&str>, out: &mut Outbox) {
        if self.is_over() {
            return;
        }
        if !self.opened && matches!(self.phase, Phase::Negotiating(_)) {
            // RFC 6120 4.9.1.2: an error stands inside a stream.
            self.write_header(out);
        }
        let framed = self.facts.carrier.is_framed();
        out.element(|out| kind.write(out, framed, None, application));
        self.finish(EndReason::Error(kind), out);
    }

    fn finish(&mut self, reason: EndReason, out: &mut Outbox) {
        if self.is_over() {
            return;
        }
        if !self.opened && matches!(self.phase, Phase::Negotiating(_)) {
            self.write_header(out);
        }
        out.element(|out| match self.facts.carrier.is_framed() {
            true => write::open(out, "close").ns(ns::FRAMING).empty(),
            false => write::close(out, "stream:stream"),
        });
        self.phase = Phase::Over;
        self.finished = Some(reason);
    }
}

/// A stanza ready for delivery leans on the stream's default namespace; a message of its own must declare it.
fn write_delivery(stanza: &[u8], framed: bool, out: &mut Vec<u8>) {
    let name_end = stanza.iter().position(|b| matches!(b, b' ' | b'/' | b'>')).unwrap_or(stanza.len());
    if framed {
        out.extend_from_slice(&stanza[..name_end]);
        write::attr(out, "xmlns", ns::CLIENT);
        out.extend_from_slice(&stanza[name_end..]);
    } else {
        out.extend_from_slice(stanza);
    }
}

/// XEP-0199, from the exchange to its client.
fn write_ping(domain: &str, framed: bool, out: &mut Vec<u8>) {
    let iq = write::open(out, "iq").attr_opt("xmlns", framed.then_some(ns::CLIENT));
    let iq = iq.attr("type", "get").attr("from", domain).attr("id", SIGN_OF_LIFE);
    iq.with(|out| write::open(out, "ping").ns(ns::PING).empty());
}

#[cfg(test)]
mod tests;
