//! Output: whose segment leaves next.
//! Spec: none; the order is ours: answers to strangers first (they are few and bounded), then connections in turn.
//! Owns: the turn of each connection. Invariants: a connection sends at most [`QUANTUM`] packets while others wait, then goes to
//! the back of the queue; a sink that is full stops only those who need it; nothing is polled from a connection before there is room for it.
//! Not here: what a connection may send (`tcp`), how it becomes a packet (`ip::output`).

use super::TcpHost;
use super::below::{Below, Limits, Marks, NotSent, Packet, fixed_headers, mss};
use crate::counters::DropReason;
use crate::events::{Direction, Event};
use crate::ip::cut::flags_of_piece;
use crate::ready::Readiness;
use std::net::IpAddr;
use tcp::{Ctx, Instant, Slices};
use wire::ip::Ecn;

/// Packets of one connection in one round; with a device that cuts, one super-packet counts as one of them.
const QUANTUM: usize = 4;

/// Programs told at once that the budget has room again.
const WAITING_TOLD: usize = 64;

/// What a connection's round came to.
enum Round {
    /// It has no more to send.
    Done(usize),
    /// It may have more.
    More(usize),
    /// Its sink is full.
    Blocked(usize),
}

/// The way that was looked up last, which the next packet of a turn most often takes too.
struct Ways<B: Below> {
    last: Option<(IpAddr, Option<Way<B>>)>,
}

type Way<B> = (<B as Below>::Path, Limits);

impl<B: Below> Ways<B> {
    fn to(&mut self, now: Instant, below: &mut B, dst: IpAddr) -> Option<Way<B>> {
        match self.last {
            Some((last, way)) if last == dst => way,
            _ => {
                let way = below.path(now, dst);
                self.last = Some((dst, way));
                way
            }
        }
    }
}

impl TcpHost {
    /// Whether anything may want to leave.
    pub(crate) fn has_output(&self) -> bool {
        !self.replies.is_empty() || !self.output.is_empty()
    }

    /// Whether a program waits for the budget.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Hands out at most `frames_max` packets; returns how many. Out of line: within the turn it makes all its variables spill.
    #[inline(never)]
    pub(crate) fn poll_transmit<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        frames_max: usize,
    ) -> usize {
        let mut ways = Ways { last: None };
        let mut sent = self.send_replies(now, below, &mut ways, frames_max);
        // Connections that met a full sink since the last one that got through: once that is all of them, the turn is over.
        let mut blocked = 0;
        while sent < frames_max && blocked < self.output.len() {
            let Some(index) = self.output.pop_front() else { break };
            // Who is alone need not make way for anybody.
            let quantum = if self.output.is_empty() { frames_max } else { QUANTUM };
            match self.round(now, below, &mut ways, index, quantum.min(frames_max - sent)) {
                Round::Done(count) => {
                    sent += count;
                    blocked = 0;
                    self.settle(now, below, index);
                }
                Round::More(count) => {
                    sent += count;
                    blocked = 0;
                    self.output.push_back(index);
                }
                Round::Blocked(count) => {
                    sent += count;
                    blocked = if count > 0 { 1 } else { blocked + 1 };
                    self.output.push_back(index);
                }
            }
        }
        self.tell_waiting(below);
        sent
    }

    fn send_replies<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        ways: &mut Ways<B>,
        frames_max: usize,
    ) -> usize {
        let mut sent = 0;
        // Each reply is looked at once a turn.
        for _ in 0..self.replies.len().min(frames_max) {
            let Some(reply) = self.replies.pop_front() else { break };
            let (local, remote) = (reply.key.local(), reply.key.remote());
            let Some((path, _)) = ways.to(now, below, remote.ip()) else {
                below.counters().drop_packet(DropReason::NoRoute);
                continue;
            };
            if below.room(&path) == 0 {
                self.replies.push_back(reply);
                continue;
            }
            let packet = Packet {
                src: local.ip(),
                dst: remote.ip(),
                ecn: Ecn::NotEct,
                marks: reply.marks,
                header: reply.segment.header(local.port(), remote.port()),
                text: Slices::default(),
                segment_size: u16::MAX,
            };
            // Too big it cannot be, and the room was there a moment ago.
            if below.emit(now, &path, &packet).is_ok() {
                record(now, below, &packet);
                sent += 1;
            }
        }
        sent
    }

    fn round<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        ways: &mut Ways<B>,
        index: u32,
        packets_max: usize,
    ) -> Round {
        let Some(connected) = self.flows.sockets.get_mut(index).and_then(|socket| socket.connected_mut())
        else {
            return Round::Done(0);
        };
        let mut ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
        if connected.connection.rest_if_all_sent(&mut ctx) {
            return Round::Done(0);
        }
        let (local, remote) = (connected.key.local(), connected.key.remote());
        let way = ways.to(now, below, remote.ip());
        let limits = way.as_ref().map(|(_, limits)| *limits);
        ctx.tso_max = limits.map_or(0, |limits| text_max(limits, remote.ip()));
        let mut narrowed = false;
        let mut count = 0;
        while count < packets_max {
            let room = way.as_ref().map_or(1, |(path, _)| below.room(path));
            if room == 0 {
                return Round::Blocked(count);
            }
            ctx.cut_max = room.min(packets_max - count) as u32;
            let Some(segment) = connected.connection.poll_segment(&mut ctx) else {
                return Round::Done(count);
            };
            let Some((path, limits)) = &way else {
                count += 1;
                // As if the network had lost it: what is owed will be sent again, and perhaps there is a route by then.
                below.counters().drop_packet(DropReason::NoRoute);
                continue;
            };
            let packet = Packet {
                src: local.ip(),
                dst: remote.ip(),
                ecn: if segment.ect { Ecn::Ect0 } else { Ecn::NotEct },
                marks: Marks::of(connected.connection.settings()),
                header: segment.header(local.port(), remote.port()),
                text: connected.connection.payload(&segment),
                segment_size: segment.segment_size,
            };
            let (pieces, sent) = if ctx.tso_max == 0 && packet.text.len() > usize::from(packet.segment_size) {
                emit_cut(now, below, path, &packet)
            } else {
                (1, emit(now, below, path, &packet))
            };
            count += pieces;
            match sent {
                Ok(()) => {}
                Err(NotSent::TooBig) => {
                    // The path has narrowed since the segment was made, by what another connection learnt.
                    let path_mss = mss(limits.mtu, remote.ip());
                    let told = connected.connection.handle_path(&mut ctx, path_mss, Some(segment.seq));
                    if !told || core::mem::replace(&mut narrowed, true) {
                        return Round::Done(count);
                    }
                }
                Err(NotSent::Blocked) => return Round::Blocked(count),
            }
            if connected.connection.rest_if_all_sent(&mut ctx) {
                return Round::Done(count);
            }
        }
        Round::More(count)
    }

    /// The program of `index` found the budget empty; it is told when there is room.
    pub(crate) fn wait_for_budget(&mut self, index: u32) {
        self.waiting.push(index);
    }

    fn tell_waiting<B: Below>(&mut self, below: &mut B) {
        for _ in 0..WAITING_TOLD {
            if self.memory.budget.under_pressure() {
                return;
            }
            let Some(index) = self.waiting.pop() else { return };
            // The one that waited may be gone and its place another's: to be told once too often does no harm, except to one that
            // opens, to whom it would say that it is open; and that will be said when it is.
            let socket = self.flows.sockets.get_mut(index).and_then(|socket| socket.connected_mut());
            if socket.is_some_and(|connected| connected.connection.state().is_synchronized()) {
                self.raise(below, index, Readiness::WRITABLE);
            }
        }
    }
}

