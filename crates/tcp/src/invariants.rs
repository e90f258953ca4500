//! What must hold between any two events.
//! Spec: RFC 9293 3.3.1, 3.4; the invariants that the other plates promise.
//! Owns: nothing. Runs after every event in debug builds, tests and simulation; costs nothing in release.
//! Not here: legal moves of the state, which only a walk over events can see (`state`, tests).

use crate::connection::{Bits, Connection, to_u32};
use crate::state::State;

impl Connection {
    /// Looks through the house.
    #[inline]
    pub(crate) fn check(&self) {
        #[cfg(debug_assertions)]
        self.check_all();
    }

    #[cfg_attr(not(debug_assertions), allow(dead_code))]
    fn check_all(&self) {
        self.check_sequence_space();
        self.check_queues();
        self.check_ends();
    }

    fn check_sequence_space(&self) {
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        assert!(una.at_or_before(nxt), "SND.UNA {una} =< SND.NXT {nxt}");
        if self.state == State::Closed {
            return;
        }
        let limit = self.text_end() + u32::from(self.bits.has(Bits::FIN_SENT));
        let sent_syn_only = self.syn_is_out() && nxt.at_or_before(una + 1);
        assert!(sent_syn_only || nxt.at_or_before(limit), "SND.NXT {nxt} passes what is queued, {limit}");
        assert!(
            !self.bits.has(Bits::FIN_SENT) || self.state.has_finished(),
            "FIN only after the program finished"
        );
        if matches!(self.state, State::FinWait2 | State::TimeWait) {
            assert_eq!(una, nxt, "{}: our FIN is acknowledged", self.state);
        }
    }

    fn check_queues(&self) {
        if self.state == State::Closed {
            return;
        }
        match self.sending.as_deref() {
            None => assert_eq!(self.snd.una, self.snd.nxt, "nothing in flight without Sending"),
            Some(sending) => {
                assert_eq!(
                    sending.retransmit.is_empty(),
                    self.snd.una == self.snd.nxt,
                    "the retransmission queue covers SND.UNA..SND.NXT"
                );
                assert!(
                    sending.retransmit.deadline().is_none() || !sending.persist.is_running(),
                    "one of retransmission and persist timer"
                );
                assert!(!sending.retransmit.is_empty() || sending.retransmit.deadline().is_none());
                assert!(sending.congestion.window() > 0, "cwnd is never zero");
                let counts = (sending.retransmit.sacked(), sending.retransmit.lost());
                // Each record is looked at only where there is something to find: this runs after every event.
                let counted = counts == (0, 0) || counts == sending.retransmit.recount();
                assert!(counted, "what is SACKed and what is lost is counted: {counts:?}");
                assert!(counts.0 + counts.1 <= self.snd.flight(), "no more is SACKed or lost than is out");
                assert_eq!(
                    counts.0,
                    sending.recovery.sacked(self.snd.una, self.snd.nxt),
                    "records and scoreboard agree"
                );
                assert!(
                    counts.1 == 0 || sending.recovery.in_recovery(),
                    "what is lost is being recovered: {counts:?}"
                );
            }
        }
        if let Some(receiving) = self.receiving.as_deref() {
            let held = to_u32(receiving.queue.span());
            let readable = to_u32(receiving.queue.readable());
            assert!(readable <= held, "what is readable is held");
            // The window promised bounds what early text can reach.
            assert!(
                held - readable <= self.rcv.window.wnd(self.rcv.nxt),
                "early text lies inside the window: {held} - {readable}"
            );
            assert!(
                !receiving.reassembly.is_empty() || held == readable || self.state.peer_has_finished(),
                "no early text without a range"
            );
        }
    }

    fn check_ends(&self) {
        assert_eq!(
            self.state == State::Closed,
            self.end.is_some(),
            "an end has a reason, and only an end has"
        );
        if self.state == State::FinWait2 {
            let deadline = self.closing.has_deadline();
            assert!(!deadline || self.is_orphan(), "FIN-WAIT-2 ends by time only after close()");
        }
    }
}
