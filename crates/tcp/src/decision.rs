//! The decision: may new text, or FIN, leave now, and how much of it?
//! Spec: RFC 9293 3.7.4 (Nagle), 3.8.6.2.1 (sender's silly window), 3.8.2 (cwnd); MSG_MORE and TCP_CORK as Linux has them.
//! Owns: nothing; `decide` is a pure function of an `Outlook`. Units: octets.
//! Invariants: what is sent never exceeds the window; a small piece leaves only when neither Nagle nor the program
//! holds it, or a FIN or the override timeout pushes it.
//! Not here: where the numbers come from, and the segment (`transmit`).

/// All that decides whether new text, or FIN, may leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outlook {
    /// Octets queued and never sent, up to the end of the record they belong to.
    pub(crate) unsent: u32,
    /// A FIN follows them.
    pub(crate) fin: bool,
    /// SND.UNA + SND.WND - SND.NXT.
    pub(crate) window: u32,
    /// max(SND.WND).
    pub(crate) window_max: u32,
    /// What congestion control still lets out.
    pub(crate) room: u32,
    /// What one segment of the wire carries.
    pub(crate) mss: u32,
    /// What one polled segment carries: a multiple of `mss`.
    pub(crate) burst: u32,
    /// TCP_NODELAY.
    pub(crate) nodelay: bool,
    /// TCP_CORK, or MSG_MORE: a last, small piece is to wait.
    pub(crate) hold: bool,
    /// A small segment is in flight.
    pub(crate) small_in_flight: bool,
    /// The override timeout has run out.
    pub(crate) override_: bool,
}

/// What to do about new text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// Send so much, and FIN with it.
    Send { len: u32, fin: bool },
    /// Nothing is waiting.
    Idle,
    /// The peer's window is shut, or too small to be worth it.
    AwaitWindow,
    /// The congestion window is full.
    AwaitCongestion,
    /// A small piece waits for company.
    AwaitCompany,
}

/// RFC 9293 3.8.6.2.1 and 3.7.4.
pub(crate) fn decide(look: &Outlook) -> Decision {
    if look.unsent == 0 {
        return match (look.fin, look.window) {
            (false, _) => Decision::Idle,
            (true, 0) if !look.override_ => Decision::AwaitWindow,
            // A FIN weighs nothing in the network: the congestion window does not hold it (as Linux).
            (true, _) => Decision::Send { len: 0, fin: true },
        };
    }
    let open = look.unsent.min(look.window);
    if open == 0 {
        return Decision::AwaitWindow;
    }
    let mss = look.mss;
    if look.room == 0 || (look.room < mss && look.room < open) {
        return Decision::AwaitCongestion;
    }
    let len = open.min(look.burst.max(mss)).min(look.room);
    // (1) a full segment can be sent: min(D,U) >= Eff.snd.MSS. As many as fit; a tail goes along below.
    let full = len - len % mss;
    if len < look.unsent {
        if full > 0 {
            return Decision::Send { len: full, fin: false };
        }
        // (3) half of the largest window, or (4) the override timeout: otherwise a silly segment.
        let worthwhile = len >= look.window_max / 2 && len == look.window;
        return if worthwhile || look.override_ {
            Decision::Send { len, fin: false }
        } else {
            Decision::AwaitWindow
        };
    }
    // (2) everything goes. The last piece may be small: RFC 9293 3.7.4, Nagle, as amended by Minshall (only a small segment in
    // flight holds back another; see docs/deviations.md). A FIN pushes.
    let small = !len.is_multiple_of(mss);
    let held = look.hold || (!look.nodelay && look.small_in_flight);
    if small && held && !look.fin && !look.override_ {
        return if full > 0 { Decision::Send { len: full, fin: false } } else { Decision::AwaitCompany };
    }
    Decision::Send { len, fin: look.fin && look.window > len }
}

#[cfg(test)]
mod tests;
