use super::*;
use crate::random::Secret;

const LIFETIME: Duration = Duration::from_secs(600);

fn cache(entries_max: usize) -> PathMtus {
    PathMtus::new(entries_max, LIFETIME, Secret::from_seed(1).key("mtu"))
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_a_too_big_message_does() {
    let (v4, v6) = (addr("192.0.2.1"), addr("2001:db8::1"));
    // destination, announced, size of the packet that failed, what is then known (link MTU 1500)
    let rows = [
        (v4, 1400, 1500, 1400),
        (v4, 1500, 1500, 1500),
        (v4, 9000, 1500, 1500),
        (v4, 68, 1500, 552),
        (v4, 0, 1500, 1492),
        (v4, 0, 1492, 1006),
        (v4, 0, 300, 552),
        (v6, 1400, 1500, 1400),
        (v6, 1280, 1500, 1280),
        (v6, 1279, 1500, 1500),
        (v6, 0, 1500, 1500),
    ];
    for (dst, announced, packet_len, expected) in rows {
        let mut cache = cache(8);
        let now = Instant::from_secs(1);
        let told = cache.on_too_big(now, dst, announced, packet_len, 1500);
        assert_eq!(cache.get(now, dst, 1500), expected, "{dst} {announced} {packet_len}");
        assert_eq!(told, (expected < 1500).then_some(expected), "{dst} {announced} {packet_len}");
    }
}

#[test]
fn an_entry_only_lowers_until_it_expires() {
    let (mut cache, dst, start) = (cache(8), addr("192.0.2.1"), Instant::from_secs(100));
    cache.on_too_big(start, dst, 1300, 1500, 1500);
    assert_eq!(cache.on_too_big(start, dst, 1400, 1500, 1500), None);
    assert_eq!(cache.on_too_big(start + Duration::from_secs(1), dst, 1200, 1300, 1500), Some(1200));
    assert_eq!(cache.next_deadline(), Some(start + Duration::from_secs(601)), "renewed, and only once");
    cache.handle_deadline(start + LIFETIME);
    assert_eq!(cache.get(start + LIFETIME, dst, 1500), 1200);
    cache.handle_deadline(start + Duration::from_secs(601));
    assert_eq!(cache.get(start + Duration::from_secs(601), dst, 1500), 1500);
    assert_eq!(cache.next_deadline(), None);
}

#[test]
fn the_oldest_makes_room() {
    let mut cache = cache(100);
    for i in 0..1_000u32 {
        let dst = IpAddr::from(i.to_be_bytes());
        cache.on_too_big(Instant::from_secs(u64::from(i)), dst, 1300, 1500, 1500);
        assert!(cache.len() <= 100 && cache.by_age.len() == cache.len());
    }
    let now = Instant::from_secs(1_000);
    assert_eq!(cache.get(now, IpAddr::from(899u32.to_be_bytes()), 1500), 1500);
    assert_eq!(cache.get(now, IpAddr::from(900u32.to_be_bytes()), 1500), 1300);
}
