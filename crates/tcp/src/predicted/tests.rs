//! The short way beside the long one: two connections, one life, and the same connection at every step.

use proptest::prelude::*;
use wire::tcp::Flags;

use crate::testing::*;
use crate::{Disposition, Settings, TcpConfig};

/// Something that happens to a connection.
#[derive(Clone, Debug)]
enum Step {
    /// In order, so many octets, acknowledging so many thousandths of what is out.
    Text {
        len: usize,
        acked: i64,
        push: bool,
    },
    /// As `Text`, and then texts that continue it, which came together with it: of one stride where there is a short way.
    Run {
        lens: Vec<usize>,
        acked: i64,
        ce: bool,
    },
    /// So far from RCV.NXT, and with such flags: what is not expected, between what is.
    Odd {
        offset: i64,
        len: usize,
        acked: i64,
        flags: u16,
        wnd: u16,
        ce: bool,
        ticks: u32,
    },
    Write(usize),
    Read(usize),
    ShutRead,
    Pass(u64),
    Poll,
}

fn step() -> impl Strategy<Value = Step> {
    let flags =
        prop_oneof![5 => Just(Flags::NONE), 1 => Just(Flags::ECE), 1 => Just(Flags::CWR), 1 => Just(Flags::URG),
        1 => Just(Flags::SYN), 1 => Just(Flags::RST), 1 => Just(Flags::FIN)]
        .prop_map(|flags: Flags| flags.bits());
    let odd = (
        prop_oneof![-1500i64..1500, Just(0), Just(70_000)],
        0usize..1200,
        -500i64..1500,
        flags,
        any::<u16>(),
        prop::bool::weighted(0.1),
        prop_oneof![8 => 0u32..3, 1 => Just(u32::MAX - 5)],
    )
        .prop_map(|(offset, len, acked, flags, wnd, ce, ticks)| Step::Odd {
            offset,
            len,
            acked,
            flags,
            wnd,
            ce,
            ticks,
        });
    prop_oneof![
        8 => (0usize..1200, 0i64..=1000, any::<bool>())
            .prop_map(|(len, acked, push)| Step::Text { len, acked, push }),
        4 => (prop::collection::vec(0usize..1200, 1..12), 0i64..=1000, prop::bool::weighted(0.1))
            .prop_map(|(lens, acked, ce)| Step::Run { lens, acked, ce }),
        2 => odd,
        3 => (1usize..5000).prop_map(Step::Write),
        3 => (1usize..5000).prop_map(Step::Read),
        1 => Just(Step::ShutRead),
        2 => (0u64..400).prop_map(Step::Pass),
        5 => Just(Step::Poll),
    ]
}

/// Plays one step; what it brought to light, as text.
fn play(script: &mut Script, step: &Step, stamps: bool) -> String {
    let (nxt, una, snd_nxt) = (
        i64::from(script.conn.rcv.nxt.distance(IRS)),
        i64::from(script.conn.snd.una.distance(ISS)),
        i64::from(script.conn.snd.nxt.distance(ISS)),
    );
    let clock = u32::try_from(script.now.as_millis()).unwrap_or(0);
    let stamped = |peer: Peer, ticks: u32| {
        if stamps { peer.ts(clock.wrapping_add(ticks), clock) } else { peer }
    };
    let said = match *step {
        Step::Text { len, acked, push } => {
            let psh = if push { Flags::PSH } else { Flags::NONE };
            let at = una + (snd_nxt - una) * acked / 1000;
            format!("{:?}", script.arrives(stamped(ack(nxt, at).octets(len).with(psh), 0)))
        }
        Step::Run { ref lens, acked, ce } => {
            let at = una + (snd_nxt - una) * acked / 1000;
            let mut seq = nxt;
            let run = lens.iter().map(|len| {
                let mut text = stamped(ack(seq, at).octets(*len), 0);
                text.ce = ce;
                seq += *len as i64;
                text
            });
            arrive_together(script, &run.collect::<Vec<_>>())
        }
        Step::Odd { offset, len, acked, flags, wnd, ce, ticks } => {
            let mut odd = ack(nxt + offset, una + acked).octets(len).wnd(wnd).with(Flags::from_bits(flags));
            odd.ce = ce;
            odd.up = 7;
            format!("{:?}", script.arrives(stamped(odd, ticks)))
        }
        Step::Write(len) => {
            format!("{:?}", script.send(&vec![1; len], crate::SendFlags::default()))
        }
        Step::Read(len) => format!("{:?}", script.recv(len)),
        Step::ShutRead => {
            script.with(|conn, ctx| conn.shutdown_read(ctx));
            String::new()
        }
        Step::Pass(millis) => {
            script.pass(ms(millis));
            String::new()
        }
        Step::Poll => format!("{:?}", script.drain()),
    };
    let deadline = script.deadline();
    format!("{said} {deadline:?} {:?} {:?}", script.events(), script.conn)
}

/// What becomes of each segment of a run, the short way being taken where it may.
fn arrive_together(script: &mut Script, run: &[Peer]) -> String {
    let mut said = String::new();
    let mut continues = false;
    for text in run {
        let taken = script.with(|conn, ctx| {
            let continued = if continues { conn.handle_continued(ctx, &text.arriving()) } else { None };
            continued.unwrap_or_else(|| conn.handle_segment(ctx, &text.arriving()))
        });
        continues = taken == Disposition::Taken;
        said += &format!("{taken:?} ");
    }
    said
}

