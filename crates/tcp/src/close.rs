//! Closing: FIN both ways, half-close, linger, orphans, abort, and the one record of why a connection ended.
//! Spec: RFC 9293 3.6 (figures 12 and 13), 3.9.1.4 and 3.9.1.5 (CLOSE, ABORT), 3.10.4, 3.10.5, 3.10.7.4 eighth step;
//! RFC 2525 2.17; SO_LINGER and TCP_LINGER2 as Linux has them.
//! Owns: the deadline of whatever the end waits for, and whether the program has let go.
//! Invariants: `end` is set exactly once, on the way into CLOSED; FIN-WAIT-2 has a deadline only after close(), never after
//! a mere shutdown(); a RST for data after close leaves before anything else.
//! Not here: when the FIN may leave (`transmit`), TIME-WAIT's own rules (`time_wait`).

use core::time::Duration;

use crate::arrives::{Disposition, DropReason};
use crate::config::Linger;
use crate::connection::{Bits, Connection};
use crate::ctx::Ctx;
use crate::events::Events;
use crate::info::End;
use crate::segment::Segment;
use crate::state::State;
use crate::tick::Tick;
use crate::time::Instant;
use crate::time_wait::{self, TimeWait, TimeWaitDisposition};

/// No wait of this kind is longer, since its deadline is kept in four octets.
const WAIT_MAX: Duration = Duration::from_secs(20 * 24 * 3600);

/// What the end of a connection waits for. Linger ends when our FIN is acknowledged, the quiet states begin there, so one
/// deadline serves both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Wait {
    #[default]
    Nothing,
    /// The rest of FIN-WAIT-2 or TIME-WAIT.
    Quiet,
    /// The program's close() under SO_LINGER.
    Linger,
}

/// What is left to wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Closing {
    deadline: Tick,
    wait: Wait,
    orphan: bool,
}

impl Closing {
    /// The program has let go; nobody will read or be told.
    pub(crate) const fn is_orphan(&self) -> bool {
        self.orphan
    }

    /// When FIN-WAIT-2 or TIME-WAIT ends.
    pub(crate) fn quiet_until(&self, now: Instant) -> Option<Instant> {
        (self.wait == Wait::Quiet).then(|| self.deadline.near(now))
    }

    /// When SO_LINGER ends.
    pub(crate) fn linger_until(&self, now: Instant) -> Option<Instant> {
        (self.wait == Wait::Linger).then(|| self.deadline.near(now))
    }

    pub(crate) fn has_deadline(&self) -> bool {
        self.wait != Wait::Nothing
    }

    fn start(&mut self, wait: Wait, now: Instant, length: Duration) {
        // A tick begins before the moment that falls into it; the next one is not too early.
        let length = if length.is_zero() { length } else { length.min(WAIT_MAX) + Duration::from_millis(1) };
        self.deadline = Tick::at(now + length);
        self.wait = wait;
    }

    /// Ends a wait and says whether it was for lingering.
    fn stop(&mut self) -> bool {
        core::mem::take(&mut self.wait) == Wait::Linger
    }
}

impl Connection {
    /// Sends no more (shutdown of the writing side; RFC 9293 3.10.4, CLOSE as far as the wire sees it). What is queued goes
    /// out first; reading goes on.
    pub fn shutdown_write(&mut self, ctx: &mut Ctx<'_>) {
        match self.state {
            State::SynSent => self.finish(ctx, End::ClosedWhileOpening),
            // RFC 9293 3.10.4: "queue for processing after entering ESTABLISHED state".
            State::SynReceived => self.bits.set(Bits::FINISH_WHEN_OPEN),
            State::Established => {
                self.state = State::FinWait1;
                self.wake_sending(ctx);
            }
            State::CloseWait => {
                self.state = State::LastAck;
                self.wake_sending(ctx);
            }
            // "Strictly speaking, this is an error"; as Linux, it is none.
            _ => {}
        }
        self.settle(ctx);
    }

    /// Reads no more. What is queued may still be read; after that the end. The peer is not told, unless the writing side
    /// is shut too and it still sends (then by RST).
    pub fn shutdown_read(&mut self, ctx: &mut Ctx<'_>) {
        self.bits.set(Bits::READ_SHUT);
        self.events |= Events::READABLE;
        self.settle(ctx);
    }

    /// The program lets go (close()). Lingers as the socket says; without a reader, what is unread or still arrives is
    /// answered by RST. Keep driving the connection until its state is CLOSED or TIME-WAIT.
    pub fn close(&mut self, ctx: &mut Ctx<'_>) {
        let unread = self.readable() > 0;
        self.bits.set(Bits::READ_SHUT);
        self.closing.orphan = true;
        match self.settings.linger {
            // RFC 9293 3.6.1, MUST-12 and SHLD-3: unread data would be lost without a word; RST says it.
            _ if unread && self.state.is_synchronized() => self.abort(ctx),
            Linger::Abort => self.abort(ctx),
            Linger::Bounded(length) => {
                self.shutdown_write(ctx);
                if matches!(self.state, State::FinWait1 | State::Closing | State::LastAck) {
                    self.closing.start(Wait::Linger, ctx.now, length);
                } else {
                    self.events |= Events::LINGER_OVER;
                }
            }
            Linger::Background => self.shutdown_write(ctx),
        }
        if self.state == State::FinWait2 {
            self.start_fin_wait_2(ctx);
        }
        self.settle(ctx);
    }

