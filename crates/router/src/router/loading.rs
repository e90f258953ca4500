//! Loading: an account comes into memory, and what waited for it goes on.
//!
//! Owns: nothing. Invariants: inputs that waited go on in their order, what the account's sessions said before what came
//! for it, and all before any that come later; of those that cannot
//! wait the sender is told; a roster that could not be read is never taken for an empty one.
//! Not here: which accounts stay in memory (`account`).

use store::{Answer, Op, StoreError};
use xmpp::address::AccountNumber;
use xmpp::error::StreamErrorKind;
use xmpp::stanza::{Stanza, StanzaKind};

use super::Router;
use crate::account::Pending;
use crate::features;
use crate::line::SessionId;
use crate::output::BindError;
use crate::parcel::{Place, Receipt};
use crate::waiting::Waiting;

impl Router {
    /// Begins to load an account that is not in memory, or could not be read.
    pub(crate) fn load(&mut self, number: AccountNumber) {
        let account = self.accounts.insert(number);
        (account.loading, account.unread) = (true, false);
        // The store answers in order: what features ask for is there before the roster is.
        features::on_load(self, number);
        self.ask(Op::LoadRoster { number }, Waiting::Load(number));
    }

    /// Reads the roster again, unless that is under way: memory and disk may differ, or it could not be read before.
    pub(crate) fn reload(&mut self, number: AccountNumber) {
        if self.accounts.get(number).is_some_and(|account| !account.loading) {
            self.load(number);
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

    /// Keeps the end of a session, and what comes after it, until the account is loaded: what the session sent before
    /// goes first. A session ends once, and what is on its way to it is bounded there, so these always find room.
    pub(super) fn put_off_end(&mut self, number: AccountNumber, end: Pending) {
        if let Some(account) = self.accounts.get_mut(number) {
            account.pending.push_back(end);
        }
    }

    pub(super) fn loaded(&mut self, number: AccountNumber, answer: Result<Answer, StoreError>) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        account.loading = false;
        let known = !std::mem::take(&mut account.unknown);
        match answer {
            Ok(Answer::Roster(roster)) if known => {
                account.roster = roster;
                self.finish_binding(number);
                self.show_due_requests(number);
                let pending =
                    self.accounts.get_mut(number).map(|account| std::mem::take(&mut account.pending));
                // What an ended session had is older than what has come since; and no session that sent something has
                // seen what has come, so neither order is wrong for the rest.
                let (letters, own): (Vec<_>, Vec<_>) = pending
                    .unwrap_or_default()
                    .into_iter()
                    .partition(|input| matches!(input, Pending::Letter(_)));
                for input in own.into_iter().chain(letters) {
                    self.resume(number, input);
                }
            }
            answer => self.not_loaded(number, matches!(answer, Err(StoreError::NoSuchAccount))),
        }
        self.accounts.settle(number);
    }

    /// The roster cannot be read, or there is none: nobody stays logged in without one, and what waited is refused.
    fn not_loaded(&mut self, number: AccountNumber, nobody: bool) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        account.unread = true;
        account.roster = store::Roster::default();
        let (pending, binding) = (std::mem::take(&mut account.pending), std::mem::take(&mut account.binding));
        for binding in binding {
            let error = if nobody { BindError::NotAllowed } else { BindError::ResourceConstraint };
            self.refuse_binding(binding.session, error);
        }
        let (ends, rest): (Vec<_>, Vec<_>) = pending
            .into_iter()
            .partition(|input| matches!(input, Pending::Unbound { .. } | Pending::Returned { .. }));
        for input in rest {
            match input {
                Pending::Letter(letter) if nobody => self.arrive_nowhere(letter.borrow()),
                Pending::Letter(letter) => self.refuse_as_busy(letter.borrow()),
                Pending::Sent { session, place, stanza } => {
                    self.resume_without_roster(session, place, &stanza);
                }
                Pending::Unbound { .. } | Pending::Returned { .. } => {}
            }
        }
        let lines = self.accounts.get(number).map(|account| account.lines.clone()).unwrap_or_default();
        for line in lines {
            self.close(line, StreamErrorKind::InternalServerError);
        }
        for input in ends {
            self.resume(number, input);
        }
    }

    pub(crate) fn resume(&mut self, number: AccountNumber, input: Pending) {
        match input {
            Pending::Letter(letter) => self.arrive(letter.borrow()),
            Pending::Sent { session, place, stanza } => {
                match (self.line_of(session), Stanza::parse(&stanza)) {
                    (Some(line), Ok(stanza)) => self.sent(line, place, &stanza),
                    _ => self.processed(Some(Receipt::whole(session, place.seq))),
                }
            }
            Pending::Unbound { session, undelivered } => self.unbound(session, undelivered),
            Pending::Returned { session, stanza, tag } => self.came_back(number, session, stanza, tag),
        }
    }

    /// A message needs no roster; the rest is refused while its sender may still hear of it.
    fn resume_without_roster(&mut self, session: SessionId, place: Place, stanza: &[u8]) {
        let whole = Some(Receipt::whole(session, place.seq));
        match (self.line_of(session), Stanza::parse(stanza)) {
            (Some(line), Ok(stanza)) if stanza.kind() == StanzaKind::Message => {
                let ack = self.receipt(line, place, &stanza);
                self.dispatch(line, &stanza, ack);
            }
            (Some(line), Ok(stanza)) => self.refuse_sent_as_busy(line, &stanza, whole),
            _ => self.processed(whole),
        }
    }
}
