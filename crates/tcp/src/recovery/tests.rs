use super::{AckOutcome, Phase, Recovery};
use crate::ack::AckInput;
use crate::congestion::{AckSample, Congestion, CongestionKind, Resting};
use crate::retransmit::Retransmit;
use crate::seq::{SeqNum, SeqRange};
use crate::tick::Tick;
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::*;
use std::collections::BTreeSet;

const SMSS: u32 = 1000;
const RTT: Duration = Duration::from_millis(100);
const RTO: Duration = Duration::from_millis(300);

/// A sender with `sent` segments out, told of ACKs by segment number a round trip after they left.
struct Sender {
    room: Recovery,
    records: Retransmit,
    congestion: Congestion,
    sack: bool,
    timestamps: bool,
    una: u32,
    nxt: u32,
    now: Instant,
    echo: Option<Tick>,
    probe: Option<SeqRange>,
}

fn segments(from: u32, to: u32) -> SeqRange {
    SeqRange::new(SeqNum(from * SMSS), SeqNum(to * SMSS))
}

impl Sender {
    fn new(sack: bool, sent: u32) -> Self {
        let resting = Resting { cwnd: sent * SMSS, ssthresh: u32::MAX, w_max: 0 };
        let mut sender = Sender {
            room: Recovery::new(),
            records: Retransmit::new(),
            congestion: Congestion::wake(CongestionKind::Reno, resting, SMSS, Instant::ZERO),
            sack,
            timestamps: true,
            una: 0,
            nxt: 0,
            now: Instant::from_secs(1),
            echo: None,
            probe: None,
        };
        sender.send(sent);
        sender.now += RTT;
        sender
    }

    /// New segments leave.
    fn send(&mut self, count: u32) {
        for _ in 0..count {
            let range = segments(self.nxt, self.nxt + 1);
            self.records.on_sent(range, false, self.now, RTO);
            self.room.on_sent(range, false, self.now);
            self.nxt += 1;
        }
    }

