use super::*;

const HANDLE: Handle = Handle::Udp(UdpHandle { index: 3, generation: 1 });
const PLACE: ReadyPlace = ReadyPlace::Udp(3);

#[test]
fn a_socket_is_queued_once_however_much_happens() {
    let (mut queue, mut pending) = (ReadyQueue::default(), Readiness::NONE);
    queue.raise(HANDLE, &mut pending, Readiness::READABLE);
    queue.raise(HANDLE, &mut pending, Readiness::READABLE | Readiness::ERROR);
    assert_eq!(queue.pop(), Some(PLACE));
    assert_eq!(queue.pop(), None);
    assert_eq!(pending, Readiness::READABLE | Readiness::ERROR);
}

#[test]
fn a_socket_whose_bits_were_taken_is_queued_anew() {
    let (mut queue, mut pending) = (ReadyQueue::default(), Readiness::NONE);
    queue.raise(HANDLE, &mut pending, Readiness::WRITABLE);
    queue.pop();
    pending = Readiness::NONE;
    queue.raise(HANDLE, &mut pending, Readiness::WRITABLE);
    assert_eq!(queue.pop(), Some(PLACE));
}

#[test]
fn nothing_happened_queues_nothing() {
    let (mut queue, mut pending) = (ReadyQueue::default(), Readiness::NONE);
    queue.raise(HANDLE, &mut pending, Readiness::NONE);
    assert!(queue.is_empty());
}

#[test]
fn bits_print_by_name() {
    assert_eq!(format!("{:?}", Readiness::READABLE | Readiness::HANGUP), "{READABLE, HANGUP}");
}

/// A program that never asks, however many of its sockets come and go.
#[test]
fn the_queue_is_no_longer_than_the_tables() {
    let mut queue = ReadyQueue::default();
    for generation in 0..100 {
        for index in 0..200 {
            let mut fresh = Readiness::NONE;
            queue.raise(Handle::Tcp(TcpHandle { index, generation }), &mut fresh, Readiness::WRITABLE);
            assert_eq!(fresh, Readiness::WRITABLE, "its own bits are kept all the same");
        }
    }
    let places: Vec<_> = core::iter::from_fn(|| queue.pop()).collect();
    assert_eq!(places, (0..200).map(ReadyPlace::Tcp).collect::<Vec<_>>());
}

/// A TCP socket and a UDP socket at the same place of their tables are two.
#[test]
fn tables_do_not_mix() {
    let mut queue = ReadyQueue::default();
    let (mut tcp, mut udp) = (Readiness::NONE, Readiness::NONE);
    queue.raise(Handle::Tcp(TcpHandle { index: 3, generation: 0 }), &mut tcp, Readiness::READABLE);
    queue.raise(HANDLE, &mut udp, Readiness::READABLE);
    assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(ReadyPlace::Tcp(3)), Some(PLACE), None]);
}

#[test]
fn a_place_waits_once_at_a_time() {
    let mut queue = PlaceQueue::default();
    for place in [70, 1, 70, 1, 2] {
        queue.push(place);
    }
    assert_eq!([queue.pop(), queue.pop()], [Some(70), Some(1)]);
    queue.push(70);
    assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(2), Some(70), None]);
}
