//! Sequence numbers: a point on a circle of 2^32, and how points compare.
//! Spec: RFC 9293 3.4 ("all arithmetic dealing with sequence numbers must be performed modulo 2**32").
//! Owns: the newtype, so that a sequence number is never mistaken for a length.
//! Invariants: `before` is an order only among numbers less than 2^31 apart; hence no `<`, no `Ord`.
//! Not here: the window test (`acceptability`), timestamps (`options`), which compare alike but are another number.

use core::fmt;
use core::ops::{Add, AddAssign, Sub, SubAssign};

/// A sequence number, or an acknowledgment number, which points at one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// The number as it stands on the wire.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// `self < other` on the circle: fewer than 2^31 octets before it.
    pub const fn before(self, other: SeqNum) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// `self =< other` on the circle.
    pub const fn at_or_before(self, other: SeqNum) -> bool {
        (self.0.wrapping_sub(other.0) as i32) <= 0
    }

    /// `self > other` on the circle.
    pub const fn after(self, other: SeqNum) -> bool {
        (self.0.wrapping_sub(other.0) as i32) > 0
    }

    /// `self >= other` on the circle.
    pub const fn at_or_after(self, other: SeqNum) -> bool {
        (self.0.wrapping_sub(other.0) as i32) >= 0
    }

    /// Whether `self` lies in `start .. start + len`. Holds for any `len`, also beyond 2^31.
    pub const fn within(self, start: SeqNum, len: u32) -> bool {
        self.0.wrapping_sub(start.0) < len
    }

    /// Whether `self` lies in `start .. end`; empty when they are equal.
    pub const fn between(self, start: SeqNum, end: SeqNum) -> bool {
        self.0.wrapping_sub(start.0) < end.0.wrapping_sub(start.0)
    }

    /// How many octets lie from `earlier` up to `self`, going forward round the circle.
    pub const fn since(self, earlier: SeqNum) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The signed distance `self - other`: negative if `self` is before `other`.
    pub const fn distance(self, other: SeqNum) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// The later of the two.
    #[must_use]
    pub const fn later(self, other: SeqNum) -> SeqNum {
        if self.after(other) { self } else { other }
    }

    /// The earlier of the two.
    #[must_use]
    pub const fn earlier(self, other: SeqNum) -> SeqNum {
        if self.before(other) { self } else { other }
    }
}

impl From<u32> for SeqNum {
    fn from(raw: u32) -> Self {
        SeqNum(raw)
    }
}

impl From<SeqNum> for u32 {
    fn from(seq: SeqNum) -> Self {
        seq.0
    }
}

impl Add<u32> for SeqNum {
    type Output = SeqNum;
    fn add(self, len: u32) -> SeqNum {
        SeqNum(self.0.wrapping_add(len))
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, len: u32) {
        *self = *self + len;
    }
}

impl Sub<u32> for SeqNum {
    type Output = SeqNum;
    fn sub(self, len: u32) -> SeqNum {
        SeqNum(self.0.wrapping_sub(len))
    }
}

impl SubAssign<u32> for SeqNum {
    fn sub_assign(&mut self, len: u32) {
        *self = *self - len;
    }
}

impl Sub<SeqNum> for SeqNum {
    type Output = u32;
    /// The forward distance from `earlier`; the same as [`SeqNum::since`].
    fn sub(self, earlier: SeqNum) -> u32 {
        self.since(earlier)
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The octets from `start` up to, and not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct SeqRange {
    /// The first octet.
    pub start: SeqNum,
    /// The first octet after it.
    pub end: SeqNum,
}

impl SeqRange {
    /// `start .. end`.
    pub const fn new(start: SeqNum, end: SeqNum) -> Self {
        SeqRange { start, end }
    }

    /// Its octets.
    pub const fn len(self) -> u32 {
        self.end.since(self.start)
    }

    /// Whether it holds nothing.
    pub const fn is_empty(self) -> bool {
        self.start.0 == self.end.0
    }

    /// Whether `seq` is one of its octets.
    pub const fn contains(self, seq: SeqNum) -> bool {
        seq.between(self.start, self.end)
    }

    /// Whether all of `other` lies inside.
    pub const fn covers(self, other: SeqRange) -> bool {
        self.start.at_or_before(other.start) && other.end.at_or_before(self.end)
    }

    /// Whether the two share an octet.
    pub const fn overlaps(self, other: SeqRange) -> bool {
        !self.is_empty() && !other.is_empty() && self.start.before(other.end) && other.start.before(self.end)
    }
}

/// At most four ranges, which is all that a TCP header has room for (RFC 2018 section 3).
#[derive(Clone, Copy, Default)]
pub struct SackBlocks {
    ranges: [SeqRange; SackBlocks::MAX],
    count: u8,
}

impl SackBlocks {
    /// The most that fit into 40 octets of options without timestamps.
    pub const MAX: usize = 4;

    /// None.
    pub const fn new() -> Self {
        SackBlocks { ranges: [SeqRange::new(SeqNum(0), SeqNum(0)); Self::MAX], count: 0 }
    }

    /// Appends one; false if there is no room.
    pub fn push(&mut self, range: SeqRange) -> bool {
        let Some(slot) = self.ranges.get_mut(usize::from(self.count)) else { return false };
        *slot = range;
        self.count += 1;
        true
    }

    /// In the order they were pushed.
    pub fn as_slice(&self) -> &[SeqRange] {
        &self.ranges[..usize::from(self.count)]
    }
}

impl PartialEq for SackBlocks {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SackBlocks {}

impl fmt::Debug for SackBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

#[cfg(test)]
mod tests;
