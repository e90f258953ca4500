use super::*;
use wire::tcp::Flags;

fn tcp(src: &str, dst: &str, flags: Flags, seq: u32, ack: u32, len: u32) -> Dissected<'static> {
    let end = |text: &str| text.parse().expect("an address and a port");
    let body = Body::Tcp { seq, ack, flags, window: 500, urgent: 0, options: &[], len };
    Dissected { src: end(src), dst: end(dst), body }
}

const CLIENT: &str = "10.0.0.9:5000";
const SERVER: &str = "10.0.0.2:80";
const ACK: Flags = Flags::ACK;

#[test]
fn the_opener_is_on_the_left_whoever_is_seen_first() {
    let mut flows = Flows::new();
    let at = Duration::from_secs;
    flows.observe(at(1), &tcp(SERVER, CLIENT, Flags::SYN | ACK, 300, 101, 0), 60);
    let seen = flows.observe(at(2), &tcp(CLIENT, SERVER, ACK, 101, 301, 7), 67).expect("room");
    assert_eq!(seen, Seen { index: 0, from: Side::Left, is_first: false });
    let flow = &flows.list()[0];
    assert_eq!(flow.ends.map(|end| end.to_string()), [CLIENT, SERVER]);
    assert_eq!((flow.packets, flow.bytes, flow.duration()), ([1, 1], [67, 60], at(1)));
}

#[test]
fn what_is_sent_again_is_counted() {
    let mut flows = Flows::new();
    let at = Duration::from_millis;
    let data = tcp(CLIENT, SERVER, ACK, 101, 301, 7);
    flows.observe(at(0), &data, 67);
    flows.observe(at(400), &data, 67);
    assert_eq!(flows.list()[0].retransmissions, 1);
}

#[test]
fn a_four_tuple_that_lives_again_is_another_flow() {
    let mut flows = Flows::new();
    let fin = Flags::FIN | ACK;
    let mut see = |packet: &Dissected<'_>| flows.observe(Duration::ZERO, packet, 60).map(|seen| seen.index);
    assert_eq!(see(&tcp(CLIENT, SERVER, Flags::SYN, 100, 0, 0)), Some(0));
    // Another number while it lives belongs to it, whatever it means.
    assert_eq!(see(&tcp(CLIENT, SERVER, Flags::SYN, 900, 0, 0)), Some(0));
    see(&tcp(CLIENT, SERVER, fin, 101, 301, 0));
    see(&tcp(SERVER, CLIENT, fin, 301, 102, 0));
    assert_eq!(see(&tcp(CLIENT, SERVER, Flags::SYN, 5000, 0, 0)), Some(1));
    assert_eq!(see(&tcp(SERVER, CLIENT, Flags::SYN | ACK, 7000, 5001, 0)), Some(1));
}

#[test]
fn tcp_and_udp_between_the_same_ends_are_two_flows() {
    let mut flows = Flows::new();
    let mut packet = tcp(CLIENT, SERVER, ACK, 1, 1, 1);
    flows.observe(Duration::ZERO, &packet, 60);
    packet.body = Body::Udp { len: 4 };
    flows.observe(Duration::ZERO, &packet, 60);
    assert_eq!(flows.list().len(), 2);
    assert_eq!(flows.list()[1].opening(), None);
}
