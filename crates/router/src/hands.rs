//! Hands: which sessions have a message that none of their clients has confirmed, and what becomes of it when they end.
//!
//! Spec: XEP-0198 section 4 (what was not acknowledged is handed back); RFC 6121 8.5.2.1.1 (equal resources all get it).
//! Owns: the account of each message that sessions have whose clients confirm. Invariants: a message that one of them
//! confirmed is given to nobody else; one that nobody can confirm any more is given to others, or kept, unless a session
//! that has it is still there: nobody is given a message twice. What its sender was told is handled is in the store until
//! somebody has confirmed it, so that it outlives a crash.
//! Not here: who gets a message (`arrive`), what the store has (`features`).
//!
//! ```text
//!  given to sessions that confirm ----> the store is asked to keep it ----> kept: its sender may be told it is handled
//!        |                                                                     |
//!        | one confirms: its row goes                                          | all are lost: its row is given to others
//! ```
//! A session that confirms nothing may be half-open, so its copy does not count while another may confirm; once nobody
//! may, it does. Whether such a session has it at all is known at once where its carrier is on this loop; elsewhere its
//! loop says so, or sends the message back.

use smallvec::SmallVec;
use store::OfflineId;
use xmpp::address::AccountNumber;
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::time::Wallclock;

use crate::arrive::{message_type, stamp, unavailable};
use crate::features::{self, Copies, Copy};
use crate::line::{LineId, SessionId};
use crate::parcel::{Ack, Letter, Receipt, Undelivered};
use crate::route::{IqType, Kind};
use crate::router::Router;
use crate::tag::{Mark, Tag};

/// Lines that are given something.
pub(crate) type Targets = SmallVec<[LineId; 4]>;

/// A message that sessions have, none of which has confirmed it.
pub(crate) struct Shared {
    number: u64,
    received: Wallclock,
    /// Those whose clients may confirm it.
    holders: SmallVec<[SessionId; 4]>,
    /// Those whose clients never say what they have, and whether it has reached them.
    quiet: SmallVec<[(SessionId, bool); 2]>,
    row: Row,
    /// Somebody has it for certain.
    confirmed: bool,
    /// The store could not keep it: it counts as handled once somebody has confirmed it.
    ack: Ack,
    /// What came back of it, where the store does not have it.
    stanza: Option<Box<[u8]>>,
}

/// Whether the store has it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    No,
    /// It was asked to.
    Asked,
    Kept(OfflineId),
}

impl Shared {
    /// A line has gone from one session to another.
    pub(crate) fn moved(&mut self, from: SessionId, to: SessionId) {
        self.holders.iter_mut().filter(|holder| **holder == from).for_each(|holder| *holder = to);
        self.quiet.iter_mut().filter(|(quiet, _)| *quiet == from).for_each(|(quiet, _)| *quiet = to);
    }

    /// Whether this is its row in the store.
    #[allow(dead_code, reason = "nobody asks when no feature keeps messages")]
    pub(crate) fn is_row(&self, id: OfflineId) -> bool {
        self.row == Row::Kept(id)
    }

    fn part_from(&mut self, session: SessionId) {
        self.holders.retain(|holder| *holder != session);
        self.quiet.retain(|(quiet, _)| *quiet != session);
    }
}

// Giving.
impl Router {
    /// Gives a message that is worth keeping to these lines, and its copies to theirs.
    pub(crate) fn hand_out(&mut self, letter: Letter<'_>, mut targets: Targets, copies: Copies) {
        let confirms = |line: &LineId| self.lines[*line].acknowledging;
        let mut tag = Some(Tag::live(self.now.wall));
        let mut shared = None;
        if let Some(taker) = targets.iter().copied().find(confirms) {
            // RFC 6121 8.5.2.1.1: all of them get it. Who says what arrived answers for it.
            let all = targets.iter().copied().chain(copies.iter().map(|copy| copy.line));
            let (holders, quiet): (Targets, Targets) = all.partition(confirms);
            shared = self.share(letter.to, &holders, &quiet);
            if shared.is_none() {
                // Too many are unconfirmed: it waits behind them.
                if features::put_by(self, letter, taker) {
                    return;
                }
                targets = Targets::from_slice(&[taker]);
            }
        } else if targets.len() > 1 {
            if targets.iter().any(|&line| self.is_here(line)) {
                // They have it and will never say so, none more than another: it counts as delivered.
                tag = None;
            } else {
                // It may come back from another loop: one has it, so that it is given to nobody twice.
                targets.truncate(1);
            }
        }
        let stanza = self.out.put(letter.stanza);
        for line in targets {
            let tag = if shared.is_some() { self.share_of(line, shared) } else { tag };
            self.deliver(line, stanza.clone(), tag);
        }
        for Copy { line, stanza } in copies {
            let tag = self.share_of(line, shared);
            self.deliver(line, stanza, tag);
        }
        // Nobody waits for the disk but the sender's acknowledgement.
        let recorded = shared.is_some_and(|mark| features::record(self, letter, mark));
        if !recorded {
            self.processed(letter.ack);
        }
    }

