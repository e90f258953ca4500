//! Passive opens: from a SYN to a connection that waits for accept().
//! Spec: RFC 9293 3.10.7.2 (LISTEN), 3.10.7.4 in SYN-RECEIVED; RFC 4987 (SYN cache, cookies); backlog as Linux.
//! Owns: nothing but the order of the questions. Invariants: a SYN costs at most one entry of the SYN cache, or none; what a
//! full accept queue refuses is dropped in silence, so that the peer tries again.
//! Not here: the automaton in SYN-RECEIVED (`tcp::SynReceived`), the layout of cookies (`syn_cookie`).

use super::TcpHost;
use super::below::{Below, Marks, mss};
use super::flows::Place;
use super::socket::{Connected, ConnectedBits, Kind, Socket};
use crate::counters::DropReason;
use crate::flow::FlowKey;
use crate::listener::Listener;
use crate::ready::Readiness;
use crate::syn_cookie::{CookieOptions, SynCookies};
use crate::wheel::TimerId;
use std::time::Duration;
use tcp::{
    Ctx, Instant, ListenDisposition, Opening, Restored, Segment, SeqNum, SynDisposition, SynReceived, listen,
};
use wire::tcp::{Flags, TcpOptions};

/// How long after the last cookie an ACK is tried as one: what cookies live, and Linux's `TCP_SYNCOOKIE_VALID`.
const COOKIE_LIFE: Duration = Duration::from_secs(120);

/// RFC 9293 3.7.1, MUST-15: the MSS of a SYN without the option, by IP version.
const MSS_WITHOUT_OPTION: (u16, u16) = (536, 1220);

impl TcpHost {
    fn listener_mut(&mut self, index: u32) -> Option<&mut Listener> {
        match &mut self.flows.sockets.get_mut(index)?.kind {
            Kind::Listening(listener) => Some(listener),
            _ => None,
        }
    }

