//! When the archives are swept.

use super::*;

/// A back end that is asked for nothing but sweeps, and the first time has not done with one.
struct Sweeper {
    asked: u32,
}

impl Backend for Sweeper {
    fn run(&mut self, _now: Wallclock, batch: &mut Vec<Request>, replies: &mut Vec<Reply>) {
        for Request { token, op } in batch.drain(..) {
            assert_eq!(op, Op::Archive(ArchiveOp::Sweep { rows_max: SWEEP_ROWS }));
            self.asked += 1;
            replies.push(Reply { token, answer: Ok(Answer::Swept { done: self.asked > 1 }) });
        }
    }
}

#[test]
fn archives_are_swept_at_once_soon_again_while_something_is_left_and_then_now_and_again() {
    let parts = Parts {
        backend: Box::new(Sweeper { asked: 0 }),
        parker: Arc::default(),
        mail: Vec::new(),
        loops: Vec::new(),
        session: Arc::new(SessionConfig::new("localhost", [0; 32])),
        counts: Arc::default(),
        per_hour: 0,
        iterations: 1,
    };
    let mut desk = StoreDesk::new(parts, None);
    let tick = Duration::from_millis(1);
    let start = Now { mono: Instant::ZERO, wall: Wallclock::from_millis(0) };
    let mut due = start;
    for pause in [SWEEP_ON, SWEEP_EVERY, SWEEP_EVERY] {
        assert!(desk.work(due), "swept when it is due");
        due = due.later(pause);
        assert_eq!(desk.next_deadline(), Some(due.mono));
        assert!(!desk.work(Now { mono: due.mono - tick, ..due }), "and not before");
    }
}
