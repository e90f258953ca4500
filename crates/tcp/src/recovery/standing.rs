//! Standing: what others may know of recovery, and what it lets out beyond the window.
//! Spec: RFC 8985 (what is in the network, 7.2 the tail loss probe), RFC 3042 (limited transmit), RFC 5681 3.2 step 2, RFC 6298 5.4.
//! Borrows: recovery, unchanged; the records.
//! Not here: what changes it (`recovery`).

use super::{Phase, Recovery};
use crate::info::RecoveryState;
use crate::retransmit::Retransmit;
use crate::sack::DUP_THRESH;
use crate::seq::SeqNum;
use crate::time::Instant;

impl Recovery {
    /// Whether the path has been seen to reorder.
    pub(crate) const fn reordering_seen(&self) -> bool {
        self.rack.reordering_seen()
    }

    /// By how many segments one has come late, at most; never told as less than what means loss without RACK.
    pub(crate) fn reordering(&self) -> u32 {
        self.rack.late_by().div_ceil(self.smss.max(1)).max(DUP_THRESH as u32)
    }

    /// When to look for losses again though no ACK comes: RACK's reordering timer.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.rack.deadline()
    }

    /// Recoveries that proved uncalled for since the room was new.
    pub(crate) const fn spurious(&self) -> u32 {
        self.spurious
    }

    /// RFC 8985 7.2: a tail loss probe may be scheduled.
    pub(crate) fn allows_probe(&self) -> bool {
        !self.in_recovery() && self.board.is_empty()
    }

    #[cfg(test)]
    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Fast or after a timeout.
    pub(crate) const fn in_recovery(&self) -> bool {
        matches!(self.phase, Phase::FastRecovery | Phase::Loss)
    }

    /// Duplicate ACKs in a row.
    pub(crate) const fn duplicate_acks(&self) -> u32 {
        self.duplicates
    }

    #[cfg(test)]
    pub(crate) fn is_sacked(&self, seq: SeqNum) -> bool {
        self.board.is_sacked(seq)
    }

    /// Octets of a range that the scoreboard holds; for `invariants`.
    #[cfg_attr(not(debug_assertions), allow(dead_code))]
    pub(crate) fn sacked(&self, start: SeqNum, end: SeqNum) -> u32 {
        self.board.sacked(start, end)
    }

    /// Whether F-RTO waits for new data to leave.
    pub(crate) fn wants_new_data(&self) -> bool {
        self.frto.wants_new_data()
    }

    /// This one goes out whatever the window says: the first of fast retransmit (RFC 5681 3.2 step 2), the first after a
    /// timeout (RFC 6298 5.4), NewReno's answer to a partial ACK.
    pub(crate) const fn must_send(&self) -> bool {
        self.must_send
    }

    /// Octets thought to be in the network: what is out, less what is SACKed, less what is lost and was not sent again (RFC 8985
    /// has it so); without SACK, less what duplicate ACKs say has left.
    pub(crate) fn pipe(&self, records: &Retransmit, flight: u32) -> u32 {
        match self.phase {
            Phase::FastRecovery if !self.sack => flight.saturating_sub(self.left_network),
            _ => flight.saturating_sub(records.sacked()).saturating_sub(records.lost()),
        }
    }

    /// RFC 3042: the first two duplicate ACKs each let one new segment out beyond the window. With SACK the pipe, which
    /// shrinks by what was SACKed, lets it out already.
    pub(crate) const fn limited_transmit(&self) -> u32 {
        if self.sack || !matches!(self.phase, Phase::Disorder) {
            return 0;
        }
        let segments = if self.duplicates < 2 { self.duplicates } else { 2 };
        segments * self.smss
    }

    /// Where recovery stands, for who asks.
    pub(crate) const fn state(&self) -> RecoveryState {
        match self.phase {
            Phase::FastRecovery => RecoveryState::Recovery,
            Phase::Loss => RecoveryState::Loss,
            _ if self.ecn_point.is_some() => RecoveryState::Reduced,
            Phase::Disorder => RecoveryState::Disorder,
            Phase::Open => RecoveryState::Open,
        }
    }

    /// Octets in flight that were taken for lost, as Linux counts them: sent again or not yet.
    pub(crate) fn lost(&self, records: &Retransmit) -> u32 {
        records.lost() + if self.in_recovery() { records.resent() } else { 0 }
    }
}
