use super::Pmtu;
use crate::config::TcpConfig;
use crate::seq::{SeqNum, SeqRange};
use crate::time::Instant;

#[test]
fn sixteen_bytes() {
    assert!(size_of::<Pmtu>() <= 16);
}

#[test]
fn too_big_lowers_and_never_raises_nor_goes_below_the_floor() {
    let mut room = Pmtu::new(1460);
    assert!(room.on_too_big(Instant::ZERO, 1360, 512));
    assert!(!room.on_too_big(Instant::ZERO, 1400, 512));
    assert_eq!(room.mss(), 1360);
    assert!(room.on_too_big(Instant::ZERO, 8, 512));
    assert_eq!(room.mss(), 512);
    assert!(!room.on_too_big(Instant::ZERO, 0, 512));
}

#[test]
fn a_black_hole_is_left_step_by_step_and_small_segments_do_not_accuse_it() {
    let config = TcpConfig::default();
    let mut room = Pmtu::new(1460);
    assert!(!room.on_timeout(Instant::ZERO, 2, 1460, &config), "not before the third timeout");
    assert!(!room.on_timeout(Instant::ZERO, 3, 200, &config), "a small segment has another reason");
    let mut sizes = Vec::new();
    for retries in 3..20 {
        if room.on_timeout(Instant::ZERO, retries, 1460, &config) {
            sizes.push(room.mss());
        }
    }
    assert_eq!(sizes, [1400, 1360, 1220, 966, 516]);
    let off = TcpConfig { black_hole_retries: 0, ..TcpConfig::default() };
    assert!(!Pmtu::new(1460).on_timeout(Instant::ZERO, 9, 1460, &off));
}

#[test]
fn a_larger_size_is_tried_after_the_interval_and_kept_if_it_arrives() {
    let config = TcpConfig::default();
    let mut room = Pmtu::new(1450);
    room.on_too_big(Instant::ZERO, 1360, 512);
    let later = Instant::ZERO + config.mtu_probe_interval;
    assert_eq!(room.probe_size(Instant::from_secs(1), &config), None);
    assert_eq!(room.probe_size(later, &config), Some(1400));
    let probe = SeqRange::new(SeqNum(100), SeqNum(1500));
    room.on_probe_sent(probe);
    assert_eq!(room.probe_size(later, &config), None, "one at a time");
    assert!(room.is_probe(SeqNum(100)) && room.is_probe(SeqNum(1499)) && !room.is_probe(SeqNum(1500)));
    assert!(!room.on_ack(SeqNum(1499), later));
    assert!(room.on_ack(SeqNum(1500), later));
    assert_eq!(room.mss(), 1400);
    let again = later + config.mtu_probe_interval;
    assert_eq!(room.probe_size(again, &config), Some(1450), "the ceiling ends the climb");
    room.on_probe_sent(SeqRange::new(SeqNum(1500), SeqNum(2950)));
    room.on_probe_lost(again);
    assert_eq!((room.mss(), room.probe_size(again, &config)), (1400, None));
}
