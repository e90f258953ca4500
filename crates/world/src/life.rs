//! One life from one seed: clients who write to each other while links fail, the disk fills up and the exchange is killed and started
//! again; then peace; then everybody leaves.
//! Owns: the draw, the loop and the judgement. Invariants: over clear TCP a seed gives one life, octet for octet.
//! Not here: the rules that are judged by (`oracle`).

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use sim::clock::Clock;
use sim::fault::Schedule;
use sim::link::{Conditions, LinkConfig};
use sim::rng::Rng;
use tcp::Instant;
use xmpp::address::AccountNumber;

use crate::client::{Experience, Over, Planned};
use crate::oracle::{MessageId, Oracle, Violation};
use crate::world::{Config, DOMAIN, Happened, World};

/// Messages that one client plans, at most.
const MESSAGES_MAX: u64 = 12;
/// Everybody's messages are planned within this.
const TALK_MAX: Duration = Duration::from_secs(60);
/// Links begin to fail within this of the start, and [`Schedule`] bounds how long they do.
const FAULTS_BEGIN_MAX: Duration = Duration::from_secs(40);
/// Kills and full disks, at most.
const KILLS_MAX: u64 = 2;
/// How long the exchange stays down, at most.
const DOWN_MAX: Duration = Duration::from_secs(5);
/// After the last fault every message has come within this: a peer that vanished is found after five minutes of silence and one of
/// waiting for an answer, or after two minutes of unacknowledged bytes; clients ask after one minute and wait half of one.
const SETTLE_MAX: Duration = Duration::from_secs(900);
/// After everybody has said good-bye, nothing is left within this.
const LEAVE_MAX: Duration = Duration::from_secs(300);

/// How a life is lived.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Clients, at most; a life draws from half of this on.
    pub clients_max: u64,
    /// Clients over QUIC, in a million. Any make the life one of its kind: its digest is another every time.
    pub quic: u32,
    /// Clients over TLS, likewise: half of them from the first byte, half by STARTTLS.
    pub tls: u32,
    /// Whether links fail, the disk fills up and the exchange is killed.
    pub faults: bool,
    /// What happened is kept, a line an event, so many at most.
    pub lines_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { clients_max: 60, quic: 0, tls: 0, faults: true, lines_max: 0 }
    }
}

/// How a life went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What did not hold, if anything.
    pub violation: Option<Violation>,
    /// Everything that passed on every link, as one number.
    pub digest: u64,
    /// How long it took, on its own clock.
    pub lasted: Duration,
    /// Written, acknowledged, arrived, arrived again in a later session, came back.
    pub counts: [u64; 5],
    /// How often the exchange was killed.
    pub kills: u64,
    /// Writes that the disk refused.
    pub refused: u64,
    /// Sessions that all clients had together.
    pub sessions: u64,
    /// What was drawn, in words.
    pub drawn: String,
    /// What happened, the latest lines.
    pub lines: Vec<String>,
}

/// Something that is done to the world at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    Kill,
    Start,
    Fill,
    Empty,
}

struct Plan {
    blows: Vec<(Instant, Blow)>,
    /// When the last of all faults is over.
    peace: Instant,
}

/// Lives one life.
pub fn live(seed: u64, options: Options) -> Outcome {
    let mut rng = Rng::new(seed);
    let loops = rng.between(1, 3) as usize;
    let clients = rng.between(options.clients_max.div_ceil(2).max(2), options.clients_max.max(2));
    let commit_max = Duration::from_micros(rng.spread(200, 100_000));
    let config = Config { loops, commit: (Duration::from_micros(100), commit_max), ..Config::default() };
    let mut world = World::new(config, rng.next_u64());
    let mut peace = draw_clients(&mut rng, &mut world, clients, options);
    draw_messages(&mut rng, &mut world, clients);
    let blows = if options.faults { draw_blows(&mut rng) } else { Vec::new() };
    peace = blows.iter().map(|(at, _)| *at).fold(peace, Instant::max);
    let drawn = format!("{clients} clients, {loops} loops, commits up to {commit_max:?}, {blows:?}");
    let plan = Plan { blows, peace };
    let mut life = Life { world, oracle: Oracle::default(), lines: Vec::new(), lines_max: options.lines_max };
    let violation = life.run(&plan).err();
    let sessions = life.world.clients().iter().map(|client| u64::from(client.session())).sum();
    Outcome {
        violation,
        digest: life.world.digest.value(),
        lasted: life.world.now().since(Clock::START),
        counts: life.oracle.counts(),
        kills: plan.blows.iter().filter(|(_, blow)| *blow == Blow::Kill).count() as u64,
        refused: life.world.disk().refused(),
        sessions,
        drawn,
        lines: life.lines,
    }
}

