//! Negotiation: everything that may come before a resource is bound: STARTTLS, SASL, the request to bind.
//!
//! Spec: RFC 6120 5 (STARTTLS), 6 (SASL), 7 (binding); XEP-0388 (SASL2), 0386 (Bind 2), 0484 (tokens); XEP-0198 5 (asking
//! to resume).
//! Owns: the step, the randomness and channel bindings handed in. It is boxed, and gone once a resource is bound.
//! Invariants: PLAIN is read only from an encrypted stream; a stanza before its time ends the stream; an answer is waited
//! for in exactly one step, and input waits with it.
//! Not here: the stream around it (`session`), the steps of SASL (`proving`), those behind it (`binding`), what is offered
//! (`features`), what is asked for along with a log-in (`wish`).

mod binding;
mod features;
mod proving;
mod registering;
pub(crate) mod wish;

use xmpp::address::AccountNumber;
use xmpp::error::StreamErrorKind;
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::time::{Instant, Now};
use xmpp::{ns, write};

use crate::config::{CarrierFacts, ChannelBindings, SessionConfig};
use crate::event::Event;
use crate::outbox::Outbox;
use crate::sasl::keys::hmac_sha256;
use crate::sasl::scram::{Challenged, ClientFirst};
use crate::sasl::token::Proof;
use crate::sasl::{Failure, LogInName, Mechanism};
use features::{Offer, write_logged_in};
use registering::{Asked, Held};
use wish::Wish;

pub(crate) use binding::write_refusal;

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

    /// XEP-0388 2.6.1: what a client that logged in by one message is offered.
    fn write_features_after(&self, config: &SessionConfig, facts: &CarrierFacts, out: &mut Outbox) {
        let framed = facts.carrier.is_framed();
        out.element(|out| {
            let tag = write::open(out, "stream:features");
            tag.attr_opt("xmlns:stream", framed.then_some(ns::STREAMS))
                .with(|out| write_logged_in(config, true, out));
        });
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
}
