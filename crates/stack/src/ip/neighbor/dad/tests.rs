use super::*;
use crate::frame::Capabilities;
use wire::ethernet::MacAddr;

const START: Instant = Instant::from_secs(5);

fn steps(addr: &str, config: &InterfaceConfig) -> Vec<(u64, Step)> {
    let addr = addr.parse().unwrap();
    let mut told = Vec::new();
    let Some(mut probing) = Probing::start(START, config, addr, 0) else { return told };
    loop {
        let now = probing.deadline();
        let step = probing.step(now, addr, 0);
        told.push((now.since(START).as_millis() as u64, step));
        if step == Step::Over {
            return told;
        }
    }
}

#[test]
fn the_plan_of_each_family() {
    use Step::{Announce, Assigned, Over, Probe};
    let ethernet = InterfaceConfig::ethernet(Capabilities::default(), MacAddr([2, 0, 0, 0, 0, 1]));
    assert_eq!(steps("fe80::1", &ethernet), [(0, Probe), (1_000, Assigned), (1_000, Over)]);
    assert_eq!(steps("192.0.2.1", &ethernet), []);
    let careful = InterfaceConfig { probe_ipv4: true, dad_transmits: 2, ..ethernet.clone() };
    assert_eq!(steps("fe80::1", &careful), [(0, Probe), (1_000, Probe), (2_000, Assigned), (2_000, Over)]);
    let expected = [
        (0, Probe),
        (1_000, Probe),
        (2_000, Probe),
        (4_000, Assigned),
        (4_000, Announce),
        (6_000, Announce),
        (8_000, Over),
    ];
    assert_eq!(steps("192.0.2.1", &careful), expected);
    assert_eq!(steps("fe80::1", &InterfaceConfig { dad_transmits: 0, ..ethernet }), []);
    assert_eq!(steps("fe80::1", &InterfaceConfig::ip(Capabilities::default())), []);
}

#[test]
fn probes_are_jittered_within_their_bounds() {
    let ethernet = InterfaceConfig::ethernet(Capabilities::default(), MacAddr([2, 0, 0, 0, 0, 1]));
    let addr = "fe80::1".parse().unwrap();
    let latest = Probing::start(START, &ethernet, addr, u64::MAX).unwrap().deadline();
    assert!(latest > START && latest <= START + FIRST_PROBE_DELAY);
}
