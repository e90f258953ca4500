//! A bell for each socket: threads and tasks that wait for it hear when something happened.
//! Owns: who waits. Invariants: a waiter registers while it holds the stack, and the driver rings while it holds it, so no ring
//! is missed; a ring wakes everyone, who then tries again.
//! Not here: what happened; the call that is tried again finds out.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Which way somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To receive, accept, or hear of the end.
    In,
    /// To send, or for a connection to open.
    Out,
}

/// Tasks kept for one way: one reads, one writes, and a few more when handles are shared between tasks.
const WAKERS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Bell {
    threads: Condvar,
    tasks: Mutex<[Vec<Waker>; 2]>,
}

impl Bell {
    /// Lets the stack go and sleeps until the bell rings or the time is over; `None`: it was over.
    pub(crate) fn wait<'a, T>(
        &self,
        stack: MutexGuard<'a, T>,
        until: Option<Instant>,
    ) -> Option<MutexGuard<'a, T>> {
        match until {
            None => Some(self.threads.wait(stack).unwrap_or_else(PoisonError::into_inner)),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if left == Duration::ZERO {
                    return None;
                }
                let (stack, _) =
                    self.threads.wait_timeout(stack, left).unwrap_or_else(PoisonError::into_inner);
                Some(stack)
            }
        }
    }

    /// Wakes a task when the bell rings. The caller holds the stack.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(crate) fn register(&self, way: Way, waker: &Waker) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = &mut tasks[way as usize];
        if tasks.iter().any(|task| task.will_wake(waker)) {
            return;
        }
        if tasks.len() >= WAKERS_MAX {
            // Rather a needless wake-up than a lost one.
            tasks.drain(..).for_each(Waker::wake);
        }
        tasks.push(waker.clone());
    }

    /// Rings. The caller holds the stack.
    pub(crate) fn ring(&self, inward: bool, outward: bool) {
        self.threads.notify_all();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for (way, rings) in [(Way::In, inward), (Way::Out, outward)] {
            if rings {
                tasks[way as usize].drain(..).for_each(Waker::wake);
            }
        }
    }
}
