use super::*;

#[test]
fn a_full_queue_takes_nothing_until_it_is_emptied() {
    let mut queue = FrameQueue::new(2);
    for byte in [1, 2] {
        queue.reserve(4).unwrap().fill(byte);
        queue.commit(3, TxMeta::default());
    }
    assert!(queue.reserve(1).is_none());
    let (frame, _) = queue.pop().unwrap();
    assert_eq!(frame, [1, 1, 1]);
    queue.recycle(frame);
    assert!(queue.reserve(1).is_some());
}

#[test]
fn a_reservation_is_forgotten_by_the_next() {
    let mut queue = FrameQueue::new(2);
    queue.reserve(8).unwrap().fill(9);
    queue.reserve(2).unwrap().fill(1);
    queue.commit(2, TxMeta::default());
    assert_eq!(queue.pop().unwrap().0, [1, 1]);
    assert!(queue.is_empty());
}

#[test]
fn each_interface_has_its_sink_and_loopback_has_none() {
    let (mut a, mut b) = (FrameQueue::new(1), FrameQueue::new(1));
    let mut sinks: [&mut dyn FrameSink; 2] = [&mut a, &mut b];
    let mut outlets = SinkPerInterface(&mut sinks);
    assert!(outlets.outlet(InterfaceId::LOOPBACK).is_none());
    assert!(outlets.outlet(InterfaceId(2)).is_none());
    let sink = outlets.outlet(InterfaceId(1)).unwrap();
    sink.reserve(1).unwrap()[0] = 7;
    sink.commit(1, TxMeta::default());
    assert!(a.is_empty());
    assert_eq!(b.pop().unwrap().0, [7]);
}
