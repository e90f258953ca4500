//! The conductor: each input enters here and is led to the room that knows what to do.
//!
//! Spec: RFC 6120 section 7 (binding), 10 (server rules).
//! Owns: the rooms. Invariants: the outputs of one input are in the order in which they happened; a stanza from a
//! session of another loop is treated exactly as one of this loop.
//! Not here: rules.

use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::Arc;

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;
use store::{Answer, Op, Reply, Request, StoreError};
use xmpp::address::{AccountNumber, JidRef};
use xmpp::error::{StanzaCondition, StanzaError, StreamErrorKind};
use xmpp::relay::{Head, relay};
use xmpp::stanza::Stanza;
use xmpp::time::{Instant, Now};

use crate::account::{Accounts, Binding, Pending};
use crate::config::RouterConfig;
use crate::features;
use crate::line::{AccountChange, Line, LineFacts, LineId, Lines, SessionId};
use crate::numbers::NumberHasher;
use crate::output::{BindError, Output, Outputs};
use crate::parcel::{Ack, Freight, Letter, Parcel, Undelivered};
use crate::tag::{Mark, Tag};
use crate::waiting::{Table, Token, Waiting};

/// Who receives what, for the numbers whose home is one event loop. The crate's page says how to drive it.
pub struct Router {
    pub(crate) cfg: Arc<RouterConfig>,
    this_loop: u16,
    loops: u16,
    pub(crate) now: Now,
    pub(crate) lines: Lines,
    pub(crate) accounts: Accounts,
    /// Sessions whose carrier is here and whose number's home is not.
    guests: HashMap<SessionId, AccountNumber, NumberHasher>,
    /// Sessions that wait for their resource.
    binding: HashMap<SessionId, AccountNumber, NumberHasher>,
    pub(crate) waiting: Table,
    pub(crate) out: Outputs,
    /// Where a stanza is written before it is known who gets it.
    pub(crate) scratch: Vec<u8>,
    /// Features' alarms, by account. Every alarm is as long as the next, so the first is the earliest.
    alarms: VecDeque<(Instant, AccountNumber)>,
    /// Accounts with something to be said to the store once the driver has drained the rest.
    pub(crate) unsettled: Vec<AccountNumber>,
    /// Numbers for shared deliveries and for resources that the server chooses.
    pub(crate) last_number: u64,
}

impl Router {
    /// The router of one loop out of `loops`.
    #[must_use]
    pub fn new(cfg: Arc<RouterConfig>, this_loop: u16, loops: u16) -> Self {
        let hasher = NumberHasher::new(cfg.key);
        Self {
            this_loop,
            loops: loops.max(1),
            now: Now::default(),
            lines: Lines::new(hasher),
            accounts: Accounts::new(hasher, cfg.accounts_idle_max),
            guests: HashMap::with_hasher(hasher),
            binding: HashMap::with_hasher(hasher),
            waiting: Table::default(),
            out: Outputs::default(),
            scratch: Vec::new(),
            alarms: VecDeque::new(),
            unsettled: Vec::new(),
            last_number: 0,
            cfg,
        }
    }

    /// The loop that decides for a number. Neighbouring numbers have different homes.
    #[must_use]
    pub fn home(number: AccountNumber, loops: u16) -> u16 {
        (number.get() % u64::from(loops.max(1))) as u16
    }

    /// What a client is told in the stream's features beside what the session offers: entity capabilities, roster
    /// versioning and so on, as well-formed XML.
    #[must_use]
    pub fn stream_features(cfg: &RouterConfig) -> Vec<u8> {
        let mut out = Vec::new();
        crate::roster::write_stream_features(&mut out);
        features::write_stream_features(cfg, &mut out);
        out
    }

    /// A session that has logged in wants a resource, one of the server's choice if `None`. Answered by
    /// [`Output::Bound`] or [`Output::BindRefused`], perhaps not at once.
    pub fn handle_bind(
        &mut self,
        now: Now,
        session: SessionId,
        number: AccountNumber,
        resource: Option<&str>,
        facts: LineFacts,
    ) {
        self.begin(now);
        let home = Self::home(number, self.loops);
        if home == self.this_loop {
            self.bind(session, number, resource, facts);
        } else {
            self.guests.insert(session, number);
            let resource = resource.map(Box::from);
            self.post(home, Freight::Bind { session, number, resource, facts });
        }
    }

