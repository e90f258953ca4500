//! Proportional rate reduction: during fast recovery the window falls to ssthresh in step with what arrives.
//! Spec: RFC 9937 section 6.   Units: octets.
//! Owns: prr_delivered, prr_out, RecoverFS. Borrows: ssthresh, which congestion control chose, and the pipe.
//! Invariants: the window is never more than what is in flight and what this ACK allows to send.
//! Not here: recovery without SACK, which inflates its window (RFC 6582: `recovery`).

/// The state of one recovery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Prr {
    /// RecoverFS: octets in flight when recovery began.
    recover_fs: u32,
    delivered: u32,
    out: u32,
}

/// One ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PrrInput {
    /// DeliveredData: octets that the peer was not known to hold.
    pub(crate) delivered: u32,
    /// Octets thought to be in the network.
    pub(crate) in_flight: u32,
    pub(crate) ssthresh: u32,
    pub(crate) smss: u32,
    /// safeACK: SND.UNA moved, and nothing more seems lost.
    pub(crate) safe: bool,
}

impl Prr {
    /// Recovery begins with `recover_fs` octets that had not been delivered before.
    pub(crate) fn new(recover_fs: u32) -> Self {
        Prr { recover_fs: recover_fs.max(1), delivered: 0, out: 0 }
    }

    /// Octets have left, new or again.
    pub(crate) fn on_sent(&mut self, octets: u32) {
        self.out = self.out.saturating_add(octets);
    }

    /// cwnd after this ACK.
    pub(crate) fn on_ack(&mut self, ack: &PrrInput) -> u32 {
        self.delivered = self.delivered.saturating_add(ack.delivered);
        let surplus = self.delivered.saturating_sub(self.out);
        let mut send = if ack.in_flight > ack.ssthresh {
            // Proportional rate reduction: ssthresh for each RecoverFS delivered.
            let due = u64::from(self.delivered) * u64::from(ack.ssthresh);
            let due = u32::try_from(due.div_ceil(u64::from(self.recover_fs))).unwrap_or(u32::MAX);
            due.saturating_sub(self.out)
        } else {
            // PRR-CRB: conserve packets. PRR-SSRB, where recovery makes good progress: one segment more.
            let limit = surplus.max(ack.delivered) + if ack.safe { ack.smss } else { 0 };
            limit.min(ack.ssthresh - ack.in_flight)
        };
        if self.out == 0 && send == 0 {
            // A fast retransmit leaves upon entering recovery.
            send = ack.smss;
        }
        ack.in_flight.saturating_add(send)
    }
}

#[cfg(test)]
mod tests;
