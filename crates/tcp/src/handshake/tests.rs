//! Opening: figures 6 and 7 of RFC 9293, every lost segment, refusals, options, and the entry in SYN-RECEIVED.

use core::time::Duration;

use wire::tcp::Flags;

use super::*;
use crate::testing::*;
use crate::{End, Memory, Unreachable};

const SYN: Flags = Flags::SYN;
const RST: Flags = Flags::RST;

/// RFC 9293 figure 7, MUST-10. Both SYNs cross; both are repeated with the ACK.
#[test]
fn simultaneous_open() {
    let mut pair = Pair::plain();
    pair.connect(Side::A, Settings::default());
    pair.connect(Side::B, Settings::default());
    pair.run_for(ms(100));
    pair.shows(
        "0 A  S 0:1(0)
         0 B  S 0:1(0)
         10 B  S. 0:1(0) ack 1
         10 A  S. 0:1(0) ack 1",
    );
    for side in [Side::A, Side::B] {
        assert_eq!(pair.conn(side).state(), State::Established);
        assert!(pair.end(side).events.contains(Events::OPENED));
    }
    pair.write(Side::A, b"x");
    pair.run_for(ms(10));
    assert_eq!(pair.read_all(Side::B), b"x");
}

#[test]
fn simultaneous_open_survives_the_loss_of_any_segment() {
    for lost in 0..4 {
        let mut pair = Pair::plain();
        pair.loses = Box::new(move |count, _, _| count == lost);
        pair.connect(Side::A, Settings::default());
        pair.connect(Side::B, Settings::default());
        pair.run_for(ms(10_000));
        for side in [Side::A, Side::B] {
            assert_eq!(pair.conn(side).state(), State::Established, "{side:?}, {lost} lost");
        }
    }
}

/// RFC 6298 2.1 and 5.5: after 1 s, then 2 s.
#[test]
fn a_lost_syn_is_sent_again() {
    let mut pair = Pair::plain();
    pair.loses = Box::new(|count, _, _| count < 2);
    pair.connect(Side::A, Settings::default());
    pair.run_for(ms(4000));
    pair.shows(
        "0 A  S 0:1(0) x
         1000 A  S 0:1(0) x
         3000 A  S 0:1(0)
         3010 B  S. 0:1(0) ack 1
         3020 A  . ack 1",
    );
}

#[test]
fn a_lost_syn_ack_is_sent_again_by_whoever_notices_first() {
    let mut pair = Pair::plain();
    pair.loses = Box::new(|count, _, _| count == 1);
    pair.connect(Side::A, Settings::default());
    pair.run_for(ms(1030));
    pair.shows(
        "0 A  S 0:1(0)
         10 B  S. 0:1(0) ack 1 x
         1000 A  S 0:1(0)
         1010 B  S. 0:1(0) ack 1
         1010 B  S. 0:1(0) ack 1
         1020 A  . ack 1
         1020 A  . ack 1",
    );
    assert_eq!(pair.conn(Side::B).state(), State::Established);
}

/// The last ACK is lost, then comes with the first data.
#[test]
fn data_replaces_a_lost_last_ack() {
    let mut pair = Pair::plain();
    pair.loses = Box::new(|count, _, _| count == 2);
    pair.connect(Side::A, Settings::default());
    pair.run_for(ms(30));
    pair.write(Side::A, b"hello");
    pair.run_for(ms(10));
    assert_eq!(pair.read_all(Side::B), b"hello");
}

#[test]
fn a_lost_last_ack_alone_costs_a_second_syn_ack() {
    let mut pair = Pair::plain();
    pair.loses = Box::new(|count, _, _| count == 2);
    pair.connect(Side::A, Settings::default());
    pair.run_for(ms(1100));
    pair.shows(
        "0 A  S 0:1(0)
         10 B  S. 0:1(0) ack 1
         20 A  . ack 1 x
         1010 B  S. 0:1(0) ack 1
         1020 A  . ack 1",
    );
    assert_eq!(pair.conn(Side::B).state(), State::Established);
}

#[test]
fn an_open_nobody_answers_times_out_after_the_last_retry() {
    let mut script = Script::connecting(plain(), Settings { syn_retries: Some(2), ..Settings::default() });
    script.sends(&["S 0:1(0)"]);
    for wait in [1, 2] {
        assert_eq!(script.pass_to_deadline(), Duration::from_secs(wait));
        script.sends(&["S 0:1(0)"]);
    }
    assert_eq!(script.pass_to_deadline(), Duration::from_secs(4));
    script.silent();
    assert_eq!(script.conn.end(), Some(End::TimedOut));
    assert_eq!(script.deadline(), None);
}

