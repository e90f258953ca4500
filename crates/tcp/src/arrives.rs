//! SEGMENT ARRIVES: the steps of the RFC in the order of the RFC.
//! Spec: RFC 9293 3.10.7.4 (and 3.10.7.1, 3.10.7.3 by way of `reset` and `handshake`); RFC 5961; RFC 7323 5.3.
//! Owns: the order. Each step asks its room for a judgment and applies it.
//! Invariants: a segment that a step refuses reaches no later step; what is dropped says why.
//! Not here: what is sent in answer (`transmit`), except an answer that belongs to no connection.

use core::ops::ControlFlow;

use wire::tcp::TcpOptions;

use crate::acceptability::{Acceptability, judge, trim};
use crate::ack::{AckInput, AckPlace, is_duplicate, place};
use crate::congestion::AckSample;
use crate::connection::{Bits, Connection, to_u32};
use crate::ctx::Ctx;
use crate::delayed_ack::Arrival;
use crate::events::Events;
use crate::info::End;
use crate::recovery::AckOutcome;
use crate::reset::{RstVerdict, judge_rst, make_reset};
use crate::retransmit::Acked;
use crate::segment::{Segment, SegmentOut};
use crate::seq::{SackBlocks, SeqNum, SeqRange};
use crate::state::State;
use crate::tcb::Sending;
use crate::time::Instant;

/// What became of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// It was used.
    Taken,
    /// It was not, or only to answer it by an ACK that `poll_segment` gives.
    Dropped(DropReason),
    /// It was not, and is to be answered by this segment, which belongs to no connection.
    Answer(DropReason, SegmentOut),
}

impl Disposition {
    /// An answer if there is one.
    pub(crate) fn answer(reason: DropReason, segment: Option<SegmentOut>) -> Self {
        segment.map_or(Disposition::Dropped(reason), |segment| Disposition::Answer(reason, segment))
    }
}

/// Why a segment was not used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DropReason {
    /// There is no connection any more.
    Closed,
    /// Its timestamp is older than the latest (RFC 7323 5).
    Paws,
    /// It has no part in the window.
    OutsideWindow,
    /// A RST that may be forged (RFC 5961 3.2).
    RstElsewhere,
    /// A SYN inside the window (RFC 5961 4.2).
    SynInWindow,
    /// Neither SYN nor RST in SYN-SENT.
    NoSyn,
    /// ACK is off.
    NoAck,
    /// It acknowledges what was never sent.
    AckElsewhere,
    /// It acknowledges what was acknowledged long ago (RFC 5961 5.2).
    AckTooOld,
    /// Text for a program that has closed.
    AfterClose,
    /// There was no memory for its text, or too many holes.
    NoMemory,
    /// Everything it carried was here before.
    Duplicate,
}

