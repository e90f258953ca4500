//! Whether a segment has anything to do with the window, and what of it.
//! Spec: RFC 9293 3.10.7.4, first step (the four-case test); 3.4.
//! Owns: nothing; functions of SEG and RCV.
//! Invariants: what `trim` leaves lies inside RCV.NXT .. RCV.NXT+RCV.WND.
//! Not here: what to answer to a segment that fails (`arrives`), timestamps (`options`).

use core::ops::Range;

use crate::segment::Segment;
use crate::seq::{SeqNum, SeqRange};

/// The outcome of the four-case test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Acceptability {
    /// Some of it lies in the window, or it is empty and at an acceptable place.
    Acceptable,
    /// The window is closed, and the segment begins where it would open: its text is not taken, but ACK, RST and URG are
    /// (RFC 9293 3.10.7.4: "special allowance should be made to accept valid ACKs, URGs, and RSTs", MUST-66).
    ZeroWindow,
    /// Everything in it has been received before.
    Old,
    /// It begins beyond the window.
    Beyond,
}

/// The four cases of RFC 9293 table 6.
pub(crate) fn judge(seg: &Segment<'_>, nxt: SeqNum, wnd: u32) -> Acceptability {
    let len = seg.len();
    let begins_inside = seg.seq.within(nxt, wnd);
    match (len, wnd) {
        (0, 0) if seg.seq == nxt => Acceptability::Acceptable,
        (0, _) if begins_inside => Acceptability::Acceptable,
        // A bare ACK at the window's very edge: its sender has filled the window that we advertised and says so. The table
        // would refuse it (nxt+wnd is outside), yet its SEG.ACK is what we wait for when both sides have filled theirs.
        (0, _) if wnd > 0 && seg.seq == nxt + wnd => Acceptability::Acceptable,
        (1.., 0) if seg.seq == nxt => Acceptability::ZeroWindow,
        (1.., 1..) if begins_inside || (seg.end() - 1).within(nxt, wnd) => Acceptability::Acceptable,
        // A segment that begins before the window and ends behind it covers all of it.
        (1.., 1..) if seg.seq.before(nxt) && seg.end().after(nxt) => Acceptability::Acceptable,
        _ if seg.seq.before(nxt) => Acceptability::Old,
        _ => Acceptability::Beyond,
    }
}

/// What of a segment lies inside the window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trimmed {
    /// Where the first octet of `text` stands.
    pub(crate) seq: SeqNum,
    /// The part of SEG.TEXT to take.
    pub(crate) text: Range<usize>,
    /// FIN is inside too.
    pub(crate) fin: bool,
    /// What was cut off in front because it had been received before, for D-SACK (RFC 2883 4).
    pub(crate) repeated: Option<SeqRange>,
}

/// Cuts a segment to the window (RFC 9293 3.10.7.4: "segments can be trimmed to fit"). The segment carries no SYN.
pub(crate) fn trim(seg: &Segment<'_>, nxt: SeqNum, wnd: u32) -> Trimmed {
    let len = seg.text.len();
    let edge = nxt + wnd;
    let old = if seg.seq.before(nxt) { nxt.since(seg.seq) as usize } else { 0 };
    let front = old.min(len);
    let seq = if old > 0 { nxt } else { seg.seq };
    let room = if seq.before(edge) { edge.since(seq) as usize } else { 0 };
    let kept = (len - front).min(room);
    let whole = front + kept == len;
    let fin = seg.flags.fin() && whole && seg.end().at_or_before(edge) && old <= len;
    let repeated = (front > 0).then(|| SeqRange::new(seg.seq, seg.seq + to_u32(front)));
    Trimmed { seq, text: front..front + kept, fin, repeated }
}

/// A length that a segment bounds.
fn to_u32(len: usize) -> u32 {
    u32::try_from(len).expect("a segment is at most 64 KiB")
}

#[cfg(test)]
mod tests;
