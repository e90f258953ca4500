//! Each rule that keeps a stream whole, switched off, is noticed: retransmission, SACK, persist, PAWS, TIME-WAIT. Every test plays
//! the same scene twice, with the rule and without; the scene holds with it, and an oracle objects without it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

use stack::socket::options::TcpOption;
use stack::{Config, InterfaceConfig, Prefix, Secret, Stack, TcpHandle};
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use switchboard_sim::clock::Clock;
use switchboard_sim::link::{Conditions, End, Gate, Link, LinkConfig};
use switchboard_sim::oracle::{Stream, StreamId, Violation};
use switchboard_sim::trace::Trace;
use switchboard_sim::world::World;
use tcp::{SendFlags, TestSwitches};
use wire::ip::pseudo_v4;
use wire::meta::Capabilities;
use wire::{ipv4, tcp as header};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A connection from A to B on a perfect link of 50 ms each way, and the account of what A says.
struct Scene {
    world: World,
    client: TcpHandle,
    server: TcpHandle,
    stream: Stream,
}

impl Scene {
    fn new(switches: TestSwitches, receive_buffer: Option<u32>) -> Scene {
        let stack = |addr: Ipv4Addr, seed| {
            let capabilities = Capabilities { mtu: 1500, ..Capabilities::default() };
            let prefix = Prefix::new(IpAddr::V4(addr), 24).unwrap();
            let mut config = Config {
                interfaces: vec![InterfaceConfig::ip(capabilities).with_address(prefix)],
                ..Config::default()
            };
            config.tcp.connection.test = switches;
            Stack::new(&config, &Secret::from_seed(seed), Clock::START).unwrap()
        };
        let mut link = Link::new(LinkConfig::default(), 1);
        for end in End::BOTH {
            link.set_conditions(end, Conditions { delay: 50 * MS, ..Conditions::default() });
        }
        let mut world = World::new([stack(A, 1), stack(B, 2)], link, Trace::new(1_000_000));
        let (now, at) = (world.now(), SocketAddr::from((B, 80)));
        let listener = world.stack_mut(End::B).tcp_listener(now, at, 4).unwrap();
        if receive_buffer.is_some() {
            let option = TcpOption::ReceiveBuffer(receive_buffer);
            world.stack_mut(End::B).tcp_set_option(now, listener, option).unwrap();
        }
        let client = world.stack_mut(End::A).tcp_connect_to(now, at).unwrap();
        world.run_for(SECOND).unwrap();
        let (server, _) = world.stack_mut(End::B).tcp_accept(listener).unwrap();
        Scene { world, client, server, stream: Stream::new(StreamId { talk: 0, from: End::A }, 7) }
    }

    /// A says as much of `len` more bytes as its stack takes.
    fn say(&mut self, len: usize) -> usize {
        let mut bytes = vec![0; len];
        self.stream.fill(&mut bytes);
        let now = self.world.now();
        let taken = self
            .world
            .stack_mut(End::A)
            .tcp_send(now, self.client, &bytes, SendFlags::default())
            .unwrap_or(0);
        self.stream.on_sent(taken);
        self.world.settle().unwrap();
        taken
    }

    /// B reads what there is.
    fn hear(&mut self) -> Result<(), Violation> {
        let mut buffer = [0; 65_536];
        let now = self.world.now();
        while let Ok(len @ 1..) = self.world.stack_mut(End::B).tcp_recv(now, self.server, &mut buffer) {
            self.stream.on_received(&buffer[..len])?;
        }
        self.world.settle().unwrap();
        Ok(())
    }

    /// Both go on for `span`, in steps of ten milliseconds.
    fn go_on(&mut self, span: Duration) -> Result<(), Violation> {
        for _ in 0..span.as_millis() / 10 {
            self.world.run_for(10 * MS).unwrap();
            self.hear()?;
        }
        Ok(())
    }

    /// Says `len` bytes, all of them, while B reads.
    fn carry(&mut self, len: usize) -> Result<(), Violation> {
        let mut left = len;
        for _ in 0..10_000 {
            left -= self.say(left);
            self.go_on(10 * MS)?;
            if left == 0 {
                break;
            }
        }
        self.go_on(SECOND)
    }

