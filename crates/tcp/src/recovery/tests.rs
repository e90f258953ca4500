use super::{AckInput, AckOutcome, Phase, Recovery};
use crate::congestion::{AckSample, Congestion, CongestionKind, Resting};
use crate::seq::{SeqNum, SeqRange};
use crate::time::Instant;
use proptest::prelude::*;
use std::collections::BTreeSet;

const SMSS: u32 = 1000;

/// A sender with `sent` segments out, told of ACKs by segment number.
struct Sender {
    room: Recovery,
    congestion: Congestion,
    sack: bool,
    una: u32,
    nxt: u32,
    probe: Option<SeqRange>,
}

impl Sender {
    fn new(sack: bool, sent: u32) -> Self {
        let resting = Resting { cwnd: sent * SMSS, ssthresh: u32::MAX, w_max: 0 };
        Sender {
            room: Recovery::new(),
            congestion: Congestion::wake(CongestionKind::Reno, resting, SMSS, Instant::ZERO),
            sack,
            una: 0,
            nxt: sent,
            probe: None,
        }
    }

    fn ack_with(&mut self, una: u32, blocks: &[(u32, u32)], ece: bool) -> AckOutcome {
        let before = SeqNum(self.una * SMSS);
        let duplicate = una == self.una;
        self.una = una;
        let blocks: Vec<SeqRange> =
            blocks.iter().map(|(a, b)| SeqRange::new(SeqNum(a * SMSS), SeqNum(b * SMSS))).collect();
        let sample = AckSample {
            now: Instant::ZERO,
            acked: SeqNum(una * SMSS) - before,
            flight: SeqNum(self.nxt * SMSS) - before,
            cwnd_limited: true,
            flight_max: 0,
            srtt: None,
            rtt: None,
            min_rtt: None,
            rate: None,
            in_recovery: self.room.in_recovery(),
        };
        let input = AckInput {
            una_before: before,
            una: SeqNum(una * SMSS),
            nxt: SeqNum(self.nxt * SMSS),
            smss: SMSS,
            sack_permitted: self.sack,
            blocks: &blocks,
            is_duplicate: duplicate,
            sample,
            ece,
            probe: self.probe,
        };
        self.room.on_ack(&input, &mut self.congestion)
    }

    fn ack(&mut self, una: u32, blocks: &[(u32, u32)]) -> AckOutcome {
        self.ack_with(una, blocks, false)
    }

    fn timeout(&mut self) {
        let (una, nxt) = (SeqNum(self.una * SMSS), SeqNum(self.nxt * SMSS));
        self.room.on_timeout(Instant::ZERO, una, nxt, SMSS, &mut self.congestion);
    }

    fn pipe(&self) -> u32 {
        self.room.pipe(SeqNum(self.una * SMSS), SeqNum(self.nxt * SMSS)) / SMSS
    }

    /// Sends again all that may be sent; returns the segments' numbers.
    fn resend(&mut self) -> Vec<u32> {
        let (una, nxt) = (SeqNum(self.una * SMSS), SeqNum(self.nxt * SMSS));
        let mut sent = Vec::new();
        while let Some(range) = self.room.next_retransmission(una, nxt, SMSS) {
            if !self.room.must_send() && self.pipe() * SMSS + SMSS > self.congestion.window() {
                break;
            }
            self.room.on_sent(range, true);
            sent.push(range.start.raw() / SMSS);
        }
        sent
    }

    fn rescue(&mut self) -> Option<u32> {
        let range = self.room.next_rescue(SeqNum(self.una * SMSS), SeqNum(self.nxt * SMSS), SMSS)?;
        self.room.on_sent(range, true);
        Some(range.start.raw() / SMSS)
    }
}

