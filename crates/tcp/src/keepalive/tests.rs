use super::{KeepAlive, KeepAliveSettings, KeepAliveVerdict};
use crate::time::Instant;
use core::time::Duration;

const SETTINGS: KeepAliveSettings =
    KeepAliveSettings { idle: Duration::from_secs(60), interval: Duration::from_secs(10), probes: 3 };

fn run(room: &mut KeepAlive, mut now: Instant, user_timeout: Option<Duration>) -> (u32, Instant) {
    let mut probes = 0;
    loop {
        now = now.max(room.deadline(&SETTINGS, now));
        match room.on_timeout(now, &SETTINGS, user_timeout) {
            KeepAliveVerdict::Probe => probes += 1,
            KeepAliveVerdict::GiveUp => return (probes, now),
            KeepAliveVerdict::NotYet => panic!("the deadline had come"),
        }
    }
}

#[test]
fn a_silent_peer_is_given_up_after_its_probes() {
    let mut room = KeepAlive::new(Instant::from_secs(5));
    assert_eq!(run(&mut room, Instant::from_secs(5), None), (3, Instant::from_secs(5 + 60 + 30)));
}

#[test]
fn a_user_timeout_decides_in_place_of_the_count() {
    let mut room = KeepAlive::new(Instant::ZERO);
    let (probes, at) = run(&mut room, Instant::ZERO, Some(Duration::from_secs(100)));
    assert_eq!((probes, at), (4, Instant::from_secs(100)));
}

#[test]
fn an_answer_starts_over() {
    let mut room = KeepAlive::new(Instant::ZERO);
    assert_eq!(room.on_timeout(Instant::from_secs(60), &SETTINGS, None), KeepAliveVerdict::Probe);
    room.on_heard(Instant::from_secs(61));
    assert_eq!(room.probes_sent(), 0);
    assert_eq!(room.on_timeout(Instant::from_secs(100), &SETTINGS, None), KeepAliveVerdict::NotYet);
    assert_eq!(room.deadline(&SETTINGS, Instant::from_secs(100)), Instant::from_secs(121));
}

#[test]
fn twelve_bytes() {
    assert!(size_of::<KeepAlive>() <= 12);
}
