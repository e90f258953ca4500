//! One who does not read, beside many who talk: nobody notices, and nothing is lost. In virtual time, so that how long something
//! takes says what waited for what, and not how busy the machine is.

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::Duration;

use sim::clock::Clock;
use sim::link::{Conditions, End, LinkConfig};
use switchboard_world::client::{Experience, Over, Planned};
use switchboard_world::oracle::{MessageId, Oracle};
use switchboard_world::world::{Config, DOMAIN, World};
use tcp::Instant;

/// Pairs who talk, each to the other; `SWITCHBOARD_PAIRS=500` makes a thousand people.
static PAIRS: LazyLock<usize> = LazyLock::new(|| match std::env::var("SWITCHBOARD_PAIRS") {
    Ok(text) => text.parse().expect("SWITCHBOARD_PAIRS is a number"),
    Err(_) => 40,
});
/// Messages each of them writes, one every so often.
const EACH: u32 = 4;
const EVERY: Duration = Duration::from_millis(250);
/// Messages for who does not read, a multiple of what the exchange keeps unacknowledged for one client.
const FLOOD: u32 = 2_500;
/// What was written to a client that is gone is noticed within this: `[limits] answer_secs`, and a little.
const NOTICED_WITHIN: Duration = Duration::from_secs(65);

fn conditions(cut: bool) -> Conditions {
    Conditions { delay: Duration::from_millis(10), cut, ..Conditions::default() }
}

struct Crowd {
    world: World,
    oracle: Oracle,
    /// When each message was to be written.
    planned: std::collections::HashMap<String, Instant>,
    latencies: Vec<Duration>,
}

impl Crowd {
    /// `PAIRS` pairs, and behind them one who writes and one who is written to.
    fn new() -> Self {
        let mut config = Config { loops: 2, ..Config::default() };
        config.exchange.limits.unacked_max = 500;
        let mut world = World::new(config, 11);
        for at in 0..2 * *PAIRS + 2 {
            let address = Ipv4Addr::new(10, 1, (at / 250) as u8, (at % 250) as u8 + 2);
            let site = world.add_site(address, None, LinkConfig::default(), conditions(false));
            let client = world.add_client(site, Over::Tcp, Some("phone"));
            world
                .with_client(client, |client| client.log_in(Clock::START + Duration::from_millis(at as u64)));
        }
        let within = Duration::from_secs(30);
        let ready = world.run_until(within, |world| world.clients().iter().all(|client| client.is_ready()));
        assert_eq!(ready, Ok(true));
        world.take_happened();
        Self { world, oracle: Oracle::default(), planned: Default::default(), latencies: Vec::new() }
    }

    fn plan(&mut self, from: usize, to: usize, number: u32, at: Instant) {
        let id = MessageId { from: from as u32, to: to as u32, number };
        let to = format!("{}@{DOMAIN}", self.world.client(to).number());
        self.planned.insert(id.to_string(), at);
        let planned = Planned { at, to, id: id.to_string(), body: id.body() };
        self.world.with_client(from, |client| client.plan(planned));
    }

    /// Lives on, noting what happens; until `done`, at most so long.
    fn live(&mut self, span: Duration, done: impl Fn(&World, &Oracle) -> bool) -> bool {
        let end = self.world.now() + span;
        loop {
            self.world.settle().expect("rest");
            for happened in self.world.take_happened() {
                if let Experience::Arrived(message) = &happened.what
                    && happened.client < 2 * *PAIRS
                    && let Some(at) = message.id.as_ref().and_then(|id| self.planned.get(id))
                {
                    self.latencies.push(happened.at.since(*at));
                }
                self.oracle.hear(&happened).expect("every rule holds");
            }
            if done(&self.world, &self.oracle) {
                return true;
            }
            match self.world.next_deadline().filter(|next| *next <= end) {
                Some(next) => self.world.advance_to(next),
                None if self.world.now() >= end => return false,
                None => self.world.advance_to(end),
            }
        }
    }
}

