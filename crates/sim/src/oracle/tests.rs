//! The oracle itself: it must see every kind of harm.

use super::*;

fn stream() -> (Stream, Vec<u8>) {
    let mut stream = Stream::new(StreamId { talk: 0, from: End::A }, 42);
    let mut bytes = vec![0; 100];
    stream.fill(&mut bytes);
    stream.on_sent(100);
    (stream, bytes)
}

#[test]
fn what_was_sent_passes_in_any_pieces() {
    let (mut stream, bytes) = stream();
    for piece in [&bytes[..1], &bytes[1..50], &bytes[50..]] {
        assert_eq!(stream.on_received(piece), Ok(()));
    }
    assert_eq!(stream.check_whole(), Ok(()));
}

#[test]
fn a_changed_a_repeated_and_a_skipped_byte_are_seen() {
    let (clean, bytes) = stream();
    let mut changed = bytes.clone();
    changed[70] ^= 1;
    let mut seen = clean;
    assert!(matches!(seen.on_received(&changed), Err(Violation::Corrupted { offset: 70, .. })));
    let mut repeated = clean;
    repeated.on_received(&bytes[..50]).unwrap();
    assert!(matches!(repeated.on_received(&bytes[40..60]), Err(Violation::Corrupted { offset: 50, .. })));
    let mut skipped = clean;
    skipped.on_received(&bytes[..50]).unwrap();
    assert!(matches!(skipped.on_received(&bytes[60..]), Err(Violation::Corrupted { offset: 50, .. })));
}

#[test]
fn too_much_and_too_little_are_seen() {
    let (clean, bytes) = stream();
    let mut more = clean;
    let mut beyond = [0];
    more.on_received(&bytes).unwrap();
    more.fill(&mut beyond); // byte 100, which was never sent
    assert!(matches!(more.on_received(&beyond), Err(Violation::Invented { received: 101, sent: 100, .. })));
    let mut less = clean;
    less.on_received(&bytes[..99]).unwrap();
    assert!(matches!(less.check_whole(), Err(Violation::Truncated { received: 99, sent: 100, .. })));
}
