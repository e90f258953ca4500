//! Proving: the steps by which a client shows which number it is.
//!
//! Spec: RFC 6120 6 (SASL); XEP-0388 (SASL2), 0484 (tokens), 0474 (which mechanisms were offered is part of what is proved).
//! Owns: the attempts. Invariants: both profiles of SASL take the same steps; what was proved in vain is told at a time that does
//! not depend on why.
//! Not here: the arithmetic (`sasl`), who is slowed down (`limits`), what follows (`binding`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use store::{Authority, NewToken, TokenChange};
use xmpp::address::AccountNumber;
use xmpp::error::StreamErrorKind;
use xmpp::stanza::Stanza;
use xmpp::time::{Instant, Now};
use xmpp::{ns, write};

use super::wish::{Issued, Wish};
use super::{Negotiation, Step, Verdict};
use crate::config::{CarrierFacts, SessionConfig};
use crate::event::{Event, TokensAnswer};
use crate::outbox::Outbox;
use crate::sasl::scram::{Challenged, ClientFirst};
use crate::sasl::token::{Proof, TokenMechanism};
use crate::sasl::{
    CredentialsAnswer, CredentialsRequest, Failure, Keys, LogInName, Mechanism, downgrade, plain,
};

// Two facts about the account of the exchange under way, kept beside the count of attempts.
const DECOY: u8 = 0x80;
const DISABLED: u8 = 0x40;
pub(super) const ATTEMPTS: u8 = 0x3f;

/// When a client is told that what it proved is wrong, after it came. Later than any comparing takes.
const FAIL_AFTER: Duration = Duration::from_millis(1);

impl Negotiation {
    pub(super) fn on_auth(
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
    pub(super) fn on_authenticate(
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

    pub(super) fn on_response(
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

    pub(super) fn fail(
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
