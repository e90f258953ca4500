//! The conductor: each input enters here and is led to the room that knows what to do.
//!
//! Spec: RFC 6120 section 7 (binding), 10 (server rules).
//! Owns: the rooms. Invariants: the outputs of one input are in the order in which they happened; a stanza from a
//! session of another loop is treated exactly as one of this loop.
//! Not here: rules.

mod binding;
mod loading;

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use store::{Op, Reply, Request, Roster};
use xmpp::address::AccountNumber;
use xmpp::error::{StanzaCondition, StanzaError, StreamErrorKind};
use xmpp::relay::{Head, relay};
use xmpp::stanza::Stanza;
use xmpp::time::{Instant, Now};
use xmpp::write;

use crate::account::Accounts;
use crate::again::Again;
use crate::config::RouterConfig;
use crate::features;
use crate::line::{AccountChange, Line, LineFacts, LineId, Lines, SessionId};
use crate::numbers::NumberHasher;
use crate::output::{BindError, Output, Outputs};
use crate::parcel::{Ack, Done, Freight, Inside, Letter, Parcel, Place, Receipt, Undelivered};
use crate::resume::{Former, Resumable, Resumption};
use crate::tag::{Mark, Tag};
use crate::waiting::{Table, Token, Waiting};

/// Who receives what, for the numbers whose home is one event loop. The crate's page says how to drive it.
pub struct Router {
    pub(crate) cfg: Arc<RouterConfig>,
    pub(crate) this_loop: u16,
    pub(crate) loops: u16,
    pub(crate) now: Now,
    pub(crate) lines: Lines,
    pub(crate) accounts: Accounts,
    /// Sessions whose carrier is here and whose number's home is not.
    pub(crate) guests: HashMap<SessionId, AccountNumber, NumberHasher>,
    /// Sessions whose line went on at another.
    pub(crate) former: Former,
    /// Sessions that wait for their resource, or for the line of an earlier session.
    pub(crate) binding: HashMap<SessionId, AccountNumber, NumberHasher>,
    pub(crate) waiting: Table,
    pub(crate) out: Outputs,
    /// What clients may send again.
    pub(crate) again: Again,
    /// What is done of stanzas that several places work on, by session and number.
    shares: HashMap<(u64, u32), (u16, bool), NumberHasher>,
    /// Where a stanza is written before it is known who gets it.
    pub(crate) scratch: Vec<u8>,
    /// The same where it arrives, with what is added there.
    pub(crate) scratch_arrived: Vec<u8>,
    /// What is added to a message.
    pub(crate) scratch_marks: Vec<u8>,
    /// What the store was asked last for a stanza, and for which: whatever else is done of that stanza in the same call is said
    /// along with it, so that its session's loop hears of it once.
    lender: Option<(Token, SessionId, u32)>,
    /// What each feature remembers of everything.
    pub(crate) features: features::RouterStates,
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
            former: Former::new(hasher),
            again: Again::new(hasher),
            binding: HashMap::with_hasher(hasher),
            waiting: Table::default(),
            out: Outputs::default(),
            shares: HashMap::with_hasher(hasher),
            scratch: Vec::new(),
            scratch_arrived: Vec::new(),
            scratch_marks: Vec::new(),
            lender: None,
            features: features::RouterStates::default(),
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

    /// What a client may ask features for along with its resource (XEP-0386), each by its namespace.
    #[must_use]
    pub fn inline_features() -> Vec<&'static str> {
        features::inline_features()
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

    /// A bound session's client sent a stanza. Answered by [`Output::Processed`] with the same number, perhaps not at
    /// once.
    pub fn handle_stanza(
        &mut self,
        now: Now,
        session: SessionId,
        place: impl Into<Place>,
        stanza: &Stanza<'_>,
    ) {
        self.begin(now);
        let place = place.into();
        if let Some(line) = self.lines.find(session) {
            self.sent(line, place, stanza);
        } else if let Some(&number) = self.guests.get(&session) {
            let mut bytes = Vec::new();
            relay(&mut bytes, stanza, &Head { from: stanza.from().as_deref(), ..Head::default() });
            let home = Self::home(number, self.loops);
            self.post(home, Freight::Sent { session, place, stanza: bytes.into() });
        } else {
            // Its line was taken from it while this was on its way.
            self.processed(Some(Receipt::whole(session, place.seq)));
        }
    }

