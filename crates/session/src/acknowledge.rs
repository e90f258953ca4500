//! Acknowledging: XEP-0198 counts in both directions, and what the client has not confirmed.
//!
//! Spec: XEP-0198 sections 3, 4.
//! Owns: the count of processed stanzas, the queue of delivered ones. Units: stanzas, modulo 2^32 (section 4).
//! Invariants: `h` covers every stanza up to the first that has not been processed, and none behind it; the queue holds
//! exactly what the client has been sent and has not confirmed.
//! Not here: what becomes of the counts when the connection is lost (`resume`).

use std::collections::VecDeque;
use std::time::Duration;

use store::Counts;
use xmpp::time::{Instant, Now};

use crate::event::Tag;
use crate::resume::Resumable;

/// Counts of the stanzas that came from the client. Counted from the bind on, whether or not XEP-0198 is on.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    received: u32,
    /// Every stanza up to this one has been processed.
    processed: u32,
    /// Which of the stanzas behind `processed` have been too: bit 0 is `processed + 1`. There only while some wait.
    #[allow(clippy::box_collection, reason = "32 octets less in each idle session")]
    ahead: Option<Box<VecDeque<bool>>>,
}

impl Inbound {
    /// Counts a stanza and returns its number.
    pub(crate) fn receive(&mut self) -> u32 {
        self.received = self.received.wrapping_add(1);
        self.received
    }

    /// Notes that a stanza has been processed.
    pub(crate) fn process(&mut self, seq: u32) {
        let distance = seq.wrapping_sub(self.processed);
        if distance == 0 || distance > self.received.wrapping_sub(self.processed) {
            debug_assert!(false, "stanza {seq} was not received, or was processed before");
            return;
        }
        if distance == 1 && self.ahead.is_none() {
            self.processed = seq;
            return;
        }
        let ahead = self.ahead.get_or_insert_default();
        if ahead.len() < distance as usize {
            ahead.resize(distance as usize, false);
        }
        ahead[distance as usize - 1] = true;
        while ahead.front() == Some(&true) {
            ahead.pop_front();
            self.processed = self.processed.wrapping_add(1);
        }
        if ahead.is_empty() {
            self.ahead = None;
        }
    }

    /// The counts of a session that is taken up again.
    pub(crate) fn restore(counts: &Counts) -> Inbound {
        let mut inbound = Inbound { received: counts.received, processed: counts.processed, ahead: None };
        counts.ahead.iter().for_each(|&seq| inbound.process(seq));
        inbound
    }

    /// Those behind `processed` that have been processed too.
    pub(crate) fn ahead(&self) -> Vec<u32> {
        let ahead = self.ahead.iter().flat_map(|ahead| ahead.iter().enumerate());
        ahead.filter(|(_, done)| **done).map(|(at, _)| self.processed.wrapping_add(at as u32 + 1)).collect()
    }

    /// How many stanzas have been received and wait to be processed.
    pub(crate) fn in_flight(&self) -> u32 {
        self.received.wrapping_sub(self.processed)
    }

    /// The number of the newest stanza that was received.
    pub(crate) fn received(&self) -> u32 {
        self.received
    }

    /// Every stanza up to this one has been processed.
    pub(crate) fn processed(&self) -> u32 {
        self.processed
    }
}

/// XEP-0198 while it is on.
#[derive(Debug)]
pub(crate) struct Acknowledge {
    /// The inbound count when it was turned on; `h` counts from there.
    base: u32,
    /// Answer the client once every stanza up to this one has been processed.
    answer_due: Option<u32>,
    /// What the client has been sent and has not confirmed, oldest first.
    unacked: Unacked,
    /// The client's `h` so far.
    confirmed: u32,
    /// Since when we have asked and not been answered.
    asked: Option<Instant>,
    /// What resumption needs, where the client asked for it. Boxed: not every client does.
    pub(crate) resumable: Option<Box<Resumable>>,
}

/// A client confirmed more than it was sent (XEP-0198 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooHigh {
    pub(crate) h: u32,
    pub(crate) sent: u32,
}

impl Acknowledge {
    /// Turned on when the inbound count was `base`.
    pub(crate) fn new(base: u32) -> Acknowledge {
        Acknowledge {
            base,
            answer_due: None,
            unacked: Unacked::default(),
            confirmed: 0,
            asked: None,
            resumable: None,
        }
    }

    /// The counts of a session that is taken up again, and what its client has not confirmed.
    pub(crate) fn restore(
        counts: &Counts,
        resumable: Resumable,
        unacked: impl IntoIterator<Item = (Vec<u8>, Option<Tag>)>,
    ) -> Acknowledge {
        let mut acknowledge = Acknowledge { confirmed: counts.confirmed, ..Acknowledge::new(counts.base) };
        acknowledge.resumable = Some(Box::new(resumable));
        unacked.into_iter().for_each(|(stanza, tag)| acknowledge.unacked.push(&stanza, tag));
        acknowledge
    }

    /// The inbound count when it was turned on.
    pub(crate) fn base(&self) -> u32 {
        self.base
    }

    /// The client's `h` so far.
    pub(crate) fn confirmed(&self) -> u32 {
        self.confirmed
    }

    /// The client asks how far we are. An answer follows once all it sent before is processed: an earlier one would
    /// only make it ask again.
    pub(crate) fn on_request(&mut self, inbound: &Inbound) {
        self.answer_due = Some(inbound.received());
    }

    /// The `h` to answer with, if an answer is due.
    pub(crate) fn take_answer(&mut self, inbound: &Inbound) -> Option<u32> {
        let due = self.answer_due?;
        if is_behind(self.promised(inbound), due) {
            return None;
        }
        self.answer_due = None;
        Some(self.h(inbound))
    }

