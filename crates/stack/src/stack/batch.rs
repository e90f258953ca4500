//! A batch of frames: headers first, and segments of one flow together.
//! Spec: none; what a segment may say for those behind it stands in `tcp` (`handle_continued`).
//! Owns: nothing. Invariants: all is as if each frame had been handled by itself, in the order of arrival, but that nothing is asked twice;
//! no checksum is verified before its turn, so that the text is copied while it still lies in the nearest cache.
//! Not here: what becomes of a frame (`stack`), of a segment (`tcp_host`).

use super::Stack;
use crate::counters::DropReason;
use crate::flow::FlowKey;
use crate::frame::{FrameBatch, InterfaceId};
use crate::ip::Delivery;
use crate::ip::input::{Arrival, Whole};
use crate::tcp_host::floor::NoOutlets;
use std::net::Ipv4Addr;
use tcp::Instant;
use wire::ip::{Protocol, pseudo};

/// Frames looked at together: as many as their headers, one cache line each, fit the nearest cache beside all else.
const BATCH: usize = 32;
/// Records, of some 250 bytes, beyond which a batch is looked up ahead: fewer lie in the caches anyway, and a second probe for each
/// segment costs more than it saves.
const WARMED_FROM: usize = 4_096;

impl Stack {
    /// Takes the frames that arrived on `interface`.
    pub fn handle_frames(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        frames: &(impl FrameBatch + ?Sized),
    ) {
        let mut at = 0;
        while at < frames.len() {
            let batch = at..(at + BATCH).min(frames.len());
            if batch.len() == 1 {
                self.handle_frame(now, interface, frames.frame(at));
                return;
            }
            // First pass: read every header, while nothing depends on the answer and the loads run side by side.
            let mut arrivals = [Arrival::Dropped(DropReason::Malformed); BATCH];
            arrivals[0] = self.ip.classify(interface, &frames.frame(at));
            for offset in 1..batch.len() {
                let frame = frames.frame(at + offset);
                arrivals[offset] = self.ip.classify_after(interface, &frame, &arrivals[offset - 1]);
            }
            let arrivals = &arrivals[..batch.len()];
            if self.tcp.flows.len() > WARMED_FROM {
                self.warm(arrivals);
            }
            // Second pass: act, in the order of arrival.
            let mut done = 0;
            while let Some((arrival, later)) = arrivals.get(done..).and_then(<[_]>::split_first) {
                done += 1;
                match arrival {
                    // What was just handled may have changed what is ours: an address, a group.
                    Arrival::Dropped(DropReason::NotForThisHost) => {
                        self.handle_frame(now, interface, frames.frame(at + done - 1));
                        continue;
                    }
                    Arrival::Whole(whole) if whole.meta.protocol == Protocol::TCP => {
                        let segments = 1 + self.handle_tcp(now, whole, later);
                        self.counters.packets_delivered += segments as u64;
                        self.counters.frames_received += segments as u64;
                        done += segments - 1;
                    }
                    _ => {
                        self.counters.frames_received += 1;
                        self.handle_arrival(now, interface, arrival);
                    }
                }
            }
            at = batch.end;
        }
    }

    /// Looks up the connections of a batch, so that their cache misses overlap.
    fn warm(&self, arrivals: &[Arrival<'_>]) {
        let nobody = (Ipv4Addr::UNSPECIFIED.into(), 0);
        let mut keys = [FlowKey::of(nobody, nobody); BATCH];
        let mut len = 0;
        for arrival in arrivals {
            if let Arrival::Whole(Whole { meta, payload, .. }) = arrival
                && let (Protocol::TCP, &[a, b, c, d, ..]) = (meta.protocol, *payload)
            {
                let (src_port, dst_port) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                keys[len] = FlowKey::of((meta.dst, dst_port), (meta.src, src_port));
                len += 1;
            }
        }
        self.tcp.flows.warm(&keys[..len]);
    }

    /// A segment, and with it as many of those that have arrived behind it as say the same and go on where its text ends. Returns how
    /// many of these were handled.
    pub(super) fn handle_tcp(&mut self, now: Instant, whole: &Whole<'_>, later: &[Arrival<'_>]) -> usize {
        let meta = &whole.meta;
        // RFC 9293 3.9.2.3, MUST-57 and MUST-58: segments to or from a group or broadcast are ignored.
        if meta.delivery != Delivery::Unicast {
            self.drop_packet(now, meta.interface, DropReason::TcpUnwanted);
            return 0;
        }
        let Ok(first) = wire::tcp::Packet::new(whole.payload) else {
            self.drop_packet(now, meta.interface, DropReason::Malformed);
            return 0;
        };
        // The length, which alone differs from segment to segment, is added to what the addresses sum up to.
        let addresses = pseudo(meta.src, meta.dst, Protocol::TCP, 0);
        let is_intact = |segment: &wire::tcp::Packet<'_>, len: usize| {
            meta.checksum_ok
                || addresses.is_some_and(|sum| segment.checksum_is_valid(sum.add_u32(len as u32)))
        };
        if !is_intact(&first, whole.payload.len()) {
            self.drop_packet(now, meta.interface, DropReason::BadChecksum);
            return 0;
        }
        let mut before = first;
        let more = later.iter().map_while(|arrival| {
            let Arrival::Whole(Whole { payload, repeats: true, .. }) = arrival else { return None };
            let next = wire::tcp::Packet::new(payload).ok()?;
            (next.continues(&before) && is_intact(&next, payload.len())).then(|| {
                before = next;
                next
            })
        });
        let mut nowhere = NoOutlets;
        let (tcp, mut floor) = self.tcp_and_floor(&mut nowhere);
        tcp.handle_segments(now, &mut floor, meta, &first, more)
    }
}
