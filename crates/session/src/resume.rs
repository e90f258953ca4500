//! Resuming: what is left of a session whose connection is gone, until its client comes back for it.
//!
//! Spec: XEP-0198 section 5.
//! Owns: the id, the record of the inbound count, a session without a connection ([`Parked`]).
//! Invariants: `h` is told to a client that may resume only once it is on record, so that no crash takes it back; what is
//! delivered to a parked session keeps its order and its count; a parked session writes nothing.
//! Not here: for how long and how many (`server`), whose it is (`router`), the record itself (`store`).
//!
//! ```text
//!   <enable resume='true'/>        connection lost            <resume/> on another connection
//!  live ------------> resumable -------------------> parked ------------------------------> resumable
//!                         |  </stream:stream>           |  time is up, place taken, too much
//!                         v                             v
//!                       over                          over: what was not confirmed goes back to the router
//! ```

use std::fmt;
use std::time::Duration;

use store::Counts;
use xmpp::error::StanzaCondition;
use xmpp::ns;
use xmpp::write;

use crate::acknowledge::{Acknowledge, Inbound, is_behind};
use crate::event::Tag;

/// What a session that may be resumed is known by: XEP-0198's SM-ID, 63 random bits in hexadecimal digits. It is worth
/// something only to a client that has proved the session's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResumeId(u64);

impl ResumeId {
    /// The id with these bits, of which the uppermost does not count.
    #[must_use]
    pub const fn from_bits(bits: u64) -> ResumeId {
        ResumeId(bits & (u64::MAX >> 1))
    }

    /// Its bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Reads what a client says; nothing that we did not write.
    #[must_use]
    pub fn parse(text: &str) -> Option<ResumeId> {
        let text = text.trim();
        let shape = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let bits = u64::from_str_radix(text, 16).ok().filter(|_| shape)?;
        (bits >> 63 == 0).then_some(ResumeId(bits))
    }
}

impl fmt::Display for ResumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What XEP-0198 keeps for a session that may be resumed.
#[derive(Debug)]
pub(crate) struct Resumable {
    id: ResumeId,
    /// For how long after its connection was lost.
    max: Duration,
    /// Every stanza up to this one is on record as handled.
    recorded: u32,
    /// This count is being recorded.
    counting: Option<u32>,
}

impl Resumable {
    pub(crate) fn new(id: ResumeId, max: Duration, recorded: u32) -> Resumable {
        Resumable { id, max, recorded, counting: None }
    }

    pub(crate) fn id(&self) -> ResumeId {
        self.id
    }

    pub(crate) fn recorded(&self) -> u32 {
        self.recorded
    }

    /// A stanza was recorded together with what it asked for. Only the next one moves the count: of others it is not
    /// known here what lies between.
    pub(crate) fn on_recorded(&mut self, seq: u32) {
        if seq == self.recorded.wrapping_add(1) {
            self.recorded = seq;
        }
    }

    /// The count that should be recorded, unless it is or is about to be.
    pub(crate) fn count(&mut self, processed: u32) -> Option<u32> {
        let known = self.counting.unwrap_or(self.recorded);
        is_behind(known, processed).then(|| {
            self.counting = Some(processed);
            processed
        })
    }

    pub(crate) fn on_counted(&mut self, count: u32) {
        if is_behind(self.recorded, count) {
            self.recorded = count;
        }
        self.counting = self.counting.filter(|&counting| is_behind(self.recorded, counting));
    }

    pub(crate) fn forget_counting(&mut self) {
        self.counting = None;
    }
}

/// What happened to a stanza that was delivered to a parked session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch;

/// A session without a connection.
#[derive(Debug)]
pub struct Parked {
    inbound: Inbound,
    acknowledge: Box<Acknowledge>,
}

impl Parked {
    /// What is left of a session; none if its client did not ask to resume it.
    pub(crate) fn of(inbound: Inbound, mut acknowledge: Box<Acknowledge>) -> Option<Parked> {
        acknowledge.resumable.as_ref()?;
        acknowledge.forget_questions();
        Some(Parked { inbound, acknowledge })
    }