    /// A bound session's client sent a stanza. Answered by [`Output::Processed`] with the same `seq`, perhaps not at
    /// once.
    pub fn handle_stanza(&mut self, now: Now, session: SessionId, seq: u32, stanza: &Stanza<'_>) {
        self.begin(now);
        if let Some(line) = self.lines.find(session) {
            self.sent(line, seq, stanza);
        } else if let Some(&number) = self.guests.get(&session) {
            let mut bytes = Vec::new();
            relay(&mut bytes, stanza, &Head { from: stanza.from().as_deref(), ..Head::default() });
            let home = Self::home(number, self.loops);
            self.post(home, Freight::Sent { session, seq, stanza: bytes.into() });
        } else {
            // Its line was taken from it while this was on its way.
            self.processed(Some((session, seq)));
        }
    }

    /// The client of a session begins to confirm what it receives (XEP-0198 was enabled).
    pub fn handle_acknowledging(&mut self, now: Now, session: SessionId) {
        self.begin(now);
        if let Some(line) = self.lines.find(session) {
            self.lines[line].acknowledging = true;
        } else {
            self.forward(session, |session| Freight::Acknowledging { session });
        }
    }

    /// The client of a session confirmed what was delivered with this tag.
    pub fn handle_delivered(&mut self, now: Now, session: SessionId, tag: Tag) {
        // Most messages end here: only one session has them, and nobody else needs to know.
        if matches!(tag.read(), Mark::Live(_)) {
            return;
        }
        self.begin(now);
        if let Some(line) = self.lines.find(session) {
            self.delivered(line, tag);
        } else {
            self.forward(session, |session| Freight::Delivered { session, tag });
        }
    }

    /// A session is over: its stream has ended and will not be resumed. `undelivered` is what its client has not
    /// confirmed, oldest first; of what was sent without XEP-0198 nothing.
    pub fn handle_unbound(&mut self, now: Now, session: SessionId, undelivered: Undelivered) {
        self.begin(now);
        if self.guests.contains_key(&session) {
            self.forward(session, |session| Freight::Unbound { session, undelivered });
            self.guests.remove(&session);
        } else {
            self.unbound(session, undelivered);
        }
    }

    /// Something came from another loop's router.
    pub fn handle_parcel(&mut self, now: Now, parcel: Parcel) {
        self.begin(now);
        match *parcel.0 {
            Freight::Letter(letter) => self.arrive(letter.borrow()),
            Freight::Bind { session, number, resource, facts } => {
                self.bind(session, number, resource.as_deref(), facts);
            }
            Freight::Sent { session, seq, stanza } => {
                match (self.lines.find(session), Stanza::parse(&stanza)) {
                    (Some(line), Ok(stanza)) => self.sent(line, seq, &stanza),
                    _ => self.processed(Some((session, seq))),
                }
            }
            Freight::Delivered { session, tag } => {
                if let Some(line) = self.lines.find(session) {
                    self.delivered(line, tag);
                }
            }
            Freight::Acknowledging { session } => {
                if let Some(line) = self.lines.find(session) {
                    self.lines[line].acknowledging = true;
                }
            }
            Freight::Unbound { session, undelivered } => self.unbound(session, undelivered),
            Freight::Returned { session, number, stanza, tag } => {
                self.returned(number, session, vec![(stanza.into_vec(), tag)]);
                self.accounts.settle(number);
            }
            Freight::Bound { session, jid } if self.guests.contains_key(&session) => {
                self.out.bound(session, &jid);
            }
            Freight::BindRefused { session, error } if self.guests.remove(&session).is_some() => {
                self.out.bind_refused(session, error);
            }
            Freight::Deliver { session, number, stanza, tag } => {
                if self.guests.contains_key(&session) {
                    let stanza = self.out.put(&stanza);
                    self.out.deliver(session, stanza, tag);
                } else {
                    let home = Self::home(number, self.loops);
                    self.post(home, Freight::Returned { session, number, stanza, tag });
                }
            }
            Freight::Processed { session, seq } => self.out.processed(session, seq),
            Freight::Close { session, error } if self.guests.contains_key(&session) => {
                self.out.close(session, error);
            }
            // For a session that has ended meanwhile; its end is on its way to the home.
            Freight::Bound { .. } | Freight::BindRefused { .. } | Freight::Close { .. } => {}
        }
    }

