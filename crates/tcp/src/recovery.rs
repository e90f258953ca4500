//! Loss recovery: what follows from a loss, what is sent again, and what if it was none.
//! Spec: RFC 5681 3.2 (fast retransmit); RFC 8985 (with SACK, by way of `rack`); RFC 9937 (by way of `prr`); RFC 6582 (NewReno,
//! without SACK); RFC 3042 (limited transmit); RFC 4015 (what a false alarm took is given back); RFC 3168 6.1.2 (ECN-Echo, once a
//! window); RFC 4821 7.6.2 (a lost probe is no congestion).
//! Owns: the scoreboard, RACK, the phase, RecoveryPoint. Borrows: the records, congestion control, which it tells of loss.
//! Invariants: the window is reduced at most once for what was out at one time; RecoveryPoint is never before SND.UNA
//! while recovery lasts; what the peer SACKed is not sent again.
//! Not here: what tells a false alarm (`false_alarm`), silence (`retransmit`, `tail_probe`), the segment itself (`transmit`).
//!
//! ```text
//!            duplicate ACK             RACK finds a loss, or (no SACK) 3rd duplicate
//!    Open ------------------> Disorder ------------------> FastRecovery
//!     ^ ^---- new data acked ----'                            |
//!     '------ RecoveryPoint acked, or a false alarm ----------'
//!     '------ RecoveryPoint acked, or a false alarm ---- Loss <--- timeout, from anywhere
//! ```

mod standing;

use core::time::Duration;

use crate::ack::AckInput;
use crate::congestion::{AckSample, Congestion, LossKind};
use crate::false_alarm::{Frto, Heard, Trial};
use crate::prr::{Prr, PrrInput};
use crate::rack::{Look, Rack};
use crate::retransmit::{Delivery, Judgment, Retransmit};
use crate::sack::{DUP_THRESH, Scoreboard};
use crate::seq::{SeqNum, SeqRange};
use crate::tick::Tick;
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
    /// The timer expired: all that is not SACKed, and has had its time, counts as lost.
    Loss,
}

/// What an ACK, or the reordering timer, changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct AckOutcome {
    /// Fast recovery began.
    pub(crate) entered: bool,
    /// The window was reduced for loss.
    pub(crate) reduced: bool,
    /// Recovery ended.
    pub(crate) left: bool,
    /// Recovery proved uncalled for, and what it took was given back.
    pub(crate) undone: bool,
    pub(crate) newly_sacked: u32,
    pub(crate) dsack: Option<SeqRange>,
    /// The window was reduced for ECN: the next new data says CWR.
    pub(crate) ecn_reduced: bool,
}

/// The state of recovery.
#[derive(Debug)]
pub(crate) struct Recovery {
    board: Scoreboard,
    rack: Rack,
    phase: Phase,
    sack: bool,
    smss: u32,
    duplicates: u32,
    /// RecoveryPoint, RFC 6582's `recover`: SND.NXT when loss was last noticed.
    recover: Option<SeqNum>,
    must_send: bool,
    /// NewReno: octets that duplicate ACKs say have left the network.
    left_network: u32,
    /// With SACK, in fast recovery for which the window was reduced.
    prr: Option<Prr>,
    trial: Option<Trial>,
    frto: Frto,
    /// Recoveries that proved uncalled for.
    spurious: u32,
    /// The octet after a path MTU probe, as long as that is all this recovery misses: the window is not reduced.
    only_probe: Option<SeqNum>,
    /// SND.NXT when the window was last reduced for ECN.
    ecn_point: Option<SeqNum>,
    /// SND.UNA at the last timeout.
    timed_out_at: Option<SeqNum>,
}

impl Recovery {
    pub(crate) fn new() -> Self {
        Recovery::with(Scoreboard::default(), false)
    }

    fn with(board: Scoreboard, reordering_seen: bool) -> Self {
        Recovery {
            board,
            rack: Rack::new(reordering_seen),
            phase: Phase::Open,
            sack: false,
            smss: 0,
            duplicates: 0,
            recover: None,
            must_send: false,
            left_network: 0,
            prr: None,
            trial: None,
            frto: Frto::Off,
            spurious: 0,
            only_probe: None,
            ecn_point: None,
            timed_out_at: None,
        }
    }

    /// New, but with room in its scoreboard.
    pub(crate) fn reset(&mut self) {
        let mut board = core::mem::take(&mut self.board);
        board.clear();
        *self = Recovery::with(board, false);
    }