    /// The count that is to be recorded before the answer that is due may be given.
    pub(crate) fn count_due(&mut self, inbound: &Inbound) -> Option<u32> {
        let (due, resumable) = (self.answer_due?, self.resumable.as_mut()?);
        if is_behind(inbound.processed(), due) {
            return None;
        }
        resumable.count(inbound.processed())
    }

    /// Up to where the client may be told that it was heard: what was processed, and where the session can be resumed, is
    /// on record too.
    fn promised(&self, inbound: &Inbound) -> u32 {
        self.resumable.as_ref().map_or(inbound.processed(), |resumable| resumable.recorded())
    }

    /// How far we are.
    pub(crate) fn h(&self, inbound: &Inbound) -> u32 {
        // Stanzas from before it was turned on that are still being processed must not make this negative.
        let promised = self.promised(inbound);
        if is_behind(promised, self.base) { 0 } else { promised.wrapping_sub(self.base) }
    }

    /// Keeps a stanza that is being sent. Returns whether the client should be asked to confirm.
    pub(crate) fn on_sent(&mut self, now: Now, stanza: &[u8], tag: Option<Tag>) -> bool {
        self.keep(stanza, tag);
        self.asked.replace(self.asked.unwrap_or(now.mono)).is_none()
    }

    /// Keeps a stanza that cannot be sent now.
    pub(crate) fn keep(&mut self, stanza: &[u8], tag: Option<Tag>) {
        self.unacked.push(stanza, tag);
    }

    /// When a client that says nothing has left our question unanswered for too long.
    pub(crate) fn answer_deadline(&self, heard: Instant, answer_max: Duration) -> Option<Instant> {
        self.asked.map(|asked| asked.max(heard) + answer_max)
    }

    /// Counts what the client has not confirmed.
    pub(crate) fn unacked(&self) -> usize {
        self.unacked.len()
    }

    /// Their octets.
    pub(crate) fn unacked_octets(&self) -> usize {
        self.unacked.octets.len()
    }

    /// Shows each stanza that the client has not confirmed, oldest first.
    pub(crate) fn for_each_unacked(&mut self, show: impl FnMut(&[u8])) {
        self.unacked.for_each(show);
    }

    /// The client confirms everything up to `h`; `pop_confirmed` then gives what that covers.
    pub(crate) fn on_answer(&mut self, h: u32) -> Result<u32, TooHigh> {
        let newly = h.wrapping_sub(self.confirmed);
        if newly as usize > self.unacked.len() {
            let sent = self.confirmed.wrapping_add(self.unacked.len() as u32);
            return Err(TooHigh { h, sent });
        }
        self.asked = None;
        Ok(newly)
    }

    /// The oldest stanza, now confirmed.
    pub(crate) fn pop_confirmed(&mut self) -> Option<Tag> {
        let tag = self.unacked.pop()?;
        self.confirmed = self.confirmed.wrapping_add(1);
        tag
    }

    /// Whether the client should be asked again, since more waits than the last answer covered.
    pub(crate) fn wants_to_ask(&mut self, now: Instant) -> bool {
        self.unacked.len() > 0 && self.asked.replace(self.asked.unwrap_or(now)).is_none()
    }

    /// The connection is gone, and with it our question.
    pub(crate) fn forget_questions(&mut self) {
        self.asked = None;
        self.answer_due = None;
        if let Some(resumable) = &mut self.resumable {
            resumable.forget_counting();
        }
    }

    /// Gives back the memory of a queue that is empty.
    pub(crate) fn shrink(&mut self) {
        self.unacked.shrink(0);
    }

    /// Everything that was not confirmed, oldest first.
    pub(crate) fn into_unacked(self) -> impl Iterator<Item = (Vec<u8>, Option<Tag>)> {
        self.unacked.into_stanzas()
    }
}

/// Circular: whether a count is behind another.
pub(crate) fn is_behind(count: u32, other: u32) -> bool {
    count.wrapping_sub(other) > u32::MAX / 2
}

/// Stanzas end to end in one ring, so that a warm queue allocates nothing.
#[derive(Debug, Default)]
struct Unacked {
    octets: VecDeque<u8>,
    /// The length and tag of each.
    stanzas: VecDeque<(u32, Option<Tag>)>,
}

/// An empty ring keeps at most this much: a dozen usual messages.
const RING_KEPT: usize = 4096;

impl Unacked {
    fn len(&self) -> usize {
        self.stanzas.len()
    }

    fn push(&mut self, stanza: &[u8], tag: Option<Tag>) {
        self.octets.extend(stanza);
        self.stanzas.push_back((stanza.len() as u32, tag));
    }

    /// Drops the oldest and gives its tag.
    fn pop(&mut self) -> Option<Option<Tag>> {
        let (len, tag) = self.stanzas.pop_front()?;
        self.octets.drain(..len as usize);
        if self.stanzas.is_empty() {
            self.shrink(RING_KEPT);
        }
        Some(tag)
    }

    fn for_each(&mut self, mut show: impl FnMut(&[u8])) {
        let mut rest: &[u8] = self.octets.make_contiguous();
        for &(len, _) in &self.stanzas {
            let (stanza, behind) = rest.split_at(len as usize);
            show(stanza);
            rest = behind;
        }
    }

    fn shrink(&mut self, kept: usize) {
        if self.stanzas.is_empty() && self.octets.capacity() > kept {
            *self = Unacked::default();
        }
    }

    fn into_stanzas(mut self) -> impl Iterator<Item = (Vec<u8>, Option<Tag>)> {
        std::mem::take(&mut self.stanzas)
            .into_iter()
            .map(move |(len, tag)| (self.octets.drain(..len as usize).collect(), tag))
    }
}

#[cfg(test)]
mod tests;
