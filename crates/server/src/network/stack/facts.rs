//! Facts of one of our own connections, for people: the rows that the kernel's TCP_INFO gives, and what only we know.
//! Spec: RFC 9293 3.9.1.6 (STATUS call); names are the kernel network's where both know the same.
//! Not here: what is known (`tcp::info`).

use std::time::Duration;

use tcp::{CongestionKind, TcpInfo};

use crate::network::Rows;

pub(super) fn rows(info: &TcpInfo) -> Rows {
    let mut rows = vec![("state", info.state.to_string())];
    let times =
        [("rtt", info.srtt), ("rttvar", info.rttvar), ("least rtt", info.min_rtt), ("rto", Some(info.rto))];
    rows.extend(times.into_iter().filter_map(|(name, time)| Some((name, millis(time?)))));
    let control = match info.congestion {
        CongestionKind::Cubic => "CUBIC",
        CongestionKind::Reno => "Reno",
    };
    rows.extend([
        ("congestion control", control.to_owned()),
        ("cwnd", octets(info.cwnd)),
        ("ssthresh", if info.ssthresh == u32::MAX { "none yet".to_owned() } else { octets(info.ssthresh) }),
        ("recovery", format!("{:?}", info.recovery)),
        ("mss", info.snd_mss.to_string()),
        ("SND.WND", octets(info.snd_wnd)),
        ("RCV.WND", octets(info.rcv_wnd)),
        ("unacked", octets(info.unacked)),
        ("not sent yet", octets(info.not_sent)),
        ("lost", octets(info.lost)),
        ("retransmitted", format!("{} segments", info.total_retransmits)),
        ("options", options(info)),
    ]);
    rows
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

fn octets(count: u32) -> String {
    format!("{count} octets")
}

/// What both agreed on when the connection opened.
fn options(info: &TcpInfo) -> String {
    let agreed = [
        ("timestamps", info.timestamps),
        ("SACK", info.sack),
        ("ECN", info.ecn),
        ("window scaling", info.snd_wscale.is_some()),
    ];
    let agreed: Vec<_> = agreed.into_iter().filter_map(|(name, has)| has.then_some(name)).collect();
    if agreed.is_empty() { "none".to_owned() } else { agreed.join(", ") }
}
