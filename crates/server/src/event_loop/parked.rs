//! Sessions that lost their connection and wait for their clients (XEP-0198 section 5), and how many there may be.
//! Owns: the parked sessions of one loop, by the name they had; when each one's time is up.
//! Invariants: what is parked stays within the bounds of `[resume]`; whatever ends here has been handed to the router with
//! what its client had not confirmed; to the router a parked session is one that does not confirm.
//! Not here: what a parked session is (`session::resume`), which client gets which (`router::resume`), what of it outlives the
//! exchange (`router::restart`).

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use router::{Handover, SessionId, Stowed, Undelivered};
use session::{Carrier, Parked, ResumeId, Session};
use store::SavedSession;
use xmpp::address::AccountNumber;
use xmpp::time::{Instant, Wallclock};

use super::EventLoop;
use crate::admin;
use crate::config::Resume;
use crate::connection::Connection;
use crate::letter::{SLOTS_MAX, SessionName};

/// Where sessions that were saved are said to sit: no connection ever does.
const SLOT_OF_THE_SAVED: u32 = SLOTS_MAX as u32;

/// Counts of all loops, for the bounds on all of them.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    sessions: AtomicUsize,
    bytes: AtomicUsize,
}

/// What is remembered of a session without a connection.
#[derive(Debug)]
pub(crate) struct ParkedLine {
    session: Parked,
    number: AccountNumber,
    resource: Box<str>,
    until: Instant,
    about: About,
}

/// What `who` says of a session's last connection.
#[derive(Debug, Clone)]
struct About {
    carrier: Carrier,
    network: Box<str>,
    remote: SocketAddr,
    encrypted: bool,
    since: u64,
}

impl About {
    /// As the next exchange reads it.
    fn write(&self) -> Box<str> {
        let Self { carrier, network, remote, encrypted, since } = self;
        format!("{} {network} {remote} {encrypted} {since}", carrier.name()).into()
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            carrier: Carrier::from_name(words.next()?)?,
            network: words.next()?.into(),
            remote: words.next()?.parse().ok()?,
            encrypted: words.next()?.parse().ok()?,
            since: words.next()?.parse().ok()?,
        })
    }
}

/// The parked sessions of one loop.
#[derive(Debug, Default)]
pub(crate) struct ParkedLines {
    lines: HashMap<SessionId, Box<ParkedLine>>,
    deadlines: BTreeSet<(Instant, SessionId)>,
    accounts: HashMap<AccountNumber, Vec<SessionId>>,
    /// Ended, and to be handed to the router.
    over: Vec<(SessionId, Undelivered)>,
}

impl ParkedLines {
    fn insert(&mut self, id: SessionId, line: Box<ParkedLine>, bounds: &Resume, totals: &Totals) {
        totals.sessions.fetch_add(1, Ordering::Relaxed);
        totals.bytes.fetch_add(line.session.octets(), Ordering::Relaxed);
        let number = line.number;
        self.deadlines.insert((line.until, id));
        self.accounts.entry(number).or_default().push(id);
        self.lines.insert(id, line);
        while self.accounts.get(&number).is_some_and(|ids| ids.len() > bounds.account_sessions_max)
            || self.bytes_of(number) > bounds.account_bytes_max
        {
            let ids = self.accounts.get(&number).map(Vec::as_slice).unwrap_or_default();
            let Some(&soonest) = ids.iter().min_by_key(|id| self.lines[id].until) else { break };
            self.end(soonest, totals);
        }
        self.keep_totals(bounds, totals);
    }

    /// Beyond what all loops may hold, whose time is up soonest goes first.
    fn keep_totals(&mut self, bounds: &Resume, totals: &Totals) {
        while totals.sessions.load(Ordering::Relaxed) > bounds.sessions_max
            || totals.bytes.load(Ordering::Relaxed) > bounds.bytes_max
        {
            let Some(&(_, soonest)) = self.deadlines.first() else { break };
            self.end(soonest, totals);
        }
    }

