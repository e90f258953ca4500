//! The user's calls: SEND, RECEIVE and what sockets make of them.
//! Spec: RFC 9293 3.9.1.2, 3.9.1.3, 3.10.2, 3.10.3, 3.8.5 (urgent); MSG_MORE, MSG_EOR, TCP_NOTSENT_LOWAT, TCP_INQ as Linux has them.
//! Owns: how much a call takes, and what it answers in each state.
//! Invariants: a call never waits; what it could not do raises an event once it can.
//! Not here: CLOSE and ABORT (`close`), OPEN (`handshake`), STATUS (`info`).

use std::io::ErrorKind;

use crate::buffer::Slices;
use crate::connection::{Bits, Connection, to_u32};
use crate::ctx::Ctx;
use crate::events::Events;
use crate::info::{End, Unreachable};
use crate::seq::SeqNum;
use crate::state::State;
use crate::tcb::Sending;

/// How a `send` is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SendFlags {
    /// MSG_MORE: more comes at once, a last small segment may wait.
    pub more: bool,
    /// MSG_EOR: the record ends here; nothing that comes later shares a segment with it.
    pub end_of_record: bool,
    /// MSG_OOB, the RFC's URGENT: all up to here is urgent.
    pub urgent: bool,
}

/// Why `send` took nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// The queue is full; [`Events::WRITABLE`] tells when not.
    WouldBlock,
    /// The stack's memory is; no event of this connection's will tell when not.
    NoMemory,
    /// The program has shut the writing side down.
    Shut,
    /// The connection is over.
    Ended(End),
}

/// Why `recv` gave nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecvError {
    /// Nothing is here yet; [`Events::READABLE`] tells when.
    WouldBlock,
    /// The connection has ended otherwise than by the peer's FIN.
    Ended(End),
}

impl From<SendError> for ErrorKind {
    fn from(error: SendError) -> ErrorKind {
        match error {
            SendError::WouldBlock | SendError::NoMemory => ErrorKind::WouldBlock,
            SendError::Shut => ErrorKind::BrokenPipe,
            SendError::Ended(end) => end.error_kind().unwrap_or(ErrorKind::BrokenPipe),
        }
    }
}

impl From<RecvError> for ErrorKind {
    fn from(error: RecvError) -> ErrorKind {
        match error {
            RecvError::WouldBlock => ErrorKind::WouldBlock,
            RecvError::Ended(end) => end.error_kind().unwrap_or(ErrorKind::NotConnected),
        }
    }
}

/// The largest super-segment, less headers.
const WRITE_BURST_MAX: u32 = 65_215;

impl Connection {
    /// Queues data (SEND). Takes as much as there is room for and says how much; before the connection is open it queues
    /// too (RFC 9293 3.10.2).
    pub fn send(&mut self, ctx: &mut Ctx<'_>, data: &[u8], flags: SendFlags) -> Result<usize, SendError> {
        if let Some(end) = self.end {
            return Err(SendError::Ended(end));
        }
        if !self.state.may_send() || self.bits.has(Bits::FINISH_WHEN_OPEN) {
            return Err(SendError::Shut);
        }
        if data.is_empty() {
            return Ok(0);
        }
        let start = self.text_start();
        self.wake_sending(ctx);
        let room = self.admit(ctx, to_u32(data.len()));
        let sending = self.sending.as_deref_mut().expect("woken just now");
        let crowded = flags.end_of_record && sending.records.is_full();
        let limit = sending.queue.len() + room as usize;
        let taken = if crowded { 0 } else { sending.queue.write(&mut ctx.memory.budget, data, limit) };
        let end = start + to_u32(sending.queue.len());
        let full = crowded || room == 0;
        if taken == data.len() {
            // What a call says about its last octet holds only if that octet was taken.
            if flags.end_of_record {
                sending.records.push(end);
            }
            if flags.urgent {
                sending.up = Some(end);
            }
            if flags.more {
                self.bits.set(Bits::MORE);
                self.bits.set(Bits::HOLD);
            } else {
                self.bits.clear(Bits::MORE);
                self.bits.clear(Bits::HOLD);
            }
        } else {
            self.bits.set(Bits::WRITE_BLOCKED);
        }
        self.settle(ctx);
        match taken {
            0 if full => Err(SendError::WouldBlock),
            0 => Err(SendError::NoMemory),
            taken => Ok(taken),
        }
    }

