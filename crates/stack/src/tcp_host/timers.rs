//! Timers: whose time has come.
//! Owns: nothing; the wheel and TIME-WAIT's queue say who. Invariants: a call handles at most [`TIMERS_MAX`] of each, so that no
//! turn stalls; what is left is due at once, and `next_deadline` says so.
//! Not here: what a timer means (`tcp::Connection::handle_timer`, `tcp::SynReceived::handle_timer`).

use super::TcpHost;
use super::below::Below;
use super::flows::Place;
use crate::wheel::TimerId;
use tcp::{Instant, SynTimeout};

/// Timers handled in one call; the next call goes on.
const TIMERS_MAX: usize = 4_096;

impl TcpHost {
    /// The least of the deadlines.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        [self.wheel.next_deadline(), self.flows.time_wait.next_deadline(now)].into_iter().flatten().min()
    }

    /// Time has passed.
    pub(crate) fn handle_timers<B: Below>(&mut self, now: Instant, below: &mut B) {
        for _ in 0..TIMERS_MAX {
            let Some(owner) = self.wheel.poll(now) else { break };
            match Place::decode(owner) {
                Place::Socket(index) => self.connection_timer(now, below, index),
                Place::Syn(place) => self.syn_timer(now, below, place),
                // TIME-WAIT has a queue of its own.
                Place::TimeWait(_) => {}
            }
        }
        for _ in 0..TIMERS_MAX {
            if self.flows.time_wait.next_deadline(now).is_none_or(|deadline| deadline > now) {
                break;
            }
            self.evict_time_wait(now);
        }
    }

    /// The oldest entry of TIME-WAIT leaves.
    pub(super) fn evict_time_wait(&mut self, now: Instant) {
        if let Some(place) = self.flows.time_wait.oldest_place(now) {
            self.leave_time_wait(place);
        }
    }

    fn connection_timer<B: Below>(&mut self, now: Instant, below: &mut B, index: u32) {
        let due = self.with_connection(now, index, |connected, ctx| {
            connected.timer = TimerId::IDLE;
            connected.connection.handle_timer(ctx);
        });
        if due.is_some() {
            self.after(now, below, index);
        }
    }

    fn syn_timer<B: Below>(&mut self, now: Instant, below: &mut B, place: u32) {
        let Some(key) = self.flows.syn_cache.key(place) else { return };
        let Some((syn, timer)) = self.flows.syn_cache.get_mut(place) else { return };
        *timer = TimerId::IDLE;
        match syn.handle_timer(now, &self.config.connection) {
            SynTimeout::Resend(segment) => {
                self.set_syn_timer(now, place);
                let hash = self.flows.hash(&key);
                let marks = self.listener_marks(&key, hash);
                self.reply(below, key, segment, marks);
            }
            SynTimeout::NotYet => self.set_syn_timer(now, place),
            SynTimeout::GiveUp => self.forget_syn(self.flows.hash(&key), place),
        }
    }
}
