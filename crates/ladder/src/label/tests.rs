use super::*;
use crate::analysis::{Analysis, Vantage};
use crate::item::Side;
use crate::text::one_line;
use std::time::Duration;
use wire::tcp::{SackBlock, TcpOptions, Timestamps, UserTimeout};

fn labelled(header: Header, len: u32, options: LabelOptions) -> String {
    let finding = Analysis::new(Vantage::Capture).on_segment(Side::Left, Duration::ZERO, &header, len);
    let sent = Sent {
        id: 0,
        at: Duration::ZERO,
        from: Side::Left,
        packet: Packet::Segment { header, len },
        finding: Some(finding),
        standing: None,
        lost: None,
        forged: None,
    };
    one_line(&sent, options)
}

#[test]
fn labels_say_what_matters() {
    let plain = LabelOptions::default();
    let timestamps = Some(Timestamps { tsval: 1, tsecr: 2 });
    let options = TcpOptions {
        mss: Some(1460),
        sack_permitted: true,
        window_scale: Some(7),
        timestamps,
        ..TcpOptions::NONE
    };
    let syn = Header { seq: 900, flags: Flags::SYN, window: 64_240, options, ..Header::default() };
    assert_eq!(labelled(syn, 0, plain), "SYN seq 0 win 64240 <mss 1460, sackOK, ts, wscale 7>");
    let absolute = LabelOptions { absolute: true, ..plain };
    assert_eq!(labelled(syn, 0, absolute), "SYN seq 900 win 64240 <mss 1460, sackOK, ts, wscale 7>");
    let mut options =
        TcpOptions { user_timeout: Some(UserTimeout::from_secs(300)), timestamps, ..TcpOptions::NONE };
    options.sack.push(SackBlock { left: 1100, right: 1200 });
    let flags = Flags::ACK | Flags::PSH;
    let data = Header { seq: 5000, ack: 1000, flags, window: 9, options, ..Header::default() };
    assert_eq!(labelled(data, 20, plain), "PSH+ACK seq 1 ack 1 len 20 win 9* <sack 101:201, uto 300 s>");
    let hidden = LabelOptions { hide_lengths: true, ..plain };
    assert_eq!(labelled(data, 20, hidden), "PSH+ACK seq 1 ack 1 win 9* <sack 101:201, uto 300 s>");
    let reset = Header { seq: 5, flags: Flags::RST, ..Header::default() };
    assert_eq!(labelled(reset, 0, plain), "RST seq 1");
}

#[test]
fn flags_in_words() {
    assert_eq!(flag_words(Flags::SYN | Flags::ACK | Flags::ECE), "SYN+ACK+ECE");
    assert_eq!(flag_words(Flags::NONE), "no flags");
}