    /// The store answered.
    pub fn handle_reply(&mut self, now: Now, reply: Reply) {
        self.begin(now);
        match self.waiting.take(reply.token) {
            Some(Waiting::Load(number)) => self.loaded(number, reply.answer),
            Some(Waiting::Write(write)) => self.written(reply.token, *write, &reply.answer),
            Some(Waiting::Feature(wait)) => features::on_reply(self, wait, reply.answer),
            None => {}
        }
    }

    /// An account was changed from outside. May be said to every router; only the number's home acts.
    pub fn handle_account(&mut self, now: Now, number: AccountNumber, change: AccountChange) {
        self.begin(now);
        let Some(account) = self.accounts.get(number) else { return };
        let error = match change {
            AccountChange::Disabled | AccountChange::Deleted => StreamErrorKind::NotAuthorized,
            AccountChange::Password => StreamErrorKind::Reset,
        };
        for line in account.lines.clone() {
            self.close(line, error);
        }
        let Some(account) = self.accounts.get_mut(number) else { return };
        for binding in std::mem::take(&mut account.binding) {
            self.refuse_binding(binding.session, BindError::NotAllowed);
        }
        if change == AccountChange::Deleted {
            self.part_from_all(number);
            self.reload(number);
        }
        self.accounts.settle(number);
    }

    /// The deadline has passed.
    pub fn handle_timer(&mut self, now: Now) {
        self.begin(now);
        while let Some(&(at, number)) = self.alarms.front()
            && at <= now.mono
        {
            self.alarms.pop_front();
            features::on_alarm(self, number);
        }
    }

    /// When [`Router::handle_timer`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.front().map(|&(at, _)| at)
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        if self.out.is_empty() {
            // Confirmations come in bursts; what they add up to is said once.
            while let Some(number) = self.unsettled.pop() {
                features::on_settle(self, number);
            }
        }
        self.out.poll()
    }
}

// What the rooms share.
impl Router {
    fn begin(&mut self, now: Now) {
        self.now = now;
        self.out.begin();
    }

    fn post(&mut self, to_loop: u16, freight: Freight) {
        self.out.post(to_loop, Parcel(Box::new(freight)));
    }

    /// Says something of a guest to its home.
    fn forward(&mut self, session: SessionId, freight: impl FnOnce(SessionId) -> Freight) {
        if let Some(&number) = self.guests.get(&session) {
            self.post(Self::home(number, self.loops), freight(session));
        }
    }

    /// Sends a letter to the home of its recipient.
    pub(crate) fn route(&mut self, letter: Letter<'_>) {
        let home = Self::home(letter.to, self.loops);
        if home == self.this_loop {
            self.arrive(letter);
        } else {
            self.post(home, Freight::Letter(letter.to_owned()));
        }
    }

    /// A stanza needs us no more.
    pub(crate) fn processed(&mut self, ack: Ack) {
        let Some((session, seq)) = ack else { return };
        if session.of_loop() == self.this_loop {
            self.out.processed(session, seq);
        } else {
            self.post(session.of_loop(), Freight::Processed { session, seq });
        }
    }

    /// Gives a line's client what lies in the output buffer.
    pub(crate) fn deliver(&mut self, line: LineId, stanza: std::ops::Range<usize>, tag: Option<Tag>) {
        let Line { session, number, .. } = self.lines[line];
        if session.of_loop() == self.this_loop {
            self.out.deliver(session, stanza, tag);
        } else {
            let stanza = self.out.bytes(&stanza).into();
            self.post(session.of_loop(), Freight::Deliver { session, number, stanza, tag });
        }
    }

    /// Whether a line's carrier is on this loop, so that what is delivered to it cannot come back.
    pub(crate) fn is_here(&self, line: LineId) -> bool {
        self.lines[line].session.of_loop() == self.this_loop
    }

