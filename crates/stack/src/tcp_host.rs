//! The TCP of a host: all connections, listeners, half-open and closed ones, and how segments and time reach them.
//! Spec: RFC 9293 3.9, 3.10; RFC 4987 (SYN floods).
//! Owns: the tables and the queues between them; each rule has its room. Borrows: the floor below, for each call.
//! Invariants: work is proportional to what happened; every table and queue has its bound in `TcpHostConfig`; a connection is
//! in the output queue at most once; whoever is not in a queue has nothing to do before its timer.
//! Not here: one connection's rules (`tcp`), addresses and routes (`ip`).
//!
//! ```text
//!   segment --> flows (one probe) --> connection | SYN cache | TIME-WAIT      input.rs
//!                     '-- nobody ---> listener --> SYN cache or cookie        passive.rs
//!   timer ----> wheel, TIME-WAIT's queue                                      timers.rs
//!   turn -----> replies, then connections in turn --> packets                 output.rs
//!   program --> socket, bind, listen, accept, send, recv, close               calls.rs
//!           '-> connect                                                       connect.rs
//! ```

pub(crate) mod below;
mod calls;
mod config;
mod connect;
pub(crate) mod floor;
pub(crate) mod flows;
mod input;
mod output;
mod passive;
pub(crate) mod socket;
mod timers;

pub use config::TcpHostConfig;

use crate::config::Config;
use crate::flow::FlowKey;
use crate::isn::Isn;
use crate::listener::Listeners;
use crate::port::Ports;
use crate::random::Secret;
use crate::ready::{Handle, PlaceQueue, Readiness, TcpHandle};
use crate::syn_cookie::SynCookies;
use crate::wheel::Wheel;
use below::{Below, Marks};
use flows::{Flows, Place};
use socket::{Connected, ConnectedBits, Kind};
use std::collections::VecDeque;
use tcp::{Ctx, Events, Instant, Memory, SegmentOut, State};

/// An answer that belongs to no connection, or to one segment alone.
#[derive(Debug, Clone, Copy)]
struct Reply {
    key: FlowKey,
    segment: SegmentOut,
    marks: Marks,
}

/// The TCP of one host.
#[derive(Debug)]
pub(crate) struct TcpHost {
    pub(crate) config: TcpHostConfig,
    pub(crate) flows: Flows,
    pub(crate) listeners: Listeners,
    pub(crate) ports: Ports,
    pub(crate) memory: Memory,
    wheel: Wheel,
    isn: Isn,
    cookies: SynCookies,
    /// Until when an ACK to a listener may be a cookie's.
    cookies_until: Option<Instant>,
    replies: VecDeque<Reply>,
    output: VecDeque<u32>,
    /// Connections whose program wants to send and found the budget empty.
    waiting: PlaceQueue,
    orphans: usize,
}

impl TcpHost {
    pub(crate) fn new(config: &Config, secret: &Secret, now: Instant) -> Self {
        let tcp = config.tcp.clone();
        TcpHost {
            flows: Flows::new(secret, tcp.syn_backlog, tcp.time_wait_max),
            listeners: Listeners::default(),
            ports: Ports::new(secret, config.ephemeral_ports),
            memory: Memory::new(config.buffer_bytes_max),
            wheel: Wheel::new(now),
            isn: Isn::new(secret),
            cookies: SynCookies::new(secret),
            cookies_until: None,
            replies: VecDeque::new(),
            output: VecDeque::new(),
            waiting: PlaceQueue::default(),
            orphans: 0,
            config: tcp,
        }
    }

    /// Sockets that exist, orphans included.
    pub(crate) fn sockets_len(&self) -> usize {
        self.flows.sockets.len()
    }

    /// Entries in TIME-WAIT.
    pub(crate) fn time_wait_len(&self) -> usize {
        self.flows.time_wait.len()
    }

    /// Handshakes in the SYN cache.
    pub(crate) fn half_open_len(&self) -> usize {
        self.flows.syn_cache.len()
    }

    /// What they weigh, in bytes.
    #[cfg(test)]
    pub(crate) fn half_open_bytes(&self) -> usize {
        self.flows.syn_cache.weight()
    }

    /// The purse that all buffers of the host share.
    pub(crate) fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// The handle of a socket at `index`.
    pub(crate) fn handle(&self, index: u32) -> TcpHandle {
        TcpHandle { index, generation: self.flows.sockets.generation(index).unwrap_or(0) }
    }