    fn bytes_of(&self, number: AccountNumber) -> usize {
        let ids = self.accounts.get(&number).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.lines.get(id)).map(|line| line.session.octets()).sum()
    }

    fn take(&mut self, id: SessionId, totals: &Totals) -> Option<Box<ParkedLine>> {
        let line = self.lines.remove(&id)?;
        totals.sessions.fetch_sub(1, Ordering::Relaxed);
        totals.bytes.fetch_sub(line.session.octets(), Ordering::Relaxed);
        self.deadlines.remove(&(line.until, id));
        if let Some(ids) = self.accounts.get_mut(&line.number) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.accounts.remove(&line.number);
            }
        }
        Some(line)
    }

    /// Ends a session, if it is parked here.
    pub(crate) fn end(&mut self, id: SessionId, totals: &Totals) {
        if let Some(line) = self.take(id, totals) {
            tracing::debug!(number = line.number.get(), "a parked session ended");
            self.over.push((id, undelivered(line.session.into_unacked())));
        }
    }

    /// A stanza for a client that may come back. Nobody's, if the session is not parked here.
    pub(crate) fn deliver(
        &mut self,
        id: SessionId,
        stanza: &[u8],
        tag: Option<router::Tag>,
        bounds: &Resume,
        totals: &Totals,
    ) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        let number = line.number;
        let tag = tag.map(|tag| session::Tag(tag.to_bits()));
        totals.bytes.fetch_add(stanza.len(), Ordering::Relaxed);
        let kept = line.session.handle_delivery(stanza, tag, bounds.stanzas_max, bounds.account_bytes_max);
        if kept.is_err() || self.bytes_of(number) > bounds.account_bytes_max {
            self.end(id, totals);
        } else {
            self.keep_totals(bounds, totals);
        }
    }

    /// A stanza of a client that may come back has been processed. False: it is not parked here.
    pub(crate) fn processed(&mut self, id: SessionId, seq: u32, recorded: bool) -> bool {
        let line = self.lines.get_mut(&id);
        line.map(|line| line.session.handle_processed(seq, recorded)).is_some()
    }

    /// What ended and is to be handed to the router.
    pub(crate) fn take_over(&mut self) -> Option<(SessionId, Undelivered)> {
        self.over.pop()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Ends those whose time is up.
    pub(crate) fn end_due(&mut self, now: Instant, totals: &Totals) {
        while let Some(&(at, id)) = self.deadlines.first()
            && at <= now
        {
            self.end(id, totals);
        }
    }

    /// For `switchboard who`.
    pub(crate) fn who(&self) -> impl Iterator<Item = admin::Line> {
        self.lines.values().map(|line| admin::Line {
            number: Some(line.number.get()),
            resource: Some(line.resource.to_string()),
            carrier: line.about.carrier.name().to_owned(),
            network: line.about.network.to_string(),
            remote: line.about.remote,
            state: "parked".to_owned(),
            encrypted: line.about.encrypted,
            since: line.about.since,
        })
    }
}

/// What a session gives back, as the router takes it.
pub(crate) fn undelivered(unacked: impl Iterator<Item = (Vec<u8>, Option<session::Tag>)>) -> Undelivered {
    unacked.map(|(stanza, tag)| (stanza, tag.map(|tag| router::Tag::from_bits(tag.0)))).collect()
}

/// A parked session in the router's words.
pub(crate) fn handover_of(parked: Parked) -> Handover {
    Handover {
        key: parked.id().to_bits(),
        max_secs: u32::try_from(parked.max().as_secs()).unwrap_or(u32::MAX),
        counts: parked.counts(),
        unacked: undelivered(parked.into_unacked()),
    }
}

/// And back.
pub(crate) fn parked_of(handover: Handover) -> Parked {
    let max = Duration::from_secs(u64::from(handover.max_secs));
    let unacked = handover.unacked.into_iter();
    let unacked = unacked.map(|(stanza, tag)| (stanza, tag.map(|tag| session::Tag(tag.to_bits()))));
    Parked::restore(ResumeId::from_bits(handover.key), max, &handover.counts, unacked)
}

