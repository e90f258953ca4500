//! Loading: an account comes into memory, and what waited for it goes on.
//!
//! Owns: nothing. Invariants: inputs that waited go on in their order, before any that come later; of those that cannot
//! wait the sender is told.
//! Not here: which accounts stay in memory (`account`).

use store::{Answer, Op, StoreError};
use xmpp::address::AccountNumber;
use xmpp::error::StreamErrorKind;
use xmpp::stanza::Stanza;

use super::{Router, busy};
use crate::account::Pending;
use crate::output::BindError;
use crate::waiting::Waiting;

impl Router {
    /// Begins to load an account that is not in memory.
    pub(crate) fn load(&mut self, number: AccountNumber) {
        self.accounts.insert(number);
        self.ask(Op::LoadRoster { number }, Waiting::Load(number));
    }

    /// Reads the roster again, since memory and disk may differ.
    pub(crate) fn reload(&mut self, number: AccountNumber) {
        if let Some(account) = self.accounts.get_mut(number).filter(|account| !account.loading) {
            account.loading = true;
            self.ask(Op::LoadRoster { number }, Waiting::Load(number));
        }
    }

    /// Keeps an input until the account is loaded, or gives it back.
    pub(crate) fn put_off(&mut self, number: AccountNumber, input: Pending) -> Result<(), Pending> {
        let max = self.cfg.loading_queue_max;
        let account = self.accounts.get_mut(number).expect("a loading account is in memory");
        if account.pending.len() >= max {
            return Err(input);
        }
        account.pending.push_back(input);
        Ok(())
    }

    pub(super) fn loaded(&mut self, number: AccountNumber, answer: Result<Answer, StoreError>) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        let mut pending = std::mem::take(&mut account.pending);
        if let Ok(Answer::Roster(roster)) = answer {
            account.roster = roster;
            account.loading = false;
            self.finish_binding(number);
            self.show_due_requests(number);
            while let Some(input) = pending.pop_front() {
                // A failed write may have begun another loading meanwhile.
                match self.accounts.get_mut(number) {
                    Some(account) if account.loading => account.pending.push_back(input),
                    _ => self.resume(input),
                }
            }
            return self.accounts.settle(number);
        }
        let bind_error = match answer {
            Err(StoreError::NoSuchAccount) => BindError::NotAllowed,
            _ => BindError::ResourceConstraint,
        };
        for line in account.lines.clone() {
            self.close(line, StreamErrorKind::InternalServerError);
        }
        let account = self.accounts.get_mut(number).expect("closing a line forgets no account");
        for binding in std::mem::take(&mut account.binding) {
            self.refuse_binding(binding.session, bind_error);
        }
        // Lines that are being closed still belong to it; with an empty roster it does no harm.
        let account = self.accounts.get_mut(number).expect("refusing forgets no account");
        account.loading = false;
        account.roster = store::Roster::default();
        if account.lines.is_empty() {
            self.accounts.remove(number);
        }
        let nobody = matches!(answer, Err(StoreError::NoSuchAccount));
        for input in pending {
            match input {
                Pending::Letter(letter) if nobody => self.arrive_nowhere(letter.borrow()),
                Pending::Letter(letter) => self.refuse(letter.borrow(), &busy()),
                Pending::Sent { session, seq, .. } => self.processed(Some((session, seq))),
            }
        }
    }

    pub(crate) fn resume(&mut self, input: Pending) {
        match input {
            Pending::Letter(letter) => self.arrive(letter.borrow()),
            Pending::Sent { session, seq, stanza } => {
                match (self.lines.find(session), Stanza::parse(&stanza)) {
                    (Some(line), Ok(stanza)) => self.sent(line, seq, &stanza),
                    _ => self.processed(Some((session, seq))),
                }
            }
        }
    }
}
