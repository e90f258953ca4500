//! Every timer by name, the least of them, and what happens when one is over.
//! Spec: RFC 9293 3.8.1, 3.8.3, 3.8.4, 3.8.6.1, 3.8.6.3, 3.6.1; 3.10.8 (timeouts).
//! Owns: the list. The deadlines lie in the rooms.
//! Invariants: an idle connection without keep-alive has none; handling a timer that is over moves it or stops it.
//! Not here: how long anything lasts (the rooms, `config`).

use crate::connection::{Bits, Connection};
use crate::ctx::Ctx;
use crate::events::Events;
use crate::info::End;
use crate::keepalive::KeepAliveVerdict;
use crate::retransmit::{GiveUp, Timeout};
use crate::state::State;
use crate::tcb::Sending;
use crate::time::Instant;

/// The timers of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// The end of what was sent is not acknowledged: the tail loss probe (RFC 8985 7). Before the next, which it puts off.
    TailProbe,
    /// Sent, and not acknowledged (RFC 6298).
    Retransmit,
    /// Something overtook what may yet come (RFC 8985 6.2 step 5).
    Reordering,
    /// New data is ahead of its time (`pacing`).
    Pacing,
    /// Waiting to be sent, and nothing in flight whose ACK would help (3.8.6.1).
    Persist,
    /// Received, and not acknowledged (3.8.6.3).
    DelayedAck,
    /// Nothing heard for long (3.8.4).
    KeepAlive,
    /// FIN-WAIT-2 after close(), or TIME-WAIT.
    Quiet,
    /// close() of a socket that lingers.
    Linger,
}

impl Timer {
    pub(crate) const ALL: [Timer; 9] = [
        Timer::TailProbe,
        Timer::Retransmit,
        Timer::Reordering,
        Timer::Pacing,
        Timer::Persist,
        Timer::DelayedAck,
        Timer::KeepAlive,
        Timer::Quiet,
        Timer::Linger,
    ];
}

impl Connection {
    /// When [`Connection::handle_timer`] is to be called at the latest; `None`: not until something else happens.
    #[must_use]
    pub fn next_deadline(&self, ctx: &Ctx<'_>) -> Option<Instant> {
        let least = self.least_deadline(ctx);
        debug_assert_eq!(
            least,
            Timer::ALL.into_iter().filter_map(|timer| self.deadline(timer, ctx)).min(),
            "the short way passes no timer by"
        );
        least
    }

    /// The least of all deadlines, asked of the rooms that have one: this is asked after every segment.
    #[inline]
    fn least_deadline(&self, ctx: &Ctx<'_>) -> Option<Instant> {
        let mut least = self.delayed_ack.deadline(ctx.now, ctx.config);
        if let Some(sending) = self.sending.as_deref() {
            least = sooner(least, sending.retransmit.deadline());
            if sending.retransmit.deadline().is_some() {
                least = sooner(least, self.probe_deadline(sending));
            }
            least = sooner(least, sending.recovery.deadline());
            least = sooner(least, sending.pacer.deadline());
            least = sooner(least, sending.persist.deadline());
        } else if self.settings.keepalive {
            least = sooner(least, self.deadline(Timer::KeepAlive, ctx));
        }
        if self.closing.has_deadline() {
            least = sooner(least, self.closing.quiet_until(ctx.now));
            least = sooner(least, self.closing.linger_until(ctx.now));
        }
        least
    }

    /// Time has passed.
    pub fn handle_timer(&mut self, ctx: &mut Ctx<'_>) {
        for timer in Timer::ALL {
            if self.deadline(timer, ctx).is_some_and(|deadline| deadline <= ctx.now) {
                match timer {
                    Timer::TailProbe => self.on_probe_timeout(ctx),
                    Timer::Retransmit => self.on_retransmission_timeout(ctx),
                    Timer::Reordering => self.on_reordering_timeout(ctx),
                    Timer::Pacing => {
                        if let Some(sending) = self.sending.as_deref_mut() {
                            sending.pacer.on_timeout();
                        }
                    }
                    Timer::Persist => self.on_persist_timeout(ctx),
                    Timer::DelayedAck => self.delayed_ack.on_timeout(ctx.now, ctx.config),
                    Timer::KeepAlive => self.on_keepalive_timeout(ctx),
                    Timer::Quiet => self.on_quiet_over(ctx),
                    Timer::Linger => self.on_linger_over(),
                }
            }
        }
        self.settle(ctx);
    }

