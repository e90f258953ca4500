//! Hands: which sessions have a message that none of their clients has confirmed, and what becomes of it when they end.
//!
//! Spec: XEP-0198 section 4 (what was not acknowledged is handed back); RFC 6121 8.5.2.1.1 (equal resources all get it).
//! Owns: the account of each message that several sessions have. Invariants: a message that one of several confirmed is
//! given to nobody else; one that nobody can confirm any more is given to others, or kept, unless a session that has it
//! is still there: nobody is given a message twice.
//! Not here: who gets a message (`arrive`), messages that the store has (`features`).
//!
//! A session that confirms nothing may be half-open, so its copy does not count while another may confirm; once nobody
//! may, it does. Whether such a session has it at all is known at once where its carrier is on this loop; elsewhere its
//! loop says so, or sends the message back.

use smallvec::SmallVec;
use xmpp::address::AccountNumber;
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::time::Wallclock;

use crate::arrive::{message_type, stamp, unavailable};
use crate::features::{self, Copies, Copy};
use crate::line::{LineId, SessionId};
use crate::parcel::{Letter, Undelivered};
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
}

impl Shared {
    /// A line has gone from one session to another.
    pub(crate) fn moved(&mut self, from: SessionId, to: SessionId) {
        self.holders.iter_mut().filter(|holder| **holder == from).for_each(|holder| *holder = to);
        self.quiet.iter_mut().filter(|(quiet, _)| *quiet == from).for_each(|(quiet, _)| *quiet = to);
    }
}

// Giving.
impl Router {
    /// Gives a message that is worth keeping to these lines, and its copies to theirs.
    pub(crate) fn hand_out(&mut self, letter: Letter<'_>, mut targets: Targets, copies: Copies) {
        let confirms = |line: &LineId| self.lines[*line].acknowledging;
        let all = targets.iter().copied().chain(copies.iter().map(|copy| copy.line));
        let (holders, quiet): (Targets, Targets) = all.partition(confirms);
        let one = holders.len() + quiet.len() == 1;
        let mut tag = Some(Tag::live(self.now.wall));
        let mut shared = None;
        if !one && targets.iter().any(confirms) {
            // RFC 6121 8.5.2.1.1: all of them get it. Who says what arrived answers for it.
            shared = self.share(letter.to, &holders, &quiet);
            if shared.is_none() {
                // Too many are unconfirmed: one has it, so that it can come back.
                targets.retain(|line| self.lines[*line].acknowledging);
                targets.truncate(1);
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
        self.processed(letter.ack);
    }

    /// Notes that several sessions have a message; none if too many such messages are unconfirmed.
    fn share(&mut self, number: AccountNumber, holders: &[LineId], quiet: &[LineId]) -> Option<u64> {
        let (max, received) = (self.cfg.shared_max, self.now.wall);
        self.last_number += 1;
        let mark = self.last_number;
        let holders = holders.iter().map(|&line| self.lines[line].session).collect();
        let quiet = quiet.iter().map(|&line| (self.lines[line].session, self.is_here(line))).collect();
        let account = self.accounts.get_mut(number)?;
        (account.shared.len() < max).then(|| {
            account.shared.push_back(Shared { number: mark, received, holders, quiet });
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
                // They are confirmed in about the order in which they were given.
                if let Some(account) = self.accounts.get_mut(number)
                    && let Some(at) = account.shared.iter().position(|shared| shared.number == mark)
                {
                    account.shared.remove(at);
                }
            }
            Mark::Quiet(mark) => {
                let Some(account) = self.accounts.get_mut(number) else { return };
                let Some(at) = account.shared.iter().position(|shared| shared.number == mark) else { return };
                let shared = &mut account.shared[at];
                shared
                    .quiet
                    .iter_mut()
                    .filter(|(quiet, _)| *quiet == session)
                    .for_each(|quiet| quiet.1 = true);
                if shared.holders.is_empty() {
                    account.shared.remove(at);
                }
            }
            Mark::Row(row) => features::on_row_delivered(self, number, session, row),
        }
    }

    /// A session of a number has ended, and its client has not confirmed these.
    pub(crate) fn returned(&mut self, number: AccountNumber, session: SessionId, undelivered: Undelivered) {
        features::on_line_lost(self, number, session);
        for (stanza, tag) in undelivered {
            match tag.map(Tag::read) {
                Some(Mark::Live(received)) => self.redeliver(number, &stanza, received),
                Some(Mark::Shared(mark) | Mark::Quiet(mark)) => {
                    self.redeliver_shared(number, session, &stanza, mark);
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
    fn redeliver(&mut self, number: AccountNumber, stanza: &[u8], received: Wallclock) {
        let Ok(parsed) = Stanza::parse(stanza) else { return };
        let Some(from) = parsed.from().and_then(|from| xmpp::Jid::parse(&from).ok()?.number()) else {
            return;
        };
        let stamped = stamp(&parsed, &self.cfg.domain, received);
        let kind = message_type(parsed.type_().as_deref());
        let letter = Letter {
            kind: Kind::Message(kind),
            from,
            to: number,
            resource: None,
            stanza: stamped.as_deref().unwrap_or(stanza),
            ack: None,
        };
        self.route(letter);
    }

    fn redeliver_shared(&mut self, number: AccountNumber, session: SessionId, stanza: &[u8], mark: u64) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        // Confirmed by another.
        let Some(at) = account.shared.iter().position(|shared| shared.number == mark) else { return };
        let shared = &mut account.shared[at];
        shared.holders.retain(|holder| *holder != session);
        shared.quiet.retain(|(quiet, _)| *quiet != session);
        // Held by another that may still confirm it.
        if !shared.holders.is_empty() {
            return;
        }
        let (lines, quiet) = (&self.lines, &shared.quiet);
        let is_there = |quiet: SessionId| lines.find(quiet).is_some_and(|line| !lines[line].closing);
        if quiet.iter().any(|&(quiet, reached)| reached && is_there(quiet)) {
            account.shared.remove(at);
        } else if quiet.iter().all(|(_, reached)| *reached)
            && let Some(shared) = account.shared.remove(at)
        {
            self.redeliver(number, stanza, shared.received);
        }
        // Else it is on its way to somebody, and reaches them or comes back.
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
        let letter = Letter { kind: Kind::Iq(kind), from, to: number, resource: None, stanza, ack: None };
        self.refuse(letter, &unavailable());
    }
}
