//! Negotiation: everything that may come before a resource is bound: STARTTLS, SASL, the request to bind.
//!
//! Spec: RFC 6120 4.3 (features), 5 (STARTTLS), 6 (SASL), 7 (binding); XEP-0440, XEP-0478; XEP-0198 5 (no resumption yet).
//! Owns: the step, the attempts, the randomness handed in. It is boxed, and gone once a resource is bound.
//! Invariants: PLAIN is read only from an encrypted stream; a stanza before its time ends the stream; an answer is waited
//! for in exactly one step, and input waits with it.
//! Not here: the stream around it (`session`), the exchange's arithmetic (`sasl`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use xmpp::address::{AccountNumber, Jid};
use xmpp::error::{StanzaError, StreamErrorKind};
use xmpp::ns;
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::time::Instant;
use xmpp::write;

use crate::config::{CarrierFacts, SessionConfig};
use crate::event::Event;
use crate::outbox::Outbox;
use crate::sasl::keys::hmac_sha256;
use crate::sasl::scram::{Challenged, ClientFirst, TLS_EXPORTER};
use crate::sasl::{CredentialsAnswer, CredentialsRequest, Failure, Keys, LogInName, Mechanism, plain};

/// What one element of the negotiation leads to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It was answered; go on.
    Done,
    /// The server has something to do.
    Tell(Event<'static>),
    /// The client has proved who it is: its next octets open a new stream (RFC 6120 6.4.6).
    LoggedIn(AccountNumber),
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
    /// SCRAM: the challenge was sent.
    Challenged(Box<Challenged>),
    /// A number is proved; a resource may be asked for.
    LoggedIn(AccountNumber),
    /// A resource was asked for by the request with this id.
    Binding(AccountNumber, Option<String>),
}

/// The negotiation of one session.
#[derive(Debug)]
pub(crate) struct Negotiation {
    step: Step,
    seed: [u8; 32],
    draws: u32,
    attempts: u8,
    pub(crate) deadline: Instant,
}

impl Negotiation {
    pub(crate) fn new(seed: [u8; 32], deadline: Instant) -> Negotiation {
        Negotiation { step: Step::Open, seed, draws: 0, attempts: 0, deadline }
    }

