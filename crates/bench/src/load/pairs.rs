//! Pairs: N senders and N receivers; each sender keeps a window of messages under way to its receiver, or, in the open
//! loop, writes at its appointed times whatever has come back by then.
//! Units: times in `Duration`; the body is `BODY_LEN` octets.
//! Invariants: a message counts when its receiver has it whole; the open loop measures from the appointed time, so a
//! server that stalls is charged for every message that had to wait.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::line::{Line, TagCounter};

/// Octets of a message's body.
const BODY_LEN: usize = 200;
/// Longest silence before a run is given up: a lost message would otherwise hold it for ever.
const SILENCE_MAX: Duration = Duration::from_secs(20);
const EVENTS_MAX: usize = 1024;
const METRONOME: Token = Token(usize::MAX);

/// Wakes the open loop at each appointed time: a poll's own patience is rounded to whole milliseconds, and that error
/// would be charged to the server.
struct Metronome(OwnedFd);

impl Metronome {
    fn start(registry: &Registry, gap: Duration) -> io::Result<Metronome> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let beat = Timespec { tv_sec: gap.as_secs() as i64, tv_nsec: i64::from(gap.subsec_nanos()) };
        let schedule = Itimerspec { it_interval: beat, it_value: beat };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &schedule)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), METRONOME, Interest::READABLE)?;
        Ok(Metronome(timer))
    }

    fn heard(&self) {
        // The count of beats is not needed: the schedule says what is due.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }

    fn stop(self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut SourceFd(&self.0.as_raw_fd()))
    }
}

struct Pair {
    sender: Line,
    receiver: Line,
    ends: TagCounter,
    message: Vec<u8>,
    /// When the messages under way were due, oldest first (a stream keeps its order).
    due: VecDeque<Instant>,
}

/// Pairs of logged-in connections, ready to talk.
pub(crate) struct Pairs {
    poll: Poll,
    pairs: Vec<Pair>,
    buffer: Vec<u8>,
}

/// What a run showed.
pub(crate) struct Outcome {
    pub(crate) messages: u64,
    pub(crate) took: Duration,
    /// Time from due to received, unsorted; empty for a closed loop.
    pub(crate) latencies: Vec<Duration>,
}

impl Pairs {
    /// Takes (sender, receiver, full address of the receiver) for each pair.
    pub(crate) fn new(sockets: Vec<(TcpStream, TcpStream, String)>) -> io::Result<Pairs> {
        let poll = Poll::new()?;
        let mut pairs = Vec::with_capacity(sockets.len());
        for (index, (sender, receiver, to)) in sockets.into_iter().enumerate() {
            let mut sender = Line::new(sender)?;
            let mut receiver = Line::new(receiver)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut sender.socket, Token(index * 2), both)?;
            poll.registry().register(&mut receiver.socket, Token(index * 2 + 1), both)?;
            let body = "x".repeat(BODY_LEN);
            let message =
                format!("<message to='{to}' type='chat'><body>{body}</body></message>").into_bytes();
            let ends = TagCounter::new("</message>");
            pairs.push(Pair { sender, receiver, ends, message, due: VecDeque::new() });
        }
        Ok(Pairs { poll, pairs, buffer: vec![0; 64 * 1024] })
    }

    /// Keeps `window` messages of each pair under way for `time`.
    pub(crate) fn closed_loop(&mut self, window: u64, time: Duration) -> io::Result<Outcome> {
        let start = Instant::now();
        let end = start + time;
        for pair in &mut self.pairs {
            for _ in 0..window {
                pair.sender.queue(&pair.message);
            }
            pair.sender.flush()?;
        }
        let mut messages = 0;
        let mut under_way = window * self.pairs.len() as u64;
        let mut took = time;
        let mut events = Events::with_capacity(EVENTS_MAX);
        while under_way > 0 {
            self.wait(&mut events, Instant::now() + SILENCE_MAX)?;
            let now = Instant::now();
            let open = now < end;
            for event in &events {
                let got = self.on_event(event.token(), |_| ())?;
                under_way -= got;
                if open {
                    messages += got;
                    took = now - start;
                    let pair = &mut self.pairs[event.token().0 / 2];
                    for _ in 0..got {
                        pair.sender.queue(&pair.message);
                    }
                    under_way += got;
                    pair.sender.flush()?;
                }
            }
        }
        Ok(Outcome { messages, took, latencies: Vec::new() })
    }

    /// Writes `count` messages at `rate` a second, spread over the pairs, each at its appointed time.
    pub(crate) fn open_loop(&mut self, rate: u32, count: u64) -> io::Result<Outcome> {
        let gap = Duration::from_secs(1) / rate;
        let metronome = Metronome::start(self.poll.registry(), gap)?;
        let start = Instant::now();
        let mut latencies = Vec::with_capacity(count as usize);
        let mut sent = 0u64;
        let mut events = Events::with_capacity(EVENTS_MAX);
        while (latencies.len() as u64) < count {
            let mut now = Instant::now();
            while sent < count && start + gap * sent as u32 <= now {
                let at = sent as usize % self.pairs.len();
                let pair = &mut self.pairs[at];
                pair.due.push_back(start + gap * sent as u32);
                pair.sender.queue(&pair.message);
                pair.sender.flush()?;
                sent += 1;
                now = Instant::now();
            }
            self.wait(&mut events, Instant::now() + SILENCE_MAX)?;
            for event in &events {
                if event.token() == METRONOME {
                    metronome.heard();
                    continue;
                }
                let now = Instant::now();
                self.on_event(event.token(), |due| latencies.push(now.saturating_duration_since(due)))?;
            }
            if sent == count && start.elapsed() > gap * count as u32 + SILENCE_MAX {
                return Err(io::Error::other("messages are missing"));
            }
        }
        metronome.stop(self.poll.registry())?;
        Ok(Outcome { messages: count, took: start.elapsed(), latencies })
    }

    fn wait(&mut self, events: &mut Events, until: Instant) -> io::Result<()> {
        let patience = until.saturating_duration_since(Instant::now());
        self.poll.poll(events, Some(patience))?;
        if events.is_empty() {
            return Err(io::Error::other("the server fell silent with messages under way"));
        }
        Ok(())
    }

    /// How many messages came by this event; `each` hears when the oldest of them was due.
    fn on_event(&mut self, token: Token, mut each: impl FnMut(Instant)) -> io::Result<u64> {
        let pair = &mut self.pairs[token.0 / 2];
        if token.0.is_multiple_of(2) {
            // The sender hears errors, acknowledgement requests and pings; none of them is the load's business.
            pair.sender.drain(&mut self.buffer, |_| ())?;
            pair.sender.flush()?;
            return Ok(0);
        }
        let mut got = 0;
        let ends = &mut pair.ends;
        pair.receiver.drain(&mut self.buffer, |bytes| got += ends.count(bytes))?;
        for _ in 0..got {
            if let Some(due) = pair.due.pop_front() {
                each(due);
            }
        }
        Ok(got)
    }
}