    /// How much of `len` octets the queue takes. As Linux it fills whole bursts: one begins while the queue is below its limit, and
    /// what cannot leave at once below its low-water mark; the one that has begun is filled. So a queue may pass its limit by a
    /// burst, at most by as much again.
    fn admit(&mut self, ctx: &Ctx<'_>, len: u32) -> u32 {
        let limit = self.send_limit(ctx);
        let burst = self.write_burst().min(limit);
        let low_water = self.settings.not_sent_low_water;
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        let (mut end, opens) = (self.text_end(), self.syn_is_out());
        let start = self.text_start();
        let usable = self.snd.window.usable(una, nxt);
        let sending = self.sending.as_deref_mut().expect("woken by the caller");
        let queued = to_u32(sending.queue.len());
        let pipe = sending.recovery.pipe(&sending.retransmit, nxt - una);
        let leaves = if opens { 0 } else { usable.min(sending.congestion.window().saturating_sub(pipe)) };
        // What can leave at once does not wait.
        let front = (nxt.later(start) + leaves).earlier(nxt.later(start) + (1 << 30));
        let mut taken = 0;
        while taken < len {
            let waits = if end.after(front) { end.since(front) } else { 0 };
            let tail = sending.tail.later(front.earlier(end));
            let filled = end.since(tail);
            let room = burst.saturating_sub(filled);
            if filled == 0 || room == 0 {
                if queued + taken >= limit || waits >= low_water {
                    break;
                }
                sending.tail = end;
            }
            let room = if filled == 0 || room == 0 { burst } else { room };
            let piece = room.min(len - taken);
            taken += piece;
            end += piece;
        }
        taken
    }

    /// What `send` fills at a time: as many whole segments as half of the largest window takes, within what a device cuts.
    fn write_burst(&self) -> u32 {
        let mss = u32::from(self.smss());
        let half = (self.snd.window.max() / 2).min(WRITE_BURST_MAX).max(mss);
        half / mss * mss
    }

    /// Takes data out (RECEIVE): as much as is here and fits. `Ok(0)`, for a buffer that is not empty, is the peer's end.
    /// A call that begins before the octet after urgent data ends there, so that the program can tell.
    pub fn recv(&mut self, ctx: &mut Ctx<'_>, buffer: &mut [u8]) -> Result<usize, RecvError> {
        if self.readable() == 0 {
            return self.recv_nothing();
        }
        let to_mark = self.urgent_ahead().map_or(usize::MAX, |ahead| ahead as usize);
        let len = buffer.len().min(to_mark);
        let receiving = self.receiving.as_deref_mut().expect("something is readable");
        let taken = receiving.queue.read(&mut ctx.memory.budget, &mut buffer[..len]);
        self.on_read(ctx);
        Ok(taken)
    }

