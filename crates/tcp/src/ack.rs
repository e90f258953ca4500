//! The acknowledgment field: what an ACK tells, and what it may be.
//! Spec: RFC 9293 3.10.7.4, fifth step; RFC 5961 5.2; RFC 5681 2 (what a duplicate is).
//! Owns: nothing; judgments over SND and SEG.
//! Invariants: only an ACK in SND.UNA-MAX.SND.WND .. SND.NXT is used.
//! Not here: what a lost segment is (`recovery`), the timer (`retransmit`), how SND.UNA moves the state (`arrives`).

use crate::congestion::AckSample;
use crate::segment::Segment;
use crate::seq::{SeqNum, SeqRange};
use crate::tick::Tick;

/// Where SEG.ACK stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AckPlace {
    /// SND.UNA < SEG.ACK =< SND.NXT: it acknowledges something new, so many octets of sequence space.
    New(u32),
    /// SEG.ACK = SND.UNA.
    Same,
    /// Before SND.UNA, but not by more than the peer's largest window: a straggler, its text still counts.
    Old,
    /// Further back: nothing a peer of ours can have sent lately (RFC 5961 5.2).
    TooOld,
    /// Beyond SND.NXT: it acknowledges what was never sent.
    Unsent,
}

/// RFC 5961 5.2: SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT.
#[inline]
pub(crate) fn place(ack: SeqNum, una: SeqNum, nxt: SeqNum, max_wnd: u32) -> AckPlace {
    if ack == una {
        AckPlace::Same
    } else if ack.since(una) <= nxt.since(una) {
        AckPlace::New(ack.since(una))
    } else if ack.after(nxt) {
        AckPlace::Unsent
    } else if una.since(ack) <= max_wnd {
        AckPlace::Old
    } else {
        AckPlace::TooOld
    }
}

/// One ACK, and where the connection stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckInput<'a> {
    /// SND.UNA before this ACK.
    pub(crate) una_before: SeqNum,
    /// SND.UNA now.
    pub(crate) una: SeqNum,
    /// SND.NXT.
    pub(crate) nxt: SeqNum,
    pub(crate) smss: u32,
    pub(crate) sack_permitted: bool,
    /// Octets that this ACK acknowledges cumulatively and that were not SACKed before.
    pub(crate) delivered: u32,
    /// The timestamp that came back.
    pub(crate) echo: Option<Tick>,
    /// The SACK option as received.
    pub(crate) blocks: &'a [SeqRange],
    /// By RFC 5681 section 2.
    pub(crate) is_duplicate: bool,
    pub(crate) sample: AckSample,
    /// ECN-Echo is set.
    pub(crate) ece: bool,
    /// A segment of a larger size that is out to try the path (RFC 4821 7.3).
    pub(crate) probe: Option<SeqRange>,
}

/// RFC 5681 section 2: (a) data is outstanding, (b) the segment carries none, (c) neither SYN nor FIN, (d) it acknowledges
/// what the last one did, (e) it does not change the window.
#[inline]
pub(crate) fn is_duplicate(seg: &Segment<'_>, place: AckPlace, outstanding: bool, wnd_changed: bool) -> bool {
    outstanding && place == AckPlace::Same && seg.is_empty() && !wnd_changed
}

#[cfg(test)]
mod tests;
