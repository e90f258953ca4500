//! Opening: a passive open as an entry of its own, and what a connection in SYN-SENT makes of a segment.
//! Spec: RFC 9293 3.5, 3.10.7.3, 3.10.7.4 as far as SYN-RECEIVED goes; RFC 6298 5.7; RFC 7323 3.2.
//! Owns: `SynReceived`, a keyless automaton of at most 48 octets (asserted), so that its entry with an IPv4 key stays
//! within 64. The stack keeps it in its SYN cache, or not at all when it sent a cookie.
//! Invariants: an automaton never holds data; a connection made from it is ESTABLISHED.
//! Not here: cookies, backlog and who may open (`stack`), options (`options`), LISTEN (`listen`).

use core::time::Duration;
use std::sync::Arc;

use wire::tcp::{Flags, TcpOptions};

use crate::acceptability::{Acceptability, judge};
use crate::arrives::{Disposition, DropReason};
use crate::config::{EcnPolicy, Settings, TcpConfig};
use crate::congestion::{Congestion, Resting, initial_window};
use crate::connection::{Bits, Connection, Opening, receive_buffer};
use crate::ctx::Ctx;
use crate::events::Events;
use crate::info::End;
use crate::options::{Agreed, Packed, is_older};
use crate::reset::{ChallengeLimit, RstVerdict, judge_rst, make_reset};
use crate::retransmit::backed_off;
use crate::segment::{Segment, SegmentOut};
use crate::seq::SeqNum;
use crate::state::State;
use crate::tick::Tick;
use crate::time::Instant;
use crate::user_timeout::Advertised;
use crate::window::SendWindow;

/// A passive open between SYN and the ACK of our SYN.
#[derive(Clone, Copy, Debug)]
pub struct SynReceived {
    irs: SeqNum,
    iss: SeqNum,
    agreed: Packed,
    deadline: Tick,
    sent_micros: u32,
    challenge: ChallengeLimit,
    mss: u16,
    path_mss: u16,
    peer_wnd: u16,
    wnd: u16,
    /// RFC 5482: ours and theirs.
    uto: Advertised,
    remote_uto: Advertised,
    retries: u8,
}

/// What a segment to an entry in SYN-RECEIVED leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SynDisposition {
    /// Our SYN is acknowledged: make the connection and give it the segment; or, the accept queue being full, keep the entry.
    Complete,
    /// Send this; the entry stays.
    Answer(SegmentOut),
    /// The peer took it back: forget the entry.
    Reset,
    /// Nothing.
    Dropped(DropReason),
}

/// What the entry's timer leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SynTimeout {
    /// The SYN,ACK again.
    Resend(SegmentOut),
    /// Forget the entry.
    GiveUp,
    /// It is not yet time.
    NotYet,
}

/// What a SYN cookie (and the timestamp echoed beside it) preserved of a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restored {
    /// IRS: SEG.SEQ - 1 of the ACK.
    pub irs: SeqNum,
    /// The peer's MSS.
    pub mss: Option<u16>,
    /// The peer's window scale.
    pub window_scale: Option<u8>,
    /// SACK was permitted.
    pub sack_permitted: bool,
    /// ECN was asked for.
    pub ecn: bool,
}

impl SynReceived {
    /// A SYN has come for a listener (RFC 9293 3.10.7.2, third step). Send [`SynReceived::syn_ack`].
    #[must_use]
    pub fn new(
        now: Instant,
        config: &TcpConfig,
        settings: &Settings,
        opening: &Opening,
        seg: &Segment<'_>,
    ) -> Self {
        let mut agreed = Agreed::offered(config, settings, opening.ts_offset);
        agreed.accept_ecn(config.ecn != EcnPolicy::Off);
        agreed.on_syn(seg, config, now);
        SynReceived {
            irs: seg.seq,
            iss: opening.iss,
            agreed: agreed.pack(),
            deadline: Tick::at(now + config.rto_initial),
            sent_micros: micros(now),
            challenge: ChallengeLimit::new(now),
            mss: opening.mss.min(settings.max_segment.unwrap_or(u16::MAX)),
            path_mss: opening.path_mss,
            peer_wnd: seg.wnd,
            wnd: syn_window(receive_buffer(config, settings)),
            uto: Advertised::from(settings.advertised_user_timeout()),
            remote_uto: Advertised::from(seg.options.user_timeout),
            retries: 0,
        }
    }