    /// Ends at once: queues are thrown away, the peer is told by RST where it knows of us (RFC 9293 3.10.5).
    pub fn abort(&mut self, ctx: &mut Ctx<'_>) {
        match self.state {
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait => self.reset(ctx, End::Aborted),
            State::SynSent => self.finish(ctx, End::ClosedWhileOpening),
            State::Closing | State::LastAck => self.finish(ctx, End::Aborted),
            // RFC 9293 3.10.5 would delete a TIME-WAIT too; the wait protects the next connection, so it stays.
            State::TimeWait | State::Closed => {}
        }
        self.drop_unread(ctx);
        self.settle(ctx);
    }

    /// Whether the program has let go. The stack bounds how many such there are, and aborts beyond.
    #[must_use]
    pub const fn is_orphan(&self) -> bool {
        self.closing.is_orphan()
    }

    /// In TIME-WAIT: what is left of the connection, for the stack's compact table. The connection is CLOSED afterwards;
    /// its reader may still take what is unread.
    pub fn take_time_wait(&mut self, ctx: &mut Ctx<'_>) -> Option<TimeWait> {
        let left = self.make_time_wait(ctx)?;
        // The last ACK is still owed: it must leave before the connection goes.
        if self.delayed_ack.is_due() {
            return None;
        }
        self.finish(ctx, End::Finished);
        self.settle(ctx);
        Some(left)
    }

    fn make_time_wait(&self, ctx: &Ctx<'_>) -> Option<TimeWait> {
        if self.state != State::TimeWait {
            return None;
        }
        let scale = self.agreed.rcv_scale();
        let wnd = u16::try_from(self.rcv.window.wnd(self.rcv.nxt) >> scale).unwrap_or(u16::MAX);
        let stamps = self.agreed.timestamps().then(|| self.agreed.ts_recent());
        Some(TimeWait::new(ctx.now, ctx.config, (self.snd.nxt, self.rcv.nxt), stamps, (wnd, scale)))
    }

    /// A segment while this connection itself waits in TIME-WAIT: the automaton judges.
    pub(crate) fn arrives_in_time_wait(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Disposition {
        let Some(mut wait) = self.make_time_wait(ctx) else {
            return Disposition::Dropped(DropReason::Closed);
        };
        match wait.handle_segment(ctx.now, ctx.config, self.agreed.ts_offset(), seg) {
            TimeWaitDisposition::Ignore => Disposition::Dropped(DropReason::Closed),
            // A connection cannot become a listener: the stack, which can, asks its table instead.
            TimeWaitDisposition::Reopen { .. } => Disposition::Dropped(DropReason::SynInWindow),
            TimeWaitDisposition::Answer(ack) => {
                if seg.flags.fin() {
                    self.closing.start(Wait::Quiet, ctx.now, time_wait::duration(ctx.config));
                }
                Disposition::Answer(DropReason::Duplicate, ack)
            }
        }
    }

    /// Our FIN is acknowledged.
    pub(crate) fn on_fin_acked(&mut self, ctx: &mut Ctx<'_>) {
        if self.closing.stop() {
            self.events |= Events::LINGER_OVER;
        }
        match self.state {
            State::FinWait1 => {
                self.state = State::FinWait2;
                // The program is gone: nobody else would ever end this state.
                if self.closing.orphan {
                    self.start_fin_wait_2(ctx);
                }
            }
            State::Closing => self.enter_time_wait(ctx),
            State::LastAck => self.finish(ctx, End::Finished),
            _ => {}
        }
    }

    /// Eighth step: the peer's FIN has its turn.
    pub(crate) fn on_peer_fin(&mut self, ctx: &mut Ctx<'_>) {
        self.events |= Events::PEER_FINISHED | Events::READABLE;
        self.bits.set(Bits::PEER_FIN);
        match self.state {
            State::SynReceived | State::Established => self.state = State::CloseWait,
            // An ACK of our FIN in the same segment has already moved us on.
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.enter_time_wait(ctx),
            _ => {}
        }
    }

    fn enter_time_wait(&mut self, ctx: &Ctx<'_>) {
        self.state = State::TimeWait;
        self.closing.start(Wait::Quiet, ctx.now, time_wait::duration(ctx.config));
    }

    /// FIN-WAIT-2 or TIME-WAIT has lasted long enough.
    pub(crate) fn on_quiet_over(&mut self, ctx: &mut Ctx<'_>) {
        self.closing.stop();
        match self.state {
            State::TimeWait => self.finish(ctx, End::Finished),
            State::FinWait2 => self.finish(ctx, End::PeerNeverFinished),
            _ => {}
        }
    }

    /// SO_LINGER is over: the program waits no more, the data still goes out.
    pub(crate) fn on_linger_over(&mut self) {
        self.closing.stop();
        self.events |= Events::LINGER_OVER;
    }

    fn start_fin_wait_2(&mut self, ctx: &Ctx<'_>) {
        let length = self.settings.fin_wait_2.unwrap_or(ctx.config.fin_wait_2);
        self.closing.start(Wait::Quiet, ctx.now, length);
    }

    /// Ends the connection and tells the peer by RST.
    pub(crate) fn reset(&mut self, ctx: &mut Ctx<'_>, end: End) {
        self.bits.set(Bits::RST_DUE);
        self.finish(ctx, end);
    }

    /// CLOSED. What was queued for the peer is thrown away; what is unread stays for the reader.
    pub(crate) fn finish(&mut self, ctx: &mut Ctx<'_>, end: End) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        if self.end.is_none() {
            self.end = Some(end);
        }
        if self.closing.stop() {
            self.events |= Events::LINGER_OVER;
        }
        if self.closing.orphan {
            self.drop_unread(ctx);
        }
        self.events |= Events::ENDED;
    }

    fn drop_unread(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(receiving) = self.receiving.take() {
            ctx.memory.give_receiving(receiving);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
