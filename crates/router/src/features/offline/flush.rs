//! A flush: waiting messages on their way to one session, page by page, and what arrives meanwhile.
//!
//! Spec: XEP-0160 (they are sent when the user is there again); XEP-0030 for the question that
//! tells that they have arrived.
//! Owns: the page that is being handed out, the window, what is held. Invariants: what arrives during a flush comes after
//! all that waited; a page is read only when the one before it is handed out.
//! Not here: whose hands a message is in, and when it may go (`offline`).
//!
//! ```text
//!   a resource is ready          page came, more to come            last page came, nothing new
//!  none ---------------> holding ----------------------> storing --> holding -------------------> none
//!                        arrivals wait in memory         arrivals go to the store
//! ```
//! A page follows once enough of the last one is confirmed: by XEP-0198, or else by the answer to a question that is
//! sent behind it. A client that confirms nothing gets the rest after a while all the same; what it had stays stored.

use std::collections::VecDeque;

use store::{OfflineId, OfflineRow, Op, StoreError};
use xmpp::address::AccountNumber;
use xmpp::{ns, write};

use super::{Asked, InHand, spool};
use crate::features::Wait;
use crate::line::{LineId, SessionId};
use crate::parcel::OwnedLetter;
use crate::router::Router;
use crate::tag::Tag;
use crate::waiting::Waiting;

/// What a question's id begins with; the row it stands behind follows.
pub(super) const QUESTION_ID: &str = "offline-";

/// Waiting messages on their way to one session.
pub(super) struct Flush {
    /// To whom; nobody while that session is being closed.
    pub(super) session: Option<SessionId>,
    /// Tells this flush's pages from an earlier one's.
    pub(super) number: u64,
    /// Read and not handed out.
    pub(super) page: VecDeque<OfflineRow>,
    /// The last row that was read.
    pub(super) after: OfflineId,
    /// There are more behind it.
    pub(super) more: bool,
    /// Something was stored since the last page was asked for.
    pub(super) dirty: bool,
    pub(super) loading: bool,
    /// Confirmed since a page was asked for, so that it may still be in it.
    pub(super) gone: Vec<OfflineId>,
    /// Arrivals go to the store.
    pub(super) storing: bool,
    /// Arrivals that wait here instead.
    pub(super) held: VecDeque<OwnedLetter>,
    /// Handed out and unconfirmed, which is what the window bounds.
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// Rows up to this one are no longer counted: their confirmation took too long.
    pub(super) floor: OfflineId,
    /// The last row behind which a question was sent.
    pub(super) asked: OfflineId,
}

impl Router {
    /// Begins to hand out what waits, from the beginning: what is in other hands is passed over.
    pub(super) fn start(&mut self, number: AccountNumber, session: SessionId, held: VecDeque<OwnedLetter>) {
        self.last_number += 1;
        let flush = Flush {
            session: Some(session),
            number: self.last_number,
            page: VecDeque::new(),
            after: OfflineId(0),
            more: false,
            dirty: false,
            loading: false,
            gone: Vec::new(),
            storing: false,
            held,
            rows: 0,
            bytes: 0,
            floor: OfflineId(0),
            asked: OfflineId(0),
        };
        if let Some(spool) = spool(self, number) {
            spool.flush = Some(Box::new(flush));
        }
        self.read_page(number);
    }

    pub(super) fn read_page(&mut self, number: AccountNumber) {
        // The store does one thing after the other: what is deleted first is not read.
        self.delete_confirmed(number);
        let limit = u32::try_from(self.cfg.offline_window_rows).unwrap_or(u32::MAX);
        let Some(flush) = spool(self, number).and_then(|spool| spool.flush.as_mut()) else { return };
        flush.loading = true;
        flush.gone.clear();
        flush.dirty = false;
        let (after, asked) = (flush.after, Asked::Page { number, flush: flush.number });
        self.ask(Op::LoadOffline { number, after, limit }, Waiting::Feature(Wait::offline(asked)));
    }

