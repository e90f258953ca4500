use super::*;
use crate::random::Secret;
use std::time::Duration;

const LINK: InterfaceId = InterfaceId(0);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const START: Instant = Instant::from_secs(100);

fn table(config: NeighborConfig) -> (NeighborTable, Random) {
    let secret = Secret::from_seed(1);
    (NeighborTable::new(config, secret.key("table")), Random::new(&secret, "jitter"))
}

fn addr(i: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 + i).to_be_bytes())
}

fn solicited(mac: MacAddr) -> Advertised {
    Advertised { mac: Some(mac), solicited: true, overriding: true, router: None }
}

fn state(table: &NeighborTable, of: IpAddr) -> Option<NeighborState> {
    table.iter().find(|&(_, addr, _, _)| addr == of).map(|(.., state)| state)
}

fn later(secs: u64) -> Instant {
    START + Duration::from_secs(secs)
}

/// A table with one neighbour in the given state, reached by the way a packet would.
fn with_neighbor(wanted: NeighborState) -> (NeighborTable, Random) {
    let (mut table, mut random) = table(NeighborConfig::default());
    table.wait(START, LINK, addr(1), vec![1]);
    if wanted != NeighborState::Incomplete {
        table.on_advertised(START, LINK, addr(1), solicited(MAC), &mut random);
    }
    if wanted != NeighborState::Reachable && wanted != NeighborState::Incomplete {
        let gentle = Advertised { mac: Some(OTHER_MAC), solicited: false, overriding: false, router: None };
        table.on_advertised(START, LINK, addr(1), gentle, &mut random);
    }
    if wanted == NeighborState::Delay || wanted == NeighborState::Probe {
        assert_eq!(table.resolve(START, LINK, addr(1)), Some(MAC));
    }
    if wanted == NeighborState::Probe {
        let solicit = table.poll_deadline(later(5));
        let unicast = Some(MAC);
        assert_eq!(solicit, Some(NeighborAction::Solicit { interface: LINK, target: addr(1), unicast }));
    }
    assert_eq!(state(&table, addr(1)), Some(wanted));
    (table, random)
}

/// RFC 4861 appendix C: state, what the advertisement says (same address?, solicited, override), then state and address.
#[test]
fn advertisements_in_every_state() {
    use NeighborState::{Delay, Incomplete, Probe, Reachable, Stale};
    let rows = [
        (Incomplete, true, true, false, Reachable, MAC),
        (Incomplete, true, false, true, Stale, MAC),
        (Incomplete, true, false, false, Stale, MAC),
        (Reachable, false, true, false, Stale, MAC),
        (Stale, false, true, false, Stale, MAC),
        (Delay, false, true, false, Delay, MAC),
        (Probe, false, true, false, Probe, MAC),
        (Reachable, true, true, true, Reachable, MAC),
        (Stale, true, true, true, Reachable, MAC),
        (Delay, true, true, true, Reachable, MAC),
        (Probe, true, true, false, Reachable, MAC),
        (Reachable, false, true, true, Reachable, OTHER_MAC),
        (Probe, false, true, true, Reachable, OTHER_MAC),
        (Reachable, false, false, true, Stale, OTHER_MAC),
        (Delay, false, false, true, Stale, OTHER_MAC),
        (Probe, false, false, true, Stale, OTHER_MAC),
        (Reachable, true, false, true, Reachable, MAC),
        (Probe, true, false, true, Probe, MAC),
        (Delay, true, false, false, Delay, MAC),
    ];
    for row in rows {
        let (before, same, solicited, overriding, after, mac) = row;
        let (mut table, mut random) = with_neighbor(before);
        let said =
            Advertised { mac: Some(if same { MAC } else { OTHER_MAC }), solicited, overriding, router: None };
        table.on_advertised(later(6), LINK, addr(1), said, &mut random);
        let entry = &table.entries[&(LINK, addr(1))];
        assert_eq!((entry.state, entry.mac), (after, mac), "{row:?}");
        let has_timer = matches!(after, Incomplete | Delay | Probe);
        assert_eq!(table.next_deadline().is_some(), has_timer, "{row:?}");
    }
}

#[test]
fn resolution_releases_what_waited_in_order() {
    let (mut table, mut random) = table(NeighborConfig::default());
    assert_eq!(table.resolve(START, LINK, addr(1)), None);
    assert_eq!(table.wait(START, LINK, addr(1), vec![1]), Waiting::Solicit);
    assert_eq!(table.wait(START, LINK, addr(1), vec![2]), Waiting::Queued);
    assert_eq!(table.resolve(START, LINK, addr(1)), None);
    let learnt = table.on_advertised(START, LINK, addr(1), solicited(MAC), &mut random);
    assert_eq!(learnt.packets, [vec![1], vec![2]]);
    assert_eq!(learnt.changed, Some(NeighborState::Reachable));
    assert_eq!(table.resolve(START, LINK, addr(1)), Some(MAC));
    assert_eq!((table.next_deadline(), table.waiting_bytes()), (None, 0));
}

