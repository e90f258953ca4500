//! LISTEN: which segments begin a connection.
//! Spec: RFC 9293 3.10.7.2.
//! Owns: nothing; a listener is the stack's.
//! Not here: the SYN cache and cookies (`stack`), what follows a SYN (`handshake`).

use crate::reset::make_reset;
use crate::segment::{Segment, SegmentOut};

/// What a segment to a listening port deserves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListenDisposition {
    /// Nothing.
    Ignore,
    /// This RST.
    Reset(SegmentOut),
    /// It is a SYN: answer through [`crate::SynReceived`].
    Open,
}

/// Judges a segment for which there is a listener but no connection and no entry in SYN-RECEIVED. Cookies are to be tried
/// first: to this function an ACK is a mistake.
#[must_use]
pub fn listen(seg: &Segment<'_>) -> ListenDisposition {
    // First: "An incoming RST should be ignored." A SYN that also finishes is a probe or a mistake; Linux drops it too.
    if seg.flags.rst() {
        return ListenDisposition::Ignore;
    }
    // Second: "Any acknowledgment is bad if it arrives on a connection still in the LISTEN state."
    if seg.flags.ack() {
        return make_reset(seg).map_or(ListenDisposition::Ignore, ListenDisposition::Reset);
    }
    // Third: a SYN. (A FIN beside it is dropped: nobody opens and ends in one segment but scanners.)
    if seg.flags.syn() && !seg.flags.fin() {
        return ListenDisposition::Open;
    }
    // Fourth: "Any other data or control-bearing segment (not containing SYN) must have an ACK and thus would have been
    // discarded" above.
    ListenDisposition::Ignore
}

#[cfg(test)]
mod tests;
