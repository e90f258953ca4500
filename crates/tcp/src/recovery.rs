//! Loss recovery: infers loss from ACKs, and names what is sent again.
//! Spec: RFC 5681 3.2 (fast retransmit); RFC 6675 (with SACK); RFC 6582 (NewReno, without); RFC 3042 (limited transmit);
//! RFC 3168 6.1.2 (ECN-Echo, once a window); RFC 4821 7.6.2 (a lost probe is no congestion).
//! Owns: the scoreboard, the phase, HighRxt, RecoveryPoint. Borrows: congestion control, which it tells of loss.
//! Invariants: the window is reduced at most once for what was out at one time; RecoveryPoint is never before SND.UNA
//! while recovery lasts; what the peer SACKed is not sent again.
//! Not here: silence (`retransmit`), the segment itself (`transmit`).
//!
//! ```text
//!            duplicate ACK             3rd duplicate, or IsLost(SND.UNA)
//!    Open ------------------> Disorder ------------------> FastRecovery
//!     ^ ^---- new data acked ----'                            |
//!     '------------- RecoveryPoint acked ---------------------'
//!     '------------- RecoveryPoint acked ------------ Loss <--- timeout, from anywhere
//! ```

use crate::congestion::{AckSample, Congestion, LossKind};
use crate::info::RecoveryState;
use crate::sack::{DUP_THRESH, Scoreboard};
use crate::seq::{SeqNum, SeqRange};
use crate::time::Instant;

/// Where recovery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Phase {
    /// Nothing seems lost.
    #[default]
    Open,
    /// ACKs that acknowledge nothing new: reordering, or loss.
    Disorder,
    /// Loss was inferred; what is missing is sent again.
    FastRecovery,
    /// The timer expired: all that is not SACKed counts as lost.
    Loss,
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

/// What an ACK changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct AckOutcome {
    /// Fast recovery began.
    pub(crate) entered: bool,
    /// The window was reduced for loss.
    pub(crate) reduced: bool,
    /// Recovery ended.
    pub(crate) left: bool,
    pub(crate) newly_sacked: u32,
    pub(crate) dsack: Option<SeqRange>,
    /// The window was reduced for ECN: the next new data says CWR.
    pub(crate) ecn_reduced: bool,
}

/// The state of recovery.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    board: Scoreboard,
    phase: Phase,
    sack: bool,
    smss: u32,
    duplicates: u32,
    /// RecoveryPoint, RFC 6582's `recover`: SND.NXT when loss was last noticed.
    recover: Option<SeqNum>,
    /// The octet after HighRxt.
    high_rxt: SeqNum,
    rescued: bool,
    rescue: Option<SeqRange>,
    must_send: bool,
    /// NewReno: octets that duplicate ACKs say have left the network.
    left_network: u32,
    /// The octet after a path MTU probe, as long as that is all this recovery misses: the window is not reduced.
    only_probe: Option<SeqNum>,
    /// SND.NXT when the window was last reduced for ECN.
    ecn_point: Option<SeqNum>,
    /// SND.UNA at the last timeout.
    timed_out_at: Option<SeqNum>,
}

