//! The talk: what a token leads to in the state the conversation is in, and how it ends.
//!
//! Spec: RFC 6120 4 (opening, errors, closing), 7395 3 (framing); XEP-0198 3, 4.
//! Owns: the phase, the counts, what is still to be told.
//! Invariants: after the end nothing is written and one reason is told; our header stands before our first error.
//! Not here: finding tokens in octets (`session`), SASL (`negotiation`), the arithmetic of counts (`acknowledge`).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use xmpp::address::{AccountNumber, Jid, JidRef};
use xmpp::error::{StanzaCondition, StanzaError, StreamErrorKind};
use xmpp::ns;
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::time::{Instant, Now};
use xmpp::write;

use crate::acknowledge::{Acknowledge, Inbound, TooHigh};
use crate::config::{CarrierFacts, SessionConfig};
use crate::event::{EndReason, Event, Tag};
use crate::negotiation::wish::Enable;
use crate::negotiation::{Negotiation, Verdict};
use crate::outbox::Outbox;
use crate::register::{self, RegisterAnswer, RegisterRequest, Said};
use crate::resume::{self, Resumable, ResumeId};

/// The id of our request for a sign of life (XEP-0199), where XEP-0198 cannot ask.
const SIGN_OF_LIFE: &str = "sign-of-life";

/// All of a session but its scanner, so that a room can write while a token is looked at.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) config: Arc<SessionConfig>,
    pub(super) facts: CarrierFacts,
    pub(super) phase: Phase,
    pub(super) inbound: Inbound,
    pub(super) acknowledge: Option<Box<Acknowledge>>,
    /// How many of the oldest unconfirmed stanzas the client has just confirmed.
    pub(super) confirmed: u32,
    /// Told at the next call.
    pub(super) finished: Option<EndReason>,
    pub(super) heard: Instant,
    pub(super) asked_for_life: bool,
    /// Who has logged in.
    pub(super) number: Option<AccountNumber>,
    /// What its client wants of its account, while that is being seen to.
    pub(super) registering: Option<Box<Registering>>,
    /// Our header was written to the stream that is open now.
    pub(super) opened: bool,
    /// XEP-0198 was turned on, which is yet to be told.
    pub(super) enabled: bool,
    /// What this session is known by if it is to be resumed.
    pub(super) resume_id: ResumeId,
}

/// A request about an account that waits for its answer.
#[derive(Debug)]
pub(super) struct Registering {
    seq: u32,
    id: Option<String>,
}

#[derive(Debug)]
pub(super) enum Phase {
    Negotiating(Box<Negotiation>),
    /// An earlier session has come here; what its client sent before is still being processed, or recorded.
    Resuming(Box<Negotiation>, Jid),
    Bound,
    Over,
}

/// What the client's header says.
pub(super) struct Opening<'a> {
    pub(super) to: Option<Cow<'a, str>>,
    pub(super) from: Option<Cow<'a, str>>,
    pub(super) version: Option<Cow<'a, str>>,
}

