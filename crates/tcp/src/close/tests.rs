//! Closing: figures 12 and 13 of RFC 9293 and everything around them, as ladders and as tables.

use core::time::Duration;

use wire::tcp::Flags;

use super::*;
use crate::testing::*;
use crate::{RecvError, SendError, SendFlags, Settings, TcpConfig};

const FIN: Flags = Flags::FIN;
const RST: Flags = Flags::RST;

/// A connection of the script's in `state`, with nothing left to send, peer's and own numbers known:
/// `(script, our next sequence number, the peer's next one)`.
pub(crate) fn in_state(state: State) -> (Script, i64, i64) {
    let mut script = match state {
        State::SynSent | State::SynReceived => Script::connecting(plain(), Settings::default()),
        _ => Script::established(),
    };
    script.drain();
    let (mut own, mut peers) = (1, 1);
    match state {
        State::SynSent => peers = 0,
        State::SynReceived => {
            script.arrives(peer(Flags::SYN, 0, 0).mss(MSS));
        }
        State::Established => {}
        State::FinWait1 => script.shutdown_write(),
        State::FinWait2 => {
            script.shutdown_write();
            script.drain();
            script.arrives(ack(1, 2));
        }
        State::CloseWait => {
            script.arrives(ack(1, 1).with(FIN));
        }
        State::Closing => {
            script.shutdown_write();
            script.drain();
            script.arrives(ack(1, 1).with(FIN));
        }
        State::LastAck => {
            script.arrives(ack(1, 1).with(FIN));
            script.drain();
            script.shutdown_write();
        }
        State::TimeWait => {
            script.shutdown_write();
            script.drain();
            script.arrives(ack(1, 2).with(FIN));
        }
        State::Closed => {
            script.with(|conn, ctx| conn.abort(ctx));
        }
    }
    script.drain();
    if state.has_finished() {
        own = 2;
    }
    if state.peer_has_finished() {
        peers = 2;
    }
    assert_eq!(script.state(), state);
    script.events();
    (script, own, peers)
}

#[test]
fn every_state_against_the_calls_of_the_user() {
    use State::*;
    // state, after shutdown_write and what it sends, after abort and what it sends
    type Row = (State, State, &'static [&'static str], State, &'static [&'static str]);
    let rows: [Row; 10] = [
        (Closed, Closed, &[], Closed, &[]),
        (SynSent, Closed, &[], Closed, &[]),
        (SynReceived, SynReceived, &[], Closed, &["R. 1:1(0) ack 1"]),
        (Established, FinWait1, &["F. 1:2(0) ack 1"], Closed, &["R. 1:1(0) ack 1"]),
        (FinWait1, FinWait1, &[], Closed, &["R. 2:2(0) ack 1"]),
        (FinWait2, FinWait2, &[], Closed, &["R. 2:2(0) ack 1"]),
        (CloseWait, LastAck, &["F. 1:2(0) ack 2"], Closed, &["R. 1:1(0) ack 2"]),
        (Closing, Closing, &[], Closed, &[]),
        (LastAck, LastAck, &[], Closed, &[]),
        (TimeWait, TimeWait, &[], TimeWait, &[]),
    ];
    for (state, after_shutdown, shutdown_sends, after_abort, abort_sends) in rows {
        let (mut script, _, _) = in_state(state);
        script.shutdown_write();
        assert_eq!(script.state(), after_shutdown, "shutdown in {state}");
        assert_eq!(script.drain(), shutdown_sends, "shutdown in {state}");
        let (mut script, _, _) = in_state(state);
        script.with(|conn, ctx| conn.abort(ctx));
        assert_eq!(script.state(), after_abort, "abort in {state}");
        assert_eq!(script.drain(), abort_sends, "abort in {state}");
    }
}

