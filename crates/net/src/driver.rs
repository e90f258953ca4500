//! The driver: a thread that carries frames between a device and a stack, and sleeps when there is nothing to carry.
//! Owns: the device, the clock, the sleep. Shares: the stack, behind a lock that every socket call takes for its length.
//! Invariants: whoever changes the stack while the driver sleeps wakes it; a device's failure ends the driver, and every
//! call after that says so.
//! Not here: waiting of sockets (`bell`).

use crate::bell::{Bell, Way};
use device::Device;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use stack::{Config, Handle, Instant, InterfaceId, Readiness, Secret, Stack};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use wire::meta::{FrameBatch, Nanos};

/// The one interface that a driver serves.
const INTERFACE: InterfaceId = InterfaceId(0);
/// Frames taken from the device before the stack sends and sockets get their turn.
const FRAMES_MAX: usize = 64;
/// How often a device without a descriptor is looked at.
const POLL_INTERVAL: Duration = Duration::from_micros(200);
/// Empty rounds before sleeping: waking up costs more than looking twice.
const SPINS: u32 = 4;

const DEVICE: Token = Token(0);
const WAKE: Token = Token(1);

/// A host in user space. Clones are handles to the same host; the host ends, and with it its connections, when the last handle
/// and the last socket are gone.
#[derive(Clone)]
pub struct Net {
    pub(crate) shared: Arc<Shared>,
    _thread: Arc<Thread>,
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Net")
    }
}

/// What sockets and the driver share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    waker: Waker,
    origin: std::time::Instant,
}

/// What the lock guards.
pub(crate) struct Core {
    pub(crate) stack: Stack,
    bells: HashMap<Handle, Arc<Bell>>,
    /// The driver sleeps, or is about to: whoever gives it work must wake it.
    asleep: bool,
    stop: bool,
    failure: Option<io::ErrorKind>,
}

/// Joins the thread when the last handle goes.
struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        let _ = self.shared.waker.wake(); // a poll that is gone needs no waking
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle
            && handle.thread().id() != std::thread::current().id()
        {
            let _ = handle.join(); // a panic there has been reported there
        }
    }
}

impl Net {
    /// Starts a host on `device`, which `config`'s only interface describes.
    ///
    /// # Errors
    /// The configuration contradicts itself, or the system refuses a thread, randomness or a poll.
    pub fn start<D: Device + Send + 'static>(device: D, config: &Config) -> io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
        Self::start_with(device, config, &Secret::new(secret))
    }

    /// As [`start`](Self::start), with a secret of the caller's choice.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with<D: Device + Send + 'static>(
        device: D,
        config: &Config,
        secret: &Secret,
    ) -> io::Result<Self> {
        if config.interfaces.len() != 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a driver serves exactly one interface"));
        }
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let has_descriptor = match device.descriptor(0) {
            Some(descriptor) => {
                let fd = descriptor.as_raw_fd();
                poll.registry().register(&mut SourceFd(&fd), DEVICE, Interest::READABLE)?;
                true
            }
            None => false,
        };
        let origin = std::time::Instant::now();
        let stack = Stack::new(config, secret, Instant::ZERO)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let core = Core { stack, bells: HashMap::new(), asleep: false, stop: false, failure: None };
        let shared = Arc::new(Shared { core: Mutex::new(core), waker, origin });
        let driver = Driver { device, poll, shared: shared.clone(), has_descriptor };
        let handle = std::thread::Builder::new().name("net".into()).spawn(move || driver.run())?;
        let thread = Thread { shared: shared.clone(), handle: Mutex::new(Some(handle)) };
        Ok(Self { shared, _thread: Arc::new(thread) })
    }

    /// Looks at, or changes, the stack: addresses, routes, counters.
    pub fn with_stack<R>(&self, look: impl FnOnce(&mut Stack, Instant) -> R) -> R {
        let mut core = self.shared.lock();
        let now = self.shared.now();
        let result = look(&mut core.stack, now);
        self.shared.nudge(&mut core);
        result
    }

    /// Asks `dst` whether it is there, and waits for the answer; the time that it took.
    ///
    /// # Errors
    /// `TimedOut` without an answer, `NetworkUnreachable` without a way.
    pub fn ping(&self, dst: IpAddr, seq: u16, len: usize, timeout: Duration) -> io::Result<Duration> {
        let asked = std::time::Instant::now();
        let ident = (asked.duration_since(self.shared.origin).as_nanos() & 0xffff) as u16;
        let data = vec![0x5b; len];
        if !self.with_stack(|stack, now| stack.ping(now, dst, ident, seq, &data)) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        loop {
            let answered = self.with_stack(|stack, _| {
                std::iter::from_fn(|| stack.poll_echo())
                    .any(|reply| (reply.src, reply.ident, reply.seq, reply.len) == (dst, ident, seq, len))
            });
            if answered {
                return Ok(asked.elapsed());
            }
            if asked.elapsed() > timeout {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // A ping is no hot path: it looks again soon rather than having a bell of its own.
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Tells the driver that there may be something to send. Costs a system call only if it sleeps.
    pub(crate) fn nudge(&self, core: &mut Core) {
        if core.asleep {
            core.asleep = false;
            let _ = self.waker.wake(); // a driver that ended says so to the next call
        }
    }

    /// Tries `call` until it no longer would block, waiting for the socket's bell between; `until`: at most so long.
    pub(crate) fn block_on<R>(
        &self,
        bell: &Bell,
        until: Option<std::time::Instant>,
        mut call: impl FnMut(&mut Stack, Instant) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut core = self.lock();
        loop {
            if let Some(kind) = core.failure {
                return Err(kind.into());
            }
            let result = call(&mut core.stack, self.now());
            self.nudge(&mut core);
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    core = bell.wait(core, until).ok_or(io::ErrorKind::WouldBlock)?;
                }
                result => return result,
            }
        }
    }

    /// Tries `call` once; if it would block, `waker` hears when to try again.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(crate) fn poll_on<R>(
        &self,
        bell: &Bell,
        way: Way,
        cx: &std::task::Context<'_>,
        call: impl FnOnce(&mut Stack, Instant) -> io::Result<R>,
    ) -> std::task::Poll<io::Result<R>> {
        use std::task::Poll;
        let mut core = self.lock();
        if let Some(kind) = core.failure {
            return Poll::Ready(Err(kind.into()));
        }
        let result = call(&mut core.stack, self.now());
        self.nudge(&mut core);
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                bell.register(way, cx.waker());
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }
}

