//! Tail loss probe: when the end of what was sent stays unanswered, one segment asks for it long before the timeout would.
//! Spec: RFC 8985 section 7. Needs SACK.
//! Owns: the probe timeout (PTO), and what became of the probe. Borrows: SRTT, the RTO's deadline, which PTO never passes.
//! Invariants: at most one probe is out; none is sent while recovery is under way or anything is SACKed.
//! Not here: the segment (`transmit`), the retransmission timer, which follows a probe (`retransmit`).

use core::time::Duration;

use crate::seq::{SeqNum, SeqRange};
use crate::time::Instant;

/// RFC 8985 7.2, TLP.max_ack_delay: what a peer may keep back the ACK of a single segment. 200 ms, as Linux.
const ACK_DELAY_MAX: Duration = Duration::from_millis(200);

/// RFC 8985 7.2: PTO before any round trip was measured.
const PTO_WITHOUT_SRTT: Duration = Duration::from_secs(1);

/// A probe that is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Probe {
    /// TLP.end_seq: SND.NXT when it left.
    end: SeqNum,
    /// TLP.is_retrans.
    again: bool,
}

/// RFC 8985 7.1.
#[derive(Debug, Default)]
pub(crate) struct TailProbe {
    /// When new data last left, or some was acknowledged: PTO counts from here.
    armed_at: Option<Instant>,
    out: Option<Probe>,
    due: bool,
}

impl TailProbe {
    pub(crate) fn reset(&mut self) {
        *self = TailProbe::default();
    }

    /// 7.2: new data left, or an ACK acknowledged some.
    pub(crate) fn arm(&mut self, now: Instant) {
        self.armed_at = Some(now);
    }

    /// Nothing is out, or recovery has begun.
    pub(crate) fn disarm(&mut self) {
        self.armed_at = None;
        self.due = false;
    }

    /// 7.2, `TLP_calc_PTO()`: when a probe is due. `single`: no more than one segment is out.
    pub(crate) fn deadline(
        &self,
        srtt: Option<Duration>,
        single: bool,
        rto_at: Option<Instant>,
    ) -> Option<Instant> {
        if self.out.is_some() || self.due {
            return None;
        }
        let pto = match srtt {
            None => PTO_WITHOUT_SRTT,
            Some(srtt) if single => 2 * srtt + ACK_DELAY_MAX,
            Some(srtt) => 2 * srtt,
        };
        Some((self.armed_at? + pto).min(rto_at?))
    }

    /// PTO has expired.
    pub(crate) fn on_timeout(&mut self) {
        self.armed_at = None;
        self.due = true;
    }

    /// A probe is to leave.
    pub(crate) const fn is_due(&self) -> bool {
        self.due
    }

    /// 7.3: it has left; `nxt` is SND.NXT with it. `again`: it carries what had been sent before.
    pub(crate) fn on_sent(&mut self, nxt: SeqNum, again: bool) {
        self.due = false;
        self.armed_at = None;
        self.out = Some(Probe { end: nxt, again });
    }

    /// It could not be sent.
    pub(crate) fn give_up(&mut self) {
        self.due = false;
    }

    /// 7.4, `TLP_process_ack()`. True: the probe repaired a loss that nobody else has seen, and that is congestion. `bare_duplicate`: a
    /// duplicate ACK without any SACK block.
    pub(crate) fn on_ack(&mut self, ack: SeqNum, dsack: Option<SeqRange>, bare_duplicate: bool) -> bool {
        let Some(probe) = self.out.filter(|probe| ack.at_or_after(probe.end)) else { return false };
        let in_vain = !probe.again || dsack.is_some_and(|range| range.end == probe.end);
        let repaired = !in_vain && ack.after(probe.end);
        if in_vain || repaired || bare_duplicate {
            self.out = None;
        }
        repaired
    }

    /// Recovery has begun otherwise: what the probe shows is no longer asked.
    pub(crate) fn forget(&mut self) {
        self.out = None;
        self.disarm();
    }
}

#[cfg(test)]
mod tests;
