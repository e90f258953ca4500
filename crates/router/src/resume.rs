//! Resuming: a line goes on at another session, which may be on another loop.
//!
//! Spec: XEP-0198 section 5.
//! Owns: the ids that sessions had before, for as long as stanzas of theirs are under way. Invariants: what is delivered
//! to a line while it changes hands follows what its client had not confirmed; a stanza that was sent before the change
//! is answered at the session that its sender has now; a line has one session at any time.
//! Not here: what is kept of a session without a connection (`session`), for how long (the server): to the router, a
//! parked session is one that does not confirm.
//!
//! ```text
//!   new session N            home                    old session O, parked or half-open
//!   handle_resume ------->  wants the line
//!                            Surrender ------------->
//!                           (deliveries are held)
//!                                      <------------  handle_surrendered: counts, what was not confirmed
//!   Resumed  <------------  the line is N's
//! ```

use hashbrown::HashMap;
use store::{Op, SessionOp};
use xmpp::address::AccountNumber;

use crate::features;
use crate::line::{LineId, SessionId};
use crate::numbers::NumberHasher;
use crate::parcel::{Freight, Parcel, Receipt, Undelivered};
use crate::restart::Stowed;
use crate::router::Router;
use crate::tag::Tag;
use crate::waiting::Waiting;

/// What a client needs to come back to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumption {
    /// What it names the session by, as bits.
    pub key: u64,
    /// The number of the stanza before the first that XEP-0198 counts.
    pub base: u32,
}

/// A session on its way to another connection: all that its old one knew. The router carries it and appends what it held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handover {
    /// What the client names the session by, as bits.
    pub key: u64,
    /// XEP-0198's counts.
    pub counts: store::Counts,
    /// What its client has not confirmed, oldest first.
    pub unacked: Undelivered,
    /// The seconds for which it may be resumed once more.
    pub max_secs: u32,
}

/// What a line that may be resumed has besides.
#[derive(Debug)]
pub(crate) struct Resumable {
    pub(crate) resumption: Resumption,
    /// The session that it goes to, while its old one is asked to give it up.
    heir: Option<SessionId>,
    /// What was delivered meanwhile.
    pub(crate) held: Undelivered,
    /// What is left of its session, once the exchange is about to end.
    pub(crate) stowed: Option<Box<Stowed>>,
}

impl Resumable {
    pub(crate) fn new(resumption: Resumption) -> Self {
        Self { resumption, heir: None, held: Vec::new(), stowed: None }
    }

    pub(crate) fn is_changing_hands(&self) -> bool {
        self.heir.is_some() || self.stowed.is_some()
    }

    pub(crate) fn hold(&mut self, stanza: &[u8], tag: Option<Tag>) {
        self.held.push((stanza.to_vec(), tag));
    }
}

/// Sessions whose lines went on, with stanzas that are not processed yet.
pub(crate) struct Former {
    /// At the home: the line, and how many stanzas are under way.
    lines: HashMap<SessionId, (LineId, u32), NumberHasher>,
    /// At the loop of a guest: whose it was.
    guests: HashMap<SessionId, (AccountNumber, u32), NumberHasher>,
}

impl Former {
    pub(crate) fn new(hasher: NumberHasher) -> Self {
        Self { lines: HashMap::with_hasher(hasher), guests: HashMap::with_hasher(hasher) }
    }

    /// The line that a session had.
    pub(crate) fn line(&self, session: SessionId) -> Option<LineId> {
        self.lines.get(&session).map(|&(line, _)| line)
    }

    /// A line is gone, and with it what waited for its stanzas.
    pub(crate) fn forget(&mut self, line: LineId) {
        if !self.lines.is_empty() {
            self.lines.retain(|_, (other, _)| *other != line);
        }
    }
}

/// One stanza of a former session has been processed; with the last the session is forgotten.
fn count_down<V: Copy>(
    former: &mut HashMap<SessionId, (V, u32), NumberHasher>,
    session: SessionId,
) -> Option<V> {
    let (value, left) = former.get_mut(&session)?;
    let value = *value;
    *left -= 1;
    if *left == 0 {
        former.remove(&session);
    }
    Some(value)
}

