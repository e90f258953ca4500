//! Segments against an open connection: attacks, duplicates, holes, windows, urgent data; and anything at all.

use core::time::Duration;

use proptest::prelude::*;
use wire::tcp::Flags;

use super::*;
use crate::close::tests::in_state;
use crate::testing::*;
use crate::{Instant, Memory, RecvError, SendFlags, Settings, TcpConfig};

const SYNCHRONIZED: [State; 8] = [
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
    State::TimeWait,
    State::SynReceived,
];

/// RFC 5961 3.2: a RST elsewhere in the window asks, at the limit's rate; outside it is nothing.
#[test]
fn forged_resets_are_asked_about() {
    for state in [State::Established, State::FinWait1, State::FinWait2] {
        let (mut script, own, peers) = in_state(state);
        let challenge = script.conn.snd.nxt.distance(ISS);
        let shown =
            if challenge == 1 { ". ack 1".to_owned() } else { format!(". {own}:{own}(0) ack {peers}") };
        assert_eq!(
            script.arrives(peer(Flags::RST, peers + 100, 0)),
            Disposition::Dropped(DropReason::RstElsewhere)
        );
        script.sends(&[&shown]);
        script.arrives(peer(Flags::RST, peers + 200, 0));
        script.silent();
        script.pass(ms(500));
        script.drain();
        script.arrives(peer(Flags::RST, peers + 300, 0));
        script.sends(&[&shown]);
        script.arrives(peer(Flags::RST, peers + 100_000, 0));
        script.silent();
        assert_eq!(script.state(), state);
    }
}

/// RFC 5961 4.2: a SYN, wherever it stands, asks and changes nothing.
#[test]
fn forged_syns_are_asked_about() {
    for state in SYNCHRONIZED {
        if state == State::TimeWait {
            continue; // RFC 6191: see `time_wait`
        }
        for offset in [0, 100] {
            let (mut script, _, peers) = in_state(state);
            script.pass(ms(1));
            script.drain();
            script.arrives(peer(Flags::SYN, peers + offset, 0));
            assert_eq!(script.drain().len(), 1, "one challenge ACK in {state}");
            script.arrives(peer(Flags::SYN, peers + offset, 0));
            script.silent();
            assert_eq!(script.state(), state);
        }
    }
}

/// RFC 5961 5.2: text is only believed with a plausible acknowledgment.
#[test]
fn forged_text_needs_a_plausible_acknowledgment() {
    let mut script = Script::established();
    assert_eq!(script.arrives(ack(1, -60_001).octets(10)), Disposition::Dropped(DropReason::AckTooOld));
    assert_eq!(script.arrives(ack(1, 2).octets(10)), Disposition::Dropped(DropReason::AckElsewhere));
    script.sends(&[". ack 1"]); // one challenge for both
    assert_eq!(script.recv(10), Err(RecvError::WouldBlock));
    assert_eq!(script.arrives(ack(1, -59_999).octets(10)), Disposition::Taken);
    assert_eq!(script.recv(20).map(|text| text.len()), Ok(10));
}

/// The limit is each connection's own: silence on one tells nothing about another (CVE-2016-5696).
#[test]
fn challenges_on_one_connection_do_not_silence_another() {
    let (mut one, mut other) = (Script::established(), Script::established());
    for _ in 0..200 {
        one.arrives(peer(Flags::RST, 100, 0));
    }
    assert_eq!(one.drain().len(), 1);
    other.arrives(peer(Flags::RST, 100, 0));
    assert_eq!(other.drain().len(), 1);
}

/// Two connections that each take the other's segments for strays do not fight (RFC 5961 7, "ACK storms").
#[test]
fn a_war_of_acks_ends() {
    let mut pair = Pair::plain().open();
    // Somebody has moved B's idea of what A sent: every ACK of either is now out of place for the other.
    pair.conn(Side::B).rcv.nxt += 5_000;
    pair.conn(Side::B).rcv.window.start(IRS + 5_001, 1000, Instant::ZERO);
    let before = pair.ladder_len_sent();
    pair.write(Side::B, b"x");
    pair.run_for(Duration::from_secs(10));
    let sent = pair.ladder_len_sent() - before;
    assert!(sent < 60, "{sent} segments in ten seconds");
}

