//! Initial sequence numbers and timestamp offsets: what an off-path attacker must not guess.
//! Spec: RFC 6528 section 3, RFC 9293 3.4.1 (MUST-8, SHLD-1); RFC 7323 5.4 and 7.1 (timestamp offsets).
//! Owns: two keys. Borrows: the time.
//! Invariants: ISN = M + F(four-tuple, secret), M a clock that ticks every 4 microseconds; so the ISNs of one four-tuple rise,
//! and those of different ones have nothing to do with each other.
//! Not here: SYN cookies (`syn_cookie`), whose ISN carries a message.

use crate::flow::FlowKey;
use crate::random::{HashKey, Secret};
use tcp::{Instant, SeqNum};

/// The generator.
#[derive(Debug)]
pub(crate) struct Isn {
    sequence: HashKey,
    timestamp: HashKey,
}

/// How far beyond the old incarnation's SND.NXT a new one begins, if the clock has not got there by itself (RFC 9293 MAY-2; the
/// distance is Linux's: a largest unscaled window and a little).
const REUSE_GAP: u32 = 65_535 + 2;

impl Isn {
    pub(crate) fn new(secret: &Secret) -> Self {
        Isn { sequence: secret.key("tcp isn"), timestamp: secret.key("tcp timestamp offset") }
    }

    /// The ISN for a connection that opens now.
    pub(crate) fn sequence(&self, now: Instant, flow: &FlowKey) -> SeqNum {
        let clock = (now.as_nanos() / 4_000) as u32;
        SeqNum(clock.wrapping_add(self.sequence.digest(&[&flow.bytes()]) as u32))
    }

    /// The ISN for a four-tuple whose last incarnation, still in TIME-WAIT, had come to `floor`.
    pub(crate) fn sequence_beyond(&self, now: Instant, flow: &FlowKey, floor: SeqNum) -> SeqNum {
        let isn = self.sequence(now, flow);
        if isn.after(floor + REUSE_GAP) { isn } else { floor + REUSE_GAP }
    }

    /// What moves the timestamp clock of a four-tuple: the same in all its incarnations, so that its timestamps rise.
    pub(crate) fn timestamp_offset(&self, flow: &FlowKey) -> u32 {
        self.timestamp.digest(&[&flow.bytes()]) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::{Isn, REUSE_GAP};
    use crate::flow::FlowKey;
    use crate::random::Secret;
    use tcp::{Instant, SeqNum};

    fn flow(port: u16) -> FlowKey {
        FlowKey::new(([10, 0, 0, 1], 80).into(), ([10, 0, 0, 2], port).into())
    }

    /// RFC 6528 section 3.
    #[test]
    fn isns_of_one_flow_rise_by_the_clock_and_those_of_two_are_strangers() {
        let isn = Isn::new(&Secret::from_seed(3));
        let (a, b) = (isn.sequence(Instant::ZERO, &flow(1)), isn.sequence(Instant::from_secs(1), &flow(1)));
        assert_eq!(b - a, 250_000);
        assert!(isn.sequence(Instant::ZERO, &flow(2)) - a > 1_000, "two flows start far apart");
        let other = Isn::new(&Secret::from_seed(4));
        assert_ne!(other.sequence(Instant::ZERO, &flow(1)), a);
        assert_ne!(isn.timestamp_offset(&flow(1)), isn.timestamp_offset(&flow(2)));
    }

    /// RFC 9293 MAY-2.
    #[test]
    fn a_reincarnation_begins_beyond_the_old_one() {
        let isn = Isn::new(&Secret::from_seed(3));
        let clock = isn.sequence(Instant::ZERO, &flow(1));
        assert_eq!(isn.sequence_beyond(Instant::ZERO, &flow(1), clock - 1_000_000), clock);
        let floor = clock + 5_000_000;
        assert_eq!(isn.sequence_beyond(Instant::ZERO, &flow(1), floor), SeqNum(floor.raw()) + REUSE_GAP);
    }
}