    fn input<'a>(&self, before: u32, blocks: &'a [SeqRange]) -> AckInput<'a> {
        AckInput {
            una_before: SeqNum(before * SMSS),
            una: SeqNum(self.una * SMSS),
            nxt: SeqNum(self.nxt * SMSS),
            smss: SMSS,
            sack_permitted: self.sack,
            delivered: 0,
            echo: self.echo,
            blocks,
            is_duplicate: false,
            sample: AckSample {
                now: self.now,
                una: SeqNum(self.una * SMSS),
                nxt: SeqNum(self.nxt * SMSS),
                acked: (self.una - before) * SMSS,
                flight: (self.nxt - before) * SMSS,
                cwnd_limited: true,
                flight_max: 0,
                srtt: Some(RTT),
                rtt: None,
                min_rtt: Some(RTT),
                rate: None,
                in_recovery: self.room.in_recovery(),
                paced: true,
            },
            ece: false,
            probe: self.probe,
        }
    }

    fn ack_with(&mut self, una: u32, blocks: &[(u32, u32)], ece: bool) -> AckOutcome {
        let before = self.una;
        let duplicate = una == before;
        let (room, now, echo) = (&mut self.room, self.now, self.echo);
        let acked = self.records.on_ack(SeqNum(una * SMSS), now, RTO, RTO, &mut |delivery| {
            room.on_delivered(delivery, now, Some(RTT), echo);
        });
        self.una = una;
        let blocks: Vec<SeqRange> = blocks.iter().map(|(a, b)| segments(*a, *b)).collect();
        let input = AckInput {
            delivered: acked.delivered,
            is_duplicate: duplicate,
            ece,
            ..self.input(before, &blocks)
        };
        let outcome = self.room.on_ack(&input, &mut self.records, &mut self.congestion);
        assert_eq!((self.records.sacked(), self.records.lost()), self.records.recount());
        outcome
    }

    fn ack(&mut self, una: u32, blocks: &[(u32, u32)]) -> AckOutcome {
        self.ack_with(una, blocks, false)
    }

    fn timeout(&mut self) {
        let input = self.input(self.una, &[]);
        self.room.on_timeout(&input, self.timestamps, &mut self.records, &mut self.congestion);
    }

    /// The reordering timer, if it runs.
    fn wait_for_reordering(&mut self) -> Option<AckOutcome> {
        self.now = self.now.max(self.room.deadline()?);
        let input = self.input(self.una, &[]);
        Some(self.room.on_reordering_timeout(&input, &mut self.records, &mut self.congestion))
    }

    fn pipe(&self) -> u32 {
        self.room.pipe(&self.records, (self.nxt - self.una) * SMSS) / SMSS
    }

    /// Sends again all that may be sent; returns the segments' numbers.
    fn resend(&mut self) -> Vec<u32> {
        let (una, nxt) = (SeqNum(self.una * SMSS), SeqNum(self.nxt * SMSS));
        let mut sent = Vec::new();
        while let Some(range) = self.room.next_retransmission(&self.records, una, nxt, SMSS) {
            if !self.room.must_send() && self.pipe() * SMSS + SMSS > self.congestion.window() {
                break;
            }
            self.records.on_sent(range, true, self.now, RTO);
            self.room.on_sent(range, true, self.now);
            sent.push(range.start.raw() / SMSS);
        }
        sent
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

/// RFC 3042's segments left for what was late; when it comes, slow start counts what is new in its ACK, not that again (as Linux).
#[test]
fn what_was_late_counts_once_in_slow_start() {
    let grown = |sack: bool, blocks: &[&[(u32, u32)]], una: u32| {
        let mut s = Sender::new(sack, 10);
        blocks.iter().for_each(|blocks| {
            s.ack(0, blocks);
        });
        s.ack(una, &[]);
        s.congestion.window() / SMSS - 10
    };
    assert_eq!(grown(false, &[], 3), 3, "three segments are acknowledged");
    assert_eq!(grown(false, &[&[], &[]], 3), 1, "two of which had told of themselves");
    assert_eq!(grown(false, &[&[], &[]], 1), 1, "at least one is new");
    assert_eq!(grown(true, &[&[(1, 2)], &[(1, 3)]], 3), 1);
    assert_eq!(grown(true, &[&[(5, 6)]], 3), 3, "what is SACKed beyond was counted by nobody");
}

/// Ten segments, the first of them late: each counts when it is first told of, once the path is known to reorder.
#[test]
fn where_a_path_reorders_what_is_sacked_counts_at_once() {
    let late_first = |s: &mut Sender| {
        let (before, una) = (s.congestion.window(), s.una);
        s.send(10);
        s.now += RTT;
        let grown: Vec<u32> = (1..=10)
            .map(|n| {
                if n < 10 {
                    s.ack(una, &[(una + 1, una + 1 + n)])
                } else {
                    s.ack(una + 10, &[])
                };
                (s.congestion.window() - before) / SMSS
            })
            .collect();
        assert_eq!(s.room.phase(), Phase::Open, "nothing seemed lost");
        grown
    };
    let mut s = Sender::new(true, 10);
    s.ack(0, &[(1, 2)]);
    assert_eq!(s.congestion.window(), 10 * SMSS, "it may be the beginning of a loss");
    s.ack(2, &[]);
    assert!(s.room.reordering_seen());
    s.ack(10, &[]);
    assert_eq!(late_first(&mut s), (1..=10).collect::<Vec<_>>());
    assert_eq!(late_first(&mut s), (1..=10).collect::<Vec<_>>());
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
    assert_eq!(s.congestion.ssthresh(), 5 * SMSS);

    let mut s = Sender { probe, ..Sender::new(true, 20) };
    assert!(!s.ack(0, &[(2, 6)]).reduced);
    assert!(s.ack(0, &[(7, 11), (2, 6)]).reduced, "later");
    assert_eq!(s.congestion.ssthresh(), 10 * SMSS);
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
    s.send(4);
    for _ in 0..5 {
        assert!(!s.ack(10, &[]).entered);
    }
    s.ack(11, &[]);
    for _ in 0..2 {
        assert!(!s.ack(11, &[]).entered);
    }
    assert!(s.ack(11, &[]).entered);
}

/// RFC 8985 and 9937: segments 0, 3 and 4 of ten are lost. At the third SACKed one all three are, and go out again one for each that
/// arrives, since what is in flight is below ssthresh already.
#[test]
fn with_sack_only_what_is_missing_is_sent_again() {
    let mut s = Sender::new(true, 10);
    assert!(!s.ack(0, &[(1, 2)]).entered);
    assert!(!s.ack(0, &[(1, 3)]).entered);
    assert_eq!((s.pipe(), s.room.phase()), (8, Phase::Disorder));
    let outcome = s.ack(0, &[(5, 6), (1, 3)]);
    assert!(outcome.entered && outcome.newly_sacked == SMSS);
    assert_eq!((s.congestion.ssthresh(), s.pipe()), (5 * SMSS, 4));
    assert_eq!(s.resend(), [0]);
    s.ack(0, &[(5, 7), (1, 3)]);
    assert_eq!(s.resend(), [3]);
    s.ack(0, &[(5, 8), (1, 3)]);
    assert_eq!(s.resend(), [4]);
    assert!(s.ack(10, &[]).left);
    assert_eq!(s.congestion.window(), 5 * SMSS, "RFC 9937: cwnd = ssthresh");
}

/// RFC 9937 6: at the end cwnd = ssthresh, also where so much was lost that recovery never got there.
#[test]
fn recovery_ends_with_the_window_at_ssthresh() {
    let mut s = Sender::new(true, 10);
    s.ack(0, &[(7, 10)]);
    assert_eq!(s.resend(), [0, 1, 2]);
    assert_eq!((s.congestion.window(), s.congestion.ssthresh()), (3 * SMSS, 5 * SMSS));
    assert!(s.ack(10, &[]).left);
    assert_eq!(s.congestion.window(), 5 * SMSS);
}

/// RFC 8985 6.2 step 5: fewer than three SACKed, and nobody knows yet; a quarter of the round trip later it is a loss.
#[test]
fn a_loss_near_the_end_is_found_by_the_reordering_timer() {
    let mut s = Sender::new(true, 3);
    assert!(!s.ack(0, &[(1, 2)]).entered);
    let before = s.now;
    assert!(s.wait_for_reordering().expect("it runs").entered);
    assert_eq!(s.now - before, RTT / 4);
    assert_eq!(s.resend(), [0]);
    assert_eq!(s.room.deadline(), None);
}

/// A segment that is only late: the timer runs, it comes, and nothing was done.
#[test]
fn a_late_segment_is_no_loss() {
    let mut s = Sender::new(true, 3);
    s.ack(0, &[(1, 2)]);
    s.now += RTT / 8;
    let outcome = s.ack(2, &[]);
    assert!(!outcome.entered && !outcome.reduced);
    assert!(s.room.reordering_seen());
    assert_eq!((s.room.deadline(), s.congestion.ssthresh()), (None, u32::MAX));
}

#[test]
fn a_peer_with_sack_that_sacks_nothing_sends_no_duplicates() {
    let mut s = Sender::new(true, 10);
    for _ in 0..5 {
        assert!(!s.ack(0, &[]).entered);
    }
    assert_eq!(s.room.phase(), Phase::Open);
}

/// RFC 3522 and 4015: the ACK of the segment that went out again echoes the first one's timestamp, so that one was late.
#[test]
fn an_echo_from_before_the_retransmission_undoes_it() {
    for timeout in [false, true] {
        for false_alarm in [true, false] {
            let mut s = Sender::new(true, 10);
            if timeout {
                s.now += RTO;
                s.timeout();
            } else {
                s.ack(0, &[(1, 4)]);
            }
            assert!(s.congestion.ssthresh() < u32::MAX);
            assert_eq!(s.resend(), [0]);
            let sent = s.now;
            s.now += RTT;
            s.echo = Some(Tick::at(if false_alarm { sent - RTT } else { sent }));
            let outcome = s.ack(4, &[]);
            assert_eq!(outcome.undone, false_alarm, "timeout {timeout}");
            assert_eq!(s.congestion.ssthresh() == u32::MAX, false_alarm);
            if false_alarm {
                assert_eq!(s.congestion.window(), 10 * SMSS, "timeout {timeout}");
                assert_eq!((s.room.phase(), s.records.lost(), s.room.spurious()), (Phase::Open, 0, 1));
                assert!(s.resend().is_empty());
            }
        }
    }
}

/// RFC 3708: every segment that went out again is reported as surplus, here after recovery has ended.
#[test]
fn dsacks_for_all_that_went_out_again_undo_it() {
    for all in [true, false] {
        let mut s = Sender::new(true, 10);
        s.ack(0, &[(2, 6)]);
        assert_eq!(s.resend(), [0]);
        s.ack(0, &[(2, 7)]);
        assert_eq!(s.resend(), [1]);
        assert!(s.ack(10, &[]).left);
        s.send(2);
        assert!(!s.ack(10, &[(0, 1)]).undone, "one of two");
        let outcome = if all { s.ack(10, &[(1, 2)]) } else { s.ack(12, &[]) };
        assert_eq!(outcome.undone, all);
        assert_eq!(s.congestion.ssthresh() == u32::MAX, all);
        if all {
            assert_eq!(s.congestion.window(), 10 * SMSS);
        }
    }
}

/// RFC 5682 3.1, where no timestamps tell: after the timeout's segment new data leaves, and what was out before still arrives.
#[test]
fn frto_tells_a_timeout_that_was_none() {
    let late = |s: &mut Sender| {
        s.now += RTO;
        s.timeout();
        assert_eq!(s.resend(), [0], "step 1");
        s.now += RTT;
        s.ack(1, &[]);
        assert!(s.room.wants_new_data());
        assert!(s.resend().is_empty(), "step 2b");
        s.send(2);
        assert!(s.resend().is_empty());
    };
    for sack in [true, false] {
        let mut s = Sender { timestamps: false, ..Sender::new(sack, 10) };
        late(&mut s);
        let outcome = s.ack(2, &[]);
        assert!(outcome.undone, "step 3b");
        assert_eq!((s.congestion.window(), s.congestion.ssthresh()), (10 * SMSS, u32::MAX));
        assert_eq!((s.room.phase(), s.pipe()), (Phase::Open, 10));
    }
    // Selectively: segment 4, sent before the timeout and once.
    let mut s = Sender { timestamps: false, ..Sender::new(true, 10) };
    late(&mut s);
    assert!(s.ack(1, &[(4, 5)]).undone);
    // Step 3a: only the new data arrives.
    let mut s = Sender { timestamps: false, ..Sender::new(true, 10) };
    late(&mut s);
    assert!(!s.ack(1, &[(10, 11)]).undone);
    assert!(!s.resend().is_empty());
    // There was nothing new to send.
    let mut s = Sender { timestamps: false, ..Sender::new(true, 10) };
    s.now += RTO;
    s.timeout();
    s.resend();
    s.ack(1, &[]);
    s.room.on_no_new_data();
    assert_eq!(s.resend(), [1, 2]);
}

/// As Linux: the window has been reduced for what this flight lost.
#[test]
fn a_timeout_in_fast_recovery_leaves_ssthresh() {
    let mut s = Sender::new(true, 20);
    s.ack(0, &[(1, 5)]);
    let ssthresh = s.congestion.ssthresh();
    assert_eq!(ssthresh, 10 * SMSS);
    s.resend();
    s.now += RTO;
    s.timeout();
    assert_eq!((s.congestion.ssthresh(), s.congestion.window()), (ssthresh, SMSS));
}

#[test]
fn after_a_timeout_all_that_is_not_sacked_is_sent_again_in_slow_start() {
    let mut s = Sender::new(true, 10);
    s.ack(0, &[(4, 6)]);
    s.now += RTO;
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
    s.send(4);
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
                    s.send(1);
                }
            }
            s.now += RTT;
            if !heard && wire.is_empty() {
                if s.wait_for_reordering().is_none() {
                    s.now += RTO;
                    s.timeout();
                }
                wire.extend(s.resend());
            }
        }
        prop_assert_eq!(s.una, TOTAL);
    }
}
