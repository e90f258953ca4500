//! The floor below, over IP: what TCP asks, in IP's words.
//! Spec: RFC 9293 3.7.2 (SHLD-6: path MTU discovery, so TCP is never fragmented by its host).
//! Owns: nothing; borrows the stack's rooms for one call.
//! Not here: what is asked (`below`), routes, neighbours, frames (`ip::output`).

use super::below::{Below, Limits, NotSent, Packet};
use crate::counters::Counters;
use crate::events::Events;
use crate::flow::FlowKey;
use crate::frame::{FrameSink, InterfaceId, Medium, Outlets};
use crate::ip::output::{self, Outgoing, Pieces, SendError};
use crate::ip::{Fragmentation, Ip};
use crate::ready::ReadyQueue;
use std::net::IpAddr;
use tcp::Instant;
use wire::ip::Protocol;

/// The floor below, over IP.
pub(crate) struct IpFloor<'a> {
    pub(crate) ip: &'a mut Ip,
    pub(crate) outlets: &'a mut dyn Outlets,
    pub(crate) counters: &'a mut Counters,
    pub(crate) events: &'a mut Events,
    pub(crate) ready: &'a mut ReadyQueue,
}

/// No sinks: for calls outside a turn, which send nothing at once.
pub(crate) struct NoOutlets;

impl Outlets for NoOutlets {
    fn outlet(&mut self, _interface: InterfaceId) -> Option<&mut dyn FrameSink> {
        None
    }
}

impl Below for IpFloor<'_> {
    type Path = output::Path;

    fn path(&mut self, now: Instant, dst: IpAddr) -> Option<(Self::Path, Limits)> {
        let path = self.ip.path(now, dst, None).ok()?;
        Some((path, Limits { mtu: path.mtu, link_mtu: path.link_mtu, tso_max: path.tso_max }))
    }

    fn choose_source(&self, dst: IpAddr) -> Option<IpAddr> {
        self.ip.choose_source(dst, None)
    }

    fn may_bind(&self, addr: IpAddr) -> bool {
        self.ip.may_bind(addr)
    }

    fn is_broadcast(&self, dst: IpAddr) -> bool {
        let IpAddr::V4(dst) = dst else { return false };
        dst.is_broadcast() || self.ip.interfaces.iter().any(|interface| interface.is_broadcast(dst))
    }

    fn room(&mut self, path: &Self::Path) -> usize {
        self.ip.room(self.outlets, path)
    }

    fn emit(&mut self, now: Instant, path: &Self::Path, packet: &Packet<'_>) -> Result<(), NotSent> {
        let header_len = packet.header.header_len();
        let len = header_len + packet.text.len();
        let pieces = (packet.text.len() > usize::from(packet.segment_size))
            .then_some(Pieces { size: packet.segment_size, header_len: header_len as u16 });
        let out = outgoing(packet);
        let fill = |segment: &mut [u8]| {
            let header_len = packet.header.emit(segment);
            packet.text.clone().copy_to(&mut segment[header_len..]);
        };
        let sent = self.ip.emit(now, self.outlets, self.counters, path, &out, len, pieces, fill);
        sent.map_err(not_sent)
    }

    fn emit_cut(
        &mut self,
        _now: Instant,
        path: &Self::Path,
        packet: &Packet<'_>,
    ) -> Option<(usize, Result<(), NotSent>)> {
        let (text, size) = (packet.text.clone(), usize::from(packet.segment_size));
        let (outlets, counters) = (&mut *self.outlets, &mut *self.counters);
        let out = outgoing(packet);
        let (count, sent) = self.ip.emit_cut(outlets, counters, path, &out, &packet.header, text, size)?;
        Some((count, sent.map_err(not_sent)))
    }

    fn confirm(&mut self, now: Instant, flow: &FlowKey) {
        // Most often there are none.
        if self.ip.neighbors.is_empty() {
            return;
        }
        let dst = flow.remote().ip();
        let Some(route) = self.ip.routes.lookup(dst, None) else { return };
        let (interface, next_hop) = (route.interface, route.gateway.unwrap_or(dst));
        if self.ip.interface(interface).is_some_and(|interface| interface.medium() == Medium::Ethernet) {
            self.ip.neighbors.on_progress(now, interface, next_hop);
        }
    }

    fn counters(&mut self) -> &mut Counters {
        self.counters
    }

    fn events(&mut self) -> &mut Events {
        self.events
    }

    fn ready(&mut self) -> &mut ReadyQueue {
        self.ready
    }
}

fn outgoing(packet: &Packet<'_>) -> Outgoing {
    let mut out = Outgoing::new(packet.src, packet.dst, Protocol::TCP);
    out.ecn = packet.ecn;
    out.dscp = packet.marks.dscp;
    out.hop_limit = packet.marks.hop_limit();
    // TCP does path MTU discovery (RFC 9293 SHLD-6), so it is never cut into fragments: what the path has become too
    // narrow for is sent again in smaller pieces.
    out.fragmentation = Fragmentation::Forbid;
    out
}

fn not_sent(error: SendError) -> NotSent {
    match error {
        SendError::Blocked => NotSent::Blocked,
        SendError::TooBig(_) => NotSent::TooBig,
    }
}
