//! Header prediction: the segment that was expected, taken in one stride.
//! Spec: RFC 9293 3.10.7.4; the idea is Van Jacobson's (RFC 1144 section 3 tells the same of compression).
//! Owns: the conditions under which the steps of `arrives` have nothing to decide. Borrows: the rooms, which do what they always do.
//! Invariants: whoever is not expected in every point goes the long way; both ways leave the same connection behind (`tests`).
//! Not here: the steps themselves (`arrives`).
//!
//! What is passed over, and why it would have said nothing:
//! first step: SEG.SEQ = RCV.NXT and the text fits into the window, so there is nothing to refuse or trim (PAWS is asked); second and
//! fourth: neither RST nor SYN; fifth: ACK is set, and SEG.ACK lies in SND.UNA .. SND.NXT (it is taken as always); user timeout: no
//! option but timestamps; ECN: no mark and none of its bits; sixth: no URG; seventh: nothing lies early, and neither end has finished, so
//! the text goes to the end of the queue; eighth: no FIN.
//!
//! Segments that arrive together and differ in SEG.SEQ and text alone are passed over further, but for the first: what it has said of
//! acknowledgment, window and time, the others only repeat (`handle_continued`).

use wire::tcp::Flags;

use crate::ack::{AckPlace, place};
use crate::arrives::{Disposition, DropReason};
use crate::connection::{Connection, to_u32};
use crate::ctx::Ctx;
use crate::delayed_ack::Arrival;
use crate::events::Events;
use crate::segment::Segment;
use crate::state::State;

impl Connection {
    /// Where the acknowledgment of an expected segment stands; `None`: the segment goes the long way.
    #[inline]
    pub(crate) fn predicts(&self, ctx: &Ctx<'_>, seg: &Segment<'_>) -> Option<AckPlace> {
        let nxt = self.rcv.nxt;
        let usual = self.state == State::Established
            && seg.flags.without(Flags::PSH) == Flags::ACK
            && seg.seq == nxt
            && !seg.ce
            && seg.options.is_plain()
            && seg.text.len() <= self.rcv.window.wnd(nxt) as usize
            && ctx.config.test.prediction
            && !(ctx.config.test.paws && self.agreed.paws_refuses(seg, ctx.now));
        if !usual {
            return None;
        }
        if let Some(receiving) = self.receiving.as_deref()
            && (!receiving.reassembly.is_empty() || receiving.fin_at.is_some())
        {
            return None;
        }
        let place = place(seg.ack, self.snd.una, self.snd.nxt, self.snd.window.max());
        matches!(place, AckPlace::Same | AckPlace::New(_)).then_some(place)
    }

    /// An expected segment.
    #[inline]
    pub(crate) fn take_predicted(
        &mut self,
        ctx: &mut Ctx<'_>,
        seg: &Segment<'_>,
        place: AckPlace,
    ) -> Result<(), Disposition> {
        self.keepalive.on_heard(ctx.now);
        // Of a connection in ESTABLISHED no ACK is the last.
        let _ = self.take_ack(ctx, seg, place);
        self.agreed.on_acceptable(seg, ctx.now);
        if seg.text.is_empty() { Ok(()) } else { self.take_expected_text(ctx, seg) }
    }

    /// Whether of a segment that continues the one handled last nothing but the text would be left to look at, so that
    /// [`Connection::handle_continued`] may take it. Cheap, for whoever would otherwise gather such segments in vain.
    #[inline]
    #[must_use]
    pub fn awaits_continuation(&self) -> bool {
        self.state == State::Established
            && self.sending.is_none()
            && !self.delayed_ack.owes_own()
            && self
                .receiving
                .as_deref()
                .is_none_or(|receiving| receiving.reassembly.is_empty() && receiving.fin_at.is_none())
    }

    /// A segment that came together with the one handled last, and that differs from it in SEG.SEQ and text alone; that one was taken, and
    /// nothing has been asked of the connection since. Leaves the connection as [`Connection::handle_segment`] would; `None`: that one is
    /// to be called, nothing has been done.
    #[inline]
    pub fn handle_continued(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Option<Disposition> {
        let nxt = self.rcv.nxt;
        let expected = seg.seq == nxt
            && !seg.text.is_empty()
            && seg.text.len() <= self.rcv.window.wnd(nxt) as usize
            && seg.flags.without(Flags::PSH) == Flags::ACK
            && seg.ack == self.snd.una
            && !seg.ce
            && seg.options.is_plain()
            && ctx.config.test.prediction
            && self.awaits_continuation();
        if !expected {
            return None;
        }
        // Its acknowledgment is no news, its stamp is the last one's (which PAWS did not refuse), and it was heard at the same moment.
        self.snd.window.on_ack(seg.seq, seg.ack, self.agreed.seg_wnd(seg));
        let taken = self.take_expected_text(ctx, seg);
        self.check();
        Some(taken.err().unwrap_or(Disposition::Taken))
    }

    fn take_expected_text(&mut self, ctx: &mut Ctx<'_>, seg: &Segment<'_>) -> Result<(), Disposition> {
        let nxt = self.rcv.nxt;
        let low_water = self.settings.receive_low_water.max(1) as usize;
        let receiving = self.receiving.get_or_insert_with(|| ctx.memory.take_receiving());
        let stored =
            receiving.reassembly.store(&mut receiving.queue, &mut ctx.memory.budget, nxt, nxt, seg.text);
        self.rcv.nxt += stored.advanced;
        if stored.advanced > 0 && receiving.queue.readable() >= low_water {
            self.events |= Events::READABLE;
        }
        let arrival = Arrival {
            len: to_u32(seg.text.len()),
            segments: u32::from(seg.segments),
            out_of_order: stored.refused,
            ..Arrival::default()
        };
        self.delayed_ack.on_data(ctx.now, &arrival, ctx.config);
        if stored.refused { Err(Disposition::Dropped(DropReason::NoMemory)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
