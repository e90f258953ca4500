//! The conductor: a connection, what it keeps while idle, and how calls, segments and timers reach the rooms.
//! Spec: RFC 9293 3.3.1, 3.9.1.
//! Owns: the idle form (fixed fields) and the two boxes that exist only while there is work.
//! Invariants: see `invariants`, which looks after every event. Every input is followed by draining `poll_segment` and
//! `poll_events`, then by asking `next_deadline`.
//! Not here: addresses, ports, checksums, tables (`stack`).

use std::sync::Arc;

use crate::buffer::Slices;
use crate::close::Closing;
use crate::config::{Settings, TcpConfig};
use crate::congestion::{Congestion, Resting};
use crate::ctx::{Ctx, Memory};
use crate::delayed_ack::DelayedAck;
use crate::events::Events;
use crate::info::{Ages, End, RecoveryState, TcpInfo, Unreachable};
use crate::keepalive::KeepAlive;
use crate::options::Agreed;
use crate::pmtu::Pmtu;
use crate::reset::ChallengeLimit;
use crate::rtt::RttEstimator;
use crate::sack::DUP_THRESH;
use crate::segment::SegmentOut;
use crate::seq::SeqNum;
use crate::state::State;
use crate::tcb::{Rcv, Receiving, Sending, Snd};
use crate::tick::Tick;
use crate::time::Instant;
use crate::user_timeout::Advertised;
use crate::window::{ReceiveWindow, SendWindow};

/// What the stack knows about a connection that is about to open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// The initial send sequence number (RFC 6528: the stack's keyed hash and clock).
    pub iss: SeqNum,
    /// What the timestamp clock is moved by: a keyed hash of the four-tuple, so that it rises across incarnations.
    pub ts_offset: u32,
    /// The MSS to announce: MTU of the interface less the fixed headers (RFC 9293 3.7.1, MUST-67).
    pub mss: u16,
    /// The largest text, options counted into it, that the path to the peer carries in one packet.
    pub path_mss: u16,
}

/// One TCP connection.
///
/// Inputs: [`Connection::handle_segment`], [`Connection::handle_timer`], [`Connection::handle_unreachable`],
/// [`Connection::handle_path`], and the user calls. After each, drain [`Connection::poll_segment`] and
/// [`Connection::poll_events`], then ask [`Connection::next_deadline`]. Before it is dropped, [`Connection::release`] gives
/// its memory back.
#[derive(Debug)]
pub struct Connection {
    pub(crate) sending: Option<Box<Sending>>,
    pub(crate) receiving: Option<Box<Receiving>>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) snd: Snd,
    pub(crate) rcv: Rcv,
    pub(crate) agreed: Agreed,
    pub(crate) rtt: RttEstimator,
    pub(crate) resting: Resting,
    pub(crate) pmtu: Pmtu,
    pub(crate) delayed_ack: DelayedAck,
    pub(crate) keepalive: KeepAlive,
    pub(crate) closing: Closing,
    pub(crate) challenge: ChallengeLimit,
    pub(crate) last_sent: Tick,
    pub(crate) bits: Bits,
    pub(crate) events: Events,
    pub(crate) own_mss: u16,
    /// RFC 5482 REMOTE_UTO.
    pub(crate) remote_uto: Advertised,
    pub(crate) state: State,
    pub(crate) end: Option<End>,
    pub(crate) soft_error: Option<Unreachable>,
}

/// Small facts about a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bits(u16);

impl Bits {
    /// A RST is to be sent.
    pub(crate) const RST_DUE: Bits = Bits(1);
    /// Our SYN is to be sent, again perhaps.
    pub(crate) const SYN_DUE: Bits = Bits(1 << 1);
    /// A segment that only provokes an ACK is to be sent.
    pub(crate) const PROBE_DUE: Bits = Bits(1 << 2);
    /// Congestion was experienced; say so in every ACK until the peer has heard (RFC 3168 6.1.3).
    pub(crate) const ECN_ECHO: Bits = Bits(1 << 3);
    /// The program reads no more.
    pub(crate) const READ_SHUT: Bits = Bits(1 << 4);
    /// A `send` could not take everything; the program wants to hear of room.
    pub(crate) const WRITE_BLOCKED: Bits = Bits(1 << 5);
    /// Our FIN has been sent.
    pub(crate) const FIN_SENT: Bits = Bits(1 << 6);
    /// The last `send` announced more (MSG_MORE).
    pub(crate) const MORE: Bits = Bits(1 << 7);
    /// The send queue's wait has outlasted the override timeout: send what the window takes (RFC 9293 3.8.6.2.1).
    pub(crate) const OVERRIDE: Bits = Bits(1 << 8);
    /// Our SYN had to be sent again.
    pub(crate) const SYN_RESENT: Bits = Bits(1 << 9);

