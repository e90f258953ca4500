//! Time, and who may move it: one thread at a time, and not while another has yet to look at what woke it.
//! Owns: the lock around the host, the sleeper. Invariants: at most one call sleeps (packetdrill makes no more); before time moves
//! on, a sleeper that was woken has looked, and if its call is over, has read the clock (packetdrill judges by that reading).
//! Not here: what a call does (`host`).
//!
//! ```text
//!                 nothing to do             something happened               its call is over
//!     (none) ---------------------> Asleep ---------------------> Woken -------------------------> Returned --> (none)
//!                                     ^------ still nothing --------'                    gettimeofday by that thread
//! ```

use crate::errno::Errno;
use crate::flags::Flags;
use crate::host::{Emitted, Host};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;
use tcp::Instant;

/// How far a wait for a packet moves time at most: beyond any timer that a script waits for.
const PATIENCE: Duration = Duration::from_secs(1_000);
/// What the clock moves by each time it is read.
const CREEP: Duration = Duration::from_micros(1);
/// Real time that a woken thread is waited for; it needs microseconds, unless it never comes back (packetdrill has given up).
const HAND_OVER: Duration = Duration::from_secs(2);

/// Where the sleeper stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Asleep,
    Woken,
    Returned,
}

#[derive(Debug, Clone, Copy)]
struct Sleeper {
    thread: ThreadId,
    sleep: Sleep,
    /// When it gives up.
    until: Option<Instant>,
}

#[derive(Debug)]
struct Inside {
    host: Host,
    sleeper: Option<Sleeper>,
}

/// The host and its lock.
#[derive(Debug)]
pub(crate) struct World {
    inside: Mutex<Inside>,
    /// Rung when the sleeper is to look.
    woken: Condvar,
    /// Rung when it has looked.
    looked: Condvar,
    /// packetdrill's main thread: it never sleeps, since nobody else would move time.
    main: ThreadId,
}

impl World {
    /// To be made on packetdrill's main thread.
    pub(crate) fn new(flags: Flags) -> Self {
        World {
            inside: Mutex::new(Inside { host: Host::new(flags), sleeper: None }),
            woken: Condvar::new(),
            looked: Condvar::new(),
            main: std::thread::current().id(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that does not wait.
    pub(crate) fn call<R>(&self, act: impl FnOnce(&mut Host) -> R) -> R {
        let mut inside = self.settled();
        let result = act(&mut inside.host);
        self.wake(&mut inside);
        self.over(&mut inside);
        result
    }

    /// A call that waits, if `blocks`, as long as `act` says EAGAIN; `span`: at most so long, and then once more.
    pub(crate) fn wait<R>(
        &self,
        blocks: bool,
        span: Option<Duration>,
        mut act: impl FnMut(&mut Host) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let mut inside = self.settled();
        let until = span.map(|span| inside.host.now + span);
        loop {
            let result = act(&mut inside.host);
            let expired = until.is_some_and(|until| until <= inside.host.now);
            if !matches!(result, Err(libc::EAGAIN)) || !blocks || expired {
                self.wake(&mut inside);
                self.over(&mut inside);
                return result;
            }
            inside = if std::thread::current().id() == self.main {
                match self.next(&inside, until) {
                    Some(next) => self.advance(inside, next),
                    None => return result,
                }
            } else {
                self.sleep(inside, until)
            };
        }
    }

    /// When something will happen by itself, at the latest at `until`.
    fn next(&self, inside: &Inside, until: Option<Instant>) -> Option<Instant> {
        let patience = inside.host.now + PATIENCE;
        [inside.host.next_deadline(), until].into_iter().flatten().min().filter(|next| *next <= patience)
    }

    fn sleep<'a>(
        &'a self,
        mut inside: MutexGuard<'a, Inside>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, Inside> {
        inside.sleeper = Some(Sleeper { thread: std::thread::current().id(), sleep: Sleep::Asleep, until });
        self.looked.notify_all();
        let asleep =
            |inside: &mut Inside| matches!(inside.sleeper, Some(Sleeper { sleep: Sleep::Asleep, .. }));
        self.woken.wait_while(inside, asleep).unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened: the sleeper is to look.
    fn wake(&self, inside: &mut Inside) {
        if let Some(sleeper) = &mut inside.sleeper
            && sleeper.sleep == Sleep::Asleep
            && sleeper.thread != std::thread::current().id()
        {
            sleeper.sleep = Sleep::Woken;
            self.woken.notify_all();
        }
    }

    /// A call ends. On the second thread packetdrill reads the clock next, and time stands until it has.
    fn over(&self, inside: &mut Inside) {
        let thread = std::thread::current().id();
        if thread != self.main {
            inside.sleeper = Some(Sleeper { thread, sleep: Sleep::Returned, until: None });
        }
    }

    /// The lock, once the sleeper, if there is one, has looked.
    fn settled(&self) -> MutexGuard<'_, Inside> {
        self.settle(self.lock())
    }

    fn settle<'a>(&'a self, inside: MutexGuard<'a, Inside>) -> MutexGuard<'a, Inside> {
        let me = std::thread::current().id();
        let looks = |inside: &mut Inside| {
            inside.sleeper.is_some_and(|sleeper| sleeper.thread != me && sleeper.sleep != Sleep::Asleep)
        };
        let waited = self.looked.wait_timeout_while(inside, HAND_OVER, looks);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Moves time to `to`, by way of everything that happens before.
    fn advance<'a>(&'a self, mut inside: MutexGuard<'a, Inside>, to: Instant) -> MutexGuard<'a, Inside> {
        loop {
            inside = self.settle(inside);
            let gives_up =
                inside.sleeper.filter(|sleeper| sleeper.sleep == Sleep::Asleep).and_then(|it| it.until);
            let next = [inside.host.next_deadline(), gives_up].into_iter().flatten().min();
            match next {
                Some(next) if next <= to => {
                    inside.host.handle_deadline(next);
                    self.wake(&mut inside);
                }
                _ => {
                    inside.host.now = inside.host.now.max(to);
                    return inside;
                }
            }
        }
    }

    /// usleep().
    pub(crate) fn pass(&self, span: Duration) {
        let inside = self.settled();
        let to = inside.host.now + span;
        drop(self.advance(inside, to));
    }

    /// gettimeofday().
    pub(crate) fn time(&self) -> Instant {
        let mut inside = self.lock();
        let me = std::thread::current().id();
        if inside.sleeper.is_some_and(|sleeper| sleeper.thread == me) {
            inside.sleeper = None;
            self.looked.notify_all();
            return inside.host.now;
        }
        inside = self.settle(inside);
        let to = inside.host.now + CREEP;
        self.advance(inside, to).host.now
    }

    /// The next packet, waiting for it as long as anything may still happen.
    pub(crate) fn emitted(&self) -> Option<Emitted> {
        let mut inside = self.settled();
        let end = inside.host.now + PATIENCE;
        loop {
            if let Some(emitted) = inside.host.take_emitted() {
                return Some(emitted);
            }
            let gives_up =
                inside.sleeper.filter(|sleeper| sleeper.sleep == Sleep::Asleep).and_then(|it| it.until);
            let next = [inside.host.next_deadline(), gives_up].into_iter().flatten().min()?;
            if next > end {
                return None;
            }
            inside = self.advance(inside, next);
            inside = self.settle(inside);
        }
    }
}

#[cfg(test)]
mod tests;
