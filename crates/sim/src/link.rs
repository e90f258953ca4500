//! A cable between two ends, and everything that can be wrong with it.
//! Spec: damage is what an Internet checksum must catch: one bit, or a burst of fewer than 16 (RFC 1071 section 1).
//! Owns: the frames under way. Invariants: bounded by `queue_max` a direction; the same seed, frames and times give the same
//! deliveries; frames keep their order unless reordering picks one.
//! Not here: when conditions change (`fault`), what frames mean. A link knows no stack: it may be driven in real time too.

use crate::rng::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use tcp::Instant;

/// One end of a link, and the host there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// The first host.
    A,
    /// The second.
    B,
}

impl End {
    /// Both, in order.
    pub const BOTH: [End; 2] = [End::A, End::B];

    /// The far end.
    #[must_use]
    pub fn other(self) -> End {
        match self {
            End::A => End::B,
            End::B => End::A,
        }
    }

    /// As an index into pairs.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Who may use the cable when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplex {
    /// Both directions at once.
    #[default]
    Full,
    /// One direction at a time: they share the rate.
    Half,
    /// From A to B only; what B sends vanishes.
    Simplex,
}

/// What one direction does to frames. Shares are of a million; the default is a perfect cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// Frames that vanish.
    pub loss: u32,
    /// Frames that arrive twice.
    pub duplicate: u32,
    /// Frames that arrive damaged.
    pub corrupt: u32,
    /// Frames that are held back, so that later ones overtake them.
    pub reorder: u32,
    /// For how long, at most.
    pub reorder_by: Duration,
    /// How long every frame is under way.
    pub delay: Duration,
    /// How much longer some are, at most; order is kept.
    pub jitter: Duration,
    /// Nothing passes.
    pub cut: bool,
}

impl Default for Conditions {
    fn default() -> Conditions {
        Conditions {
            loss: 0,
            duplicate: 0,
            corrupt: 0,
            reorder: 0,
            reorder_by: Duration::ZERO,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            cut: false,
        }
    }
}

impl Conditions {
    /// The same path without its faults: delay and jitter stay.
    #[must_use]
    pub fn healed(self) -> Conditions {
        Conditions { delay: self.delay, jitter: self.jitter, ..Conditions::default() }
    }
}

/// What a link is, whatever happens on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkConfig {
    /// Who may use it when.
    pub duplex: Duplex,
    /// Bits a second in each direction; 0: without limit.
    pub rate: u64,
    /// Frames waiting for the wire in each direction, at most; later ones are dropped, as a router's queue does.
    pub queue_max: usize,
}

impl Default for LinkConfig {
    fn default() -> LinkConfig {
        LinkConfig { duplex: Duplex::Full, rate: 0, queue_max: 1000 }
    }
}

/// What became of a frame that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fate {
    /// It will not arrive, and why.
    pub lost: Option<Loss>,
    /// It will arrive damaged.
    pub corrupted: bool,
    /// It will arrive twice.
    pub duplicated: bool,
    /// Later frames may overtake it.
    pub held: bool,
}

/// Why a frame does not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// By chance.
    Chance,
    /// The queue before the wire was full.
    Queue,
    /// The cable was cut, or carries nothing that way.
    Cut,
    /// A test's gate did not let it pass.
    Gate,
}

/// Decides about single frames before the link does: what a test uses that wants the third segment lost.
pub type Gate = Box<dyn FnMut(Instant, End, &[u8]) -> bool>;

/// A cable.
pub struct Link {
    config: LinkConfig,
    lanes: [Lane; 2],
    gate: Option<Gate>,
}

struct Lane {
    conditions: Conditions,
    rng: Rng,
    /// When the wire is free again.
    free_at: Instant,
    /// When each frame that waits for the wire, or is on it, will have left.
    leaving: std::collections::VecDeque<Instant>,
    /// When the latest frame in order arrives.
    latest: Instant,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    sequence: u64,
}

/// Ordered by arrival, then by the order of sending: the first two fields decide.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    arrives: Instant,
    sequence: u64,
    frame: Vec<u8>,
}

impl Link {
    /// A cable whose chances come from `seed`; perfect until told otherwise.
    pub fn new(config: LinkConfig, seed: u64) -> Link {
        let mut rng = Rng::new(seed);
        let lanes = std::array::from_fn(|_| Lane {
            conditions: Conditions::default(),
            rng: rng.fork(),
            free_at: Instant::ZERO,
            leaving: std::collections::VecDeque::new(),
            latest: Instant::ZERO,
            under_way: BinaryHeap::new(),
            sequence: 0,
        });
        Link { config, lanes, gate: None }
    }

    /// Changes what happens to frames sent by `from` from now on; those under way arrive as decided.
    pub fn set_conditions(&mut self, from: End, conditions: Conditions) {
        self.lanes[from.index()].conditions = conditions;
    }

