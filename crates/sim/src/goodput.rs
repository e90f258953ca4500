//! Goodput: what one connection carries over a link that loses frames, in virtual time.
//! Units: octets, shares of a million, bits a second.
//! Owns: the two programs, one that always has something to say and one that always listens. Invariants: the same path gives the
//! same figure, wherever it is measured.
//! Not here: the same link in real time, beside the kernel's sender (`crates/net/examples/beside_linux.rs`).

use crate::clock::Clock;
use crate::link::{Conditions, End, Link, LinkConfig};
use crate::trace::Trace;
use crate::world::World;
use stack::frame::Capabilities;
use stack::{Config, InterfaceConfig, Secret, Stack};
use std::io;
use std::time::Duration;
use tcp::{SendFlags, TcpInfo};

/// A path between two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Frames that vanish, each way, of a million.
    pub loss: u32,
    /// Frames held back, each way, of a million, for up to an eighth of a round trip: later ones overtake them.
    pub reorder: u32,
    /// The time there and back without a queue.
    pub round_trip: Duration,
    /// Bits a second, each way; 0: without limit.
    pub rate: u64,
    /// Frames that wait for the wire, at most.
    pub queue_max: usize,
    /// What chances come from.
    pub seed: u64,
}

impl Path {
    /// The path of the figures in docs/benchmarks.md: 20 ms, 1 Gbit/s, a queue of one round trip.
    pub const fn of_loss(loss: u32, seed: u64) -> Path {
        Path {
            loss,
            reorder: 0,
            round_trip: Duration::from_millis(20),
            rate: 1_000_000_000,
            queue_max: 1_667,
            seed,
        }
    }

    /// What it does to frames, each way.
    pub fn conditions(&self) -> Conditions {
        Conditions {
            loss: self.loss,
            reorder: self.reorder,
            reorder_by: self.round_trip / 8,
            delay: self.round_trip / 2,
            ..Conditions::default()
        }
    }

    /// The wire.
    pub fn link(&self) -> Link {
        let config = LinkConfig { rate: self.rate, queue_max: self.queue_max, ..LinkConfig::default() };
        let mut link = Link::new(config, self.seed);
        for end in End::BOTH {
            link.set_conditions(end, self.conditions());
        }
        link
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Goodput {
    /// Octets that the reader had from the first to the last.
    pub octets: u64,
    /// From the start of the opening to the end.
    pub span: Duration,
    /// The sender's view at the end.
    pub sender: TcpInfo,
}

impl Goodput {
    /// Bits a second.
    pub fn bits_per_second(&self) -> f64 {
        self.octets as f64 * 8.0 / self.span.as_secs_f64()
    }
}

/// Sends for `span` over `path`. `change` may set what the hosts' configurations are to differ in from the default.
///
/// # Errors
/// The stacks contradict themselves, or the connection fails: neither is the link's doing.
pub fn measure(path: &Path, span: Duration, change: impl Fn(&mut Config)) -> io::Result<Goodput> {
    let host = |address: &str, seed: u64| {
        let prefix = address.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        let interface = InterfaceConfig::ip(Capabilities::default()).with_address(prefix);
        let mut config = Config { interfaces: vec![interface], ..Config::default() };
        change(&mut config);
        Stack::new(&config, &Secret::from_seed(seed), Clock::START)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    };
    let stacks = [host("10.0.0.1/24", path.seed)?, host("10.0.0.2/24", path.seed + 1)?];
    let mut world = World::new(stacks, path.link(), Trace::new(0));
    world.batch = 64;
    let (start, end) = (world.now(), world.now() + span);
    let target = "10.0.0.2:80".parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    let listener = world.stack_mut(End::B).tcp_listener(start, target, 1)?;
    let sender = world.stack_mut(End::A).tcp_connect_to(start, target)?;
    let mut reader = None;
    let (data, mut buffer) = (vec![0x5a; 1 << 16], vec![0; 1 << 16]);
    let mut octets = 0;
    loop {
        let restless = |_| io::Error::other("two hosts answer each other without end");
        world.settle().map_err(restless)?;
        let now = world.now();
        let sends = world.stack_mut(End::A);
        while sends.tcp_send(now, sender, &data, SendFlags::default()).is_ok_and(|taken| taken == data.len())
        {
        }
        let reads = world.stack_mut(End::B);
        if reader.is_none() {
            reader = reads.tcp_accept(listener).ok().map(|accepted| accepted.0);
        }
        if let Some(reader) = reader {
            while let Ok(len @ 1..) = reads.tcp_recv(now, reader, &mut buffer) {
                octets += len as u64;
            }
        }
        world.settle().map_err(restless)?;
        match world.next_deadline().filter(|next| *next <= end) {
            Some(next) => world.advance_to(next),
            None => break,
        }
    }
    let sender = world.stack(End::A).tcp_info(sender).ok_or(io::ErrorKind::ConnectionAborted)?;
    Ok(Goodput { octets, span: end - start, sender })
}