#[test]
fn blind_segments_are_dropped_in_every_state_without_ack() {
    for state in SYNCHRONIZED {
        let (mut script, _, peers) = in_state(state);
        let before = script.conn.rcv.nxt;
        let disposition = script.arrives(peer(Flags::NONE, peers, 0).octets(5));
        assert_ne!(disposition, Disposition::Taken, "{state}");
        assert_eq!((script.state(), script.conn.rcv.nxt), (state, before));
    }
}

/// RFC 7323 5.3: an old duplicate that happens to stand in the window.
#[test]
fn paws_refuses_an_old_turn_of_the_sequence_space_and_answers() {
    let run = |paws: bool| {
        let mut config = TcpConfig { sack: false, quick_acks: 0, ..TcpConfig::default() };
        config.test.paws = paws;
        let syn_ack = syn_ack().mss(MSS).ts(1000, 1000);
        let mut script = Script::opened(config, Settings::default(), syn_ack);
        script.arrives(ack(1, 1).text(b"new").ts(1005, 1000));
        script.drain();
        script.pass(ms(100));
        script.drain();
        let disposition = script.arrives(ack(4, 1).text(b"OLD").ts(900, 1000));
        (disposition, script.drain(), script.recv(100))
    };
    assert_eq!(
        run(true),
        (Disposition::Dropped(DropReason::Paws), vec![". ack 4".to_owned()], Ok(b"new".to_vec()))
    );
    assert_eq!(run(false).2, Ok(b"newOLD".to_vec()), "switched off, it is believed");
}

/// RFC 2018, 2883: what arrives early is reported, what arrives twice too.
#[test]
fn holes_and_duplicates_are_reported() {
    let config = TcpConfig { timestamps: false, quick_acks: 0, ..TcpConfig::default() };
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS).sack_ok());
    script.arrives(ack(1001, 1).octets(1000));
    script.sends(&[". ack 1 sack 1001:2001"]);
    script.arrives(ack(3001, 1).octets(1000));
    script.sends(&[". ack 1 sack 3001:4001 sack 1001:2001"]);
    script.arrives(ack(1001, 1).octets(1000));
    script.sends(&[". ack 1 sack 1001:2001 sack 1001:2001 sack 3001:4001"]);
    script.arrives(ack(1, 1).octets(1000));
    script.sends(&[". ack 2001 sack 3001:4001"]);
    script.arrives(ack(2001, 1).octets(1000));
    script.sends(&[". ack 4001"]);
    script.arrives(ack(1, 1).octets(1000));
    script.sends(&[". ack 4001 sack 1:1001"]); // D-SACK of what is long acknowledged
    assert_eq!(script.recv(10_000).map(|text| text.len()), Ok(4000));
}

/// RFC 9293 3.10.7.4: "a TCP implementation MUST process the RST and URG fields of all incoming segments, even when the receive
/// window is zero" (MUST-66), and the ACK.
#[test]
fn a_shut_window_still_hears_acknowledgments() {
    let mut script = Script::opened(
        plain(),
        Settings { receive_buffer: Some(2000), ..Settings::default() },
        syn_ack().mss(MSS),
    );
    script.arrives(ack(1, 1).octets(1000));
    script.arrives(ack(1001, 1).octets(1000));
    script.sends(&[". ack 2001"]);
    assert_eq!(script.last.map(|seg| seg.wnd), Some(0));
    script.write(10);
    script.drain();
    script.arrives(ack(2001, 11).octets(1000)); // its text is refused, its ACK is not
    assert_eq!(script.conn.queued(), 0);
    script.sends(&[". 11:11(0) ack 2001"]);
    // Reading opens the window without being asked.
    assert_eq!(script.recv(5000).map(|text| text.len()), Ok(2000));
    script.sends(&[". 11:11(0) ack 2001"]);
    assert_eq!(script.last.map(|seg| seg.wnd), Some(2000));
    // A RST at the edge of a shut window is believed.
    script.arrives(ack(2001, 11).octets(2000));
    script.drain();
    script.arrives(peer(Flags::RST, 4001, 0));
    assert_eq!(script.conn.end(), Some(End::ResetByPeer));
}