impl Handover {
    /// Stanzas of the client that are not processed yet.
    fn in_flight(&self) -> u32 {
        let behind = self.counts.received.wrapping_sub(self.counts.processed);
        behind.saturating_sub(self.counts.ahead.len() as u32)
    }
}

impl Router {
    /// A session that has logged in wants to go on where an earlier one of its number was cut off. Answered by
    /// [`Output::Resumed`](crate::Output::Resumed) or [`Output::ResumeRefused`](crate::Output::ResumeRefused), perhaps not at once.
    pub fn handle_resume(
        &mut self,
        now: xmpp::time::Now,
        session: SessionId,
        number: AccountNumber,
        key: u64,
    ) {
        self.begin(now);
        let home = Self::home(number, self.loops);
        if home == self.this_loop {
            self.resume_line(session, number, key);
        } else {
            self.guests.insert(session, number);
            self.post(home, Freight::Resume { session, number, key });
        }
    }

    /// The answer to [`Output::Surrender`](crate::Output::Surrender). If the session is over its end has been said instead.
    pub fn handle_surrendered(&mut self, now: xmpp::time::Now, session: SessionId, handover: Handover) {
        self.begin(now);
        let Some(number) = self.guests.remove(&session) else { return self.surrendered(session, handover) };
        let in_flight = handover.in_flight();
        if in_flight > 0 {
            self.former.guests.insert(session, (number, in_flight));
        }
        self.post(
            Self::home(number, self.loops),
            Freight::Surrendered { session, handover: Box::new(handover) },
        );
    }

    /// [`Output::Processed`](crate::Output::Processed) found nobody: the session's line may have gone on elsewhere.
    pub fn handle_late(&mut self, now: xmpp::time::Now, session: SessionId, seq: u32, recorded: bool) {
        self.begin(now);
        if let Some(number) = count_down(&mut self.former.guests, session) {
            let home = Self::home(number, self.loops);
            return self.post(home, Freight::Late { session, seq, recorded });
        }
        self.late(session, seq, recorded);
    }

    pub(crate) fn late(&mut self, session: SessionId, seq: u32, recorded: bool) {
        if let Some(line) = count_down(&mut self.former.lines, session) {
            let session = self.lines[line].session;
            self.answer_processed(session, seq, recorded);
        }
    }

    /// The line of a session, also if it has gone on since.
    pub(crate) fn line_of(&self, session: SessionId) -> Option<LineId> {
        self.lines.find(session).or_else(|| self.former.line(session))
    }

    pub(crate) fn resume_line(&mut self, session: SessionId, number: AccountNumber, key: u64) {
        let is_wanted = |line: &LineId| {
            self.lines[*line].resumable.as_ref().is_some_and(|resumable| resumable.resumption.key == key)
        };
        let found = self.lines_of(number).into_iter().find(is_wanted);
        let Some(line) = found else { return self.ask_handled(session, number, key) };
        self.binding.insert(session, number);
        let old = self.lines[line].session;
        let Some(resumable) = &mut self.lines[line].resumable else { return };
        if let Some(overtaken) = resumable.heir.replace(session) {
            // The client has already given up the connection that asked before.
            self.binding.remove(&overtaken);
            return self.refuse_resuming(overtaken, None);
        }
        if old.of_loop() == self.this_loop {
            self.out.surrender(old);
        } else {
            self.post(old.of_loop(), Freight::Surrender { session: old });
        }
    }

    /// There is no such line: the client is told how much of what it sent is known to have been handled.
    fn ask_handled(&mut self, session: SessionId, number: AccountNumber, key: u64) {
        if self.store_is_busy() {
            return self.refuse_resuming(session, None);
        }
        let op = Op::Session(SessionOp::Handled { key, number });
        self.ask(op, Waiting::Handled { session, number, key });
    }