    fn gate(&mut self, gate: impl FnMut(tcp::Instant, End, &[u8]) -> bool + 'static) {
        let gate: Gate = Box::new(gate);
        self.world.link.set_gate(Some(gate));
    }
}

/// The text of a TCP segment in an IPv4 packet.
fn text_len(frame: &[u8]) -> usize {
    let packet = ipv4::Packet::new(frame).unwrap();
    header::Packet::new(packet.payload()).unwrap().payload().len()
}

fn seq(frame: &[u8]) -> u32 {
    let packet = ipv4::Packet::new(frame).unwrap();
    header::Packet::new(packet.payload()).unwrap().seq()
}

fn flags(frame: &[u8]) -> header::Flags {
    let packet = ipv4::Packet::new(frame).unwrap();
    header::Packet::new(packet.payload()).unwrap().flags()
}

fn all() -> TestSwitches {
    TestSwitches::default()
}

/// The third segment of text is lost.
fn a_lost_segment(switches: TestSwitches) -> Result<(), Violation> {
    let mut scene = Scene::new(switches, None);
    let mut texts = 0;
    scene.gate(move |_, from, frame| {
        texts += usize::from(from == End::A && text_len(frame) > 0);
        texts != 3
    });
    scene.carry(50_000)?;
    scene.go_on(60 * SECOND)?;
    scene.stream.check_whole()
}

#[test]
fn without_retransmission_a_lost_segment_stays_lost() {
    assert_eq!(a_lost_segment(all()), Ok(()));
    let broken = a_lost_segment(TestSwitches { retransmission: false, ..all() });
    assert!(matches!(broken, Err(Violation::Truncated { .. })), "{broken:?}");
}

const HOLES: usize = 20;

/// Every other segment of a flight is lost: how long until all of it has arrived?
fn twenty_holes(switches: TestSwitches) -> Result<Duration, Violation> {
    let mut scene = Scene::new(switches, None);
    // Talk without a pause, so that the congestion window is large and full when the holes come.
    for _ in 0..50 {
        scene.say(100_000);
        scene.go_on(10 * MS)?;
    }
    let (mut texts, mut highest) = (0, None);
    scene.gate(move |_, from, frame| {
        if from == End::B || text_len(frame) == 0 {
            return true;
        }
        // Only what is sent for the first time is lost.
        let end = seq(frame).wrapping_add(text_len(frame) as u32);
        let first_time = highest.is_none_or(|highest: u32| (end.wrapping_sub(highest) as i32) > 0);
        if first_time {
            highest = Some(end);
            texts += 1;
        }
        !first_time || texts > 2 * HOLES || texts % 2 == 0
    });
    let start = scene.world.now();
    scene.say(100_000);
    for _ in 0..6_000 {
        scene.go_on(10 * MS)?;
        if scene.stream.check_whole().is_ok() {
            break;
        }
    }
    scene.stream.check_whole()?;
    let lost = scene.world.trace.frames().filter(|passed| passed.fate.lost.is_some()).count();
    assert_eq!(lost, HOLES, "the flight was long enough for all holes");
    Ok(scene.world.now().since(start))
}

#[test]
fn without_sack_twenty_holes_take_a_round_trip_each() {
    // RFC 6675 mends as many holes a round trip as the window holds; RFC 6582 section 1 mends one.
    let limit = 10 * 100 * MS;
    let with = twenty_holes(all()).unwrap();
    assert!(with < limit, "{with:?}");
    let without = twenty_holes(TestSwitches { sack: false, ..all() }).unwrap();
    assert!(without > limit, "{without:?}");
}

/// B's window closes; when B reads again, the ACKs that say so are lost.
fn a_lost_window_update(switches: TestSwitches) -> Result<(), Violation> {
    let mut scene = Scene::new(switches, Some(8_000));
    let mut left = 40_000;
    for _ in 0..100 {
        left -= scene.say(left);
        scene.world.run_for(100 * MS).unwrap(); // B reads nothing
    }
    scene.gate(|_, from, _| from == End::A);
    scene.hear()?;
    scene.world.run_for(100 * MS).unwrap();
    scene.gate(|_, _, _| true);
    scene.go_on(120 * SECOND)?;
    assert!(scene.stream.sent() > 8_000, "more than the window was queued");
    scene.stream.check_whole()
}