    /// A session put together again from what [`Parked::counts`] and [`Parked::into_unacked`] gave.
    #[must_use]
    pub fn restore(
        id: ResumeId,
        max: Duration,
        counts: &Counts,
        unacked: impl IntoIterator<Item = (Vec<u8>, Option<Tag>)>,
    ) -> Parked {
        let resumable = Resumable::new(id, max, counts.recorded);
        let acknowledge = Box::new(Acknowledge::restore(counts, resumable, unacked));
        Parked { inbound: Inbound::restore(counts), acknowledge }
    }

    pub(crate) fn into_parts(self) -> (Inbound, Box<Acknowledge>) {
        (self.inbound, self.acknowledge)
    }

    /// What the client knows it by.
    #[must_use]
    pub fn id(&self) -> ResumeId {
        self.resumable().id
    }

    /// For how long it may be resumed.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.resumable().max
    }

    /// Its counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            received: self.inbound.received(),
            processed: self.inbound.processed(),
            ahead: self.inbound.ahead(),
            recorded: self.resumable().recorded,
            base: self.acknowledge.base(),
            confirmed: self.acknowledge.confirmed(),
        }
    }

    /// Stanzas that its client has not confirmed.
    #[must_use]
    pub fn stanzas(&self) -> usize {
        self.acknowledge.unacked()
    }

    /// Their octets.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.acknowledge.unacked_octets()
    }

    /// A stanza for the client, to be sent when it is back.
    ///
    /// # Errors
    /// More than these bounds would wait. The stanza is among what [`Parked::into_unacked`] gives back all the same.
    pub fn handle_delivery(
        &mut self,
        stanza: &[u8],
        tag: Option<Tag>,
        stanzas_max: usize,
        octets_max: usize,
    ) -> Result<(), TooMuch> {
        let fits = self.stanzas() < stanzas_max && self.octets() + stanza.len() <= octets_max;
        self.acknowledge.keep(stanza, tag);
        if fits { Ok(()) } else { Err(TooMuch) }
    }

    /// A stanza of the client has been processed, and whether that is on record.
    pub fn handle_processed(&mut self, seq: u32, recorded: bool) {
        self.inbound.process(seq);
        if recorded && let Some(resumable) = &mut self.acknowledge.resumable {
            resumable.on_recorded(seq);
        }
    }

    /// Everything that its client has not confirmed, oldest first.
    pub fn into_unacked(self) -> impl Iterator<Item = (Vec<u8>, Option<Tag>)> {
        self.acknowledge.into_unacked()
    }

    fn resumable(&self) -> &Resumable {
        self.acknowledge.resumable.as_deref().expect("only what can be resumed is parked")
    }
}

/// `<enabled/>` for a session that may be resumed, or may not.
pub(crate) fn write_enabled(resumable: Option<&Resumable>, out: &mut Vec<u8>) {
    let enabled = write::open(out, "enabled").ns(ns::SM);
    match resumable {
        None => enabled.empty(),
        Some(resumable) => {
            let enabled = enabled.attr("id", &resumable.id.to_string());
            enabled.attr_number("max", resumable.max.as_secs()).attr("resume", "true").empty();
        }
    }
}

/// `<resumed/>`.
pub(crate) fn write_resumed(id: ResumeId, h: u32, out: &mut Vec<u8>) {
    let resumed = write::open(out, "resumed").ns(ns::SM).attr("previd", &id.to_string());
    resumed.attr_number("h", u64::from(h)).empty();
}

/// `<failed/>`: there is no such session any more, of which `h` stanzas are known to have been handled.
pub(crate) fn write_refused(h: Option<u32>, condition: StanzaCondition, out: &mut Vec<u8>) {
    let failed = write::open(out, "failed").ns(ns::SM);
    let failed = match h {
        None => failed,
        Some(h) => failed.attr_number("h", u64::from(h)),
    };
    failed.with(|out| write::open(out, condition.name()).ns(ns::STANZA_ERRORS).empty());
}

#[cfg(test)]
mod tests;