    /// The entry that was never kept: the ACK `seg` has brought a valid cookie, which was our ISS.
    #[must_use]
    pub fn restore(
        now: Instant,
        config: &TcpConfig,
        settings: &Settings,
        opening: &Opening,
        restored: &Restored,
        seg: &Segment<'_>,
    ) -> Self {
        let flags = if restored.ecn { Flags::SYN | Flags::ECE | Flags::CWR } else { Flags::SYN };
        let syn = Segment {
            seq: restored.irs,
            ack: SeqNum(0),
            wnd: seg.wnd,
            up: 0,
            flags,
            options: TcpOptions {
                mss: restored.mss,
                window_scale: restored.window_scale,
                sack_permitted: restored.sack_permitted,
                timestamps: seg.options.timestamps,
                ..TcpOptions::NONE
            },
            ce: false,
            segments: 1,
            text: &[],
        };
        // Nothing is known of when the SYN,ACK left: as if it had been sent again, so that no RTT is taken from it.
        SynReceived { retries: 1, ..SynReceived::new(now, config, settings, opening, &syn) }
    }

    /// Our SYN,ACK.
    #[must_use]
    pub fn syn_ack(&self, now: Instant) -> SegmentOut {
        let agreed = Agreed::unpack(self.agreed, now);
        // RFC 3168 6.1.1: an ECN-setup SYN,ACK has ECE and not CWR.
        let ecn = if agreed.ecn() { Flags::ECE } else { Flags::NONE };
        let flags = Flags::SYN | Flags::ACK | ecn;
        SegmentOut {
            options: TcpOptions { user_timeout: self.uto.option(), ..agreed.answer(self.mss, now) },
            ..SegmentOut::bare(flags, self.iss, self.irs + 1, self.wnd)
        }
    }