/// What a token leads to.
pub(super) enum Outcome {
    Nothing,
    Tell(Event<'static>),
    /// The token is a stanza for the router.
    Stanza(u32),
    /// The next octets open a new stream.
    RestartAnd(Event<'static>),
    /// The same stream goes on, with the bounds of one that has logged in.
    RaiseAnd(Event<'static>),
}

impl Talk {
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    pub(super) fn is_logged_in(&self) -> bool {
        match &self.phase {
            Phase::Negotiating(negotiation) => negotiation.is_logged_in(),
            Phase::Bound | Phase::Resuming(..) => true,
            Phase::Over => false,
        }
    }

    pub(super) fn negotiation(&self) -> Option<&Negotiation> {
        match &self.phase {
            Phase::Negotiating(negotiation) => Some(negotiation),
            _ => None,
        }
    }

    pub(super) fn hear(&mut self, now: Now) {
        self.heard = now.mono;
        self.asked_for_life = false;
    }

    /// When a client has left XEP-0198's question unanswered for too long: half-open, most likely.
    pub(super) fn answer_deadline(&self) -> Option<Instant> {
        let acknowledge = self.acknowledge.as_ref()?;
        acknowledge.answer_deadline(self.heard, self.config.answer_max)
    }

    pub(super) fn poll_event(&mut self) -> Option<Event<'static>> {
        while self.confirmed > 0 {
            self.confirmed -= 1;
            if let Some(tag) = self.acknowledge.as_mut().and_then(|acknowledge| acknowledge.pop_confirmed()) {
                return Some(Event::Delivered { tag });
            }
        }
        if std::mem::take(&mut self.enabled)
            && let Some(acknowledge) = &self.acknowledge
        {
            let base = acknowledge.base();
            let resume = acknowledge.resumable.as_ref().map(|resumable| (resumable.id(), base));
            return Some(Event::Acknowledging { resume });
        }
        self.finished.take().map(|reason| Event::Finished { reason })
    }

    // RFC 6120 4.2, 4.7: the answer to a header is our header and what we offer.
    pub(super) fn on_open(&mut self, opening: &Opening<'_>, out: &mut Outbox) {
        if self.opened {
            // A second <open/> in a framed stream; the scanner refuses a second header itself.
            return self.end(StreamErrorKind::BadFormat, out);
        }
        // RFC 6120 4.7.2: a client that says who it is is answered by that name.
        let client = opening.from.as_deref().and_then(|from| JidRef::parse(from).ok());
        self.write_header(client.as_ref().map(JidRef::bare), out);
        if opening.to.as_deref().is_some_and(|to| !to.eq_ignore_ascii_case(&self.config.domain)) {
            // RFC 6120 4.9.3.6.
            return self.end(StreamErrorKind::HostUnknown, out);
        }
        // RFC 6120 4.7.5: no version is 0.9, which we do not speak.
        let version = opening.version.as_deref();
        let major =
            version.and_then(|text| text.split('.').next()).and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < 1) {
            return self.end(StreamErrorKind::UnsupportedVersion, out);
        }
        if let Phase::Negotiating(negotiation) = &self.phase {
            out.element(|out| negotiation.write_features(&self.config, &self.facts, out));
        }
    }

    fn write_header(&mut self, client: Option<&str>, out: &mut Outbox) {
        let Phase::Negotiating(negotiation) = &mut self.phase else { return };
        self.opened = true;
        let id = negotiation.draw();
        let id = xmpp::hex(&id[..8]);
        let domain = &self.config.domain;
        let framed = self.facts.carrier.is_framed();
        out.element(|out| {
            if framed {
                let open = write::open(out, "open")
                    .ns(ns::FRAMING)
                    .attr("from", domain)
                    .attr_opt("to", client)
                    .attr("id", &id);
                open.attr("version", "1.0").attr("xml:lang", "en").empty();
            } else {
                out.extend_from_slice(b"<?xml version='1.0'?>");
                let open = write::open(out, "stream:stream").ns(ns::CLIENT).attr("xmlns:stream", ns::STREAMS);
                let open = open.attr("from", domain).attr_opt("to", client).attr("id", &id);
                open.attr("version", "1.0").attr("xml:lang", "en").start();
            }
        });
    }

    pub(super) fn on_element(&mut self, now: Now, element: &Stanza<'_>, out: &mut Outbox) -> Outcome {
        match &mut self.phase {
            Phase::Negotiating(negotiation) if self.opened => {
                let verdict = negotiation.on_element(now, element, &self.config, &self.facts, out);
                self.apply(verdict, out)
            }
            Phase::Negotiating(_) => {
                // RFC 7395 3.4: a framed stream begins with <open/>.
                self.end(StreamErrorKind::NotAuthorized, out);
                Outcome::Nothing
            }
            Phase::Bound if element.kind() != StanzaKind::Other => self.on_stanza(now, element, out),
            Phase::Bound if element.is("active", ns::CSI) => {
                Outcome::Tell(Event::ClientState { active: true })
            }
            Phase::Bound if element.is("inactive", ns::CSI) => {
                Outcome::Tell(Event::ClientState { active: false })
            }
            Phase::Bound => {
                self.on_nonza(now, element, out);
                Outcome::Nothing
            }
            // No input is taken before it has resumed.
            Phase::Resuming(..) | Phase::Over => Outcome::Nothing,
        }
    }

    pub(super) fn apply(&mut self, verdict: Verdict, out: &mut Outbox) -> Outcome {
        match verdict {
            Verdict::Done => Outcome::Nothing,
            Verdict::Tell(event) => Outcome::Tell(event),
            Verdict::LoggedIn(number) => {
                self.number = Some(number);
                Outcome::RestartAnd(Event::LoggedIn { number })
            }
            Verdict::LoggedInHere(number) => {
                self.number = Some(number);
                Outcome::RaiseAnd(Event::LoggedIn { number })
            }
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

    fn on_stanza(&mut self, now: Now, stanza: &Stanza<'_>, out: &mut Outbox) -> Outcome {
        let seq = self.inbound.receive();
        if stanza.kind() == StanzaKind::Iq {
            if self.answers_here(now, stanza, out) {
                self.inbound.process(seq);
                self.answer_if_due(out);
                return Outcome::Nothing;
            }
            if let Some(outcome) = self.on_account(now, seq, stanza, out) {
                return outcome;
            }
        }
        Outcome::Stanza(seq)
    }

    /// XEP-0077 3.2, 3.3: what a client wants of its own account, said to the exchange or to the account.
    fn on_account(&mut self, now: Now, seq: u32, iq: &Stanza<'_>, out: &mut Outbox) -> Option<Outcome> {
        let said = Said::read(iq)?;
        let number = self.number?;
        if let Some(to) = iq.to() {
            let to = JidRef::parse(&to).ok()?;
            let ours = to.domain() == self.config.domain && to.resource().is_none();
            if !ours || to.local().is_some() && to.number() != Some(number) {
                return None;
            }
        }
        let id = iq.id().map(|id| id.into_owned());
        let request = match said {
            Said::Preauth(_) => return None,
            Said::Get => {
                let mut reply = Vec::new();
                let form = |out: &mut Vec<u8>| register::write_form(number, true, out);
                register::write_result(id.as_deref(), false, form, &mut reply);
                self.answer(now, &reply, out);
                self.inbound.process(seq);
                self.answer_if_due(out);
                return Some(Outcome::Nothing);
            }
            _ if self.registering.is_some() => {
                Err(StanzaError::new(StanzaCondition::ResourceConstraint).with_text("one after the other"))
            }
            // A password is not said where others can read it.
            Said::Set { .. } if !self.facts.encrypted && !self.facts.local => {
                Err(StanzaError::new(StanzaCondition::NotAllowed).with_text("not without encryption"))
            }
            Said::Set { username, password } => register::check(number, &username, &password)
                .map(|()| RegisterRequest::Password { number, password }),
            Said::Remove => Ok(RegisterRequest::Remove { number }),
        };
        Some(match request {
            Ok(request) => {
                self.registering = Some(Box::new(Registering { seq, id }));
                Outcome::Tell(Event::Register(Box::new(request)))
            }
            Err(error) => {
                self.answer_account(now, seq, id.as_deref(), Err(error), out);
                Outcome::Nothing
            }
        })
    }

    /// What was asked of the account has been seen to.
    pub(super) fn on_account_changed(&mut self, now: Now, answer: RegisterAnswer, out: &mut Outbox) {
        let Some(waiting) = self.registering.take() else { return };
        let answer = answer.map(drop).map_err(|refusal| refusal.error());
        self.answer_account(now, waiting.seq, waiting.id.as_deref(), answer, out);
    }

    /// Its connection is gone before what its client wants of the account was seen to: the client is told to ask again when
    /// it is back, for whoever sees to it knows the session by its connection. To ask twice is as good as once.
    pub(super) fn give_up_waiting(&mut self) {
        let Some(waiting) = self.registering.take() else { return };
        let error = StanzaError::new(StanzaCondition::ResourceConstraint);
        let mut reply = Vec::new();
        error.with_text("the connection was lost meanwhile: ask again").write_reply(
            &mut reply,
            "iq",
            waiting.id.as_deref(),
            None,
            None,
        );
        self.acknowledge.iter_mut().for_each(|acknowledge| acknowledge.keep(&reply, None));
        self.inbound.process(waiting.seq);
    }

    /// Whether the client may be given so many octets more: what it does not read has a bound, and so has what it reads and
    /// never confirms.
    pub(super) fn has_room(&self, octets: usize, out: &Outbox) -> bool {
        let (config, unacked) = (&self.config, self.acknowledge.as_ref());
        let (kept, kept_octets) = unacked.map_or((0, 0), |kept| (kept.unacked(), kept.unacked_octets()));
        kept < config.unacked_max
            && kept_octets + octets <= config.unacked_octets_max
            && out.len() + octets <= config.output_max
    }

    /// Gives the client a stanza, which counts in XEP-0198 where that is on.
    pub(super) fn give(&mut self, now: Now, stanza: &[u8], tag: Option<Tag>, out: &mut Outbox) {
        out.element(|out| super::write_delivery(stanza, self.facts.carrier.is_framed(), out));
        if self.acknowledge.as_mut().is_some_and(|acknowledge| acknowledge.on_sent(now, stanza, tag)) {
            out.element(|out| write::open(out, "r").ns(ns::SM).empty());
        }
    }

    /// An answer of the session's own, which has the bounds that a delivery has.
    fn answer(&mut self, now: Now, reply: &[u8], out: &mut Outbox) {
        if self.has_room(reply.len(), out) {
            return self.give(now, reply, None, out);
        }
        self.acknowledge.iter_mut().for_each(|acknowledge| acknowledge.keep(reply, None));
        self.end(StreamErrorKind::PolicyViolation, out);
    }

    fn answer_account(
        &mut self,
        now: Now,
        seq: u32,
        id: Option<&str>,
        answer: Result<(), StanzaError>,
        out: &mut Outbox,
    ) {
        let mut reply = Vec::new();
        match answer {
            Ok(()) => register::write_result(id, false, |_| (), &mut reply),
            Err(error) => error.write_reply(&mut reply, "iq", id, None, None),
        }
        self.answer(now, &reply, out);
        self.inbound.process(seq);
        self.answer_if_due(out);
    }

    /// The two requests that concern the stream and not the router.
    fn answers_here(&mut self, now: Now, iq: &Stanza<'_>, out: &mut Outbox) -> bool {
        match iq.type_().as_deref() {
            // RFC 3921 3: it means nothing any more, and old clients wait for the answer.
            Some("set") if iq.child("session", ns::SESSION).is_some() => {
                let mut reply = Vec::new();
                write::open(&mut reply, "iq")
                    .attr("type", "result")
                    .attr_opt("id", iq.id().as_deref())
                    .empty();
                self.answer(now, &reply, out);
                true
            }
            Some("result" | "error") => iq.id().as_deref() == Some(SIGN_OF_LIFE),
            _ => false,
        }
    }

    fn on_nonza(&mut self, now: Now, element: &Stanza<'_>, out: &mut Outbox) {
        if element.ns() != ns::SM {
            return self.end(StreamErrorKind::UnsupportedStanzaType, out);
        }
        match (element.name(), &mut self.acknowledge) {
            ("enable", None) => self.on_enable(element, out),
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
                self.ask_if_due(now, out);
            }
            ("r" | "a", None) => self.end(StreamErrorKind::PolicyViolation, out),
            _ => self.end(StreamErrorKind::UnsupportedStanzaType, out),
        }
    }

    // XEP-0198 sections 3 and 5: who wants to resume says so, and for how long.
    fn on_enable(&mut self, enable: &Stanza<'_>, out: &mut Outbox) {
        let asked = Enable::read(|name| enable.attr(name).map(|value| value.into_owned()));
        out.element(|out| self.enable(asked, out));
    }

    /// Turns counting on, and appends the answer.
    pub(super) fn enable(&mut self, asked: Enable, out: &mut Vec<u8>) {
        let base = self.inbound.received();
        let mut acknowledge = Box::new(Acknowledge::new(base));
        let longest = self.config.resume_max;
        if asked.resume && !longest.is_zero() {
            let max = asked.max.filter(|secs| *secs > 0).map(Duration::from_secs);
            let max = max.map_or(longest, |max| max.min(longest));
            acknowledge.resumable = Some(Box::new(Resumable::new(self.resume_id, max, base)));
        }
        resume::write_enabled(acknowledge.resumable.as_deref(), out);
        self.acknowledge = Some(acknowledge);
        self.enabled = true;
    }

    /// Once all that the client sent before is processed and on record, it is told so, and gets what it has not confirmed.
    pub(super) fn resume_if_ready(&mut self, out: &mut Outbox) {
        let Phase::Resuming(negotiation, jid) = &self.phase else { return };
        let Some(acknowledge) = &mut self.acknowledge else { return };
        let Some(resumable) = &acknowledge.resumable else { return };
        if self.inbound.in_flight() > 0 || resumable.recorded() != self.inbound.processed() {
            return;
        }
        let (id, h) = (resumable.id(), acknowledge.h(&self.inbound));
        negotiation.write_resumed(id, h, jid, &self.config, &self.facts, out);
        let framed = self.facts.carrier.is_framed();
        acknowledge.for_each_unacked(|stanza| out.element(|out| super::write_delivery(stanza, framed, out)));
        if acknowledge.wants_to_ask(self.heard) {
            out.element(|out| write::open(out, "r").ns(ns::SM).empty());
        }
        self.phase = Phase::Bound;
    }

    pub(super) fn answer_if_due(&mut self, out: &mut Outbox) {
        if !matches!(self.phase, Phase::Bound) {
            return;
        }
        if let Some(h) =
            self.acknowledge.as_mut().and_then(|acknowledge| acknowledge.take_answer(&self.inbound))
        {
            out.element(|out| write::open(out, "a").ns(ns::SM).attr_number("h", u64::from(h)).empty());
        }
    }

    /// Asks for the rest when the client's answer did not cover all it has been sent.
    fn ask_if_due(&mut self, now: Now, out: &mut Outbox) {
        let confirmed = self.confirmed as usize;
        let due = |acknowledge: &mut Box<Acknowledge>| {
            acknowledge.unacked() > confirmed && acknowledge.wants_to_ask(now.mono)
        };
        if !self.is_over() && self.acknowledge.as_mut().is_some_and(due) {
            out.element(|out| write::open(out, "r").ns(ns::SM).empty());
        }
    }

    // RFC 6120 4.4: the client ended its stream; we end ours, and the client closes the connection.
    pub(super) fn on_close(&mut self, out: &mut Outbox) {
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

    pub(super) fn end(&mut self, kind: StreamErrorKind, out: &mut Outbox) {
        self.end_with(kind, None, out);
    }

    // XEP-0198 section 4: a client that confirms what it was never sent.
    pub(super) fn end_too_high(&mut self, found: TooHigh, out: &mut Outbox) {
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
            self.write_header(None, out);
        }
        let framed = self.facts.carrier.is_framed();
        out.element(|out| kind.write(out, framed, None, application));
        self.finish(EndReason::Error(kind), out);
    }

    pub(super) fn finish(&mut self, reason: EndReason, out: &mut Outbox) {
        if self.is_over() {
            return;
        }
        if !self.opened && matches!(self.phase, Phase::Negotiating(_)) {
            self.write_header(None, out);
        }
        out.element(|out| match self.facts.carrier.is_framed() {
            true => write::open(out, "close").ns(ns::FRAMING).empty(),
            false => write::close(out, "stream:stream"),
        });
        self.phase = Phase::Over;
        self.finished = Some(reason);
    }
}

/// XEP-0199, from the exchange to its client.
pub(super) fn write_ping(domain: &str, framed: bool, out: &mut Vec<u8>) {
    let iq = write::open(out, "iq").attr_opt("xmlns", framed.then_some(ns::CLIENT));
    let iq = iq.attr("type", "get").attr("from", domain).attr("id", SIGN_OF_LIFE);
    iq.with(|out| write::open(out, "ping").ns(ns::PING).empty());
}
