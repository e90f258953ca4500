//! Transmission: what may leave now, and the segment that it becomes.
//! Spec: RFC 9293 3.8.6.1 (probes), 3.8.5 (urgent), 3.9.1.2 (PSH); RFC 5681 3.1; RFC 3168 6.1.2.
//! Owns: nothing; asks the rooms in their order.
//! Invariants: new text never passes SND.UNA+SND.WND; a segment never spans the end of a record; what is sent again keeps
//! its sequence numbers.
//! Not here: whether new text may leave (`decision`), what is sent again (`recovery`), when an ACK may wait (`delayed_ack`), when
//! a probe is due (`persist`, `keepalive`).

use wire::tcp::{Flags, SackBlock, TcpOptions};

use crate::config::EcnPolicy;
use crate::congestion::initial_window;
use crate::connection::{Bits, Connection, to_u32};
use crate::ctx::Ctx;
use crate::decision::{Decision, Outlook, decide};
use crate::handshake::syn_window;
use crate::options::offer;
use crate::pacing::LEAD;
use crate::segment::{Segment, SegmentOut, passing_len};
use crate::seq::{SeqNum, SeqRange};
use crate::state::State;
use crate::tcb::Sending;
use crate::tick::Tick;
use crate::time::Instant;

/// While memory is short no window beyond this is offered: two segments of Ethernet, so that every reader goes on.
const PRESSED_WINDOW: u32 = 2920;

impl Connection {
    /// The next segment to send, or nothing until the next input. Its text is [`Connection::payload`].
    pub fn poll_segment(&mut self, ctx: &mut Ctx<'_>) -> Option<SegmentOut> {
        let segment = self.next_segment(ctx);
        if segment.is_none() {
            // What is no longer needed goes back only now, when nobody asks for a payload any more.
            self.settle(ctx);
        } else {
            self.check();
        }
        segment
    }