/// The 99th percentile of how long a message takes among the pairs.
fn p99(flooded: bool) -> Duration {
    let mut crowd = Crowd::new();
    let (writer, reader) = (2 * *PAIRS, 2 * *PAIRS + 1);
    let start = crowd.world.now() + Duration::from_secs(1);
    for number in 1..=EACH {
        for client in 0..2 * *PAIRS {
            crowd.plan(client, client ^ 1, number, start + EVERY * number);
        }
    }
    if flooded {
        let number = crowd.world.client(reader).number();
        let cut = |crowd: &mut Crowd, cut| {
            let link = &mut crowd.world.site_mut(reader).link;
            End::BOTH.into_iter().for_each(|end| link.set_conditions(end, conditions(cut)));
        };
        // Its cable is pulled, and somebody writes to it without end.
        cut(&mut crowd, true);
        for at in 1..=FLOOD {
            crowd.plan(writer, reader, at, start + Duration::from_millis(2) * at);
        }
        let is_here = |world: &World| world.who().iter().any(|line| line.number == Some(number));
        let begun = crowd.world.now();
        while is_here(&crowd.world) {
            assert!(crowd.world.now().since(begun) < NOTICED_WITHIN, "it is found: {:?}", crowd.world.who());
            crowd.live(Duration::from_secs(1), |_, _| false);
        }
        // Everything is taken though nobody is there, and comes once the cable is whole again.
        let taken = |world: &World, _: &Oracle| world.client(writer).is_done();
        assert!(crowd.live(Duration::from_secs(60), taken));
        cut(&mut crowd, false);
        assert!(crowd.live(Duration::from_secs(300), |_, oracle| oracle.is_content()));
        assert_eq!(crowd.oracle.finish(), Ok(()));
    } else {
        crowd.live(EVERY * (EACH + 20), |_, _| false);
    }
    let mut latencies = crowd.latencies;
    assert_eq!(latencies.len(), 2 * *PAIRS * EACH as usize, "everybody was heard");
    latencies.sort_unstable();
    latencies[latencies.len() * 99 / 100]
}

#[test]
fn one_who_does_not_read_disturbs_nobody_and_loses_nothing() {
    let (alone, beside) = (p99(false), p99(true));
    // Two cables of ten milliseconds; nothing else is between them.
    assert!(alone < Duration::from_millis(25), "{alone:?}");
    assert!(beside <= alone + Duration::from_millis(1), "{beside:?} beside it, {alone:?} without");
}

#[test]
fn a_full_queue_between_loops_stops_reading_the_sender_until_it_is_read() {
    /// More than the queue, the loop and both hosts' buffers hold.
    const MESSAGES: u32 = 4_000;
    /// What comes in one go before the queue is known to be full, and half of what one client may have in flight.
    const READ_MAX: u64 = 128;
    let mut config = Config { loops: 2, ..Config::default() };
    config.exchange.engine.mailbox_max = 4;
    let mut world = World::new(config, 5);
    for at in 0..16_u8 {
        let address = Ipv4Addr::new(10, 1, 0, at + 2);
        let site = world.add_site(address, None, LinkConfig::default(), conditions(false));
        let client = world.add_client(site, Over::Tcp, Some("phone"));
        world.with_client(client, |client| client.log_in(Clock::START));
    }
    let ready =
        world.run_until(Duration::from_secs(30), |world| world.clients().iter().all(|c| c.is_ready()));
    assert_eq!(ready, Ok(true));
    world.take_happened();
    let (here, there) = (world.clients_of_loop(0), world.clients_of_loop(1));
    let ([writer, neighbour, friend, ..], [reader, ..]) = (&here[..], &there[..]) else {
        panic!("sixteen clients are on both loops: {here:?}, {there:?}")
    };
    let (writer, neighbour, friend, reader) = (*writer, *neighbour, *friend, *reader);
    let mut crowd =
        Crowd { world, oracle: Oracle::default(), planned: Default::default(), latencies: Vec::new() };

    // The other loop's thread gets no time, and somebody writes to who is there.
    crowd.world.stall(Some(1));
    let before = crowd.world.stanzas_read(0);
    let start = crowd.world.now();
    (1..=MESSAGES).for_each(|number| crowd.plan(writer, reader, number, start));
    crowd.live(Duration::from_secs(5), |_, _| false);
    let (unsent, read) = (crowd.world.client(writer).unsent(), crowd.world.stanzas_read(0) - before);
    assert!(unsent > 0, "its host took all of it");
    assert!((1..READ_MAX).contains(&read), "{read} stanzas were read");
    crowd.plan(neighbour, friend, 1, crowd.world.now());
    let heard = |_: &World, oracle: &Oracle| oracle.counts()[2] == 1;
    assert!(crowd.live(Duration::from_secs(5), heard), "others of the loop go on");
    crowd.live(Duration::from_secs(5), |_, _| false);
    assert_eq!(crowd.world.stanzas_read(0) - before, read + 1, "nothing more of its is read");
    assert_eq!(crowd.world.client(writer).unsent(), unsent);

    crowd.world.stall(None);
    let all = |world: &World, oracle: &Oracle| {
        oracle.counts()[2] == u64::from(MESSAGES) + 1 && world.client(writer).is_done()
    };
    assert!(crowd.live(Duration::from_secs(120), all), "{:?}", crowd.oracle.counts());
    assert_eq!(crowd.world.client(writer).unsent(), 0);
}
