//! Messages for who is away: kept in the store, given to the first resource that takes messages, in order.
//!
//! Spec: XEP-0160; XEP-0203 (the stamp that says when); RFC 6121 8.5.2.2.1.
//! Owns: which waiting messages are in whose hands, and which may go. Invariants: a waiting message is in one session's
//! hands at most, and leaves the store only when that session's client has confirmed it; what arrives while older
//! messages still wait comes after them.
//! Not here: handing them out (`flush`), which kinds of messages are kept at all (`route`), whose life is shorter
//! (`judge`).

mod flush;

use std::collections::VecDeque;

use store::{OfflineId, Op, StoreError};
use xmpp::address::AccountNumber;
use xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use xmpp::stanza::Stanza;
use xmpp::time::Instant;

use self::flush::{Flush, QUESTION_ID};
use super::{Feature, Judgement};
use crate::arrive::{stamp, unavailable};
use crate::line::{LineId, SessionId};
use crate::parcel::{Ack, Letter, OwnedLetter, Receipt};
use crate::reply::head_of;
use crate::router::{Router, busy};
use crate::waiting::Waiting;

/// What is remembered of an account.
#[derive(Default)]
pub(crate) struct Spool {
    /// In sessions' hands and not confirmed, by id.
    in_hand: Vec<InHand>,
    /// Confirmed, and yet to be deleted: ranges of ids.
    confirmed: Vec<(OfflineId, OfflineId)>,
    /// The store has nothing but what is in hand.
    empty: bool,
    /// Waiting messages are being handed out.
    flush: Option<Box<Flush>>,
    /// When the window opens regardless. One alarm an account, whichever flush it was set for.
    alarm: Option<Instant>,
    /// A session's unconfirmed messages are coming back, and this many have been put before what is held.
    returning: Option<usize>,
    /// Messages that sessions had are in the store alone now, perhaps older than what was read.
    released: bool,
}

struct InHand {
    id: OfflineId,
    session: SessionId,
    bytes: usize,
}