#[test]
fn every_state_against_send_and_recv() {
    use State::*;
    for state in State::ALL {
        let (mut script, _, _) = in_state(state);
        let sent = script.send(b"x", SendFlags::default());
        match state {
            SynSent | SynReceived | Established | CloseWait => assert_eq!(sent, Ok(1), "{state}"),
            Closed => assert_eq!(sent, Err(SendError::Ended(End::Aborted))),
            _ => assert_eq!(sent, Err(SendError::Shut), "{state}"),
        }
        let (mut script, _, _) = in_state(state);
        let got = script.recv(10);
        match state {
            Closed => assert_eq!(got, Err(RecvError::Ended(End::Aborted))),
            CloseWait | Closing | LastAck | TimeWait => assert_eq!(got, Ok(vec![]), "{state}"),
            _ => assert_eq!(got, Err(RecvError::WouldBlock), "{state}"),
        }
    }
}

#[test]
fn every_state_against_a_fin_and_the_ack_of_ours() {
    use State::*;
    // state, after a FIN, what answers it; after FIN that also acknowledges everything; after a bare ACK of everything
    let rows: [(State, State, &[&str], State, State); 8] = [
        (SynReceived, SynReceived, &[], CloseWait, Established),
        (Established, CloseWait, &[". ack 2"], CloseWait, Established),
        (FinWait1, Closing, &[". 2:2(0) ack 2"], TimeWait, FinWait2),
        (FinWait2, TimeWait, &[". 2:2(0) ack 2"], TimeWait, FinWait2),
        // The peer's FIN again: acknowledged again.
        (CloseWait, CloseWait, &[". ack 2"], CloseWait, CloseWait),
        (Closing, Closing, &[". 2:2(0) ack 2"], Closing, TimeWait),
        (LastAck, LastAck, &[". 2:2(0) ack 2"], LastAck, Closed),
        (TimeWait, TimeWait, &[], TimeWait, TimeWait),
    ];
    for (state, after_fin, answer, after_fin_ack, after_ack) in rows {
        let stale = if state.has_finished() && state != FinWait2 && state != TimeWait { 1 } else { 2 };
        let stale = if matches!(state, Established | CloseWait) { 1 } else { stale };
        if state != SynReceived {
            let (mut script, _, _) = in_state(state);
            script.arrives(ack(1, stale).with(FIN));
            assert_eq!(script.state(), after_fin, "FIN in {state}");
            assert_eq!(script.drain(), answer, "FIN in {state}");
        }
        let (mut script, own, _) = in_state(state);
        script.arrives(ack(1, own).with(FIN));
        assert_eq!(script.state(), after_fin_ack, "FIN with ACK in {state}");
        let (mut script, own, peers) = in_state(state);
        script.arrives(ack(peers, own));
        assert_eq!(script.state(), after_ack, "ACK in {state}");
    }
}

#[test]
fn every_state_against_a_rst_in_its_place() {
    use State::*;
    let rows = [
        (SynReceived, Closed, Some(End::Refused)),
        (Established, Closed, Some(End::ResetByPeer)),
        (FinWait1, Closed, Some(End::ResetByPeer)),
        (FinWait2, Closed, Some(End::ResetByPeer)),
        (CloseWait, Closed, Some(End::ResetAfterFin)),
        (Closing, Closed, Some(End::Finished)),
        (LastAck, Closed, Some(End::Finished)),
        (TimeWait, TimeWait, None), // RFC 1337
    ];
    for (state, after, end) in rows {
        let (mut script, _, peers) = in_state(state);
        script.arrives(peer(RST, peers, 0));
        assert_eq!(script.state(), after, "{state}");
        assert_eq!(script.conn.end(), end, "{state}");
        script.silent();
    }
}

/// RFC 9293 3.10.4: in SYN-RECEIVED the FIN waits for ESTABLISHED.
#[test]
fn finishing_in_syn_received_follows_the_opening() {
    let (mut script, _, _) = in_state(State::SynReceived);
    script.write(3);
    script.shutdown_write();
    assert_eq!(script.send(b"x", SendFlags::default()), Err(SendError::Shut));
    script.arrives(ack(1, 1));
    assert_eq!(script.state(), State::FinWait1);
    script.sends(&["FP. 1:5(3) ack 1"]);
}