impl Recovery {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// New, but with room in its scoreboard.
    pub(crate) fn reset(&mut self) {
        let mut board = core::mem::take(&mut self.board);
        board.clear();
        *self = Recovery { board, ..Self::default() };
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

    /// Hears an ACK, and lets congestion control hear what it means.
    pub(crate) fn on_ack(&mut self, input: &AckInput<'_>, congestion: &mut Congestion) -> AckOutcome {
        self.sack = input.sack_permitted;
        self.smss = input.smss;
        let blocks = if self.sack { input.blocks } else { &[] };
        let update = self.board.update(input.una, input.nxt, blocks);
        let mut outcome =
            AckOutcome { newly_sacked: update.newly_sacked, dsack: update.dsack, ..AckOutcome::default() };
        let advanced = input.una.after(input.una_before);
        let acked = input.una - input.una_before;
        let recovering = self.phase == Phase::FastRecovery;

        if advanced {
            self.high_rxt = self.high_rxt.later(input.una);
            self.on_new_ack(input, acked, congestion, &mut outcome);
        }
        // RFC 6675 section 2: with SACK, a duplicate ACK is one that SACKs something new.
        let duplicate = if self.sack { update.newly_sacked > 0 && !advanced } else { input.is_duplicate };
        if duplicate {
            self.on_duplicate(input);
        }
        if matches!(self.phase, Phase::Open | Phase::Disorder) && self.seems_lost(input) {
            self.enter(input);
            outcome.entered = true;
        }
        outcome.reduced = self.reduce(input, outcome.entered, congestion);
        if input.ece {
            outcome.ecn_reduced = self.on_ecn_echo(input, congestion);
        }
        if advanced {
            let in_recovery = recovering || outcome.entered || outcome.ecn_reduced;
            congestion.on_ack(&AckSample { acked, in_recovery, ..input.sample });
        }
        outcome
    }

    fn on_new_ack(
        &mut self,
        input: &AckInput<'_>,
        acked: u32,
        congestion: &mut Congestion,
        outcome: &mut AckOutcome,
    ) {
        // RFC 6675 section 5 and RFC 6582 3.2: a cumulative ACK ends the row of duplicates.
        self.duplicates = 0;
        if self.ecn_point.is_some_and(|point| input.una.at_or_after(point)) {
            self.ecn_point = None;
        }
        let complete = self.recover.is_none_or(|recover| input.una.at_or_after(recover));
        match self.phase {
            Phase::Open | Phase::Disorder => {
                self.phase = if self.board.is_empty() { Phase::Open } else { Phase::Disorder };
                // Past it, strictly (RFC 6582 3.2 step 2), it has served, and must not come into sight again from behind.
                if self.recover.is_some_and(|recover| input.una.after(recover)) {
                    self.recover = None;
                }
            }
            Phase::FastRecovery if complete => {
                if self.only_probe.is_none() {
                    congestion.on_recovered(input.sample.now);
                }
                self.leave(outcome);
            }
            Phase::Loss if complete => self.leave(outcome),
            Phase::FastRecovery if !self.sack => {
                // RFC 6582 3.2 step 3, partial acknowledgment: send the next hole, deflate by what was acknowledged, and add
                // back one segment if that was at least one.
                self.must_send = true;
                self.left_network = self.left_network.saturating_sub(acked);
                if acked >= input.smss {
                    self.left_network = self.left_network.saturating_add(input.smss);
                }
            }
            Phase::FastRecovery | Phase::Loss => {}
        }
    }

    fn leave(&mut self, outcome: &mut AckOutcome) {
        self.phase = if self.board.is_empty() { Phase::Open } else { Phase::Disorder };
        self.must_send = false;
        self.left_network = 0;
        self.rescue = None;
        self.rescued = false;
        self.timed_out_at = None;
        self.only_probe = None;
        outcome.left = true;
    }

    fn on_duplicate(&mut self, input: &AckInput<'_>) {
        self.duplicates = self.duplicates.saturating_add(1);
        match self.phase {
            Phase::Open => self.phase = Phase::Disorder,
            Phase::FastRecovery if !self.sack => {
                // RFC 6582 3.2 step 3 by way of RFC 5681 3.2 step 4.
                self.left_network = self.left_network.saturating_add(input.smss);
            }
            Phase::Disorder | Phase::FastRecovery | Phase::Loss => {}
        }
    }

    fn seems_lost(&self, input: &AckInput<'_>) -> bool {
        // RFC 6582 3.2 step 2, and RFC 6675 5.1 after a timeout: what was out when the window was last reduced does not reduce
        // it again.
        let guard = |recover: SeqNum| {
            if self.sack { input.una.before(recover) } else { input.una.at_or_before(recover) }
        };
        if input.una == input.nxt || self.recover.is_some_and(guard) {
            return false;
        }
        let third = self.duplicates as usize >= DUP_THRESH;
        third || self.board.lost_edge(input.smss).is_some_and(|edge| edge.after(input.una))
    }

    fn enter(&mut self, input: &AckInput<'_>) {
        self.phase = Phase::FastRecovery;
        self.recover = Some(input.nxt);
        self.high_rxt = input.una;
        self.must_send = true;
        self.rescue = None;
        self.rescued = false;
        // RFC 5681 3.2 step 3: cwnd = ssthresh + 3 * SMSS, here as octets that are no longer in flight.
        self.left_network = if self.sack { 0 } else { DUP_THRESH as u32 * input.smss };
        let probe = input.probe.filter(|probe| input.una.between(probe.start, probe.end));
        self.only_probe = probe.map(|probe| probe.end);
    }

    /// Loss is congestion, once for each recovery. But not if all that is missing is a path MTU probe (RFC 4821 7.6.2, RFC 8899
    /// 3): that was dropped for its size. The moment something else is missing, it counts.
    fn reduce(&mut self, input: &AckInput<'_>, entered: bool, congestion: &mut Congestion) -> bool {
        let counts = match self.only_probe {
            None => entered,
            Some(probe_end) => self.misses_more_than(probe_end, input),
        };
        if counts {
            self.only_probe = None;
            congestion.on_loss(input.sample.now, LossKind::FastRetransmit, input.nxt - input.una);
        }
        counts
    }

    fn misses_more_than(&self, probe_end: SeqNum, input: &AckInput<'_>) -> bool {
        if self.phase != Phase::FastRecovery {
            return false;
        }
        if self.sack {
            let lost = self.board.lost_edge(input.smss);
            let from = probe_end.later(input.una);
            lost.is_some_and(|edge| self.board.next_hole(from, edge, input.smss).is_some())
        } else {
            // RFC 6582: an ACK that ends no recovery tells where the next hole begins.
            input.una.at_or_after(probe_end)
        }
    }

    /// RFC 3168 6.1.2: react as to a loss, but once for each window of data.
    fn on_ecn_echo(&mut self, input: &AckInput<'_>, congestion: &mut Congestion) -> bool {
        let reduced = self.in_recovery() && self.only_probe.take().is_none();
        if reduced || self.ecn_point.is_some() {
            return false;
        }
        self.ecn_point = Some(input.nxt);
        congestion.on_loss(input.sample.now, LossKind::Ecn, input.nxt - input.una_before);
        true
    }

    /// The retransmission timer expired.
    pub(crate) fn on_timeout(
        &mut self,
        now: Instant,
        una: SeqNum,
        nxt: SeqNum,
        smss: u32,
        congestion: &mut Congestion,
    ) {
        let again = self.phase == Phase::Loss && self.timed_out_at == Some(una);
        let flight = if self.phase == Phase::Loss { self.pipe(una, nxt) } else { nxt - una };
        congestion.on_timeout(now, flight, !again);
        if again {
            // Twice in silence: the peer may have dropped what it SACKed (RFC 2018 section 8).
            self.board.clear();
        }
        self.smss = smss;
        self.phase = Phase::Loss;
        self.timed_out_at = Some(una);
        self.recover = Some(nxt);
        self.high_rxt = una;
        self.must_send = true;
        self.duplicates = 0;
        self.left_network = 0;
        self.rescue = None;
        self.only_probe = None;
    }

    /// The path carries less than was thought: all that is out may have been dropped for its size, and is sent again in
    /// smaller pieces. No congestion was seen, so the window stays (RFC 1191 6.5, RFC 8201 5.4).
    pub(crate) fn on_path_shrunk(&mut self, una: SeqNum, nxt: SeqNum, smss: u32) {
        self.smss = smss;
        self.phase = Phase::Loss;
        self.recover = Some(nxt);
        self.high_rxt = una;
        self.must_send = true;
        self.duplicates = 0;
        self.left_network = 0;
        self.rescue = None;
        self.only_probe = None;
    }

    /// What to send again next, at most `smss` octets; RFC 6675 `NextSeg()` rule 1. Does not ask whether it may be sent.
    pub(crate) fn next_retransmission(&self, una: SeqNum, nxt: SeqNum, smss: u32) -> Option<SeqRange> {
        let recover = self.recover?.earlier(nxt);
        let from = self.high_rxt.later(una);
        match self.phase {
            Phase::Open | Phase::Disorder => None,
            Phase::Loss => self.board.next_hole(from, recover, smss),
            Phase::FastRecovery if self.must_send => self.board.next_hole(una, nxt, smss),
            Phase::FastRecovery if self.sack => self.board.next_hole(from, self.board.lost_edge(smss)?, smss),
            Phase::FastRecovery => None,
        }
    }

    /// What to send again when there is room in the window and no new data: `NextSeg()` rules 3 (a hole not yet known to be
    /// lost) and 4 (once, the very end, in case the last segments were lost).
    pub(crate) fn next_rescue(&mut self, una: SeqNum, nxt: SeqNum, smss: u32) -> Option<SeqRange> {
        if self.phase != Phase::FastRecovery || !self.sack {
            return None;
        }
        let from = self.high_rxt.later(una);
        if let Some(edge) = self.board.last_hole_end()
            && let Some(hole) = self.board.next_hole(from, edge, smss)
        {
            return Some(hole);
        }
        if self.rescued {
            return None;
        }
        // The highest outstanding un-SACKed octet and up to SMSS - 1 before it. What lies below a SACKed range was rule 3's.
        let tail = self.board.highest().map_or(una, |highest| highest.later(una)).later(from);
        if !tail.before(nxt) {
            return None;
        }
        let start = tail.later(nxt - smss);
        self.rescue = Some(SeqRange::new(start, nxt));
        self.rescue
    }

    /// This one goes out whatever the window says: the first of fast retransmit (RFC 5681 3.2 step 2), the first after a
    /// timeout (RFC 6298 5.4), NewReno's answer to a partial ACK.
    pub(crate) const fn must_send(&self) -> bool {
        self.must_send
    }

    /// `range` went out.
    pub(crate) fn on_sent(&mut self, range: SeqRange, retransmission: bool) {
        if !retransmission {
            return;
        }
        self.must_send = false;
        if self.rescue.take() == Some(range) {
            // Rule 4: HighRxt must not be updated, and it happens once.
            self.rescued = true;
        } else {
            self.high_rxt = self.high_rxt.later(range.end);
        }
    }

    /// Octets thought to be in the network (RFC 6675 `SetPipe()`; without SACK, what is out less what duplicate ACKs say has
    /// left).
    pub(crate) fn pipe(&self, una: SeqNum, nxt: SeqNum) -> u32 {
        let resent = || self.board.unsacked(una, self.high_rxt.earlier(nxt));
        match self.phase {
            Phase::Loss => {
                let recover = self.recover.unwrap_or(una).later(una);
                let edge = self.board.lost_edge(self.smss).map_or(recover, |edge| edge.later(recover));
                resent() + self.board.unsacked(edge, nxt)
            }
            Phase::FastRecovery if self.sack => {
                let edge = self.board.lost_edge(self.smss).map_or(una, |edge| edge.later(una));
                resent() + self.board.unsacked(edge, nxt)
            }
            Phase::FastRecovery => (nxt - una).saturating_sub(self.left_network),
            Phase::Open | Phase::Disorder => self.board.unsacked(una, nxt),
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

    /// Octets in flight that were SACKed.
    pub(crate) fn sacked(&self, una: SeqNum, nxt: SeqNum) -> u32 {
        (nxt - una) - self.board.unsacked(una, nxt)
    }

    /// Octets in flight that are taken for lost.
    pub(crate) fn lost(&self, una: SeqNum, nxt: SeqNum) -> u32 {
        let edge = match self.phase {
            Phase::Open | Phase::Disorder => return 0,
            Phase::Loss => self.recover.unwrap_or(una),
            Phase::FastRecovery if self.sack => self.board.lost_edge(self.smss).unwrap_or(una),
            Phase::FastRecovery => una + self.smss,
        };
        self.board.unsacked(una, edge.later(una).earlier(nxt))
    }

    /// Octets in flight that went out again.
    pub(crate) fn resent(&self, una: SeqNum, nxt: SeqNum) -> u32 {
        if self.in_recovery() { self.board.unsacked(una, self.high_rxt.earlier(nxt)) } else { 0 }
    }
}

#[cfg(test)]
mod tests;