    /// The peer's FIN was taken: what follows the last octet is an end, even if a RST came later.
    pub(crate) const PEER_FIN: Bits = Bits(1 << 10);

    /// The program has finished while our SYN is not yet acknowledged: FIN-WAIT-1 follows ESTABLISHED at once.
    pub(crate) const FINISH_WHEN_OPEN: Bits = Bits(1 << 11);

    /// The peer is to hear of our user timeout, with the next segment that is no SYN (RFC 5482).
    pub(crate) const UTO_DUE: Bits = Bits(1 << 12);

    /// The handshake came to its end.
    pub(crate) const OPENED: Bits = Bits(1 << 13);

    /// A small piece waits, since the last `send` announced more; the next event ends that.
    pub(crate) const HOLD: Bits = Bits(1 << 14);

    /// What was held back goes out now: the program has set TCP_NODELAY.
    pub(crate) const FLUSH: Bits = Bits(1 << 15);

    #[inline]
    pub(crate) const fn has(self, bit: Bits) -> bool {
        self.0 & bit.0 != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, bit: Bits) {
        self.0 |= bit.0;
    }

    #[inline]
    pub(crate) fn clear(&mut self, bit: Bits) {
        self.0 &= !bit.0;
    }

    /// Clears the bit and says whether it was set.
    #[inline]
    pub(crate) fn take(&mut self, bit: Bits) -> bool {
        let had = self.has(bit);
        self.clear(bit);
        had
    }
}

impl Connection {
    /// Opens actively (RFC 9293 3.9.1.1, OPEN with active). The SYN is the first segment to poll.
    #[must_use]
    pub fn connect(ctx: &mut Ctx<'_>, settings: Arc<Settings>, opening: &Opening) -> Self {
        let agreed = Agreed::offered(ctx.config, &settings, opening.ts_offset);
        let mut connection = Connection::new(ctx, settings, opening, agreed, State::SynSent);
        connection.bits.set(Bits::SYN_DUE);
        connection.wake_sending(ctx);
        connection.check();
        connection
    }

    /// A connection whose variables are set and whose peer is still unknown.
    pub(crate) fn new(
        ctx: &mut Ctx<'_>,
        settings: Arc<Settings>,
        opening: &Opening,
        agreed: Agreed,
        state: State,
    ) -> Self {
        let buffer = receive_buffer(ctx.config, &settings);
        Connection {
            sending: None,
            receiving: None,
            snd: Snd { una: opening.iss, nxt: opening.iss, window: SendWindow::new(0, SeqNum(0), SeqNum(0)) },
            rcv: Rcv { nxt: SeqNum(0), window: ReceiveWindow::new(buffer) },
            agreed,
            rtt: RttEstimator::new(),
            resting: Resting::new(0),
            pmtu: Pmtu::new(opening.path_mss.max(ctx.config.mss_min)),
            delayed_ack: DelayedAck::new(ctx.now, ctx.config),
            keepalive: KeepAlive::new(ctx.now),
            closing: Closing::default(),
            challenge: ChallengeLimit::new(ctx.now),
            last_sent: Tick::at(ctx.now),
            // RFC 5482 3: told in the first segment after the SYN too, since a SYN may be forgotten (cookies).
            bits: Bits::UTO_DUE,
            events: Events::NONE,
            own_mss: opening.mss.min(settings.max_segment.unwrap_or(u16::MAX)),
            remote_uto: Advertised::NONE,
            state,
            end: None,
            soft_error: None,
            settings,
        }
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why the connection is no more; `None` while it is.
    #[must_use]
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether the attempt to open came to nothing: the connection is over and never was open.
    #[must_use]
    pub const fn failed_to_open(&self) -> bool {
        matches!(self.state, State::Closed) && !self.bits.has(Bits::OPENED)
    }

    /// The last soft error that was reported about the path (RFC 9293 SHLD-25).
    #[must_use]
    pub const fn soft_error(&self) -> Option<Unreachable> {
        self.soft_error
    }

    /// What the socket has set.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes what the socket has set. Takes effect at once; what waited for the old setting is looked at again.
    pub fn set_option(&mut self, ctx: &mut Ctx<'_>, change: impl FnOnce(&mut Settings)) {
        let told = self.settings.advertised_user_timeout();
        change(Arc::make_mut(&mut self.settings));
        if self.settings.advertised_user_timeout() != told {
            self.bits.set(Bits::UTO_DUE);
        }
        if let Some(buffer) = self.settings.receive_buffer {
            self.rcv.window.set_buffer(buffer);
        }
        if !self.settings.cork {
            self.bits.clear(Bits::HOLD);
        }
        self.settle(ctx);
    }

    /// What is held back goes out now, full or not: what Linux does when TCP_NODELAY is set, were it set before or TCP_CORK too.
    pub fn flush(&mut self, ctx: &mut Ctx<'_>) {
        if self.unsent() > 0 {
            self.bits.set(Bits::FLUSH);
        }
        self.settle(ctx);
    }

    /// TCP_QUICKACK: acknowledge at once, or as usual again.
    pub fn set_quick_ack(&mut self, ctx: &Ctx<'_>, quick: bool) {
        self.delayed_ack.set_quick(quick, ctx.config);
    }

    /// What has happened since the last look.
    #[must_use]
    pub fn poll_events(&mut self) -> Events {
        core::mem::take(&mut self.events)
    }

    /// The text of a segment just polled.
    #[must_use]
    pub fn payload(&self, segment: &SegmentOut) -> Slices<'_> {
        match &self.sending {
            Some(sending) => sending.queue.slices(segment.text_offset as usize, segment.text_len as usize),
            None => Slices::default(),
        }
    }