impl Core {
    /// A bell for a new socket.
    pub(crate) fn hang_bell(&mut self, handle: Handle) -> Arc<Bell> {
        self.bells.entry(handle).or_default().clone()
    }

    pub(crate) fn take_bell(&mut self, handle: Handle) {
        self.bells.remove(&handle);
    }

    fn ring_bells(&mut self) {
        while let Some((handle, bits)) = self.stack.poll_ready() {
            if let Some(bell) = self.bells.get(&handle) {
                let ends = bits.contains(Readiness::ERROR) || bits.contains(Readiness::HANGUP);
                let reads = bits.contains(Readiness::READABLE) || bits.contains(Readiness::READ_CLOSED);
                bell.ring(ends || reads, ends || bits.contains(Readiness::WRITABLE));
            }
        }
    }
}

struct Driver<D> {
    device: D,
    poll: Poll,
    shared: Arc<Shared>,
    has_descriptor: bool,
}

impl<D: Device> Driver<D> {
    fn run(mut self) {
        let outcome = self.turns();
        let mut core = self.shared.lock();
        core.failure = Some(outcome.err().map_or(io::ErrorKind::NotConnected, |error| error.kind()));
        for bell in core.bells.values() {
            bell.ring(true, true);
        }
    }

    fn turns(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(8);
        let mut idle_rounds = 0;
        loop {
            let now = self.shared.now();
            let nanos = Nanos(now.as_nanos());
            let received = self.device.receive(nanos, 0, FRAMES_MAX)?;
            let mut core = self.shared.lock();
            if core.stop {
                return Ok(());
            }
            let count = received.len();
            if count > 0 {
                core.stack.handle_frames(now, INTERFACE, received as &dyn FrameBatch);
            }
            if core.stack.next_deadline(now).is_some_and(|deadline| deadline <= now) {
                core.stack.handle_deadline(now);
            }
            let mut sink = self.device.transmit(nanos, 0);
            let sent = core.stack.poll_transmit(now, &mut sink);
            core.ring_bells();
            let deadline = core.stack.next_deadline(now);
            let worked = count > 0 || sent > 0;
            idle_rounds = if worked { 0 } else { idle_rounds + 1 };
            let sleeps = idle_rounds > SPINS && deadline.is_none_or(|deadline| deadline > now);
            core.asleep = sleeps;
            drop(core);
            self.device.flush(nanos, 0)?;
            if sleeps {
                self.sleep(&mut events, now, deadline)?;
                idle_rounds = SPINS; // one look; if that finds nothing, back to sleep
                self.shared.lock().asleep = false;
            }
        }
    }

    fn sleep(&mut self, events: &mut Events, now: Instant, deadline: Option<Instant>) -> io::Result<()> {
        let device = self.device.next_deadline().map(|nanos| Instant::from_nanos(nanos.0));
        let until = [deadline, device].into_iter().flatten().min();
        let mut timeout = until.map(|until| until.since(now));
        if !self.has_descriptor {
            timeout = Some(timeout.map_or(POLL_INTERVAL, |timeout| timeout.min(POLL_INTERVAL)));
        }
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }
}