    /// The client of a session begins to confirm what it receives (XEP-0198 was enabled), and may come back for the
    /// session if its connection is lost.
    pub fn handle_acknowledging(&mut self, now: Now, session: SessionId, resumption: Option<Resumption>) {
        self.begin(now);
        if let Some(line) = self.lines.find(session) {
            self.acknowledging(line, resumption);
        } else {
            self.forward(session, |session| Freight::Acknowledging { session, resumption });
        }
    }

    /// The client of a session says that its user looks at it, or no longer (XEP-0352).
    pub fn handle_client_state(&mut self, now: Now, session: SessionId, active: bool) {
        self.begin(now);
        if let Some(line) = self.lines.find(session) {
            features::on_client_state(self, line, active);
        } else {
            self.forward(session, |session| Freight::ClientState { session, active });
        }
    }

    /// The client of a session confirmed what was delivered with this tag.
    pub fn handle_delivered(&mut self, now: Now, session: SessionId, tag: Tag) {
        // Only one session had it, and nobody else needs to know.
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
        let freight = match parcel.0 {
            Inside::Done(done) => return self.collect(done),
            Inside::Freight(freight) => freight,
        };
        match *freight {
            Freight::Letter(letter) => self.arrive(letter.borrow()),
            Freight::Bind { session, number, resource, facts } => {
                self.bind(session, number, resource.as_deref(), facts);
            }
            Freight::Sent { session, place, stanza } => {
                match (self.lines.find(session), Stanza::parse(&stanza)) {
                    (Some(line), Ok(stanza)) => self.sent(line, place, &stanza),
                    _ => self.processed(Some(Receipt::whole(session, place.seq))),
                }
            }
            Freight::Delivered { session, tag } => {
                if let Some(line) = self.lines.find(session) {
                    self.delivered(line, tag);
                }
            }
            Freight::Acknowledging { session, resumption } => {
                if let Some(line) = self.lines.find(session) {
                    self.acknowledging(line, resumption);
                }
            }
            Freight::ClientState { session, active } => {
                if let Some(line) = self.lines.find(session) {
                    features::on_client_state(self, line, active);
                }
            }
            Freight::Resume { session, number, key } => self.resume_line(session, number, key),
            Freight::Surrendered { session, handover } => self.surrendered(session, *handover),
            Freight::Stowed { session, stowed } => self.stowed(session, stowed),
            Freight::Late { session, seq, recorded } => self.late(session, seq, recorded),
            Freight::Unbound { session, undelivered } => self.unbound(session, undelivered),
            Freight::Returned { session, number, stanza, tag } => {
                self.came_back(number, session, stanza, tag);
            }
            Freight::Bound { session, jid, inline } if self.guests.contains_key(&session) => {
                self.out.bound(session, &jid, &inline);
            }
            Freight::BindRefused { session, error } if self.guests.remove(&session).is_some() => {
                self.out.bind_refused(session, error);
            }
            Freight::Deliver { session, number, stanza, tag } => {
                let home = Self::home(number, self.loops);
                if self.guests.contains_key(&session) {
                    let stanza = self.out.put(&stanza);
                    let quiet = tag.filter(|tag| matches!(tag.read(), Mark::Quiet(_)));
                    self.out.deliver(session, stanza, tag.filter(|_| quiet.is_none()));
                    if let Some(tag) = quiet {
                        self.post(home, Freight::Delivered { session, tag });
                    }
                } else {
                    self.post(home, Freight::Returned { session, number, stanza, tag });
                }
            }
            Freight::Resumed { session, jid, handover } => self.guest_resumed(session, &jid, handover),
            Freight::ResumeRefused { session, h } if self.guests.remove(&session).is_some() => {
                self.out.resume_refused(session, h);
            }
            Freight::Surrender { session } if self.guests.contains_key(&session) => {
                self.out.surrender(session);
            }
            Freight::Close { session, error } if self.guests.contains_key(&session) => {
                self.out.close(session, error);
            }
            // For a session that has ended meanwhile; its end is on its way to the home.
            Freight::Bound { .. }
            | Freight::BindRefused { .. }
            | Freight::ResumeRefused { .. }
            | Freight::Surrender { .. }
            | Freight::Close { .. } => {}
        }
    }

