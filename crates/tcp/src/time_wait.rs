//! TIME-WAIT: all is said; for 2*MSL a repeated FIN is answered, and nothing old reaches a new connection.
//! Spec: RFC 9293 3.6.1, 3.10.7.4; RFC 1337 (a RST does not end the wait); RFC 6191 and RFC 9293 MAY-2 (reuse by a newer SYN);
//! reuse by a SYN of our own as Linux's `tcp_tw_reuse`.
//! Owns: a keyless automaton of 20 octets. The stack keeps it in a table under the four-tuple's key, without a connection.
//! Invariants: it never sends anything but an ACK (or, to what cannot belong to it, nothing); the wait ends by time or by a
//! newer SYN only, the peer's or our own.
//! Not here: how a connection gets here (`arrives`, `close`), the table (`stack`), the ISN of the reincarnation (`stack`).

use core::time::Duration;

use wire::tcp::{Flags, TcpOptions, Timestamps};

use crate::acceptability::{Acceptability, judge};
use crate::config::TcpConfig;
use crate::options::{is_older, timestamp_clock};
use crate::segment::{Segment, SegmentOut};
use crate::seq::SeqNum;
use crate::tick::Tick;
use crate::time::Instant;

/// What is left of a connection in TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub struct TimeWait {
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    ts_recent: u32,
    deadline: Tick,
    /// RCV.WND as the last ACK advertised it.
    wnd: u16,
    scale: u8,
    timestamps: bool,
}

/// What a segment to a connection in TIME-WAIT leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeWaitDisposition {
    /// Nothing is to be done.
    Ignore,
    /// Answer with this ACK; the deadline may have moved.
    Answer(SegmentOut),
    /// A newer SYN: forget this entry and give the segment to the listener. A chosen ISS must lie beyond `iss_floor`
    /// (RFC 9293 MAY-2), unless timestamps already tell the incarnations apart.
    Reopen {
        /// SND.NXT of the old connection.
        iss_floor: SeqNum,
    },
}

impl TimeWait {
    pub(crate) fn new(
        now: Instant,
        config: &TcpConfig,
        (snd_nxt, rcv_nxt): (SeqNum, SeqNum),
        timestamps: Option<u32>,
        (wnd, scale): (u16, u8),
    ) -> Self {
        TimeWait {
            snd_nxt,
            rcv_nxt,
            ts_recent: timestamps.unwrap_or(0),
            deadline: Tick::at(now + duration(config)),
            wnd,
            scale,
            timestamps: timestamps.is_some(),
        }
    }

    /// When the entry may be forgotten.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Instant {
        // A tick begins up to a millisecond before the moment it stands for; the wait is not to be cut short.
        self.deadline.near(now) + Duration::from_millis(1)
    }

    /// Whether we may open the four-tuple anew ourselves, `rest` after the wait began; gives SND.NXT of the old connection,
    /// beyond which the ISS must lie. Only timestamps tell its segments from the new one's, as RFC 6191 asks of the peer's SYN: ours
    /// rise from one incarnation to the next, and PAWS does the rest.
    #[must_use]
    pub fn reopens_for_us(&self, now: Instant, config: &TcpConfig, rest: Duration) -> Option<SeqNum> {
        let rested = now + duration(config) >= self.deadline.near(now) + rest;
        (self.timestamps && rested).then_some(self.snd_nxt)
    }

    /// A segment for the four-tuple. `ts_offset`: of this four-tuple, as the connection was given it.
    pub fn handle_segment(
        &mut self,
        now: Instant,
        config: &TcpConfig,
        ts_offset: u32,
        seg: &Segment<'_>,
    ) -> TimeWaitDisposition {
        if let Some(iss_floor) = self.reopens(seg) {
            return TimeWaitDisposition::Reopen { iss_floor };
        }
        // RFC 1337: a RST, old or new, does not shorten the wait.
        if seg.flags.rst() {
            return TimeWaitDisposition::Ignore;
        }
        if self.paws_refuses(seg, config) {
            return TimeWaitDisposition::Answer(self.make_ack(now, ts_offset));
        }
        let wnd = u32::from(self.wnd) << self.scale;
        match judge(seg, self.rcv_nxt, wnd) {
            // RFC 9293 3.10.7.4: "the only thing that can arrive in this state is a retransmission of the remote FIN.
            // Acknowledge it, and restart the 2 MSL timeout." Anything else that takes sequence space is answered too.
            Acceptability::Old => {
                if seg.flags.fin() {
                    self.deadline = Tick::at(now + duration(config));
                }
                if seg.is_empty() && seg.seq == self.rcv_nxt {
                    TimeWaitDisposition::Ignore
                } else {
                    TimeWaitDisposition::Answer(self.make_ack(now, ts_offset))
                }
            }
            // A bare ACK in its place is the last word, or an old one; answering it could start a war of ACKs.
            _ if seg.is_empty() => TimeWaitDisposition::Ignore,
            _ => TimeWaitDisposition::Answer(self.make_ack(now, ts_offset)),
        }
    }

    /// RFC 6191: a SYN opens a new incarnation if its timestamp is newer, or, without timestamps, if its sequence number lies
    /// beyond everything of the old one.
    fn reopens(&self, seg: &Segment<'_>) -> Option<SeqNum> {
        if !seg.flags.syn() || seg.flags.ack() || seg.flags.rst() {
            return None;
        }
        let newer = match seg.options.timestamps {
            Some(stamps) if self.timestamps => {
                is_older(self.ts_recent, stamps.tsval)
                    || (stamps.tsval == self.ts_recent && seg.seq.after(self.rcv_nxt))
            }
            _ => seg.seq.after(self.rcv_nxt),
        };
        newer.then_some(self.snd_nxt)
    }

    fn paws_refuses(&self, seg: &Segment<'_>, config: &TcpConfig) -> bool {
        config.test.paws
            && self.timestamps
            && seg.options.timestamps.is_some_and(|stamps| is_older(stamps.tsval, self.ts_recent))
    }

    fn make_ack(&self, now: Instant, ts_offset: u32) -> SegmentOut {
        let timestamps = self
            .timestamps
            .then(|| Timestamps { tsval: timestamp_clock(now, ts_offset), tsecr: self.ts_recent });
        SegmentOut {
            options: TcpOptions { timestamps, ..TcpOptions::NONE },
            ..SegmentOut::bare(Flags::ACK, self.snd_nxt, self.rcv_nxt, self.wnd)
        }
    }
}

/// 2*MSL, or nothing where a simulation wants to see what the wait is for.
pub(crate) fn duration(config: &TcpConfig) -> Duration {
    if config.test.time_wait { config.time_wait } else { Duration::ZERO }
}

#[cfg(test)]
mod tests;
