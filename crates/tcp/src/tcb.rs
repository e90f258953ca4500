//! The transmission control block: SND.*, RCV.*, and the rooms that exist only while there is work in them.
//! Spec: RFC 9293 3.3.1.
//! Owns: the grouping of the variables, and the two boxes of working state.
//! Invariants: SND.UNA =< SND.NXT; a connection without `Sending` has SND.UNA = SND.NXT and nothing queued; one without
//! `Receiving` has nothing unread and no hole.
//! Not here: any rule.
//!
//! ```text
//!        SND.UNA       SND.NXT             SND.UNA+SND.WND
//!   --------|-------------|----------------------|---------   RFC 9293 figure 3
//!    acked  | in flight   | may be sent          | not yet
//!           [ Sending.queue ............. ]
//!
//!        taken         RCV.NXT             RCV.NXT+RCV.WND
//!   --------|-------------|----------------------|---------   RFC 9293 figure 4
//!    read   | readable    | holes and early text | refused
//!           [ Receiving.queue ........... ]
//! ```

use crate::budget::Budget;
use crate::buffer::{ReceiveQueue, SendQueue};
use crate::congestion::{Congestion, CongestionKind, Resting};
use crate::pacing::Pacer;
use crate::persist::Persist;
use crate::reassembly::Reassembly;
use crate::records::Records;
use crate::recovery::Recovery;
use crate::retransmit::Retransmit;
use crate::seq::SeqNum;
use crate::tail_probe::TailProbe;
use crate::time::Instant;
use crate::usage::Usage;
use crate::window::{ReceiveWindow, SendWindow};

/// SND.*
#[derive(Debug)]
pub(crate) struct Snd {
    /// SND.UNA; ISS as long as our SYN is not acknowledged.
    pub(crate) una: SeqNum,
    /// SND.NXT: after everything that was ever sent; a retransmission does not move it back.
    pub(crate) nxt: SeqNum,
    /// SND.WND, SND.WL1, SND.WL2.
    pub(crate) window: SendWindow,
}

impl Snd {
    /// Octets of sequence space in flight.
    #[inline]
    pub(crate) fn flight(&self) -> u32 {
        self.nxt.since(self.una)
    }
}

/// RCV.*
#[derive(Debug)]
pub(crate) struct Rcv {
    /// RCV.NXT; IRS + 1 until text comes.
    pub(crate) nxt: SeqNum,
    /// RCV.WND and the buffer behind it.
    pub(crate) window: ReceiveWindow,
}

/// What a connection needs while it has something to send or in flight.
#[derive(Debug)]
pub(crate) struct Sending {
    /// The octets from SND.UNA on.
    pub(crate) queue: SendQueue,
    /// What was sent when, and the retransmission timer.
    pub(crate) retransmit: Retransmit,
    /// Loss and its repair.
    pub(crate) recovery: Recovery,
    /// The congestion window.
    pub(crate) congestion: Congestion,
    /// Asking for the tail of what is out.
    pub(crate) tail_probe: TailProbe,
    /// How fast new data may leave.
    pub(crate) pacer: Pacer,
    /// Probing when nothing may be sent.
    pub(crate) persist: Persist,
    /// Where records end (MSG_EOR).
    pub(crate) records: Records,
    /// SND.UP: the octet after urgent data (RFC 9293 MUST-62).
    pub(crate) up: Option<SeqNum>,
    /// The end of the last segment that was not full, for Nagle's test.
    pub(crate) small_end: Option<SeqNum>,
    /// Tell the peer with the next new data that the window was reduced (RFC 3168 6.1.2).
    pub(crate) cwr_due: bool,
    /// How much of the congestion window was in use.
    pub(crate) usage: Usage,
    /// Where the burst that the queue ends with begins.
    pub(crate) tail: SeqNum,
}

impl Default for Sending {
    fn default() -> Self {
        Sending {
            queue: SendQueue::new(),
            retransmit: Retransmit::new(),
            recovery: Recovery::new(),
            congestion: Congestion::wake(CongestionKind::default(), Resting::new(0), 1, Instant::ZERO),
            tail_probe: TailProbe::default(),
            pacer: Pacer::default(),
            persist: Persist::new(),
            records: Records::default(),
            up: None,
            small_end: None,
            cwr_due: false,
            usage: Usage::default(),
            tail: SeqNum(0),
        }
    }
}

impl Sending {
    /// As new, keeping the room it has allocated.
    pub(crate) fn reset(&mut self, budget: &mut Budget) {
        self.queue.clear(budget);
        self.retransmit.reset();
        self.recovery.reset();
        self.tail_probe.reset();
        self.pacer.reset();
        self.persist.reset();
        self.records.reset();
        self.up = None;
        self.small_end = None;
        self.cwr_due = false;
        self.usage = Usage::default();
    }
}

/// What a connection needs while it holds octets for its reader, in order or early.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    /// The octets, in order and early.
    pub(crate) queue: ReceiveQueue,
    /// Which of the early ones are here.
    pub(crate) reassembly: Reassembly,
    /// The peer's FIN, if it came early: its sequence number.
    pub(crate) fin_at: Option<SeqNum>,
    /// RCV.UP, while it lies ahead of the reader.
    pub(crate) up: Option<SeqNum>,
}

impl Receiving {
    /// As new, keeping the room it has allocated.
    pub(crate) fn reset(&mut self, budget: &mut Budget) {
        self.queue.clear(budget);
        self.reassembly.reset();
        self.fin_at = None;
        self.up = None;
    }
}