/// RFC 9293 figure 13.
#[test]
fn simultaneous_close() {
    let mut pair = Pair::plain().open();
    pair.with(Side::A, |conn, ctx| conn.close(ctx));
    pair.with(Side::B, |conn, ctx| conn.close(ctx));
    pair.run_for(ms(100));
    pair.shows(
        "0 A  F. 1:2(0) ack 1
         0 B  F. 1:2(0) ack 1
         10 B  . 2:2(0) ack 2
         10 A  . 2:2(0) ack 2",
    );
    assert_eq!(pair.conn(Side::A).state(), State::TimeWait);
    assert_eq!(pair.conn(Side::B).state(), State::TimeWait);
}

/// Both have nothing left: the second FIN carries the ACK of the first.
#[test]
fn three_segments_close() {
    let mut pair = Pair::plain();
    pair.b.config.delayed_ack = ms(400);
    let mut pair = pair.open();
    // B's program has already been told to finish when A's FIN comes in.
    pair.with(Side::A, |conn, ctx| conn.close(ctx));
    let now = pair.now;
    pair.run_for(ms(9));
    assert_eq!(pair.now, now + ms(9));
    // The FIN arrives and is answered by the program in the same turn, before anything is polled.
    let (mut script, _, _) = in_state(State::Established);
    script.arrives(ack(1, 1).with(FIN));
    script.close();
    script.sends(&["F. 1:2(0) ack 2"]);
    script.arrives(ack(2, 2));
    assert_eq!(script.conn.end(), Some(End::Finished));
}

#[test]
fn half_close_with_data_the_other_way() {
    let mut pair = Pair::plain().open();
    pair.with(Side::A, |conn, ctx| conn.shutdown_write(ctx));
    pair.run_for(ms(20));
    pair.write(Side::B, &[7; 2500]);
    pair.run_for(ms(60_000 * 5));
    assert_eq!(pair.conn(Side::A).state(), State::FinWait2, "after shutdown it never ends by itself");
    assert_eq!(pair.read_all(Side::A), vec![7; 2500]);
    pair.wipe();
    pair.with(Side::B, |conn, ctx| conn.close(ctx));
    pair.run_for(ms(20));
    pair.shows(
        "0 B  F. 2501:2502(0) ack 2
         10 A  . 2:2(0) ack 2502",
    );
    assert_eq!(pair.conn(Side::A).state(), State::TimeWait);
}

#[test]
fn a_lost_fin_is_sent_again() {
    let mut pair = Pair::plain().open();
    let first = pair.ladder_len_sent();
    pair.loses = Box::new(move |count, _, _| count == first);
    pair.with(Side::A, |conn, ctx| conn.close(ctx));
    pair.run_for(ms(300));
    // RTO: 20 ms of round trip and the least variance, 200 ms.
    pair.shows(
        "0 A  F. 1:2(0) ack 1 x
         220 A  F. 1:2(0) ack 1
         230 B  . ack 2",
    );
}

#[test]
fn a_lost_last_ack_is_given_again_from_time_wait() {
    let mut pair = Pair::plain().open();
    let first = pair.ladder_len_sent();
    pair.loses = Box::new(move |count, _, _| count == first + 3);
    pair.with(Side::A, |conn, ctx| conn.close(ctx));
    pair.run_for(ms(20));
    pair.with(Side::B, |conn, ctx| conn.close(ctx));
    pair.run_for(ms(1000));
    pair.shows(
        "0 A  F. 1:2(0) ack 1
         10 B  . ack 2
         20 B  F. 1:2(0) ack 2
         30 A  . 2:2(0) ack 2 x
         240 B  F. 1:2(0) ack 2
         250 A  . 2:2(0) ack 2",
    );
    assert_eq!(pair.conn(Side::B).end(), Some(End::Finished));
}

