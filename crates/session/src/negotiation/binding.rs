//! Binding: a number is proved, and its session gets a resource, or goes on with an earlier one.
//!
//! Spec: RFC 6120 7; XEP-0386 (Bind 2); XEP-0198 5 (asking to resume).
//! Owns: nothing. Invariants: a request is answered once; what was asked for along with the log-in comes before anything else.
//! Not here: which resources there are (the router), the session that is resumed (`session`).

use xmpp::address::{AccountNumber, Jid};
use xmpp::error::{StanzaCondition, StanzaError, StreamErrorKind};
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::time::Now;
use xmpp::{ns, write};

use super::{Negotiation, Step, Verdict, wish};
use crate::config::{CarrierFacts, SessionConfig};
use crate::event::{BindFacts, Event};
use crate::outbox::Outbox;
use crate::register::Said;
use crate::resume::{self, ResumeId};

impl Negotiation {
    pub(super) fn on_stanza(
        &mut self,
        now: Now,
        stanza: &Stanza<'_>,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        if self.wish.is_some() {
            return Verdict::End(StreamErrorKind::PolicyViolation);
        }
        let asks = matches!(self.step, Step::Open) && stanza.kind() == StanzaKind::Iq;
        if let Some(said) = asks.then(|| Said::read(stanza)).flatten() {
            return self.on_register(now, stanza.id().map(|id| id.into_owned()), said, config, facts, out);
        }
        let Step::LoggedIn(number) = self.step else {
            // RFC 6120 4.9.3.12: a stanza before authentication.
            return Verdict::End(StreamErrorKind::NotAuthorized);
        };
        let is_set = stanza.kind() == StanzaKind::Iq && stanza.type_().as_deref() == Some("set");
        let Some(bind) = is_set.then(|| stanza.child("bind", ns::BIND)).flatten() else {
            // RFC 6120 7.1: no stanza is processed before a resource is bound.
            return Verdict::End(StreamErrorKind::NotAuthorized);
        };
        let resource = bind.child("resource", ns::BIND).map(|node| node.text().trim().to_owned());
        let resource = resource.filter(|text| !text.is_empty());
        self.step = Step::Binding(number, stanza.id().map(|id| id.into_owned()));
        Verdict::Tell(Event::Bind { number, resource, facts: BindFacts::default() })
    }

    // XEP-0198 section 5: instead of binding.
    pub(super) fn on_resume(
        &mut self,
        asked: Result<wish::Resume, StanzaCondition>,
        out: &mut Outbox,
    ) -> Verdict {
        let Step::LoggedIn(number) = self.step else { return Verdict::Done };
        match asked {
            Ok(wish::Resume { id, h }) => {
                self.step = Step::Resuming(number, h);
                Verdict::Tell(Event::Resume { number, id })
            }
            Err(condition) => {
                out.element(|out| resume::write_refused(None, condition, out));
                Verdict::Done
            }
        }
    }

    /// How many stanzas had arrived of the session that the client wants back, if it wants one.
    pub(crate) fn resuming(&self) -> Option<u32> {
        match self.step {
            Step::Resuming(_, h) => Some(h),
            _ => None,
        }
    }

    /// There is no such session. The client may bind instead, and may have said that it will (XEP-0386 2.2).
    pub(crate) fn on_resume_refused(
        &mut self,
        h: Option<u32>,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Option<Event<'static>> {
        let Step::Resuming(number, _) = self.step else { return None };
        self.step = Step::LoggedIn(number);
        let mut told = Vec::new();
        resume::write_refused(h, StanzaCondition::ItemNotFound, &mut told);
        match &mut self.wish {
            Some(wish) => {
                wish.not_resumed = Some(told);
                self.on_home(config, facts, out)
            }
            None => {
                out.element(|out| out.extend_from_slice(&told));
                None
            }
        }
    }

    /// The session is the earlier one from now on, whose address is `jid`.
    pub(crate) fn write_resumed(
        &self,
        id: ResumeId,
        h: u32,
        jid: &Jid,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) {
        let Some(wish) = &self.wish else { return out.element(|out| resume::write_resumed(id, h, out)) };
        let mut resumed = Vec::new();
        resume::write_resumed(id, h, &mut resumed);
        out.element(|out| wish.write_success(jid.as_str(), Some(&resumed), None, out));
        self.write_features_after(config, facts, out);
    }

    /// What this session is known by if it is to be resumed later.
    pub(crate) fn draw_resume_id(&mut self) -> ResumeId {
        let drawn = self.draw();
        ResumeId::from_bits(u64::from_le_bytes(drawn[..8].try_into().expect("eight of 32 octets")))
    }

    /// The client of an XEP-0388 log-in is who it says; what else it asked for comes once its session is at home.
    pub(super) fn log_in_here(&mut self, number: AccountNumber) -> Verdict {
        self.step = Step::LoggedIn(number);
        Verdict::LoggedInHere(number)
    }

    /// The session is where it stays: the next of what was asked for along with the log-in.
    pub(crate) fn on_home(
        &mut self,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Option<Event<'static>> {
        let Step::LoggedIn(number) = self.step else { return None };
        let randomness = self.draw();
        let wish = self.wish.as_mut()?;
        // XEP-0386 2.2: before binding, and instead of it.
        match wish.resume.take() {
            Some(Ok(wish::Resume { id, h })) => {
                self.step = Step::Resuming(number, h);
                return Some(Event::Resume { number, id });
            }
            Some(Err(condition)) => {
                let mut told = Vec::new();
                resume::write_refused(None, condition, &mut told);
                wish.not_resumed = Some(told);
            }
            None => {}
        }
        if let Some((resource, acknowledging, inline)) = wish.take_bind(number, config, &randomness) {
            self.step = Step::Binding(number, None);
            let facts = BindFacts { acknowledging, inline };
            return Some(Event::Bind { number, resource: Some(resource), facts });
        }
        self.succeed_unbound(number, config, facts, out);
        None
    }

    /// The log-in has succeeded; a resource is still to be asked for.
    fn succeed_unbound(
        &mut self,
        number: AccountNumber,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) {
        let Some(wish) = self.wish.take() else { return };
        self.step = Step::LoggedIn(number);
        let address = format!("{number}@{}", config.domain);
        out.element(|out| wish.write_success(&address, None, None, out));
        out.element(|out| self.write_features(config, facts, out));
    }

    /// XEP-0198, where it was asked for along with the log-in.
    pub(crate) fn enable(&self) -> Option<wish::Enable> {
        self.wish.as_ref()?.bind.as_ref()?.enable
    }

    /// The resource is bound: the answer to the client's request, with `inline` where it was made along with a log-in.
    pub(crate) fn write_bound(
        &self,
        jid: &Jid,
        inline: &[u8],
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) {
        let framed = facts.carrier.is_framed();
        let Some(wish) = &self.wish else {
            return out.element(|out| self.write_bind_result(jid, framed, out));
        };
        out.element(|out| wish.write_success(jid.as_str(), None, Some(inline), out));
        self.write_features_after(config, facts, out);
    }

    /// RFC 6120 7.6.1. A message of its own declares its namespace (RFC 7395 3.3.3).
    fn write_bind_result(&self, jid: &Jid, framed: bool, out: &mut Vec<u8>) {
        let Step::Binding(_, id) = &self.step else { return };
        let iq = write::open(out, "iq").attr_opt("xmlns", framed.then_some(ns::CLIENT));
        iq.attr("type", "result").attr_opt("id", id.as_deref()).with(|out| {
            write::open(out, "bind").ns(ns::BIND).with(|out| write::open(out, "jid").text(jid.as_str()));
        });
    }

    /// The resource is refused, in these words; the client may ask for another.
    pub(crate) fn on_bind_refused(
        &mut self,
        error: &StanzaError,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) {
        let Step::Binding(number, id) = &mut self.step else { return };
        let number = *number;
        if self.wish.is_some() {
            // The log-in itself has succeeded; XEP-0386 has no words for the rest but to leave `<bound/>` out.
            return self.succeed_unbound(number, config, facts, out);
        }
        let id = id.take();
        self.step = Step::LoggedIn(number);
        write_refusal(error, id.as_deref(), facts.carrier.is_framed(), out);
    }
}

/// An iq is answered by an error.
pub(crate) fn write_refusal(error: &StanzaError, id: Option<&str>, framed: bool, out: &mut Outbox) {
    let mut reply = Vec::new();
    error.write_reply(&mut reply, "iq", id, None, None);
    out.element(|out| crate::session::write_delivery(&reply, framed, out));
}
