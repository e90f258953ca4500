//! What both ends agreed in their SYNs, and what follows from it for every later segment.
//! Spec: RFC 9293 3.7.1 (MSS); RFC 7323 2 (window scale), 3-5 (timestamps, PAWS); RFC 2018 2 (SACK permitted); RFC 3168 6.1.1 (ECN).
//! Owns: the agreement, TS.Recent, Last.ACK.sent.   Units: the timestamp clock ticks once a millisecond.
//! Invariants: an option is in use only if both SYNs carried it; TS.Recent never goes back, except when it has become invalid.
//! Not here: path limits of the segment size (`pmtu`), the windows themselves (`window`).

use core::time::Duration;

use wire::tcp::{Flags, TcpOptions, Timestamps};

use crate::config::{EcnPolicy, Settings, TcpConfig};
use crate::segment::Segment;
use crate::seq::SeqNum;
use crate::tick::Tick;
use crate::time::Instant;

/// RFC 7323 2.3: a shift above 14 is taken as 14.
pub(crate) const SCALE_MAX: u8 = 14;

/// RFC 7323 5.5: after 24 days of silence TS.Recent says nothing any more.
const TS_RECENT_LIFE_SECS: u32 = 24 * 24 * 3600;

/// The least that TCP_MAXSEG may set, as Linux (TCP_MIN_MSS).
const MAX_SEGMENT_MIN: u16 = 88;

/// What the timestamps option takes in every segment, padding included.
const TIMESTAMPS_LEN: u16 = 12;

const SACK: u8 = 1;
const TIMESTAMPS: u8 = 2;
const ECN: u8 = 4;
const SCALING: u8 = 8;

/// The agreement of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    ts_offset: u32,
    ts_recent: u32,
    ts_recent_secs: u32,
    last_ack_sent: SeqNum,
    peer_mss: u16,
    scales: u8,
    bits: u8,
}

/// The scale that lets a window field express the largest buffer this socket may come to have.
pub(crate) fn scale_for(config: &TcpConfig, settings: &Settings) -> u8 {
    let largest = settings.receive_buffer.unwrap_or(config.receive_buffer_max);
    let mut scale = 0;
    while scale < SCALE_MAX && largest >> scale > u32::from(u16::MAX) {
        scale += 1;
    }
    scale
}

/// The timestamp clock (RFC 7323 5.4: between 1 ms and 1 s a tick), moved by the connection's secret offset.
#[allow(clippy::cast_possible_truncation)] // The clock wraps by design.
pub(crate) const fn timestamp_clock(now: Instant, offset: u32) -> u32 {
    (now.as_millis() as u32).wrapping_add(offset)
}

/// Whole seconds on the driver's clock; 136 years of them.
#[allow(clippy::cast_possible_truncation)]
const fn secs(now: Instant) -> u32 {
    (now.as_millis() / 1000) as u32
}

