//! Accounts over XMPP: invites are shown, numbers held, accounts made, changed and given up, as sessions ask.
//!
//! Spec: XEP-0077, XEP-0445.
//! Invariants: a password becomes keys beside the store's thread, as PLAIN's do; whoever asked is answered before the
//! account's home hears of the change; without an invite an address makes so many accounts an hour.
//! Not here: the words (`session::register`), invites (`store::invite`).

use std::net::IpAddr;

use router::{AccountChange, SessionId};
use session::sasl::keys::{SALT_LEN, derive_keys};
use session::{RegisterAnswer, RegisterRefusal, RegisterRequest};
use store::{Answer, Hold, Invite, Op, Request, StoreError};
use xmpp::address::AccountNumber;
use xmpp::time::Instant;

use super::{Derivation, Origin, StoreDesk};
use crate::letter::Letter;

/// What a change does to an account that is there, once it is durable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Done {
    /// Nothing: a number is held, or an account made.
    Held,
    /// It has another password.
    Password(AccountNumber),
    /// It is gone.
    Removed(AccountNumber),
}

impl Done {
    pub(super) fn of(op: &Op) -> Self {
        match op {
            Op::SetCredentials { number, .. } => Self::Password(*number),
            Op::DeleteAccount { number } => Self::Removed(*number),
            _ => Self::Held,
        }
    }
}

impl StoreDesk {
    /// A session wants something.
    pub(super) fn register(
        &mut self,
        now: Instant,
        from: u8,
        session: SessionId,
        address: IpAddr,
        request: RegisterRequest,
    ) {
        let op = match request {
            RegisterRequest::Show { mark } => Op::ShowInvite { mark },
            RegisterRequest::Hold { mark, until } => {
                if !self.registrations.allows(now, address) {
                    return self.registered(from, session, Err(RegisterRefusal::TooMany));
                }
                Op::CreateInvite { mark, hold: Hold::First, expires: until, inviter: None }
            }
            RegisterRequest::Remove { number } => Op::DeleteAccount { number },
            request @ (RegisterRequest::Create { .. } | RegisterRequest::Password { .. }) => {
                return self.derive_new(from, session, request);
            }
        };
        self.register_op(from, session, op);
    }

    /// The same, where no password is left to become keys.
    pub(super) fn register_op(&mut self, from: u8, session: SessionId, op: Op) {
        self.origins.push_back(Origin::Register(from, session, Done::of(&op)));
        self.batch.push(Request { token: 0, op });
    }

    fn derive_new(&mut self, from: u8, session: SessionId, request: RegisterRequest) {
        match &self.derive {
            Some(derive) => {
                if derive.try_send(Derivation::Register { from, session, request }).is_err() {
                    self.registered(from, session, Err(RegisterRefusal::Failed));
                }
            }
            None => match keys_of(request, self.iterations) {
                Ok(op) => self.register_op(from, session, *op),
                Err(refusal) => self.registered(from, session, Err(refusal)),
            },
        }
    }

    /// What the store says.
    pub(super) fn on_registered(
        &mut self,
        from: u8,
        session: SessionId,
        done: Done,
        answer: Result<Answer, StoreError>,
    ) {
        let answer = match (answer, done) {
            (Ok(Answer::Invite(Invite { number: Some(number), .. })), _) => Ok(number),
            (Ok(_), Done::Password(number) | Done::Removed(number)) => Ok(number),
            (Ok(_), Done::Held) | (Err(StoreError::NoSuchItem), _) => Err(RegisterRefusal::NoInvite),
            (Err(StoreError::NumberTaken), _) => Err(RegisterRefusal::Taken),
            (Err(StoreError::NoSuchAccount), _) => Err(RegisterRefusal::NoAccount),
            (Err(StoreError::QuotaExceeded), _) => Err(RegisterRefusal::TooMany),
            (Err(error), _) => {
                tracing::error!(%error, "what a client wanted of accounts could not be kept");
                Err(RegisterRefusal::Failed)
            }
        };
        let changed = answer.is_ok();
        self.registered(from, session, answer);
        let (number, change) = match done {
            Done::Password(number) if changed => (number, AccountChange::OwnPassword { by: session }),
            Done::Removed(number) if changed => (number, AccountChange::Deleted),
            _ => return,
        };
        let home = router::Router::home(number, self.loops.len() as u16);
        self.loops[usize::from(home)].stage(Letter::Account { number, change });
    }

    fn registered(&mut self, to: u8, session: SessionId, answer: RegisterAnswer) {
        self.loops[usize::from(to)].stage(Letter::Registered { session, answer });
    }
}

/// What is kept of a new password, and where.
pub(super) fn keys_of(request: RegisterRequest, iterations: u32) -> Result<Box<Op>, RegisterRefusal> {
    let keys = |password: &str| {
        let mut salt = [0; SALT_LEN];
        getrandom::fill(&mut salt).map_err(|_| RegisterRefusal::Failed)?;
        let keys = derive_keys(password, salt, iterations).map_err(|_| RegisterRefusal::UnfitPassword)?;
        Ok(Box::new(keys))
    };
    Ok(Box::new(match request {
        RegisterRequest::Create { mark, number, password } => {
            Op::AcceptInvite { mark, number, credentials: keys(&password)? }
        }
        RegisterRequest::Password { number, password } => {
            Op::SetCredentials { number, credentials: keys(&password)? }
        }
        // These have no password, and are not sent here.
        RegisterRequest::Show { .. } | RegisterRequest::Hold { .. } | RegisterRequest::Remove { .. } => {
            return Err(RegisterRefusal::Failed);
        }
    }))
}
