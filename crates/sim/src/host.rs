//! Programs that talk: each end of a conversation sends what its plan says, reads, and ends in the planned way.
//! Owns: how far each end has come. Borrows: the stack's calls, the streams' accounts.
//! Invariants: a program acts only on what readiness told it (edge-triggered, until `WouldBlock`) and on its own pauses, as a
//! real event loop does; so a missing edge leaves somebody stuck, and is found.
//! Not here: whether what arrived is right (`oracle`), when a life is over (`life`).

use crate::digest::Digest;
use crate::link::End;
use crate::oracle::{Stream, Violation};
use stack::socket::error::{RecvError, SendError};
use stack::{Readiness, Stack, TcpHandle};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;
use tcp::{Instant, SendFlags};

/// How an end ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// shutdown() of writing after its last byte, then reads to the end, then close(): the first to close, unless the other is.
    Shutdown,
    /// Says all, reads to the end, and only then shuts down: the second to close.
    AfterPeer,
    /// close() right after its last byte, whatever the other still says.
    Close,
    /// Aborts when it has said so much.
    Abort(u64),
}

impl Ending {
    /// Whether it gives the other side no reason to fail.
    pub fn is_graceful(self) -> bool {
        matches!(self, Ending::Shutdown | Ending::AfterPeer)
    }
}

/// What one end of a conversation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Bytes it says.
    pub bytes: u64,
    /// At most so many in one send().
    pub write_max: usize,
    /// At most so many in one recv().
    pub read_max: usize,
    /// After so many bytes read ...
    pub pause_after: u64,
    /// ... it reads nothing for so long: its window closes.
    pub pause: Duration,
    /// How it ends.
    pub ending: Ending,
}

/// One end of a conversation.
#[derive(Debug)]
pub struct Talker {
    /// Which conversation.
    pub talk: usize,
    /// Which host.
    pub end: End,
    /// What it does.
    pub plan: Plan,
    socket: TcpHandle,
    readable: bool,
    writable: bool,
    error: bool,
    paused_until: Option<Instant>,
    pause_is_over: bool,
    shut: bool,
    over: bool,
    failure: Option<ErrorKind>,
}

/// The two streams of a conversation, as one end sees them.
pub struct Streams<'a> {
    /// What this end says.
    pub out: &'a mut Stream,
    /// What it hears.
    pub inward: &'a mut Stream,
}

impl Talker {
    /// An end at `socket`. An accepted one may already be readable and writable; a connecting one is told.
    pub fn new(talk: usize, end: End, plan: Plan, socket: TcpHandle, accepted: bool) -> Talker {
        Talker {
            talk,
            end,
            plan,
            socket,
            readable: accepted,
            writable: accepted,
            error: false,
            paused_until: None,
            pause_is_over: plan.pause.is_zero(),
            shut: false,
            over: false,
            failure: None,
        }
    }

    /// Its socket, while it has one.
    pub fn socket(&self) -> Option<TcpHandle> {
        (!self.over).then_some(self.socket)
    }

    /// Whether it has closed its socket.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The word with which its connection failed.
    pub fn failure(&self) -> Option<ErrorKind> {
        self.failure
    }

    /// The stack says that something happened.
    pub fn on_ready(&mut self, bits: Readiness) {
        let has = |bit| bits.contains(bit);
        self.readable |= has(Readiness::READABLE) || has(Readiness::READ_CLOSED) || has(Readiness::HANGUP);
        self.writable |= has(Readiness::WRITABLE);
        self.error |= has(Readiness::ERROR);
    }

    /// When it wants to act though nothing happened.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.paused_until.filter(|_| !self.over)
    }

    /// Does what it can.
    pub fn act(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        streams: &mut Streams<'_>,
        digest: &mut Digest,
    ) -> Result<(), Violation> {
        if self.over {
            return Ok(());
        }
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        if std::mem::take(&mut self.error)
            && let Some(why) = stack.tcp_take_error(self.socket)
        {
            self.fail(now, stack, why, digest);
            return Ok(());
        }
        self.write(now, stack, streams.out, digest);
        self.read(now, stack, streams.inward, digest)?;
        self.finish(now, stack, streams, digest);
        Ok(())
    }

    /// Sends until it has said all or the stack takes no more.
    fn write(&mut self, now: Instant, stack: &mut Stack, out: &mut Stream, digest: &mut Digest) {
        let limit = match self.plan.ending {
            Ending::Abort(after) => after.min(self.plan.bytes),
            _ => self.plan.bytes,
        };
        let mut buffer = vec![0; self.plan.write_max];
        while self.writable && !self.over && out.sent() < limit {
            let len = (limit - out.sent()).min(buffer.len() as u64) as usize;
            let piece = &mut buffer[..len];
            out.fill(piece);
            match stack.tcp_send(now, self.socket, piece, SendFlags::default()) {
                Ok(taken) => {
                    digest.number(taken as u64);
                    out.on_sent(taken);
                }
                Err(SendError::WouldBlock) => self.writable = false,
                Err(error) => self.fail(now, stack, error.kind(), digest),
            }
        }
    }

    /// Receives until nothing is left, or its pause begins.
    fn read(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        inward: &mut Stream,
        digest: &mut Digest,
    ) -> Result<(), Violation> {
        let mut buffer = vec![0; self.plan.read_max];
        while self.readable && !self.over && !inward.ended() && self.paused_until.is_none() {
            if !self.pause_is_over && inward.received() >= self.plan.pause_after {
                self.pause_is_over = true;
                self.paused_until = Some(now + self.plan.pause);
                break;
            }
            match stack.tcp_recv(now, self.socket, &mut buffer) {
                Ok(0) => inward.on_end(),
                Ok(len) => inward.on_received(&buffer[..len])?,
                Err(RecvError::WouldBlock) => self.readable = false,
                Err(error) => self.fail(now, stack, error.kind(), digest),
            }
            digest.instant(now);
            digest.number(inward.received());
        }
        Ok(())
    }

    /// Ends as planned, when the time has come.
    fn finish(&mut self, now: Instant, stack: &mut Stack, streams: &Streams<'_>, digest: &mut Digest) {
        if self.over {
            return;
        }
        let said_all = streams.out.sent() >= self.plan.bytes;
        match self.plan.ending {
            Ending::Abort(after) => {
                if streams.out.sent() >= after.min(self.plan.bytes) {
                    self.over = true;
                    let _ = stack.tcp_abort(now, self.socket); // it may have failed meanwhile
                    digest.number(1);
                }
            }
            Ending::Close if said_all => self.close(now, stack, digest),
            Ending::Close => {}
            Ending::Shutdown | Ending::AfterPeer => {
                let its_turn = self.plan.ending == Ending::Shutdown || streams.inward.ended();
                if said_all && its_turn && !self.shut {
                    self.shut = true;
                    if let Err(error) = stack.tcp_shutdown(now, self.socket, Shutdown::Write) {
                        let word = std::io::Error::from(error).kind();
                        self.fail(now, stack, word, digest);
                        return;
                    }
                }
                if self.shut && streams.inward.ended() {
                    self.close(now, stack, digest);
                }
            }
        }
    }

    fn close(&mut self, now: Instant, stack: &mut Stack, digest: &mut Digest) {
        self.over = true;
        let _ = stack.tcp_close(now, self.socket); // the handle is ours, so it is there
        digest.number(2);
    }

    fn fail(&mut self, now: Instant, stack: &mut Stack, why: ErrorKind, digest: &mut Digest) {
        self.failure = Some(why);
        digest.number(3);
        self.close(now, stack, digest);
    }
}