/// What was asked of the store.
pub(crate) enum Asked {
    /// To keep a message; this is what is left of it.
    Push(OwnedLetter),
    /// To keep one that is in sessions' hands, known by this mark.
    Record { number: AccountNumber, mark: u64, ack: Ack },
    /// For a page.
    Page { number: AccountNumber, flush: u64 },
    /// To forget.
    Delete,
}

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = Spool;
    type Line = ();
    type Wait = Asked;

    const SERVER: &'static [&'static str] = &["msgoffline"];

    fn hold(router: &mut Router, letter: Letter<'_>, line: Option<LineId>) -> bool {
        let session = line.map(|line| router.lines[line].session);
        let max = router.cfg.offline_hold_max;
        let Some(spool) = spool(router, letter.to) else { return false };
        let Some(flush) = &mut spool.flush else { return false };
        // What is for another resource by name meets no older messages there.
        if session.is_some() && session != flush.session {
            return false;
        }
        if let Some(before) = &mut spool.returning {
            flush.held.insert((*before).min(flush.held.len()), letter.to_owned());
            *before += 1;
        } else if !flush.storing && flush.held.len() < max {
            flush.held.push_back(letter.to_owned());
        } else {
            router.spill(letter.to);
            router.store_or_give(letter);
        }
        true
    }

    fn keep(router: &mut Router, mut letter: Letter<'_>) -> bool {
        match letter.gist().map(|gist| gist.judgement) {
            Some(Judgement::Keep) => {}
            Some(Judgement::Refuse) => {
                router.refuse(letter, &unavailable());
                return true;
            }
            Some(Judgement::Drop) | None => {
                router.processed(letter.ack);
                return true;
            }
        }
        let max = router.cfg.offline_hold_max;
        if let Some(spool) = spool(router, letter.to)
            && let Some(flush) = &mut spool.flush
            && spool.returning.is_none()
        {
            // Older ones are held for a session that is being closed.
            if !flush.storing && flush.held.len() < max {
                flush.held.push_back(letter.to_owned());
                return true;
            }
            router.spill(letter.to);
        }
        router.store(letter);
        true
    }

    fn record(router: &mut Router, mut letter: Letter<'_>, mark: u64) -> bool {
        if !is_to_be_kept(&mut letter) {
            return false;
        }
        if router.store_is_busy() {
            // As if the store had refused it.
            router.row_answered(letter.to, mark, None, letter.ack);
            return true;
        }
        let Ok(stanza) = Stanza::parse(letter.stanza) else { return false };
        let (number, received, ack) = (letter.to, router.now.wall, letter.ack);
        let stanza = stamp(&stanza, &router.cfg.domain, received).unwrap_or_else(|| letter.stanza.to_vec());
        router.row_asked(number, mark);
        let op = Op::PushOffline { number, stamp: received, stanza };
        let asked = Asked::Record { number, mark, ack };
        router.ask_for(ack, op, Waiting::Feature(super::Wait::offline(asked)));
        true
    }

    fn put_by(router: &mut Router, mut letter: Letter<'_>, line: LineId) -> bool {
        if !is_to_be_kept(&mut letter) {
            return false;
        }
        let (number, session) = (letter.to, router.lines[line].session);
        // Who was written to by its full address, and takes nothing else, never comes for what waits: another does.
        let taker = if router.lines[line].takes_messages() { Some(session) } else { router.taker(number, session) };
        router.store(letter);
        if let Some(taker) = taker
            && spool(router, number).is_some_and(|spool| spool.flush.is_none())
        {
            router.start(number, taker, VecDeque::new());
        }
        true
    }

    fn on_row_over(router: &mut Router, number: AccountNumber, id: OfflineId, confirmed: bool) {
        let Some(spool) = spool(router, number) else { return };
        if !confirmed {
            (spool.empty, spool.released) = (false, true);
            return;
        }
        if let Some(flush) = spool.flush.as_mut().filter(|flush| flush.loading) {
            flush.gone.push(id);
        }
        let settled = !spool.confirmed.is_empty();
        add_to(&mut spool.confirmed, id);
        if !settled {
            router.unsettled.push(number);
        }
    }

    fn on_ready(router: &mut Router, line: LineId) {
        let (number, session) = (router.lines[line].number, router.lines[line].session);
        if spool(router, number).is_some_and(|spool| spool.flush.is_none() && !spool.empty) {
            router.start(number, session, VecDeque::new());
        }
    }

    fn on_unready(router: &mut Router, line: LineId) {
        let (number, session) = (router.lines[line].number, router.lines[line].session);
        let closing = router.lines[line].closing;
        let taker = router.taker(number, session);
        let Some(spool) = spool(router, number) else { return };
        let Some(flush) = spool.flush.as_mut().filter(|flush| flush.session == Some(session)) else { return };
        if closing {
            // What it has not confirmed comes back soon, and goes first.
            flush.session = None;
            flush.page.clear();
        } else if let Some(taker) = taker {
            let held = std::mem::take(&mut flush.held);
            router.start(number, taker, held);
        } else {
            router.abandon(number);
        }
    }

    fn on_line_lost(router: &mut Router, number: AccountNumber, session: SessionId) {
        let taker = router.taker(number, session);
        let Some(spool) = spool(router, number) else { return };
        let had = spool.in_hand.len();
        spool.in_hand.retain(|row| row.session != session);
        let lost = std::mem::take(&mut spool.released) || spool.in_hand.len() < had;
        spool.empty &= !lost;
        let theirs = spool.flush.as_mut().map(|flush| (flush.session, flush));
        match (theirs, taker) {
            (Some((owner, flush)), Some(taker)) if owner.is_none() || owner == Some(session) => {
                let held = std::mem::take(&mut flush.held);
                router.start(number, taker, held);
            }
            (Some((owner, flush)), None) if owner.is_none() || owner == Some(session) => {
                flush.session = None;
                flush.page.clear();
            }
            // Another session is being served: what was lost is older than what it gets next.
            (Some((Some(owner), flush)), _) if lost => {
                let held = std::mem::take(&mut flush.held);
                router.start(number, owner, held);
            }
            (None, Some(taker)) if lost => router.start(number, taker, VecDeque::new()),
            _ => {}
        }
        if let Some(spool) = self::spool(router, number) {
            spool.returning = Some(0);
        }
    }

    fn on_line_moved(router: &mut Router, number: AccountNumber, from: SessionId, to: SessionId) {
        let Some(spool) = spool(router, number) else { return };
        spool.in_hand.iter_mut().filter(|row| row.session == from).for_each(|row| row.session = to);
        if let Some(flush) = spool.flush.as_mut().filter(|flush| flush.session == Some(from)) {
            flush.session = Some(to);
        }
    }

    fn on_line_gone(router: &mut Router, number: AccountNumber) {
        let Some(spool) = spool(router, number) else { return };
        spool.returning = None;
        let released = std::mem::take(&mut spool.released);
        let orphaned = spool.flush.as_ref().is_some_and(|flush| flush.session.is_none());
        if orphaned {
            router.abandon(number);
        }
        if released {
            router.read_again(number);
        }
        router.delete_confirmed(number);
    }

    fn on_row_delivered(router: &mut Router, number: AccountNumber, session: SessionId, row: OfflineId) {
        router.confirm(number, session, |id| id == row);
    }

    fn on_answer(router: &mut Router, line: LineId, id: &str, _: &Stanza<'_>) {
        let Some(last) = id.strip_prefix(QUESTION_ID).and_then(|id| id.parse().ok()) else { return };
        let (number, session) = (router.lines[line].number, router.lines[line].session);
        router.confirm(number, session, |id| id <= OfflineId(last));
    }

    fn on_reply(router: &mut Router, asked: Asked, answer: Result<store::Answer, StoreError>) {
        match asked {
            Asked::Push(message) => match answer {
                Ok(_) => router.processed(Receipt::committed(message.ack)),
                Err(StoreError::NoSuchAccount) => router.arrive_nowhere(message.borrow()),
                Err(error) => router.refuse(message.borrow(), &not_kept(&error)),
            },
            Asked::Record { number, mark, ack } => {
                let row = match answer {
                    Ok(store::Answer::Pushed(id)) => Some(id),
                    _ => None,
                };
                router.row_answered(number, mark, row, ack);
                if spool(router, number).is_some_and(|spool| std::mem::take(&mut spool.released)) {
                    router.read_again(number);
                }
                router.accounts.settle(number);
            }
            Asked::Page { number, flush } => router.page_read(number, flush, answer),
            // What could not be deleted is delivered once more at the next log-in, with the same id.
            Asked::Delete => {}
        }
    }

    fn on_alarm(router: &mut Router, number: AccountNumber) {
        let now = router.now.mono;
        let Some(spool) = spool(router, number) else { return };
        if spool.alarm.is_none_or(|at| at > now) {
            return;
        }
        spool.alarm = None;
        let Some(flush) = &mut spool.flush else { return };
        let theirs = spool.in_hand.iter().filter(|row| Some(row.session) == flush.session);
        flush.floor = theirs.map(|row| row.id).max().unwrap_or(flush.floor);
        (flush.rows, flush.bytes) = (0, 0);
        router.pump(number);
    }

    fn on_stopping(router: &mut Router, number: AccountNumber) {
        if spool(router, number).is_some_and(|spool| spool.flush.is_some()) {
            router.abandon(number);
        }
        router.delete_confirmed(number);
    }

    fn on_settle(router: &mut Router, number: AccountNumber) {
        router.delete_confirmed(number);
    }
}

