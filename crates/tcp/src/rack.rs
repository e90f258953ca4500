//! RACK: what was sent a reordering window before something that has arrived, and has not arrived itself, is lost.
//! Spec: RFC 8985 section 6. Needs SACK; replaces the counting of duplicate ACKs of RFC 6675.
//! Owns: RACK.segment, RACK.rtt, RACK.fack, the reordering window and its timer. Borrows: the records (`retransmit`), min_RTT and
//! SRTT (`rtt`), the count of SACKed segments (`sack`).
//! Invariants: the window is at most SRTT; the timer runs only while a segment waits for the window to pass.
//! Not here: what follows from a loss (`recovery`), silence (`tail_probe`, `retransmit`).
//!
//! ```text
//!    sent ----- A ---- B ---- C -------------------------->
//!    SACKed                   C   at now
//!    lost      A, if A.xmit_ts + RACK.rtt + RACK.reo_wnd =< now; otherwise the timer asks again at that time
//! ```

use core::time::Duration;

use crate::retransmit::{Delivery, Judgment, Retransmit};
use crate::seq::{SeqNum, SeqRange};
use crate::tick::Tick;
use crate::time::Instant;

/// RFC 8985 6.2 step 4: recoveries without a D-SACK after which the window is small again.
const REO_WND_PERSIST: u8 = 16;

/// Where the connection stands when a loss is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) now: Instant,
    /// Fast recovery, or that after a timeout.
    pub(crate) in_recovery: bool,
    /// RACK.segs_sacked >= DupThresh.
    pub(crate) dup_thresh_sacked: bool,
    pub(crate) min_rtt: Option<Duration>,
    pub(crate) srtt: Option<Duration>,
}

/// RACK's state.
#[derive(Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts, RACK.end_seq: of what is known to have arrived, what was sent last.
    latest: Option<(Instant, SeqNum)>,
    /// RACK.rtt: how long that took.
    rtt: Duration,
    /// RACK.fack: the octet after the highest that is known to have arrived.
    fack: Option<SeqNum>,
    /// RACK.reordering_seen.
    reordering_seen: bool,
    /// The most octets of others that had arrived before one that was sent once and before them, its own counted; told, not used.
    late_by: u32,
    /// RACK.dsack_round: SND.NXT when a D-SACK last widened the window.
    dsack_round: Option<SeqNum>,
    /// RACK.reo_wnd_mult, less one.
    widened: u32,
    /// RACK.reo_wnd_persist.
    persist: u8,
    /// When the reordering timer expires.
    deadline: Option<Instant>,
}

/// RFC 8985 6.2, `RACK_sent_after()`.
fn sent_after(a: (Instant, SeqNum), b: (Instant, SeqNum)) -> bool {
    a.0 > b.0 || (a.0 == b.0 && a.1.after(b.1))
}

impl Rack {
    /// `reordering_seen`: as an earlier spell of sending has left it.
    pub(crate) const fn new(reordering_seen: bool) -> Self {
        Rack {
            latest: None,
            rtt: Duration::ZERO,
            fack: None,
            reordering_seen,
            late_by: 0,
            dsack_round: None,
            widened: 0,
            persist: 0,
            deadline: None,
        }
    }

    /// Whether the path has been seen to reorder.
    pub(crate) const fn reordering_seen(&self) -> bool {
        self.reordering_seen
    }

    /// By how many octets a segment has come late, at most.
    pub(crate) const fn late_by(&self) -> u32 {
        self.late_by
    }

    /// When the reordering timer expires.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Steps 2 and 3: a segment has arrived, cumulatively or selectively acknowledged. `echo`: the timestamp that came with it.
    pub(crate) fn on_delivered(
        &mut self,
        delivery: Delivery,
        now: Instant,
        min_rtt: Option<Duration>,
        echo: Option<Tick>,
    ) {
        let Delivery { sent, start, end, again } = delivery;
        match self.fack {
            Some(fack) if !end.after(fack) => {
                if !again {
                    // Below what had arrived, and sent once: late, not lost.
                    self.reordering_seen = true;
                    self.late_by = self.late_by.max(fack.since(start));
                }
            }
            _ => self.fack = Some(end),
        }
        let rtt = now - sent;
        // Of what went out twice the first one may have arrived, if its timestamp says so or the second cannot have been so fast.
        let of_the_first =
            echo.is_some_and(|echo| echo.is_before(sent)) || min_rtt.is_some_and(|min| rtt < min);
        if again && of_the_first {
            return;
        }
        self.rtt = rtt;
        if self.latest.is_none_or(|latest| sent_after((sent, end), latest)) {
            self.latest = Some((sent, end));
        }
    }

    /// Step 4, its first half: D-SACKs widen the reordering window, recoveries without any narrow it again.
    pub(crate) fn adapt(&mut self, una: SeqNum, nxt: SeqNum, dsack: Option<SeqRange>, left_recovery: bool) {
        if self.dsack_round.is_some_and(|round| una.at_or_after(round)) {
            self.dsack_round = None;
        }
        if self.dsack_round.is_none() && dsack.is_some() {
            self.dsack_round = Some(nxt);
            self.widened = self.widened.saturating_add(1);
            self.persist = REO_WND_PERSIST;
        } else if left_recovery {
            self.persist = self.persist.saturating_sub(1);
            if self.persist == 0 {
                self.widened = 0;
            }
        }
    }

    /// Step 4, RACK.reo_wnd.
    fn window(&self, look: &Look) -> Duration {
        if !self.reordering_seen && (look.in_recovery || look.dup_thresh_sacked) {
            return Duration::ZERO;
        }
        let quarter = look.min_rtt.unwrap_or_default() / 4;
        quarter.saturating_mul(self.widened.saturating_add(1)).min(look.srtt.unwrap_or_default())
    }

    /// Step 5, `RACK_detect_loss()`: marks what is lost, starts the timer for what may be; returns the octets found lost.
    pub(crate) fn detect(&mut self, look: &Look, records: &mut Retransmit) -> u32 {
        self.deadline = None;
        let Some(latest) = self.latest else { return 0 };
        let patience = self.rtt + self.window(look);
        let mut last = None;
        let lost = records.judge(|sent, end| {
            if !sent_after(latest, (sent, end)) {
                return Judgment::SentLater;
            }
            let due = sent + patience;
            if due <= look.now {
                return Judgment::Lost;
            }
            last = last.max(Some(due));
            Judgment::NotYet
        });
        self.deadline = last;
        lost
    }

    /// 6.3, `RACK_mark_losses_on_RTO()`: the first one, and what has had the time of a round trip and the window.
    pub(crate) fn on_timeout(&mut self, look: &Look, records: &mut Retransmit) {
        self.deadline = None;
        records.lose_first();
        let patience = self.rtt + self.window(look);
        records.judge(|sent, _| if sent + patience <= look.now { Judgment::Lost } else { Judgment::NotYet });
    }

    /// Nothing waits for the window any more.
    pub(crate) fn stop(&mut self) {
        self.deadline = None;
    }
}

#[cfg(test)]
mod tests;