    /// Asks the store something.
    pub(crate) fn ask(&mut self, op: Op, waiting: Waiting) -> Token {
        let token = self.waiting.insert(waiting);
        self.out.store(Request { token: token as u64, op });
        token
    }

    /// Whether the store has as much to do as it may; what can be refused is refused then.
    pub(crate) fn store_is_busy(&self) -> bool {
        self.waiting.len() >= self.cfg.store_requests_max
    }

    /// Wakes the features for an account after the one span of time they may wait for.
    pub(crate) fn set_alarm(&mut self, number: AccountNumber) -> Instant {
        let at = self.now.mono + self.cfg.offline_confirm_max;
        self.alarms.push_back((at, number));
        at
    }

    /// The bare address of a number.
    pub(crate) fn bare(&self, number: AccountNumber) -> String {
        format!("{number}@{}", self.cfg.domain)
    }

    /// An account's lines that are not about to end.
    pub(crate) fn lines_of(&self, number: AccountNumber) -> smallvec::SmallVec<[LineId; 4]> {
        let lines = self.accounts.get(number).map(|account| account.lines.clone()).unwrap_or_default();
        lines.into_iter().filter(|&line| !self.lines[line].closing).collect()
    }
}

// Binding and its end.
impl Router {
    fn bind(&mut self, session: SessionId, number: AccountNumber, resource: Option<&str>, facts: LineFacts) {
        let (jid, bare_len) = match self.make_jid(session, number, resource) {
            Ok(made) => made,
            Err(error) => return self.refuse_binding(session, error),
        };
        if self.accounts.get(number).is_none() {
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

    fn make_jid(
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

    fn refuse_binding(&mut self, session: SessionId, error: BindError) {
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
    fn finish_binding(&mut self, number: AccountNumber) {
        let Some(account) = self.accounts.get_mut(number).filter(|account| !account.loading) else { return };
        let mut at = 0;
        while at < account.binding.len() {
            let lines = &self.lines;
            if account.lines.iter().any(|&line| lines[line].resource() == account.binding[at].resource()) {
                at += 1;
                continue;
            }
            let Binding { session, jid, bare_len, facts } = account.binding.remove(at);
            self.binding.remove(&session);
            if session.of_loop() == self.this_loop {
                self.out.bound(session, &jid);
            } else {
                let jid = jid.as_str().into();
                self.out.post(session.of_loop(), Parcel(Box::new(Freight::Bound { session, jid })));
            }
            let mut line = Line::new(session, number, jid, bare_len);
            line.acknowledging = facts.acknowledging;
            account.lines.push(self.lines.insert(line));
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
        if session.of_loop() == self.this_loop {
            self.out.close(session, error);
        } else {
            self.post(session.of_loop(), Freight::Close { session, error });
        }
    }

    fn unbound(&mut self, session: SessionId, undelivered: Undelivered) {
        if let Some(number) = self.binding.remove(&session) {
            if let Some(account) = self.accounts.get_mut(number) {
                account.binding.retain(|binding| binding.session != session);
            }
            return self.accounts.settle(number);
        }
        let Some(line) = self.lines.find(session) else { return };
        let number = self.lines[line].number;
        self.lines[line].closing = true;
        self.returned(number, session, undelivered);
        // RFC 6121 4.5.2: a session that ends without a word is unavailable all the same.
        self.leave(line);
        if let Some(account) = self.accounts.get_mut(number) {
            account.lines.retain(|other| *other != line);
        }
        self.lines.remove(line);
        self.finish_binding(number);
        self.accounts.settle(number);
    }
}

// Accounts come and go.
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

    fn loaded(&mut self, number: AccountNumber, answer: Result<Answer, StoreError>) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        let mut pending = std::mem::take(&mut account.pending);
        if let Ok(Answer::Roster(roster)) = answer {
            account.roster = roster;
            account.loading = false;
            self.finish_binding(number);
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

    fn resume(&mut self, input: Pending) {
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

/// Too much is waiting: try again later.
pub(crate) fn busy() -> StanzaError {
    StanzaError::new(StanzaCondition::ResourceConstraint)
}