/// RFC 9293 3.8.5, MUST-31 to MUST-33.
#[test]
fn urgent_data_is_announced_and_reading_stops_at_its_end() {
    let mut script = Script::established();
    script.arrives(ack(1, 1).octets(100).urg(150));
    assert!(script.events().contains(Events::URGENT));
    assert_eq!(script.conn.urgent_ahead(), Some(150));
    assert_eq!(script.recv(1000).map(|text| text.len()), Ok(100));
    assert_eq!(script.conn.urgent_ahead(), Some(50));
    script.arrives(ack(101, 1).octets(100).urg(50));
    assert!(!script.events().contains(Events::URGENT), "nothing new");
    assert_eq!(script.recv(1000).map(|text| text.len()), Ok(50), "up to the mark");
    assert_eq!(script.conn.urgent_ahead(), None);
    assert_eq!(script.recv(1000).map(|text| text.len()), Ok(50));
    script.arrives(ack(201, 1).octets(100).urg(10));
    assert!(script.events().contains(Events::URGENT));
}

#[test]
fn memory_that_is_gone_refuses_text_and_nothing_else() {
    let mut script = Script::established();
    script.memory = Memory::new(0);
    assert_eq!(script.arrives(ack(1, 1).octets(10)), Disposition::Dropped(DropReason::NoMemory));
    script.sends(&[". ack 1"]);
    assert_eq!(script.send(b"x", SendFlags::default()), Err(crate::SendError::NoMemory));
    script.memory = Memory::new(BUDGET);
    script.arrives(ack(1, 1).octets(10));
    assert_eq!(script.recv(100).map(|text| text.len()), Ok(10));
}

/// RFC 9293 3.8.6.3: SHLD-18 (an ACK may wait), MUST-40 (under 0.5 s), SHLD-19 (every second full segment does not).
#[test]
fn acknowledgments_wait_for_a_second_segment_or_forty_milliseconds() {
    let mut script = Script::established();
    script.arrives(ack(1, 1).octets(1000));
    script.silent();
    let waited = script.pass_to_deadline();
    assert!(waited > ms(38) && waited <= ms(40), "{waited:?}");
    script.sends(&[". ack 1001"]);
    script.arrives(ack(1001, 1).octets(1000));
    script.silent();
    script.arrives(ack(2001, 1).octets(1000));
    script.sends(&[". ack 3001"]);
    script.arrives(ack(3001, 1).octets(10));
    script.write(5);
    script.sends(&["P. 1:6(5) ack 3011"]); // in company
    assert_ne!(script.conn.next_deadline(&Ctx::new(script.now, &script.config, &mut Memory::new(0))), None);
}

/// RFC 9293 MUST-40: under half a second, whatever is set.
#[test]
fn no_setting_delays_an_acknowledgment_for_half_a_second() {
    let config = TcpConfig { delayed_ack: Duration::from_secs(3), ..plain() };
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS));
    script.arrives(ack(1, 1).octets(10));
    script.silent();
    assert!(script.pass_to_deadline() < ms(500));
    script.sends(&[". ack 11"]);
}

#[test]
fn a_connection_opens_with_quick_acknowledgments() {
    let config = TcpConfig { quick_acks: 16, ..plain() };
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS));
    let mut at_once = 0;
    for i in 0..40 {
        script.arrives(ack(1 + 100 * i, 1).octets(100));
        at_once += script.drain().len();
    }
    assert!((16..30).contains(&at_once), "{at_once}");
}