    /// For a connection that wakes: `reordering_seen` is what it remembers of its path.
    pub(crate) fn wake(&mut self, reordering_seen: bool) {
        self.rack = Rack::new(reordering_seen);
    }

    /// A segment was acknowledged cumulatively; [`Recovery::on_ack`] follows once all were heard.
    pub(crate) fn on_delivered(
        &mut self,
        delivery: Delivery,
        now: Instant,
        min_rtt: Option<Duration>,
        echo: Option<Tick>,
    ) {
        self.rack.on_delivered(delivery, now, min_rtt, echo);
    }

    /// Hears an ACK, and lets congestion control hear what it means.
    pub(crate) fn on_ack(
        &mut self,
        input: &AckInput<'_>,
        records: &mut Retransmit,
        congestion: &mut Congestion,
    ) -> AckOutcome {
        self.sack = input.sack_permitted;
        self.smss = input.smss;
        let mut outcome = AckOutcome::default();
        let (mut of_once_sent, sample, recover) = (false, &input.sample, self.recover);
        if self.sack {
            if self.board.advance_to(input.una) {
                records.forget_sacked();
            }
            let rack = &mut self.rack;
            let update = self.board.update(input.una, input.nxt, input.blocks, &mut |fresh| {
                records.on_sacked(fresh, &mut |delivery| {
                    of_once_sent |=
                        !delivery.again && recover.is_some_and(|recover| !delivery.end.after(recover));
                    rack.on_delivered(delivery, sample.now, sample.min_rtt, input.echo);
                });
            });
            (outcome.newly_sacked, outcome.dsack) = (update.newly_sacked, update.dsack);
        }
        let advanced = input.una.after(input.una_before);
        let acked = input.una - input.una_before;
        let recovering = self.phase == Phase::FastRecovery;
        let duplicates = self.duplicates;
        // With SACK a duplicate ACK is one that SACKs something new (RFC 6675 section 2).
        let duplicate = if self.sack { outcome.newly_sacked > 0 && !advanced } else { input.is_duplicate };

        let open = self.phase == Phase::Open;
        let late = self.trial.as_mut().is_some_and(|trial| trial.excuses(input, outcome.dsack, open))
            || (self.phase == Phase::Loss && {
                let complete = recover.is_none_or(|recover| input.una.at_or_after(recover));
                self.frto.excuses(&Heard { advanced, complete, duplicate, of_once_sent })
            });
        if late {
            self.undo(records, congestion, &mut outcome);
        }
        if advanced {
            self.on_new_ack(input, acked, congestion, &mut outcome);
        }
        if duplicate {
            self.on_duplicate(input);
        }
        let lost = if self.sack {
            self.rack.adapt(input.una, input.nxt, outcome.dsack, outcome.left);
            self.rack.detect(&self.look(sample), records)
        } else {
            0
        };
        if matches!(self.phase, Phase::Open | Phase::Disorder) && self.seems_lost(input, records) {
            self.enter(input);
            outcome.entered = true;
        }
        let delivered = input.delivered + outcome.newly_sacked;
        outcome.reduced = self.reduce(input, outcome.entered, delivered, records, congestion);
        if input.ece {
            outcome.ecn_reduced = self.on_ecn_echo(input, congestion);
        }
        if delivered > 0 && self.phase == Phase::FastRecovery {
            let in_flight = self.pipe(records, input.nxt - input.una);
            if let Some(prr) = &mut self.prr {
                let (ssthresh, smss, safe) = (congestion.ssthresh(), input.smss, advanced && lost == 0);
                let window = prr.on_ack(&PrrInput { delivered, in_flight, ssthresh, smss, safe });
                congestion.set_recovery_window(window);
            }
        }
        // Where a path reorders, what arrives early is as good a sign of room as what arrives in order, and the ACK that closes a hole
        // counts only what nobody had told of; elsewhere an ACK that only SACKs is taken for the beginning of a loss (as Linux).
        let counts = advanced || (self.sack && delivered > 0 && self.rack.reordering_seen());
        if counts {
            let in_recovery = recovering || outcome.entered || outcome.ecn_reduced || outcome.undone;
            // What SACK has told before, or a duplicate ACK for each, has let out new data then, and does not once more (as Linux).
            let fresh = if self.sack {
                delivered
            } else {
                acked.saturating_sub(duplicates.saturating_mul(input.smss)).max(acked.min(input.smss))
            };
            congestion.on_ack(&AckSample { acked: fresh, in_recovery, ..input.sample });
        }
        outcome
    }