#[test]
fn fin_wait_2_ends_a_minute_after_close_and_never_after_shutdown() {
    let (mut script, _, _) = in_state(State::FinWait2);
    assert_eq!(script.deadline(), None);
    script.close();
    let deadline = script.deadline().expect("nobody is left to end it");
    assert!(deadline >= script.now + Duration::from_secs(60) && deadline <= script.now + ms(60_001));
    script.pass_to_deadline();
    assert_eq!(script.conn.end(), Some(End::PeerNeverFinished));
    // The other order: close() first, then the ACK of the FIN.
    let (mut script, _, _) = in_state(State::Established);
    script.close();
    script.drain();
    script.arrives(ack(1, 2));
    assert_eq!(script.state(), State::FinWait2);
    script.pass_to_deadline();
    script.drain();
    assert_eq!(script.conn.end(), Some(End::PeerNeverFinished));
    script.silent();
}

/// RFC 9293 3.6.1, SHLD-3, MUST-12.
#[test]
fn data_after_close_is_answered_by_rst() {
    for state in [State::FinWait1, State::FinWait2] {
        let (mut script, own, _) = in_state(state);
        script.close();
        let disposition = script.arrives(ack(1, own).octets(10));
        let Disposition::Answer(DropReason::AfterClose, reset) = disposition else { panic!("{state}") };
        assert_eq!(line(&reset, ISS, IRS), format!("R {own}:{own}(0)"), "{state}");
        script.silent();
        assert_eq!(script.conn.end(), Some(End::DataAfterClose), "{state}");
    }
    // Our FIN was lost: the RST stands where the peer expects us, or it would not be believed (RFC 5961 3.2).
    let (mut script, own, _) = in_state(State::FinWait1);
    script.close();
    let disposition = script.arrives(ack(1, own - 1).octets(10));
    let Disposition::Answer(_, reset) = disposition else { panic!("the peer must know") };
    assert_eq!(line(&reset, ISS, IRS), format!("R {0}:{0}(0)", own - 1));
    assert_eq!(reset.options.timestamps, None, "none were agreed on");
    // RFC 7323 3.2: with timestamps it bears one.
    let config = TcpConfig { timestamps: true, ..plain() };
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS).ts(700, 1000));
    script.close();
    script.drain();
    let disposition = script.arrives(ack(1, 2).octets(10).ts(701, 1000));
    let Disposition::Answer(_, reset) = disposition else { panic!("the peer must know") };
    let stamps = reset.options.timestamps.map(|stamps| (stamps.tsval, stamps.tsecr));
    assert_eq!(stamps, Some((1000, 701)));
    // After shutdown of the writing side alone it is read.
    let (mut script, own, _) = in_state(State::FinWait2);
    script.arrives(ack(1, own).octets(10));
    assert_eq!(script.recv(20).map(|text| text.len()), Ok(10));
}

#[test]
fn close_with_unread_data_is_a_reset() {
    let (mut script, _, _) = in_state(State::Established);
    script.arrives(ack(1, 1).octets(10));
    script.drain();
    script.close();
    script.sends(&["R. 1:1(0) ack 11"]);
    assert_eq!(script.conn.end(), Some(End::Aborted));
    assert_eq!(script.memory.budget.used(), 0);
}

#[test]
fn what_is_queued_leaves_before_the_fin() {
    let (mut script, _, _) = in_state(State::Established);
    script.write(2500);
    script.close();
    script.sends(&[". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1", "FP. 2001:2502(500) ack 1"]);
    script.arrives(ack(1, 2501));
    assert_eq!(script.state(), State::FinWait1, "all but the FIN");
    script.arrives(ack(1, 2502));
    assert_eq!(script.state(), State::FinWait2);
}