    /// When the SYN,ACK is to be sent again.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Instant {
        self.deadline.near(now)
    }

    /// The deadline may have passed.
    pub fn handle_timer(&mut self, now: Instant, config: &TcpConfig) -> SynTimeout {
        if now < self.deadline(now) {
            return SynTimeout::NotYet;
        }
        if self.retries >= config.syn_ack_retries || !config.test.retransmission {
            return SynTimeout::GiveUp;
        }
        self.retries += 1;
        let wait = backed_off(config.rto_initial, u32::from(self.retries), config.rto_max);
        self.deadline = Tick::at(now + wait);
        SynTimeout::Resend(self.syn_ack(now))
    }

    /// A segment for the four-tuple (RFC 9293 3.10.7.4 in SYN-RECEIVED).
    pub fn handle_segment(&mut self, now: Instant, config: &TcpConfig, seg: &Segment<'_>) -> SynDisposition {
        let nxt = self.irs + 1;
        // The SYN again: our SYN,ACK was lost. Linux answers at once and so do we; the timer runs on.
        if seg.flags.syn() && !seg.flags.ack() && !seg.flags.rst() && seg.seq == self.irs {
            self.retries = self.retries.max(1);
            return SynDisposition::Answer(self.syn_ack(now));
        }
        let agreed = Agreed::unpack(self.agreed, now);
        if config.test.paws
            && agreed.timestamps()
            && !seg.flags.rst()
            && seg.options.timestamps.is_some_and(|stamps| is_older(stamps.tsval, agreed.ts_recent()))
        {
            return self.challenge(now, config, DropReason::Paws);
        }
        match judge(seg, nxt, u32::from(self.wnd)) {
            Acceptability::Acceptable | Acceptability::ZeroWindow => {}
            Acceptability::Old | Acceptability::Beyond if seg.flags.rst() => {
                return SynDisposition::Dropped(DropReason::OutsideWindow);
            }
            Acceptability::Old | Acceptability::Beyond => {
                return self.challenge(now, config, DropReason::OutsideWindow);
            }
        }
        if seg.flags.rst() {
            // RFC 9293 3.10.7.4, second step: back to LISTEN, which is to forget; RFC 5961 3.2 for the place.
            return match judge_rst(seg.seq, nxt, u32::from(self.wnd)) {
                RstVerdict::Believe => SynDisposition::Reset,
                RstVerdict::Challenge => self.challenge(now, config, DropReason::RstElsewhere),
                RstVerdict::Ignore => SynDisposition::Dropped(DropReason::OutsideWindow),
            };
        }
        if seg.flags.syn() {
            return self.challenge(now, config, DropReason::SynInWindow);
        }
        if !seg.flags.ack() {
            return SynDisposition::Dropped(DropReason::NoAck);
        }
        if seg.ack == self.iss + 1 {
            SynDisposition::Complete
        } else {
            // "If the segment acknowledgment is not acceptable, form a reset segment."
            make_reset(seg).map_or(SynDisposition::Dropped(DropReason::AckElsewhere), SynDisposition::Answer)
        }
    }

    /// The connection, ESTABLISHED. The segment that completed it is to be handed to it next.
    #[must_use]
    pub fn into_connection(
        self,
        ctx: &mut Ctx<'_>,
        settings: Arc<Settings>,
        seg: &Segment<'_>,
    ) -> Connection {
        let opening = Opening {
            iss: self.iss,
            ts_offset: self.agreed.ts_offset(),
            mss: self.mss,
            path_mss: self.path_mss,
        };
        let mut agreed = Agreed::unpack(self.agreed, ctx.now);
        agreed.on_ack_sent(self.irs + 1);
        let mut connection = Connection::new(ctx, settings, &opening, agreed, State::Established);
        connection.remote_uto = self.remote_uto;
        connection.rcv.nxt = self.irs + 1;
        connection.rcv.window.start(connection.rcv.nxt, u32::from(self.wnd), ctx.now);
        connection.snd.una = self.iss + 1;
        connection.snd.nxt = self.iss + 1;
        let wnd = agreed.seg_wnd(seg);
        connection.snd.window = SendWindow::new(wnd.max(u32::from(self.peer_wnd)), seg.seq, seg.ack);
        connection.snd.window.on_ack(seg.seq, seg.ack, wnd);
        if self.retries == 0 {
            let rtt = Duration::from_micros(u64::from(micros(ctx.now).wrapping_sub(self.sent_micros)));
            connection.rtt.on_sample(rtt, 1);
        } else if let Some(rtt) = agreed.echoed_rtt(seg, ctx.now).filter(|rtt| credible(*rtt, ctx.config)) {
            connection.rtt.on_sample(rtt, 1);
        } else {
            connection.rtt.on_syn_timeout();
        }
        connection.on_established(ctx, self.retries > 0);
        connection
    }

    fn challenge(&mut self, now: Instant, config: &TcpConfig, reason: DropReason) -> SynDisposition {
        if !self.challenge.allows(now, config.challenge_ack_interval) {
            return SynDisposition::Dropped(reason);
        }
        let agreed = Agreed::unpack(self.agreed, now);
        SynDisposition::Answer(SegmentOut {
            options: TcpOptions { timestamps: agreed.stamp(now), ..TcpOptions::NONE },
            ..SegmentOut::bare(Flags::ACK, self.iss + 1, self.irs + 1, self.wnd >> agreed.rcv_scale())
        })
    }
}

/// Whether an echoed timestamp times the path when SYNs went out more than once: it may be that of the first one, whose answer
/// was lost, and then times our patience. Beyond the first timeout RFC 6298 5.7 has an RTO for the case.
fn credible(rtt: Duration, config: &TcpConfig) -> bool {
    rtt <= config.rto_initial
}

/// The window field of a SYN, which is never scaled (RFC 7323 2.2).
pub(crate) fn syn_window(buffer: u32) -> u16 {
    u16::try_from(buffer).unwrap_or(u16::MAX)
}

#[allow(clippy::cast_possible_truncation)] // Modulo 71 minutes, longer than an entry lives.
const fn micros(now: Instant) -> u32 {
    now.as_micros() as u32
}