/// `a` is older than `b` on the timestamp circle (RFC 7323 5.2).
pub(crate) const fn is_older(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

/// The options of the SYN that opens (RFC 9293 3.7.1, SHLD-5: an MSS option in every SYN).
pub(crate) fn offer(
    config: &TcpConfig,
    settings: &Settings,
    mss: u16,
    now: Instant,
    ts_offset: u32,
) -> TcpOptions {
    TcpOptions {
        mss: Some(mss),
        window_scale: config.window_scaling.then(|| scale_for(config, settings)),
        sack_permitted: config.sack,
        timestamps: config
            .timestamps
            .then(|| Timestamps { tsval: timestamp_clock(now, ts_offset), tsecr: 0 }),
        user_timeout: settings.advertised_user_timeout(),
        ..TcpOptions::NONE
    }
}

/// Whether a SYN without ACK asks for ECN (RFC 3168 6.1.1: ECN-setup SYN).
pub(crate) const fn asks_for_ecn(flags: Flags) -> bool {
    flags.ece() && flags.cwr()
}

/// Whether a SYN,ACK accepts ECN (RFC 3168 6.1.1: ECE without CWR).
const fn accepts_ecn(flags: Flags) -> bool {
    flags.ece() && !flags.cwr()
}

impl Agreed {
    /// Before the peer has said anything: what we offer, should it agree.
    pub(crate) fn offered(config: &TcpConfig, settings: &Settings, ts_offset: u32) -> Self {
        let mut bits = 0;
        if config.sack {
            bits |= SACK;
        }
        if config.timestamps {
            bits |= TIMESTAMPS;
        }
        if config.window_scaling {
            bits |= SCALING;
        }
        if config.ecn == EcnPolicy::Request {
            bits |= ECN;
        }
        Agreed {
            ts_offset,
            ts_recent: 0,
            ts_recent_secs: 0,
            last_ack_sent: SeqNum::default(),
            peer_mss: config.mss_default,
            scales: scale_for(config, settings),
            bits,
        }
    }

    /// The peer's SYN has come: what it did not offer, or we did not, is not used.
    pub(crate) fn on_syn(&mut self, seg: &Segment<'_>, config: &TcpConfig, now: Instant) {
        let theirs = &seg.options;
        if !theirs.sack_permitted {
            self.bits &= !SACK;
        }
        match theirs.timestamps {
            Some(stamps) if self.timestamps() => {
                self.ts_recent = stamps.tsval;
                self.ts_recent_secs = secs(now);
            }
            _ => self.bits &= !TIMESTAMPS,
        }
        // RFC 7323 2.2: scaling is on in both directions or in none.
        match theirs.window_scale {
            Some(shift) if self.scaling() => {
                self.scales = (self.scales & 0x0f) | (shift.min(SCALE_MAX) << 4);
            }
            _ => {
                self.scales = 0;
                self.bits &= !SCALING;
            }
        }
        let ecn = if seg.flags.ack() {
            config.ecn == EcnPolicy::Request && accepts_ecn(seg.flags)
        } else {
            config.ecn != EcnPolicy::Off && asks_for_ecn(seg.flags)
        };
        self.bits = if ecn { self.bits | ECN } else { self.bits & !ECN };
        // RFC 9293 3.7.1, MUST-15: without the option, the default. A tiny one is not believed.
        self.peer_mss = theirs.mss.unwrap_or(config.mss_default).max(config.mss_min);
    }

    /// A passive open takes part in ECN if the peer asks for it, even where we would not ask.
    pub(crate) fn accept_ecn(&mut self, accept: bool) {
        if accept {
            self.bits |= ECN;
        }
    }

    /// The options of our SYN,ACK: of what we offer, only what the peer offered (RFC 7323 1.3, RFC 2018 2).
    pub(crate) fn answer(&self, mss: u16, now: Instant) -> TcpOptions {
        TcpOptions {
            mss: Some(mss),
            window_scale: self.scaling().then_some(self.rcv_scale()),
            sack_permitted: self.sack(),
            timestamps: self.stamp(now),
            ..TcpOptions::NONE
        }
    }

    /// TSval and TSecr for a segment that leaves now.
    #[inline]
    pub(crate) fn stamp(&self, now: Instant) -> Option<Timestamps> {
        self.timestamps()
            .then(|| Timestamps { tsval: timestamp_clock(now, self.ts_offset), tsecr: self.ts_recent })
    }

    /// RFC 7323 5.3, R1: the segment is a duplicate from an older turn of the sequence space.
    /// A segment without the option is not judged (docs/deviations.md); RST never is (5.2).
    #[inline]
    pub(crate) fn paws_refuses(&self, seg: &Segment<'_>, now: Instant) -> bool {
        match seg.options.timestamps {
            Some(stamps) if self.timestamps() && !seg.flags.rst() => {
                is_older(stamps.tsval, self.ts_recent) && !self.ts_recent_is_stale(now)
            }
            _ => false,
        }
    }

    /// By how many ticks of the peer's clock a segment that PAWS refuses is older than TS.Recent.
    pub(crate) fn ticks_behind(&self, seg: &Segment<'_>) -> u32 {
        seg.options.timestamps.map_or(0, |stamps| self.ts_recent.wrapping_sub(stamps.tsval))
    }

    /// RFC 7323 4.3: remembers the stamp of an acceptable segment that reaches back to the last ACK sent.
    #[inline]
    pub(crate) fn on_acceptable(&mut self, seg: &Segment<'_>, now: Instant) {
        if let Some(stamps) = seg.options.timestamps
            && self.timestamps()
            && seg.seq.at_or_before(self.last_ack_sent)
            && (!is_older(stamps.tsval, self.ts_recent) || self.ts_recent_is_stale(now))
        {
            self.ts_recent = stamps.tsval;
            self.ts_recent_secs = secs(now);
        }
    }

    fn ts_recent_is_stale(&self, now: Instant) -> bool {
        secs(now).wrapping_sub(self.ts_recent_secs) >= TS_RECENT_LIFE_SECS
    }

    /// An acknowledgment of everything before `ack` leaves.
    #[inline]
    pub(crate) fn on_ack_sent(&mut self, ack: SeqNum) {
        self.last_ack_sent = ack;
    }

    /// How long ago the segment that this echo answers was sent (RFC 7323 4.1), if the echo can be one.
    pub(crate) fn echoed_rtt(&self, seg: &Segment<'_>, now: Instant) -> Option<Duration> {
        let stamps = seg.options.timestamps.filter(|_| self.timestamps())?;
        let ticks = timestamp_clock(now, self.ts_offset).wrapping_sub(stamps.tsecr);
        // An echo of zero is none (old stacks), one from the future or from hours ago is not ours.
        (stamps.tsecr != 0 && ticks < 600_000).then(|| Duration::from_millis(u64::from(ticks.max(1))))
    }

    /// When the segment that this echo answers was sent, to the tick.
    pub(crate) fn echo(&self, seg: &Segment<'_>) -> Option<Tick> {
        let stamps = seg.options.timestamps.filter(|_| self.timestamps())?;
        (stamps.tsecr != 0).then(|| Tick::from_millis(stamps.tsecr.wrapping_sub(self.ts_offset)))
    }

    /// The secret that moves our timestamp clock.
    pub(crate) fn ts_offset(&self) -> u32 {
        self.ts_offset
    }

    pub(crate) const fn ts_recent(&self) -> u32 {
        self.ts_recent
    }

    #[inline]
    pub(crate) const fn sack(&self) -> bool {
        self.bits & SACK != 0
    }

    #[inline]
    pub(crate) const fn timestamps(&self) -> bool {
        self.bits & TIMESTAMPS != 0
    }

    #[inline]
    pub(crate) const fn ecn(&self) -> bool {
        self.bits & ECN != 0
    }

    pub(crate) const fn scaling(&self) -> bool {
        self.bits & SCALING != 0
    }

    /// Rcv.Wind.Shift.
    #[inline]
    pub(crate) const fn rcv_scale(&self) -> u8 {
        self.scales & 0x0f
    }

    /// Snd.Wind.Shift.
    #[inline]
    pub(crate) const fn snd_scale(&self) -> u8 {
        self.scales >> 4
    }

    /// SEG.WND in octets (RFC 7323 2.3: the field of a SYN is never scaled).
    #[inline]
    pub(crate) fn seg_wnd(&self, seg: &Segment<'_>) -> u32 {
        if seg.flags.syn() { u32::from(seg.wnd) } else { u32::from(seg.wnd) << self.snd_scale() }
    }

    /// The text that fits into a segment: RFC 9293 3.7.1, MUST-16, Eff.snd.MSS, given what the path carries.
    #[inline]
    pub(crate) fn smss(&self, path_mss: u16, settings: &Settings) -> u16 {
        let own = settings.max_segment.unwrap_or(u16::MAX).max(MAX_SEGMENT_MIN);
        let mss = self.peer_mss.min(path_mss).min(own);
        if self.timestamps() { mss.saturating_sub(TIMESTAMPS_LEN).max(1) } else { mss }
    }

    pub(crate) const fn peer_mss(&self) -> u16 {
        self.peer_mss
    }

    /// The agreement in eight octets and back: what a passive open in SYN-RECEIVED keeps.
    pub(crate) const fn pack(&self) -> Packed {
        Packed {
            ts_offset: self.ts_offset,
            ts_recent: self.ts_recent,
            peer_mss: self.peer_mss,
            scales: self.scales,
            bits: self.bits,
        }
    }

    pub(crate) fn unpack(packed: Packed, now: Instant) -> Self {
        Agreed {
            ts_offset: packed.ts_offset,
            ts_recent: packed.ts_recent,
            ts_recent_secs: secs(now),
            last_ack_sent: SeqNum::default(),
            peer_mss: packed.peer_mss,
            scales: packed.scales,
            bits: packed.bits,
        }
    }
}

/// An agreement without what can be found again: 12 octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Packed {
    ts_offset: u32,
    ts_recent: u32,
    peer_mss: u16,
    scales: u8,
    bits: u8,
}

impl Packed {
    pub(crate) const fn ts_offset(self) -> u32 {
        self.ts_offset
    }
}

#[cfg(test)]
mod tests;