    /// Whether an open connection has nothing to send and nothing in flight: what is left to do is to wait for its deadline.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.sending.is_none()
            && !self.delayed_ack.is_due()
            && !self.bits.has(Bits::RST_DUE)
            && !self.bits.has(Bits::PROBE_DUE)
            && !matches!(self.state, State::Closed | State::TimeWait)
            && !self.fin_waits()
    }

    /// If [`Connection::poll_segment`] would give nothing for certain, does what it does on that occasion (what is no longer needed goes
    /// back, and rates measured from here on are the program's), and says so: it need not be asked then. Otherwise nothing is done. Cheap,
    /// for whoever would have to look up a way before asking.
    pub fn rest_if_all_sent(&mut self, ctx: &mut Ctx<'_>) -> bool {
        if self.bits.has(Bits::RST_DUE)
            || self.bits.has(Bits::SYN_DUE)
            || self.bits.has(Bits::PROBE_DUE)
            || self.delayed_ack.is_due()
            || self.fin_waits()
            || self.unsent() > 0
        {
            return false;
        }
        let open = !self.syn_is_out();
        if let Some(sending) = self.sending.as_deref_mut() {
            if sending.recovery.in_recovery() || sending.tail_probe.is_due() {
                return false;
            }
            if open {
                sending.retransmit.on_app_limited();
            }
        }
        self.settle(ctx);
        true
    }

    /// The ACK that must leave before `next` is handled, if any: one that an earlier segment is owed for itself, since it came
    /// out of order or for the second time (RFC 5681 3.2 and 4.2); or one that is due, if `next` opens a hole, so that its own
    /// counts as a duplicate. Whoever handles several segments before it polls asks before each, and the peer then reads in
    /// each ACK what was here at that moment. Not asked, one ACK of [`Connection::poll_segment`] stands for all.
    pub fn poll_own_ack(&mut self, ctx: &mut Ctx<'_>, next: &Segment<'_>) -> Option<SegmentOut> {
        let opens_hole = || !next.text.is_empty() && next.seq.after(self.rcv.nxt);
        let owed = self.delayed_ack.owes_own() || (self.delayed_ack.is_due() && opens_hole());
        (owed && self.state.is_synchronized()).then(|| self.make_ack(ctx))
    }

    fn next_segment(&mut self, ctx: &mut Ctx<'_>) -> Option<SegmentOut> {
        if self.bits.take(Bits::RST_DUE) {
            return Some(self.make_rst(ctx.now));
        }
        match self.state {
            State::Closed => None,
            State::SynSent | State::SynReceived => {
                self.bits.take(Bits::SYN_DUE).then(|| self.send_syn(ctx)).or_else(|| self.send_owed_ack(ctx))
            }
            _ => self.next_of_open(ctx),
        }
    }

    /// The order of what an open connection has to say. Recovery, before and after new data, and the tail probe are asked only where a look
    /// at their rooms says that they may have something; the other three look for themselves.
    fn next_of_open(&mut self, ctx: &mut Ctx<'_>) -> Option<SegmentOut> {
        let (recovers, probes) = self
            .sending
            .as_deref()
            .map_or((false, false), |sending| (sending.recovery.in_recovery(), sending.tail_probe.is_due()));
        if recovers && let again @ Some(_) = self.send_again(ctx) {
            return again;
        }
        if let new @ Some(_) = self.send_new(ctx) {
            return new;
        }
        if recovers && let again @ Some(_) = self.send_after_all(ctx) {
            return again;
        }
        if probes && let probe @ Some(_) = self.send_tail_probe(ctx) {
            return probe;
        }
        if let probe @ Some(_) = self.send_probe(ctx) {
            return probe;
        }
        self.send_owed_ack(ctx)
    }

    /// RFC 9293 3.10.5: <SEQ=SND.NXT><CTL=RST>; with ACK, as everybody sends it, and with the timestamp that was agreed on (RFC 7323
    /// 3.2).
    fn make_rst(&self, now: Instant) -> SegmentOut {
        SegmentOut {
            options: TcpOptions { timestamps: self.agreed.stamp(now), ..TcpOptions::NONE },
            ..SegmentOut::bare(Flags::RST | Flags::ACK, self.snd.nxt, self.rcv.nxt, 0)
        }
    }

    /// SYN, or SYN,ACK once the peer's has come (simultaneous open).
    fn send_syn(&mut self, ctx: &mut Ctx<'_>) -> SegmentOut {
        let wnd = syn_window(self.rcv.window.buffer());
        let again = self.snd.nxt != self.snd.una;
        let segment = if self.state == State::SynSent {
            // RFC 3168 6.1.1.1: a SYN sent again asks for no ECN, in case that is what a middlebox dislikes.
            let ecn = ctx.config.ecn == EcnPolicy::Request && !again;
            let flags = if ecn { Flags::SYN | Flags::ECE | Flags::CWR } else { Flags::SYN };
            SegmentOut {
                options: offer(ctx.config, &self.settings, self.own_mss, ctx.now, self.agreed.ts_offset()),
                ..SegmentOut::bare(flags, self.snd.una, SeqNum(0), wnd)
            }
        } else {
            let ecn = if self.agreed.ecn() { Flags::ECE } else { Flags::NONE };
            self.agreed.on_ack_sent(self.rcv.nxt);
            self.delayed_ack.on_ack_sent();
            SegmentOut {
                options: TcpOptions {
                    user_timeout: self.settings.advertised_user_timeout(),
                    ..self.agreed.answer(self.own_mss, ctx.now)
                },
                ..SegmentOut::bare(Flags::SYN | Flags::ACK | ecn, self.snd.una, self.rcv.nxt, wnd)
            }
        };
        self.note_sent(ctx, SeqRange::new(self.snd.una, self.snd.una + 1), again);
        segment
    }

    /// What recovery says is lost.
    fn send_again(&mut self, ctx: &mut Ctx<'_>) -> Option<SegmentOut> {
        if !ctx.config.test.retransmission {
            return None;
        }
        let range = self.next_again(ctx, u32::from(self.smss()))?;
        let options = self.make_options(ctx);
        // SACK blocks and the like take room from the text: the same range again, perhaps shorter.
        let range = match passing_len(&options) {
            0 => range,
            taken => self.next_again(ctx, u32::from(self.smss() - taken))?,
        };
        if self.pmtu.is_probe(range.start) {
            self.pmtu.on_probe_lost(ctx.now);
        }
        Some(self.send_range(ctx, range, &options, true))
    }

    /// The range to send again now, in pieces of `mss`: one, or as many as the device cuts of what left as one (as Linux).
    fn next_again(&self, ctx: &Ctx<'_>, mss: u32) -> Option<SeqRange> {
        let (una, nxt, wnd) = (self.snd.una, self.snd.nxt, self.snd.window.wnd());
        let sending = self.sending.as_deref()?;
        let recovery = &sending.recovery;
        let mut range = recovery.next_retransmission(&sending.retransmit, una, nxt, mss)?;
        // Segments are joined when they go out again, but not across the end of a record.
        if let Some(end) = sending.records.end_after(range.start) {
            range.end = range.end.earlier(end);
        }
        let room =
            sending.congestion.window().saturating_sub(recovery.pipe(&sending.retransmit, self.snd.flight()));
        let allowed = recovery.must_send() || range.len() <= room;
        // RFC 9293 3.8.6, MUST-34: a window that was taken back holds what lies beyond it; the first segment probes.
        if !allowed || (range.start != una && range.end.since(una) > wnd) {
            return None;
        }
        if ctx.tso_max >= 2 * mss
            && room >= 2 * mss
            && range.len() == mss
            && let Some(end) = sending.retransmit.lost_end(range.start)
        {
            let window = wnd.saturating_sub(range.start.since(una));
            let most = self.burst(ctx, sending, mss).min(room).min(window).min(end.since(range.start));
            range.end = range.start + (most - most % mss).max(mss);
        }
        Some(range)
    }

    /// RFC 5682 3.1: F-RTO would have new data leave in place of old, but there is none, or no window for it.
    fn send_after_all(&mut self, ctx: &mut Ctx<'_>) -> Option<SegmentOut> {
        let recovery = &mut self.sending.as_deref_mut()?.recovery;
        if !recovery.wants_new_data() {
            return None;
        }
        recovery.on_no_new_data();
        self.send_again(ctx)
    }

    /// RFC 8985 7.3, `TLP_send_probe()`, where new data did not serve: the last segment again.
    fn send_tail_probe(&mut self, ctx: &mut Ctx<'_>) -> Option<SegmentOut> {
        let options = self.make_options(ctx);
        let (mss, una, wnd) =
            (u32::from(self.smss() - passing_len(&options)), self.snd.una, self.snd.window.wnd());
        let sending = self.sending.as_deref_mut()?;
        sending.tail_probe.give_up();
        let range = sending.retransmit.tail(mss)?;
        if !ctx.config.test.retransmission || range.end.since(una) > wnd.max(1) {
            return None;
        }
        let segment = self.send_range(ctx, range, &options, true);
        let nxt = self.snd.nxt;
        self.sending.as_deref_mut()?.tail_probe.on_sent(nxt, true);
        Some(segment)
    }

    /// New text and FIN.
    fn send_new(&mut self, ctx: &mut Ctx<'_>) -> Option<SegmentOut> {
        let ask_first = self.unsent() > 0 || self.fin_waits();
        if !ask_first {
            // All that the program gave is out: rates measured from here on are the program's, not the path's.
            if let Some(sending) = self.sending.as_deref_mut() {
                sending.retransmit.on_app_limited();
            }
            return None;
        }
        let smss = u32::from(self.smss());
        if self.snd.una == self.snd.nxt {
            self.restart_after_idle(ctx, smss);
        }
        let sending = self.sending.as_deref()?;
        let look = self.outlook(ctx, sending, smss);
        let decision = decide(&look);
        if !matches!(decision, Decision::Send { .. }) {
            self.note_refusal(ctx, decision);
            return None;
        }
        let allowance = self.pace(ctx, smss)?;
        let options = self.make_options(ctx);
        // SACK blocks and the like take room from the text; decide anew with what is left.
        let mss = smss - u32::from(passing_len(&options));
        let allowed = (allowance - allowance % mss).max(mss);
        let (look, decision) = if mss == smss && allowed >= look.burst {
            (look, decision)
        } else {
            let sending = self.sending.as_deref()?;
            let look = if mss == smss { look } else { self.outlook(ctx, sending, mss) };
            let look = Outlook { burst: look.burst.min(allowed), ..look };
            (look, decide(&look))
        };
        let Decision::Send { len, fin } = decision else { return None };
        // What the caller cuts is remembered as one segment, so a small last one is polled by itself: a tail probe repeats it alone.
        let (len, fin) = if ctx.tso_max == 0 && len > mss && !len.is_multiple_of(mss) {
            (len - len % mss, false)
        } else {
            (len, fin)
        };
        let probe = self.probe_len(ctx, &look, len);
        let len = probe.unwrap_or(len);
        let start = self.snd.nxt;
        let range = SeqRange::new(start, start + len + u32::from(fin && probe.is_none()));
        let sending = self.sending.as_deref_mut()?;
        // In flight and held only by the congestion window: it is what limits (RFC 9438 4.2 note, RFC 7661).
        let limited = look.room.saturating_sub(len) < mss;
        sending.usage.on_sent(self.snd.una, range.end, limited);
        if !len.is_multiple_of(mss) && probe.is_none() {
            sending.small_end = Some(range.end);
        }
        if probe.is_some() {
            self.pmtu.on_probe_sent(range);
        }
        let mut segment = self.send_range(ctx, range, &options, false);
        self.bits.clear(Bits::OVERRIDE);
        self.bits.clear(Bits::FLUSH);
        let nxt = self.snd.nxt;
        if let Some(sending) = self.sending.as_deref_mut() {
            if sending.tail_probe.is_due() {
                sending.tail_probe.on_sent(nxt, false);
            } else {
                sending.tail_probe.arm(ctx.now);
            }
        }
        if let Some(len) = probe {
            segment.segment_size = u16::try_from(len).unwrap_or(u16::MAX);
        }
        Some(segment)
    }

    /// RFC 5681 4.1: when nothing was sent for an RTO the window says nothing about the path any more, whatever the silence was for: a
    /// program without words, or a peer without a window.
    fn restart_after_idle(&mut self, ctx: &Ctx<'_>, smss: u32) {
        let idle = self.last_sent.elapsed(ctx.now);
        let rto = self.rtt.rto(ctx.config);
        if !ctx.config.slow_start_after_idle || idle <= rto {
            return;
        }
        let usable = self.snd.window.usable(self.snd.una, self.snd.nxt) > 0;
        if let Some(sending) = self.sending.as_deref_mut().filter(|_| usable) {
            let restart = initial_window(smss, u32::from(ctx.config.initial_window_segments));
            sending.congestion.on_idle(ctx.now, idle, rto, restart);
            // Once: until something is sent the silence goes on, and is paid for.
            self.last_sent = Tick::at(ctx.now);
        }
    }

    /// Octets of new data that may leave now, by the clock; none: the pacing timer runs. A tail probe does not wait, nor does what
    /// F-RTO asks for.
    fn pace(&mut self, ctx: &Ctx<'_>, smss: u32) -> Option<u32> {
        let rate = self.pacing_rate();
        let sending = self.sending.as_deref_mut()?;
        let Some(rate) = rate else { return Some(u32::MAX) };
        if sending.tail_probe.is_due() {
            return Some(smss);
        }
        let allowance = sending.pacer.allowance(ctx.now, smss, rate);
        if allowance.is_none() {
            // Held back by the clock of the window, so by the window.
            sending.usage.on_refused(self.snd.una, self.snd.nxt);
        }
        allowance
    }

    /// What new data is paced at, where it is: on paths that are longer than what a timer can tell.
    fn pacing_rate(&self) -> Option<u64> {
        let srtt = self.rtt.srtt().filter(|srtt| self.settings.pacing && *srtt > LEAD)?;
        self.sending.as_deref()?.congestion.pacing_rate(Some(srtt))
    }

    /// RFC 4821 7.3: one segment of a larger size, of text that is there anyway, if there is enough of it to notice its loss.
    fn probe_len(&self, ctx: &Ctx<'_>, look: &Outlook, len: u32) -> Option<u32> {
        let size = self.pmtu.probe_size(ctx.now, ctx.config)?;
        let text = u32::from(self.agreed.smss(size, &self.settings));
        let enough = look.unsent >= text + 3 * look.mss && look.window >= text && look.room >= text;
        (text > look.mss && len >= look.mss && enough).then_some(text)
    }

    fn outlook(&self, ctx: &Ctx<'_>, sending: &Sending, mss: u32) -> Outlook {
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        let all = self.unsent();
        let record = sending.records.end_after(nxt).map_or(all, |end| end.since(nxt).min(all));
        let extra = match sending.tail_probe.is_due() {
            // RFC 8985 7.3: a probe may exceed the window by one segment.
            true => mss,
            false => sending.recovery.limited_transmit(),
        };
        let budget = sending.congestion.window().saturating_add(extra);
        Outlook {
            unsent: record,
            fin: self.fin_waits() && record == all,
            window: self.snd.window.usable(una, nxt),
            window_max: self.snd.window.max(),
            room: budget.saturating_sub(sending.recovery.pipe(&sending.retransmit, self.snd.flight())),
            mss,
            burst: self.burst(ctx, sending, mss),
            nodelay: self.settings.nodelay,
            hold: (self.settings.cork || self.bits.has(Bits::HOLD))
                && record == all
                && !self.bits.has(Bits::FLUSH),
            // What a record ends with gets no company.
            small_in_flight: sending.small_end.is_some() && sending.records.end_after(nxt).is_none(),
            override_: self.bits.has(Bits::OVERRIDE),
        }
    }

    /// What one polled segment may carry, in whole segments of the wire: what the device cuts, but no more than leaves within a
    /// millisecond at the rate of the path (twice as much on a path of less than half a millisecond, all of it; as Linux's
    /// `tcp_tso_autosize`), and no more than half the congestion window, so that ACKs come back while the other half leaves. What the
    /// caller cuts is only a way of asking once: it leaves at this moment either way.
    fn burst(&self, ctx: &Ctx<'_>, sending: &Sending, mss: u32) -> u32 {
        if ctx.tso_max < 2 * mss {
            let together = may_cut(sending) && self.pacing_rate().is_none();
            return if together { mss.saturating_mul(ctx.cut_max.max(1)) } else { mss };
        }
        let half = sending.congestion.window() / 2;
        let paced = match sending.congestion.pacing_rate(self.rtt.srtt()) {
            None => u32::MAX,
            Some(rate) => {
                let millisecond = u32::try_from(rate >> 10).unwrap_or(u32::MAX);
                let halves = self.rtt.min_rtt().map_or(u128::MAX, |rtt| rtt.as_micros() >> 9);
                let near = if halves < 32 { (1 << 16) >> halves } else { 0 };
                millisecond.saturating_add(near).max(u32::from(ctx.config.burst_segments_min) * mss)
            }
        };
        (ctx.tso_max.min(paced).min(half) / mss).max(1) * mss
    }

    /// The program has finished, and the FIN has not been sent.
    pub(crate) fn fin_waits(&self) -> bool {
        self.state.has_finished() && !self.bits.has(Bits::FIN_SENT)
    }

    /// New text cannot leave. If nothing is in flight, no ACK will change that: the persist timer must (RFC 9293 3.8.6.1; it
    /// also is the override timeout of 3.8.6.2.1, and ends a cork after an RTO as Linux does).
    fn note_refusal(&mut self, ctx: &Ctx<'_>, refusal: Decision) {
        let rto = self.rtt.rto(ctx.config);
        let quiet = self.snd.una == self.snd.nxt;
        let Some(sending) = self.sending.as_deref_mut() else { return };
        if refusal == Decision::AwaitCongestion {
            sending.usage.on_refused(self.snd.una, self.snd.nxt);
        }
        if quiet && refusal != Decision::Idle && ctx.config.test.persist {
            sending.persist.start(ctx.now, rto);
        }
    }

    /// A segment that only asks for an ACK: a keep-alive (RFC 9293 3.8.4) or a zero-window probe. It stands one octet before
    /// SND.NXT and carries nothing, as Linux's (docs/deviations.md): unacceptable to the peer, so it must answer.
    fn send_probe(&mut self, ctx: &mut Ctx<'_>) -> Option<SegmentOut> {
        self.bits.take(Bits::PROBE_DUE).then(|| {
            let seq = if self.snd.una == self.snd.nxt { self.snd.nxt - 1 } else { self.snd.una - 1 };
            let mut segment = self.make_ack(ctx);
            segment.seq = seq;
            segment
        })
    }

    fn send_owed_ack(&mut self, ctx: &mut Ctx<'_>) -> Option<SegmentOut> {
        self.delayed_ack.is_due().then(|| self.make_ack(ctx))
    }

    fn make_ack(&mut self, ctx: &mut Ctx<'_>) -> SegmentOut {
        let options = self.make_options(ctx);
        let wnd = self.advertise(ctx);
        let segment = SegmentOut {
            options,
            ..SegmentOut::bare(Flags::ACK | self.ecn_echo(), self.snd.nxt, self.rcv.nxt, wnd)
        };
        self.note_ack_sent();
        segment
    }

    /// A range of sequence space, new or again: text, FIN, or both.
    fn send_range(
        &mut self,
        ctx: &mut Ctx<'_>,
        range: SeqRange,
        options: &TcpOptions,
        again: bool,
    ) -> SegmentOut {
        let (start, end) = (self.text_start(), self.text_end());
        let text_end = range.end.earlier(end);
        let text_len = if text_end.after(range.start) { text_end.since(range.start) } else { 0 };
        let fin = range.end.after(end);
        let mut flags = Flags::ACK | self.ecn_echo();
        if fin {
            flags |= Flags::FIN;
            self.bits.set(Bits::FIN_SENT);
        }
        // RFC 9293 3.9.1.2, MUST-60 and MUST-61: the last segment of what was queued, or of a record, is pushed, unless the program said
        // that more follows; as Linux, also the last one of what the device cuts, which a receiver then need not hold back for company.
        let recorded = self.sending.as_deref().is_some_and(|sending| sending.records.ends_at(text_end));
        let more = self.bits.has(Bits::MORE) && !self.bits.has(Bits::OVERRIDE);
        let last = recorded || (text_end == end && !more);
        let segment_size = self.smss() - passing_len(options);
        if text_len > 0 && (last || (ctx.tso_max > 0 && text_len > u32::from(segment_size))) {
            flags |= Flags::PSH;
        }
        let mut up = 0;
        if let Some(sending) = self.sending.as_deref_mut() {
            if let Some(pointer) = sending.up.filter(|pointer| pointer.after(range.start)) {
                flags |= Flags::URG;
                up = u16::try_from(pointer.since(range.start)).unwrap_or(u16::MAX);
            }
            // RFC 3168 6.1.2: CWR goes with new data.
            if !again && text_len > 0 && core::mem::take(&mut sending.cwr_due) {
                flags |= Flags::CWR;
            }
        }
        let wnd = self.advertise(ctx);
        let segment = SegmentOut {
            up,
            options: *options,
            text_offset: if text_len > 0 { range.start.since(start) } else { 0 },
            text_len,
            segment_size,
            // RFC 3168 6.1.5: what is sent again is not ECN-capable.
            ect: self.agreed.ecn() && !again && text_len > 0,
            ..SegmentOut::bare(flags, range.start, self.rcv.nxt, wnd)
        };
        if text_len > 0 {
            self.delayed_ack.on_data_sent(ctx.now, ctx.config);
        }
        self.note_ack_sent();
        self.note_sent(ctx, range, again);
        segment
    }

    /// Sequence space has left: timer, recovery and congestion control hear of it.
    fn note_sent(&mut self, ctx: &Ctx<'_>, range: SeqRange, again: bool) {
        let rto = self.rtt.rto(ctx.config);
        self.snd.nxt = self.snd.nxt.later(range.end);
        self.last_sent = Tick::at(ctx.now);
        let flight = self.snd.flight();
        let rate = self.pacing_rate();
        let more = if again { range.len().saturating_sub(1) / u32::from(self.smss()).max(1) } else { 0 };
        if let Some(sending) = self.sending.as_deref_mut() {
            sending.retransmit.on_sent(range, again, ctx.now, rto);
            sending.retransmit.count_cut(more);
            sending.recovery.on_sent(range, again, ctx.now);
            sending.pacer.on_sent(ctx.now, range.len(), rate);
            sending.congestion.on_sent(ctx.now, range.len(), flight);
            sending.persist.stop();
        }
    }

    /// A segment that is no SYN leaves: it said all that was owed.
    fn note_ack_sent(&mut self) {
        self.bits.clear(Bits::UTO_DUE);
        self.agreed.on_ack_sent(self.rcv.nxt);
        self.delayed_ack.on_ack_sent();
    }

    fn ecn_echo(&self) -> Flags {
        if self.bits.has(Bits::ECN_ECHO) { Flags::ECE } else { Flags::NONE }
    }

    /// The options of a segment after the handshake.
    fn make_options(&mut self, ctx: &Ctx<'_>) -> TcpOptions {
        let mut options = TcpOptions {
            timestamps: self.agreed.stamp(ctx.now),
            user_timeout: self.owed_user_timeout(),
            ..TcpOptions::NONE
        };
        // RFC 2018 3: blocks go with every ACK that does not acknowledge all that is here; a D-SACK only with an ACK that is
        // owed.
        if self.agreed.sack()
            && let Some(receiving) = self.receiving.as_deref_mut()
            && receiving.reassembly.has_blocks()
            && (!receiving.reassembly.is_empty() || self.delayed_ack.is_pending())
        {
            let blocks = receiving.reassembly.sack_blocks(options.sack_capacity());
            for block in blocks.as_slice() {
                options.sack.push(SackBlock { left: block.start.raw(), right: block.end.raw() });
            }
        }
        options
    }

    fn advertise(&mut self, ctx: &Ctx<'_>) -> u16 {
        let unread = to_u32(self.readable());
        let cap = if ctx.memory.budget.under_pressure() { PRESSED_WINDOW } else { u32::MAX };
        let mss = u32::from(self.own_mss);
        self.rcv.window.advertise(self.rcv.nxt, unread, mss, self.agreed.rcv_scale(), cap)
    }
}

/// Whether several new segments may be decided on at once: nothing asks for one of them alone (a tail probe, limited transmit, the turn
/// taking of recovery), and none would say something else than the others (the urgent pointer). Nor is the clock asked for each
/// (`pace`), which the caller looks after.
fn may_cut(sending: &Sending) -> bool {
    !sending.recovery.in_recovery()
        && !sending.recovery.wants_new_data()
        && sending.recovery.limited_transmit() == 0
        && !sending.tail_probe.is_due()
        && sending.up.is_none()
}

#[cfg(test)]
mod tests;