#[test]
fn silence_ends_in_unreachable_after_three_questions() {
    let (mut table, _) = table(NeighborConfig::default());
    table.wait(START, LINK, addr(1), vec![1]);
    let ask = NeighborAction::Solicit { interface: LINK, target: addr(1), unicast: None };
    assert_eq!(table.poll_deadline(later(1)), Some(ask));
    assert_eq!(table.poll_deadline(later(1)), None);
    assert!(matches!(table.poll_deadline(later(2)), Some(NeighborAction::Solicit { .. })));
    let gone = NeighborAction::Unreachable { interface: LINK, target: addr(1), packets: [vec![1]].into() };
    assert_eq!(table.poll_deadline(later(3)), Some(gone));
    assert_eq!(state(&table, addr(1)), None);
    assert_eq!((table.next_deadline(), table.waiting_bytes()), (None, 0));
}

#[test]
fn a_stale_neighbour_is_delayed_probed_and_given_up() {
    let (mut table, _) = with_neighbor(NeighborState::Probe);
    for secs in [6, 7] {
        let action = table.poll_deadline(later(secs));
        assert!(matches!(action, Some(NeighborAction::Solicit { unicast: Some(MAC), .. })), "{action:?}");
        assert_eq!(table.resolve(later(secs), LINK, addr(1)), Some(MAC), "traffic goes on meanwhile");
    }
    assert!(matches!(table.poll_deadline(later(8)), Some(NeighborAction::Unreachable { .. })));
    assert_eq!(table.resolve(later(8), LINK, addr(1)), None);
}

#[test]
fn progress_of_a_transport_spares_the_probe() {
    let (mut table, _) = with_neighbor(NeighborState::Delay);
    table.on_progress(later(1), LINK, addr(1));
    assert_eq!(table.poll_deadline(later(60)), None);
    assert_eq!(state(&table, addr(1)), Some(NeighborState::Reachable));
}

#[test]
fn reachable_turns_stale_by_itself_within_its_jittered_time() {
    let (mut table, _) = with_neighbor(NeighborState::Reachable);
    table.resolve(later(14), LINK, addr(1));
    assert_eq!(state(&table, addr(1)), Some(NeighborState::Reachable), "0.5 of 30 s at least");
    table.resolve(later(46), LINK, addr(1));
    assert_eq!(state(&table, addr(1)), Some(NeighborState::Delay), "1.5 of 30 s at most");
}

#[test]
fn an_advertisement_nobody_asked_for_makes_no_entry() {
    let (mut table, mut random) = table(NeighborConfig::default());
    let learnt = table.on_advertised(START, LINK, addr(1), solicited(MAC), &mut random);
    assert_eq!(learnt, Learnt::default());
    assert_eq!(state(&table, addr(1)), None);
}

#[test]
fn who_asks_us_is_learnt_as_stale() {
    let (mut table, _) = table(NeighborConfig::default());
    table.on_heard(START, LINK, addr(1), MAC, None);
    assert_eq!(state(&table, addr(1)), Some(NeighborState::Stale));
    let (mut table, _) = with_neighbor(NeighborState::Reachable);
    table.on_heard(START, LINK, addr(1), MAC, None);
    assert_eq!(state(&table, addr(1)), Some(NeighborState::Reachable), "the same address changes nothing");
    table.on_heard(START, LINK, addr(1), OTHER_MAC, None);
    assert_eq!(state(&table, addr(1)), Some(NeighborState::Stale));
    let (mut table, _) = with_neighbor(NeighborState::Incomplete);
    assert_eq!(table.on_heard(START, LINK, addr(1), MAC, None).packets, [vec![1]]);
    assert_eq!(table.next_deadline(), None);
}

#[test]
fn a_router_that_stops_routing_is_noticed() {
    let (mut table, mut random) = with_neighbor(NeighborState::Incomplete);
    let said = Advertised { router: Some(true), ..solicited(MAC) };
    assert!(!table.on_advertised(START, LINK, addr(1), said, &mut random).stopped_routing);
    let said = Advertised { router: Some(false), ..solicited(MAC) };
    assert!(table.on_advertised(START, LINK, addr(1), said, &mut random).stopped_routing);
}

#[test]
fn queues_and_table_keep_their_bounds() {
    let config = NeighborConfig {
        entries_max: 4,
        pending_max: 3,
        pending_bytes_max: 100,
        ..NeighborConfig::default()
    };
    let (mut table, mut random) = table(config);
    for i in 0..3 {
        assert_ne!(table.wait(START, LINK, addr(1), vec![i; 10]), Waiting::Refused);
    }
    assert_eq!(table.wait(START, LINK, addr(1), vec![3; 10]), Waiting::Displaced);
    assert_eq!(table.waiting_bytes(), 30);
    assert_eq!(table.wait(START, LINK, addr(2), vec![0; 71]), Waiting::Refused, "bytes of all queues");
    for i in 2..=4 {
        assert_eq!(table.wait(START, LINK, addr(i), vec![0; 10]), Waiting::Solicit);
    }
    assert_eq!(table.wait(START, LINK, addr(5), vec![0]), Waiting::Refused, "all wait for an answer");
    table.on_advertised(START, LINK, addr(3), solicited(MAC), &mut random);
    assert_eq!(table.wait(START, LINK, addr(5), vec![0]), Waiting::Solicit, "one was resolved: it goes");
    assert_eq!(state(&table, addr(3)), None);
    table.on_advertised(START, LINK, addr(1), solicited(MAC), &mut random);
    assert_eq!(table.entries[&(LINK, addr(5))].waiting.len(), 1);
}