    fn deadline(&self, timer: Timer, ctx: &Ctx<'_>) -> Option<Instant> {
        let sending = self.sending.as_deref();
        match timer {
            Timer::TailProbe => sending.and_then(|sending| self.probe_deadline(sending)),
            Timer::Retransmit => sending.and_then(|sending| sending.retransmit.deadline()),
            Timer::Reordering => sending.and_then(|sending| sending.recovery.deadline()),
            Timer::Pacing => sending.and_then(|sending| sending.pacer.deadline()),
            Timer::Persist => sending.and_then(|sending| sending.persist.deadline()),
            Timer::DelayedAck => self.delayed_ack.deadline(ctx.now, ctx.config),
            Timer::KeepAlive => {
                self.keeps_alive().then(|| self.keepalive.deadline(&self.settings.keepalive_timing, ctx.now))
            }
            Timer::Quiet => self.closing.quiet_until(ctx.now),
            Timer::Linger => self.closing.linger_until(ctx.now),
        }
    }

    /// RFC 9293 3.8.4, MUST-26: only while nothing is in flight, and (MUST-25) only if the program asked.
    fn keeps_alive(&self) -> bool {
        self.settings.keepalive
            && self.sending.is_none()
            && self.state.is_synchronized()
            && self.state != State::TimeWait
    }

    /// RFC 8985 7.2: outside recovery, with SACK, while nothing is SACKed.
    fn probe_deadline(&self, sending: &Sending) -> Option<Instant> {
        let asks = self.agreed.sack() && !self.syn_is_out() && sending.recovery.allows_probe();
        let single = self.snd.flight() <= u32::from(self.smss());
        let rto_at = sending.retransmit.deadline().filter(|_| asks)?;
        sending.tail_probe.deadline(self.rtt.srtt(), single, Some(rto_at))
    }

