//! Cables: order, copies, bounds.

use super::*;
use wire::meta::{ChecksumOffload, Gso, GsoKind};

const NOW: Nanos = Nanos(0);

fn send(device: &mut Memory, frame: &[u8], meta: TxMeta) -> bool {
    let sink = device.transmit(NOW, 0);
    let Some(room) = sink.reserve(frame.len() + 10) else { return false };
    room[..frame.len()].copy_from_slice(frame);
    sink.commit(frame.len(), meta);
    true
}

fn drain(device: &mut Memory) -> Vec<Vec<u8>> {
    let batch = device.receive(NOW, 0, usize::MAX).unwrap();
    (0..batch.len()).map(|index| batch.frame(index).bytes.to_vec()).collect()
}

#[test]
fn frames_arrive_in_order_at_every_other_end_and_not_at_their_own() {
    let mut ends = hub(Capabilities::default(), 3);
    send(&mut ends[0], b"one", TxMeta::default());
    send(&mut ends[0], b"two", TxMeta::default());
    assert!(drain(&mut ends[1]).is_empty(), "not flushed yet");
    ends[0].flush(NOW, 0).unwrap();
    for end in [1, 2] {
        assert_eq!(drain(&mut ends[end]), [b"one", b"two"]);
    }
    assert!(drain(&mut ends[0]).is_empty());
}

#[test]
fn a_batch_is_no_longer_than_asked() {
    let (mut a, mut b) = pair(Capabilities::default());
    for _ in 0..5 {
        send(&mut a, b"x", TxMeta::default());
    }
    a.flush(NOW, 0).unwrap();
    assert_eq!(b.receive(NOW, 0, 3).unwrap().len(), 3);
    assert_eq!(b.receive(NOW, 0, 3).unwrap().len(), 2);
    assert!(b.receive(NOW, 0, 3).unwrap().is_empty());
}

#[test]
fn what_was_asked_of_the_device_is_vouched_for_at_the_other_end() {
    let (mut a, mut b) = pair(Capabilities { tso_max: 65_535, tx_checksum: true, ..Capabilities::default() });
    let gso = Gso { kind: GsoKind::TcpV4, size: 1460, header_len: 40 };
    let meta = TxMeta { checksum: Some(ChecksumOffload { start: 20, offset: 16 }), gso: Some(gso), queue: 0 };
    send(&mut a, &[0; 4000], meta);
    send(&mut a, b"plain", TxMeta::default());
    a.flush(NOW, 0).unwrap();
    let batch = b.receive(NOW, 0, 8).unwrap();
    assert_eq!(batch.frame(0).meta, RxMeta { checksum_ok: true, gso_size: 1460, queue: 0 });
    assert_eq!(batch.frame(1).meta, RxMeta::default());
}

#[test]
fn an_end_that_nobody_reads_drops_and_counts() {
    let (mut a, b) = pair(Capabilities::default());
    for _ in 0..FRAMES_MAX + 7 {
        if !send(&mut a, b"x", TxMeta::default()) {
            a.flush(NOW, 0).unwrap();
            assert!(send(&mut a, b"x", TxMeta::default()));
        }
    }
    a.flush(NOW, 0).unwrap();
    assert_eq!(b.dropped().received, 7);
}