    /// The index of a handle whose socket still exists and has not been closed by its program.
    pub(crate) fn index(&self, handle: TcpHandle) -> Option<u32> {
        if self.flows.sockets.generation(handle.index)? != handle.generation {
            return None;
        }
        let socket = self.flows.sockets.get(handle.index)?;
        (!socket.is_orphan()).then_some(handle.index)
    }

    /// Whether a connection that its program has closed still has something to say: what close() of a socket that lingers
    /// waits for.
    pub(crate) fn is_closing(&self, handle: TcpHandle) -> bool {
        self.flows.sockets.generation(handle.index) == Some(handle.generation)
            && self.flows.sockets.get(handle.index).is_some_and(|socket| socket.is_orphan())
    }

    /// The socket at a place, and what happened to it since it was last asked; nothing if there is none, or nothing happened.
    pub(crate) fn take_readiness(&mut self, index: u32) -> Option<(TcpHandle, Readiness)> {
        let handle = self.handle(index);
        let index = self.index(handle)?;
        let bits = core::mem::take(self.flows.sockets.get_mut(index)?.pending_mut()?);
        (!bits.is_empty()).then_some((handle, bits))
    }

    /// Tells the owner of a socket what happened, or keeps it until somebody owns it.
    pub(crate) fn raise<B: Below>(&mut self, below: &mut B, index: u32, bits: Readiness) {
        if bits.is_empty() {
            return;
        }
        let handle = Handle::Tcp(self.handle(index));
        let Some(socket) = self.flows.sockets.get_mut(index) else { return };
        let owned = match &socket.kind {
            Kind::Connected(connected) => connected.bits.has(ConnectedBits::OWNED),
            Kind::Fresh(_) | Kind::Listening(_) => true,
        };
        let Some(pending) = socket.pending_mut() else { return };
        if owned {
            below.ready().raise(handle, pending, bits);
        } else {
            *pending |= bits;
        }
    }