    /// Notes who has a message; none if too many are unconfirmed.
    fn share(&mut self, number: AccountNumber, holders: &[LineId], quiet: &[LineId]) -> Option<u64> {
        let (max, received) = (self.cfg.shared_max, self.now.wall);
        self.last_number += 1;
        let mark = self.last_number;
        let holders = holders.iter().map(|&line| self.lines[line].session).collect();
        let quiet = quiet.iter().map(|&line| (self.lines[line].session, self.is_here(line))).collect();
        let account = self.accounts.get_mut(number)?;
        (account.shared.len() < max).then(|| {
            account.shared.push_back(Shared {
                number: mark,
                received,
                holders,
                quiet,
                row: Row::No,
                confirmed: false,
                ack: None,
                stanza: None,
            });
            mark
        })
    }

    /// What a line's part of a shared message is known by.
    fn share_of(&self, line: LineId, shared: Option<u64>) -> Option<Tag> {
        let mark = shared?;
        match (self.lines[line].acknowledging, self.is_here(line)) {
            (true, _) => Some(Tag::shared(mark)),
            (false, true) => None,
            (false, false) => Some(Tag::quiet(mark)),
        }
    }
}

// What was delivered and what was not.
impl Router {
    /// A client confirmed a message, or it has reached the loop of one that never does.
    pub(crate) fn delivered(&mut self, line: LineId, tag: Tag) {
        let (number, session) = (self.lines[line].number, self.lines[line].session);
        match tag.read() {
            Mark::Live(_) => {}
            // One has it, so the others may lose it.
            Mark::Shared(mark) => {
                if let Some((at, shared)) = self.find_shared(number, mark) {
                    shared.confirmed = true;
                    self.review(number, at);
                }
            }
            Mark::Quiet(mark) => {
                if let Some((at, shared)) = self.find_shared(number, mark) {
                    let theirs = shared.quiet.iter_mut().filter(|(quiet, _)| *quiet == session);
                    theirs.for_each(|quiet| quiet.1 = true);
                    self.review(number, at);
                }
            }
            Mark::Row(row) => features::on_row_delivered(self, number, session, row),
        }
    }

    /// A session of a number has ended, and its client has not confirmed these.
    pub(crate) fn returned(&mut self, number: AccountNumber, session: SessionId, undelivered: Undelivered) {
        self.part_from(number, session);
        features::on_line_lost(self, number, session);
        for (stanza, tag) in undelivered {
            match tag.map(Tag::read) {
                Some(Mark::Live(received)) => self.redeliver(number, &stanza, received, None),
                Some(Mark::Shared(mark) | Mark::Quiet(mark)) => {
                    if let Some((at, shared)) = self.find_shared(number, mark) {
                        shared.part_from(session);
                        if shared.holders.is_empty() && !matches!(shared.row, Row::Kept(_)) {
                            shared.stanza = Some(features::original(stanza).into());
                        }
                        self.review(number, at);
                    }
                }
                // The store still has it.
                Some(Mark::Row(_)) => {}
                None => self.bounce(number, &stanza),
            }
        }
        features::on_line_gone(self, number);
    }

    /// A message goes to whoever is there, or is kept, as if it had been for the bare address; with the time at which
    /// it was first received.
    fn redeliver(&mut self, number: AccountNumber, stanza: &[u8], received: Wallclock, ack: Ack) {
        let Ok(parsed) = Stanza::parse(stanza) else { return self.processed(ack) };
        let Some(from) = parsed.from().and_then(|from| xmpp::Jid::parse(&from).ok()?.number()) else {
            return self.processed(ack);
        };
        let stamped = stamp(&parsed, &self.cfg.domain, received);
        let kind = message_type(parsed.type_().as_deref());
        let letter = Letter {
            ack,
            ..Letter::new(Kind::Message(kind), from, number, stamped.as_deref().unwrap_or(stanza))
        };
        self.route(letter);
    }

    fn find_shared(&mut self, number: AccountNumber, mark: u64) -> Option<(usize, &mut Shared)> {
        let shared = &mut self.accounts.get_mut(number)?.shared;
        // They are confirmed in about the order in which they were given.
        let at = shared.iter().position(|shared| shared.number == mark)?;
        Some((at, &mut shared[at]))
    }

    /// A session has ended: of what only it had, what the store has goes to others from there.
    fn part_from(&mut self, number: AccountNumber, session: SessionId) {
        let mut at = 0;
        while let Some(account) = self.accounts.get_mut(number)
            && at < account.shared.len()
        {
            let before = account.shared.len();
            let shared = &mut account.shared[at];
            if matches!(shared.row, Row::Kept(_)) && shared.holders.contains(&session) {
                shared.part_from(session);
                self.review(number, at);
            }
            let gone = self.accounts.get(number).is_none_or(|account| account.shared.len() < before);
            at += usize::from(!gone);
        }
    }

