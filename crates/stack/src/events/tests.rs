use super::*;

fn event(mtu: u32) -> Event {
    Event::PathMtu { dst: IpAddr::from([192, 0, 2, 1]), mtu }
}

#[test]
fn off_means_that_nothing_is_even_built() {
    let mut events = Events::new(0);
    events.record(Instant::ZERO, || panic!("built although nobody asked"));
    assert_eq!(events.poll(), None);
}

#[test]
fn the_ring_keeps_the_latest_and_counts_the_lost() {
    let mut events = Events::new(2);
    for mtu in [1, 2, 3] {
        events.record(Instant::from_secs(u64::from(mtu)), || event(mtu));
    }
    assert_eq!(events.poll(), Some((Instant::from_secs(2), event(2))));
    assert_eq!(events.poll(), Some((Instant::from_secs(3), event(3))));
    assert_eq!(events.poll(), None);
    assert_eq!(events.lost(), 1);
}