/// Sites, links and clients. Answers when the last link is healed.
fn draw_clients(rng: &mut Rng, world: &mut World, clients: u64, options: Options) -> Instant {
    let start = world.now();
    let mut peace = start;
    for at in 0..clients {
        let base = Conditions {
            delay: Duration::from_micros(rng.spread(100, 150_000)),
            jitter: Duration::from_micros(rng.spread(10, 10_000)),
            ..Conditions::default()
        };
        let octets = (at as u32 + 2).to_be_bytes();
        let inside = Ipv4Addr::new(192, 168, octets[2], octets[3]);
        let outside = Ipv4Addr::new(10, 1, octets[2], octets[3]);
        // One home in three has a NAT box.
        let behind_nat = rng.chance(333_333);
        let (address, nat) = if behind_nat { (inside, Some(outside)) } else { (outside, None) };
        let site = world.add_site(address, nat, LinkConfig::default(), base);
        if options.faults && rng.chance(600_000) {
            let begin = start + rng.duration(FAULTS_BEGIN_MAX);
            let schedule = Schedule::draw(rng, begin, base);
            peace = peace.max(schedule.healed_at().unwrap_or(start));
            world.set_schedule(site, schedule);
        }
        let over = draw_carrier(rng, options);
        let client = world.add_client(site, over, Some("phone"));
        let first = start + rng.duration(Duration::from_secs(10));
        world.with_client(client, |client| client.log_in(first));
    }
    peace
}

fn draw_carrier(rng: &mut Rng, options: Options) -> Over {
    let drawn = rng.below(1_000_000);
    let (quic, tls) = (u64::from(options.quic), u64::from(options.tls));
    match drawn {
        drawn if drawn < quic => Over::Quic,
        drawn if drawn < quic + tls / 2 => Over::Tls,
        drawn if drawn < quic + tls => Over::StartTls,
        _ => Over::Tcp,
    }
}

/// Everybody writes to a few others, at drawn times.
fn draw_messages(rng: &mut Rng, world: &mut World, clients: u64) {
    let start = world.now();
    let numbers: Vec<u64> = world.clients().iter().map(crate::client::Client::number).collect();
    let mut next = std::collections::BTreeMap::<(u32, u32), u32>::new();
    for from in 0..clients {
        let friends: Vec<u64> =
            (0..rng.between(1, 3)).map(|_| (from + rng.between(1, clients - 1)) % clients).collect();
        let mut times: Vec<Instant> =
            (0..rng.between(0, MESSAGES_MAX)).map(|_| start + rng.duration(TALK_MAX)).collect();
        times.sort_unstable();
        for at in times {
            let to = rng.pick(&friends);
            let number = next.entry((from as u32, to as u32)).or_default();
            *number += 1;
            let id = MessageId { from: from as u32, to: to as u32, number: *number };
            let address = AccountNumber::new(numbers[to as usize]).expect("a number that was given out");
            let planned =
                Planned { at, to: format!("{address}@{DOMAIN}"), id: id.to_string(), body: id.body() };
            world.with_client(from as usize, |client| client.plan(planned));
        }
    }
}

