//! TCP options: a walk over bytes, and the known ones as one plain value.
//! Spec: RFC 9293 3.1 and 3.2 (end, no-operation, MSS); RFC 7323 (scale, timestamps); RFC 2018, 2883 (SACK); RFC 5482.
//! Invariants: a walk visits at most 40 options and stops for good at the first impossible length; what `emit` writes is
//!             padded to a multiple of four and never longer than 40.
//! Not here: what was agreed with the peer (`tcp::options`).

use super::MAX_OPTIONS_LEN;
use crate::Malformed;
use core::ops::Deref;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const USER_TIMEOUT: u8 = 28;

/// The first four bytes of the timestamps option as nearly every segment carries it: nop, nop, kind, length.
const ALIGNED_TIMESTAMPS: [u8; 4] = [NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10];

/// What they take, padding included.
const TIMESTAMPS_LEN: usize = 12;

/// TSval and TSecr (RFC 7323 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timestamps {
    /// SEG.TSval: the sender's clock.
    pub tsval: u32,
    /// SEG.TSecr: the clock value that the sender echoes.
    pub tsecr: u32,
}

/// The user timeout that a peer asks for (RFC 5482 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserTimeout {
    /// The G bit: `value` counts minutes instead of seconds.
    pub minutes: bool,
    /// Fifteen bits of seconds or minutes.
    pub value: u16,
}

impl UserTimeout {
    /// The longest that fits: 32,767 minutes.
    const VALUE_MAX: u16 = 0x7fff;

    /// `secs` in the finest unit that holds it, rounded up, saturating at 32,767 minutes.
    pub fn from_secs(secs: u32) -> UserTimeout {
        match u16::try_from(secs) {
            Ok(value) if value <= UserTimeout::VALUE_MAX => UserTimeout { minutes: false, value },
            _ => {
                let minutes = u16::try_from(secs.div_ceil(60)).unwrap_or(UserTimeout::VALUE_MAX);
                UserTimeout { minutes: true, value: minutes.min(UserTimeout::VALUE_MAX) }
            }
        }
    }

    /// In seconds.
    pub fn secs(self) -> u32 {
        u32::from(self.value) * if self.minutes { 60 } else { 1 }
    }
}

/// One SACK block: `left` is its first sequence number, `right` the one behind its last (RFC 2018 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SackBlock {
    /// The left edge.
    pub left: u32,
    /// The right edge.
    pub right: u32,
}

/// At most four SACK blocks, in the order of the option: a D-SACK, if there is one, comes first (RFC 2883 section 4).
#[derive(Clone, Copy, Default)]
pub struct SackBlocks {
    blocks: [SackBlock; SackBlocks::MAX],
    len: u8,
}

impl SackBlocks {
    /// What forty bytes of options hold (RFC 2018 section 3).
    pub const MAX: usize = 4;
    /// No block.
    pub const NONE: SackBlocks =
        SackBlocks { blocks: [SackBlock { left: 0, right: 0 }; SackBlocks::MAX], len: 0 };

    /// Appends a block; says whether there was room.
    pub fn push(&mut self, block: SackBlock) -> bool {
        let free = self.blocks.get_mut(usize::from(self.len));
        let fits = free.is_some();
        if let Some(free) = free {
            *free = block;
            self.len += 1;
        }
        fits
    }

    /// Keeps the first `n`.
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(n.min(SackBlocks::MAX) as u8);
    }
}

impl Deref for SackBlocks {
    type Target = [SackBlock];
    fn deref(&self) -> &[SackBlock] {
        &self.blocks[..usize::from(self.len)]
    }
}

impl PartialEq for SackBlocks {
    fn eq(&self, other: &SackBlocks) -> bool {
        **self == **other
    }
}

impl Eq for SackBlocks {}

impl core::fmt::Debug for SackBlocks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<SackBlock> for SackBlocks {
    /// Takes the first four.
    fn from_iter<I: IntoIterator<Item = SackBlock>>(iter: I) -> SackBlocks {
        let mut blocks = SackBlocks::NONE;
        iter.into_iter().take(SackBlocks::MAX).for_each(|block| {
            blocks.push(block);
        });
        blocks
    }
}

/// The options that this house knows, as one plain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// Maximum segment size (RFC 9293 3.7.1); sent on SYN only.
    pub mss: Option<u16>,
    /// Window scale shift as sent, not yet limited to 14 (RFC 7323 section 2); SYN only.
    pub window_scale: Option<u8>,
    /// SACK permitted (RFC 2018 section 2); SYN only.
    pub sack_permitted: bool,
    /// Timestamps (RFC 7323 section 3).
    pub timestamps: Option<Timestamps>,
    /// SACK blocks.
    pub sack: SackBlocks,
    /// User timeout (RFC 5482).
    pub user_timeout: Option<UserTimeout>,
}

impl TcpOptions {
    /// No option at all.
    pub const NONE: TcpOptions = TcpOptions {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: SackBlocks::NONE,
        user_timeout: None,
    };