    /// The store answered.
    pub fn handle_reply(&mut self, now: Now, reply: Reply) {
        self.begin(now);
        match self.waiting.take(reply.token) {
            Some(Waiting::Load(number)) => self.loaded(number, reply.answer),
            Some(Waiting::Write(write)) => self.written(reply.token, *write, &reply.answer),
            Some(Waiting::Feature(wait)) => features::on_reply(self, wait, reply.answer),
            Some(Waiting::Handled { session, number, key }) => {
                let left = match reply.answer {
                    Ok(store::Answer::Handled(left)) => left,
                    _ => None,
                };
                let h = left.as_ref().map(|left| left.h);
                self.again.remember(number, session, key, left.map(|left| left.had).unwrap_or_default());
                self.refuse_resuming(session, h);
            }
            Some(Waiting::Share(ack)) => {
                self.processed(if reply.answer.is_ok() { Receipt::committed(ack) } else { ack });
            }
            Some(Waiting::Nobody) | None => {}
        }
    }

    /// An account was changed from outside. May be said to every router; only the number's home acts.
    pub fn handle_account(&mut self, now: Now, number: AccountNumber, change: AccountChange) {
        self.begin(now);
        self.account_changed(number, change);
    }

    /// An account was deleted, and this was its roster. The same as [`AccountChange::Deleted`], and its contacts are
    /// parted from it also if it was not in memory. May be said to every router; only the number's home acts.
    pub fn handle_deleted(&mut self, now: Now, number: AccountNumber, roster: Roster) {
        self.begin(now);
        if Self::home(number, self.loops) != self.this_loop {
            return;
        }
        // Memory is never older than what was read before the deletion.
        let known = self.accounts.get(number).is_some_and(|account| !account.loading && !account.unread);
        if !known {
            self.part_from_all(number, Some(roster));
        }
        self.account_changed(number, AccountChange::Deleted);
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

    /// Sessions that have a resource, of the numbers whose home this is.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.lines.len()
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
    fn acknowledging(&mut self, line: LineId, resumption: Option<Resumption>) {
        self.lines[line].acknowledging = true;
        self.lines[line].resumable = resumption.map(|resumption| Box::new(Resumable::new(resumption)));
    }

    pub(crate) fn begin(&mut self, now: Now) {
        self.now = now;
        self.lender = None;
        self.out.begin();
    }

    pub(crate) fn post(&mut self, to_loop: u16, freight: Freight) {
        self.out.post(to_loop, Parcel::new(freight));
    }

    /// Tells the loop of a stanza's session that a share of the work on it is done.
    pub(crate) fn post_done(&mut self, receipt: Receipt) {
        self.out.post(receipt.session.of_loop(), Parcel(Inside::Done(receipt.into())));
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

    fn account_changed(&mut self, number: AccountNumber, change: AccountChange) {
        let Some(account) = self.accounts.get(number) else { return };
        let error = match change {
            AccountChange::Disabled | AccountChange::Deleted => StreamErrorKind::NotAuthorized,
            AccountChange::Password | AccountChange::OwnPassword { .. } => StreamErrorKind::Reset,
        };
        let stays = |session| matches!(change, AccountChange::OwnPassword { by } if by == session);
        for line in account.lines.clone() {
            if !stays(self.lines[line].session) {
                self.close(line, error);
            }
        }
        let Some(account) = self.accounts.get_mut(number) else { return };
        for binding in std::mem::take(&mut account.binding) {
            self.refuse_binding(binding.session, BindError::NotAllowed);
        }
        if change == AccountChange::Deleted {
            self.part_from_all(number, None);
            self.reload(number);
        }
        self.accounts.settle(number);
    }

    /// A stanza needs us no more.
    pub(crate) fn processed(&mut self, ack: Ack) {
        let Some(receipt) = ack else { return };
        if let Some((token, session, seq)) = self.lender
            && (session, seq) == (receipt.session, receipt.seq)
            && self.waiting.lend(token, receipt)
        {
            return;
        }
        let of_loop = receipt.session.of_loop();
        if of_loop == self.this_loop {
            self.collect(receipt.into());
        } else {
            self.post_done(receipt);
        }
    }

    /// Says that a stanza was processed, once all shares of the work on it are done.
    fn collect(&mut self, done: Done) {
        let Done { session, seq, share, mut recorded } = done;
        if share < Receipt::WHOLE {
            let key = (session.to_bits(), seq);
            let done = self.shares.entry(key).or_insert((0, true));
            done.0 += share;
            done.1 &= recorded;
            recorded = done.1;
            if done.0 < Receipt::WHOLE {
                return;
            }
            self.shares.remove(&key);
        }
        self.out.processed(session, seq, recorded);
    }

    /// Gives a line's client what lies in the output buffer.
    pub(crate) fn deliver(&mut self, line: LineId, stanza: std::ops::Range<usize>, tag: Option<Tag>) {
        if !features::hold_back(self, line, &stanza, tag) {
            self.deliver_now(line, stanza, tag);
        }
    }

    /// The same, whether or not it could wait.
    pub(crate) fn deliver_now(&mut self, line: LineId, stanza: std::ops::Range<usize>, tag: Option<Tag>) {
        let Line { session, number, .. } = self.lines[line];
        if let Some(resumable) = &mut self.lines[line].resumable
            && resumable.is_changing_hands()
        {
            return resumable.hold(self.out.bytes(&stanza), tag);
        }
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

    /// The same for what a stanza asks for: the record of its session counts it in the same commit.
    #[allow(dead_code, reason = "nobody asks when no feature keeps messages")]
    pub(crate) fn ask_for(&mut self, ack: Ack, op: Op, waiting: Waiting) -> Token {
        let op = match Receipt::origin(ack) {
            Some(origin) => Op::OnBehalf(Box::new((origin, op))),
            None => op,
        };
        self.ask(op, waiting)
    }

    /// The same where a share of the work on the stanza is all that waits for the answer: it is done then, whatever that is.
    #[allow(dead_code, reason = "nobody asks when no feature archives messages")]
    pub(crate) fn ask_share(&mut self, ack: Ack, op: Op) {
        let token = self.ask_for(ack, op, Waiting::Share(ack));
        // A record counts the share that the store was told of, so that one stays as it is.
        self.lender = ack
            .filter(|_| Receipt::origin(ack).is_none())
            .map(|receipt| (token, receipt.session, receipt.seq));
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
        // For every message, so what `format` costs counts; and just as long, so that making a box of it moves nothing.
        let digits = number.get().ilog10() as usize + 1;
        let mut bare = Vec::with_capacity(digits + 1 + self.cfg.domain.len());
        write::number(&mut bare, number.get());
        bare.push(b'@');
        bare.extend_from_slice(self.cfg.domain.as_bytes());
        String::from_utf8(bare).expect("digits and a domain are text")
    }

    /// An account's lines that are not about to end.
    pub(crate) fn lines_of(&self, number: AccountNumber) -> smallvec::SmallVec<[LineId; 4]> {
        let lines = self.accounts.get(number).map(|account| account.lines.clone()).unwrap_or_default();
        lines.into_iter().filter(|&line| !self.lines[line].closing).collect()
    }
}

/// Too much is waiting: try again later.
pub(crate) fn busy() -> StanzaError {
    StanzaError::new(StanzaCondition::ResourceConstraint)
}
