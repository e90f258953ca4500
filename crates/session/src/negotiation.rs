//! Negotiation: everything that may come before a resource is bound: STARTTLS, SASL, the request to bind.
//!
//! Spec: RFC 6120 5 (STARTTLS), 6 (SASL), 7 (binding); XEP-0388 (SASL2), 0386 (Bind 2), 0484 (tokens); XEP-0198 5 (asking
//! to resume).
//! Owns: the step, the attempts, the randomness and channel bindings handed in. It is boxed, and gone once a resource is
//! bound.
//! Invariants: PLAIN is read only from an encrypted stream; a stanza before its time ends the stream; an answer is waited
//! for in exactly one step, and input waits with it; both profiles of SASL take the same steps.
//! Not here: the stream around it (`session`), the exchange's arithmetic (`sasl`), what is offered (`features`), what is
//! asked for along with a log-in (`wish`).

mod features;
mod registering;
pub(crate) mod wish;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use store::{Authority, NewToken, TokenChange};
use xmpp::address::{AccountNumber, Jid};
use xmpp::error::{StanzaCondition, StanzaError, StreamErrorKind};
use xmpp::ns;
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::time::{Instant, Now};
use xmpp::write;

use crate::config::{CarrierFacts, ChannelBindings, SessionConfig};
use crate::event::{BindFacts, Event, TokensAnswer};
use crate::outbox::Outbox;
use crate::register::Said;
use crate::resume::{self, ResumeId};
use crate::sasl::keys::hmac_sha256;
use crate::sasl::scram::{Challenged, ClientFirst};
use crate::sasl::token::{Proof, TokenMechanism};
use crate::sasl::{
    CredentialsAnswer, CredentialsRequest, Failure, Keys, LogInName, Mechanism, downgrade, plain,
};
use features::{Offer, write_logged_in};
use registering::{Asked, Held};
use wish::{Issued, Wish};

/// When a client is told that what it proved is wrong, after it came. Later than any comparing takes.
const FAIL_AFTER: Duration = Duration::from_millis(1);

/// What one element of the negotiation leads to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It was answered; go on.
    Done,
    /// The server has something to do.
    Tell(Event<'static>),
    /// The client has proved who it is: its next octets open a new stream (RFC 6120 6.4.6).
    LoggedIn(AccountNumber),
    /// It has, and its stream goes on (XEP-0388 2.6.1).
    LoggedInHere(AccountNumber),
    /// It has not, and may try again.
    Failed(Option<AccountNumber>),
    /// It has not, and may not.
    FailedTooOften(Option<AccountNumber>),
    /// The stream ends with this error.
    End(StreamErrorKind),
}

/// Where the negotiation stands.
#[derive(Debug)]
enum Step {
    /// STARTTLS or SASL may come.
    Open,
    /// `<proceed/>` was sent; TLS begins.
    Securing,
    /// A mechanism was chosen without an initial response; it follows.
    Initial(Mechanism),
    /// SCRAM: the account's keys are being looked up.
    LookingUp(Box<ClientFirst>),
    /// PLAIN: the password is being checked.
    Checking(LogInName),
    /// Something was asked about an account that is to be, by the request with this id.
    Registering(Option<String>, Asked),
    /// SCRAM: the challenge was sent.
    Challenged(Box<Challenged>),
    /// A token: what the store has of it is being looked up.
    Comparing(Box<Proof>),
    /// A number is proved; its tokens are being changed.
    Settling(AccountNumber),
    /// What was proved is wrong, which the client is told at this time.
    Failing(Instant, Failure, Option<AccountNumber>),
    /// A number is proved; a resource may be asked for. Where there is still a wish, it is to be seen to first.
    LoggedIn(AccountNumber),
    /// A resource was asked for by the request with this id.
    Binding(AccountNumber, Option<String>),
    /// An earlier session was asked for, of which this many stanzas arrived.
    Resuming(AccountNumber, u32),
}

