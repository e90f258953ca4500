//! HyStart++: slow start ends when round trips grow longer, before the queue behind them overflows.
//! Spec: RFC 9406 section 4.   Units: a round lasts until what was SND.NXT at its start is acknowledged.
//! Owns: the round trips of this round and the last, the phase. Borrows: samples and sequence numbers, from each ACK.
//! Invariants: at work in the first slow start only (4.3); what it grows by is a quarter in conservative slow start.
//! Not here: cwnd and ssthresh (`mod`).

use core::time::Duration;

use super::AckSample;
use crate::seq::SeqNum;

/// RFC 9406 4.3.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u32 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u32 = 5;
/// L of a sender that does not pace; of one that does, infinity.
const L_UNPACED: u32 = 8;

/// What an ACK means for slow start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Growth {
    /// cwnd grows by so many octets.
    By(u32),
    /// It grows by so many, and that was it: congestion avoidance follows.
    Last(u32),
}

/// Conservative slow start.
#[derive(Clone, Copy, Debug)]
struct Conservative {
    /// cssBaselineMinRtt.
    baseline: Duration,
    rounds: u32,
}

#[derive(Clone, Debug)]
pub(super) struct HyStart {
    window_end: Option<SeqNum>,
    last_round_min: Option<Duration>,
    this_round_min: Option<Duration>,
    samples: u32,
    conservative: Option<Conservative>,
}

impl HyStart {
    pub(super) const fn new() -> Self {
        HyStart {
            window_end: None,
            last_round_min: None,
            this_round_min: None,
            samples: 0,
            conservative: None,
        }
    }

    #[cfg(test)]
    pub(super) const fn is_conservative(&self) -> bool {
        self.conservative.is_some()
    }

    /// An ACK of `acked` octets in slow start.
    pub(super) fn on_ack(&mut self, ack: &AckSample, acked: u32, smss: u32) -> Growth {
        let end = *self.window_end.get_or_insert(ack.nxt);
        let round_over = ack.una.at_or_after(end);
        // The samples of this ACK belong to the round that it ends.
        if let Some(rtt) = ack.rtt {
            self.this_round_min = Some(self.this_round_min.map_or(rtt, |min| min.min(rtt)));
            self.samples += 1;
        }
        let mut octets = if ack.paced { acked } else { acked.min(L_UNPACED * smss) };
        if self.conservative.is_some() {
            octets /= CSS_GROWTH_DIVISOR;
        }
        self.look_at_delay();
        if !round_over {
            return Growth::By(octets);
        }
        self.window_end = Some(ack.nxt);
        self.last_round_min = self.this_round_min.take();
        self.samples = 0;
        if let Some(conservative) = &mut self.conservative {
            conservative.rounds += 1;
            // The round in which it began counts.
            if conservative.rounds >= CSS_ROUNDS {
                return Growth::Last(octets);
            }
        }
        Growth::By(octets)
    }

    fn look_at_delay(&mut self) {
        let Some(current) = self.this_round_min.filter(|_| self.samples >= N_RTT_SAMPLE) else { return };
        match self.conservative {
            None => {
                let Some(last) = self.last_round_min else { return };
                let thresh = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if current >= last + thresh {
                    self.conservative = Some(Conservative { baseline: current, rounds: 0 });
                }
            }
            // It was an accident: slow start goes on.
            Some(css) if current < css.baseline => self.conservative = None,
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