/// Memory for a few segments.
const SCARCE: usize = 4 * crate::budget::BLOCK_SIZE;

fn opened(config: TcpConfig, settings: Settings, syn_ack: Peer, budget: usize) -> Script {
    let mut script = Script::opened(config, settings, syn_ack);
    assert_eq!(script.memory.budget.used(), 0);
    script.memory.budget = crate::Budget::new(budget);
    script
}

proptest! {
    #[test]
    fn both_ways_leave_the_same_connection(
        steps in prop::collection::vec(step(), 1..60),
        stamps in any::<bool>(),
        sack in any::<bool>(),
        budget in prop_oneof![Just(SCARCE), Just(BUDGET)],
        low_water in prop_oneof![Just(1), Just(2000)],
    ) {
        let config = TcpConfig { timestamps: stamps, sack, ..TcpConfig::default() };
        let long = TcpConfig { test: crate::TestSwitches { prediction: false, ..config.test }, ..config.clone() };
        let mut syn_ack = syn_ack().mss(MSS).scale(3);
        if stamps {
            syn_ack = syn_ack.ts(1_000, 1_000);
        }
        if sack {
            syn_ack = syn_ack.sack_ok();
        }
        let settings = Settings { receive_low_water: low_water, ..Settings::default() };
        let mut ways = [config, long].map(|config| opened(config, settings.clone(), syn_ack.clone(), budget));
        for step in &steps {
            let [short, long] = ways.each_mut().map(|way| play(way, step, stamps));
            prop_assert_eq!(short, long, "{:?}", step);
        }
    }
}

/// The peer sends on though nobody reads: what finds no memory is refused, whichever way it goes.
#[test]
fn both_ways_refuse_what_finds_no_memory() {
    let config = TcpConfig::default();
    let long = TcpConfig { test: crate::TestSwitches { prediction: false, ..config.test }, ..config.clone() };
    let mut ways = [config, long]
        .map(|config| opened(config, Settings::default(), syn_ack().mss(MSS).sack_ok(), SCARCE));
    let mut refusals = 0;
    for _ in 0..=SCARCE / 1000 {
        let text = Step::Text { len: 1000, acked: 0, push: false };
        for step in [text, Step::Poll] {
            let [short, long] = ways.each_mut().map(|way| play(way, &step, false));
            refusals += usize::from(short.contains("NoMemory"));
            assert_eq!(short, long);
        }
    }
    assert!(refusals > 0 && ways[0].memory.budget.refused() > 0);
}

/// The short way is taken at all, and by whom not.
#[test]
fn the_expected_segment_is_predicted_and_no_other() {
    let mut script = Script::established();
    script.write(500);
    script.drain();
    let expected = |script: &mut Script, peer: Peer| {
        script.with(|conn, ctx| conn.predicts(ctx, &peer.arriving()).is_some())
    };
    let table = [
        (ack(1, 1).octets(100), true),
        (ack(1, 501), true),
        (ack(1, 501).octets(100).with(Flags::PSH), true),
        (ack(2, 1).octets(100), false),
        (ack(0, 1).octets(100), false),
        (ack(1, 502), false),
        (ack(1, 1).octets(100).with(Flags::FIN), false),
        (ack(1, 1).with(Flags::RST), false),
        (ack(1, 1).with(Flags::SYN), false),
        (ack(1, 1).octets(10).urg(5), false),
        (ack(1, 1).octets(10).ce(), false),
        (ack(1, 1).octets(10).with(Flags::ECE), false),
        (peer(Flags::PSH, 1, 1).octets(10), false),
        (ack(1, 1).octets(10).sack(1, 2), false),
        (ack(1, 1).octets(65_536), false),
    ];
    for (peer, want) in table {
        assert_eq!(expected(&mut script, peer.clone()), want, "{:?}", peer.arriving());
    }
    script.arrives(ack(101, 1).octets(100));
    assert!(!expected(&mut script, ack(1, 1).octets(100)), "something lies early");
}

/// Of segments that came together, the first says all; what cannot be said by it alone is not passed over.
#[test]
fn a_segment_continues_another_only_where_text_is_all_that_is_left() {
    let mut script = Script::established();
    let continued = |script: &mut Script, peer: Peer| {
        script.with(|conn, ctx| conn.handle_continued(ctx, &peer.arriving()))
    };
    assert_eq!(script.arrives(ack(1, 1).octets(100)), Disposition::Taken);
    assert_eq!(continued(&mut script, ack(101, 1).octets(100)), Some(Disposition::Taken));
    for odd in [
        ack(201, 1),
        ack(202, 1).octets(100),
        ack(201, 0).octets(100),
        ack(201, 1).octets(65_536),
        ack(201, 1).octets(100).with(Flags::FIN),
        ack(201, 1).octets(100).ce(),
        ack(201, 1).octets(100).sack(1, 2),
    ] {
        assert_eq!(continued(&mut script, odd.clone()), None, "{:?}", odd.arriving());
    }
    assert_eq!(script.recv(1000).map(|text| text.len()), Ok(200));
    script.write(10);
    assert_eq!(continued(&mut script, ack(201, 1).octets(100)), None, "an ACK may be news now");
}
