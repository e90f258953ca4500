//! Records: where a segment must end, since the program said that a record does (MSG_EOR).
//! Spec: none; MSG_EOR as Linux has it.
//! Owns: the ends of records that are not acknowledged yet, ascending, at most [`RECORDS_MAX`].
//! Not here: the text (`buffer`), who asks (`transmit`).

use std::collections::VecDeque;

use crate::seq::SeqNum;

/// Ends of records a send queue remembers; a `send` with `end_of_record` beyond takes nothing until some are acknowledged.
pub(crate) const RECORDS_MAX: usize = 256;

/// Ends of records (MSG_EOR), ascending.
#[derive(Debug, Default)]
pub(crate) struct Records {
    ends: VecDeque<SeqNum>,
}

impl Records {
    pub(crate) fn reset(&mut self) {
        self.ends.clear();
    }

    pub(crate) fn is_full(&self) -> bool {
        self.ends.len() >= RECORDS_MAX
    }

    /// A record ends before `end`.
    pub(crate) fn push(&mut self, end: SeqNum) {
        if self.ends.back() != Some(&end) {
            self.ends.push_back(end);
        }
    }

    /// The first end after `seq`.
    pub(crate) fn end_after(&self, seq: SeqNum) -> Option<SeqNum> {
        self.ends.iter().copied().find(|end| end.after(seq))
    }

    /// Whether a record ends there.
    pub(crate) fn ends_at(&self, end: SeqNum) -> bool {
        self.ends.iter().any(|known| *known == end)
    }

    pub(crate) fn on_ack(&mut self, una: SeqNum) {
        while self.ends.front().is_some_and(|end| end.at_or_before(una)) {
            self.ends.pop_front();
        }
    }
}
