use wire::tcp::Flags;

use super::*;
use crate::testing::{IRS, ISS, ack, line, peer};

/// RFC 9293 3.10.7.2.
#[test]
fn a_listener_against_every_segment() {
    let (syn, fin, rst) = (Flags::SYN, Flags::FIN, Flags::RST);
    for (segment, expected) in [
        (peer(rst, 0, 0), "ignore"),
        (peer(rst | syn, 0, 0), "ignore"),
        (ack(5, 9), "R 9:9(0)"),
        (peer(syn | Flags::ACK, 5, 9), "R 9:9(0)"),
        (peer(syn, 0, 0), "open"),
        (peer(syn, 0, 0).octets(5), "open"),
        (peer(syn | fin, 0, 0), "ignore"),
        (peer(fin, 0, 0), "ignore"),
        (peer(Flags::NONE, 0, 0).octets(3), "ignore"),
        (peer(Flags::PSH | Flags::URG, 0, 0), "ignore"),
    ] {
        let shown = match listen(&segment.arriving()) {
            ListenDisposition::Ignore => "ignore".to_owned(),
            ListenDisposition::Open => "open".to_owned(),
            ListenDisposition::Reset(seg) => line(&seg, ISS, IRS),
        };
        assert_eq!(shown, expected, "{}", segment.flags);
    }
}