    /// Runs `act` on a connection with its surroundings.
    pub(crate) fn with_connection<R>(
        &mut self,
        now: Instant,
        index: u32,
        act: impl FnOnce(&mut Connected, &mut Ctx<'_>) -> R,
    ) -> Option<R> {
        let connected = self.flows.sockets.get_mut(index)?.connected_mut()?;
        let mut ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
        Some(act(connected, &mut ctx))
    }

    /// After anything was done to a connection: tells its owner, lets it send, sets its timer.
    pub(crate) fn after<B: Below>(&mut self, now: Instant, below: &mut B, index: u32) {
        let Some(connected) = self.flows.sockets.get_mut(index).and_then(|s| s.connected_mut()) else {
            return;
        };
        if !connected.bits.has(ConnectedBits::QUEUED) {
            if connected.connection.is_quiet() {
                // A turn would find nothing to send, and set the timer.
                let ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
                let deadline = connected.connection.next_deadline(&ctx);
                self.wheel.set(&mut connected.timer, Place::Socket(index).code(), deadline);
            } else {
                connected.bits.set(ConnectedBits::QUEUED);
                self.output.push_back(index);
            }
        }
        let events = connected.connection.poll_events();
        if !events.is_empty() {
            let failed = connected.connection.end().is_some_and(|end| end.error_kind().is_some());
            self.raise(below, index, readiness(events, failed));
        }
    }

    /// A connection has nothing to send for now: it leaves the output queue, its timer is set, and it moves on if it is done.
    fn settle<B: Below>(&mut self, now: Instant, below: &mut B, index: u32) {
        let Some(connected) = self.flows.sockets.get_mut(index).and_then(|s| s.connected_mut()) else {
            return;
        };
        connected.bits.clear(ConnectedBits::QUEUED);
        if matches!(connected.connection.state(), State::TimeWait | State::Closed) {
            self.move_on(now, below, index);
            return;
        }
        let ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
        let deadline = connected.connection.next_deadline(&ctx);
        self.wheel.set(&mut connected.timer, Place::Socket(index).code(), deadline);
    }

    /// A connection is done: its entry in TIME-WAIT takes its place, or nothing does.
    fn move_on<B: Below>(&mut self, now: Instant, below: &mut B, index: u32) {
        let Some(connected) = self.flows.sockets.get_mut(index).and_then(|s| s.connected_mut()) else {
            return;
        };
        if connected.connection.state() == State::TimeWait {
            let mut ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
            if let Some(wait) = connected.connection.take_time_wait(&mut ctx) {
                let (key, bits) = (connected.key, connected.bits);
                let marks = Marks::of(connected.connection.settings());
                connected.bits.clear(ConnectedBits::INDEXED);
                connected.bits.clear(ConnectedBits::HOLDS_PORT);
                if bits.has(ConnectedBits::INDEXED) {
                    self.enter_time_wait(now, index, key, bits, wait, marks);
                }
                self.tell_end(below, index);
            }
        }
        let Some(connected) = self.flows.sockets.get_mut(index).and_then(|s| s.connected_mut()) else {
            return;
        };
        if connected.connection.state() == State::Closed {
            self.retire(index);
            return;
        }
        let ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
        let deadline = connected.connection.next_deadline(&ctx);
        self.wheel.set(&mut connected.timer, Place::Socket(index).code(), deadline);
    }

    fn tell_end<B: Below>(&mut self, below: &mut B, index: u32) {
        let Some(connected) = self.flows.sockets.get_mut(index).and_then(|s| s.connected_mut()) else {
            return;
        };
        let events = connected.connection.poll_events();
        let failed = connected.connection.end().is_some_and(|end| end.error_kind().is_some());
        self.raise(below, index, readiness(events, failed));
    }

    fn enter_time_wait(
        &mut self,
        now: Instant,
        index: u32,
        key: FlowKey,
        bits: ConnectedBits,
        wait: tcp::TimeWait,
        marks: Marks,
    ) {
        if self.flows.time_wait.is_full() {
            self.evict_time_wait(now);
        }
        // A tunnel's connection does not hold its port; its entry must not give one back either.
        let sharing = bits.sharing();
        if !bits.has(ConnectedBits::HOLDS_PORT) {
            self.ports.add_connection(key.local(), sharing);
        }
        let place = self.flows.time_wait.insert(key, wait, sharing, marks);
        self.flows.change(self.flows.hash(&key), Place::Socket(index), Place::TimeWait(place));
    }

    /// A connection is closed: it leaves the index and the wheel; without an owner it leaves altogether.
    fn retire(&mut self, index: u32) {
        let Some(connected) = self.flows.sockets.get_mut(index).and_then(|s| s.connected_mut()) else {
            return;
        };
        self.wheel.cancel(&mut connected.timer);
        let key = connected.key;
        let indexed = connected.bits.take(ConnectedBits::INDEXED);
        let holds_port = connected.bits.take(ConnectedBits::HOLDS_PORT);
        let sharing = connected.bits.sharing();
        let bits = connected.bits;
        let owned = bits.has(ConnectedBits::OWNED) || bits.has(ConnectedBits::UNACCEPTED);
        if indexed {
            self.flows.remove(self.flows.hash(&key), Place::Socket(index));
        }
        if holds_port {
            self.ports.remove_connection(key.local(), sharing);
        }
        if !owned {
            self.free(index);
        }
    }

    /// Connections that their program has closed and that go on.
    pub(crate) fn orphans(&self) -> usize {
        self.orphans
    }

    /// A program lets go of a connection.
    pub(crate) fn adopt_orphan(&mut self) {
        self.orphans += 1;
    }

    /// Forgets a socket. A connection has left index, wheel and ports before.
    pub(crate) fn free(&mut self, index: u32) {
        let Some(mut socket) = self.flows.sockets.remove(index) else { return };
        if let Some(connected) = socket.connected_mut() {
            connected.connection.release(&mut self.memory);
            if connected.connection.is_orphan() {
                self.orphans = self.orphans.saturating_sub(1);
            }
        }
    }

    /// Queues an answer; without room it is dropped, and what caused it will come again.
    fn reply<B: Below>(&mut self, below: &mut B, key: FlowKey, segment: SegmentOut, marks: Marks) {
        if self.replies.len() < self.config.replies_max {
            self.replies.push_back(Reply { key, segment, marks });
        } else {
            below.counters().drop_packet(crate::counters::DropReason::TcpAnswerLimited);
        }
    }
}

/// What a connection's events mean for its socket.
fn readiness(events: Events, failed: bool) -> Readiness {
    let mut bits = Readiness::NONE;
    let mut when = |event, means| {
        if events.contains(event) {
            bits |= means;
        }
    };
    when(Events::OPENED, Readiness::WRITABLE);
    when(Events::READABLE, Readiness::READABLE);
    when(Events::WRITABLE, Readiness::WRITABLE);
    when(Events::PEER_FINISHED, Readiness::READABLE | Readiness::READ_CLOSED);
    when(Events::URGENT, Readiness::PRIORITY);
    when(Events::LINGER_OVER, Readiness::WRITABLE);
    when(
        Events::ENDED,
        Readiness::READABLE | Readiness::WRITABLE | Readiness::HANGUP | Readiness::READ_CLOSED,
    );
    if events.contains(Events::ENDED) && failed {
        bits |= Readiness::ERROR;
    }
    bits
}

#[cfg(test)]
mod tests;
