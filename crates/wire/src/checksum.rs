//! The Internet checksum: sums that can be made in parts and joined.
//! Spec: RFC 1071 (the sum and its tricks: byte order, deferred carries), RFC 1624 (incremental update).
//! Units: octets in, a 16-bit ones' complement sum out.
//! Owns: nothing; [`Sum`] is a `Copy` value.
//! Invariants: adding slices one after another gives the sum of their concatenation, odd lengths included.
//! Not here: which bytes each protocol covers (each protocol's file), pseudo-headers ([`crate::ip`]).
//!
//! From `WIDE_FROM` octets on a loop adds native 32-bit words into 32-bit lanes (RFC 1071 section 2: byte order only rotates the
//! result), and their upper halves into others, by which the carries that the first have lost are known in the end. LLVM makes vector
//! code of it at any `target-cpu`: on baseline x86-64 (SSE2) two `paddd` and a shift for four words, where widening to 64 bits costs two
//! `punpck` and two `paddq`. What is shorter is added by 64-bit words, each carry brought round at once. `tests::speed` prints what this
//! machine does.

/// A ones' complement sum under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// The sum of the 16-bit words as the *machine* reads them; carries pile up above bit 15. What is added
    /// at a time is below 2^32 (a slice is folded first), so it takes 2^32 additions to overflow.
    words: u64,
    /// An odd number of bytes has been added, so the next byte is the low half of a word.
    odd: bool,
}

impl Default for Sum {
    fn default() -> Sum {
        Sum::ZERO
    }
}

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Sum = Sum { words: 0, odd: false };

    /// The sum of `bytes`.
    #[inline]
    pub fn of(bytes: &[u8]) -> Sum {
        Sum::ZERO.add_bytes(bytes)
    }

    /// The sum of an IPv4 header without options, which each packet has, without the questions that any length brings.
    #[inline]
    pub fn of_header(bytes: &[u8; 20]) -> Sum {
        let (quads, _) = bytes.as_chunks::<4>();
        Sum { words: quads.iter().map(|quad| u64::from(u32::from_ne_bytes(*quad))).sum(), odd: false }
    }

    /// This sum, followed by `bytes`.
    #[inline]
    #[must_use]
    pub fn add_bytes(self, bytes: &[u8]) -> Sum {
        let part = u64::from(fold(words_of(bytes)));
        self.join(part, bytes.len() % 2 == 1)
    }

    /// This sum, followed by what `next` summed.
    #[inline]
    #[must_use]
    pub fn then(self, next: Sum) -> Sum {
        self.join(u64::from(fold(next.words)), next.odd)
    }

    /// This sum, followed by the two bytes of `word`, most significant first.
    #[inline]
    #[must_use]
    pub fn add_u16(self, word: u16) -> Sum {
        self.join(u64::from(word.to_be()), false)
    }

    /// This sum, followed by the four bytes of `word`, most significant first.
    #[inline]
    #[must_use]
    pub fn add_u32(self, word: u32) -> Sum {
        if self.odd {
            return self.add_u16((word >> 16) as u16).add_u16(word as u16);
        }
        // Two of the machine's words at once; 2^32 calls to overflow.
        Sum { words: self.words + u64::from(word.to_be()), odd: false }
    }

    /// Copies `from` to `to` and returns this sum followed by those bytes: one pass where copying and summing were two.
    /// Panics when the lengths differ.
    #[inline]
    #[must_use]
    pub fn add_copying(self, from: &[u8], to: &mut [u8]) -> Sum {
        assert_eq!(from.len(), to.len(), "a copy needs two slices of one length");
        // In pieces that stay in the first-level cache: the second pass then costs about what a fused loop would, and
        // both passes keep their best vector code.
        const PIECE: usize = 4096;
        let mut sum = self;
        for (from, to) in from.chunks(PIECE).zip(to.chunks_mut(PIECE)) {
            to.copy_from_slice(from);
            sum = sum.add_bytes(to);
        }
        sum
    }

    /// The folded sum, not complemented: what a device that finishes the checksum expects in the field.
    #[inline]
    pub fn partial(self) -> u16 {
        u16::from_be(fold(self.words))
    }

    /// The checksum: the complement of the sum, ready for the header.
    #[inline]
    pub fn checksum(self) -> u16 {
        !self.partial()
    }

    /// Whether bytes that contain their own checksum sum to "minus zero", as they must.
    #[inline]
    pub fn is_valid(self) -> bool {
        fold(self.words) == 0xffff
    }

    #[inline]
    fn join(self, part: u64, part_is_odd: bool) -> Sum {
        // RFC 1071 2(B): bytes at an odd offset land in the other half of each word, which swaps the sum's bytes.
        let part = if self.odd { u64::from((part as u16).swap_bytes()) } else { part };
        // `part` is below 2^16, and what `add_u32` adds below 2^32: it takes 2^32 calls to overflow.
        Sum { words: self.words + part, odd: self.odd ^ part_is_odd }
    }
}