    /// A segment of a four-tuple that nobody has. `iss_floor`: it had an incarnation that came so far.
    pub(super) fn at_listener<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        key: &FlowKey,
        hash: u64,
        seg: &Segment<'_>,
        iss_floor: Option<SeqNum>,
    ) {
        let local = key.local();
        let Some(listener) = self.listeners.find(local.ip(), local.port(), hash) else {
            self.at_nobody(below, key, seg);
            return;
        };
        let bare_ack = seg.flags.ack() && !seg.flags.syn() && !seg.flags.rst();
        if bare_ack && self.cookies_until.is_some_and(|until| now < until) {
            if let Some(mss) = self.cookies.check(now, key, seg.seq - 1, seg.ack - 1) {
                self.open_by_cookie(now, below, listener, (key, hash), seg, mss);
                return;
            }
            below.counters().drop_packet(DropReason::TcpBadCookie);
        }
        match listen(seg) {
            ListenDisposition::Ignore => below.counters().drop_packet(DropReason::TcpUnwanted),
            ListenDisposition::Reset(reset) => {
                below.counters().drop_packet(DropReason::TcpUnwanted);
                self.reply(below, *key, reset, Marks::default());
            }
            ListenDisposition::Open => self.open(now, below, listener, (key, hash), seg, iss_floor),
        }
    }

    /// What the listener that an unfinished handshake belongs to has set.
    pub(super) fn listener_marks(&mut self, key: &FlowKey, hash: u64) -> Marks {
        let local = key.local();
        let index = self.listeners.find(local.ip(), local.port(), hash);
        let listener = index.and_then(|index| self.listener_mut(index));
        listener.map_or(Marks::default(), |listener| Marks::of(&listener.settings))
    }

    /// What a connection to `key`'s remote end begins with.
    fn opening<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        key: &FlowKey,
        (iss, ts_offset): (SeqNum, u32),
    ) -> Option<Opening> {
        let remote = key.remote().ip();
        let (_, limits) = below.path(now, remote)?;
        Some(Opening { iss, ts_offset, mss: mss(limits.link_mtu, remote), path_mss: mss(limits.mtu, remote) })
    }

    fn open<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        listener: u32,
        (key, hash): (&FlowKey, u64),
        seg: &Segment<'_>,
        iss_floor: Option<SeqNum>,
    ) {
        let full = self.flows.syn_cache.is_full_for(key);
        let Some(socket) = self.listener_mut(listener) else { return };
        let settings = socket.settings.clone();
        if socket.is_full() || (full && !self.config.syn_cookies) {
            below.counters().drop_packet(DropReason::TcpBacklogFull);
            return;
        }
        let start = self.isn.start(now, key, iss_floor);
        let Some(mut opening) = self.opening(now, below, key, start) else {
            below.counters().drop_packet(DropReason::NoRoute);
            return;
        };
        if full {
            self.answer_by_cookie(now, below, key, seg, &settings, &mut opening);
            return;
        }
        let seg = with_mss(seg, key);
        let syn = SynReceived::new(now, &self.config.connection, &settings, &opening, &seg);
        let place = self.flows.syn_cache.insert(*key, syn);
        self.flows.insert(hash, Place::Syn(place));
        self.set_syn_timer(now, place);
        self.reply(below, *key, syn.syn_ack(now), Marks::of(&settings));
    }

    /// RFC 4987 3.6: the answer holds all that will be needed.
    fn answer_by_cookie<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        key: &FlowKey,
        seg: &Segment<'_>,
        settings: &tcp::Settings,
        opening: &mut Opening,
    ) {
        let mut seg = with_mss(seg, key);
        let asked = CookieOptions {
            window_scale: seg.options.window_scale,
            sack: seg.options.sack_permitted,
            ecn: seg.flags.ece() && seg.flags.cwr(),
        };
        let stamped = self.config.connection.timestamps && seg.options.timestamps.is_some();
        if !stamped {
            // Without timestamps there is no room for these, so they are not agreed on.
            seg.options = TcpOptions { window_scale: None, sack_permitted: false, ..seg.options };
            seg.flags = seg.flags.without(Flags::ECE).without(Flags::CWR);
        }
        opening.iss = self.cookies.make(now, key, seg.seq, seg.options.mss.unwrap_or(MSS_WITHOUT_OPTION.0));
        let syn = SynReceived::new(now, &self.config.connection, settings, opening, &seg);
        let mut answer = syn.syn_ack(now);
        if let Some(stamps) = &mut answer.options.timestamps {
            stamps.tsval = SynCookies::stamp(stamps.tsval, asked);
        }
        self.cookies_until = Some(now + COOKIE_LIFE);
        self.reply(below, *key, answer, Marks::of(settings));
    }

    fn open_by_cookie<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        listener: u32,
        (key, hash): (&FlowKey, u64),
        seg: &Segment<'_>,
        mss: u16,
    ) {
        let offset = self.isn.timestamp_offset(key);
        let Some(opening) = self.opening(now, below, key, (seg.ack - 1, offset)) else { return };
        let Some(socket) = self.listener_mut(listener) else { return };
        if socket.is_full() {
            below.counters().drop_packet(DropReason::TcpBacklogFull);
            return;
        }
        let settings = socket.settings.clone();
        let options = seg.options.timestamps.map(|stamps| SynCookies::options(stamps.tsecr));
        let restored = Restored {
            irs: seg.seq - 1,
            mss: Some(mss),
            window_scale: options.and_then(|options| options.window_scale),
            sack_permitted: options.is_some_and(|options| options.sack),
            ecn: options.is_some_and(|options| options.ecn),
        };
        let syn = SynReceived::restore(now, &self.config.connection, &settings, &opening, &restored, seg);
        self.complete(now, below, listener, (key, hash), seg, syn, None);
    }

    pub(super) fn at_syn_cache<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        place: u32,
        key: &FlowKey,
        hash: u64,
        seg: &Segment<'_>,
    ) {
        let Some((syn, _)) = self.flows.syn_cache.get_mut(place) else { return };
        let disposition = syn.handle_segment(now, &self.config.connection, seg);
        let syn = *syn;
        match disposition {
            SynDisposition::Complete => {
                let local = key.local();
                let Some(listener) = self.listeners.find(local.ip(), local.port(), hash) else {
                    // The listener closed meanwhile.
                    self.forget_syn(hash, place);
                    self.at_nobody(below, key, seg);
                    return;
                };
                // As Linux: the ACK is dropped, our SYN,ACK will be sent again, and so will its answer.
                if self.listener_mut(listener).is_none_or(|listener| listener.is_full()) {
                    below.counters().drop_packet(DropReason::TcpBacklogFull);
                    return;
                }
                self.complete(now, below, listener, (key, hash), seg, syn, Some(place));
            }
            SynDisposition::Answer(answer) => {
                let marks = self.listener_marks(key, hash);
                self.reply(below, *key, answer, marks);
            }
            SynDisposition::Reset => self.forget_syn(hash, place),
            SynDisposition::Dropped(_) => below.counters().drop_packet(DropReason::TcpUnwanted),
        }
    }

    /// The handshake is over: a connection, in the accept queue. `place`: its entry in the SYN cache, if it had one.
    #[allow(clippy::too_many_arguments)] // What a handshake is made of.
    fn complete<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        listener: u32,
        (key, hash): (&FlowKey, u64),
        seg: &Segment<'_>,
        syn: SynReceived,
        place: Option<u32>,
    ) {
        if self.flows.sockets.len() >= self.config.sockets_max {
            below.counters().drop_packet(DropReason::TcpNoMemory);
            return;
        }
        let Some(socket) = self.listener_mut(listener) else { return };
        let (settings, sharing, any_port) = (socket.settings.clone(), socket.sharing, socket.port == 0);
        let mut ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
        let connection = syn.into_connection(&mut ctx, settings, seg);
        let mut bits = ConnectedBits::default().with_sharing(sharing);
        bits.set(ConnectedBits::INDEXED);
        bits.set(ConnectedBits::UNACCEPTED);
        // A listener on any port speaks for ports that are not this host's to give.
        if !any_port {
            bits.set(ConnectedBits::HOLDS_PORT);
            self.ports.add_connection(key.local(), sharing);
        }
        let connected =
            Connected { connection, key: *key, timer: TimerId::IDLE, bits, pending: Readiness::NONE };
        let (index, _) = self.flows.sockets.insert(Socket::new(Kind::Connected(connected)));
        match place {
            Some(place) => {
                self.flows.change(hash, Place::Syn(place), Place::Socket(index));
                if let Some((_, mut timer)) = self.flows.syn_cache.remove(place) {
                    self.wheel.cancel(&mut timer);
                }
            }
            None => self.flows.insert(hash, Place::Socket(index)),
        }
        if let Some(listener) = self.listener_mut(listener) {
            listener.push(index);
        }
        self.raise(below, listener, Readiness::READABLE);
        self.at_connection(now, below, index, key, seg);
    }

    /// An entry of the SYN cache is over.
    pub(super) fn forget_syn(&mut self, hash: u64, place: u32) {
        self.flows.remove(hash, Place::Syn(place));
        if let Some((_, mut timer)) = self.flows.syn_cache.remove(place) {
            self.wheel.cancel(&mut timer);
        }
    }

    pub(super) fn set_syn_timer(&mut self, now: Instant, place: u32) {
        if let Some((syn, timer)) = self.flows.syn_cache.get_mut(place) {
            self.wheel.set(timer, Place::Syn(place).code(), Some(syn.deadline(now)));
        }
    }
}

/// The SYN with the MSS that its absence means.
fn with_mss<'a>(seg: &Segment<'a>, key: &FlowKey) -> Segment<'a> {
    let default = if key.is_v6() { MSS_WITHOUT_OPTION.1 } else { MSS_WITHOUT_OPTION.0 };
    Segment { options: TcpOptions { mss: Some(seg.options.mss.unwrap_or(default)), ..seg.options }, ..*seg }
}