/// The most text in a super-segment: what the device cuts, less headers at their longest.
fn text_max(limits: Limits, remote: IpAddr) -> u32 {
    limits.tso_max.saturating_sub(fixed_headers(remote) + wire::tcp::MAX_OPTIONS_LEN as u32)
}

fn emit<B: Below>(now: Instant, below: &mut B, path: &B::Path, packet: &Packet<'_>) -> Result<(), NotSent> {
    below.emit(now, path, packet)?;
    record(now, below, packet);
    Ok(())
}

/// Sends a super-segment in pieces, where the device does not cut, and says how many there were. There was room for each; one that the
/// floor refuses all the same is as if lost.
fn emit_cut<B: Below>(
    now: Instant,
    below: &mut B,
    path: &B::Path,
    packet: &Packet<'_>,
) -> (usize, Result<(), NotSent>) {
    if let Some((count, sent)) = below.emit_cut(now, path, packet) {
        below.counters().tcp_segments_sent += count as u64;
        if below.events().is_on() {
            pieces(packet).take(count).for_each(|piece| record_event(now, below, &piece));
        }
        return (count, sent);
    }
    let mut count = 0;
    for piece in pieces(packet) {
        count += 1;
        let sent = emit(now, below, path, &piece);
        if sent.is_err() {
            return (count, sent);
        }
    }
    (count, Ok(()))
}

/// The segments that a super-segment is cut into.
fn pieces<'a>(packet: &Packet<'a>) -> impl Iterator<Item = Packet<'a>> {
    let (size, flags) = (usize::from(packet.segment_size), packet.header.flags);
    let (mut next, mut text, mut first) = (packet.clone(), packet.text.clone(), true);
    std::iter::from_fn(move || {
        if text.len() == 0 {
            return None;
        }
        let mut piece = next.clone();
        piece.text = text.split_front(size);
        piece.header.flags = flags_of_piece(flags, core::mem::take(&mut first), text.len() == 0);
        next.header.seq = next.header.seq.wrapping_add(size as u32);
        Some(piece)
    })
}

fn record<B: Below>(now: Instant, below: &mut B, packet: &Packet<'_>) {
    below.counters().tcp_segments_sent += 1;
    record_event(now, below, packet);
}

fn record_event<B: Below>(now: Instant, below: &mut B, packet: &Packet<'_>) {
    below.events().record(now, || Event::Segment {
        direction: Direction::Sent,
        src: std::net::SocketAddr::new(packet.src, packet.header.src_port),
        dst: std::net::SocketAddr::new(packet.dst, packet.header.dst_port),
        header: packet.header,
        payload_len: packet.text.len() as u32,
        ecn: packet.ecn,
    });
}