impl Connection {
    /// SYN-SENT (RFC 9293 3.10.7.3). `Ok` if the segment goes on to the sixth step: both SYNs are through.
    pub(crate) fn arrives_in_syn_sent(
        &mut self,
        ctx: &mut Ctx<'_>,
        seg: &Segment<'_>,
    ) -> Result<(), Disposition> {
        // First, the ACK bit.
        let acks_syn = seg.flags.ack() && seg.ack.after(self.snd.una) && seg.ack.at_or_before(self.snd.nxt);
        if seg.flags.ack() && !acks_syn {
            return Err(Disposition::answer(DropReason::AckElsewhere, make_reset(seg)));
        }
        // Second, the RST bit: RFC 5961 3.2 asks that the ACK be acceptable, which holds by now if there is one.
        if seg.flags.rst() {
            if !acks_syn {
                return Err(Disposition::Dropped(DropReason::RstElsewhere));
            }
            self.finish(ctx, End::Refused);
            return Err(Disposition::Taken);
        }
        // Fourth, the SYN bit; fifth: without it the segment is dropped.
        if !seg.flags.syn() {
            return Err(Disposition::Dropped(DropReason::NoSyn));
        }
        self.rcv.nxt = seg.seq + 1;
        let promised = u32::from(syn_window(self.rcv.window.buffer()));
        self.rcv.window.start(self.rcv.nxt, promised, ctx.now);
        self.agreed.on_syn(seg, ctx.config, ctx.now);
        self.note_user_timeout(seg);
        self.snd.window = SendWindow::new(u32::from(seg.wnd), seg.seq, seg.ack);
        self.keepalive.on_heard(ctx.now);
        if acks_syn {
            // "If SND.UNA > ISS (our SYN has been ACKed), change the connection state to ESTABLISHED."
            self.on_syn_acked(ctx, seg);
            self.delayed_ack.ack_now();
            return Ok(());
        }
        // RFC 9293 3.5, MUST-10: simultaneous open. Our SYN again, now with the ACK of theirs; text would come again too.
        self.state = State::SynReceived;
        self.bits.set(Bits::SYN_DUE);
        Err(Disposition::Taken)
    }

    /// Our SYN is acknowledged: SND.UNA moves over it, its round trip is measured.
    pub(crate) fn on_syn_acked(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) {
        let now = ctx.now;
        self.snd.una += 1;
        let rto = self.rtt.rto(ctx.config);
        let acked = match &mut self.sending {
            Some(sending) => {
                sending.retransmit.on_ack(self.snd.una, now, rto, ctx.config.rto_max, &mut |_| {})
            }
            None => Default::default(),
        };
        let resent = self.bits.has(Bits::SYN_RESENT);
        let echoed = || self.agreed.echoed_rtt(seg, now).filter(|rtt| !resent || credible(*rtt, ctx.config));
        match acked.rtt.or_else(echoed) {
            Some(rtt) => self.rtt.on_sample(rtt, 1),
            None if resent => self.rtt.on_syn_timeout(),
            None => {}
        }
        self.state = State::Established;
        // Our SYN,ACK of a simultaneous open is not needed any more, but the ACK that it was to carry is.
        if self.bits.take(Bits::SYN_DUE) {
            self.delayed_ack.ack_now();
        }
        self.on_established(ctx, resent);
        if self.bits.take(Bits::FINISH_WHEN_OPEN) {
            self.state = State::FinWait1;
            self.wake_sending(ctx);
        }
    }

    /// ESTABLISHED: the congestion window begins (RFC 6928; one segment if a SYN was lost, RFC 5681 3.1).
    pub(crate) fn on_established(&mut self, ctx: &mut Ctx<'_>, syn_resent: bool) {
        let smss = u32::from(self.smss());
        let segments = if syn_resent { 1 } else { u32::from(ctx.config.initial_window_segments) };
        self.resting = Resting::new(initial_window(smss, segments));
        if syn_resent {
            self.resting.cwnd = smss;
        }
        if let Some(sending) = &mut self.sending {
            sending.congestion = Congestion::wake(self.settings.congestion, self.resting, smss, ctx.now);
            sending.retransmit.on_sample();
        }
        self.delayed_ack.on_open(ctx.now);
        self.bits.set(Bits::OPENED);
        self.events |= Events::OPENED | Events::WRITABLE;
    }
}

#[cfg(test)]
mod tests;