/// RFC 5681 3.2 and RFC 6675 through the whole connection: three duplicates, one segment again.
#[test]
fn three_duplicates_bring_the_first_segment_again() {
    for sack in [false, true] {
        let config = TcpConfig { sack, timestamps: false, quick_acks: 0, ..TcpConfig::default() };
        let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS).sack_ok());
        script.write(8000);
        script.drain();
        for i in 1..=3 {
            let dup = ack(1, 1).wnd(60_000);
            script.arrives(if sack { dup.sack(1001, 1001 + 1000 * i) } else { dup });
            if i < 3 {
                assert!(script.drain().is_empty(), "{i} duplicates");
            }
        }
        assert_eq!(script.drain().first().map(String::as_str), Some(". 1:1001(1000) ack 1"), "SACK {sack}");
        script.arrives(ack(1, 8001));
        assert_eq!(script.conn.queued(), 0);
        assert!(!script.conn.info(&script.config).in_recovery);
    }
}

#[test]
fn without_retransmission_what_is_lost_stays_lost() {
    let mut config = plain();
    config.test.retransmission = false;
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS));
    script.write(10);
    script.drain();
    script.pass_to_deadline();
    script.silent();
    assert_eq!(script.deadline(), None);
}

#[derive(Clone, Debug)]
enum Blow {
    Segment {
        flags: u8,
        seq: i64,
        ack: i64,
        wnd: u16,
        up: u16,
        len: usize,
        ts: Option<(u32, u32)>,
        sack: Option<(i64, i64)>,
    },
    Send(usize),
    Recv(usize),
    Pass(u64),
    Deadline,
    Shutdown,
    Close,
    Abort,
    TooBig(u16),
    Unreachable,
}

