//! Registering before a log-in: an invite is shown, a number is held, an account is made.
//!
//! Spec: XEP-0077 3.1, XEP-0445 4.
//! Owns: what is held for this client. Invariants: an account is made with the number that is held, and no other; a
//! single-use invite is used up by that and by nothing before it.
//! Not here: the words (`register`), accounts of who has logged in (`session::talk`).

use store::InviteMark;
use xmpp::address::AccountNumber;
use xmpp::error::{StanzaCondition, StanzaError, StreamErrorKind};
use xmpp::time::Now;

use super::proving::ATTEMPTS;
use super::wish::Secret;
use super::{Negotiation, Step, Verdict, write_refusal};
use crate::config::{CarrierFacts, SessionConfig};
use crate::event::Event;
use crate::outbox::Outbox;
use crate::register::{self, RegisterAnswer, RegisterRequest, Registration, Said};

/// What was asked about an account that is to be.
#[derive(Debug)]
pub(super) enum Asked {
    /// Whether an invite is good, known by this.
    Show(InviteMark),
    /// What is to be filled in; a number is being held, known by this.
    Form(InviteMark),
    /// The account; a number is being held for it first, known by this.
    Hold(InviteMark, Secret),
    /// The account. Whether its number was named.
    Create { named: bool },
}

/// The number that is held for a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    mark: InviteMark,
    number: AccountNumber,
}

impl Negotiation {
    pub(super) fn on_register(
        &mut self,
        now: Now,
        id: Option<String>,
        said: Said,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        let framed = facts.carrier.is_framed();
        let open = config.registration == Registration::Open;
        let refuse =
            |condition: StanzaCondition, text: &'static str| StanzaError::new(condition).with_text(text);
        let asked = match (said, self.held) {
            _ if !self.offer(config, facts).may_register() => {
                Err(refuse(StanzaCondition::ServiceUnavailable, "accounts are not made here"))
            }
            (Said::Preauth(mark), _) => Ok((Asked::Show(mark), RegisterRequest::Show { mark })),
            (Said::Get, Some(Held { number, .. })) => {
                let form = |out: &mut Vec<u8>| register::write_form(number, false, out);
                out.element(|out| register::write_result(id.as_deref(), framed, form, out));
                return Verdict::Done;
            }
            (Said::Set { username, password }, Some(Held { mark, number })) => {
                let asked = Asked::Create { named: !username.is_empty() };
                register::check(number, &username, &password)
                    .map(|()| (asked, RegisterRequest::Create { mark, number, password }))
            }
            (Said::Get, None) if open => {
                let mark = self.draw();
                Ok((
                    Asked::Form(mark),
                    RegisterRequest::Hold { mark, until: now.wall + config.registration_max },
                ))
            }
            (Said::Set { username, password }, None) if open && username.is_empty() => {
                let mark = self.draw();
                let asked = Asked::Hold(mark, Secret(password));
                Ok((asked, RegisterRequest::Hold { mark, until: now.wall + config.registration_max }))
            }
            (Said::Set { .. }, None) if open => Err(refuse(
                StanzaCondition::NotAcceptable,
                "numbers are given out in their order: ask which is yours, or name none",
            )),
            (Said::Get | Said::Set { .. }, None) => {
                Err(refuse(StanzaCondition::NotAllowed, "accounts are made by invite: show one first"))
            }
            (Said::Remove, _) => Err(refuse(StanzaCondition::RegistrationRequired, "log in first")),
        };
        match asked {
            Ok((asked, request)) => {
                self.step = Step::Registering(id, asked);
                Verdict::Tell(Event::Register(Box::new(request)))
            }
            Err(error) => {
                write_refusal(&error, id.as_deref(), framed, out);
                Verdict::Done
            }
        }
    }

    /// What was asked has been seen to.
    pub(crate) fn on_registered(
        &mut self,
        now: Now,
        answer: RegisterAnswer,
        config: &SessionConfig,
        facts: &CarrierFacts,
        out: &mut Outbox,
    ) -> Verdict {
        let framed = facts.carrier.is_framed();
        let (id, asked) = match std::mem::replace(&mut self.step, Step::Open) {
            Step::Registering(id, asked) => (id, asked),
            other => {
                debug_assert!(false, "an answer that nothing asked for");
                self.step = other;
                return Verdict::Done;
            }
        };
        let number = match answer {
            Ok(number) => number,
            Err(refusal) => {
                write_refusal(&refusal.error(), id.as_deref(), framed, out);
                self.attempts = (self.attempts & ATTEMPTS).saturating_add(1).min(ATTEMPTS);
                // Nobody guesses an invite, but whoever tries need not do so on one stream for ever.
                let too_often = self.attempts >= config.attempts_max;
                return if too_often {
                    Verdict::End(StreamErrorKind::PolicyViolation)
                } else {
                    Verdict::Done
                };
            }
        };
        if let Asked::Show(mark) | Asked::Form(mark) | Asked::Hold(mark, _) = asked {
            self.held = Some(Held { mark, number });
            self.deadline = self.deadline.max(now.mono + config.registration_max);
        }
        let named = match asked {
            Asked::Show(_) => true,
            Asked::Form(_) => {
                let form = |out: &mut Vec<u8>| register::write_form(number, false, out);
                out.element(|out| register::write_result(id.as_deref(), framed, form, out));
                return Verdict::Done;
            }
            Asked::Hold(_, Secret(password)) => {
                let said = Said::Set { username: String::new(), password };
                return self.on_register(now, id, said, config, facts, out);
            }
            Asked::Create { named } => {
                self.held = None;
                self.deadline = now.mono + config.negotiation_max;
                named
            }
        };
        let made = |out: &mut Vec<u8>| {
            if !named {
                register::write_made(number, out);
            }
        };
        out.element(|out| register::write_result(id.as_deref(), framed, made, out));
        Verdict::Done
    }
}