/// One more that was confirmed, in ranges of ids.
fn add_to(confirmed: &mut Vec<(OfflineId, OfflineId)>, id: OfflineId) {
    match confirmed.last_mut() {
        Some((_, last)) if last.0 + 1 == id.0 => *last = id,
        _ => confirmed.push((id, id)),
    }
}

/// Whether a message is to wait for who is away.
fn is_to_be_kept(letter: &mut Letter<'_>) -> bool {
    letter.gist().is_some_and(|gist| gist.judgement == Judgement::Keep)
}

fn spool(router: &mut Router, number: AccountNumber) -> Option<&mut Spool> {
    router.accounts.get_mut(number).map(|account| &mut account.features.offline)
}

fn not_kept(error: &StoreError) -> StanzaError {
    match error {
        // XEP-0160 section 2: the recipient's queue is full.
        StoreError::QuotaExceeded => {
            unavailable().with_type(ErrorType::Wait).with_text("too many messages wait for this number")
        }
        StoreError::Full => busy().with_text("the exchange's disk is full"),
        _ => StanzaError::new(StanzaCondition::InternalServerError).with_type(ErrorType::Wait),
    }
}

impl Router {
    /// Another session of the account that takes messages.
    fn taker(&self, number: AccountNumber, but: SessionId) -> Option<SessionId> {
        let lines = self.lines_of(number);
        let mut takers = lines.iter().map(|&line| &self.lines[line]);
        takers.find(|line| line.takes_messages() && line.session != but).map(|line| line.session)
    }

