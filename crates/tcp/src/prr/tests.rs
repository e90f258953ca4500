use super::{Prr, PrrInput};
use proptest::prelude::*;

const SMSS: u32 = 1000;

fn ack(delivered: u32, in_flight: u32, ssthresh: u32, safe: bool) -> PrrInput {
    PrrInput {
        delivered: delivered * SMSS,
        in_flight: in_flight * SMSS,
        ssthresh: ssthresh * SMSS,
        smss: SMSS,
        safe,
    }
}

/// One of twenty segments is lost, the window halves: RFC 9937's proportional part lets one leave for each two that arrive, and the
/// window ends at ssthresh without a pause.
#[test]
fn one_loss_of_twenty_is_answered_by_every_second_ack() {
    let mut prr = Prr::new(20 * SMSS);
    // Of twenty three are SACKed and one is lost.
    let mut in_flight = 16;
    let mut sent = Vec::new();
    for arrival in 0..16 {
        let window = prr.on_ack(&ack(1, in_flight, 10, false));
        let mut out = 0;
        while (in_flight + 1) * SMSS <= window {
            prr.on_sent(SMSS);
            in_flight += 1;
            out += 1;
        }
        sent.push(out);
        if arrival < 15 {
            in_flight -= 1;
        }
    }
    assert_eq!(&sent[..6], [0, 1, 0, 1, 0, 1]);
    // Half of what was delivered, and what the conservation of packets adds once ssthresh is reached.
    let sent: u32 = sent.iter().sum();
    assert!((8..=9).contains(&sent), "{sent}");
}

/// Below ssthresh: as many leave as arrived (CRB), and one more while recovery makes good progress (SSRB).
#[test]
fn below_ssthresh_packets_are_conserved_or_slowly_added() {
    let mut prr = Prr::new(20 * SMSS);
    // Fifteen of twenty were lost at once: four are left in flight.
    assert_eq!(prr.on_ack(&ack(1, 4, 10, false)), 5 * SMSS);
    prr.on_sent(SMSS);
    assert_eq!(prr.on_ack(&ack(1, 4, 10, true)), 6 * SMSS);
    prr.on_sent(2 * SMSS);
    assert_eq!(prr.on_ack(&ack(2, 4, 10, true)), 7 * SMSS);
    // Never beyond ssthresh.
    assert_eq!(prr.on_ack(&ack(5, 9, 10, true)), 10 * SMSS);
}

/// An ACK that delivers nothing the formula would turn into a segment still lets the fast retransmit out, once.
#[test]
fn the_first_retransmission_is_forced() {
    let mut prr = Prr::new(100 * SMSS);
    let tiny = PrrInput { delivered: 0, ..ack(0, 90, 1, false) };
    assert_eq!(prr.on_ack(&tiny), 91 * SMSS);
    prr.on_sent(SMSS);
    assert_eq!(prr.on_ack(&tiny), 90 * SMSS);
}

proptest! {
    /// RFC 9937 section 4: over a recovery no more is sent than was delivered plus what slow start adds, and in flight there is never
    /// more than before.
    #[test]
    fn what_leaves_is_paid_for(
        recover in 2u32..200,
        factor in 1u32..10,
        lost in prop::collection::vec(0u32..4, 1..200),
    ) {
        let ssthresh = (recover * factor / 10).max(2);
        let mut prr = Prr::new(recover * SMSS);
        let mut in_flight = recover;
        let (mut delivered, mut sent, mut safe_acks) = (0, 0, 0);
        for lost in lost {
            if in_flight == 0 {
                break;
            }
            in_flight = (in_flight - 1).saturating_sub(lost);
            delivered += 1;
            safe_acks += u32::from(lost == 0);
            let window = prr.on_ack(&ack(1, in_flight, ssthresh, lost == 0));
            while (in_flight + 1) * SMSS <= window {
                prr.on_sent(SMSS);
                in_flight += 1;
                sent += 1;
            }
            prop_assert!(in_flight <= recover.max(ssthresh));
            prop_assert!(sent <= delivered + safe_acks + 1, "{} {} {}", sent, delivered, safe_acks);
        }
    }
}
