//! The two windows: what the peer lets us send, and what we let the peer send.
//! Spec: RFC 9293 3.8.6 (both), 3.8.6.2.2 (receiver's silly window), 3.10.7.4 (SND.WL1, SND.WL2); RFC 7323 2 (scaling).
//! Owns: SND.WND SND.WL1 SND.WL2 and the largest window seen; the right edge we advertised and the buffer behind it.
//! Invariants: our right edge never moves left (3.8.6, SHLD-14); it moves right by a segment or half the buffer at least.
//! Not here: when a window of zero is probed (`persist`), the sender's silly window (`decision`).

use core::time::Duration;

use crate::seq::SeqNum;
use crate::time::Instant;

/// The peer's window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendWindow {
    wnd: u32,
    wl1: SeqNum,
    wl2: SeqNum,
    max: u32,
}

impl SendWindow {
    /// As the peer's SYN (or the ACK of ours) says.
    pub(crate) const fn new(wnd: u32, seq: SeqNum, ack: SeqNum) -> Self {
        SendWindow { wnd, wl1: seq, wl2: ack, max: wnd }
    }

    /// SND.WND.
    #[inline]
    pub(crate) const fn wnd(&self) -> u32 {
        self.wnd
    }

    /// The largest window the peer ever offered: MAX.SND.WND of RFC 5961 5.2, max(SND.WND) of RFC 9293 3.8.6.2.1.
    #[inline]
    pub(crate) const fn max(&self) -> u32 {
        self.max
    }

    /// Takes the window of an acceptable ACK unless a newer segment has told it (RFC 9293 3.10.7.4).
    /// Says whether SND.WND changed.
    #[inline]
    pub(crate) fn on_ack(&mut self, seq: SeqNum, ack: SeqNum, wnd: u32) -> bool {
        if !(self.wl1.before(seq) || (self.wl1 == seq && self.wl2.at_or_before(ack))) {
            return false;
        }
        let changed = wnd != self.wnd;
        *self = SendWindow { wnd, wl1: seq, wl2: ack, max: self.max.max(wnd) };
        changed
    }

    /// What may still be sent: SND.UNA + SND.WND - SND.NXT. Zero, too, when the peer has taken back what it gave (MUST-34).
    #[inline]
    pub(crate) fn usable(&self, una: SeqNum, nxt: SeqNum) -> u32 {
        self.wnd.saturating_sub(nxt.since(una))
    }
}

/// Our window: the buffer, what of it we have promised, and how fast the reader empties it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveWindow {
    edge: SeqNum,
    buffer: u32,
    tune_seq: SeqNum,
    tune_at: u32,
}

impl ReceiveWindow {
    /// Nothing promised yet; `buffer` octets may be held.
    pub(crate) const fn new(buffer: u32) -> Self {
        ReceiveWindow { edge: SeqNum(0), buffer, tune_seq: SeqNum(0), tune_at: 0 }
    }

    /// The peer's sequence numbers are known: `promised` octets from `nxt` on have been advertised.
    pub(crate) fn start(&mut self, nxt: SeqNum, promised: u32, now: Instant) {
        self.edge = nxt + promised;
        self.tune_seq = nxt;
        self.tune_at = micros(now);
    }

    /// RCV.WND: what we have promised and not yet received.
    #[inline]
    pub(crate) fn wnd(&self, nxt: SeqNum) -> u32 {
        if self.edge.after(nxt) { self.edge.since(nxt) } else { 0 }
    }

    /// The bytes that may be held for the reader.
    pub(crate) const fn buffer(&self) -> u32 {
        self.buffer
    }

    /// The socket sets its receive buffer. What was promised stays promised.
    pub(crate) fn set_buffer(&mut self, buffer: u32) {
        self.buffer = buffer;
    }

    /// The window that an ACK leaving now advertises, and from now on promises: the field's value under `scale`.
    /// `unread`: octets in order that the reader has not taken. `cap`: no more than this while memory is short.
    #[inline]
    pub(crate) fn advertise(&mut self, nxt: SeqNum, unread: u32, mss: u32, scale: u8, cap: u32) -> u16 {
        let promised = self.wnd(nxt);
        let field_max = u32::from(u16::MAX) << scale;
        let free = self.buffer.saturating_sub(unread).min(cap).min(field_max);
        // 3.8.6.2.2, MUST-39: the edge moves only by a worthwhile step ...
        let offered = if free >= promised.saturating_add(mss.min(self.buffer / 2)) { free } else { promised };
        // ... and what the field cannot express is rounded down, but never below what was promised (SHLD-14).
        let rounded_down = offered >> scale << scale;
        let field =
            if rounded_down >= promised { offered >> scale } else { (promised + (1 << scale) - 1) >> scale };
        let field = field.min(u32::from(u16::MAX));
        let edge = nxt + (field << scale);
        if edge.after(self.edge) {
            self.edge = edge;
        }
        u16::try_from(field).unwrap_or(u16::MAX)
    }

    /// The reader has made so much room that the peer should hear of it without asking: a worthwhile step, and at least
    /// twice what it may send now (the factor is Linux's: a sender that still has half its window is not waiting).
    #[inline]
    pub(crate) fn deserves_update(&self, nxt: SeqNum, unread: u32, mss: u32, scale: u8) -> bool {
        let promised = self.wnd(nxt);
        // Room that the field cannot tell of is none.
        let field_max = u32::from(u16::MAX) << scale;
        let free = self.buffer.saturating_sub(unread).min(field_max);
        free >= promised.saturating_add(mss.min(self.buffer / 2)) && free >= promised.saturating_mul(2)
    }

    /// Receive auto-tuning (the Dynamic Right-Sizing of Linux): what the reader took within one round trip shows what the
    /// path delivers; the buffer should hold twice that, since a window doubles within a round trip of slow start.
    /// `taken`: the sequence number up to which the reader has read.
    #[inline]
    pub(crate) fn on_read(&mut self, now: Instant, taken: SeqNum, rtt: Duration, mss: u32, buffer_max: u32) {
        let elapsed = micros(now).wrapping_sub(self.tune_at);
        // Both fit: 2^32 us, and a round trip's 2^28.
        let rtt = rtt.as_secs() * 1_000_000 + u64::from(rtt.subsec_micros());
        if u64::from(elapsed) < rtt {
            return;
        }
        let copied = taken.since(self.tune_seq);
        let wanted = copied.saturating_mul(2).saturating_add(mss.saturating_mul(16));
        if copied.saturating_mul(2) > self.buffer && wanted > self.buffer {
            self.buffer = wanted.min(buffer_max).max(self.buffer);
        }
        self.tune_seq = taken;
        self.tune_at = micros(now);
    }
}

/// Microseconds modulo 2^32: a measurement that spans the wrap (71 minutes) is one round trip's tuning put off.
#[allow(clippy::cast_possible_truncation)]
const fn micros(now: Instant) -> u32 {
    now.as_micros() as u32
}

#[cfg(test)]
mod tests;
