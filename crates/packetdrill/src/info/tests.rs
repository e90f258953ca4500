use super::{meminfo, segments, tcp_info};
use crate::chrono::Times;
use crate::host::Host;
use crate::testing::*;
use core::mem::offset_of;
use libc::tcp_info as C;
use std::time::Duration;
use tcp::{Ages, RecoveryState, State, TcpInfo};

/// Of a connection, with every field a value of its own.
fn sample() -> TcpInfo {
    let mut host = Host::new(flags());
    let (fd, _) = connected(&mut host);
    let handle = host.descriptors.tcp(fd).expect("a socket");
    TcpInfo {
        state: State::CloseWait,
        recovery: RecoveryState::Recovery,
        retransmits: 2,
        probes: 3,
        backoff: 4,
        timestamps: true,
        sack: false,
        snd_wscale: Some(5),
        rcv_wscale: Some(6),
        ecn: true,
        rto: Duration::from_millis(207),
        snd_mss: 1_000,
        unacked: 8_000,
        sacked: 2_001,
        lost: 1_000,
        resent: 500,
        srtt: Some(Duration::from_micros(9_999)),
        rttvar: Some(Duration::from_micros(1_111)),
        ssthresh: 7_000,
        cwnd: 12_000,
        own_mss: 1_460,
        reordering: 3,
        rcv_buffer: 65_000,
        total_retransmits: 17,
        unread: 40,
        not_sent: 300,
        ..host.info(handle).expect("a connection")
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four octets"))
}

/// Against the C library's own `struct tcp_info`, which ends where the kernel's early versions did.
#[test]
fn fields_lie_where_c_has_them() {
    let ages = Ages {
        sent: Duration::from_millis(11),
        received: Duration::from_millis(22),
        heard: Duration::from_millis(33),
    };
    let times = Times {
        busy: Duration::from_micros(30_007),
        window_limited: Duration::from_micros(5),
        buffer_limited: Duration::from_micros(6_000),
    };
    let bytes = tcp_info(Some(&sample()), Some(ages), times);
    let octets = [
        (offset_of!(C, tcpi_state), 8),    // TCP_CLOSE_WAIT
        (offset_of!(C, tcpi_ca_state), 3), // TCP_CA_Recovery
        (offset_of!(C, tcpi_retransmits), 2),
        (offset_of!(C, tcpi_probes), 3),
        (offset_of!(C, tcpi_backoff), 4),
        (offset_of!(C, tcpi_options), 1 | 4 | 8), // TIMESTAMPS, WSCALE, ECN
        (offset_of!(C, tcpi_options) + 1, 5 | 6 << 4),
    ];
    for (at, want) in octets {
        assert_eq!(bytes[at], want, "octet {at}");
    }
    let words = [
        (offset_of!(C, tcpi_rto), 207_000),
        (offset_of!(C, tcpi_snd_mss), 1_000),
        (offset_of!(C, tcpi_unacked), 8),
        (offset_of!(C, tcpi_sacked), 3), // a segment that is begun counts
        (offset_of!(C, tcpi_lost), 1),
        (offset_of!(C, tcpi_retrans), 1),
        (offset_of!(C, tcpi_last_data_sent), 11),
        (offset_of!(C, tcpi_last_data_recv), 22),
        (offset_of!(C, tcpi_last_ack_recv), 33),
        (offset_of!(C, tcpi_rtt), 9_999),
        (offset_of!(C, tcpi_rttvar), 1_111),
        (offset_of!(C, tcpi_snd_ssthresh), 7),
        (offset_of!(C, tcpi_snd_cwnd), 12),
        (offset_of!(C, tcpi_advmss), 1_460),
        (offset_of!(C, tcpi_reordering), 3),
        (offset_of!(C, tcpi_total_retrans), 17),
        // What the C library's struct has not: tcpi_notsent_bytes, and 64 bits each of tcpi_busy_time, tcpi_rwnd_limited and
        // tcpi_sndbuf_limited, which follow tcpi_delivery_rate.
        (144, 300),
        (if cfg!(target_endian = "big") { 172 } else { 168 }, 30_007),
        (if cfg!(target_endian = "big") { 180 } else { 176 }, 5),
        (if cfg!(target_endian = "big") { 188 } else { 184 }, 6_000),
    ];
    for (at, want) in words {
        assert_eq!(word(&bytes, at), want, "word at {at}");
    }
}

#[test]
fn what_is_not_known_yet_is_linuxs_way_of_saying_so() {
    let begun = TcpInfo { ssthresh: u32::MAX, srtt: None, pacing_rate: None, ..sample() };
    let bytes = tcp_info(Some(&begun), None, Times::default());
    assert_eq!(word(&bytes, offset_of!(C, tcpi_snd_ssthresh)), 0x7fff_ffff, "TCP_INFINITE_SSTHRESH");
    assert_eq!(word(&bytes, offset_of!(C, tcpi_rtt)), 0);
    let none = tcp_info(None, None, Times::default());
    assert_eq!(
        (none[0], none[1..].iter().all(|octet| *octet == 0)),
        (7, true),
        "TCP_CLOSE, and nothing else"
    );
}

#[test]
fn octets_count_as_the_segments_that_they_fill_or_begin() {
    for (octets, mss, want) in [(0, 1_000, 0), (1, 1_000, 1), (1_000, 1_000, 1), (1_001, 1_000, 2), (5, 0, 5)]
    {
        assert_eq!(segments(octets, mss), want);
    }
}

#[test]
fn meminfo_tells_both_queues() {
    let bytes = meminfo(Some(&sample()));
    let words: Vec<u32> = (0..9).map(|index| word(&bytes, 4 * index)).collect();
    assert_eq!(words, [40, 65_000, 0, 0, 0, 8_300, 0, 0, 0]);
    assert_eq!(meminfo(None), [0; 36]);
}