fn blow() -> impl Strategy<Value = Blow> {
    let near = || prop_oneof![4 => -3i64..20, 2 => -2000i64..5000, 1 => -100_000i64..100_000];
    let segment = (
        any::<u8>(),
        near(),
        near(),
        any::<u16>(),
        any::<u16>(),
        0usize..1500,
        prop::option::of((990u32..3000, 990u32..3000)),
        prop::option::of((near(), near())),
    );
    prop_oneof![
        12 => segment.prop_map(|(flags, seq, ack, wnd, up, len, ts, sack)| {
            // RST and SYN end most stories at once: seldom.
            let flags = if flags & 3 == 3 { flags } else { flags & !6 } | 16;
            Blow::Segment { flags, seq, ack, wnd, up, len, ts, sack }
        }),
        4 => (0usize..5000).prop_map(Blow::Send),
        4 => (0usize..5000).prop_map(Blow::Recv),
        3 => (0u64..3000).prop_map(Blow::Pass),
        3 => Just(Blow::Deadline),
        1 => Just(Blow::Shutdown),
        1 => Just(Blow::Close),
        1 => (0u16..2000).prop_map(Blow::TooBig),
        1 => Just(Blow::Unreachable),
        1 => Just(Blow::Abort),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever a peer, a program and the clock do: no panic, no broken invariant (`check` runs inside), every move of the
    /// state in the table, memory inside its bound and all of it given back.
    #[test]
    fn a_connection_stands_anything(
        rich: bool, tso: bool, opened: bool, blows in prop::collection::vec(blow(), 1..120),
    ) {
        let config = if rich { TcpConfig { ecn: crate::EcnPolicy::Request, ..TcpConfig::default() } } else { plain() };
        let mut script = Script::connecting(config, Settings { keepalive: true, ..Settings::default() });
        script.memory = Memory::new(200_000);
        script.tso_max = if tso { 64_000 } else { 0 };
        script.drain();
        if opened {
            script.arrives(syn_ack().mss(MSS).sack_ok().scale(2).ts(1000, 1000).with(Flags::ECE));
            script.drain();
        }
        for blow in blows {
            let before = script.state();
            let single = !matches!(blow, Blow::Pass(_) | Blow::Deadline);
            match blow {
                Blow::Segment { flags, seq, ack, wnd, up, len, ts, sack } => {
                    // Half of all guesses are made relative to where the connection stands.
                    let at = i64::from(script.conn.rcv.nxt.distance(IRS));
                    let una = i64::from(script.conn.snd.una.distance(ISS));
                    let mut seg = peer(Flags::from_bits(u16::from(flags)), at + seq, una + ack).wnd(wnd).octets(len);
                    seg.up = up;
                    if let Some((val, ecr)) = ts { seg = seg.ts(val, ecr); }
                    if let Some((left, right)) = sack { seg = seg.sack(una + left, una + right); }
                    script.arrives(seg);
                }
                Blow::Send(len) => { let _ = script.send(&vec![7; len], SendFlags::default()); }
                Blow::Recv(len) => { let _ = script.recv(len); }
                Blow::Pass(millis) => script.pass(ms(millis)),
                Blow::Deadline => if script.deadline().is_some() { script.pass_to_deadline(); },
                Blow::Shutdown => script.shutdown_write(),
                Blow::Close => script.close(),
                Blow::Abort => script.with(|conn, ctx| conn.abort(ctx)),
                Blow::TooBig(mss) => {
                    let una = script.conn.snd.una;
                    script.with(|conn, ctx| conn.handle_path(ctx, mss, Some(una)));
                }
                Blow::Unreachable => {
                    let una = script.conn.snd.una;
                    script.with(|conn, ctx| conn.handle_unreachable(ctx, crate::Unreachable::Host, Some(una)));
                }
            }
            let after = script.state();
            if single {
                prop_assert!(before == after || before.may_become(after), "{} -> {}", before, after);
            }
            script.drain();
            prop_assert!(script.memory.budget.used() <= 200_000);
            prop_assert!(script.deadline().is_none_or(|deadline| deadline > script.now),
                "a timer that is over was handled");
        }
        script.conn.release(&mut script.memory);
        prop_assert_eq!(script.memory.budget.used(), 0);
    }
}

fn stamped() -> Script {
    let config = TcpConfig { sack: false, quick_acks: 0, ..TcpConfig::default() };
    Script::opened(config, Settings::default(), syn_ack().mss(MSS).ts(1000, 1000))
}

/// RFC 7323 3.2: "a TSopt SHOULD be sent in a RST"; it says what it says in any segment. 5.2: of a RST that arrives, no stamp is
/// asked.
#[test]
fn resets_carry_the_timestamp_and_are_not_judged_by_it() {
    let mut script = stamped();
    script.arrives(ack(1, 1).text(b"new").ts(1005, 1000));
    script.drain();
    script.pass(ms(7));
    let clock = crate::options::timestamp_clock(script.now, 0);
    script.with(|conn, ctx| conn.abort(ctx));
    script.sends(&["R. 1:1(0) ack 4"]);
    let stamps = script.last.and_then(|last| last.options.timestamps).expect("both agreed on them");
    assert_eq!((stamps.tsval, stamps.tsecr), (clock, 1005));

    let mut without = Script::established();
    without.with(|conn, ctx| conn.abort(ctx));
    without.drain();
    assert_eq!(without.last.map(|last| last.options), Some(TcpOptions::NONE));

    let mut script = stamped();
    script.arrives(ack(1, 1).text(b"new").ts(1005, 1000));
    script.drain();
    assert_eq!(script.arrives(peer(Flags::RST | Flags::ACK, 4, 1).ts(900, 1000)), Disposition::Taken);
    assert_eq!(script.state(), State::Closed);
}

/// TS.Recent is taken of a segment only once its acknowledgment has been found possible: a forger who hits the window, and no more,
/// does not stop the connection by a stamp from the future.
#[test]
fn a_stamp_beside_an_impossible_acknowledgment_is_not_taken() {
    let mut script = stamped();
    for (ack_no, reason) in [(5_000, DropReason::AckElsewhere), (-70_000, DropReason::AckTooOld)] {
        let forged = ack(1, ack_no).octets(1).ts(9_000, 1000);
        assert_eq!(script.arrives(forged), Disposition::Dropped(reason));
        script.pass(ms(1_000));
        script.drain();
        assert_eq!(script.conn.agreed.ts_recent(), 1000);
    }
    assert_eq!(script.arrives(ack(1, 1).text(b"x").ts(1001, 1000)), Disposition::Taken, "not an old one now");
    assert_eq!(script.conn.agreed.ts_recent(), 1001);
}

/// RFC 2018 section 5: what is SACKed is known, by whichever ACK it came, in whatever order.
#[test]
fn the_blocks_of_an_overtaken_ack_count() {
    let config = TcpConfig { timestamps: false, quick_acks: 0, ..TcpConfig::default() };
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS).sack_ok());
    script.write(6000);
    script.drain();
    script.arrives(ack(1, 3001));
    script.arrives(ack(1, 1001).sack(4001, 5001));
    let sacked = |script: &Script| script.conn.info(&script.config).sacked;
    assert_eq!((sacked(&script), script.conn.snd.una), (1000, ISS + 3001));
    // What has been acknowledged since is old news, and no sign of anything that came twice.
    script.arrives(ack(1, 1001).sack(2001, 3001));
    assert_eq!(sacked(&script), 1000);
    assert_eq!(script.conn.info(&script.config).spurious_recoveries, 0);
    assert!(!script.conn.sending.as_deref().is_some_and(|sending| sending.recovery.reordering_seen()));
}