    pub(super) fn page_read(
        &mut self,
        number: AccountNumber,
        asked: u64,
        answer: Result<store::Answer, StoreError>,
    ) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        let (spool, given) = (&mut account.features.offline, &account.shared);
        let Some(flush) = spool.flush.as_mut().filter(|flush| flush.number == asked) else { return };
        flush.loading = false;
        let Ok(store::Answer::Offline(page)) = answer else {
            // Nothing can be read: live messages go on, the rest waits for the next log-in.
            let held = std::mem::take(&mut flush.held);
            spool.flush = None;
            return held.into_iter().for_each(|letter| self.arrive_again(letter.borrow()));
        };
        if let Some(last) = page.rows.last() {
            flush.after = last.id;
        }
        flush.more = page.more;
        // Others have some of it in hand; if they lose it, reading begins anew.
        let (in_hand, gone) = (&spool.in_hand, &flush.gone);
        let known = |id: OfflineId| {
            in_hand.binary_search_by_key(&id, |row| row.id).is_ok()
                || gone.contains(&id)
                || given.iter().any(|given| given.is_row(id))
        };
        flush.page.extend(page.rows.into_iter().filter(|row| !known(row.id)));
        if page.more {
            self.spill(number);
        } else {
            flush.storing = false;
        }
        self.pump(number);
    }

    /// Hands out what the window lets pass, and sees to what is next.
    pub(super) fn pump(&mut self, number: AccountNumber) {
        let (rows_max, bytes_max) = (self.cfg.offline_window_rows, self.cfg.offline_window_bytes);
        let Some(session) = spool(self, number).and_then(|spool| spool.flush.as_ref()?.session) else {
            return;
        };
        let Some(line) = self.lines.find(session) else { return };
        loop {
            let Some(spool) = spool(self, number) else { return };
            let Some(flush) = &mut spool.flush else { return };
            let Some(row) = flush.page.front() else { break };
            if flush.rows > 0 && (flush.rows >= rows_max || flush.bytes + row.stanza.len() > bytes_max) {
                break;
            }
            let Some(row) = flush.page.pop_front() else { break };
            let place = spool.in_hand.partition_point(|other| other.id < row.id);
            flush.rows += 1;
            flush.bytes += row.stanza.len();
            spool.in_hand.insert(place, InHand { id: row.id, session, bytes: row.stanza.len() });
            let stanza = self.out.put(&row.stanza);
            self.deliver(line, stanza, Some(Tag::row(row.id)));
        }
        let Some(flush) = spool(self, number).and_then(|spool| spool.flush.as_mut()) else { return };
        let full = !flush.page.is_empty() || flush.more && flush.rows * 2 > rows_max;
        if full {
            self.await_confirmation(number, line);
        } else if flush.loading {
        } else if flush.more || flush.dirty {
            self.read_page(number);
        } else {
            self.finish(number, line);
        }
    }

    /// Everything was handed out: what arrived meanwhile follows.
    fn finish(&mut self, number: AccountNumber, line: LineId) {
        self.send_question(number, line);
        let Some(spool) = spool(self, number) else { return };
        spool.empty = true;
        let held = spool.flush.take().map(|flush| flush.held).unwrap_or_default();
        for letter in held {
            self.arrive_again(letter.borrow());
        }
    }

    fn await_confirmation(&mut self, number: AccountNumber, line: LineId) {
        self.send_question(number, line);
        if spool(self, number).is_some_and(|spool| spool.alarm.is_none()) {
            let at = self.set_alarm(number);
            if let Some(spool) = spool(self, number) {
                spool.alarm = Some(at);
            }
        }
    }

    /// Without XEP-0198 the answer to a question says that what was sent before it has arrived. Any answer does, an error
    /// too; it is one that every client can read (docs/decisions/0007).
    fn send_question(&mut self, number: AccountNumber, line: LineId) {
        if self.lines[line].acknowledging {
            return;
        }
        let session = self.lines[line].session;
        let Some(spool) = spool(self, number) else { return };
        let last = spool.in_hand.iter().filter(|row| row.session == session).map(|row| row.id).max();
        let (Some(last), Some(flush)) = (last, &mut spool.flush) else { return };
        if flush.asked >= last {
            return;
        }
        flush.asked = last;
        let (from, to) = (self.cfg.domain.as_str(), self.lines[line].jid());
        let stanza = self.out.write(|out| {
            let iq = write::open(out, "iq").attr("type", "get").attr("from", from).attr("to", to);
            iq.attr("id", &format!("{QUESTION_ID}{}", last.0))
                .with(|out| write::open(out, "query").ns(ns::DISCO_INFO).empty());
        });
        self.deliver(line, stanza, None);
    }

    /// From now on arrivals go to the store, those that are held first.
    pub(super) fn spill(&mut self, number: AccountNumber) {
        let Some(flush) = spool(self, number).and_then(|spool| spool.flush.as_mut()) else { return };
        flush.storing = true;
        for letter in std::mem::take(&mut flush.held) {
            self.store_or_give(letter.borrow());
        }
    }

    /// Nobody is left to hand anything to.
    pub(super) fn abandon(&mut self, number: AccountNumber) {
        self.spill(number);
        if let Some(spool) = spool(self, number) {
            spool.flush = None;
            spool.empty = false;
        }
    }
}