impl EventLoop {
    /// A session that may be resumed has lost its connection.
    pub(super) fn park(&mut self, name: SessionName, connection: &ParkedFacts, parked: Parked) {
        let until = self.now.mono + parked.max();
        let line = Box::new(ParkedLine {
            session: parked,
            number: connection.number,
            resource: connection.resource.clone(),
            until,
            about: connection.about.clone(),
        });
        self.parked.insert(name.to_id(), line, &self.shared.config.resume, &self.shared.parked);
        self.end_parked();
    }

    /// Hands to the router what has ended.
    pub(super) fn end_parked(&mut self) {
        while let Some((id, undelivered)) = self.parked.take_over() {
            self.router.handle_unbound(self.now, id, undelivered);
        }
    }

    /// The exchange is about to end: what is parked here goes to where it is saved.
    pub(super) fn stow(&mut self) {
        for id in self.parked.lines.keys().copied().collect::<Vec<_>>() {
            let Some(line) = self.parked.take(id, &self.shared.parked) else { continue };
            let left = line.until.saturating_since(self.now.mono).as_millis();
            let left = u64::try_from(left).unwrap_or(u64::MAX);
            let until = Wallclock::from_millis(self.now.wall.as_millis().saturating_add(left));
            let stowed = Stowed { handover: handover_of(line.session), until, about: line.about.write() };
            self.router.handle_stowed(self.now, id, stowed);
        }
    }

    /// The exchange has started: what the one before it saved is parked here again, for the rest of its time.
    pub(super) fn restore(&mut self, saved: Vec<SavedSession>) {
        for (saved, generation) in saved.into_iter().zip(1..) {
            // No connection ever sits there.
            let name = SessionName { event_loop: self.this, generation, slot: SLOT_OF_THE_SAVED };
            let left = saved.until.as_millis().saturating_sub(self.now.wall.as_millis());
            let max = Duration::from_secs(saved.max_secs.into());
            let until = self.now.mono + Duration::from_millis(left).min(max);
            let (number, resource) = (saved.number, saved.resource.clone());
            let Some(about) = About::read(&saved.about) else { continue };
            let Some(handover) = self.router.handle_restored(self.now, name.to_id(), saved) else { continue };
            let line = ParkedLine { session: parked_of(handover), number, resource, until, about };
            self.parked.insert(name.to_id(), Box::new(line), &self.shared.config.resume, &self.shared.parked);
            self.drain_router();
        }
        // No turn may be due for long.
        self.posts.flush(true);
    }

    /// A client has come back over another connection: what is left of its session goes there.
    pub(super) fn surrender(&mut self, id: SessionId) {
        if let Some(line) = self.parked.take(id, &self.shared.parked) {
            return self.router.handle_surrendered(self.now, id, handover_of(line.session));
        }
        let Some(slot) = self.lines.find(SessionName::from_id(id)) else { return };
        let Some((connection, pools)) = self.lines.with_pools(slot) else { return };
        let crate::connection::Stage::Session(session) = &mut connection.stage else { return };
        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
        // XEP-0198 section 5: the stream before it, if it is still open, ends so.
        session.handle_close(Some(xmpp::StreamErrorKind::Conflict), outbox);
        let Some(parked) = session.park(session::EndReason::ConnectionLost) else { return };
        connection.flags.bound = false;
        self.lines.end_later(slot, session::EndReason::Error(xmpp::StreamErrorKind::Conflict));
        self.lines.mark_dirty(slot);
        self.router.handle_surrendered(self.now, id, handover_of(parked));
    }
}

/// What is known of a connection that is gone.
pub(super) struct ParkedFacts {
    number: AccountNumber,
    resource: Box<str>,
    about: About,
}

impl ParkedFacts {
    pub(super) fn of(connection: &Connection, session: &Session, network: &'static str) -> Option<Self> {
        Some(Self {
            number: connection.number?,
            resource: connection.resource.clone()?,
            about: About {
                carrier: connection.carrier,
                network: network.into(),
                remote: connection.remote,
                encrypted: session.facts().encrypted,
                since: connection.since.into(),
            },
        })
    }
}
