use super::TailProbe;
use crate::seq::{SeqNum, SeqRange};
use crate::testing::*;
use crate::time::Instant;
use crate::{Settings, TcpConfig};
use core::time::Duration;

const RTT: Duration = Duration::from_millis(100);

/// RFC 8985 7.2, `TLP_calc_PTO()`.
#[test]
fn the_probe_timeout_is_two_round_trips_and_never_beyond_the_rto() {
    let table: [(Option<u64>, bool, u64, u64); 5] = [
        // SRTT, one segment only, RTO; PTO.
        (Some(100), false, 1_000, 200),
        (Some(100), true, 1_000, 400),
        (Some(100), true, 300, 300),
        (None, false, 3_000, 1_000),
        (None, false, 900, 900),
    ];
    for (srtt, single, rto, want) in table {
        let mut probe = TailProbe::default();
        let start = Instant::from_secs(7);
        assert_eq!(probe.deadline(Some(RTT), false, Some(start + ms(rto))), None, "nothing left yet");
        probe.arm(start);
        let at = probe.deadline(srtt.map(ms), single, Some(start + ms(rto)));
        assert_eq!(at, Some(start + ms(want)), "{srtt:?} {single} {rto}");
        probe.on_sent(SeqNum(5), true);
        probe.arm(start);
        assert_eq!(probe.deadline(Some(RTT), false, Some(start + ms(rto))), None, "one at a time");
    }
}

/// 7.4: what an ACK says of a probe that had ended at 5000.
#[test]
fn what_an_ack_says_of_a_probe() {
    let dsack = Some(SeqRange::new(SeqNum(4000), SeqNum(5000)));
    let elsewhere = Some(SeqRange::new(SeqNum(1000), SeqNum(2000)));
    // New data; ACK; D-SACK; duplicate without SACK; repaired a loss; is over.
    let table = [
        (true, 4000, None, false, false, false),
        (true, 5000, None, false, false, false),
        (true, 5000, dsack, false, false, true),
        (true, 5000, None, true, false, true),
        (true, 6000, None, false, true, true),
        (true, 6000, dsack, false, false, true),
        (true, 6000, elsewhere, false, true, true),
        (false, 4000, None, false, false, false),
        (false, 5000, None, false, false, true),
        (false, 6000, None, false, false, true),
    ];
    for (again, ack, dsack, bare, repaired, over) in table {
        let mut probe = TailProbe::default();
        probe.on_sent(SeqNum(5000), again);
        let row = (again, ack, dsack, bare);
        assert_eq!(probe.on_ack(SeqNum(ack), dsack, bare), repaired, "{row:?}");
        assert_eq!(probe.out.is_none(), over, "{row:?}");
    }
}

/// ESTABLISHED with SACK over 100 ms: SRTT 100, RTTVAR 50, RTO 300.
fn established() -> Script {
    let config = TcpConfig { sack: true, ..plain() };
    let mut script = Script::connecting(config, Settings { nodelay: true, ..Settings::default() });
    script.drain();
    script.pass(RTT);
    script.arrives(syn_ack().mss(MSS).sack_ok());
    script.drain();
    script
}

/// 7.3: the last segment again after 2*SRTT, and only then, an RTO later, the timeout.
#[test]
fn a_lost_tail_is_probed_before_the_timeout() {
    let mut script = established();
    script.write(3000);
    script.drain();
    assert_eq!(script.pass_to_deadline(), ms(200));
    script.sends(&["P. 2001:3001(1000) ack 1"]);
    // The probe's SACK shows that the first two, sent 300 ms ago, are lost.
    script.pass(RTT);
    script.arrives(ack(1, 1).sack(2001, 3001));
    script.sends(&[". 1:1001(1000) ack 1"]);
    assert!(script.conn.info(&script.config).in_recovery);
    script.pass(RTT);
    script.arrives(ack(1, 1001).sack(2001, 3001));
    script.sends(&[". 1001:2001(1000) ack 1"]);
    script.pass(RTT);
    script.arrives(ack(1, 3001));
    script.silent();
    assert_eq!(script.conn.info(&script.config).retransmits, 0, "the timer never expired");
}

/// 7.3: an unsent segment serves better, even one beyond the congestion window.
#[test]
fn new_data_probes_where_there_is_some() {
    let mut script = established();
    script.write(12_000);
    assert_eq!(script.drain().len(), 10, "the initial window");
    script.pass_to_deadline();
    script.sends(&[". 10001:11001(1000) ack 1"]);
    // Once: then the retransmission timer, which began anew with the probe.
    assert_eq!(script.pass_to_deadline(), ms(300));
    script.sends(&[". 1:1001(1000) ack 1"]);
}

/// 7.2: PTO for one segment allows for a delayed ACK, but never exceeds RTO, in whose place the probe then goes.
#[test]
fn a_single_segment_is_probed_in_place_of_the_first_timeout() {
    let mut script = established();
    script.write(500);
    script.drain();
    assert_eq!(script.pass_to_deadline(), ms(300));
    script.sends(&["P. 1:501(500) ack 1"]);
    assert_eq!(script.conn.info(&script.config).cwnd, 10_000, "no congestion yet");
    assert_eq!(script.pass_to_deadline(), ms(300));
    script.sends(&["P. 1:501(500) ack 1"]);
    assert_eq!(script.conn.info(&script.config).cwnd, 1000);
}

/// 7.4.2: a probe that repaired the one loss is congestion; one that was not needed is none.
#[test]
fn a_loss_that_only_the_probe_knew_of_is_congestion() {
    for needed in [true, false] {
        let mut script = established();
        script.write(4000);
        script.drain();
        script.pass_to_deadline();
        script.sends(&["P. 3001:4001(1000) ack 1"]);
        script.pass(RTT);
        script.write(1000);
        script.sends(&["P. 4001:5001(1000) ack 1"]);
        script.arrives(ack(1, 4001));
        assert_eq!(script.conn.info(&script.config).ssthresh, u32::MAX, "nothing is certain yet");
        let last = ack(1, 5001);
        script.arrives(if needed { last } else { last.sack(3001, 4001) });
        assert_eq!(script.conn.info(&script.config).ssthresh < u32::MAX, needed);
    }
}

/// 7.2: not while anything is SACKed, nor in recovery, nor without SACK.
#[test]
fn no_probe_where_something_else_tells() {
    let mut script = established();
    script.write(3000);
    script.drain();
    script.pass(ms(190)); // a probe would be due in ten more
    script.arrives(ack(1, 1).sack(1001, 2001));
    assert_eq!(script.pass_to_deadline(), ms(25), "RACK's timer, not a probe's");
    script.sends(&[". 1:1001(1000) ack 1"]);

    let mut script = Script::established();
    script.write(3000);
    script.drain();
    script.pass_to_deadline();
    script.sends(&[". 1:1001(1000) ack 1"]);
}