#[test]
fn the_default_number_of_retries_is_linux_s() {
    let mut script = Script::connecting(plain(), Settings::default());
    let mut syns = script.drain().len();
    while script.conn.end().is_none() {
        script.pass_to_deadline();
        syns += script.drain().len();
    }
    assert_eq!(syns, 7);
    assert_eq!(script.now, Instant::from_secs(1 + 127));
}

/// RFC 9293 3.10.7.3, step by step: what SYN-SENT does with a segment.
#[test]
fn syn_sent_against_every_segment() {
    let sent = State::SynSent;
    let rows: [(&str, Peer, State, &[&str]); 12] = [
        ("ACK of our SYN, nothing else", ack(0, 1), sent, &[]),
        ("ACK of nothing we sent", ack(0, 2), sent, &[]),
        ("ACK of the ISS itself", ack(0, 0), sent, &[]),
        ("RST without ACK", peer(RST, 0, 0), sent, &[]),
        ("RST with a wrong ACK", peer(RST | Flags::ACK, 0, 7), sent, &[]),
        ("RST with the right ACK", peer(RST | Flags::ACK, 0, 1), State::Closed, &[]),
        ("SYN,ACK", syn_ack(), State::Established, &[". ack 1"]),
        ("SYN,ACK with a wrong ACK", peer(SYN | Flags::ACK, 0, 3), sent, &[]),
        ("SYN", peer(SYN, 0, 0), State::SynReceived, &["S. 0:1(0) ack 1"]),
        ("FIN", peer(Flags::FIN, 0, 0), sent, &[]),
        ("text", peer(Flags::NONE, 0, 0).octets(10), sent, &[]),
        ("SYN,ACK,FIN", syn_ack().with(Flags::FIN), State::CloseWait, &[". ack 2"]),
    ];
    for (name, segment, state, sends) in rows {
        let mut script = Script::connecting(plain(), Settings::default());
        script.drain();
        let bad_ack = segment.flags.ack() && segment.ack != 1 && !segment.flags.rst();
        let disposition = script.arrives(segment.clone());
        assert_eq!(script.state(), state, "{name}");
        assert_eq!(script.drain(), sends, "{name}");
        match disposition {
            // "send a reset <SEQ=SEG.ACK><CTL=RST>"
            Disposition::Answer(_, reset) => {
                assert!(bad_ack, "{name}");
                assert_eq!(line(&reset, ISS, IRS), format!("R {0}:{0}(0)", segment.ack), "{name}");
            }
            _ => assert!(!bad_ack, "{name}"),
        }
    }
}

#[test]
fn refused_timed_out_and_unreachable_tell_apart() {
    let mut refused = Script::connecting(plain(), Settings::default());
    refused.drain();
    refused.arrives(peer(RST | Flags::ACK, 0, 1));
    assert_eq!(refused.conn.end(), Some(End::Refused));
    assert!(refused.events().contains(Events::ENDED));

    // RFC 5461: a hard error ends the attempt at once, a soft one only gives its name to the time-out.
    let mut port = Script::connecting(plain(), Settings::default());
    port.drain();
    assert!(port.with(|conn, ctx| conn.handle_unreachable(ctx, Unreachable::Port, Some(ISS))));
    assert_eq!(port.conn.end(), Some(End::Unreachable(Unreachable::Port)));

    let mut host = Script::connecting(plain(), Settings { syn_retries: Some(1), ..Settings::default() });
    host.drain();
    assert!(host.with(|conn, ctx| conn.handle_unreachable(ctx, Unreachable::Host, Some(ISS))));
    assert_eq!(host.conn.end(), None, "MUST-56");
    assert!(host.events().contains(Events::TROUBLE), "SHLD-25");
    host.pass_to_deadline();
    host.pass_to_deadline();
    assert_eq!(host.conn.end(), Some(End::Unreachable(Unreachable::Host)));

    // What our own link says ends it too, as in Linux; only in SYN-SENT.
    let mut silent = Script::connecting(plain(), Settings::default());
    silent.drain();
    assert!(silent.with(|conn, ctx| conn.handle_unreachable(ctx, Unreachable::Neighbor, Some(ISS))));
    assert_eq!(silent.conn.end(), Some(End::Unreachable(Unreachable::Neighbor)));
    assert_eq!(silent.conn.end().and_then(End::error_kind), Some(std::io::ErrorKind::HostUnreachable));
    let mut simultaneous = Script::connecting(plain(), Settings::default());
    simultaneous.drain();
    simultaneous.arrives(peer(Flags::SYN, 0, 0));
    assert!(simultaneous.with(|conn, ctx| conn.handle_unreachable(ctx, Unreachable::Neighbor, Some(ISS))));
    assert_eq!((simultaneous.state(), simultaneous.conn.end()), (State::SynReceived, None));

    // RFC 5927 4.1: it must quote what is in flight.
    let mut forged = Script::connecting(plain(), Settings::default());
    forged.drain();
    assert!(!forged.with(|conn, ctx| conn.handle_unreachable(ctx, Unreachable::Port, Some(ISS + 1))));
    assert_eq!(forged.state(), State::SynSent);
}

