use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Bell for Count {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

fn make(max: usize) -> (Outbound<u32>, Inbound<u32>, Arc<Count>, Arc<Count>) {
    let (reader, sender) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (out, inb) = mailbox(max, Arc::clone(&reader) as _, Arc::clone(&sender) as _);
    (out, inb, reader, sender)
}

fn take(from: &Inbound<u32>) -> Vec<u32> {
    let mut into = VecDeque::new();
    from.take(&mut into);
    into.into()
}

#[test]
fn a_batch_rings_once_and_only_an_empty_box_rings() {
    let (mut out, inb, reader, _) = make(10);
    (0..3).for_each(|n| out.stage(n));
    assert!(!out.flush());
    assert_eq!(reader.take(), 1);
    out.stage(3);
    assert!(!out.flush());
    assert_eq!(reader.take(), 0, "the reader has been rung for this already");
    assert_eq!(take(&inb), [0, 1, 2, 3]);
    out.stage(4);
    assert!(!out.flush());
    assert_eq!(reader.take(), 1);
    assert!(!out.flush());
    assert_eq!(reader.take(), 0, "nothing staged, nothing rung");
}

#[test]
fn a_full_box_keeps_order_and_tells_the_sender_when_there_is_room() {
    let (mut out, inb, reader, sender) = make(4);
    (0..6).for_each(|n| out.stage(n));
    assert!(out.flush());
    assert_eq!(out.staged(), 2);
    assert_eq!((reader.take(), sender.take()), (1, 0));
    assert_eq!(take(&inb), [0, 1, 2, 3]);
    assert_eq!(sender.take(), 1);
    out.stage(6);
    assert!(!out.flush());
    assert_eq!(take(&inb), [4, 5, 6]);
    assert_eq!(sender.take(), 0);
}

#[test]
fn a_reader_that_left_swallows_letters() {
    let (mut out, inb, _, sender) = make(1);
    (0..3).for_each(|n| out.stage(n));
    assert!(out.flush());
    drop(inb);
    assert_eq!(sender.take(), 1);
    assert!(out.is_closed());
    assert!(!out.flush());
    assert_eq!(out.staged(), 0);
}

#[test]
fn letters_cross_threads_in_order() {
    struct Unpark(std::thread::Thread);
    impl Bell for Unpark {
        fn ring(&self) {
            self.0.unpark();
        }
    }
    const LETTERS: u32 = 100_000;
    let me: Arc<dyn Bell> = Arc::new(Unpark(std::thread::current()));
    let (hand, take_hand) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        let mut out: Outbound<u32> = take_hand.recv().unwrap();
        for n in 0..LETTERS {
            out.stage(n);
            while out.staged() > 10 && out.flush() {
                std::thread::park();
            }
        }
        while out.flush() {
            std::thread::park();
        }
    });
    let (out, inb) = mailbox(64, me, Arc::new(Unpark(writer.thread().clone())));
    hand.send(out).unwrap();
    let mut next = 0;
    let mut into = VecDeque::new();
    while next < LETTERS {
        inb.take(&mut into);
        if into.is_empty() {
            std::thread::park();
        }
        for letter in into.drain(..) {
            assert_eq!(letter, next);
            next += 1;
        }
    }
    writer.join().unwrap();
}
