//! Who tells whom: session events to the router, router outputs to sessions and mailboxes, letters to both.
//! Invariants: outputs are drained after each event, so a stanza is in its recipients' outboxes before the next is
//! read; nothing on that way allocates once warm, but what the store is to keep.
//! Not here: deciding anything.

use std::net::IpAddr;
use std::sync::mpsc::TrySendError;

use router::{Handover, Output, Place, Router, SessionId};
use session::{
    BindFacts, Count, CredentialsRequest, EndReason, Event, Outbox, RegisterRequest, ResumeId, Session,
};
use xmpp::address::AccountNumber;
use xmpp::stanza::StanzaKind;
use xmpp::time::Now;
use xmpp::{Jid, StanzaError};

use super::parked::parked_of;
use super::{EventLoop, Life};
use crate::carrier::tls::Tls;
use crate::connection::{Line, Stage};
use crate::counts::LoopCounts;
use crate::errands::{self, Asked};
use crate::letter::{Letter, SessionName, StoreLetter};

/// What a session said that is not for the router.
pub(super) enum Effect {
    StartTls,
    Credentials(Box<CredentialsRequest>),
    LoggedIn(AccountNumber),
    LogInFailed(Option<AccountNumber>),
    Tokens(Box<store::TokenChange>),
    Register(Box<RegisterRequest>),
    Bind { number: AccountNumber, resource: Option<String>, facts: BindFacts },
    Resume { number: AccountNumber, id: ResumeId },
    Finished(EndReason),
}

/// Hands what is for the router to the router, and the rest back.
#[inline]
pub(super) fn hear(
    router: &mut Router,
    counts: &mut LoopCounts,
    now: Now,
    name: SessionName,
    event: Event<'_>,
) -> Option<Effect> {
    match event {
        Event::Stanza { seq, processed, stanza } => {
            match stanza.kind() {
                StanzaKind::Message => counts.stanzas_in[0] += 1,
                StanzaKind::Presence => counts.stanzas_in[1] += 1,
                _ => counts.stanzas_in[2] += 1,
            }
            router.handle_stanza(now, name.to_id(), Place { seq, processed }, &stanza);
            None
        }
        Event::Delivered { tag } => {
            router.handle_delivered(now, name.to_id(), router::Tag::from_bits(tag.0));
            None
        }
        Event::Acknowledging { resume } => {
            let resumption = resume.map(|(id, base)| router::Resumption { key: id.to_bits(), base });
            router.handle_acknowledging(now, name.to_id(), resumption);
            None
        }
        Event::ClientState { active } => {
            router.handle_client_state(now, name.to_id(), active);
            None
        }
        Event::Resume { number, id } => Some(Effect::Resume { number, id }),
        Event::StartTls => Some(Effect::StartTls),
        Event::Credentials(request) => Some(Effect::Credentials(request)),
        Event::LoggedIn { number } => Some(Effect::LoggedIn(number)),
        Event::LogInFailed { number } => Some(Effect::LogInFailed(number)),
        Event::Tokens(change) => Some(Effect::Tokens(change)),
        Event::Register(request) => Some(Effect::Register(request)),
        Event::Bind { number, resource, facts } => Some(Effect::Bind { number, resource, facts }),
        Event::Finished { reason } => Some(Effect::Finished(reason)),
    }
}

impl EventLoop {
    /// What follows from what a session said.
    #[inline]
    pub(super) fn after_events(&mut self, slot: usize, effects: impl Iterator<Item = Effect>) {
        for effect in effects {
            self.apply(slot, effect);
        }
        self.drain_router();
        if self.posts.is_congested() {
            self.lines.wait_for_room(slot);
        }
    }