#[test]
fn linger_waits_for_the_fin_to_be_acknowledged_or_for_its_time() {
    let linger = |script: &mut Script| {
        script.set(|settings| settings.linger = Linger::Bounded(Duration::from_secs(2)));
        script.write(100);
        script.close();
        script.drain();
        script.events();
    };
    let (mut script, _, _) = in_state(State::Established);
    linger(&mut script);
    script.arrives(ack(1, 102));
    assert!(script.events().contains(Events::LINGER_OVER));
    let (mut script, _, _) = in_state(State::Established);
    linger(&mut script);
    let start = script.now;
    while !script.events().contains(Events::LINGER_OVER) {
        script.pass_to_deadline();
        script.drain();
    }
    assert!(script.now - start >= Duration::from_secs(2) && script.now - start < ms(2010));
    assert_eq!(script.state(), State::FinWait1, "the data is still delivered in the background");
}

#[test]
fn linger_of_zero_aborts() {
    let (mut script, _, _) = in_state(State::Established);
    script.set(|settings| settings.linger = Linger::Abort);
    script.write(5000);
    script.close();
    script.sends(&["R. 1:1(0) ack 1"]);
    assert_eq!(script.memory.budget.used(), 0);
}

#[test]
fn an_orphan_gives_up_sooner() {
    let retries = |orphan: bool| {
        let (mut script, _, _) = in_state(State::Established);
        script.write(10);
        if orphan {
            script.close();
        }
        let mut sent = script.drain().len();
        while script.conn.end().is_none() {
            script.pass_to_deadline();
            sent += script.drain().len();
        }
        assert_eq!(script.conn.end(), Some(End::TimedOut));
        sent - 1
    };
    assert_eq!((retries(true), retries(false)), (8, 15));
}

#[test]
fn a_fin_that_comes_early_waits_for_what_is_missing() {
    let (mut script, _, _) = in_state(State::Established);
    script.arrives(ack(11, 1).octets(10).with(FIN));
    script.sends(&[". ack 1"]);
    assert_eq!(script.state(), State::Established);
    script.arrives(ack(1, 1).octets(10));
    script.sends(&[". ack 22"]);
    assert_eq!(script.state(), State::CloseWait);
    assert_eq!(script.recv(100).map(|text| text.len()), Ok(20));
    assert_eq!(script.recv(100), Ok(vec![]));
}

#[test]
fn nothing_is_taken_beyond_a_fin() {
    let (mut script, _, _) = in_state(State::Established);
    script.arrives(ack(11, 1).octets(10).with(FIN));
    script.arrives(ack(21, 1).octets(10)); // where the FIN stood
    script.arrives(ack(1, 1).octets(10));
    script.drain();
    assert_eq!(script.state(), State::CloseWait);
    assert_eq!(script.recv(100).map(|text| text.len()), Ok(20));
}

#[test]
fn a_reader_keeps_its_data_when_the_peer_resets() {
    let (mut script, _, _) = in_state(State::Established);
    script.arrives(ack(1, 1).text(b"last words"));
    script.arrives(peer(RST, 11, 0));
    assert_eq!(script.recv(100), Ok(b"last words".to_vec()));
    assert_eq!(script.recv(100), Err(RecvError::Ended(End::ResetByPeer)));
    assert_eq!(script.memory.budget.used(), 0);
}

/// RFC 9293 3.9.1.4, MUST-12: the peer's close() and its abort are told apart, in what a read gives and in why it ended.
#[test]
fn the_program_can_tell_a_close_from_an_abort() {
    let mut closed = Script::established();
    closed.arrives(ack(1, 1).with(FIN));
    assert_eq!((closed.recv(10), closed.conn.end()), (Ok(vec![]), None));
    let mut aborted = Script::established();
    aborted.arrives(peer(RST, 1, 0));
    assert_eq!(aborted.recv(10), Err(RecvError::Ended(End::ResetByPeer)));
    assert_eq!(aborted.conn.end(), Some(End::ResetByPeer));
    let (mut half, _, _) = in_state(State::CloseWait);
    half.arrives(peer(RST, 2, 0));
    assert_eq!(half.conn.end(), Some(End::ResetAfterFin), "an end in order would be `Finished`");
}