/// The checksum of a header whose 16-bit word `old` becomes `new` (RFC 1624 equation 3: `HC' = ~(~HC + ~m + m')`).
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u64::from(!checksum) + u64::from(!old) + u64::from(new);
    !fold(sum)
}

#[inline]
fn fold(words: u64) -> u16 {
    let words = (words & 0xffff_ffff) + (words >> 32);
    let words = (words & 0xffff) + ((words >> 16) & 0xffff) + (words >> 32);
    let words = (words & 0xffff) + (words >> 16);
    let words = (words & 0xffff) + (words >> 16);
    words as u16
}

/// Bytes of one turn of the wide loop: sixteen 32-bit words.
const STRIDE: usize = 64;
/// Lanes of the wide loop: two vectors of four, and two words for each in a turn.
const LANES: usize = 8;
/// What is added up before lanes are folded: a lane's halves gain below 2^17 a turn, and hold 2^15 turns, 2 MiB.
const SPAN: usize = 1 << 20;
/// From here on the wide loop pays: folding its lanes costs as much as adding some two hundred bytes word by word.
const WIDE_FROM: usize = 512;

#[inline]
fn words_of(bytes: &[u8]) -> u64 {
    let wide = if bytes.len() < WIDE_FROM { 0 } else { bytes.len() - bytes.len() % STRIDE };
    let (wide, rest) = bytes.split_at(wide);
    let mut total = if wide.is_empty() { 0 } else { wide_words_of(wide) };
    // The sum of 64-bit words with the carry brought round is a sum of 16-bit words too (RFC 1071 2(A) and (C)).
    let mut add = |word: u64| {
        let (sum, carry) = total.overflowing_add(word);
        total = sum + u64::from(carry);
    };
    let (octs, mut tail) = rest.as_chunks::<8>();
    octs.iter().for_each(|oct| add(u64::from_ne_bytes(*oct)));
    if let Some((quad, after)) = tail.split_first_chunk::<4>() {
        add(u64::from(u32::from_ne_bytes(*quad)));
        tail = after;
    }
    let mut last = [0; 4];
    last[..tail.len()].copy_from_slice(tail); // RFC 1071 section 1: an odd byte is padded with zero
    add(u64::from(u32::from_ne_bytes(last)));
    total
}

/// Kept out of line: headers alone never come here, and callers stay small.
#[inline(never)]
fn wide_words_of(bytes: &[u8]) -> u64 {
    let mut total = 0;
    for span in bytes.chunks(SPAN) {
        // The sum of the words is kept without their carries, and that of their upper halves whole: the lower halves' sum is what the
        // first has more than the second, shifted. Both fit in 32 bits, see `SPAN`.
        let (mut all, mut upper) = ([0u32; LANES], [0u32; LANES]);
        let (turns, _) = span.as_chunks::<STRIDE>();
        for turn in turns {
            let (quads, _) = turn.as_chunks::<4>();
            for lane in 0..LANES {
                let (one, two) = (u32::from_ne_bytes(quads[lane]), u32::from_ne_bytes(quads[lane + LANES]));
                all[lane] = all[lane].wrapping_add(one).wrapping_add(two);
                upper[lane] += (one >> 16) + (two >> 16);
            }
        }
        for (all, upper) in all.into_iter().zip(upper) {
            total += u64::from(all.wrapping_sub(upper << 16)) + u64::from(upper);
        }
    }
    total
}

#[cfg(test)]
mod tests;