    /// RFC 8985 7.3: one segment asks; whether it can be sent or not, the retransmission timer starts anew.
    fn on_probe_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let rto = self.rtt.rto(ctx.config);
        if let Some(sending) = self.sending.as_deref_mut() {
            sending.tail_probe.on_timeout();
            sending.retransmit.restart(ctx.now, rto);
        }
    }

    fn on_reordering_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let Some(mut sending) = self.sending.take() else { return };
        let input = self.no_ack(ctx.now, &sending);
        let outcome =
            sending.recovery.on_reordering_timeout(&input, &mut sending.retransmit, &mut sending.congestion);
        sending.cwr_due |= outcome.reduced && self.agreed.ecn();
        if sending.recovery.in_recovery() {
            sending.tail_probe.forget();
        }
        self.sending = Some(sending);
    }

    /// RFC 6298 section 5, RFC 9293 3.8.3.
    fn on_retransmission_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now;
        let rto = self.rtt.rto(ctx.config);
        let give_up = self.give_up(ctx);
        let (una, opening) = (self.snd.una, self.syn_is_out());
        let input = self.sending.as_deref().map(|sending| self.no_ack(now, sending));
        let (Some(sending), Some(input)) = (self.sending.as_deref_mut(), input) else { return };
        if !ctx.config.test.retransmission {
            sending.retransmit.stop();
            return;
        }
        let lost_len = sending.retransmit.first_len().unwrap_or(0);
        if sending.retransmit.on_timeout(now, rto, ctx.config.rto_max, &give_up) == Timeout::GiveUp {
            let end = if give_up.user_timeout.is_some() { End::UserTimedOut } else { End::TimedOut };
            self.give_up_on_peer(ctx, end);
            return;
        }
        let retries = sending.retransmit.retries();
        // R1 (SHLD-10): the program may hear that something is wrong with the path.
        if retries == u32::from(ctx.config.retries_1) {
            self.events |= Events::TROUBLE;
        }
        // What was lost may have told our user timeout.
        self.bits.set(Bits::UTO_DUE);
        if opening {
            self.bits.set(Bits::SYN_DUE);
            self.bits.set(Bits::SYN_RESENT);
            return;
        }
        if self.pmtu.is_probe(una) {
            // RFC 4821 7.6.4: with a timeout nothing is known of what else was lost, so it counts as congestion; the size does not.
            self.pmtu.on_probe_lost(now);
        }
        let timestamps = self.agreed.timestamps();
        sending.recovery.on_timeout(&input, timestamps, &mut sending.retransmit, &mut sending.congestion);
        sending.tail_probe.forget();
        // A peer whose window is shut may have dropped it for that.
        let heard = self.snd.window.wnd() == 0;
        if !heard && self.pmtu.on_timeout(now, retries, lost_len, ctx.config) {
            let smss = u32::from(self.smss());
            if let Some(sending) = self.sending.as_deref_mut() {
                sending.congestion.on_mss(smss);
            }
        }
    }

    /// The window has been shut for an RTO, or what waits for company has waited long enough.
    fn on_persist_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let rto = self.rtt.rto(ctx.config);
        let give_up = self.give_up(ctx);
        let usable = self.snd.window.usable(self.snd.una, self.snd.nxt);
        let Some(sending) = self.sending.as_deref_mut() else { return };
        if usable > 0 {
            // RFC 9293 3.8.6.2.1 (4): the override timeout. The window is open, so nobody is to be given up.
            sending.persist.stop();
            self.bits.set(Bits::OVERRIDE);
            return;
        }
        match sending.persist.on_timeout(ctx.now, rto, ctx.config.rto_max, &give_up) {
            Timeout::Retransmit => self.bits.set(Bits::PROBE_DUE),
            Timeout::GiveUp => {
                let end = if give_up.user_timeout.is_some() { End::UserTimedOut } else { End::TimedOut };
                self.give_up_on_peer(ctx, end);
            }
        }
    }

    fn on_keepalive_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let timing = self.settings.keepalive_timing;
        match self.keepalive.on_timeout(ctx.now, &timing, self.settings.user_timeout) {
            KeepAliveVerdict::NotYet => {}
            KeepAliveVerdict::Probe => self.bits.set(Bits::PROBE_DUE),
            // As Linux: a peer that is still there after all learns by RST that we are not.
            KeepAliveVerdict::GiveUp => self.reset(ctx, End::KeepAliveTimedOut),
        }
    }

    /// When to give up: R2, or what the user set; sooner for a connection that nobody owns any more.
    fn give_up(&self, ctx: &Ctx<'_>) -> GiveUp {
        let retries = if self.syn_is_out() {
            self.settings.syn_retries.unwrap_or(ctx.config.syn_retries)
        } else if self.is_orphan() {
            ctx.config.orphan_retries
        } else {
            ctx.config.retries_2
        };
        // RFC 9293 3.8.6.1, MUST-37: a peer whose window is shut but who answers is not given up, whatever is in flight.
        let answers = self.snd.window.wnd() == 0
            && self.snd.flight() > 0
            && !self.syn_is_out()
            && self.keepalive.silence(ctx.now) <= ctx.config.rto_max;
        let retries = if answers { u32::MAX } else { u32::from(retries) };
        // What the peer asks for (RFC 5482) holds for what it does not acknowledge although its window takes it: a probed window
        // is MUST-37's business, and nobody waits longer for an orphan.
        let unacknowledged = self.snd.flight() > 0 && self.snd.window.wnd() > 0;
        let user_timeout = if unacknowledged && !self.is_orphan() {
            self.user_timeout(ctx.config)
        } else {
            self.settings.user_timeout
        };
        GiveUp { retries, user_timeout }
    }

    /// The peer does not answer. If ICMP has said why, that is the reason the program hears (RFC 9293 3.9.2.2).
    fn give_up_on_peer(&mut self, ctx: &mut Ctx<'_>, end: End) {
        let end = match self.soft_error {
            Some(what) => End::Unreachable(what),
            None => end,
        };
        self.finish(ctx, end);
    }
}

#[inline]
fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (some, None) | (None, some) => some,
    }
}

#[cfg(test)]
mod tests;