    /// Something changed about a message: if its fate is clear, it is carried out and the message forgotten here.
    fn review(&mut self, number: AccountNumber, at: usize) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        let Some(shared) = account.shared.get_mut(at) else { return };
        if !shared.confirmed {
            if !shared.holders.is_empty() {
                return;
            }
            let (lines, quiet) = (&self.lines, &shared.quiet);
            let is_there = |quiet: SessionId| lines.find(quiet).is_some_and(|line| !lines[line].closing);
            shared.confirmed = quiet.iter().any(|&(quiet, reached)| reached && is_there(quiet));
            if !shared.confirmed && quiet.iter().any(|(_, reached)| !reached) {
                // It is on its way to somebody, and reaches them or comes back.
                return;
            }
        }
        let waits = match shared.row {
            Row::Asked => true,
            Row::No => !shared.confirmed && shared.stanza.is_none(),
            Row::Kept(_) => false,
        };
        if waits {
            return;
        }
        let Some(shared) = account.shared.remove(at) else { return };
        match (shared.row, shared.stanza) {
            (Row::Kept(id), _) => {
                features::on_row_over(self, number, id, shared.confirmed);
                self.processed(shared.ack);
            }
            (_, Some(stanza)) if !shared.confirmed => {
                self.redeliver(number, &stanza, shared.received, shared.ack);
            }
            _ => self.processed(shared.ack),
        }
    }

    /// What a message is known by in an exchange that knows nothing of this one. None: nobody needs to ask after it.
    pub(crate) fn lasting_tag(&mut self, number: AccountNumber, tag: Tag) -> Option<Tag> {
        let (Mark::Shared(mark) | Mark::Quiet(mark)) = tag.read() else { return Some(tag) };
        let (_, shared) = self.find_shared(number, mark)?;
        Some(match shared.row {
            Row::Kept(id) => Tag::row(id),
            Row::No | Row::Asked => Tag::live(shared.received),
        })
    }

    /// A session has a message as it had it in an earlier exchange: what it is known by now.
    pub(crate) fn given_again(&mut self, number: AccountNumber, session: SessionId, tag: Tag) -> Tag {
        let (row, received) = match tag.read() {
            Mark::Row(id) => (Row::Kept(id), self.now.wall),
            Mark::Live(received) => (Row::No, received),
            Mark::Shared(_) | Mark::Quiet(_) => return tag,
        };
        let Some(account) = self.accounts.get_mut(number) else { return tag };
        let known = account.shared.iter_mut().find(|shared| row != Row::No && shared.row == row);
        if let Some(shared) = known {
            shared.holders.push(session);
            return Tag::shared(shared.number);
        }
        self.last_number += 1;
        let number = self.last_number;
        account.shared.push_back(Shared {
            number,
            received,
            holders: SmallVec::from_slice(&[session]),
            quiet: SmallVec::new(),
            row,
            confirmed: false,
            ack: None,
            stanza: None,
        });
        Tag::shared(number)
    }

    /// The store has been asked to keep a message that is in sessions' hands.
    #[allow(dead_code, reason = "nobody asks when no feature keeps messages")]
    pub(crate) fn row_asked(&mut self, number: AccountNumber, mark: u64) {
        if let Some((_, shared)) = self.find_shared(number, mark) {
            shared.row = Row::Asked;
        }
    }

    /// It does now; or it could not, and the message counts as handled once somebody has confirmed it.
    #[allow(dead_code, reason = "nobody asks when no feature keeps messages")]
    pub(crate) fn row_answered(
        &mut self,
        number: AccountNumber,
        mark: u64,
        row: Option<OfflineId>,
        mut ack: Ack,
    ) {
        let Some((at, shared)) = self.find_shared(number, mark) else {
            // Somebody had it before it was kept, and nobody will ask for its row.
            let Some(id) = row else { return self.processed(ack) };
            features::on_row_over(self, number, id, true);
            return self.processed(Receipt::committed(ack));
        };
        match row {
            Some(id) => {
                (shared.row, shared.stanza) = (Row::Kept(id), None);
                ack = Receipt::committed(ack);
            }
            None => (shared.row, shared.ack) = (Row::No, ack.take()),
        }
        self.review(number, at);
        self.processed(ack);
    }

    /// What is not a message for keeping: a question gets the answer that it would get now (RFC 6121 8.5.3.2.3).
    fn bounce(&mut self, number: AccountNumber, stanza: &[u8]) {
        let Ok(parsed) = Stanza::parse(stanza) else { return };
        let Some(from) = parsed.from().and_then(|from| xmpp::Jid::parse(&from).ok()?.number()) else {
            return;
        };
        let kind = match (parsed.kind(), parsed.type_().as_deref()) {
            (StanzaKind::Iq, Some("get")) => IqType::Get,
            (StanzaKind::Iq, Some("set")) => IqType::Set,
            _ => return,
        };
        let letter = Letter::new(Kind::Iq(kind), from, number, stanza);
        self.refuse(letter, &unavailable());
    }
}