#[test]
fn an_icmp_error_never_ends_an_open_connection() {
    use Unreachable::{Neighbor, Network, Port, Protocol, TimeExceeded};
    for what in [Port, Protocol, Network, TimeExceeded, Neighbor] {
        let mut script = Script::established();
        script.write(10);
        script.drain();
        assert!(script.with(|conn, ctx| conn.handle_unreachable(ctx, what, Some(ISS + 1))));
        assert_eq!(script.state(), State::Established);
        assert_eq!(script.conn.soft_error(), Some(what));
    }
}

/// RFC 9293 3.10.2: data queued in SYN-SENT leaves with the opening; MUST-5 and 3.7.1 for the options.
#[test]
fn data_queued_while_opening_leaves_when_open() {
    let mut script = Script::connecting(plain(), Settings::default());
    script.drain();
    script.write(5);
    script.silent();
    script.arrives(syn_ack());
    script.sends(&["P. 1:6(5) ack 1"]);
}

#[test]
fn text_on_the_syn_ack_is_taken() {
    let mut script = Script::connecting(plain(), Settings::default());
    script.drain();
    script.arrives(syn_ack().text(b"hi"));
    script.sends(&[". ack 3"]);
    assert_eq!(script.recv(10), Ok(b"hi".to_vec()));
}

#[test]
fn closing_before_it_is_open_is_quiet() {
    for how in [Script::close as fn(&mut Script), Script::shutdown_write, |s| s.with(|c, ctx| c.abort(ctx))] {
        let mut script = Script::connecting(plain(), Settings::default());
        script.drain();
        how(&mut script);
        script.silent();
        assert_eq!(script.conn.end(), Some(End::ClosedWhileOpening));
    }
}

#[test]
fn both_ends_use_only_what_both_offered() {
    for bits in 0..16u8 {
        let offers = |at: u8| bits >> at & 1 == 1;
        let config = |sack, timestamps| TcpConfig { sack, timestamps, ..TcpConfig::default() };
        let mut pair = Pair::new(config(offers(0), offers(1)), config(offers(2), offers(3)), ms(10)).open();
        for side in [Side::A, Side::B] {
            let config = pair.end(side).config.clone();
            let info = pair.conn(side).info(&config);
            assert_eq!(info.sack, offers(0) && offers(2));
            assert_eq!(info.timestamps, offers(1) && offers(3));
            assert_eq!(info.snd_wscale, Some(7), "6 MiB take a shift of 7");
        }
    }
}

#[test]
fn ecn_is_agreed_as_rfc_3168_says() {
    use EcnPolicy::*;
    for (a, b, agreed) in
        [(Request, Accept, true), (Request, Off, false), (Accept, Accept, false), (Off, Request, false)]
    {
        let config = |ecn| TcpConfig { ecn, ..plain() };
        let mut pair = Pair::new(config(a), config(b), ms(10)).open();
        for side in [Side::A, Side::B] {
            let config = pair.end(side).config.clone();
            assert_eq!(pair.conn(side).info(&config).ecn, agreed, "{a:?} {b:?}");
        }
    }
    // RFC 3168 6.1.1: a SYN asks by both flags, a SYN,ACK accepts by ECE alone; a box that echoes what it does not know does not.
    for (flags, agreed) in [(Flags::ECE, true), (Flags::ECE | Flags::CWR, false), (Flags::NONE, false)] {
        let config = TcpConfig { ecn: Request, ..plain() };
        let script = Script::opened(config, Settings::default(), syn_ack().with(flags));
        assert_eq!(script.conn.info(&script.config).ecn, agreed, "{flags}");
        let now = Instant::from_secs(1);
        let syn = peer(Flags::SYN | flags, 0, 0);
        let opening = opening(ISS);
        let entry = SynReceived::new(now, &plain(), &Settings::default(), &opening, &syn.arriving());
        let asked = flags == Flags::ECE | Flags::CWR;
        assert_eq!(entry.syn_ack(now).flags.ece(), asked, "{flags}");
    }
}

#[test]
fn the_peers_mss_is_believed_within_reason() {
    for (offered, used) in [(None, 536), (Some(700), 700), (Some(9000), 1000), (Some(1), 48)] {
        let mut syn_ack = syn_ack();
        syn_ack.options.mss = offered;
        let script = Script::opened(plain(), Settings::default(), syn_ack);
        assert_eq!(script.conn.info(&script.config).snd_mss, used);
    }
}