    fn apply(&mut self, slot: usize, effect: Effect) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        match effect {
            Effect::StartTls => match Tls::new(std::sync::Arc::clone(&self.shared.certs.xmpp)) {
                Ok(tls) => {
                    if let Some(outbox) = &mut connection.outbox {
                        connection.before_tls = Some(Box::new(outbox.bytes().to_vec()));
                        outbox.clear();
                    }
                    connection.tls = Some(tls);
                    connection.deadline = Some(self.now.mono + self.shared.config.limits.login);
                }
                Err(error) => {
                    tracing::error!(%error, "no TLS connection can be made");
                    self.lines.end_later(slot, EndReason::ConnectionLost);
                }
            },
            Effect::Credentials(request) => {
                let address = connection.remote.ip();
                let Some(name) = self.lines.name(slot) else { return };
                self.posts.write_store(StoreLetter::Credentials {
                    from: self.this,
                    session: name.to_id(),
                    address,
                    request,
                });
            }
            Effect::Tokens(change) => {
                let Some(name) = self.lines.name(slot) else { return };
                self.posts.write_store(StoreLetter::Tokens {
                    from: self.this,
                    session: name.to_id(),
                    change,
                });
            }
            Effect::Register(request) => {
                let address = connection.remote.ip();
                let Some(name) = self.lines.name(slot) else { return };
                self.posts.write_store(StoreLetter::Register {
                    from: self.this,
                    session: name.to_id(),
                    address,
                    request,
                });
            }
            Effect::LoggedIn(number) => {
                connection.number = Some(number);
                let address = connection.remote.ip();
                let message_max = self.shared.config.limits.stanza_max;
                if let Some(websocket) = &mut connection.websocket {
                    websocket.decoder.set_message_max(message_max);
                }
                self.report_log_in(address, Some(number), true);
                self.go_home(slot, number);
                self.on_home(slot);
            }
            Effect::LogInFailed(number) => {
                let address = connection.remote.ip();
                self.report_log_in(address, number, false);
            }
            Effect::Bind { number, resource, facts } => {
                connection.flags.bound = true;
                let Some(name) = self.lines.name(slot) else { return };
                let BindFacts { acknowledging, inline } = facts;
                let facts = router::LineFacts { acknowledging, inline };
                self.router.handle_bind(self.now, name.to_id(), number, resource.as_deref(), facts);
            }
            Effect::Resume { number, id } => {
                connection.flags.bound = true;
                let Some(name) = self.lines.name(slot) else { return };
                self.router.handle_resume(self.now, name.to_id(), number, id.to_bits());
            }
            Effect::Finished(reason) => self.lines.end_later(slot, reason),
        }
    }

    fn report_log_in(&mut self, address: IpAddr, number: Option<AccountNumber>, succeeded: bool) {
        if succeeded {
            self.counts.log_ins += 1;
        } else {
            self.counts.log_ins_failed += 1;
        }
        let letter = StoreLetter::LogIn { address, number, succeeded };
        if succeeded {
            self.posts.mention_to_store(letter);
        } else {
            // The next attempt, through whichever loop, is to be slowed.
            self.posts.write_store(letter);
        }
    }

    /// A logged-in session moves to its number's home loop, at the end of the turn, if its line can move.
    fn go_home(&mut self, slot: usize, number: AccountNumber) {
        let home = Router::home(number, u16::from(self.loops)) as u8;
        let Some(connection) = self.lines.get_mut(slot) else { return };
        // A QUIC stream stays with its connection, and a connection of our own stack with its stack.
        if home != self.this
            && let Line::Stream { network, .. } = connection.line
            && self.networks[usize::from(network)].moves_between_loops()
        {
            connection.flags.moving = true;
        }
    }

    /// A logged-in session is where it stays: what its client asked for along with its log-in comes next.
    pub(super) fn on_home(&mut self, slot: usize) {
        let Some(name) = self.lines.name(slot) else { return };
        let Some((connection, pools)) = self.lines.with_pools(slot) else { return };
        if connection.flags.moving {
            return;
        }
        let Stage::Session(session) = &mut connection.stage else { return };
        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
        let event = session.handle_home(outbox);
        self.lines.mark_dirty(slot);
        self.lines.mark_again(slot);
        if let Some(effect) =
            event.and_then(|event| hear(&mut self.router, &mut self.counts, self.now, name, event))
        {
            self.apply(slot, effect);
        }
    }

    /// Does what the router wants until it wants nothing more.
    pub(super) fn drain_router(&mut self) {
        loop {
            while let Some(output) = self.router.poll_output() {
                match output {
                    Output::Deliver { session, stanza, tag } => {
                        let Some(slot) = self.lines.find_session(session) else {
                            let bounds = &self.shared.config.resume;
                            self.parked.deliver(session, stanza, tag, bounds, &self.shared.parked);
                            continue;
                        };
                        let Some((connection, pools)) = self.lines.with_pools(slot) else { continue };
                        let Stage::Session(receiver) = &mut connection.stage else { continue };
                        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
                        let tag = tag.map(|tag| session::Tag(tag.to_bits()));
                        self.counts.stanzas_out += 1;
                        if receiver.handle_delivery(self.now, stanza, tag, outbox).is_err()
                            && let Some(Event::Finished { reason }) = receiver.poll_event()
                        {
                            self.lines.end_later(slot, reason);
                        }
                        self.lines.mark_dirty(slot);
                    }
                    Output::Processed { session, seq, recorded } => {
                        let Some(slot) = self.lines.find_session(session) else {
                            if !self.parked.processed(session, seq, recorded) {
                                self.router.handle_late(self.now, session, seq, recorded);
                            }
                            continue;
                        };
                        let Some((connection, pools)) = self.lines.with_pools(slot) else { continue };
                        let Stage::Session(sender) = &mut connection.stage else { continue };
                        let waited = !sender.wants_input();
                        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
                        if recorded {
                            sender.handle_recorded(seq, outbox);
                        } else {
                            sender.handle_processed(seq, outbox);
                        }
                        if waited && sender.wants_input() {
                            self.lines.mark_again(slot);
                        }
                        self.lines.mark_dirty(slot);
                    }
                    Output::Bound { session, jid, inline } => {
                        let Some(slot) = self.lines.find(SessionName::from_id(session)) else { continue };
                        let Some((connection, pools)) = self.lines.with_pools(slot) else { continue };
                        let Stage::Session(bound) = &mut connection.stage else { continue };
                        let jid = Jid::parse(jid).expect("a router binds checked addresses");
                        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
                        bound.handle_bound(self.now, &jid, inline, outbox);
                        let acknowledging = bound.poll_event();
                        connection.resource = jid.resource().map(Box::from);
                        if let Some(event) = acknowledging {
                            // Nothing else can be to be told of a session that has just been bound.
                            let name = SessionName::from_id(session);
                            let _ = hear(&mut self.router, &mut self.counts, self.now, name, event);
                        }
                        self.lines.mark_dirty(slot);
                        self.lines.mark_again(slot);
                    }
                    Output::BindRefused { session, error } => {
                        let Some(slot) = self.lines.find(SessionName::from_id(session)) else { continue };
                        let Some((connection, pools)) = self.lines.with_pools(slot) else { continue };
                        connection.flags.bound = false;
                        let Stage::Session(refused) = &mut connection.stage else { continue };
                        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
                        refused.handle_bind_refused(&StanzaError::new(error.condition()), outbox);
                        self.lines.mark_dirty(slot);
                        self.lines.mark_again(slot);
                    }
                    Output::Resumed { session, jid, handover } => {
                        let jid = Jid::parse(jid).expect("a router binds checked addresses");
                        self.resumed(session, &jid, *handover);
                    }
                    Output::ResumeRefused { session, h } => {
                        let Some(slot) = self.lines.find(SessionName::from_id(session)) else { continue };
                        let Some(connection) = self.lines.get_mut(slot) else { continue };
                        connection.flags.bound = false;
                        self.tell(session, |refused, outbox| refused.handle_resume_refused(h, outbox));
                    }
                    Output::Surrender { session } => self.surrender(session),
                    Output::Post { to_loop, parcel } => {
                        self.posts.parcel(to_loop as u8, parcel);
                    }
                    Output::Store(request) => self.posts.request(request),
                    Output::Errand { session, number, id, errand } => {
                        let asked = Asked { session, number, id, errand };
                        if let Err(asked) = self.send_on_errand(asked) {
                            self.answer(session, &errands::refusal(&asked));
                        }
                    }
                    Output::Close { session, error } => {
                        let Some(slot) = self.lines.find_session(session) else {
                            self.parked.end(session, &self.shared.parked);
                            continue;
                        };
                        let Some((connection, pools)) = self.lines.with_pools(slot) else { continue };
                        let Stage::Session(closed) = &mut connection.stage else { continue };
                        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
                        closed.handle_close(Some(error), outbox);
                        let reason = match closed.poll_event() {
                            Some(Event::Finished { reason }) => reason,
                            _ => EndReason::Error(error),
                        };
                        self.lines.end_later(slot, reason);
                        self.lines.mark_dirty(slot);
                    }
                }
            }
            // Ending a session gives the router more to do.
            if let Some((slot, reason)) = self.lines.take_ended() {
                self.finish(slot, reason);
            } else if let Some((id, undelivered)) = self.parked.take_over() {
                self.router.handle_unbound(self.now, id, undelivered);
            } else {
                return;
            }
        }
    }

    /// Sends an errand on its way; it comes back where nobody takes it.
    fn send_on_errand(&self, asked: Asked) -> Result<(), Asked> {
        let Some(errands) = self.shared.errands.get() else { return Err(asked) };
        errands.try_send(asked).map_err(|refused| match refused {
            TrySendError::Full(asked) | TrySendError::Disconnected(asked) => asked,
        })
    }

    /// Gives a session a stanza that did not come from the router: an answer of the exchange's own. It follows a session whose
    /// connection is lost; one that another connection has taken up since is asked in vain.
    fn answer(&mut self, session: SessionId, stanza: &[u8]) {
        let Some(slot) = self.lines.find(SessionName::from_id(session)) else {
            let (bounds, totals) = (&self.shared.config.resume, &self.shared.parked);
            return self.parked.deliver(session, stanza, None, bounds, totals);
        };
        let Some((connection, pools)) = self.lines.with_pools(slot) else { return };
        let Stage::Session(receiver) = &mut connection.stage else { return };
        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
        self.counts.stanzas_out += 1;
        if receiver.handle_delivery(self.now, stanza, None, outbox).is_err()
            && let Some(Event::Finished { reason }) = receiver.poll_event()
        {
            self.lines.end_later(slot, reason);
        }
        self.lines.mark_dirty(slot);
    }

    /// A session goes on at this connection.
    fn resumed(&mut self, session: SessionId, jid: &Jid, handover: Handover) {
        let found = self.lines.find_session(session);
        let Some((slot, (connection, pools))) =
            found.and_then(|slot| Some((slot, self.lines.with_pools(slot)?)))
        else {
            return self.router.handle_unbound(self.now, session, handover.unacked);
        };
        let Stage::Session(heir) = &mut connection.stage else { return };
        connection.resource = jid.resource().map(Box::from);
        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
        let confirmed = heir.handle_resumed(self.now, jid, parked_of(handover), outbox);
        let over = heir.poll_event();
        for tag in confirmed {
            self.router.handle_delivered(self.now, session, router::Tag::from_bits(tag.0));
        }
        if let Some(Event::Finished { reason }) = over {
            self.lines.end_later(slot, reason);
        }
        self.lines.mark_dirty(slot);
        self.lines.mark_again(slot);
    }

    /// Puts on record how many stanzas of a client were handled, before it is told so.
    pub(super) fn note_count(&mut self, slot: usize) {
        let Some(name) = self.lines.name(slot) else { return };
        let Some(connection) = self.lines.get_mut(slot) else { return };
        let (Stage::Session(session), Some(number)) = (&mut connection.stage, connection.number) else {
            return;
        };
        let Some(Count { id, upto, h }) = session.poll_count() else { return };
        self.posts.write_store(StoreLetter::Count {
            from: self.this,
            session: name.to_id(),
            upto,
            op: store::SessionOp::Count { key: id.to_bits(), number, h },
        });
    }

    /// The store says whether a count is on record.
    fn counted(&mut self, session: SessionId, upto: u32, kept: bool) {
        let Some(slot) = self.lines.find(SessionName::from_id(session)) else { return };
        let Some((connection, pools)) = self.lines.with_pools(slot) else { return };
        let Stage::Session(counted) = &mut connection.stage else { return };
        if !kept {
            return counted.handle_uncounted();
        }
        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
        counted.handle_counted(upto, outbox);
        self.lines.mark_dirty(slot);
        self.lines.mark_again(slot);
    }

    /// Tells a session what it waits for, and does what it says to that.
    pub(super) fn tell(
        &mut self,
        session: SessionId,
        say: impl FnOnce(&mut Session, &mut Outbox) -> Option<Event<'static>>,
    ) {
        let name = SessionName::from_id(session);
        let Some(slot) = self.lines.find(name) else { return };
        let Some((connection, pools)) = self.lines.with_pools(slot) else { return };
        let Stage::Session(waiting) = &mut connection.stage else { return };
        let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
        let event = say(waiting, outbox);
        let effect = event.and_then(|event| hear(&mut self.router, &mut self.counts, self.now, name, event));
        self.after_events(slot, effect.into_iter());
        self.lines.mark_dirty(slot);
        self.lines.mark_again(slot);
    }

    /// Opens a letter.
    pub(super) fn open(&mut self, letter: Letter) {
        match letter {
            Letter::Parcel(parcel) => {
                self.router.handle_parcel(self.now, parcel);
                self.drain_router();
                self.posts.done();
            }
            Letter::Reply(reply) => {
                self.posts.replied();
                self.router.handle_reply(self.now, reply);
                self.drain_router();
                self.posts.done();
            }
            Letter::Counted { session, upto, kept } => self.counted(session, upto, kept),
            Letter::Credentials { session, answer } => {
                let now = self.now;
                self.tell(session, |session, outbox| session.handle_credentials(now, *answer, outbox));
            }
            Letter::Tokens { session, answer } => {
                self.tell(session, |session, outbox| session.handle_tokens(answer, outbox));
            }
            Letter::Derived { session, change } => {
                // Keys take their time on a thread of their own, and the store has one writer.
                self.posts.write_store(StoreLetter::Derived { from: self.this, session, change });
            }
            Letter::Registered { session, answer } => {
                let now = self.now;
                self.tell(session, |session, outbox| session.handle_registered(now, answer, outbox));
            }
            Letter::Account { number, change } => {
                self.router.handle_account(self.now, number, change);
                self.drain_router();
            }
            Letter::Deleted { number, roster } => {
                self.router.handle_deleted(self.now, number, roster);
                self.drain_router();
            }
            Letter::Accepted(arrival) => self.arrive(*arrival),
            Letter::Upgraded(handover) => self.upgrade(*handover),
            Letter::Moved { connection, stream, network } => self.settle(connection, stream, network),
            Letter::Datagram { endpoint, meta, data } => self.hear_datagram(endpoint, &meta, data),
            Letter::Stray { network, stray } => {
                if let Some(network) = self.networks.get_mut(usize::from(network)) {
                    network.handle_stray(&stray);
                }
            }
            Letter::Who(answer) => {
                // Whoever asked may have given up.
                let _ = answer.send(self.who());
            }
            Letter::Counts(answer) => {
                let counts = LoopCounts {
                    bound: self.router.sessions() as u64,
                    store_outstanding: self.posts.outstanding() as u64,
                    ..self.counts.clone()
                };
                let _ = answer.send(Box::new(counts));
            }
            Letter::Trace { number, of, answer } => {
                let _ = answer.send(self.trace(number, of.as_ref())); // as above
            }
            Letter::Ladder { session, answer } => {
                if let Some(frames) = self.frames_of(SessionName::from_id(session)) {
                    let _ = answer.send(frames);
                }
            }
            Letter::Lines(answer) => {
                let _ = answer.send(self.named_lines());
            }
            Letter::Facts { session, answer } => {
                let _ = answer.send(self.facts_of(SessionName::from_id(session)));
            }
            Letter::Answer { session, stanza } => {
                self.answer(session, &stanza);
                self.drain_router();
            }
            Letter::Leave => self.leave(),
            Letter::Stop => {
                self.leave();
                self.life = Life::Stopping;
                self.close_all();
                self.drain_router();
            }
            Letter::Settle => {
                self.router.handle_stopping(self.now);
                self.drain_router();
                self.shared.progress.step();
            }
            Letter::Stow => {
                self.stow();
                self.drain_router();
                self.shared.progress.step();
            }
            Letter::End => {
                self.router.handle_stopped(self.now);
                self.drain_router();
                self.life = Life::Ending(self.now.mono + super::LAST_REPLIES_WITHIN);
            }
        }
    }
}