/// RFC 5681 3.2 and RFC 3042.
#[test]
fn without_sack_the_third_duplicate_sends_the_first_segment_again() {
    let mut s = Sender::new(false, 10);
    s.ack(0, &[]);
    assert_eq!((s.room.phase(), s.room.limited_transmit()), (Phase::Disorder, SMSS));
    s.ack(0, &[]);
    assert_eq!(s.room.limited_transmit(), 2 * SMSS);
    assert!(s.resend().is_empty());
    assert!(s.ack(0, &[]).entered);
    assert_eq!(s.congestion.window(), 5 * SMSS);
    assert_eq!(s.resend(), [0]);
    assert_eq!(s.pipe(), 7);
    // Each further duplicate says that one more has left.
    s.ack(0, &[]);
    assert_eq!(s.pipe(), 6);
    assert!(s.resend().is_empty());
}

/// RFC 4821 7.6.2, RFC 8899 3: segments 0 and 1 were one probe; when it alone is missing, the window stays, with SACK and without.
#[test]
fn a_lost_path_mtu_probe_is_no_congestion() {
    let probe = Some(SeqRange::new(SeqNum(0), SeqNum(2 * SMSS)));
    let mut s = Sender { probe, ..Sender::new(true, 10) };
    let outcome = s.ack(0, &[(2, 6)]);
    assert!(outcome.entered && !outcome.reduced);
    assert_eq!(s.resend(), [0, 1], "it is sent again at once, in pieces");
    assert!(s.ack(10, &[]).left);
    assert_eq!(s.congestion.window(), 10 * SMSS);

    let mut s = Sender { probe, ..Sender::new(false, 10) };
    for _ in 0..3 {
        s.ack(0, &[]);
    }
    assert_eq!((s.room.phase(), s.resend()), (Phase::FastRecovery, vec![0]));
    assert!(!s.ack(1, &[]).reduced);
    assert_eq!(s.resend(), [1]);
    assert!(s.ack(10, &[]).left);
    assert_eq!(s.congestion.window(), 10 * SMSS);
}

/// Also above ssthresh, where the end of an ordinary recovery would deflate the window.
#[test]
fn the_end_of_a_probes_recovery_leaves_the_window_too() {
    let mut s = Sender::new(true, 10);
    let resting = Resting { cwnd: 10 * SMSS, ssthresh: 4 * SMSS, w_max: 0 };
    s.congestion = Congestion::wake(CongestionKind::Reno, resting, SMSS, Instant::ZERO);
    s.probe = Some(SeqRange::new(SeqNum(0), SeqNum(2 * SMSS)));
    s.ack(0, &[(2, 6)]);
    assert!(s.ack(10, &[]).left);
    assert_eq!(s.congestion.window(), 10 * SMSS);
}

/// What is missing beside the probe is congestion, whether it shows at once or later, by SACK, by a partial ACK, or by ECN.
#[test]
fn a_loss_beside_a_probe_is_congestion_once() {
    let probe = Some(SeqRange::new(SeqNum(0), SeqNum(2 * SMSS)));
    let mut s = Sender { probe, ..Sender::new(true, 10) };
    assert!(s.ack(0, &[(3, 7)]).reduced, "at once");
    assert_eq!(s.congestion.window(), 5 * SMSS);

    let mut s = Sender { probe, ..Sender::new(true, 20) };
    assert!(!s.ack(0, &[(2, 6)]).reduced);
    assert!(s.ack(0, &[(7, 11), (2, 6)]).reduced, "later");
    assert_eq!(s.congestion.window(), 10 * SMSS);
    assert!(!s.ack(0, &[(12, 16), (7, 11), (2, 6)]).reduced, "once");

    let mut s = Sender { probe, ..Sender::new(false, 10) };
    for _ in 0..3 {
        s.ack(0, &[]);
    }
    s.resend();
    assert!(s.ack(4, &[]).reduced, "a partial acknowledgment beyond the probe");
    assert_eq!(s.resend(), [4]);

    let mut s = Sender { probe, ..Sender::new(true, 10) };
    s.ack(0, &[(2, 6)]);
    assert!(s.ack_with(0, &[(2, 7)], true).ecn_reduced);
    assert_eq!(s.congestion.window(), 5 * SMSS);

    let mut s = Sender { probe: Some(SeqRange::new(SeqNum(4000), SeqNum(6000))), ..Sender::new(true, 10) };
    assert!(s.ack(0, &[(1, 4)]).reduced, "a probe elsewhere excuses nothing");
}