/// RFC 6298 5.7 and RFC 5681 3.1: a SYN that was lost costs the initial window.
#[test]
fn a_resent_syn_starts_with_one_segment_and_three_seconds() {
    let mut script = Script::connecting(plain(), Settings::default());
    script.drain();
    script.pass_to_deadline();
    script.drain();
    script.arrives(syn_ack().mss(MSS));
    script.drain();
    let info = script.conn.info(&script.config);
    assert_eq!((info.cwnd, info.rto), (1000, Duration::from_secs(3)));
}

fn entry() -> SynReceived {
    let config = plain();
    SynReceived::new(
        Instant::from_secs(1),
        &config,
        &config.defaults,
        &opening(ISS),
        &peer(SYN, 0, 0).mss(MSS).wnd(5000).arriving(),
    )
}

/// RFC 9293 3.10.7.4 in SYN-RECEIVED of a passive open.
#[test]
fn an_entry_in_syn_received_against_every_segment() {
    let rows: [(&str, Peer, &str); 11] = [
        ("the SYN again", peer(SYN, 0, 0), "S. 0:1(0) ack 1"),
        ("another SYN in the window", peer(SYN, 5, 0), ". ack 1"),
        ("ACK of our SYN", ack(1, 1), "complete"),
        ("ACK of our SYN with text", ack(1, 1).octets(10), "complete"),
        ("ACK of our SYN with FIN", ack(1, 1).with(Flags::FIN), "complete"),
        ("ACK of something else", ack(1, 9), "R 9:9(0)"),
        ("RST in its place", peer(RST, 1, 0), "reset"),
        ("RST elsewhere in the window", peer(RST, 9, 0), ". ack 1"),
        ("RST outside", peer(RST, 70_000, 0), "dropped"),
        ("outside", ack(70_000, 1), ". ack 1"),
        ("no ACK", peer(Flags::NONE, 1, 0).octets(4), "dropped"),
    ];
    for (name, segment, expected) in rows {
        let mut entry = entry();
        let shown = match entry.handle_segment(Instant::from_secs(2), &plain(), &segment.arriving()) {
            SynDisposition::Complete => "complete".to_owned(),
            SynDisposition::Answer(seg) => line(&seg, ISS, IRS),
            SynDisposition::Reset => "reset".to_owned(),
            SynDisposition::Dropped(_) => "dropped".to_owned(),
        };
        assert_eq!(shown, expected, "{name}");
    }
}

#[test]
fn an_entry_sends_its_syn_ack_six_times_and_gives_up() {
    let mut entry = entry();
    let config = plain();
    let mut now = Instant::from_secs(1);
    let mut waits = Vec::new();
    loop {
        let deadline = entry.deadline(now);
        waits.push((deadline - now).as_secs());
        now = deadline;
        match entry.handle_timer(now, &config) {
            SynTimeout::Resend(seg) => assert_eq!(line(&seg, ISS, IRS), "S. 0:1(0) ack 1"),
            SynTimeout::GiveUp => break,
            SynTimeout::NotYet => panic!("it was time"),
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32]);
}

/// What a cookie kept is enough for the same connection.
#[test]
fn a_restored_entry_makes_the_connection_that_the_kept_one_would() {
    let config = TcpConfig::default();
    let mut memory = Memory::new(BUDGET);
    let now = Instant::from_secs(1);
    let syn = peer(SYN, 0, 0).mss(900).scale(3).sack_ok().ts(77, 0).wnd(5000);
    let last = ack(1, 1).ts(78, 1000).wnd(700);
    let kept = SynReceived::new(now, &config, &config.defaults, &opening(ISS), &syn.arriving());
    let parts =
        Restored { irs: IRS, mss: Some(900), window_scale: Some(3), sack_permitted: true, ecn: false };
    let restored =
        SynReceived::restore(now, &config, &config.defaults, &opening(ISS), &parts, &last.arriving());
    let mut infos = [kept, restored].map(|entry| {
        let mut ctx = Ctx::new(now, &config, &mut memory);
        let mut conn = entry.into_connection(&mut ctx, config.defaults.clone(), &last.arriving());
        assert_eq!(conn.handle_segment(&mut ctx, &last.arriving()), Disposition::Taken);
        conn.info(&config)
    });
    // Only of the round trip the restored one knows nothing, and so it begins carefully.
    assert_eq!((infos[0].cwnd, infos[1].cwnd), (10 * 888, 888));
    infos[1].cwnd = infos[0].cwnd;
    for info in &mut infos {
        (info.rto, info.srtt, info.rttvar, info.min_rtt) = (Duration::ZERO, None, None, None);
    }
    assert_eq!(infos[0], infos[1]);
    assert_eq!(infos[0].snd_wnd, 700 << 3);
}