    /// What can be read, in place. [`Connection::consume`] takes it away.
    #[must_use]
    pub fn peek(&self) -> Slices<'_> {
        self.receiving.as_ref().map_or_else(Slices::default, |receiving| receiving.queue.peek())
    }

    /// Takes away `count` octets that were peeked at.
    pub fn consume(&mut self, ctx: &mut Ctx<'_>, count: usize) {
        if let Some(receiving) = self.receiving.as_deref_mut() {
            receiving.queue.consume(&mut ctx.memory.budget, count);
            self.on_read(ctx);
        }
    }

    fn recv_nothing(&self) -> Result<usize, RecvError> {
        if self.bits.has(Bits::PEER_FIN) || self.bits.has(Bits::READ_SHUT) {
            return Ok(0);
        }
        match self.end {
            Some(End::Finished | End::PeerNeverFinished) => Ok(0),
            Some(end) => Err(RecvError::Ended(end)),
            None => Err(RecvError::WouldBlock),
        }
    }

    /// The reader made room: the window may open (RFC 9293 3.8.6.2.2), the buffer may grow.
    fn on_read(&mut self, ctx: &mut Ctx<'_>) {
        let taken = self.taken();
        if let Some(receiving) = self.receiving.as_deref_mut() {
            receiving.up = receiving.up.filter(|up| up.after(taken));
        }
        if self.state.takes_text() {
            let mss = u32::from(self.own_mss);
            let tuned = self.settings.receive_buffer.is_none() && !ctx.memory.budget.under_pressure();
            if tuned && let Some(rtt) = self.rtt.srtt() {
                self.rcv.window.on_read(ctx.now, taken, rtt, mss, ctx.config.receive_buffer_max);
            }
            let scale = self.agreed.rcv_scale();
            if self.rcv.window.deserves_update(self.rcv.nxt, to_u32(self.readable()), mss, scale) {
                self.delayed_ack.ack_now();
            }
        }
        self.settle(ctx);
    }

    /// Octets that can be read now (TCP_INQ, FIONREAD).
    #[must_use]
    #[inline]
    pub fn readable(&self) -> usize {
        self.receiving.as_ref().map_or(0, |receiving| receiving.queue.readable())
    }

    /// Octets queued that the peer has not acknowledged (SIOCOUTQ).
    #[must_use]
    pub fn queued(&self) -> usize {
        self.sending.as_ref().map_or(0, |sending| sending.queue.len())
    }

    /// Octets that `send` would take now, memory permitting; zero when it may not be called.
    #[must_use]
    pub fn writable(&self, ctx: &Ctx<'_>) -> usize {
        let shut = !self.state.may_send() || self.bits.has(Bits::FINISH_WHEN_OPEN);
        if self.end.is_some() || shut || self.unsent() >= self.settings.not_sent_low_water {
            return 0;
        }
        (self.send_limit(ctx) as usize).saturating_sub(self.queued())
    }

    /// A `send` would not block, and is worth it: a third of the queue is free (as Linux), the unsent part is below its low-water
    /// mark. Also when it would fail at once.
    #[must_use]
    pub fn is_writable(&self, ctx: &Ctx<'_>) -> bool {
        if self.end.is_some() || !self.state.may_send() || self.bits.has(Bits::FINISH_WHEN_OPEN) {
            return true;
        }
        let (limit, queued) = (self.send_limit(ctx), to_u32(self.queued()));
        !self.syn_is_out() && queued <= limit - limit / 3 && self.unsent() < self.settings.not_sent_low_water
    }

    /// A `recv` would not block: there is data, the peer's end, or the connection's.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.readable() > 0 || self.recv_nothing() != Err(RecvError::WouldBlock)
    }

    /// Octets up to the end of urgent data, if the reader has any ahead (RFC 9293 3.8.5, MUST-33).
    #[must_use]
    pub fn urgent_ahead(&self) -> Option<u32> {
        let up = self.receiving.as_ref()?.up?;
        Some(up.since(self.taken()))
    }

    /// What the send queue may hold: fixed by the socket, or twice the congestion window.
    fn send_limit(&self, ctx: &Ctx<'_>) -> u32 {
        match self.settings.send_buffer {
            Some(limit) => limit,
            None => {
                let cwnd =
                    self.sending.as_ref().map_or(self.resting.cwnd, |sending| sending.congestion.window());
                cwnd.saturating_mul(2).clamp(ctx.config.send_buffer_initial, ctx.config.send_buffer_max)
            }
        }
    }

    /// Room has appeared: a program that was refused hears of it once a third of the queue is free (as Linux), or the unsent
    /// part is below its low-water mark.
    pub(crate) fn tell_writable(&mut self, ctx: &Ctx<'_>, sending: &Sending) {
        if !self.bits.has(Bits::WRITE_BLOCKED) || !self.state.may_send() {
            return;
        }
        let limit = match self.settings.send_buffer {
            Some(limit) => limit,
            None => sending
                .congestion
                .window()
                .saturating_mul(2)
                .clamp(ctx.config.send_buffer_initial, ctx.config.send_buffer_max),
        };
        let queued = to_u32(sending.queue.len());
        let unsent = queued.saturating_sub(self.snd.flight());
        if queued <= limit - limit / 3
            && unsent < self.settings.not_sent_low_water
            && !sending.records.is_full()
        {
            self.bits.clear(Bits::WRITE_BLOCKED);
            self.events |= Events::WRITABLE;
        }
    }

    /// ICMP, or the stack itself, says the peer cannot be reached. `quoted`: the sequence number in the quoted header, which a
    /// forger off the path does not know (RFC 5927 4.1); `None` if the stack itself says so. False if it was not believed.
    pub fn handle_unreachable(
        &mut self,
        ctx: &mut Ctx<'_>,
        what: Unreachable,
        quoted: Option<SeqNum>,
    ) -> bool {
        if self.state == State::Closed || !self.believes(quoted) {
            return false;
        }
        self.soft_error = Some(what);
        // RFC 5461 4.1, RFC 9293 3.9.2.2: hard errors end an attempt to open. In synchronized states an attacker could have
        // made them up (RFC 5927 5.2), so there all are soft; MUST-56: soft ones never end a connection.
        let silent_neighbor = what == Unreachable::Neighbor && self.state == State::SynSent;
        if silent_neighbor || (what.is_hard() && !self.state.is_synchronized()) {
            self.finish(ctx, End::Unreachable(what));
        } else {
            self.events |= Events::TROUBLE;
        }
        self.settle(ctx);
        true
    }

    /// The path carries `mss` octets of text, options counted into it, in one packet: after "fragmentation needed", "packet too
    /// big" (with the quoted sequence number) or a change of route (without). False if it was not believed.
    pub fn handle_path(&mut self, ctx: &mut Ctx<'_>, mss: u16, quoted: Option<SeqNum>) -> bool {
        if self.state == State::Closed || !self.believes(quoted) {
            return false;
        }
        let before = self.smss();
        if quoted.is_some() {
            self.pmtu.on_too_big(ctx.now, mss, ctx.config.mss_min);
        } else {
            self.pmtu.on_path(mss.max(ctx.config.mss_min));
        }
        let smss = u32::from(self.smss());
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        if self.smss() != before
            && !self.syn_is_out()
            && let Some(sending) = self.sending.as_deref_mut()
        {
            sending.congestion.on_mss(smss);
            // RFC 1191 6.5, RFC 8201 5.4: what was too big was dropped for its size, not for congestion: it is sent again at
            // once, and the window keeps its size.
            if self.smss_fell(before) && una != nxt {
                let sending = self.sending.as_deref_mut().expect("looked at just now");
                sending.recovery.on_path_shrunk(nxt, smss, &mut sending.retransmit);
            }
        }
        self.settle(ctx);
        true
    }

    fn smss_fell(&self, before: u16) -> bool {
        self.smss() < before
    }

    /// RFC 5927 4.1: an ICMP message quotes something that is in flight.
    fn believes(&self, quoted: Option<SeqNum>) -> bool {
        quoted.is_none_or(|seq| self.is_in_flight(seq))
    }

    /// Whether `seq` was sent and is not acknowledged: what a forger of ICMP messages does not know.
    #[must_use]
    pub fn is_in_flight(&self, seq: SeqNum) -> bool {
        seq.between(self.snd.una, self.snd.nxt)
    }
}

#[cfg(test)]
mod tests;