#[test]
fn without_persist_a_lost_window_update_stops_everything() {
    assert_eq!(a_lost_window_update(all()), Ok(()));
    let broken = a_lost_window_update(TestSwitches { persist: false, ..all() });
    assert!(matches!(broken, Err(Violation::Truncated { .. })), "{broken:?}");
}

/// A segment from long ago arrives when the sequence numbers have come round to it. Four GiB are not sent: the old segment's
/// number is moved instead, to where it would be after the wrap; its timestamp stays what it was (RFC 7323 5.1, appendix B).
fn an_old_segment_after_the_wrap(switches: TestSwitches) -> Result<(), Violation> {
    let mut scene = Scene::new(switches, None);
    let seen: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let record = Rc::clone(&seen);
    scene.gate(move |_, from, frame| {
        if from == End::A && text_len(frame) > 0 {
            record.borrow_mut().push(frame.to_vec());
        }
        true
    });
    scene.carry(10_000)?;
    scene.go_on(30 * SECOND)?;
    scene.carry(10_000)?;
    let (mut old, last) = {
        let seen = seen.borrow();
        (seen.first().unwrap().clone(), seen.last().unwrap().clone())
    };
    let next = {
        let packet = ipv4::Packet::new(&last).unwrap();
        let segment = header::Packet::new(packet.payload()).unwrap();
        segment.seq().wrapping_add(segment.payload().len() as u32)
    };
    let segment = &mut old[ipv4::HEADER_LEN..];
    segment[4..8].copy_from_slice(&next.to_be_bytes());
    header::put_checksum(segment, 0);
    let sum = pseudo_v4(A, B, wire::ip::Protocol::TCP, segment.len() as u16);
    header::fill_checksum(segment, sum);
    let now = scene.world.now();
    scene.world.link.inject(now, End::A, old);
    scene.go_on(SECOND)?;
    scene.carry(10_000)?;
    scene.stream.check_whole()
}

#[test]
fn without_paws_an_old_segment_enters_the_stream() {
    assert_eq!(an_old_segment_after_the_wrap(all()), Ok(()));
    let broken = an_old_segment_after_the_wrap(TestSwitches { paws: false, ..all() });
    assert!(
        matches!(broken, Err(Violation::Corrupted { .. } | Violation::Invented { .. })),
        "old bytes in a new place: {broken:?}"
    );
}

/// A closes first, and its last ACK is lost: B sends its FIN again. True if nobody answered with RST.
fn a_lost_last_ack(switches: TestSwitches) -> bool {
    let mut scene = Scene::new(switches, None);
    let now = scene.world.now();
    scene.world.stack_mut(End::A).tcp_shutdown(now, scene.client, Shutdown::Write).unwrap();
    scene.world.run_for(SECOND).unwrap();
    let mut lost = 0;
    scene.gate(move |_, from, frame| {
        let passes = from == End::B || lost > 0 || flags(frame).rst();
        lost += usize::from(!passes);
        passes
    });
    let now = scene.world.now();
    scene.world.stack_mut(End::B).tcp_shutdown(now, scene.server, Shutdown::Write).unwrap();
    scene.world.run_for(20 * SECOND).unwrap();
    let fins = scene.world.trace.frames().filter(|p| p.from == End::B && flags(&p.frame).fin()).count();
    assert!(fins >= 2, "the FIN came again");
    let resets = scene.world.trace.frames().filter(|p| flags(&p.frame).rst()).count();
    let failed = scene.world.stack_mut(End::B).tcp_take_error(scene.server).is_some();
    assert!(resets > 0 || !failed, "B fails only by a RST");
    resets == 0
}

#[test]
fn without_time_wait_a_lost_last_ack_is_a_reset() {
    assert!(a_lost_last_ack(all()), "TIME-WAIT answers the second FIN with an ACK");
    assert!(!a_lost_last_ack(TestSwitches { time_wait: false, ..all() }), "nobody is left but RST");
}