    /// Gives all memory back. To be called before the connection is dropped; it is closed afterwards.
    pub fn release(&mut self, memory: &mut Memory) {
        if let Some(sending) = self.sending.take() {
            memory.give_sending(sending);
        }
        if let Some(receiving) = self.receiving.take() {
            memory.give_receiving(receiving);
        }
        self.state = State::Closed;
        self.bits.clear(Bits::RST_DUE);
    }

    /// A look at the connection.
    #[must_use]
    pub fn info(&self, config: &TcpConfig) -> TcpInfo {
        let sending = self.sending.as_deref();
        let (cwnd, ssthresh) = sending.map_or((self.resting.cwnd, self.resting.ssthresh), |sending| {
            (sending.congestion.window(), sending.congestion.ssthresh())
        });
        TcpInfo {
            state: self.state,
            user_timeout: self.user_timeout(config),
            timestamps: self.agreed.timestamps(),
            sack: self.agreed.sack(),
            ecn: self.agreed.ecn(),
            snd_wscale: self.agreed.scaling().then(|| self.agreed.snd_scale()),
            rcv_wscale: self.agreed.scaling().then(|| self.agreed.rcv_scale()),
            rto: self.rtt.rto(config),
            srtt: self.rtt.srtt(),
            rttvar: self.rtt.rttvar(),
            min_rtt: self.rtt.min_rtt(),
            snd_mss: self.smss(),
            peer_mss: self.agreed.peer_mss(),
            own_mss: self.own_mss,
            cwnd,
            ssthresh,
            snd_wnd: self.snd.window.wnd(),
            rcv_wnd: self.rcv.window.wnd(self.rcv.nxt),
            rcv_buffer: self.rcv.window.buffer(),
            unacked: self.snd.flight(),
            not_sent: self.unsent(),
            unread: to_u32(self.readable()),
            retransmits: sending.map_or(0, |sending| sending.retransmit.retries()),
            total_retransmits: sending.map_or(0, |sending| sending.retransmit.total()),
            probes: sending.map_or(0, |sending| sending.persist.probes()),
            spurious_recoveries: sending.map_or(0, |sending| sending.recovery.spurious()),
            reordering_seen: self.pmtu.reorders(),
            in_recovery: sending.is_some_and(|sending| sending.recovery.in_recovery()),
            recovery: sending.map_or(RecoveryState::Open, |sending| sending.recovery.state()),
            sacked: sending.map_or(0, |sending| sending.retransmit.sacked()),
            lost: sending.map_or(0, |sending| sending.recovery.lost(&sending.retransmit)),
            resent: sending.map_or(0, |sending| sending.retransmit.resent()),
            reordering: sending.map_or(DUP_THRESH as u32, |sending| sending.recovery.reordering()),
            duplicate_acks: sending.map_or(0, |sending| sending.recovery.duplicate_acks()),
            backoff: sending.map_or(0, |sending| sending.retransmit.backoff()),
            keepalive_probes: self.keepalive.probes_sent(),
            early: self.receiving.as_ref().map_or(0, |receiving| receiving.reassembly.bytes()),
            congestion: sending.map_or(self.settings.congestion, |sending| sending.congestion.kind()),
            in_slow_start: cwnd < ssthresh,
            pacing_rate: sending.and_then(|sending| sending.congestion.pacing_rate(self.rtt.srtt())),
        }
    }