    /// Fresh randomness from the seed.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        self.draws += 1;
        hmac_sha256(&self.seed, &[&self.draws.to_be_bytes()])
    }

    /// Whether more input can be taken, or an answer must come first.
    pub(crate) fn wants_input(&self) -> bool {
        !matches!(self.step, Step::Securing | Step::LookingUp(_) | Step::Checking(_) | Step::Binding(..))
    }

    /// Whether a number has been proved.
    pub(crate) fn is_logged_in(&self) -> bool {
        matches!(self.step, Step::LoggedIn(_) | Step::Binding(..))
    }

    /// Appends `<stream:features/>` for this step.
    pub(crate) fn write_features(&self, config: &SessionConfig, facts: &CarrierFacts, out: &mut Vec<u8>) {
        let declared = facts.carrier.is_framed().then_some(ns::STREAMS);
        write::open(out, "stream:features").attr_opt("xmlns:stream", declared).with(|out| {
            if self.is_logged_in() {
                write::open(out, "bind").ns(ns::BIND).empty();
                write::open(out, "session").ns(ns::SESSION).with(|out| write::open(out, "optional").empty());
                write::open(out, "sm").ns(ns::SM).empty();
                out.extend_from_slice(config.stream_features.as_bytes());
                write_limits(out, config.stanza_max, Some(config.idle_max.as_secs()));
                return;
            }
            let offered = offered(config, facts);
            if facts.can_starttls && !facts.encrypted {
                write::open(out, "starttls").ns(ns::TLS).with(|out| {
                    if offered.is_empty() {
                        write::open(out, "required").empty();
                    }
                });
            }
            if !offered.is_empty() {
                write::open(out, "mechanisms").ns(ns::SASL).with(|out| {
                    offered.iter().for_each(|mechanism| write::open(out, "mechanism").text(mechanism.name()));
                });
            }
            if offered.iter().any(|mechanism| mechanism.is_plus()) {
                // XEP-0440.
                write::open(out, "sasl-channel-binding").ns(ns::SASL_CB).with(|out| {
                    write::open(out, "channel-binding").attr("type", TLS_EXPORTER).empty();
                });
            }
            write_limits(out, config.stanza_max_unauth, None);
        });
    }

    /// Takes a top-level element.
    pub(crate) fn on_element(
        &mut self,
        element: &Stanza<'_>,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        if element.kind() != StanzaKind::Other {
            return self.on_stanza(element);
        }
        let namespace = element.ns();
        match (&*namespace, element.name()) {
            (ns::TLS, "starttls") => self.on_starttls(facts, out),
            (ns::SASL, "auth") => self.on_auth(element, config, facts, out),
            (ns::SASL, "response") => self.on_response(element, config, facts, out),
            (ns::SASL, "abort") => self.fail(Failure::Aborted, None, config, out),
            (ns::SM, "resume") if self.is_logged_in() => {
                out.element(|out| {
                    write::open(out, "failed").ns(ns::SM).with(|out| {
                        write::open(out, "item-not-found").ns(ns::STANZA_ERRORS).empty();
                    });
                });
                Verdict::Done
            }
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

    fn on_stanza(&mut self, stanza: &Stanza<'_>) -> Verdict {
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
        Verdict::Tell(Event::Bind { number, resource })
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
    pub(crate) fn on_secured(&mut self) {
        debug_assert!(matches!(self.step, Step::Securing), "TLS begins after <proceed/>");
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
        let offered = offered(config, facts);
        let Some(mechanism) = asked.filter(|mechanism| offered.contains(mechanism)) else {
            let known = asked.is_some_and(|mechanism| config.mechanisms.contains(&mechanism));
            let failure = match known {
                true if !facts.encrypted && offered.is_empty() => Failure::EncryptionRequired,
                true if !facts.encrypted => Failure::MechanismTooWeak,
                _ => Failure::InvalidMechanism,
            };
            return self.fail(failure, None, config, out);
        };
        let text = element.text();
        match text.trim() {
            "" => {
                // RFC 6120 6.4.2: without an initial response an empty challenge asks for it.
                self.step = Step::Initial(mechanism);
                out.element(|out| write::open(out, "challenge").ns(ns::SASL).empty());
                Verdict::Done
            }
            text => self.on_initial(mechanism, text, config, facts, out),
        }
    }

    fn on_response(
        &mut self,
        element: &Stanza<'_>,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        let text = element.text();
        match std::mem::replace(&mut self.step, Step::Open) {
            Step::Initial(mechanism) => self.on_initial(mechanism, text.trim(), config, facts, out),
            Step::Challenged(exchange) => self.on_final(&exchange, text.trim(), config, out),
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
            })));
        }
        let plus_offered = offered(config, facts).iter().any(|mechanism| mechanism.is_plus());
        let first = match ClientFirst::parse(&bytes, mechanism, facts.tls_exporter, plus_offered) {
            Ok(first) => first,
            Err(failure) => return self.fail(failure, None, config, out),
        };
        if !may_act_as(&first.name, first.authzid.as_deref(), config) {
            return self.fail(Failure::InvalidAuthzid, None, config, out);
        }
        let request = CredentialsRequest { name: first.name.clone(), mechanism, password: None };
        self.step = Step::LookingUp(Box::new(first));
        Verdict::Tell(Event::Credentials(Box::new(request)))
    }

    /// The keys have been looked up, or the password checked.
    pub(crate) fn on_credentials(
        &mut self,
        answer: CredentialsAnswer,
        config: &SessionConfig,
        out: &mut Outbox,
    ) -> Verdict {
        match std::mem::replace(&mut self.step, Step::Open) {
            Step::LookingUp(first) if !answer.failed => {
                let randomness = self.draw();
                debug_assert!(first.mechanism() != Mechanism::Plain);
                let exchange = first.challenge(answer.keys, &randomness);
                let challenge = BASE64.encode(exchange.server_first());
                out.element(|out| write::open(out, "challenge").ns(ns::SASL).text(&challenge));
                // Whether it exists and may log in is settled only behind a proof.
                self.attempts |= if answer.exists && answer.enabled { 0 } else { DECOY };
                self.attempts |= if answer.exists && !answer.enabled { DISABLED } else { 0 };
                self.step = Step::Challenged(Box::new(exchange));
                Verdict::Done
            }
            Step::Checking(name) if !answer.failed => {
                let proved = matches!(answer.keys, Keys::Checked(true)) && answer.exists;
                self.conclude(proved.then(String::new), &name, answer.enabled, config, out)
            }
            Step::LookingUp(_) | Step::Checking(_) => self.fail(Failure::Temporary, None, config, out),
            other => {
                debug_assert!(false, "an answer that nothing asked for");
                self.step = other;
                Verdict::Done
            }
        }
    }

    fn on_final(
        &mut self,
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
            Ok(_) if flags == DECOY => {
                self.fail(Failure::NotAuthorized, exchange.name().number(), config, out)
            }
            Ok(proof) => self.conclude(Some(proof), exchange.name(), flags & DISABLED == 0, config, out),
            Err(failure) => self.fail(failure, exchange.name().number(), config, out),
        }
    }

    fn conclude(
        &mut self,
        proof: Option<String>,
        name: &LogInName,
        enabled: bool,
        config: &SessionConfig,
        out: &mut Outbox,
    ) -> Verdict {
        let (Some(proof), Some(number)) = (proof, name.number()) else {
            return self.fail(Failure::NotAuthorized, name.number(), config, out);
        };
        if !enabled {
            return self.fail(Failure::AccountDisabled, Some(number), config, out);
        }
        out.element(|out| match proof.is_empty() {
            true => write::open(out, "success").ns(ns::SASL).empty(),
            false => write::open(out, "success").ns(ns::SASL).text(&BASE64.encode(&proof)),
        });
        self.step = Step::LoggedIn(number);
        Verdict::LoggedIn(number)
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
        out.element(|out| {
            write::open(out, "failure").ns(ns::SASL).with(|out| write::open(out, failure.name()).empty());
        });
        if self.attempts >= config.attempts_max {
            Verdict::FailedTooOften(number)
        } else {
            Verdict::Failed(number)
        }
    }

    /// The resource is bound: the answer to the client's request. A message of its own declares its namespace
    /// (RFC 7395 3.3.3).
    pub(crate) fn write_bound(&self, jid: &Jid, framed: bool, out: &mut Vec<u8>) {
        let Step::Binding(_, id) = &self.step else { return };
        let iq = write::open(out, "iq").attr_opt("xmlns", framed.then_some(ns::CLIENT));
        iq.attr("type", "result").attr_opt("id", id.as_deref()).with(|out| {
            write::open(out, "bind").ns(ns::BIND).with(|out| write::open(out, "jid").text(jid.as_str()));
        });
    }

    /// The resource is refused, in these words; the client may ask for another.
    pub(crate) fn on_bind_refused(&mut self, error: &StanzaError) -> Option<Vec<u8>> {
        let Step::Binding(number, id) = &mut self.step else { return None };
        let mut reply = Vec::new();
        error.write_reply(&mut reply, "iq", id.as_deref(), None, None);
        self.step = Step::LoggedIn(*number);
        Some(reply)
    }
}

// Two facts about the account of the exchange under way, kept beside the count of attempts.
const DECOY: u8 = 0x80;
const DISABLED: u8 = 0x40;
const ATTEMPTS: u8 = 0x3f;

/// The mechanisms that this carrier may use.
fn offered(config: &SessionConfig, facts: &CarrierFacts) -> Vec<Mechanism> {
    let usable = |mechanism: &&Mechanism| match mechanism {
        mechanism if mechanism.is_plus() => facts.encrypted && facts.tls_exporter.is_some(),
        // RFC 6120 6.3.8 and 13.8: a password travels only under TLS, on loopback too.
        Mechanism::Plain => facts.encrypted,
        _ => facts.encrypted || facts.clear_text_allowed,
    };
    config.mechanisms.iter().filter(usable).copied().collect()
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

/// XEP-0478.
fn write_limits(out: &mut Vec<u8>, octets: u32, idle_secs: Option<u64>) {
    write::open(out, "limits").ns(ns::STREAM_LIMITS).with(|out| {
        write::open(out, "max-bytes").text(&octets.to_string());
        if let Some(secs) = idle_secs {
            write::open(out, "idle-seconds").text(&secs.to_string());
        }
    });
}
