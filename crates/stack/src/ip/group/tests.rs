use super::*;

const START: Instant = Instant::from_secs(10);

fn group(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn half() -> u64 {
    u64::MAX / 2
}

fn reports(groups: &mut Groups, now: Instant) -> Vec<GroupMessage> {
    std::iter::from_fn(|| groups.poll(now, half)).collect()
}

fn joined(text: &str) -> Groups {
    let mut groups = Groups::new(8, true);
    groups.join(START, group(text)).unwrap();
    groups
}

#[test]
fn a_join_is_reported_twice_and_the_last_leave_told() {
    for text in ["239.1.2.3", "ff02::fb"] {
        let mut groups = joined(text);
        groups.join(START, group(text)).unwrap();
        let report = GroupMessage::Report { group: group(text), v1: false };
        assert_eq!(reports(&mut groups, START), [report]);
        let again = groups.next_deadline().unwrap();
        assert_eq!(again.since(START).as_secs(), 4, "half of ten seconds, rounded down");
        assert_eq!(reports(&mut groups, again), [report]);
        assert_eq!(groups.next_deadline(), None);
        groups.leave(group(text));
        assert!(groups.contains(group(text)) && reports(&mut groups, again).is_empty());
        groups.leave(group(text));
        assert_eq!(reports(&mut groups, again), [GroupMessage::Leave { group: group(text) }]);
        assert!(!groups.contains(group(text)));
    }
}

#[test]
fn a_query_is_answered_within_its_time_unless_another_host_was_faster() {
    let mut groups = joined("239.1.2.3");
    reports(&mut groups, START + Duration::from_secs(20));
    reports(&mut groups, START + Duration::from_secs(40));
    let now = START + Duration::from_secs(60);
    groups.on_query(now, group("0.0.0.0"), Duration::from_secs(4), false, half);
    assert!(reports(&mut groups, now + Duration::from_millis(1_999)).is_empty());
    assert_eq!(reports(&mut groups, now + Duration::from_secs(2)).len(), 1);
    groups.on_query(now, group("239.1.2.3"), Duration::from_secs(4), false, half);
    groups.on_report(group("239.1.2.3"));
    assert_eq!(groups.next_deadline(), None);
    groups.leave(group("239.1.2.3"));
    assert!(reports(&mut groups, now).is_empty(), "another host reported last, so there is one left");
}

#[test]
fn queries_about_others_and_of_the_other_family_are_not_answered() {
    let mut groups = joined("239.1.2.3");
    reports(&mut groups, START);
    reports(&mut groups, START + Duration::from_secs(20));
    for about in ["239.9.9.9", "::", "ff02::fb"] {
        groups.on_query(START, group(about), Duration::from_secs(1), false, half);
        assert_eq!(groups.next_deadline(), None, "{about}");
    }
}

#[test]
fn a_later_query_never_postpones_a_report() {
    let mut groups = joined("239.1.2.3");
    reports(&mut groups, START);
    reports(&mut groups, START + Duration::from_secs(20));
    groups.on_query(START, group("0.0.0.0"), Duration::from_secs(2), false, half);
    let due = groups.next_deadline();
    groups.on_query(START, group("0.0.0.0"), Duration::from_secs(20), false, half);
    assert_eq!(groups.next_deadline(), due);
}

#[test]
fn an_old_router_hears_version_one_for_a_while() {
    let mut groups = joined("239.1.2.3");
    groups.on_query(START, group("0.0.0.0"), Duration::ZERO, true, half);
    assert!(matches!(reports(&mut groups, START)[..], [GroupMessage::Report { v1: true, .. }]));
    let later = START + Duration::from_secs(401);
    assert!(matches!(reports(&mut groups, later)[..], [GroupMessage::Report { v1: false, .. }]));
}

#[test]
fn what_is_never_reported_or_joined() {
    for text in ["224.0.0.1", "ff02::1", "ff01::5"] {
        let mut groups = joined(text);
        assert!(reports(&mut groups, START).is_empty(), "{text}");
        groups.on_query(
            START,
            group(if text.contains(':') { "::" } else { "0.0.0.0" }),
            Duration::ZERO,
            false,
            half,
        );
        assert_eq!(groups.next_deadline(), None, "{text}");
    }
    let mut groups = Groups::new(1, true);
    assert_eq!(groups.join(START, group("192.0.2.1")), Err(JoinRefused::NotAGroup));
    groups.join(START, group("239.0.0.1")).unwrap();
    assert_eq!(groups.join(START, group("239.0.0.2")), Err(JoinRefused::TooMany));
    let mut silent = Groups::new(1, false);
    silent.join(START, group("239.0.0.1")).unwrap();
    silent.on_query(START, group("0.0.0.0"), Duration::ZERO, false, half);
    silent.leave(group("239.0.0.1"));
    assert!(reports(&mut silent, START).is_empty());
}
