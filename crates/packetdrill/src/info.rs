//! TCP_INFO and SO_MEMINFO as the kernel lays them out.
//! Spec: `struct tcp_info` of uapi/linux/tcp.h (Linux 6.18, 256 octets and more), `SK_MEMINFO_*` of sock_diag.h.
//! Owns: the layout. What our stack does not count is zero, as in a kernel that is too old to.
//! Not here: the values (`tcp::TcpInfo`, `chrono`).

use crate::chrono::Times;
use std::time::Duration;
use tcp::{Ages, State, TcpInfo};

/// Octets of `struct tcp_info`, with room for what later kernels append.
const LEN: usize = 384;

/// TCP_INFINITE_SSTHRESH.
const SSTHRESH_INFINITE: u32 = 0x7fff_ffff;

/// Fields are written at the offsets that C gives them.
struct Layout([u8; LEN]);

impl Layout {
    fn octet(&mut self, at: usize, value: u32) {
        self.0[at] = u8::try_from(value).unwrap_or(u8::MAX);
    }

    fn word(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    fn long(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }

    fn micros(&mut self, at: usize, span: Option<Duration>) {
        let micros = span.map_or(0, |span| u32::try_from(span.as_micros()).unwrap_or(u32::MAX));
        self.word(at, micros);
    }

    fn millis(&mut self, at: usize, span: Duration) {
        self.word(at, u32::try_from(span.as_millis()).unwrap_or(u32::MAX));
    }
}

/// TCP_ESTABLISHED and its sisters.
fn state_number(state: State) -> u32 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Closing => 11,
    }
}

/// A count of segments where our stack counts octets.
fn segments(octets: u32, mss: u16) -> u32 {
    octets.div_ceil(u32::from(mss).max(1))
}

/// TCP_INFO; of a socket that is no connection, all zero but the state, which is CLOSE.
pub(crate) fn tcp_info(info: Option<&TcpInfo>, ages: Option<Ages>, times: Times) -> Vec<u8> {
    let mut it = Layout([0; LEN]);
    let Some(info) = info else {
        it.octet(0, 7);
        return it.0.to_vec();
    };
    it.octet(0, state_number(info.state));
    it.octet(1, info.recovery as u32);
    it.octet(2, info.retransmits);
    it.octet(3, info.probes);
    it.octet(4, info.backoff);
    let options = u32::from(info.timestamps)
        | u32::from(info.sack) << 1
        | u32::from(info.snd_wscale.is_some()) << 2
        | u32::from(info.ecn) << 3;
    it.octet(5, options);
    it.octet(6, u32::from(info.snd_wscale.unwrap_or(0)) | u32::from(info.rcv_wscale.unwrap_or(0)) << 4);
    it.micros(8, Some(info.rto));
    it.word(16, info.snd_mss.into());
    it.word(24, segments(info.unacked, info.snd_mss));
    it.word(28, segments(info.sacked, info.snd_mss));
    it.word(32, segments(info.lost, info.snd_mss));
    it.word(36, segments(info.resent, info.snd_mss));
    if let Some(ages) = ages {
        it.millis(44, ages.sent);
        it.millis(52, ages.received);
        it.millis(56, ages.heard);
    }
    it.micros(68, info.srtt);
    it.micros(72, info.rttvar);
    let ssthresh = if info.ssthresh == u32::MAX {
        SSTHRESH_INFINITE
    } else {
        info.ssthresh / u32::from(info.snd_mss).max(1)
    };
    it.word(76, ssthresh);
    it.word(80, info.cwnd / u32::from(info.snd_mss).max(1));
    it.word(84, info.own_mss.into());
    it.word(88, info.reordering);
    it.word(96, info.rcv_buffer);
    it.word(100, info.total_retransmits);
    it.long(104, info.pacing_rate.unwrap_or(u64::MAX));
    it.long(112, u64::MAX);
    it.word(144, info.not_sent);
    it.micros(148, info.min_rtt);
    for (at, span) in [(168, times.busy), (176, times.window_limited), (184, times.buffer_limited)] {
        it.long(at, u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    }
    it.word(228, info.snd_wnd);
    it.word(232, info.rcv_wnd);
    it.0.to_vec()
}

/// SO_MEMINFO: nine words, of which the queues are known.
pub(crate) fn meminfo(info: Option<&TcpInfo>) -> Vec<u8> {
    let mut words = [0_u32; 9];
    if let Some(info) = info {
        words[0] = info.unread;
        words[1] = info.rcv_buffer;
        words[5] = info.unacked + info.not_sent;
    }
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[cfg(test)]
mod tests;