#[test]
fn after_the_peers_fin_a_reset_is_an_ordinary_end_to_the_reader_and_a_broken_pipe_to_the_writer() {
    let (mut script, _, _) = in_state(State::CloseWait);
    script.arrives(peer(RST, 2, 0));
    assert_eq!(script.recv(10), Ok(vec![]));
    let error = script.send(b"x", SendFlags::default()).expect_err("it is over");
    assert_eq!(std::io::ErrorKind::from(error), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn time_wait_is_handed_over_once_its_ack_has_left() {
    let (mut script, _, _) = in_state(State::FinWait2);
    script.arrives(ack(1, 2).with(FIN));
    assert!(script.with(|conn, ctx| conn.take_time_wait(ctx)).is_none(), "the last ACK is owed");
    script.sends(&[". 2:2(0) ack 2"]);
    let wait = script.with(|conn, ctx| conn.take_time_wait(ctx)).expect("now it is free");
    assert_eq!(script.state(), State::Closed);
    assert_eq!(script.conn.end(), Some(End::Finished));
    assert!(wait.deadline(script.now) >= script.now + Duration::from_secs(60));
}

#[test]
fn without_the_time_wait_rule_nothing_waits() {
    let mut config = plain();
    config.test.time_wait = false;
    let mut script = Script::opened(config, Settings::default(), syn_ack());
    script.shutdown_write();
    script.drain();
    script.arrives(ack(1, 2).with(FIN));
    script.drain();
    script.pass_to_deadline();
    assert_eq!(script.state(), State::Closed);
}

#[test]
fn the_table_of_moves_is_the_rfcs() {
    // Every move that these tests make is in the table, and the table knows no other way out of CLOSED.
    for state in State::ALL {
        assert!(state == State::Closed || state.may_become(State::Closed), "{state}");
        assert_eq!(State::Closed.may_become(state), state == State::SynSent);
    }
    let config: TcpConfig = plain();
    assert_eq!(time_wait::duration(&config), Duration::from_secs(60));
}

/// Found by `a_connection_stands_anything`: a segment wholly beyond an early FIN once wrapped the room that was left for it.
#[test]
fn a_segment_beyond_an_early_fin_is_not_taken() {
    let (mut script, _, _) = in_state(State::Established);
    script.arrives(ack(11, 1).octets(10).with(FIN));
    script.arrives(ack(500, 1).octets(100));
    script.arrives(ack(500, 1).octets(100).with(FIN));
    script.arrives(ack(1, 1).octets(10));
    assert_eq!(script.state(), State::CloseWait);
    assert_eq!(script.recv(1000).map(|text| text.len()), Ok(20));
}

/// Found by the fuzzer: a peer that has sent text from beyond its end, and then ends before it.
#[test]
fn early_text_beyond_the_fin_is_forgotten() {
    let mut script = Script::established();
    script.arrives(ack(101, 1).octets(100));
    script.drain();
    script.arrives(ack(1, 1).with(FIN));
    assert_eq!(script.conn.state(), State::CloseWait);
    script.sends(&[". ack 2"]);
    assert_eq!(script.recv(10), Ok(Vec::new()));
    assert_eq!(script.memory.budget.used(), 0);
}

/// The same, the FIN itself being early: what lies before it still has its turn, and then the FIN.
#[test]
fn early_text_across_an_early_fin_does_not_hide_it() {
    let mut script = Script::established();
    script.arrives(ack(41, 1).octets(160));
    script.arrives(ack(51, 1).with(FIN));
    script.drain();
    script.arrives(ack(1, 1).octets(40));
    script.drain();
    assert_eq!(script.conn.state(), State::Established);
    script.arrives(ack(41, 1).octets(10));
    script.sends(&[". ack 52"]);
    assert_eq!(script.conn.state(), State::CloseWait);
    assert_eq!(script.recv(100).map(|text| text.len()), Ok(50));
}