    /// Something that sessions had is to be given to others from the store, before what is newer.
    fn read_again(&mut self, number: AccountNumber) {
        let lines = self.lines_of(number);
        let taker = lines.iter().map(|&line| &self.lines[line]).find(|line| line.takes_messages());
        let taker = taker.map(|line| line.session);
        let Some(spool) = spool(self, number) else { return };
        let owner = match &mut spool.flush {
            // Its owner is being closed, after which reading begins anew.
            Some(flush) if flush.session.is_none() => return,
            Some(flush) => flush.session.map(|owner| (owner, std::mem::take(&mut flush.held))),
            None => taker.map(|taker| (taker, VecDeque::new())),
        };
        if let Some((owner, held)) = owner {
            self.start(number, owner, held);
        }
    }

    /// Keeps a message in the store.
    fn store(&mut self, letter: Letter<'_>) {
        if self.store_is_busy() {
            return self.refuse(letter, &busy());
        }
        let Ok(stanza) = Stanza::parse(letter.stanza) else { return self.processed(letter.ack) };
        let received = self.now.wall;
        let stanza = stamp(&stanza, &self.cfg.domain, received).unwrap_or_else(|| letter.stanza.to_vec());
        if let Some(spool) = spool(self, letter.to) {
            spool.empty = false;
            if let Some(flush) = &mut spool.flush {
                flush.dirty = true;
            }
        }
        let message = head_of(&letter);
        let op = Op::PushOffline { number: letter.to, stamp: received, stanza };
        self.ask_for(letter.ack, op, Waiting::Feature(super::Wait::offline(Asked::Push(message))));
    }

    /// The same for what somebody could take now: what is not to be stored is given.
    fn store_or_give(&mut self, mut letter: Letter<'_>) {
        if is_to_be_kept(&mut letter) {
            self.store(letter);
        } else {
            let lines = self.lines_of(letter.to);
            let takes = lines.iter().any(|&line| self.lines[line].takes_messages());
            if takes { self.give(letter, &lines) } else { self.processed(letter.ack) }
        }
    }

    /// A client has these: they may go.
    fn confirm(&mut self, number: AccountNumber, session: SessionId, which: impl Fn(OfflineId) -> bool) {
        let Some(spool) = spool(self, number) else { return };
        let settled = !spool.confirmed.is_empty();
        let Spool { in_hand, confirmed, flush, .. } = spool;
        let loading = flush.as_ref().is_some_and(|flush| flush.loading);
        let mut gone = flush.as_mut().map(|flush| std::mem::take(&mut flush.gone)).unwrap_or_default();
        let mut theirs = flush.as_mut().filter(|flush| flush.session == Some(session));
        in_hand.retain(|row| {
            if row.session != session || !which(row.id) {
                return true;
            }
            add_to(confirmed, row.id);
            if loading {
                gone.push(row.id);
            }
            if let Some(flush) = theirs.as_mut().filter(|flush| row.id > flush.floor) {
                flush.rows = flush.rows.saturating_sub(1);
                flush.bytes = flush.bytes.saturating_sub(row.bytes);
            }
            false
        });
        let flushing = theirs.is_some();
        if let Some(flush) = flush {
            flush.gone = gone;
        }
        if !settled && !spool.confirmed.is_empty() {
            self.unsettled.push(number);
        }
        if flushing {
            self.pump(number);
        }
    }

    fn delete_confirmed(&mut self, number: AccountNumber) {
        let Some(spool) = spool(self, number) else { return };
        for (first, last) in std::mem::take(&mut spool.confirmed) {
            let op = Op::DeleteOffline { number, first, last };
            self.ask(op, Waiting::Feature(super::Wait::offline(Asked::Delete)));
        }
    }
}