/// The negotiation of one session.
#[derive(Debug)]
pub(crate) struct Negotiation {
    step: Step,
    seed: [u8; 32],
    draws: u32,
    attempts: u8,
    bindings: ChannelBindings,
    /// What is asked for along with the log-in under way, if it is one of XEP-0388.
    wish: Option<Box<Wish>>,
    /// The number that is held for a client that registers.
    held: Option<Held>,
    /// It is made by a token.
    by_token: bool,
    pub(crate) deadline: Instant,
}

impl Negotiation {
    pub(crate) fn new(seed: [u8; 32], bindings: ChannelBindings, deadline: Instant) -> Negotiation {
        Negotiation {
            step: Step::Open,
            seed,
            draws: 0,
            attempts: 0,
            bindings,
            wish: None,
            held: None,
            by_token: false,
            deadline,
        }
    }

    /// Fresh randomness from the seed.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        self.draws += 1;
        hmac_sha256(&self.seed, &[&self.draws.to_be_bytes()])
    }

    /// Whether more input can be taken, or an answer must come first.
    pub(crate) fn wants_input(&self) -> bool {
        match self.step {
            Step::Open | Step::Initial(_) | Step::Challenged(_) => true,
            Step::LoggedIn(_) => self.wish.is_none(),
            Step::Securing
            | Step::LookingUp(_)
            | Step::Checking(_)
            | Step::Comparing(_)
            | Step::Settling(_)
            | Step::Failing(..)
            | Step::Registering(..)
            | Step::Binding(..)
            | Step::Resuming(..) => false,
        }
    }

    /// Whether a number has been proved.
    pub(crate) fn is_logged_in(&self) -> bool {
        matches!(self.step, Step::LoggedIn(_) | Step::Binding(..) | Step::Resuming(..))
    }

    fn offer<'a>(&'a self, config: &'a SessionConfig, facts: &'a CarrierFacts) -> Offer<'a> {
        Offer { config, facts, bindings: &self.bindings }
    }

    /// Appends `<stream:features/>` for this step.
    pub(crate) fn write_features(&self, config: &SessionConfig, facts: &CarrierFacts, out: &mut Vec<u8>) {
        let declared = facts.carrier.is_framed().then_some(ns::STREAMS);
        write::open(out, "stream:features").attr_opt("xmlns:stream", declared).with(|out| {
            match self.is_logged_in() {
                true => write_logged_in(config, false, out),
                false => self.offer(config, facts).write(out),
            }
        });
    }

    /// Takes a top-level element.
    pub(crate) fn on_element(
        &mut self,
        now: Now,
        element: &Stanza<'_>,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        if element.kind() != StanzaKind::Other {
            return self.on_stanza(now, element, config, facts, out);
        }
        let namespace = element.ns();
        match (&*namespace, element.name()) {
            (ns::SASL2, "authenticate") => self.on_authenticate(element, config, facts, out),
            (ns::SASL2, "response") if self.wish.is_some() => {
                self.on_response(now, element, config, facts, out)
            }
            (ns::SASL2, "abort") if self.wish.is_some() => self.fail(Failure::Aborted, None, config, out),
            // XEP-0388 2.4: nothing else may come while such a log-in is under way.
            _ if self.wish.is_some() => Verdict::End(StreamErrorKind::PolicyViolation),
            (ns::TLS, "starttls") => self.on_starttls(facts, out),
            (ns::SASL, "auth") => self.on_auth(element, config, facts, out),
            (ns::SASL, "response") => self.on_response(now, element, config, facts, out),
            (ns::SASL, "abort") => self.fail(Failure::Aborted, None, config, out),
            (ns::SM, "resume") if self.is_logged_in() => self.on_resume(
                wish::Resume::read(|name| element.attr(name).map(|value| value.into_owned())),
                out,
            ),
            (ns::SM, "enable") if self.is_logged_in() => {
                // XEP-0198 section 3: only after a resource is bound.
                out.element(|out| {
                    write::open(out, "failed").ns(ns::SM).with(|out| {
                        write::open(out, "unexpected-request").ns(ns::STANZA_ERRORS).empty();
                    });
                });
                Verdict::Done
            }
            (ns::SM, "enable" | "resume") => Verdict::End(StreamErrorKind::NotAuthorized),
            _ => Verdict::End(StreamErrorKind::UnsupportedStanzaType),
        }
    }

    fn on_stanza(
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
    fn on_resume(&mut self, asked: Result<wish::Resume, StanzaCondition>, out: &mut Outbox) -> Verdict {
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

    /// XEP-0388 2.6.1: what a client that logged in by one message is offered.
    fn write_features_after(&self, config: &SessionConfig, facts: &CarrierFacts, out: &mut Outbox) {
        let framed = facts.carrier.is_framed();
        out.element(|out| {
            let tag = write::open(out, "stream:features");
            tag.attr_opt("xmlns:stream", framed.then_some(ns::STREAMS))
                .with(|out| write_logged_in(config, true, out));
        });
    }

    /// What this session is known by if it is to be resumed later.
    pub(crate) fn draw_resume_id(&mut self) -> ResumeId {
        let drawn = self.draw();
        ResumeId::from_bits(u64::from_le_bytes(drawn[..8].try_into().expect("eight of 32 octets")))
    }

    fn on_starttls(&mut self, facts: &CarrierFacts, out: &mut Outbox) -> Verdict {
        if !facts.can_starttls || facts.encrypted || !matches!(self.step, Step::Open) {
            // RFC 6120 5.4.2.2: the failure case ends the stream.
            out.element(|out| write::open(out, "failure").ns(ns::TLS).empty());
            return Verdict::End(StreamErrorKind::PolicyViolation);
        }
        out.element(|out| write::open(out, "proceed").ns(ns::TLS).empty());
        self.step = Step::Securing;
        Verdict::Tell(Event::StartTls)
    }

    /// TLS has begun; the client opens a new stream.
    pub(crate) fn on_secured(&mut self, bindings: ChannelBindings) {
        debug_assert!(matches!(self.step, Step::Securing), "TLS begins after <proceed/>");
        self.bindings = bindings;
        self.step = Step::Open;
    }

    fn on_auth(
        &mut self,
        element: &Stanza<'_>,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        if self.is_logged_in() {
            // RFC 6120 6.4.6: SASL is over.
            return Verdict::End(StreamErrorKind::PolicyViolation);
        }
        self.step = Step::Open;
        let asked = element.attr("mechanism").and_then(|name| Mechanism::from_name(&name));
        let mechanism = match self.allow(asked, config, facts) {
            Ok(mechanism) => mechanism,
            Err(failure) => return self.fail(failure, None, config, out),
        };
        let text = element.text();
        match text.trim() {
            "" => {
                // RFC 6120 6.4.2: without an initial response an empty challenge asks for it.
                self.step = Step::Initial(mechanism);
                self.challenge("", out);
                Verdict::Done
            }
            text => self.on_initial(mechanism, text, config, facts, out),
        }
    }

    fn allow(
        &self,
        asked: Option<Mechanism>,
        config: &SessionConfig,
        facts: &CarrierFacts,
    ) -> Result<Mechanism, Failure> {
        let offered = self.offer(config, facts).mechanisms();
        let known = asked.is_some_and(|mechanism| config.mechanisms.contains(&mechanism));
        match asked.filter(|mechanism| offered.contains(mechanism)) {
            Some(mechanism) => Ok(mechanism),
            None if known && !facts.encrypted && offered.is_empty() => Err(Failure::EncryptionRequired),
            None if known && !facts.encrypted => Err(Failure::MechanismTooWeak),
            None => Err(Failure::InvalidMechanism),
        }
    }

    // XEP-0388 2.3.
    fn on_authenticate(
        &mut self,
        element: &Stanza<'_>,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        if self.wish.is_some() || !matches!(self.step, Step::Open) {
            // XEP-0388 3.5: once, and not in the middle of the other profile.
            return Verdict::End(StreamErrorKind::PolicyViolation);
        }
        let tokens = self.offer(config, facts).token_mechanisms();
        let wish = Wish::read(element, &tokens);
        let by_token = wish.fast.is_some();
        self.wish = Some(Box::new(wish));
        let name = element.attr("mechanism").unwrap_or_default();
        let initial = element.child("initial-response", ns::SASL2).map(|node| node.text().trim().to_owned());
        // XEP-0484 3.4: a token is used by its own mechanisms, and these for nothing else.
        if let Some(mechanism) = tokens.into_iter().find(|mechanism| by_token && mechanism.name() == name) {
            let Some(Ok(bytes)) = initial.map(|text| BASE64.decode(text)) else {
                return self.fail(Failure::MalformedRequest, None, config, out);
            };
            return self.on_token(mechanism, &bytes, config, out);
        }
        let asked = Mechanism::from_name(&name).filter(|_| !by_token);
        let mechanism = match self.allow(asked, config, facts) {
            Ok(mechanism) => mechanism,
            Err(failure) => return self.fail(failure, None, config, out),
        };
        match initial {
            Some(text) => self.on_initial(mechanism, &text, config, facts, out),
            // XEP-0388 2.2: the absence of a response is said by the absence of its element; SCRAM and PLAIN begin
            // with the client, so an empty challenge asks for it.
            None => {
                self.step = Step::Initial(mechanism);
                self.challenge("", out);
                Verdict::Done
            }
        }
    }

    fn on_token(
        &mut self,
        mechanism: TokenMechanism,
        bytes: &[u8],
        config: &SessionConfig,
        out: &mut Outbox,
    ) -> Verdict {
        let wish = self.wish.as_ref();
        let binding = mechanism.binding(&self.bindings).unwrap_or_default();
        // A client without an id has no tokens, and finds it out as any other.
        let agent = |name: &LogInName| {
            let key = wish.and_then(|wish| wish.agent_key(config, name));
            key.unwrap_or_else(|| crate::sasl::token::AgentKey::new(config, name, ""))
        };
        let proof = match Proof::parse(bytes, mechanism, binding, agent) {
            Ok(proof) => proof,
            Err(failure) => return self.fail(failure, None, config, out),
        };
        let request = CredentialsRequest {
            name: proof.name.clone(),
            mechanism: Mechanism::Token(mechanism),
            password: None,
            agent: proof.agent.mark(),
        };
        self.step = Step::Comparing(Box::new(proof));
        Verdict::Tell(Event::Credentials(Box::new(request)))
    }

    /// A challenge of the profile that is spoken.
    fn challenge(&self, text: &str, out: &mut Outbox) {
        let ns = if self.wish.is_some() { ns::SASL2 } else { ns::SASL };
        out.element(|out| {
            let challenge = write::open(out, "challenge").ns(ns);
            if text.is_empty() { challenge.empty() } else { challenge.text(text) }
        });
    }

    fn on_response(
        &mut self,
        now: Now,
        element: &Stanza<'_>,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        let text = element.text();
        match std::mem::replace(&mut self.step, Step::Open) {
            Step::Initial(mechanism) => self.on_initial(mechanism, text.trim(), config, facts, out),
            Step::Challenged(exchange) => self.on_final(now, &exchange, text.trim(), config, out),
            other => {
                self.step = other;
                // RFC 6120 6.5.7: a response that nothing asked for.
                if self.is_logged_in() {
                    return Verdict::End(StreamErrorKind::PolicyViolation);
                }
                self.fail(Failure::MalformedRequest, None, config, out)
            }
        }
    }

    fn on_initial(
        &mut self,
        mechanism: Mechanism,
        text: &str,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        // RFC 6120 6.4.2: a lone `=` is an empty response.
        let Ok(bytes) = BASE64.decode(if text == "=" { "" } else { text }) else {
            return self.fail(Failure::IncorrectEncoding, None, config, out);
        };
        if mechanism == Mechanism::Plain {
            let Some(message) = plain::parse(&bytes) else {
                return self.fail(Failure::MalformedRequest, None, config, out);
            };
            let name = LogInName::new(message.name);
            if !may_act_as(&name, Some(message.authzid), config) {
                return self.fail(Failure::InvalidAuthzid, None, config, out);
            }
            self.step = Step::Checking(name.clone());
            let password = Some(message.password.to_owned());
            return Verdict::Tell(Event::Credentials(Box::new(CredentialsRequest {
                name,
                mechanism,
                password,
                agent: [0; 32],
            })));
        }
        let plus_offered = !self.offer(config, facts).binding_types().is_empty();
        let first = match ClientFirst::parse(&bytes, mechanism, &self.bindings, plus_offered) {
            Ok(first) => first,
            Err(failure) => return self.fail(failure, None, config, out),
        };
        if !may_act_as(&first.name, first.authzid.as_deref(), config) {
            return self.fail(Failure::InvalidAuthzid, None, config, out);
        }
        let name = first.name.clone();
        let request = CredentialsRequest { name, mechanism, password: None, agent: [0; 32] };
        self.step = Step::LookingUp(Box::new(first));
        Verdict::Tell(Event::Credentials(Box::new(request)))
    }

    /// The keys have been looked up, or the password checked.
    pub(crate) fn on_credentials(
        &mut self,
        now: Now,
        answer: CredentialsAnswer,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        match std::mem::replace(&mut self.step, Step::Open) {
            Step::LookingUp(first) if !answer.failed => {
                let randomness = self.draw();
                debug_assert!(first.mechanism() != Mechanism::Plain);
                let offer = self.offer(config, facts);
                let names: Vec<_> = offer.mechanisms().iter().map(|mechanism| mechanism.name()).collect();
                let offer = downgrade::hash(first.mechanism(), &names, &offer.binding_types());
                let exchange = first.challenge(answer.keys, answer.mark, &randomness, &offer);
                self.challenge(&BASE64.encode(exchange.server_first()), out);
                // Whether it exists and may log in is settled only behind a proof.
                self.attempts |= if answer.exists && answer.enabled { 0 } else { DECOY };
                self.attempts |= if answer.exists && !answer.enabled { DISABLED } else { 0 };
                self.step = Step::Challenged(Box::new(exchange));
                Verdict::Done
            }
            Step::Checking(name) if !answer.failed => {
                let proved = matches!(answer.keys, Keys::Checked(true)) && answer.exists;
                let proof = proved.then_some((None, answer.mark));
                self.conclude(now, proof, &name, answer.enabled, config, out)
            }
            Step::Comparing(proof) if !answer.failed => self.on_tokens(now, &proof, &answer, config),
            Step::LookingUp(_) | Step::Checking(_) | Step::Comparing(_) => {
                self.fail(Failure::Temporary, None, config, out)
            }
            other => {
                debug_assert!(false, "an answer that nothing asked for");
                self.step = other;
                Verdict::Done
            }
        }
    }

    fn on_final(
        &mut self,
        now: Now,
        exchange: &Challenged,
        text: &str,
        config: &SessionConfig,
        out: &mut Outbox,
    ) -> Verdict {
        let flags = self.attempts & (DECOY | DISABLED);
        self.attempts &= !(DECOY | DISABLED);
        let Ok(bytes) = BASE64.decode(text) else {
            return self.fail(Failure::IncorrectEncoding, exchange.name().number(), config, out);
        };
        match exchange.verify(&bytes) {
            // A decoy's keys are known to nobody, but that is probability, and this is a rule.
            Ok(_) if flags == DECOY => self.fail_later(now, Failure::NotAuthorized, exchange.name().number()),
            Ok(proof) => {
                let proof = Some((Some(proof.into_bytes()), exchange.mark()));
                self.conclude(now, proof, exchange.name(), flags & DISABLED == 0, config, out)
            }
            Err(failure) => self.fail_later(now, failure, exchange.name().number()),
        }
    }

    /// The password is right, or not. `proof` is what the mechanism says with its success, and which password it was.
    fn conclude(
        &mut self,
        now: Now,
        proof: Option<(Option<Vec<u8>>, [u8; 32])>,
        name: &LogInName,
        enabled: bool,
        config: &SessionConfig,
        out: &mut Outbox,
    ) -> Verdict {
        let (Some((additional, mark)), Some(number)) = (proof, name.number()) else {
            return self.fail_later(now, Failure::NotAuthorized, name.number());
        };
        if !enabled {
            return self.fail_later(now, Failure::AccountDisabled, Some(number));
        }
        let Some(wish) = &mut self.wish else {
            out.element(|out| match additional {
                None => write::open(out, "success").ns(ns::SASL).empty(),
                Some(proof) => write::open(out, "success").ns(ns::SASL).text(&BASE64.encode(&proof)),
            });
            self.step = Step::LoggedIn(number);
            return Verdict::LoggedIn(number);
        };
        wish.additional = additional;
        let asked = wish.token.filter(|_| wish.may_have_tokens());
        let agent = wish.agent_key(config, name);
        match (asked, agent) {
            (Some(mechanism), Some(agent)) => {
                let issue = Some(self.issue(now, &agent, mechanism.name(), config));
                let authority = Authority::Password(mark);
                let change = TokenChange { number, agent: agent.mark(), authority, forget: false, issue };
                self.settle(change)
            }
            _ => self.log_in_here(number),
        }
    }

    /// What the store has of the client's tokens is there: its proof is right, or not.
    fn on_tokens(
        &mut self,
        now: Now,
        proof: &Proof,
        answer: &CredentialsAnswer,
        config: &SessionConfig,
    ) -> Verdict {
        let tokens = if let Keys::Tokens(tokens) = &answer.keys { &tokens[..] } else { &[] };
        let number = proof.name.number();
        let proved = match proof.verify(tokens, now.wall) {
            Ok(proved) if answer.exists && answer.enabled => proved,
            Ok(_) => return self.fail_later(now, Failure::NotAuthorized, number),
            Err(failure) => return self.fail_later(now, failure, number),
        };
        let (Some(number), Some(wish)) = (number, &mut self.wish) else {
            return self.fail_later(now, Failure::NotAuthorized, number);
        };
        wish.additional = Some(proved.answer.to_vec());
        let fast = wish.fast.as_ref();
        let (count, forget) = (fast.and_then(|fast| fast.count), fast.is_some_and(|fast| fast.invalidate));
        let token = proved.token;
        let renewal_due =
            token.expires <= now.wall + (config.token_life.saturating_sub(config.token_rotation));
        // XEP-0484 3.6: whoever logs out for good is given nothing that it did not ask for.
        let asked = wish.token.map(TokenMechanism::name);
        let issue = asked.or((renewal_due && !forget).then_some(&*token.mechanism));
        let issue = issue.map(|mechanism| self.issue(now, &proof.agent, mechanism, config));
        if count.is_none() && !forget && !token.fresh && issue.is_none() {
            return self.log_in_here(number);
        }
        let authority = Authority::Token { nonce: token.nonce, count };
        self.settle(TokenChange { number, agent: proof.agent.mark(), authority, forget, issue })
    }

    /// A new token for the client, which it is told once the store has it.
    fn issue(
        &mut self,
        now: Now,
        agent: &crate::sasl::token::AgentKey,
        mechanism: &str,
        config: &SessionConfig,
    ) -> NewToken {
        let nonce = self.draw();
        let expires = now.wall + config.token_life;
        if let Some(wish) = &mut self.wish {
            wish.issued = Some(Issued { token: agent.token(&nonce), expires });
        }
        NewToken { nonce, mechanism: mechanism.to_owned(), expires }
    }

    fn settle(&mut self, change: TokenChange) -> Verdict {
        self.step = Step::Settling(change.number);
        self.by_token = matches!(change.authority, Authority::Token { .. });
        Verdict::Tell(Event::Tokens(Box::new(change)))
    }

    /// The tokens have been changed, or not.
    pub(crate) fn on_settled(
        &mut self,
        answer: TokensAnswer,
        config: &SessionConfig,
        out: &mut Outbox,
    ) -> Verdict {
        let Step::Settling(number) = self.step else {
            debug_assert!(false, "an answer that nothing asked for");
            return Verdict::Done;
        };
        match answer {
            TokensAnswer::Done => self.log_in_here(number),
            TokensAnswer::Stale => self.fail(Failure::NotAuthorized, Some(number), config, out),
            // A count that is kept nowhere could be used twice.
            TokensAnswer::Failed if self.by_token => self.fail(Failure::Temporary, Some(number), config, out),
            // The password is right all the same.
            TokensAnswer::Failed => {
                if let Some(wish) = &mut self.wish {
                    wish.issued = None;
                }
                self.log_in_here(number)
            }
        }
    }

    /// The client of an XEP-0388 log-in is who it says; what else it asked for comes once its session is at home.
    fn log_in_here(&mut self, number: AccountNumber) -> Verdict {
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

    /// What was proved is not so. How long it took to find that out depends on what there was to compare with, by microseconds; told at a
    /// time that was fixed before, nobody can see it.
    fn fail_later(&mut self, now: Now, failure: Failure, number: Option<AccountNumber>) -> Verdict {
        self.step = Step::Failing(now.mono + FAIL_AFTER, failure, number);
        Verdict::Done
    }

    /// When [`Negotiation::on_due`] wants to be called, and when it is too late for anything.
    pub(crate) fn next_deadline(&self) -> Instant {
        match self.step {
            Step::Failing(at, ..) => at.min(self.deadline),
            _ => self.deadline,
        }
    }

    /// The time to tell of a failure has come, or not.
    pub(crate) fn on_due(&mut self, now: Now, config: &SessionConfig, out: &mut Outbox) -> Verdict {
        match self.step {
            _ if self.deadline <= now.mono => Verdict::End(StreamErrorKind::ConnectionTimeout),
            Step::Failing(at, failure, number) if at <= now.mono => self.fail(failure, number, config, out),
            _ => Verdict::Done,
        }
    }

    fn fail(
        &mut self,
        failure: Failure,
        number: Option<AccountNumber>,
        config: &SessionConfig,
        out: &mut Outbox,
    ) -> Verdict {
        if self.is_logged_in() {
            return Verdict::End(StreamErrorKind::PolicyViolation);
        }
        self.step = Step::Open;
        self.attempts = (self.attempts & ATTEMPTS).saturating_add(1).min(ATTEMPTS);
        let here = self.wish.take().is_some();
        out.element(|out| {
            let (outer, inner) = if here { (ns::SASL2, Some(ns::SASL)) } else { (ns::SASL, None) };
            write::open(out, "failure").ns(outer).with(|out| {
                write::open(out, failure.name()).attr_opt("xmlns", inner).empty();
            });
        });
        if self.attempts >= config.attempts_max {
            Verdict::FailedTooOften(number)
        } else {
            Verdict::Failed(number)
        }
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

// Two facts about the account of the exchange under way, kept beside the count of attempts.
const DECOY: u8 = 0x80;
const DISABLED: u8 = 0x40;
const ATTEMPTS: u8 = 0x3f;

/// An iq is answered by an error.
pub(crate) fn write_refusal(error: &StanzaError, id: Option<&str>, framed: bool, out: &mut Outbox) {
    let mut reply = Vec::new();
    error.write_reply(&mut reply, "iq", id, None, None);
    out.element(|out| crate::session::write_delivery(&reply, framed, out));
}

/// RFC 6120 6.3.8: a client may act as itself, whether it says so or not.
fn may_act_as(name: &LogInName, authzid: Option<&str>, config: &SessionConfig) -> bool {
    match authzid {
        None | Some("") => true,
        Some(authzid) => {
            authzid.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('@'))
                == Some(&config.domain)
        }
    }
}