    /// What happens to frames sent by `from`.
    pub fn conditions(&self, from: End) -> Conditions {
        self.lanes[from.index()].conditions
    }

    /// Puts a gate before the link, or takes it away.
    pub fn set_gate(&mut self, gate: Option<Gate>) {
        self.gate = gate;
    }

    /// Takes a frame from `from` and says what became of it.
    pub fn send(&mut self, now: Instant, from: End, mut frame: Vec<u8>) -> Fate {
        let mut fate = Fate::default();
        let lose = |why| Fate { lost: Some(why), ..Fate::default() };
        if self.gate.as_mut().is_some_and(|gate| !gate(now, from, &frame)) {
            return lose(Loss::Gate);
        }
        // A half-duplex wire is free when both directions have left it.
        if self.config.duplex == Duplex::Half {
            let free_at = self.lanes[0].free_at.max(self.lanes[1].free_at);
            self.lanes[from.index()].free_at = free_at;
        }
        let simplex = self.config.duplex == Duplex::Simplex && from == End::B;
        let lane = &mut self.lanes[from.index()];
        if lane.conditions.cut || simplex {
            return lose(Loss::Cut);
        }
        while lane.leaving.front().is_some_and(|leaves| *leaves <= now) {
            lane.leaving.pop_front();
        }
        if lane.leaving.len() >= self.config.queue_max {
            return lose(Loss::Queue);
        }
        let leaves = lane.free_at.max(now) + wire_time(frame.len(), self.config.rate);
        lane.free_at = leaves;
        lane.leaving.push_back(leaves);
        let c = lane.conditions;
        if lane.rng.chance(c.loss) {
            return lose(Loss::Chance); // the wire was busy with it all the same
        }
        fate.corrupted = !frame.is_empty() && lane.rng.chance(c.corrupt);
        if fate.corrupted {
            damage(&mut frame, &mut lane.rng);
        }
        let mut arrives = leaves + c.delay + lane.rng.duration(c.jitter);
        fate.held = lane.rng.chance(c.reorder);
        if fate.held {
            arrives += lane.rng.duration(c.reorder_by);
        } else {
            arrives = arrives.max(lane.latest);
            lane.latest = arrives;
        }
        fate.duplicated = lane.rng.chance(c.duplicate);
        if fate.duplicated {
            let second = arrives + lane.rng.duration(c.reorder_by);
            lane.put(second, frame.clone());
        }
        lane.put(arrives, frame);
        fate
    }

    /// Puts a frame on the way to arrive at a set time, past every fault: what a test uses that replays an old segment.
    pub fn inject(&mut self, arrives: Instant, from: End, frame: Vec<u8>) {
        self.lanes[from.index()].put(arrives, frame);
    }

    /// The next frame that has arrived, and where; of two at one time that for B comes first.
    pub fn poll(&mut self, now: Instant) -> Option<(End, Vec<u8>)> {
        let due = |lane: &Lane| lane.next().filter(|at| *at <= now);
        let from = match (due(&self.lanes[0]), due(&self.lanes[1])) {
            (Some(a), Some(b)) if b < a => End::B,
            (Some(_), _) => End::A,
            (None, Some(_)) => End::B,
            (None, None) => return None,
        };
        let Reverse(under_way) = self.lanes[from.index()].under_way.pop()?;
        Some((from.other(), under_way.frame))
    }

    /// When the next frame arrives.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(Lane::next).min()
    }

    /// Frames under way.
    pub fn under_way(&self) -> usize {
        self.lanes.iter().map(|lane| lane.under_way.len()).sum()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("config", &self.config).field("under_way", &self.under_way()).finish()
    }
}

impl Lane {
    fn put(&mut self, arrives: Instant, frame: Vec<u8>) {
        self.sequence += 1;
        self.under_way.push(Reverse(UnderWay { arrives, sequence: self.sequence, frame }));
    }

    fn next(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(first)| first.arrives)
    }
}

/// How long `len` octets occupy the wire.
fn wire_time(len: usize, rate: u64) -> Duration {
    match rate {
        0 => Duration::ZERO,
        rate => {
            let nanos = len as u128 * 8 * 1_000_000_000 / u128::from(rate);
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        }
    }
}

/// One bit, or a burst of 2 to 15: its first and last bit are flipped, those between by chance.
fn damage(frame: &mut [u8], rng: &mut Rng) {
    let bits = frame.len() as u64 * 8;
    let len = if rng.flip() { 1 } else { rng.between(2, 15).min(bits) };
    let start = rng.below(bits - len + 1);
    for i in 0..len {
        if i == 0 || i == len - 1 || rng.flip() {
            let bit = start + i;
            frame[(bit / 8) as usize] ^= 0x80 >> (bit % 8);
        }
    }
}

#[cfg(test)]
mod tests;
