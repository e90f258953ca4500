use super::*;

const A: InterfaceId = InterfaceId(0);
const B: InterfaceId = InterfaceId(1);

fn route(prefix: &str, gateway: Option<&str>, interface: InterfaceId, metric: u32) -> Route {
    Route {
        prefix: prefix.parse().unwrap(),
        gateway: gateway.map(|g| g.parse().unwrap()),
        interface,
        metric,
        origin: RouteOrigin::Static,
        expires: None,
    }
}

fn table(routes: &[Route]) -> RouteTable {
    let mut table = RouteTable::new(16);
    for &route in routes {
        table.add(route).unwrap();
    }
    table
}

fn next_hop(table: &RouteTable, dst: &str, interface: Option<InterfaceId>) -> Option<String> {
    let dst = dst.parse().unwrap();
    table.lookup(dst, interface).map(|r| format!("{}@{}", r.gateway.unwrap_or(dst), r.interface.0))
}

#[test]
fn longest_prefix_then_metric_then_interface() {
    let table = table(&[
        route("0.0.0.0/0", Some("10.0.0.1"), A, 0),
        route("10.0.0.0/8", None, A, 0),
        route("10.1.0.0/16", Some("10.0.0.2"), A, 10),
        route("10.1.0.0/16", Some("10.0.0.3"), B, 5),
        route("::/0", Some("fe80::1"), B, 0),
    ]);
    let rows = [
        ("192.0.2.1", None, Some("10.0.0.1@0")),
        ("10.9.9.9", None, Some("10.9.9.9@0")),
        ("10.1.2.3", None, Some("10.0.0.3@1")),
        ("10.1.2.3", Some(A), Some("10.0.0.2@0")),
        ("192.0.2.1", Some(B), None),
        ("2001:db8::1", None, Some("fe80::1@1")),
    ];
    for (dst, interface, expected) in rows {
        assert_eq!(next_hop(&table, dst, interface).as_deref(), expected, "{dst} {interface:?}");
    }
}

#[test]
fn a_silent_router_is_passed_over_for_another_default_but_not_for_a_shorter_prefix() {
    let mut table = table(&[
        route("::/0", Some("fe80::1"), A, 1),
        route("::/0", Some("fe80::2"), A, 2),
        route("2001:db8::/32", Some("fe80::3"), A, 0),
    ]);
    let router = |text: &str| text.parse().unwrap();
    table.on_router_reachability(A, router("fe80::1"), false);
    table.on_router_reachability(A, router("fe80::3"), false);
    assert_eq!(next_hop(&table, "2001:dead::1", None).unwrap(), "fe80::2@0");
    assert_eq!(next_hop(&table, "2001:db8::1", None).unwrap(), "fe80::3@0");
    table.on_router_reachability(A, router("fe80::2"), false);
    assert_eq!(next_hop(&table, "2001:dead::1", None).unwrap(), "fe80::1@0", "all silent: the first again");
    table.on_router_reachability(A, router("fe80::1"), true);
    assert_eq!(next_hop(&table, "2001:dead::1", None).unwrap(), "fe80::1@0");
}

#[test]
fn the_same_route_again_replaces_it_and_the_bound_holds() {
    let mut table = RouteTable::new(2);
    table.add(route("10.0.0.0/8", None, A, 0)).unwrap();
    table.add(route("10.9.0.0/8", None, A, 7)).unwrap();
    assert_eq!(table.iter().count(), 1);
    assert_eq!(table.iter().next().unwrap().metric, 7);
    table.add(route("11.0.0.0/8", None, A, 0)).unwrap();
    assert_eq!(table.add(route("12.0.0.0/8", None, A, 0)), Err(RouteTableFull));
    assert_eq!(table.remove(|r| r.metric == 7), 1);
    table.add(route("12.0.0.0/8", None, A, 0)).unwrap();
}

#[test]
fn a_route_ends_when_it_expires() {
    let mut table = RouteTable::new(2);
    let expires = Some(Instant::from_secs(10));
    table.add(Route { expires, ..route("::/0", Some("fe80::1"), A, 0) }).unwrap();
    assert_eq!(table.next_deadline(), expires);
    table.handle_deadline(Instant::from_secs(9));
    assert!(next_hop(&table, "2001:db8::1", None).is_some());
    table.handle_deadline(Instant::from_secs(10));
    assert!(next_hop(&table, "2001:db8::1", None).is_none());
}