    fn look(&self, sample: &AckSample) -> Look {
        Look {
            now: sample.now,
            in_recovery: self.in_recovery(),
            dup_thresh_sacked: self.board.lost_edge(self.smss).is_some(),
            min_rtt: sample.min_rtt,
            srtt: sample.srtt,
        }
    }

    /// RACK's reordering timer expired (RFC 8985 6.2 step 5, by time instead of by ACK).
    pub(crate) fn on_reordering_timeout(
        &mut self,
        input: &AckInput<'_>,
        records: &mut Retransmit,
        congestion: &mut Congestion,
    ) -> AckOutcome {
        let mut outcome = AckOutcome::default();
        let lost = self.rack.detect(&self.look(&input.sample), records);
        if lost > 0 && !self.in_recovery() && self.seems_lost(input, records) {
            self.enter(input);
            outcome.entered = true;
        }
        outcome.reduced = self.reduce(input, outcome.entered, 0, records, congestion);
        if outcome.reduced {
            // No ACK comes with it: as much as PRR lets a first retransmission.
            let in_flight = self.pipe(records, input.nxt - input.una);
            congestion.set_recovery_window(in_flight.saturating_add(input.smss));
        }
        outcome
    }

    /// A false alarm: what it took is given back (RFC 4015), and nothing counts as lost.
    fn undo(&mut self, records: &mut Retransmit, congestion: &mut Congestion, outcome: &mut AckOutcome) {
        congestion.undo();
        records.clear_lost();
        self.trial = None;
        self.recover = None;
        self.spurious = self.spurious.saturating_add(1);
        outcome.undone = true;
        if self.in_recovery() {
            self.leave(outcome);
        }
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
        self.trial = self.trial.filter(|trial| !trial.is_over(input.una));
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
                self.close_trial(input.nxt);
            }
            Phase::Loss if complete => {
                self.leave(outcome);
                self.close_trial(input.nxt);
            }
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
        self.prr = None;
        self.frto = Frto::Off;
        self.timed_out_at = None;
        self.only_probe = None;
        outcome.left = true;
    }

    fn close_trial(&mut self, nxt: SeqNum) {
        if let Some(trial) = &mut self.trial {
            trial.close(nxt);
        }
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

    fn seems_lost(&self, input: &AckInput<'_>, records: &Retransmit) -> bool {
        // RFC 6582 3.2 step 2, and RFC 6675 5.1 after a timeout: what was out when the window was last reduced does not reduce
        // it again.
        let guard = |recover: SeqNum| {
            if self.sack { input.una.before(recover) } else { input.una.at_or_before(recover) }
        };
        if input.una == input.nxt || self.recover.is_some_and(guard) {
            return false;
        }
        if self.sack { records.lost() > 0 } else { self.duplicates as usize >= DUP_THRESH }
    }

    fn enter(&mut self, input: &AckInput<'_>) {
        self.phase = Phase::FastRecovery;
        self.recover = Some(input.nxt);
        self.must_send = true;
        self.prr = None;
        self.trial = None;
        // RFC 5681 3.2 step 3: cwnd = ssthresh + 3 * SMSS, here as octets that are no longer in flight.
        self.left_network = if self.sack { 0 } else { DUP_THRESH as u32 * input.smss };
        let probe = input.probe.filter(|probe| input.una.between(probe.start, probe.end));
        self.only_probe = probe.map(|probe| probe.end);
    }

    /// Loss is congestion, once for each recovery. But not if all that is missing is a path MTU probe (RFC 4821 7.6.2, RFC 8899
    /// 3): that was dropped for its size. The moment something else is missing, it counts.
    fn reduce(
        &mut self,
        input: &AckInput<'_>,
        entered: bool,
        delivered: u32,
        records: &Retransmit,
        congestion: &mut Congestion,
    ) -> bool {
        let counts = match self.only_probe {
            None => entered,
            Some(probe_end) => self.misses_more_than(probe_end, input, records),
        };
        if counts {
            self.only_probe = None;
            let flight = input.nxt - input.una;
            congestion.on_loss(input.sample.now, LossKind::FastRetransmit, flight);
            // RFC 9937 section 6: what was in flight before this ACK and not known to have arrived.
            self.prr = self.sack.then(|| Prr::new(flight - records.sacked() + delivered));
            self.trial = Some(Trial::from(input.una));
        }
        counts
    }

    fn misses_more_than(&self, probe_end: SeqNum, input: &AckInput<'_>, records: &Retransmit) -> bool {
        if self.phase != Phase::FastRecovery {
            return false;
        }
        if self.sack {
            records.has_lost_beyond(probe_end.later(input.una))
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
        self.trial = None;
        congestion.on_loss(input.sample.now, LossKind::Ecn, input.nxt - input.una_before);
        true
    }

    /// The retransmission timer expired. `timestamps`: echoes will tell whether it was right, so F-RTO need not.
    pub(crate) fn on_timeout(
        &mut self,
        input: &AckInput<'_>,
        timestamps: bool,
        records: &mut Retransmit,
        congestion: &mut Congestion,
    ) {
        let (una, flight) = (input.una, input.nxt - input.una);
        self.sack = input.sack_permitted;
        self.smss = input.smss;
        let again = self.phase == Phase::Loss && self.timed_out_at == Some(una);
        // As Linux: what this window lost has been answered once, when fast recovery began.
        let answered = self.phase == Phase::FastRecovery && self.only_probe.is_none();
        let out = if self.phase == Phase::Loss { self.pipe(records, flight) } else { flight };
        // RFC 5682 3.1 step 1: asked once for each row of timeouts, and not if what is out went out again before.
        let ask = !timestamps && !self.in_recovery();
        congestion.on_timeout(input.sample.now, out, !again && !answered);
        if again {
            // Twice in silence: the peer may have dropped what it SACKed (RFC 2018 section 8).
            self.board.clear();
            records.forget_sacked();
        } else {
            self.trial = Some(Trial::from(una));
        }
        let look = Look { in_recovery: true, ..self.look(&input.sample) };
        self.begin_loss(input.nxt);
        if self.sack && !again {
            self.rack.on_timeout(&look, records);
        } else {
            self.rack.stop();
            records.judge(|_, _| Judgment::Lost);
        }
        self.timed_out_at = Some(una);
        self.frto = if ask { Frto::Asked } else { Frto::Off };
    }

    /// The path carries less than was thought: all that is out may have been dropped for its size, and is sent again in
    /// smaller pieces. No congestion was seen, so the window stays (RFC 1191 6.5, RFC 8201 5.4).
    pub(crate) fn on_path_shrunk(&mut self, nxt: SeqNum, smss: u32, records: &mut Retransmit) {
        self.smss = smss;
        self.begin_loss(nxt);
        self.trial = None;
        self.rack.stop();
        records.judge(|_, _| Judgment::Lost);
    }

    fn begin_loss(&mut self, nxt: SeqNum) {
        self.phase = Phase::Loss;
        self.recover = Some(nxt);
        self.must_send = true;
        self.duplicates = 0;
        self.left_network = 0;
        self.prr = None;
        self.frto = Frto::Off;
        self.only_probe = None;
    }

    /// What to send again next, at most `smss` octets. Does not ask whether the window lets it.
    pub(crate) fn next_retransmission(
        &self,
        records: &Retransmit,
        una: SeqNum,
        nxt: SeqNum,
        smss: u32,
    ) -> Option<SeqRange> {
        let first = || Some(SeqRange::new(una, nxt.earlier(una + smss)));
        match self.phase {
            Phase::Open | Phase::Disorder => None,
            // RFC 6582: one hole for each partial acknowledgment.
            Phase::FastRecovery if !self.sack => first().filter(|_| self.must_send),
            // RFC 5682 3.1 step 2b: new data first.
            Phase::Loss if self.frto.waits() => None,
            Phase::FastRecovery | Phase::Loss => records.first_lost(smss),
        }
    }

    /// A tail loss probe has repaired a loss that nobody saw (RFC 8985 7.4.2): congestion all the same.
    pub(crate) fn on_probe_repaired(&mut self, now: Instant, flight: u32, congestion: &mut Congestion) {
        if !self.in_recovery() {
            self.trial = None;
            congestion.on_loss(now, LossKind::FastRetransmit, flight);
        }
    }

    /// RFC 5682 3.1 step 2b: there was no new data to send, so the question is dropped.
    pub(crate) fn on_no_new_data(&mut self) {
        self.frto.on_no_new_data();
    }

    /// `range` went out.
    pub(crate) fn on_sent(&mut self, range: SeqRange, again: bool, now: Instant) {
        if let Some(prr) = &mut self.prr {
            prr.on_sent(range.len());
        }
        if !again {
            self.frto.on_new_data();
            return;
        }
        self.must_send = false;
        if self.in_recovery()
            && let Some(trial) = &mut self.trial
        {
            trial.on_sent_again(range, now);
        }
    }
}

#[cfg(test)]
mod tests;