/// RFC 6582 3.2: partial acknowledgments send one hole each; the full one ends it.
#[test]
fn newreno_fills_one_hole_a_round_trip() {
    let mut s = Sender::new(false, 10);
    for _ in 0..3 {
        s.ack(0, &[]);
    }
    assert_eq!(s.resend(), [0]);
    assert!(!s.ack(4, &[]).left);
    assert_eq!(s.resend(), [4]);
    let outcome = s.ack(10, &[]);
    assert!(outcome.left);
    assert_eq!((s.room.phase(), s.congestion.window()), (Phase::Open, 5 * SMSS));
}

/// RFC 6582 3.2 step 2: duplicates caused by our own needless retransmissions start nothing.
#[test]
fn duplicates_at_the_recovery_point_do_not_start_over() {
    let mut s = Sender::new(false, 10);
    s.timeout();
    s.resend();
    s.ack(10, &[]);
    s.nxt = 14;
    for _ in 0..5 {
        assert!(!s.ack(10, &[]).entered);
    }
    s.ack(11, &[]);
    for _ in 0..2 {
        assert!(!s.ack(11, &[]).entered);
    }
    assert!(s.ack(11, &[]).entered);
}

/// RFC 6675: segments 0, 3 and 4 of ten are lost.
#[test]
fn with_sack_only_what_is_missing_is_sent_again() {
    let mut s = Sender::new(true, 10);
    assert!(!s.ack(0, &[(1, 2)]).entered);
    assert!(!s.ack(0, &[(1, 3)]).entered);
    assert_eq!(s.pipe(), 8);
    let outcome = s.ack(0, &[(5, 6), (1, 3)]);
    assert!(outcome.entered && outcome.newly_sacked == SMSS);
    assert_eq!(s.congestion.window(), 5 * SMSS);
    assert_eq!(s.resend(), [0]);
    s.ack(0, &[(5, 7), (1, 3)]);
    s.ack(0, &[(5, 8), (1, 3)]);
    // 3 and 4 now have three SACKed segments above them: lost. Out: 0 again, 8, 9.
    assert_eq!(s.pipe(), 3);
    assert_eq!(s.resend(), [3, 4]);
    assert_eq!(s.pipe(), 5);
    assert!(s.ack(10, &[]).left);
}

#[test]
fn a_peer_with_sack_that_sacks_nothing_sends_no_duplicates() {
    let mut s = Sender::new(true, 10);
    for _ in 0..5 {
        assert!(!s.ack(0, &[]).entered);
    }
    assert_eq!(s.room.phase(), Phase::Open);
}

/// RFC 6675 section 4, NextSeg rules 3 and 4.
#[test]
fn with_no_new_data_holes_not_yet_lost_and_then_the_end_are_tried_once() {
    let mut s = Sender::new(true, 8);
    for block in [(1, 2), (1, 3), (1, 4)] {
        s.ack(0, &[block]);
    }
    assert_eq!(s.resend(), [0]);
    s.ack(0, &[(5, 6), (1, 4)]);
    assert!(s.resend().is_empty(), "4 is not lost by the rules");
    assert_eq!(s.rescue(), Some(4), "rule 3");
    assert_eq!(s.rescue(), Some(7), "rule 4: the highest one out");
    assert_eq!(s.rescue(), None, "once");
}