    /// How long ago things happened.
    #[must_use]
    pub fn ages(&self, now: Instant) -> Ages {
        Ages {
            sent: self.last_sent.elapsed(now),
            received: self.delayed_ack.since_data(now),
            heard: self.keepalive.silence(now),
        }
    }

    /// The most text one of our segments carries (Eff.snd.MSS).
    #[inline]
    pub(crate) fn smss(&self) -> u16 {
        self.agreed.smss(self.pmtu.mss(), &self.settings)
    }

    /// Our SYN has not been acknowledged.
    #[inline]
    pub(crate) const fn syn_is_out(&self) -> bool {
        matches!(self.state, State::SynSent | State::SynReceived)
    }

    /// The sequence number of the first octet in the send queue.
    #[inline]
    pub(crate) fn text_start(&self) -> SeqNum {
        if self.syn_is_out() { self.snd.una + 1 } else { self.snd.una }
    }

    /// The sequence number after the last octet in the send queue: where our FIN stands or will stand.
    #[inline]
    pub(crate) fn text_end(&self) -> SeqNum {
        self.text_start() + self.sending.as_ref().map_or(0, |sending| to_u32(sending.queue.len()))
    }

    /// Octets queued and never sent.
    #[inline]
    pub(crate) fn unsent(&self) -> u32 {
        if self.bits.has(Bits::FIN_SENT) || self.sending.is_none() {
            return 0;
        }
        self.text_end().since(self.snd.nxt.later(self.text_start()))
    }

    /// The working state of the sending side, taken from the pool if the connection was idle.
    pub(crate) fn wake_sending(&mut self, ctx: &mut Ctx<'_>) -> &mut Sending {
        let (resting, kind, smss) = (self.resting, self.settings.congestion, u32::from(self.smss()));
        let (nxt, reorders) = (self.snd.nxt, self.pmtu.reorders());
        self.sending.get_or_insert_with(|| {
            let mut sending = ctx.memory.take_sending();
            sending.tail = nxt;
            sending.recovery.wake(reorders);
            sending.congestion = Congestion::wake(kind, resting, smss, ctx.now);
            sending
        })
    }

    /// The working state of the receiving side.
    pub(crate) fn wake_receiving(&mut self, ctx: &mut Ctx<'_>) -> &mut Receiving {
        self.receiving.get_or_insert_with(|| ctx.memory.take_receiving())
    }

    /// After every input: puts away what has no work, and checks the house.
    pub(crate) fn settle(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(sending) = self.sending.as_deref() {
            let done = self.snd.una == self.snd.nxt
                && sending.queue.is_empty()
                && !sending.cwr_due
                && !self.syn_is_out()
                && !self.fin_waits();
            if done || self.state == State::Closed {
                let sending = self.sending.take().expect("looked at just now");
                self.resting = sending.congestion.rest();
                ctx.memory.give_sending(sending);
            }
        }
        if let Some(receiving) = self.receiving.as_deref()
            && receiving.queue.readable() == 0
        {
            let done = receiving.reassembly.is_empty()
                && receiving.fin_at.is_none()
                && receiving.up.is_none()
                && !self.delayed_ack.is_pending();
            if done || self.state == State::Closed {
                let receiving = self.receiving.take().expect("looked at just now");
                ctx.memory.give_receiving(receiving);
            }
        }
        self.check();
    }
}

/// What the receive buffer is to start with.
pub(crate) fn receive_buffer(config: &TcpConfig, settings: &Settings) -> u32 {
    settings.receive_buffer.unwrap_or(config.receive_buffer_initial)
}

/// Lengths of queues are bounded by their limits, which are `u32`.
#[inline]
pub(crate) fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