    /// A line that could be resumed is gone, and nobody will ask after it.
    pub(crate) fn forget_record(&mut self, line: LineId) {
        if let Some(resumable) = &self.lines[line].resumable {
            let key = resumable.resumption.key;
            self.ask(Op::Session(SessionOp::Forget { key }), Waiting::Nobody);
        }
    }

    pub(crate) fn surrendered(&mut self, old: SessionId, mut handover: Handover) {
        let Some(line) = self.lines.find(old) else { return };
        let number = self.lines[line].number;
        let closing = self.lines[line].closing;
        let Some(resumable) = &mut self.lines[line].resumable else { return };
        handover.unacked.append(&mut resumable.held);
        let heir = match resumable.heir.take() {
            Some(heir) if !closing => heir,
            // Its place was taken meanwhile, or whoever wanted it has gone again.
            heir => {
                heir.into_iter().for_each(|heir| self.refuse_resuming(heir, None));
                return self.unbound(old, handover.unacked);
            }
        };
        self.binding.remove(&heir);
        self.lines.rename(line, heir);
        let in_flight = handover.in_flight();
        if in_flight > 0 {
            self.former.lines.insert(old, (line, in_flight));
        }
        if let Some(account) = self.accounts.get_mut(number) {
            account.shared.iter_mut().for_each(|shared| shared.moved(old, heir));
        }
        self.again.moved(number, old, heir);
        features::on_line_moved(self, number, old, heir);
        let jid = self.lines[line].jid().to_owned();
        if heir.of_loop() == self.this_loop {
            self.out.resumed(heir, &jid, Box::new(handover));
        } else {
            let (jid, handover) = (jid.into(), Box::new(handover));
            self.post(heir.of_loop(), Freight::Resumed { session: heir, jid, handover });
        }
        features::on_line_resumed(self, line);
    }

    /// On the loop of the session that asked. If it has ended meanwhile, its end is on its way to the home, and what it
    /// would have got follows.
    pub(crate) fn guest_resumed(&mut self, session: SessionId, jid: &str, handover: Box<Handover>) {
        if self.guests.contains_key(&session) {
            return self.out.resumed(session, jid, handover);
        }
        let Some(number) = xmpp::address::JidRef::parse(jid).ok().and_then(|jid| jid.number()) else {
            return;
        };
        let home = Self::home(number, self.loops);
        for (stanza, tag) in handover.unacked {
            self.post(home, Freight::Returned { session, number, stanza: stanza.into(), tag });
        }
    }

    pub(crate) fn refuse_resuming(&mut self, session: SessionId, h: Option<u32>) {
        self.binding.remove(&session);
        if session.of_loop() == self.this_loop {
            self.guests.remove(&session);
            self.out.resume_refused(session, h);
        } else {
            self.out.post(session.of_loop(), Parcel::new(Freight::ResumeRefused { session, h }));
        }
    }

    /// A line ends: whoever waits for it waits in vain, and what it was to get goes with the rest.
    pub(crate) fn on_changing_line_ended(&mut self, line: LineId, undelivered: &mut Undelivered) {
        let Some(resumable) = &mut self.lines[line].resumable else { return };
        undelivered.append(&mut resumable.held);
        if let Some(heir) = resumable.heir.take() {
            self.refuse_resuming(heir, None);
        }
    }

    /// Whoever wanted a line is gone.
    pub(crate) fn on_heir_lost(&mut self, number: AccountNumber, heir: SessionId) {
        let lines = self.accounts.get(number).map(|account| account.lines.clone()).unwrap_or_default();
        for line in lines {
            if let Some(resumable) = &mut self.lines[line].resumable {
                resumable.heir = resumable.heir.filter(|other| *other != heir);
            }
        }
    }

    fn answer_processed(&mut self, session: SessionId, seq: u32, recorded: bool) {
        if session.of_loop() == self.this_loop {
            self.out.processed(session, seq, recorded);
        } else {
            self.post_done(Receipt::late(session, seq, recorded));
        }
    }
}
