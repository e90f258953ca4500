//! Retransmission: remembers what was sent and is not acknowledged, and decides when silence means loss.
//! Spec: RFC 9293 3.8.1 and 3.8.3 (R1, R2); RFC 6298 sections 3 (Karn) and 5; delivery rate by
//! draft-ietf-ccwg-bbr 4.1.   Units: sequence space in octets, SYN and FIN counting one.
//! Owns: one record a segment sent, the timer, the backoff. Borrows: the RTO from `rtt`, the time from the caller.
//! Invariants: records are contiguous and cover exactly SND.UNA..SND.NXT; a record is SACKed, or lost, or neither; the timer never
//! runs without records.
//! Not here: who says that a record is lost (`rack`, `recovery`), zero windows (`persist`), R1's hint to IP (the conductor).

use core::time::Duration;
use std::collections::VecDeque;

use crate::congestion::RateSample;
use crate::seq::{SeqNum, SeqRange};
use crate::time::Instant;

/// Records a reset room keeps space for.
const RECORDS_KEPT: usize = 256;

/// Backoff stops doubling here; every RTO times 2^16 exceeds any bound.
const BACKOFF_MAX: u32 = 16;

/// `rto` doubled `backoff` times, within `rto_max` (RFC 6298 5.5).
pub(crate) fn backed_off(rto: Duration, backoff: u32, rto_max: Duration) -> Duration {
    rto.saturating_mul(1 << backoff.min(BACKOFF_MAX)).min(rto_max)
}

/// When to stop trying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GiveUp {
    /// R2 as a count.
    pub(crate) retries: u32,
    /// RFC 5482, TCP_USER_TIMEOUT: where set, decides in place of the count, as in Linux.
    pub(crate) user_timeout: Option<Duration>,
}

/// What an expired timer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timeout {
    /// Send again.
    Retransmit,
    /// The peer is gone.
    GiveUp,
}

/// What an ACK taught.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Acked {
    /// A round trip, of a segment that was sent once (Karn's algorithm).
    pub(crate) rtt: Option<Duration>,
    /// How fast the path delivers.
    pub(crate) rate: Option<RateSample>,
    /// When the latest of the acknowledged segments that went out again did so.
    pub(crate) resent: Option<Instant>,
    /// Octets that the peer was not known to hold: what was SACKed before does not count again.
    pub(crate) delivered: u32,
}

/// A segment, or a piece of one, that the peer turns out to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Delivery {
    /// When it was sent last.
    pub(crate) sent: Instant,
    /// Where it begins.
    pub(crate) start: SeqNum,
    /// The octet after it.
    pub(crate) end: SeqNum,
    /// It had been sent before.
    pub(crate) again: bool,
}

/// What is thought of a segment that is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Judgment {
    /// It is lost.
    Lost,
    /// Perhaps, later.
    NotYet,
    /// It was sent after everything that could tell.
    SentLater,
}

/// A tick of the timestamp clock, by which an echo may seem older than it is.
const TIMESTAMP_TICK: Duration = Duration::from_millis(1);

impl Acked {
    /// Whether a round trip told by an echoed timestamp may be believed. If the segment went out again and the echo is of the
    /// first time, then the first ACK was lost, or late: the time since then is that of our own patience, not of the path. With it
    /// as a sample, one lost ACK after a long backoff would make the RTO minutes (RFC 6298 section 3, in spirit).
    pub(crate) fn admits(&self, echoed: Duration, now: Instant) -> bool {
        self.resent.is_none_or(|resent| echoed <= now - resent + TIMESTAMP_TICK)
    }
}

#[derive(Clone, Copy, Debug)]
struct Record {
    range: SeqRange,
    first_sent: Instant,
    sent: Instant,
    delivered: u64,
    delivered_at: Instant,
    phase_start: Instant,
    retransmitted: bool,
    app_limited: bool,
    /// The peer says it holds it.
    sacked: bool,
    /// It is thought to be lost, and has not been sent again since.
    lost: bool,
}

/// The unacknowledged segments and their timer.
#[derive(Debug, Default)]
pub(crate) struct Retransmit {
    records: VecDeque<Record>,
    deadline: Option<Instant>,
    backoff: u32,
    /// As of the last timeout.
    rto_max: Duration,
    retries: u32,
    total: u32,
    /// Octets delivered in this spell of sending, and when the last of them were.
    delivered: u64,
    delivered_at: Instant,
    phase_start: Instant,
    app_limited_until: u64,
    /// Octets of SACKed records, and of lost ones.
    sacked: u32,
    lost: u32,
    /// The octet after the highest record that went out again: beyond it records lie in the order of their sending.
    resent_end: Option<SeqNum>,
}

