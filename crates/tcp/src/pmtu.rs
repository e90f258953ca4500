//! Path MTU as one connection sees it: how large its segments may be now, and what to do when large ones vanish.
//! Spec: RFC 9293 3.7.2 (MUST-14, SHLD-6), RFC 1191 6.3 and 6.5, RFC 8201 section 4, RFC 4821 sections 7.3 to 7.7.
//! Units: octets of text in a segment without options (what the MSS option speaks of), so that no IP version matters here.
//! Owns: the current size, the path's ceiling, one probe. Borrows: the rules from `config`.
//! Invariants: size <= ceiling; at most one probe is out; a message "too big" only ever lowers.
//! Not here: whether an ICMP message is believed (`arrives`), the host's cache of paths (`stack`).

use crate::config::TcpConfig;
use crate::seq::{SeqNum, SeqRange};
use crate::tick::Tick;
use crate::time::Instant;

/// Sizes to fall to, and to climb back by: what tunnels and links of today leave of a path (RFC 1191 7.1 in spirit), down
/// to what every path carries (IPv6's 1280, then IPv4's 576, less headers).
const LADDER: [u16; 9] = [65_476, 8_940, 4_312, 1_460, 1_400, 1_360, 1_220, 966, 516];

/// The size of segments and the search for a better one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pmtu {
    ceiling: u16,
    mss: u16,
    /// Octets of the probe in flight; 0 if there is none.
    probe: u16,
    /// The path has been seen to deliver out of order (RFC 8985, RACK.reordering_seen): kept here, beside what else is known of it, since
    /// an idle connection has no other room.
    reorders: bool,
    probe_end: SeqNum,
    changed: Tick,
}

impl Pmtu {
    /// The path is thought to carry `path_mss`.
    pub(crate) const fn new(path_mss: u16) -> Self {
        Pmtu {
            ceiling: path_mss,
            mss: path_mss,
            probe: 0,
            reorders: false,
            probe_end: SeqNum(0),
            changed: Tick::at(Instant::ZERO),
        }
    }

    /// The path delivers out of order.
    pub(crate) const fn on_reordering(&mut self) {
        self.reorders = true;
    }

    /// Whether it ever did.
    pub(crate) const fn reorders(&self) -> bool {
        self.reorders
    }

    /// The largest segment text now, before options are taken off.
    pub(crate) const fn mss(&self) -> u16 {
        self.mss
    }

    /// The host learnt anew what the path carries.
    pub(crate) const fn on_path(&mut self, path_mss: u16) {
        *self = Pmtu::new(path_mss);
    }

    /// A router said "too big", and was believed. Never below `floor`. True if the size fell.
    pub(crate) fn on_too_big(&mut self, now: Instant, mss: u16, floor: u16) -> bool {
        let mss = mss.max(floor);
        let lowered = mss < self.mss;
        if lowered {
            self.mss = mss;
            self.probe = 0;
            self.changed = Tick::at(now);
        }
        lowered
    }

    /// A segment of `len` octets timed out for the `retries`th time. If large ones vanish without a word (RFC 4821 7.7),
    /// the size falls one step, and true is returned.
    pub(crate) fn on_timeout(&mut self, now: Instant, retries: u32, len: u32, config: &TcpConfig) -> bool {
        let patience = u32::from(config.black_hole_retries);
        if patience == 0 || retries < patience || len < u32::from(self.mss.min(LADDER[LADDER.len() - 2])) {
            return false;
        }
        let Some(step) = LADDER.into_iter().find(|step| *step < self.mss) else { return false };
        self.mss = step.max(config.mss_min);
        self.probe = 0;
        self.changed = Tick::at(now);
        true
    }

    /// The size of a probe to send now, if a larger size should be tried (RFC 1191 6.3, RFC 4821 7.3).
    pub(crate) fn probe_size(&self, now: Instant, config: &TcpConfig) -> Option<u16> {
        if self.mss >= self.ceiling || self.probe != 0 {
            return None;
        }
        if self.changed.elapsed(now) < config.mtu_probe_interval {
            return None;
        }
        let step = LADDER.into_iter().rev().find(|step| *step > self.mss);
        Some(step.unwrap_or(self.ceiling).min(self.ceiling))
    }

    /// The probe is out.
    pub(crate) fn on_probe_sent(&mut self, range: SeqRange) {
        self.probe = u16::try_from(range.len()).unwrap_or(u16::MAX);
        self.probe_end = range.end;
    }

    /// SND.UNA moved: a probe that is acknowledged has proved its size. True if the size rose.
    pub(crate) fn on_ack(&mut self, una: SeqNum, now: Instant) -> bool {
        if self.probe == 0 || una.before(self.probe_end) {
            return false;
        }
        let raised = self.probe > self.mss;
        self.mss = self.mss.max(self.probe).min(self.ceiling);
        self.probe = 0;
        // What lies above is tried after another interval: the wait starts over.
        self.changed = Tick::at(now);
        raised
    }

    /// The probe did not arrive: no congestion (RFC 4821 7.6.2), and no new probe for an interval.
    pub(crate) const fn on_probe_lost(&mut self, now: Instant) {
        self.probe = 0;
        self.changed = Tick::at(now);
    }

    /// The probe in flight, whose loss means no congestion.
    pub(crate) fn probe(&self) -> Option<SeqRange> {
        (self.probe != 0).then(|| SeqRange::new(self.probe_end - u32::from(self.probe), self.probe_end))
    }

    /// Whether `seq` lies in the probe in flight.
    pub(crate) fn is_probe(&self, seq: SeqNum) -> bool {
        self.probe().is_some_and(|probe| seq.within(probe.start, probe.len()))
    }
}

#[cfg(test)]
mod tests;