#[test]
fn after_a_timeout_all_that_is_not_sacked_is_sent_again_in_slow_start() {
    let mut s = Sender::new(true, 10);
    s.ack(0, &[(4, 6)]);
    s.timeout();
    assert_eq!((s.room.phase(), s.congestion.window(), s.pipe()), (Phase::Loss, SMSS, 0));
    assert_eq!(s.resend(), [0]);
    s.ack(1, &[(4, 6)]);
    assert_eq!(s.congestion.window(), 2 * SMSS);
    assert_eq!(s.resend(), [1, 2]);
    s.ack(3, &[(4, 6)]);
    assert_eq!(s.resend(), [3, 6, 7, 8]);
    assert!(s.ack(10, &[]).left);
}

#[test]
fn a_second_timeout_in_silence_forgets_the_scoreboard_and_keeps_ssthresh() {
    let mut s = Sender::new(true, 10);
    s.ack(0, &[(1, 2)]);
    s.timeout();
    s.resend();
    let ssthresh = s.congestion.ssthresh();
    s.timeout();
    assert_eq!(s.congestion.ssthresh(), ssthresh);
    assert_eq!(s.resend(), [0]);
    s.ack(1, &[]);
    assert_eq!(s.resend(), [1, 2], "what was SACKed before is sent too");
}

/// RFC 3168 6.1.2.
#[test]
fn ecn_echo_reduces_once_a_window() {
    let mut s = Sender::new(true, 10);
    assert!(s.ack_with(1, &[], true).ecn_reduced);
    let window = s.congestion.window();
    assert!(!s.ack_with(2, &[], true).ecn_reduced);
    assert_eq!(s.congestion.window(), window);
    s.nxt = 14;
    s.ack_with(10, &[], false);
    assert!(s.ack_with(11, &[], true).ecn_reduced);
}

proptest! {
    /// A network that loses what it likes and a receiver that SACKs honestly: recovery, with a timeout where nothing moves,
    /// always gets everything across, and never sends what is SACKed.
    #[test]
    fn everything_arrives(sack: bool, losses in prop::collection::vec(0u8..4, 1..400)) {
        const TOTAL: u32 = 60;
        let mut losses = losses.into_iter().chain(core::iter::repeat(1));
        let mut s = Sender::new(sack, 20);
        let mut have = BTreeSet::new();
        let mut wire: Vec<u32> = (0..20).collect();
        for _round in 0..2000 {
            if s.una == TOTAL {
                break;
            }
            let mut heard = false;
            for segment in core::mem::take(&mut wire) {
                if losses.next() == Some(0) {
                    continue;
                }
                have.insert(segment);
                heard = true;
                let una = (0..).find(|i| !have.contains(i)).expect("finite");
                let mut blocks = Vec::new();
                for i in have.range(una..) {
                    match blocks.last_mut() {
                        Some((_, end)) if *end == *i => *end += 1,
                        _ => blocks.push((*i, *i + 1)),
                    }
                }
                blocks.reverse();
                blocks.truncate(4);
                let blocks = if sack { blocks } else { Vec::new() };
                let entered = s.ack(una.max(s.una), &blocks).entered;
                prop_assert!(!entered || s.una < s.nxt);
                prop_assert!(s.pipe() <= s.nxt - s.una + s.nxt);
                if s.una == s.nxt {
                    prop_assert_eq!(s.pipe(), 0);
                }
                let again = s.resend();
                for i in &again {
                    prop_assert!(!s.room.is_sacked(SeqNum(i * SMSS)));
                    prop_assert!(*i >= s.una && *i < s.nxt);
                }
                wire.extend(again);
                while s.nxt < TOTAL && s.pipe() * SMSS + SMSS <= s.congestion.window() {
                    wire.push(s.nxt);
                    s.nxt += 1;
                }
            }
            if !heard && wire.is_empty() {
                s.timeout();
                wire.extend(s.resend());
            }
        }
        prop_assert_eq!(s.una, TOTAL);
    }
}
