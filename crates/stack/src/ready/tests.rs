use super::*;

const HANDLE: Handle = Handle::Udp(UdpHandle { index: 3, generation: 1 });

#[test]
fn a_socket_is_queued_once_however_much_happens() {
    let (mut queue, mut pending) = (ReadyQueue::default(), Readiness::NONE);
    queue.raise(HANDLE, &mut pending, Readiness::READABLE);
    queue.raise(HANDLE, &mut pending, Readiness::READABLE | Readiness::ERROR);
    assert_eq!(queue.pop(), Some(HANDLE));
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
    assert_eq!(queue.pop(), Some(HANDLE));
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
