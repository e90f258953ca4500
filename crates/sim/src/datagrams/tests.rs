use super::*;
use crate::clock::Clock;
use crate::link::{Link, LinkConfig};
use crate::trace::Trace;
use stack::{Config, InterfaceConfig, Secret, Stack};
use wire::meta::Capabilities;

fn world() -> World {
    let stacks = ["10.0.0.1/24", "10.0.0.2/24"].map(|addr| {
        let interface = InterfaceConfig::ip(Capabilities { mtu: 1500, ..Capabilities::default() })
            .with_address(addr.parse().expect("a prefix"));
        let config = Config { interfaces: vec![interface], ..Config::default() };
        Stack::new(&config, &Secret::from_seed(1), Clock::START).expect("a sound configuration")
    });
    World::new(stacks, Link::new(LinkConfig::default(), 1), Trace::new(0))
}

#[test]
fn what_was_said_comes_back_and_what_was_not_is_noticed() {
    let mut world = world();
    let [source, target] = ["10.0.0.1", "10.0.0.2"].map(|addr| addr.parse().expect("an address"));
    let mut datagrams = Datagrams::draw(&mut Rng::new(5), Clock::START, target);
    datagrams.open(&mut world, source);
    while let Some(next) = datagrams.next_deadline() {
        world.advance_to(next);
        datagrams.act(&mut world);
        for end in [End::B, End::A] {
            world.run_for(Duration::from_millis(1)).expect("it comes to rest");
            assert_eq!(datagrams.on_ready(&mut world, end), Ok(()));
        }
    }
    assert_eq!(datagrams.returned(), datagrams.sent);

    let now = world.now();
    for (number, flip) in [(0, 1), (datagrams.sent, 0)] {
        let mut forged = datagrams.datagram(number);
        *forged.last_mut().expect("eight octets at least") ^= flip;
        let socket = world.stack_mut(End::A).udp_bind("10.0.0.1:0".parse().expect("one")).expect("free");
        world.stack_mut(End::A).udp_send_to(now, socket, &forged, datagrams.target).expect("room");
        world.run_for(Duration::from_millis(1)).expect("it comes to rest");
        let noticed = Violation::ForeignDatagram { end: End::B, datagram: forged };
        assert_eq!(datagrams.on_ready(&mut world, End::B), Err(noticed));
    }
    datagrams.close(&mut world);
    assert_eq!(world.stack_mut(End::B).buffer_bytes(), 0);
}
