//! Input: from a segment to whoever it concerns.
//! Spec: RFC 9293 3.10.7.1 (no connection), 3.9.2.2 and 3.9.2.3 (ICMP, addresses); RFC 5927 section 4 (ICMP attacks).
//! Owns: nothing. Invariants: a segment reaches exactly one record or none; a segment from an end to itself (land, blat)
//! reaches none; an ICMP error is believed only if it quotes what is in flight.
//! Not here: segments that open connections (`passive`).

use super::TcpHost;
use super::below::{Below, Marks, mss};
use super::flows::Place;
use super::socket::Kind;
use crate::counters::DropReason;
use crate::events::{Direction, Event};
use crate::flow::FlowKey;
use crate::ip::{Delivery, IpMeta};
use crate::time_wait_table::TimeWaitPlace;
use std::net::{IpAddr, SocketAddr};
use tcp::{Ctx, Disposition, Instant, Segment, SeqNum, TimeWaitDisposition, Unreachable, make_reset};
use wire::ip::Ecn;
use wire::tcp::{Header, Packet};

impl TcpHost {
    /// A segment whose checksum holds.
    #[cfg(test)]
    pub(crate) fn handle_segment<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        meta: &IpMeta,
        packet: &Packet<'_>,
    ) {
        self.handle_segments(now, below, meta, packet, core::iter::empty());
    }

    /// A segment whose checksum holds, and `more` that arrived with it, which differ from it in SEG.SEQ, PSH and text alone and go on where the
    /// one before ended. They are verified as they are asked for. Returns how many of `more` were handled.
    pub(crate) fn handle_segments<'a, B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        meta: &IpMeta,
        packet: &Packet<'a>,
        more: impl Iterator<Item = Packet<'a>>,
    ) -> usize {
        below.counters().tcp_segments_received += 1;
        let key = FlowKey::of((meta.dst, packet.dst_port()), (meta.src, packet.src_port()));
        // RFC 9293 3.9.2.3, MUST-57; and a host that seems to talk to itself by one socket is a forgery (land, blat).
        if meta.delivery != Delivery::Unicast || key.is_self() {
            below.counters().drop_packet(DropReason::TcpUnwanted);
            return 0;
        }
        record(now, below, meta, packet);
        let seg = Segment::parse(packet, meta.ecn == Ecn::Ce, joined(packet.payload().len(), meta.gso_size));
        let index = match self.flows.recall(&key) {
            Some(index) => index,
            None => {
                let hash = self.flows.hash(&key);
                match self.flows.find(&key, hash) {
                    Some(Place::Socket(index)) => {
                        self.flows.remember(index);
                        index
                    }
                    Some(Place::TimeWait(place)) => {
                        self.at_time_wait(now, below, place, &key, hash, &seg);
                        return 0;
                    }
                    Some(Place::Syn(place)) => {
                        self.at_syn_cache(now, below, place, &key, hash, &seg);
                        return 0;
                    }
                    None => {
                        self.at_listener(now, below, &key, hash, &seg, None);
                        return 0;
                    }
                }
            }
        };
        let taken = self.take(now, below, index, &key, &seg);
        let count = if taken { self.take_continued(now, below, index, meta, &seg, more) } else { 0 };
        self.after(now, below, index);
        count
    }

    /// A segment of the connection at `index`.
    pub(super) fn at_connection<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        index: u32,
        key: &FlowKey,
        seg: &Segment<'_>,
    ) {
        self.take(now, below, index, key, seg);
        self.after(now, below, index);
    }

    /// Hands a segment to its connection, and says whether it was used.
    fn take<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        index: u32,
        key: &FlowKey,
        seg: &Segment<'_>,
    ) -> bool {
        let Some(connected) = self.flows.sockets.get_mut(index).and_then(|socket| socket.connected_mut())
        else {
            return false;
        };
        let mut ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
        // Several segments of a connection may arrive before it is asked what to send. One that came out of order has its ACK made
        // before the next is looked at (RFC 5681 4.2), while at least half of the replies' room is left for others; without room
        // one ACK stands for several.
        let own_ack = match self.replies.len() < self.config.replies_max / 2 {
            true => connected.connection.poll_own_ack(&mut ctx, seg),
            false => None,
        };
        let disposition = connected.connection.handle_segment(&mut ctx, seg);
        let answer = match &disposition {
            Disposition::Answer(_, answer) => Some(*answer),
            _ => None,
        };
        if own_ack.is_some() || answer.is_some() {
            let marks = Marks::of(connected.connection.settings());
            for segment in own_ack.into_iter().chain(answer) {
                self.reply(below, *key, segment, marks);
            }
        }
        match disposition {
            Disposition::Taken if seg.flags.ack() => below.confirm(now, key),
            Disposition::Taken => {}
            Disposition::Dropped(reason) => count_dropped(below, reason),
            Disposition::Answer(reason, _) => count_dropped(below, reason),
        }
        disposition == Disposition::Taken
    }

    /// Hands over what continues `first`, which was used, as long as the connection has nothing but text to look at. Returns how many.
    fn take_continued<'a, B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        index: u32,
        meta: &IpMeta,
        first: &Segment<'a>,
        more: impl Iterator<Item = Packet<'a>>,
    ) -> usize {
        let mut count = 0;
        let Some(connected) = self.flows.sockets.get_mut(index).and_then(|socket| socket.connected_mut())
        else {
            return count;
        };
        // Most often nobody is behind; and nothing is to be verified in vain.
        if !connected.connection.awaits_continuation() {
            return count;
        }
        let mut ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
        let mut seg = *first;
        for packet in more {
            seg.seq = SeqNum(packet.seq());
            seg.text = packet.payload();
            seg.segments = joined(seg.text.len(), meta.gso_size);
            let Some(disposition) = connected.connection.handle_continued(&mut ctx, &seg) else { break };
            count += 1;
            below.counters().tcp_segments_received += 1;
            record(now, below, meta, &packet);
            if let Disposition::Dropped(reason) = disposition {
                count_dropped(below, reason);
                break;
            }
        }
        count
    }

    fn at_time_wait<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        place: TimeWaitPlace,
        key: &FlowKey,
        hash: u64,
        seg: &Segment<'_>,
    ) {
        let offset = self.isn.timestamp_offset(key);
        let Some(wait) = self.flows.time_wait.get_mut(place) else { return };
        let before = wait.deadline(now);
        let disposition = wait.handle_segment(now, &self.config.connection, offset, seg);
        let renewed = wait.deadline(now) != before;
        match disposition {
            TimeWaitDisposition::Ignore => {}
            TimeWaitDisposition::Answer(answer) => {
                let marks = self.flows.time_wait.marks(place);
                self.reply(below, *key, answer, marks);
            }
            // RFC 9293 MAY-2, RFC 6191: only if somebody listens; otherwise the wait goes on.
            TimeWaitDisposition::Reopen { iss_floor } => {
                let local = key.local();
                if self.listeners.find(local.ip(), local.port(), hash).is_some() {
                    self.leave_time_wait(place);
                    self.at_listener(now, below, key, hash, seg, Some(iss_floor));
                }
                return;
            }
        }
        if renewed && let Some(moved) = self.flows.time_wait.renew(place) {
            self.flows.change(hash, Place::TimeWait(place), Place::TimeWait(moved));
        }
    }

    /// Nobody has this four-tuple, nor listens for it: RFC 9293 3.10.7.1.
    pub(super) fn at_nobody<B: Below>(&mut self, below: &mut B, key: &FlowKey, seg: &Segment<'_>) {
        below.counters().drop_packet(DropReason::NoSocket);
        if let Some(reset) = make_reset(seg) {
            self.reply(below, *key, reset, Marks::default());
        }
    }

    /// The connection that an ICMP error quotes, and the sequence number, by which it judges whether to believe it.
    fn quoted(&self, local: IpAddr, remote: IpAddr, quoted: &[u8]) -> Option<(u32, SeqNum)> {
        let octets: &[u8; 8] = quoted.first_chunk()?;
        let port = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
        let seq = SeqNum(u32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]));
        let key = FlowKey::new(SocketAddr::new(local, port(0)), SocketAddr::new(remote, port(2)));
        let Some(Place::Socket(index)) = self.flows.find(&key, self.flows.hash(&key)) else { return None };
        Some((index, seq))
    }

    /// Whether a quoted segment is ours and in flight, so that an ICMP message about it can be believed (RFC 5927 4.1).
    pub(crate) fn is_in_flight(&self, local: IpAddr, remote: IpAddr, quoted: &[u8]) -> bool {
        self.quoted(local, remote, quoted).is_some_and(|(index, seq)| {
            self.flows.sockets.get(index).is_some_and(|socket| match &socket.kind {
                Kind::Connected(connected) => connected.connection.is_in_flight(seq),
                Kind::Fresh(_) | Kind::Listening(_) => false,
            })
        })
    }

    /// ICMP says that what we sent cannot arrive. `quoted` begins with the TCP header of what we sent, from `local`.
    pub(crate) fn handle_unreachable<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        (local, remote): (IpAddr, IpAddr),
        quoted: &[u8],
        what: Unreachable,
    ) {
        let Some((index, seq)) = self.quoted(local, remote, quoted) else {
            below.counters().drop_packet(DropReason::IcmpUnrelated);
            return;
        };
        let believed = self.with_connection(now, index, |connected, ctx| {
            connected.connection.handle_unreachable(ctx, what, Some(seq))
        });
        if believed != Some(true) {
            below.counters().drop_packet(DropReason::IcmpUnrelated);
        }
        self.after(now, below, index);
    }

    /// The path became narrower: `ip` knows by how much.
    pub(crate) fn handle_too_big<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        (local, remote): (IpAddr, IpAddr),
        quoted: &[u8],
    ) {
        let Some((index, seq)) = self.quoted(local, remote, quoted) else {
            below.counters().drop_packet(DropReason::IcmpUnrelated);
            return;
        };
        let Some((_, limits)) = below.path(now, remote) else { return };
        let path_mss = mss(limits.mtu, remote);
        self.with_connection(now, index, |connected, ctx| {
            connected.connection.handle_path(ctx, path_mss, Some(seq))
        });
        self.after(now, below, index);
    }

    /// Takes an entry out of TIME-WAIT, its port with it.
    pub(super) fn leave_time_wait(&mut self, place: TimeWaitPlace) {
        // The index asks records for their keys, so the entry must leave it first.
        if let Some(key) = self.flows.time_wait.key(place) {
            self.flows.remove(self.flows.hash(&key), Place::TimeWait(place));
        }
        if let Some(left) = self.flows.time_wait.remove(place) {
            self.ports.remove_connection(left.key.local(), left.sharing);
        }
    }
}

fn record<B: Below>(now: Instant, below: &mut B, meta: &IpMeta, packet: &Packet<'_>) {
    below.events().record(now, || Event::Segment {
        direction: Direction::Received,
        src: SocketAddr::new(meta.src, packet.src_port()),
        dst: SocketAddr::new(meta.dst, packet.dst_port()),
        header: Header::parse(packet),
        payload_len: packet.payload().len() as u32,
        ecn: meta.ecn,
    });
}

fn count_dropped<B: Below>(below: &mut B, reason: tcp::DropReason) {
    below.counters().drop_packet(match reason {
        tcp::DropReason::NoMemory => DropReason::BudgetSpent,
        _ => DropReason::TcpUnwanted,
    });
}

/// How many segments of the wire a text of `len` octets came in.
fn joined(len: usize, gso_size: u16) -> u16 {
    if gso_size == 0 {
        1
    } else {
        u16::try_from(len.div_ceil(usize::from(gso_size))).unwrap_or(u16::MAX).max(1)
    }
}