/// docs/deviations.md: of an ACK that a newer one has overtaken, PAWS lets the SACK blocks be read; nothing else of it, and not of one
/// that is older than an RTO, carries anything, or stands elsewhere.
#[test]
fn what_an_overtaken_ack_sacks_is_read() {
    let config = TcpConfig { quick_acks: 0, ..TcpConfig::default() };
    let sacked = |late: Peer| {
        let opening = syn_ack().mss(MSS).sack_ok().ts(1000, 1000);
        let mut script = Script::opened(config.clone(), Settings::default(), opening);
        script.write(8_000);
        script.drain();
        script.pass(ms(20));
        script.arrives(ack(1, 1001).sack(7001, 8001).ts(2020, 1000));
        script.drain();
        let before = script.conn.info(&script.config);
        assert_eq!(before.sacked, 1000);
        let disposition = script.arrives(late);
        let after = script.conn.info(&script.config);
        assert_eq!(
            (after.unacked, after.snd_wnd),
            (before.unacked, before.snd_wnd),
            "that is all it may tell"
        );
        (disposition, after.sacked)
    };
    let taken = (Disposition::Taken, 2000);
    assert_eq!(sacked(ack(1, 1001).sack(5001, 6001).ts(2019, 1000)), taken, "the same number");
    assert_eq!(sacked(ack(1, 1).sack(5001, 6001).ts(1900, 1000)), taken, "an older number");
    assert_eq!(sacked(ack(1, 1).sack(5001, 6001).ts(1900, 1000).wnd(9)), taken, "its window is not");
    let refused = (Disposition::Dropped(DropReason::Paws), 1000);
    assert_eq!(sacked(ack(1, 1001).sack(5001, 6001).ts(1000, 1000)), refused, "older than an RTO");
    assert_eq!(sacked(ack(1, 1001).sack(5001, 6001).ts(2019, 1000).octets(1)), refused, "with text");
    assert_eq!(sacked(ack(2, 1001).sack(5001, 6001).ts(2019, 1000)), refused, "from elsewhere");
    assert_eq!(sacked(ack(1, 2001).sack(5001, 6001).ts(2019, 1000)), refused, "what acknowledges is new");
    assert_eq!(sacked(ack(1, 1001).ts(2019, 1000)).0, refused.0, "nothing to read");
}
