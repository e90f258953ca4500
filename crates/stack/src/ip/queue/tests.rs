use super::*;

fn packet(len: usize) -> ControlPacket {
    ControlPacket { interface: InterfaceId(0), link: None, ethertype: EtherType::IPV4, bytes: vec![0; len] }
}

#[test]
fn control_packets_stay_inside_their_bound_and_in_order() {
    let mut queue = ControlQueue::new(1_000);
    queue.push(packet(400)).unwrap();
    queue.push(packet(401)).unwrap();
    assert!(queue.push(packet(100)).is_err());
    assert!(queue.push(packet(0)).is_ok());
    assert_eq!(queue.pop().unwrap().bytes.len(), 400);
    queue.push(packet(100)).unwrap();
    assert_eq!([401, 0, 100].map(|_| queue.pop().unwrap().bytes.len()), [401, 0, 100]);
    assert!(queue.is_empty() && queue.has_room(1, 936) && !queue.has_room(1, 937));
}

#[test]
fn loopback_stays_inside_its_bound_and_keeps_buffers() {
    let mut queue = LoopbackQueue::new(1_000);
    assert!(queue.has_room(936) && !queue.has_room(937));
    let buffer = queue.buffer(500);
    queue.push(buffer);
    assert!(!queue.has_room(500));
    let buffer = queue.pop().unwrap();
    let place = buffer.as_ptr();
    queue.recycle(buffer);
    let again = queue.buffer(500);
    assert_eq!(again.as_ptr(), place);
}