fn draw_blows(rng: &mut Rng) -> Vec<(Instant, Blow)> {
    let mut blows = Vec::new();
    let mut at = Clock::START + Duration::from_secs(5);
    for _ in 0..rng.between(0, KILLS_MAX) {
        at += rng.duration(Duration::from_secs(25));
        blows.push((at, Blow::Kill));
        at += rng.duration(DOWN_MAX);
        blows.push((at, Blow::Start));
    }
    let mut at = Clock::START + Duration::from_secs(5);
    for _ in 0..rng.between(0, KILLS_MAX) {
        at += rng.duration(Duration::from_secs(20));
        blows.push((at, Blow::Fill));
        at += rng.duration(Duration::from_secs(10));
        blows.push((at, Blow::Empty));
    }
    blows.sort_unstable();
    blows
}

struct Life {
    world: World,
    oracle: Oracle,
    lines: Vec<String>,
    lines_max: usize,
}

impl Life {
    fn run(&mut self, plan: &Plan) -> Result<(), Violation> {
        for (at, blow) in &plan.blows {
            self.live_until(*at, |_, _| false)?;
            self.line(format_args!("{blow:?}"));
            match blow {
                Blow::Kill => self.world.kill(),
                Blow::Start => self.world.start(),
                Blow::Fill => self.world.disk().set_full(true),
                Blow::Empty => self.world.disk().set_full(false),
            }
        }
        self.live_until(plan.peace.max(Clock::START + TALK_MAX), |_, _| false)?;
        self.line(format_args!("Peace"));
        let end = self.world.now() + SETTLE_MAX;
        let settled = self.live_until(end, |world, oracle| {
            oracle.is_content() && world.clients().iter().all(|client| client.is_ready() && client.is_done())
        })?;
        self.oracle.finish()?;
        if !settled {
            let clients = self.world.clients().iter().enumerate();
            let busy = clients.filter(|(_, client)| !client.is_ready() || !client.is_done());
            return Err(Violation::NoEnd { clients: busy.map(|(at, _)| at).collect() });
        }
        for client in 0..self.world.clients().len() {
            self.world.with_client(client, crate::client::Client::log_out);
        }
        let end = self.world.now() + LEAVE_MAX;
        self.live_until(end, |world, _| {
            world.connections() == 0 && world.clients().iter().all(crate::client::Client::is_away)
        })?;
        match self.world.connections() {
            0 => Ok(()),
            left => Err(Violation::Remains(left)),
        }
    }

    /// Lives on until `end`, or until `done`; answers whether that came true.
    fn live_until(
        &mut self,
        end: Instant,
        done: impl Fn(&World, &Oracle) -> bool,
    ) -> Result<bool, Violation> {
        loop {
            self.world.settle().map_err(|_| Violation::Restless)?;
            for happened in self.world.take_happened() {
                self.tell(&happened);
                self.oracle.hear(&happened)?;
            }
            if done(&self.world, &self.oracle) {
                return Ok(true);
            }
            let next = self.world.next_deadline().filter(|next| *next <= end);
            if next.is_none() && self.world.now() >= end {
                return Ok(false);
            }
            self.world.advance_to(next.unwrap_or(end));
        }
    }

    fn tell(&mut self, happened: &Happened) {
        if self.lines_max == 0 {
            return;
        }
        let what = match &happened.what {
            Experience::Ready { jid } => format!("is ready as {jid}"),
            Experience::Wrote { id } => format!("wrote {id}"),
            Experience::Acknowledged { id } => format!("heard that {id} is taken"),
            Experience::Arrived(message) => format!("got {}", message.id.as_deref().unwrap_or("?")),
            Experience::Archived(message) => {
                format!("found {} in the archive", message.id.as_deref().unwrap_or("?"))
            }
            Experience::Bounced { id, why } => format!("got {id} back: {why}"),
            Experience::Ended { why } => format!("is cut off: {why}"),
        };
        self.line(format_args!("client {} ({}) {what}", happened.client, happened.session));
    }

    fn line(&mut self, what: fmt::Arguments<'_>) {
        if self.lines_max == 0 {
            return;
        }
        if self.lines.len() >= self.lines_max {
            self.lines.remove(0);
        }
        let time = self.world.now().since(Clock::START).as_secs_f64();
        self.lines.push(format!("{time:12.6} {what}"));
    }
}