impl Retransmit {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// New, but with room for records; the count of retransmissions is the connection's to keep.
    pub(crate) fn reset(&mut self) {
        let mut records = core::mem::take(&mut self.records);
        records.clear();
        records.shrink_to(RECORDS_KEPT);
        *self = Retransmit { records, ..Self::default() };
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// `range` goes out, for the first time (then it begins at SND.NXT) or again.
    pub(crate) fn on_sent(&mut self, range: SeqRange, retransmission: bool, now: Instant, rto: Duration) {
        if range.is_empty() {
            return;
        }
        if retransmission {
            self.total = self.total.saturating_add(1);
            self.mark(range, now);
        } else {
            self.append(range, now);
        }
        // RFC 6298 5.1. What backoff there is holds until a segment that was sent once is acknowledged.
        if self.deadline.is_none() && !self.records.is_empty() {
            self.restart(now, rto);
        }
    }

    fn append(&mut self, range: SeqRange, now: Instant) {
        debug_assert!(
            self.records.back().is_none_or(|last| last.range.end == range.start),
            "new data begins where the last segment ended"
        );
        if self.records.is_empty() {
            self.phase_start = now;
            self.delivered_at = now;
        }
        self.records.push_back(Record {
            range,
            first_sent: now,
            sent: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            phase_start: self.phase_start,
            retransmitted: false,
            app_limited: self.app_limited_until > self.delivered,
            sacked: false,
            lost: false,
        });
    }

    /// Marks the records of `range`, splitting those that reach beyond it.
    fn mark(&mut self, range: SeqRange, now: Instant) {
        self.split(range.start);
        self.split(range.end);
        let first = self.index_of(range.start);
        let (delivered, delivered_at, phase_start) = (self.delivered, self.delivered_at, self.phase_start);
        for record in self.records.range_mut(first..) {
            if record.range.start.at_or_after(range.end) {
                break;
            }
            if core::mem::take(&mut record.lost) {
                self.lost -= record.range.len();
            }
            *record =
                Record { sent: now, retransmitted: true, delivered, delivered_at, phase_start, ..*record };
        }
        self.resent_end = Some(self.resent_end.map_or(range.end, |end| end.later(range.end)));
    }

    fn index_of(&self, seq: SeqNum) -> usize {
        self.records.partition_point(|record| record.range.end.at_or_before(seq))
    }

    fn split(&mut self, at: SeqNum) {
        let index = self.index_of(at);
        let Some(record) = self.records.get_mut(index) else { return };
        if at.after(record.range.start) && at.before(record.range.end) {
            let rest = Record { range: SeqRange::new(at, record.range.end), ..*record };
            record.range.end = at;
            self.records.insert(index + 1, rest);
        }
    }

    /// SND.UNA moved to `una`. `rto` is the timeout without backoff; `hear` is told of each record that was not SACKed before.
    pub(crate) fn on_ack(
        &mut self,
        una: SeqNum,
        now: Instant,
        rto: Duration,
        rto_max: Duration,
        hear: &mut impl FnMut(Delivery),
    ) -> Acked {
        let mut delivered = 0;
        let mut oldest_sent = None;
        let mut latest: Option<Record> = None;
        let mut ambiguous = false;
        let mut resent = None;
        let mut progress = 0;
        while let Some(record) = self.records.front_mut() {
            if record.range.start.at_or_after(una) {
                break;
            }
            let whole = record.range.end.at_or_before(una);
            let end = if whole { record.range.end } else { una };
            let len = end - record.range.start;
            progress += len;
            if record.sacked {
                self.sacked -= len;
            } else {
                delivered += len;
                let (start, sent, again) = (record.range.start, record.sent, record.retransmitted);
                hear(Delivery { sent, start, end, again });
            }
            if record.lost {
                self.lost -= len;
            }
            ambiguous |= record.retransmitted;
            if record.retransmitted {
                resent = resent.max(Some(record.sent));
            }
            oldest_sent.get_or_insert(record.sent);
            if latest.is_none_or(|other| record.sent >= other.sent) {
                latest = Some(*record);
            }
            if !whole {
                record.range.start = una;
                break;
            }
            self.records.pop_front();
        }
        if progress == 0 {
            return Acked::default();
        }
        self.resent_end = self.resent_end.filter(|end| end.after(una));
        self.delivered += u64::from(progress);
        self.delivered_at = now;
        // RFC 6298 section 3: a segment that was sent twice times nothing. The oldest one includes the peer's delay.
        let rtt = if ambiguous { None } else { oldest_sent.map(|sent| now - sent) };
        self.retries = 0;
        if rtt.is_some() {
            self.backoff = 0;
        }
        if self.records.is_empty() {
            self.stop(); // RFC 6298 5.2
        } else {
            self.deadline = Some(now + backed_off(rto, self.backoff, rto_max)); // RFC 6298 5.3
        }
        Acked { rtt, rate: latest.and_then(|record| self.rate(&record, now)), resent, delivered }
    }

    /// The peer says that it holds `range`, which it had not said before.
    pub(crate) fn on_sacked(&mut self, range: SeqRange, hear: &mut impl FnMut(Delivery)) {
        self.split(range.start);
        self.split(range.end);
        let first = self.index_of(range.start);
        for record in self.records.range_mut(first..) {
            if record.range.start.at_or_after(range.end) {
                break;
            }
            debug_assert!(!record.sacked, "the scoreboard tells of each octet once");
            let len = record.range.len();
            record.sacked = true;
            self.sacked += len;
            if core::mem::take(&mut record.lost) {
                self.lost -= len;
            }
            let (SeqRange { start, end }, sent, again) = (record.range, record.sent, record.retransmitted);
            hear(Delivery { sent, start, end, again });
        }
    }

    /// The peer may have thrown away what it SACKed (RFC 2018 section 8).
    pub(crate) fn forget_sacked(&mut self) {
        self.records.iter_mut().for_each(|record| record.sacked = false);
        self.sacked = 0;
    }

    /// Asks `judge`, given when each was sent and where it ends, about the records that are neither SACKed nor lost; returns how
    /// many octets it found lost. Looks no further than what was sent before the latest delivery.
    pub(crate) fn judge(&mut self, mut judge: impl FnMut(Instant, SeqNum) -> Judgment) -> u32 {
        let mut lost = 0;
        for record in &mut self.records {
            if record.sacked || record.lost {
                continue;
            }
            match judge(record.sent, record.range.end) {
                Judgment::Lost => {
                    record.lost = true;
                    lost += record.range.len();
                }
                Judgment::NotYet => {}
                Judgment::SentLater => {
                    if self.resent_end.is_none_or(|end| record.range.start.at_or_after(end)) {
                        break;
                    }
                }
            }
        }
        self.lost += lost;
        lost
    }

    /// The oldest record is lost whatever else is: the timer expired on it.
    pub(crate) fn lose_first(&mut self) {
        if let Some(first) = self.records.front_mut().filter(|first| !first.lost && !first.sacked) {
            first.lost = true;
            self.lost += first.range.len();
        }
    }

    /// What seemed lost was late.
    pub(crate) fn clear_lost(&mut self) {
        self.records.iter_mut().for_each(|record| record.lost = false);
        self.lost = 0;
    }

    /// The first lost octets, at most `len_max` of them in one piece.
    pub(crate) fn first_lost(&self, len_max: u32) -> Option<SeqRange> {
        if self.lost == 0 {
            return None;
        }
        let mut records = self.records.iter().skip_while(|record| !record.lost);
        let mut range = records.next()?.range;
        for record in records.take_while(|record| record.lost) {
            if range.len() >= len_max {
                break;
            }
            range.end = record.range.end;
        }
        range.end = range.end.earlier(range.start + len_max);
        Some(range)
    }

    /// The end of the lost record that holds `seq`: of what left as one.
    pub(crate) fn lost_end(&self, seq: SeqNum) -> Option<SeqNum> {
        let record = self.records.get(self.index_of(seq))?;
        (record.lost && record.range.start.at_or_before(seq)).then_some(record.range.end)
    }

    /// What went out again becomes so many segments more than one, for the count.
    pub(crate) fn count_cut(&mut self, more: u32) {
        self.total = self.total.saturating_add(more);
    }

    /// Whether anything lost ends beyond `from`.
    pub(crate) fn has_lost_beyond(&self, from: SeqNum) -> bool {
        self.lost > 0 && self.records.iter().rev().any(|record| record.lost && record.range.end.after(from))
    }

    /// The end of what is out, at most `len_max` octets of the last record.
    pub(crate) fn tail(&self, len_max: u32) -> Option<SeqRange> {
        let last = self.records.back()?.range;
        Some(SeqRange::new(last.start.later(last.end - len_max), last.end))
    }

    /// Octets that the peer says it holds beyond SND.UNA.
    pub(crate) const fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Octets that are thought to be lost and have not been sent again.
    pub(crate) const fn lost(&self) -> u32 {
        self.lost
    }

    /// Octets that went out again and are neither SACKed nor thought to be lost anew.
    pub(crate) fn resent(&self) -> u32 {
        let out = self.records.iter().filter(|record| record.retransmitted && !record.sacked && !record.lost);
        out.map(|record| record.range.len()).sum()
    }

    /// What the two counts are by the records themselves; for `invariants`.
    #[cfg_attr(not(debug_assertions), allow(dead_code))]
    pub(crate) fn recount(&self) -> (u32, u32) {
        let count =
            |is: fn(&Record) -> bool| self.records.iter().filter(|r| is(r)).map(|r| r.range.len()).sum();
        (count(|record| record.sacked), count(|record| record.lost))
    }

    fn rate(&mut self, record: &Record, now: Instant) -> Option<RateSample> {
        self.phase_start = record.sent;
        let interval = (record.sent - record.phase_start).max(now - record.delivered_at);
        let delivered = self.delivered - record.delivered;
        let app_limited = record.app_limited;
        (!interval.is_zero()).then_some(RateSample { delivered, interval, app_limited })
    }

    /// The program had nothing more to send: what is in flight now measures the program, not the path.
    pub(crate) fn on_app_limited(&mut self) {
        if let (Some(first), Some(last)) = (self.records.front(), self.records.back()) {
            let flight = last.range.end - first.range.start;
            self.app_limited_until = self.delivered + u64::from(flight);
        }
    }

    /// A round trip was measured by timestamps, which tell transmissions apart: the backoff has served (RFC 6298 5.7).
    pub(crate) fn on_sample(&mut self) {
        self.backoff = 0;
    }

    /// The timer expired (RFC 6298 5.4 to 5.6).
    pub(crate) fn on_timeout(
        &mut self,
        now: Instant,
        rto: Duration,
        rto_max: Duration,
        give_up: &GiveUp,
    ) -> Timeout {
        let waited = self.first_sent().map_or(Duration::ZERO, |first| now - first);
        let gone = match give_up.user_timeout {
            Some(limit) => waited >= limit,
            None => self.retries >= give_up.retries,
        };
        if gone {
            self.deadline = None;
            return Timeout::GiveUp;
        }
        self.rto_max = rto_max;
        self.retries = self.retries.saturating_add(1);
        self.backoff = (self.backoff + 1).min(BACKOFF_MAX);
        let mut next = now + backed_off(rto, self.backoff, rto_max);
        if let (Some(limit), Some(first)) = (give_up.user_timeout, self.first_sent()) {
            next = next.min(first + limit).max(now + Duration::from_millis(1));
        }
        self.deadline = Some(next);
        Timeout::Retransmit
    }

    /// When to act on silence.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The timer stops, and with it the count of failures.
    pub(crate) const fn stop(&mut self) {
        self.deadline = None;
        self.retries = 0;
    }

    /// The timer starts anew, without a change of backoff.
    pub(crate) fn restart(&mut self, now: Instant, rto: Duration) {
        // Backed off, but (RFC 6298 2.5) never beyond the bound that held when it was.
        let wait = if self.backoff == 0 { rto } else { backed_off(rto, self.backoff, self.rto_max) };
        self.deadline = Some(now + wait);
    }

    /// How often the RTO is doubled.
    pub(crate) const fn backoff(&self) -> u32 {
        self.backoff
    }

    /// Timeouts in a row.
    pub(crate) const fn retries(&self) -> u32 {
        self.retries
    }

    /// When the oldest unacknowledged octet first went out.
    pub(crate) fn first_sent(&self) -> Option<Instant> {
        self.records.front().map(|record| record.first_sent)
    }

    /// The length of the oldest unacknowledged segment.
    pub(crate) fn first_len(&self) -> Option<u32> {
        self.records.front().map(|record| record.range.len())
    }

    /// Segments sent again since the room was new.
    pub(crate) const fn total(&self) -> u32 {
        self.total
    }
}

#[cfg(test)]
mod tests;
