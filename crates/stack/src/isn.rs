//! Initial sequence numbers and timestamp offsets: what an off-path attacker must not guess.
//! Spec: RFC 6528 section 3, RFC 9293 3.4.1 (MUST-8, SHLD-1); RFC 7323 5.4 and 7.1 (timestamp offsets).
//! Owns: a key. Borrows: the time. The two are halves of one keyed hash: who learns one learns nothing of the other.
//! Invariants: ISN = M + F(four-tuple, secret), M a clock that ticks every 4 microseconds; so the ISNs of one four-tuple rise,
//! and those of different ones have nothing to do with each other.
//! Not here: SYN cookies (`syn_cookie`), whose ISN carries a message.

use crate::flow::FlowKey;
use crate::random::{HashKey, Secret};
use tcp::{Instant, SeqNum};

/// The generator.
#[derive(Debug)]
pub(crate) struct Isn {
    key: HashKey,
}

/// How far beyond the old incarnation's SND.NXT a new one begins, if the clock has not got there by itself (RFC 9293 MAY-2; the
/// distance is Linux's: a largest unscaled window and a little).
const REUSE_GAP: u32 = 65_535 + 2;

impl Isn {
    pub(crate) fn new(secret: &Secret) -> Self {
        Isn { key: secret.key("tcp isn") }
    }

    /// The ISN for a connection that opens now, and what moves its timestamps. `floor`: how far its last incarnation, lately in
    /// TIME-WAIT, had come.
    pub(crate) fn start(&self, now: Instant, flow: &FlowKey, floor: Option<SeqNum>) -> (SeqNum, u32) {
        let digest = flow.digest(&self.key);
        let isn = SeqNum(clock(now).wrapping_add(digest as u32));
        let isn = match floor {
            Some(floor) if !isn.after(floor + REUSE_GAP) => floor + REUSE_GAP,
            _ => isn,
        };
        (isn, (digest >> 32) as u32)
    }

    /// What moves the timestamp clock of a four-tuple: the same in all its incarnations, so that its timestamps rise.
    pub(crate) fn timestamp_offset(&self, flow: &FlowKey) -> u32 {
        (flow.digest(&self.key) >> 32) as u32
    }
}

/// M of RFC 6528: ticks of 4 microseconds.
fn clock(now: Instant) -> u32 {
    (now.as_nanos() / 4_000) as u32
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
        let sequence = |isn: &Isn, now, port| isn.start(now, &flow(port), None).0;
        let (a, b) = (sequence(&isn, Instant::ZERO, 1), sequence(&isn, Instant::from_secs(1), 1));
        assert_eq!(b - a, 250_000);
        assert!(sequence(&isn, Instant::ZERO, 2) - a > 1_000, "two flows start far apart");
        let other = Isn::new(&Secret::from_seed(4));
        assert_ne!(sequence(&other, Instant::ZERO, 1), a);
        assert_ne!(isn.timestamp_offset(&flow(1)), isn.timestamp_offset(&flow(2)));
        let (iss, offset) = isn.start(Instant::ZERO, &flow(1), None);
        assert_eq!(offset, isn.timestamp_offset(&flow(1)), "in all incarnations the same");
        assert_ne!(offset, iss.raw());
    }

    /// RFC 9293 MAY-2.
    #[test]
    fn a_reincarnation_begins_beyond_the_old_one() {
        let isn = Isn::new(&Secret::from_seed(3));
        let beyond = |floor| isn.start(Instant::ZERO, &flow(1), floor).0;
        let clock = beyond(None);
        assert_eq!(beyond(Some(clock - 1_000_000)), clock);
        let floor = clock + 5_000_000;
        assert_eq!(beyond(Some(floor)), SeqNum(floor.raw()) + REUSE_GAP);
    }
}