    /// Reads the options of a segment.
    ///
    /// Lenient as Linux is: unknown kinds are skipped (RFC 9293 MUST-6), a known kind with another length than its own is
    /// skipped, the later of two equal kinds wins, and an impossible length ends the walk with what was read so far (MUST-7).
    /// Whoever wants to know about the damage walks with [`OptionWalk`].
    #[inline]
    pub fn parse(bytes: &[u8]) -> TcpOptions {
        if bytes.is_empty() {
            return TcpOptions::NONE;
        }
        if let [a, b, c, d, v0, v1, v2, v3, e0, e1, e2, e3] = *bytes
            && [a, b, c, d] == ALIGNED_TIMESTAMPS
        {
            let timestamps = Timestamps {
                tsval: u32::from_be_bytes([v0, v1, v2, v3]),
                tsecr: u32::from_be_bytes([e0, e1, e2, e3]),
            };
            return TcpOptions { timestamps: Some(timestamps), ..TcpOptions::NONE };
        }
        // A SYN as Linux writes it, and we: <mss,sackOK,TS,nop,wscale>.
        if let [
            MSS,
            4,
            m0,
            m1,
            SACK_PERMITTED,
            2,
            TIMESTAMPS,
            10,
            v0,
            v1,
            v2,
            v3,
            e0,
            e1,
            e2,
            e3,
            NO_OPERATION,
            WINDOW_SCALE,
            3,
            shift,
        ] = *bytes
        {
            return TcpOptions {
                mss: Some(u16::from_be_bytes([m0, m1])),
                window_scale: Some(shift),
                sack_permitted: true,
                timestamps: Some(Timestamps {
                    tsval: u32::from_be_bytes([v0, v1, v2, v3]),
                    tsecr: u32::from_be_bytes([e0, e1, e2, e3]),
                }),
                ..TcpOptions::NONE
            };
        }
        TcpOptions::walk(bytes)
    }

    pub(super) fn walk(bytes: &[u8]) -> TcpOptions {
        let mut options = TcpOptions::NONE;
        for option in OptionWalk::new(bytes).map_while(Result::ok) {
            match option {
                TcpOption::Mss(mss) => options.mss = Some(mss),
                TcpOption::WindowScale(shift) => options.window_scale = Some(shift),
                TcpOption::SackPermitted => options.sack_permitted = true,
                TcpOption::Sack(sack) => options.sack = sack,
                TcpOption::Timestamps(timestamps) => options.timestamps = Some(timestamps),
                TcpOption::UserTimeout(timeout) => options.user_timeout = Some(timeout),
                TcpOption::Other { .. } => {}
            }
        }
        options
    }

    /// What the options take in a header, padding included: a multiple of four, at most 40.
    #[inline]
    pub fn wire_len(&self) -> usize {
        match self.plain() {
            Some(None) => 0,
            Some(Some(_)) => TIMESTAMPS_LEN,
            None => self.len_without_sack() + self.sack_len(),
        }
    }

    /// What nearly every segment carries: timestamps or nothing. `None`: more than that.
    #[inline]
    fn plain(&self) -> Option<Option<Timestamps>> {
        let more = self.mss.is_some()
            || self.window_scale.is_some()
            || self.sack_permitted
            || self.sack.len != 0
            || self.user_timeout.is_some();
        (!more).then_some(self.timestamps)
    }

    /// Whether there is none but timestamps.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.plain().is_some()
    }

    /// How many SACK blocks fit beside the other options; `emit` leaves out the rest.
    #[inline]
    pub fn sack_capacity(&self) -> usize {
        let free = MAX_OPTIONS_LEN.saturating_sub(self.len_without_sack() + 4);
        (free / 8).min(SackBlocks::MAX)
    }

    #[inline]
    fn len_without_sack(&self) -> usize {
        let mut len = 0;
        if self.mss.is_some() {
            len += 4;
        }
        if self.timestamps.is_some() {
            len += 12; // the two bytes of padding in front hold SACK-permitted when that is sent too
        } else if self.sack_permitted {
            len += 4;
        }
        if self.window_scale.is_some() {
            len += 4;
        }
        if self.user_timeout.is_some() {
            len += 4;
        }
        len
    }

    #[inline]
    fn sack_len(&self) -> usize {
        match self.sack.len().min(self.sack_capacity()) {
            0 => 0,
            n => 4 + 8 * n,
        }
    }

    /// Writes the options in Linux's order and padding, which middleboxes and fingerprints know best:
    /// `<mss,sackOK,TS,nop,wscale>`, `<mss,nop,nop,sackOK,nop,wscale>`, `<nop,nop,TS>`, `<nop,nop,TS,nop,nop,sack>`; a user
    /// timeout comes last. `bytes` is exactly [`wire_len`](TcpOptions::wire_len) long.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8]) {
        debug_assert_eq!(bytes.len(), self.wire_len(), "room is exactly the options' length");
        match self.plain() {
            Some(None) => {}
            Some(Some(timestamps)) => {
                let mut all = [0; TIMESTAMPS_LEN];
                all[..4].copy_from_slice(&ALIGNED_TIMESTAMPS);
                all[4..8].copy_from_slice(&timestamps.tsval.to_be_bytes());
                all[8..].copy_from_slice(&timestamps.tsecr.to_be_bytes());
                bytes.copy_from_slice(&all);
            }
            None => self.emit_all(bytes),
        }
    }

    fn emit_all(&self, bytes: &mut [u8]) {
        let mut out = Writer { bytes, at: 0 };
        if let Some(mss) = self.mss {
            let [hi, lo] = mss.to_be_bytes();
            out.word([MSS, 4, hi, lo]);
        }
        match (self.timestamps, self.sack_permitted) {
            (Some(timestamps), permitted) => {
                out.word(if permitted { [SACK_PERMITTED, 2, TIMESTAMPS, 10] } else { ALIGNED_TIMESTAMPS });
                out.word(timestamps.tsval.to_be_bytes());
                out.word(timestamps.tsecr.to_be_bytes());
            }
            (None, true) => out.word([NO_OPERATION, NO_OPERATION, SACK_PERMITTED, 2]),
            (None, false) => {}
        }
        if let Some(shift) = self.window_scale {
            out.word([NO_OPERATION, WINDOW_SCALE, 3, shift]);
        }
        let n = self.sack.len().min(self.sack_capacity());
        if n > 0 {
            out.word([NO_OPERATION, NO_OPERATION, SACK, 2 + 8 * n as u8]);
            for block in &self.sack[..n] {
                out.word(block.left.to_be_bytes());
                out.word(block.right.to_be_bytes());
            }
        }
        if let Some(timeout) = self.user_timeout {
            let value = u16::from(timeout.minutes) << 15 | (timeout.value & UserTimeout::VALUE_MAX);
            let [hi, lo] = value.to_be_bytes();
            out.word([USER_TIMEOUT, 4, hi, lo]);
        }
    }
}