impl Connection {
    /// A segment has arrived for this connection.
    pub fn handle_segment(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Disposition {
        let steps = match self.state {
            State::Closed => Err(Disposition::answer(DropReason::Closed, make_reset(seg))),
            State::SynSent => self.arrives_in_syn_sent(ctx, seg).and_then(|()| self.after_ack(ctx, seg)),
            State::TimeWait => Err(self.arrives_in_time_wait(ctx, seg)),
            State::Established => match self.predicts(ctx, seg) {
                Some(place) => self.take_predicted(ctx, seg, place),
                None => self.arrives(ctx, seg),
            },
            _ => self.arrives(ctx, seg),
        };
        self.settle(ctx);
        steps.err().unwrap_or(Disposition::Taken)
    }

    /// The eight steps of 3.10.7.4.
    fn arrives(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Result<(), Disposition> {
        // In a simultaneous open the peer's SYN comes again, now acknowledging ours. The RFC's tables drop it and heal by two
        // more ACKs; reading on past its SYN opens at once (as Linux does).
        let past_syn = self.past_repeated_syn(seg);
        let seg = past_syn.as_ref().unwrap_or(seg);
        self.check_sequence(ctx, seg)?;
        self.check_rst(ctx, seg)?;
        // Third, security and compartment: RFC 9293 3.10.7.4 knows them for IPv4 options nobody sends.
        self.check_syn(ctx, seg)?;
        self.check_ack(ctx, seg)?;
        // RFC 7323 4.3 would take the timestamp before the ACK is looked at; as Linux, not of a segment that the fifth step refuses,
        // since a forger need not know more than the window then (docs/deviations.md).
        self.agreed.on_acceptable(seg, ctx.now);
        self.note_user_timeout(seg);
        self.after_ack(ctx, seg)
    }

    /// Sixth to eighth step.
    fn after_ack(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Result<(), Disposition> {
        self.note_congestion(seg);
        if self.state.takes_text() {
            self.check_urgent(ctx, seg);
            self.take_text(ctx, seg)?;
        }
        Ok(())
    }

    fn past_repeated_syn<'a>(&self, seg: &Segment<'a>) -> Option<Segment<'a>> {
        use wire::tcp::Flags;
        let both = Flags::SYN | Flags::ACK;
        let repeated = self.state == State::SynReceived
            && seg.flags.contains(both)
            && !seg.flags.rst()
            && seg.seq + 1 == self.rcv.nxt
            && seg.ack == self.snd.nxt;
        repeated.then(|| Segment { seq: seg.seq + 1, flags: seg.flags.without(Flags::SYN), ..*seg })
    }

    /// First step, and before it R1 of RFC 7323 5.3.
    fn check_sequence(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Result<(), Disposition> {
        if ctx.config.test.paws && self.agreed.paws_refuses(seg, ctx.now) {
            if self.was_overtaken(ctx, seg) {
                self.take_late_ack(ctx, seg);
                return Err(Disposition::Taken);
            }
            self.answer_unacceptable(ctx, seg);
            return Err(Disposition::Dropped(DropReason::Paws));
        }
        match judge(seg, self.rcv.nxt, self.rcv.window.wnd(self.rcv.nxt)) {
            Acceptability::Acceptable | Acceptability::ZeroWindow => Ok(()),
            Acceptability::Old | Acceptability::Beyond if seg.flags.rst() => {
                // "If an incoming segment is not acceptable, an acknowledgment should be sent (unless the RST bit is set)."
                Err(Disposition::Dropped(DropReason::OutsideWindow))
            }
            Acceptability::Old => {
                if !seg.text.is_empty() && self.agreed.sack() && !seg.flags.syn() {
                    let repeated = SeqRange::new(seg.seq, seg.seq + text_len(seg));
                    self.wake_receiving(ctx).reassembly.note_duplicate(repeated);
                }
                self.answer_unacceptable(ctx, seg);
                Err(Disposition::Dropped(DropReason::OutsideWindow))
            }
            Acceptability::Beyond => {
                self.answer_unacceptable(ctx, seg);
                Err(Disposition::Dropped(DropReason::OutsideWindow))
            }
        }
    }

    /// The ACK that an unacceptable segment is owed. Segments with text are never part of a war of ACKs; others are
    /// answered at a limited rate only (RFC 5961 7; Linux's tcp_invalid_ratelimit).
    fn answer_unacceptable(&mut self, ctx: &Ctx<'_>, seg: &Segment<'_>) {
        let carries = !seg.text.is_empty() && !seg.flags.syn();
        if carries {
            self.delayed_ack.ack_each();
        } else if seg.flags.fin() || self.challenge.allows(ctx.now, ctx.config.challenge_ack_interval) {
            self.delayed_ack.ack_now();
        }
    }

    /// A challenge ACK (RFC 5961 3.2, 4.2, 5.2), within its limit.
    fn challenge_ack(&mut self, ctx: &Ctx<'_>) {
        if self.challenge.allows(ctx.now, ctx.config.challenge_ack_interval) {
            self.delayed_ack.ack_now();
        }
    }

    /// Second step.
    fn check_rst(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Result<(), Disposition> {
        if !seg.flags.rst() {
            return Ok(());
        }
        match judge_rst(seg.seq, self.rcv.nxt, self.rcv.window.wnd(self.rcv.nxt)) {
            RstVerdict::Believe => {
                // In CLOSING, LAST-ACK: all data was exchanged, the end is an ordinary one for the program.
                let end = match self.state {
                    State::SynReceived => End::Refused,
                    State::Closing | State::LastAck => End::Finished,
                    State::CloseWait => End::ResetAfterFin,
                    _ => End::ResetByPeer,
                };
                self.finish(ctx, end);
                Err(Disposition::Taken)
            }
            RstVerdict::Challenge => {
                self.challenge_ack(ctx);
                Err(Disposition::Dropped(DropReason::RstElsewhere))
            }
            RstVerdict::Ignore => Err(Disposition::Dropped(DropReason::OutsideWindow)),
        }
    }

    /// Fourth step (RFC 5961 4.2: whatever the sequence number).
    fn check_syn(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Result<(), Disposition> {
        if !seg.flags.syn() {
            return Ok(());
        }
        self.challenge_ack(ctx);
        Err(Disposition::Dropped(DropReason::SynInWindow))
    }

    /// Fifth step.
    fn check_ack(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Result<(), Disposition> {
        if !seg.flags.ack() {
            return Err(Disposition::Dropped(DropReason::NoAck));
        }
        let place = place(seg.ack, self.snd.una, self.snd.nxt, self.snd.window.max());
        if self.state == State::SynReceived {
            return match place {
                AckPlace::New(_) => {
                    self.snd.window =
                        crate::window::SendWindow::new(self.agreed.seg_wnd(seg), seg.seq, seg.ack);
                    self.on_syn_acked(ctx, seg);
                    Ok(())
                }
                _ => Err(Disposition::answer(DropReason::AckElsewhere, make_reset(seg))),
            };
        }
        match place {
            AckPlace::Unsent => {
                self.challenge_ack(ctx);
                Err(Disposition::Dropped(DropReason::AckElsewhere))
            }
            AckPlace::TooOld => {
                self.challenge_ack(ctx);
                Err(Disposition::Dropped(DropReason::AckTooOld))
            }
            AckPlace::Old => {
                self.keepalive.on_heard(ctx.now);
                self.take_late_ack(ctx, seg);
                Ok(())
            }
            AckPlace::Same | AckPlace::New(_) => {
                self.keepalive.on_heard(ctx.now);
                match self.take_ack(ctx, seg, place) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(Disposition::Taken),
                }
            }
        }
    }

    /// An acceptable ACK. Breaks off when the connection is over with it.
    pub(crate) fn take_ack(
        &mut self,
        ctx: &mut Ctx<'_>,
        seg: &Segment<'_>,
        place: AckPlace,
    ) -> ControlFlow<()> {
        let outstanding = self.snd.flight() > 0;
        let wnd_changed = self.snd.window.on_ack(seg.seq, seg.ack, self.agreed.seg_wnd(seg));
        let Some(mut sending) = self.sending.take() else { return ControlFlow::Continue(()) };
        let input = AckFacts { place, duplicate: is_duplicate(seg, place, outstanding, wnd_changed) };
        self.apply_ack(ctx, seg, &mut sending, input);
        self.sending = Some(sending);
        let fin_acked = self.bits.has(Bits::FIN_SENT) && self.snd.una == self.snd.nxt;
        if fin_acked && matches!(place, AckPlace::New(_)) {
            self.on_fin_acked(ctx);
        }
        if self.state == State::Closed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// PAWS refuses an ACK that a newer one has overtaken, though what it SACKs may not have been known (docs/deviations.md). It is one if
    /// it carries nothing else, stands where the next segment is due, acknowledges nothing new, and is older by no more than an RTO: in
    /// so short a time the sequence space does not go round.
    fn was_overtaken(&self, ctx: &Ctx<'_>, seg: &Segment<'_>) -> bool {
        let bare = seg.text.is_empty() && !seg.flags.syn() && !seg.flags.fin() && seg.flags.ack();
        if !bare || seg.seq != self.rcv.nxt || seg.options.sack.is_empty() || self.syn_is_out() {
            return false;
        }
        let place = place(seg.ack, self.snd.una, self.snd.nxt, self.snd.window.max());
        // Ticks of the peer's: milliseconds, or longer (RFC 7323 5.4).
        let age_max = self.rtt.rto(ctx.config).as_millis();
        matches!(place, AckPlace::Same | AckPlace::Old)
            && u128::from(self.agreed.ticks_behind(seg)) <= age_max
    }

    /// An ACK that others have overtaken. Its number tells nothing new, but what it SACKs may not have been known (as Linux reads it).
    fn take_late_ack(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) {
        if seg.options.sack.is_empty() || !self.agreed.sack() {
            return;
        }
        let Some(mut sending) = self.sending.take() else { return };
        self.apply_ack(ctx, seg, &mut sending, AckFacts { place: AckPlace::Old, duplicate: false });
        self.sending = Some(sending);
    }

    /// SND.UNA moves; the rooms of the sending side hear of it.
    fn apply_ack(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>, sending: &mut Sending, facts: AckFacts) {
        let now = ctx.now;
        let (una_before, nxt, flight) = (self.snd.una, self.snd.nxt, self.snd.flight());
        let smss = u32::from(self.smss());
        let acked = if let AckPlace::New(acked) = facts.place { acked } else { 0 };
        let rto = self.rtt.rto(ctx.config);
        let (min_rtt, echo) = (self.rtt.min_rtt(), self.agreed.echo(seg));
        let (mut sample, mut rtt) = (Acked::default(), None);
        if acked > 0 {
            let fin = u32::from(self.bits.has(Bits::FIN_SENT) && seg.ack == nxt);
            sending.queue.acknowledge(&mut ctx.memory.budget, (acked - fin) as usize);
            self.snd.una = seg.ack;
            let recovery = &mut sending.recovery;
            sample = sending.retransmit.on_ack(seg.ack, now, rto, ctx.config.rto_max, &mut |delivery| {
                recovery.on_delivered(delivery, now, min_rtt, echo);
            });
            let echoed = || self.agreed.echoed_rtt(seg, now).filter(|rtt| sample.admits(*rtt, now));
            rtt = sample.rtt.or_else(echoed);
            if let Some(rtt) = rtt {
                // RFC 7323 appendix G.
                self.rtt.on_sample(rtt, flight.div_ceil(2 * smss));
                sending.retransmit.on_sample();
            }
            sending.records.on_ack(seg.ack);
            sending.up = sending.up.filter(|up| up.after(seg.ack));
            sending.small_end = sending.small_end.filter(|end| end.after(seg.ack));
            if self.pmtu.on_ack(seg.ack, now) {
                sending.congestion.on_mss(u32::from(self.smss()));
            }
        }
        let blocks = if ctx.config.test.sack { sack_ranges(seg, self.snd.una) } else { SackBlocks::new() };
        let stands = self.no_ack(now, sending);
        let input = AckInput {
            una_before,
            blocks: blocks.as_slice(),
            is_duplicate: facts.duplicate,
            delivered: sample.delivered,
            echo,
            sample: AckSample { acked, flight, rtt, rate: sample.rate, ..stands.sample },
            ece: self.agreed.ecn() && seg.flags.ece() && outstanding(flight) && facts.place != AckPlace::Old,
            ..stands
        };
        let outcome = sending.recovery.on_ack(&input, &mut sending.retransmit, &mut sending.congestion);
        if sending.recovery.reordering_seen() {
            self.pmtu.on_reordering();
        }
        self.heed_tail_probe(&input, &outcome, sending);
        if outcome.ecn_reduced || (outcome.reduced && self.agreed.ecn()) {
            sending.cwr_due = true;
        }
        if sending.persist.is_running() {
            // RFC 9293 3.8.6.1, MUST-37: a peer that answers keeps the connection open.
            sending.persist.on_answer();
            if self.snd.window.usable(self.snd.una, nxt) > 0 || self.snd.una != nxt {
                sending.persist.stop();
            }
        }
        if acked > 0 {
            self.tell_writable(ctx, sending);
        }
        // MSG_MORE speaks for the call that said it (as Linux): what comes now may leave with the next ACK.
        self.bits.clear(Bits::HOLD);
        // What the override timeout allowed was for the window as it stood.
        if self.snd.window.wnd() == 0 {
            self.bits.clear(Bits::OVERRIDE);
        }
    }

    /// Where the sending side stands, as recovery is told when no ACK brings news.
    pub(crate) fn no_ack(&self, now: Instant, sending: &Sending) -> AckInput<'static> {
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        AckInput {
            una_before: una,
            una,
            nxt,
            smss: u32::from(self.smss()),
            sack_permitted: self.agreed.sack(),
            delivered: 0,
            echo: None,
            blocks: &[],
            is_duplicate: false,
            sample: AckSample {
                now,
                una,
                nxt,
                acked: 0,
                flight: nxt - una,
                cwnd_limited: sending.usage.is_limited(),
                flight_max: sending.usage.flight_max(),
                srtt: self.rtt.srtt(),
                rtt: None,
                min_rtt: self.rtt.min_rtt(),
                rate: None,
                in_recovery: sending.recovery.in_recovery(),
                paced: self.settings.pacing || self.settings.paced_elsewhere,
            },
            ece: false,
            probe: self.pmtu.probe(),
        }
    }

    /// What an ACK says of a tail loss probe, and when the next is due.
    fn heed_tail_probe(&mut self, input: &AckInput<'_>, outcome: &AckOutcome, sending: &mut Sending) {
        if sending.recovery.in_recovery() {
            sending.tail_probe.forget();
            return;
        }
        let bare_duplicate = input.is_duplicate && input.blocks.is_empty();
        if sending.tail_probe.on_ack(input.una, outcome.dsack, bare_duplicate) {
            sending.recovery.on_probe_repaired(
                input.sample.now,
                input.sample.flight,
                &mut sending.congestion,
            );
            sending.cwr_due |= self.agreed.ecn();
        }
        if self.snd.una == self.snd.nxt {
            sending.tail_probe.disarm();
        } else if input.una.after(input.una_before) {
            sending.tail_probe.arm(input.sample.now);
        }
    }

    /// Sixth step (RFC 9293 3.8.5): RCV.UP <- max(RCV.UP,SEG.UP), and the program hears of it if it lies ahead.
    fn check_urgent(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) {
        if !seg.flags.urg() || seg.up == 0 {
            return;
        }
        // MUST-62 (RFC 6093): the pointer names the octet after the urgent data.
        let up = seg.seq + u32::from(seg.up);
        let taken = self.taken();
        // No further ahead than the window can bring: a forged pointer does not stay urgent for ever.
        if !up.after(taken)
            || up.after(self.rcv.nxt + self.rcv.window.wnd(self.rcv.nxt) + u32::from(u16::MAX))
        {
            return;
        }
        let receiving = self.wake_receiving(ctx);
        if receiving.up.is_none_or(|known| up.after(known)) {
            receiving.up = Some(up);
            self.events |= Events::URGENT;
        }
    }

    /// Seventh and eighth step: text and FIN.
    fn take_text(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Result<(), Disposition> {
        if seg.text.is_empty() && !seg.flags.fin() {
            return Ok(());
        }
        let nxt = self.rcv.nxt;
        let mut wnd = self.rcv.window.wnd(nxt);
        // Nothing lies beyond the peer's FIN, whatever it sends now.
        if let Some(fin_at) = self.receiving.as_ref().and_then(|receiving| receiving.fin_at) {
            wnd = wnd.min(fin_at.since(nxt));
        }
        let seg_past_syn = if seg.flags.syn() { Segment { seq: seg.seq + 1, ..*seg } } else { *seg };
        let trimmed = trim(&seg_past_syn, nxt, wnd);
        let text = &seg.text[trimmed.text.clone()];
        if !text.is_empty() && self.bits.has(Bits::READ_SHUT) && self.state.has_finished() {
            // RFC 9293 3.6.1, SHLD-3: the program has closed and cannot be given this; the peer must know. Where the RST stands the peer
            // has said itself: at SND.NXT it would not be believed if our FIN was lost (RFC 5961 3.2). It bears the timestamp that was agreed
            // on (RFC 7323 3.2).
            let options = TcpOptions { timestamps: self.agreed.stamp(ctx.now), ..TcpOptions::NONE };
            let reset = make_reset(seg).map(|reset| SegmentOut { options, ..reset });
            self.finish(ctx, End::DataAfterClose);
            return Err(Disposition::answer(DropReason::AfterClose, reset));
        }
        let fin_at = trimmed.fin.then(|| trimmed.seq + text_len_of(text));
        self.wake_receiving(ctx);
        let receiving = self.receiving.as_deref_mut().expect("woken just now");
        let before = receiving.queue.readable();
        let early = !receiving.reassembly.is_empty() || trimmed.seq != nxt;
        let stored =
            receiving.reassembly.store(&mut receiving.queue, &mut ctx.memory.budget, nxt, trimmed.seq, text);
        if let Some(repeated) = trimmed.repeated {
            receiving.reassembly.note_duplicate(repeated);
        }
        self.rcv.nxt += stored.advanced;
        // A FIN counts once all before it is here; until then its place is remembered. The first one stands.
        receiving.fin_at = receiving.fin_at.or(fin_at);
        // Early text beyond the FIN contradicts it. The FIN stands; a peer that is honest sends again what lies before it.
        let held = to_u32(receiving.queue.span() - receiving.queue.readable());
        if receiving.fin_at.is_some_and(|fin_at| held > fin_at.since(self.rcv.nxt)) {
            receiving.reassembly.forget(&mut receiving.queue, &mut ctx.memory.budget);
        }
        let finished = receiving.fin_at == Some(self.rcv.nxt);
        if finished {
            receiving.fin_at = None;
            self.rcv.nxt += 1;
        }
        let readable = receiving.queue.readable();
        let low_water = self.settings.receive_low_water.max(1) as usize;
        if readable > before && readable >= low_water {
            self.events |= Events::READABLE;
        }
        let arrival = Arrival {
            len: text_len_of(text),
            full_sized: false,
            segments: u32::from(seg.segments),
            out_of_order: stored.out_of_order
                || stored.duplicate
                || stored.refused
                || trimmed.repeated.is_some(),
            filled_hole: stored.filled_hole || (early && stored.advanced > 0),
            fin: finished || fin_at.is_some() || text.is_empty(),
            ce: seg.ce && self.agreed.ecn(),
        };
        self.delayed_ack.on_data(ctx.now, &arrival, ctx.config);
        if finished {
            self.on_peer_fin(ctx);
        }
        if stored.refused {
            return Err(Disposition::Dropped(DropReason::NoMemory));
        }
        if stored.duplicate {
            return Err(Disposition::Dropped(DropReason::Duplicate));
        }
        Ok(())
    }

    /// RFC 3168 6.1.3: from a mark on, every ACK says so until the peer has reduced its window.
    fn note_congestion(&mut self, seg: &Segment<'_>) {
        if !self.agreed.ecn() || seg.flags.syn() {
            return;
        }
        if seg.flags.cwr() {
            self.bits.clear(Bits::ECN_ECHO);
        }
        if seg.ce {
            self.bits.set(Bits::ECN_ECHO);
        }
    }

    /// The sequence number up to which the program has read.
    pub(crate) fn taken(&self) -> SeqNum {
        let fin = u32::from(self.bits.has(Bits::PEER_FIN));
        self.rcv.nxt - fin - to_u32(self.readable())
    }
}

/// What the window update and the place of an ACK have shown.
#[derive(Clone, Copy)]
struct AckFacts {
    place: AckPlace,
    duplicate: bool,
}

const fn outstanding(flight: u32) -> bool {
    flight > 0
}

/// What a segment SACKs. A block that lies below `una` and not below the segment's own ACK was news when it left, and is none now; it
/// must not be taken for a D-SACK (RFC 2883 section 4 judges by the ACK that it comes with).
fn sack_ranges(seg: &Segment<'_>, una: SeqNum) -> SackBlocks {
    let mut ranges = SackBlocks::new();
    for block in seg.options.sack.iter() {
        let range = SeqRange::new(SeqNum(block.left), SeqNum(block.right));
        if range.end.after(una) || range.start.before(seg.ack) {
            ranges.push(range);
        }
    }
    ranges
}

fn text_len(seg: &Segment<'_>) -> u32 {
    text_len_of(seg.text)
}

fn text_len_of(text: &[u8]) -> u32 {
    to_u32(text.len())
}

#[cfg(test)]
mod tests;
