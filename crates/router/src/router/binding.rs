//! Binding: a session gets its resource, and gives it back.
//!
//! Spec: RFC 6120 section 7; 7.7.2.2 where the resource is taken.
//! Owns: nothing. Invariants: a session is bound only when nobody has its resource and its account is loaded; what an
//! older session had in hand is with others, or kept, before its successor is bound.
//! Not here: what a line does (`line`, `presence`).

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use xmpp::address::{AccountNumber, JidRef};
use xmpp::error::StreamErrorKind;
use xmpp::stanza::Stanza;

use super::Router;
use crate::account::{Binding, Pending};
use crate::features;
use crate::line::{Line, LineFacts, LineId, SessionId};
use crate::output::BindError;
use crate::parcel::{Freight, Parcel, Undelivered};
use crate::tag::Tag;

impl Router {
    pub(super) fn bind(
        &mut self,
        session: SessionId,
        number: AccountNumber,
        resource: Option<&str>,
        facts: LineFacts,
    ) {
        let (jid, bare_len) = match self.make_jid(session, number, resource) {
            Ok(made) => made,
            Err(error) => return self.refuse_binding(session, error),
        };
        if self.accounts.get(number).is_none_or(|account| account.unread) {
            if self.store_is_busy() {
                return self.refuse_binding(session, BindError::ResourceConstraint);
            }
            self.load(number);
        }
        let binding = Binding { session, jid, bare_len, facts };
        // RFC 6120 7.7.2.2: the newer session wins; the older one was most likely left behind by a dead connection.
        let lines = self.lines_of(number);
        let same = lines.iter().copied().find(|&line| self.lines[line].resource() == binding.resource());
        if let Some(line) = same {
            self.close(line, StreamErrorKind::Conflict);
        }
        let account = self.accounts.get_mut(number).expect("it was just loaded");
        let same = account.binding.iter().position(|other| other.resource() == binding.resource());
        let older = same.map(|at| account.binding.remove(at).session);
        let in_use = account.binding.len() + self.lines_of(number).len();
        if in_use >= self.cfg.resources_max {
            return self.refuse_binding(session, BindError::ResourceConstraint);
        }
        let account = self.accounts.get_mut(number).expect("it was just loaded");
        account.binding.push(binding);
        self.binding.insert(session, number);
        if let Some(older) = older {
            self.binding.remove(&older);
            self.refuse_binding(older, BindError::ResourceConstraint);
        }
        self.finish_binding(number);
    }

    pub(crate) fn make_jid(
        &mut self,
        session: SessionId,
        number: AccountNumber,
        resource: Option<&str>,
    ) -> Result<(String, usize), BindError> {
        let chosen;
        let resource = match resource {
            Some(resource) if resource.len() <= self.cfg.resource_bytes_max => resource,
            Some(_) => return Err(BindError::BadRequest),
            None => {
                // RFC 6120 7.6: hard to guess. The key is random, the number is never used again.
                let mut hasher = SipHasher13::new_with_key(&self.cfg.key);
                self.last_number += 1;
                hasher.write_u64(session.to_bits());
                hasher.write_u64(self.last_number);
                chosen = format!("{:016x}", hasher.finish());
                &chosen
            }
        };
        let text = format!("{number}@{}/{resource}", self.cfg.domain);
        let jid = JidRef::parse(&text).map_err(|_| BindError::BadRequest)?;
        Ok((jid.as_str().to_owned(), jid.bare().len()))
    }

    pub(super) fn refuse_binding(&mut self, session: SessionId, error: BindError) {
        self.binding.remove(&session);
        if session.of_loop() == self.this_loop {
            self.guests.remove(&session);
            self.out.bind_refused(session, error);
        } else {
            self.post(session.of_loop(), Freight::BindRefused { session, error });
        }
    }

    /// Binds those who wait for nothing any more: neither for the roster, nor for an older session to hand back what it
    /// had, which must go before anything newer.
    pub(super) fn finish_binding(&mut self, number: AccountNumber) {
        let Some(mut account) = self.accounts.get_mut(number).filter(|account| !account.loading) else {
            return;
        };
        let mut at = 0;
        while at < account.binding.len() {
            let lines = &self.lines;
            if account.lines.iter().any(|&line| lines[line].resource() == account.binding[at].resource()) {
                at += 1;
                continue;
            }
            let Binding { session, jid, bare_len, facts } = account.binding.remove(at);
            self.binding.remove(&session);
            let mut line = Line::new(session, number, jid, bare_len);
            line.acknowledging = facts.acknowledging;
            let line = self.lines.insert(line);
            account.lines.push(line);
            let mut inline = Vec::new();
            if let Some(asked) =
                facts.inline.as_deref().and_then(|asked| Stanza::parse(asked.as_bytes()).ok())
            {
                asked.children().for_each(|asked| features::on_inline(self, line, &asked, &mut inline));
            }
            let jid = self.lines[line].jid();
            if session.of_loop() == self.this_loop {
                self.out.bound(session, jid, &inline);
            } else {
                let freight = Freight::Bound { session, jid: jid.into(), inline: inline.into() };
                self.out.post(session.of_loop(), Parcel::new(freight));
            }
            let Some(again) = self.accounts.get_mut(number) else { return };
            account = again;
        }
    }

    /// Ends a line from our side: it is told to close, and is nobody's recipient from now on.
    pub(crate) fn close(&mut self, line: LineId, error: StreamErrorKind) {
        if self.lines[line].closing {
            return;
        }
        self.lines[line].closing = true;
        self.leave(line);
        let session = self.lines[line].session;
        if self.lines[line].resumable.as_ref().is_some_and(|resumable| resumable.is_changing_hands()) {
            // Its session is about to give it up; then it ends.
            return;
        }
        if session.of_loop() == self.this_loop {
            self.out.close(session, error);
        } else {
            self.post(session.of_loop(), Freight::Close { session, error });
        }
    }

    pub(crate) fn unbound(&mut self, session: SessionId, mut undelivered: Undelivered) {
        if let Some(number) = self.binding.remove(&session) {
            if let Some(account) = self.accounts.get_mut(number) {
                account.binding.retain(|binding| binding.session != session);
            }
            self.on_heir_lost(number, session);
            self.again.ended(number, session);
            return self.accounts.settle(number);
        }
        let Some(line) = self.lines.find(session) else { return };
        let number = self.lines[line].number;
        self.lines[line].closing = true;
        self.on_changing_line_ended(line, &mut undelivered);
        if self.accounts.get(number).is_some_and(|account| account.loading) {
            // What waiting messages it had in hand come back later, but it gets no more of them.
            features::on_unready(self, line);
            return self.put_off_end(number, Pending::Unbound { session, undelivered });
        }
        self.returned(number, session, undelivered);
        // RFC 6121 4.5.2: a session that ends without a word is unavailable all the same.
        self.leave(line);
        if let Some(account) = self.accounts.get_mut(number) {
            account.lines.retain(|other| *other != line);
        }
        self.forget_record(line);
        self.again.ended(number, session);
        self.lines.remove(line);
        self.former.forget(line);
        self.finish_binding(number);
        self.accounts.settle(number);
    }

    /// Something was delivered to a session of another loop that had ended.
    pub(super) fn came_back(
        &mut self,
        number: AccountNumber,
        session: SessionId,
        stanza: Box<[u8]>,
        tag: Option<Tag>,
    ) {
        if self.accounts.get(number).is_some_and(|account| account.loading) {
            return self.put_off_end(number, Pending::Returned { session, stanza, tag });
        }
        self.returned(number, session, vec![(stanza.into_vec(), tag)]);
        self.accounts.settle(number);
    }
}