/// Writes whole 32-bit words: every option above is padded to them.
struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    #[inline]
    fn word(&mut self, word: [u8; 4]) {
        self.bytes[self.at..self.at + 4].copy_from_slice(&word);
        self.at += 4;
    }
}

/// One option of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// Kind 2.
    Mss(u16),
    /// Kind 3.
    WindowScale(u8),
    /// Kind 4.
    SackPermitted,
    /// Kind 5.
    Sack(SackBlocks),
    /// Kind 8.
    Timestamps(Timestamps),
    /// Kind 28.
    UserTimeout(UserTimeout),
    /// A kind that we do not know, or a known one whose length is not its own.
    Other {
        /// Its kind.
        kind: u8,
        /// What follows kind and length.
        data: &'a [u8],
    },
}

/// Visits the options one by one; no-operations are skipped, "end of option list" ends it. After an error it is over.
#[derive(Debug, Clone)]
pub struct OptionWalk<'a> {
    rest: &'a [u8],
}

impl<'a> OptionWalk<'a> {
    /// Over the bytes between fixed header and text.
    pub fn new(bytes: &'a [u8]) -> OptionWalk<'a> {
        OptionWalk { rest: bytes }
    }
}

impl<'a> Iterator for OptionWalk<'a> {
    type Item = Result<TcpOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while let [NO_OPERATION, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let rest = core::mem::take(&mut self.rest);
        let (kind, len) = match *rest {
            [] | [END, ..] => return None,
            [_] => return Some(Err(Malformed::OptionLength)),
            [kind, len, ..] => (kind, usize::from(len)),
        };
        // RFC 9293 MUST-7: an illegal length (zero or one, or past the header) must not confuse us.
        if len < 2 || len > rest.len() {
            return Some(Err(Malformed::OptionLength));
        }
        let (option, rest) = rest.split_at(len);
        self.rest = rest;
        Some(Ok(TcpOption::read(kind, &option[2..])))
    }
}

impl<'a> TcpOption<'a> {
    fn read(kind: u8, data: &'a [u8]) -> TcpOption<'a> {
        match (kind, data) {
            (MSS, &[hi, lo]) => TcpOption::Mss(u16::from_be_bytes([hi, lo])),
            (WINDOW_SCALE, &[shift]) => TcpOption::WindowScale(shift),
            (SACK_PERMITTED, []) => TcpOption::SackPermitted,
            (SACK, blocks) if !blocks.is_empty() && blocks.len() % 8 == 0 => {
                TcpOption::Sack(blocks.chunks_exact(8).map(SackBlock::read).collect())
            }
            (TIMESTAMPS, &[v0, v1, v2, v3, e0, e1, e2, e3]) => TcpOption::Timestamps(Timestamps {
                tsval: u32::from_be_bytes([v0, v1, v2, v3]),
                tsecr: u32::from_be_bytes([e0, e1, e2, e3]),
            }),
            (USER_TIMEOUT, &[hi, lo]) => {
                let raw = u16::from_be_bytes([hi, lo]);
                let value = raw & UserTimeout::VALUE_MAX;
                TcpOption::UserTimeout(UserTimeout { minutes: raw >> 15 == 1, value })
            }
            (kind, data) => TcpOption::Other { kind, data },
        }
    }
}

impl SackBlock {
    /// `bytes` is eight long.
    fn read(bytes: &[u8]) -> SackBlock {
        SackBlock {
            left: u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            right: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        }
    }
}
