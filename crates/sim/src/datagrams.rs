//! Datagrams beside the conversations: A says some, B says each back; what arrives is what was said, or nothing does.
//! Spec: RFC 768; one damaged bit, or a burst of fewer than 16, never passes the checksum (RFC 1071 section 1).
//! Owns: two sockets and the plan. Invariants: a datagram follows from its number, so none is stored; all fit into one packet, since
//! damage to two fragments may cancel out.
//! Not here: when it is called (`life`).

use crate::link::End;
use crate::oracle::Violation;
use crate::rng::{Rng, split_mix};
use crate::world::World;
use stack::UdpHandle;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tcp::Instant;

/// Datagrams of a life, at most.
const COUNT_MAX: u64 = 200;
/// Between the first and the last, at most.
const SPAN_MAX: Duration = Duration::from_secs(30);
/// The largest: what a packet of 296 octets carries, the least MTU that a life has, less the headers.
const LEN_MAX: u64 = 296 - 28;
/// Where B listens.
const PORT: u16 = 7;

/// The plan and how far it has come.
#[derive(Debug)]
pub struct Datagrams {
    key: u64,
    /// When each leaves; ascending.
    times: Vec<Instant>,
    sent: u64,
    sockets: [Option<UdpHandle>; 2],
    target: SocketAddr,
    /// How many have come back.
    returned: u64,
}

impl Datagrams {
    /// Draws a plan from `begin` on.
    pub fn draw(rng: &mut Rng, begin: Instant, target: IpAddr) -> Datagrams {
        let mut times: Vec<_> =
            (0..rng.between(1, COUNT_MAX)).map(|_| begin + rng.duration(SPAN_MAX)).collect();
        times.sort_unstable();
        Datagrams {
            key: rng.next_u64(),
            times,
            sent: 0,
            sockets: [None; 2],
            target: SocketAddr::new(target, PORT),
            returned: 0,
        }
    }

    /// How many have come back.
    pub fn returned(&self) -> u64 {
        self.returned
    }

    /// Opens both sockets.
    pub fn open(&mut self, world: &mut World, source: IpAddr) {
        for (end, local) in [(End::A, SocketAddr::new(source, 0)), (End::B, self.target)] {
            let socket = world.stack_mut(end).udp_bind(local).expect("a fresh host has the port free");
            self.sockets[end.index()] = Some(socket);
        }
    }

    /// Sends what is due.
    pub fn act(&mut self, world: &mut World) {
        let now = world.now();
        let Some(socket) = self.sockets[End::A.index()] else { return };
        while self.times.get(self.sent as usize).is_some_and(|at| *at <= now) {
            let datagram = self.datagram(self.sent);
            // A full queue is a loss like any other.
            let _ = world.stack_mut(End::A).udp_send_to(now, socket, &datagram, self.target);
            self.sent += 1;
        }
    }

    /// Reads what has arrived at `end`, and judges it.
    pub fn on_ready(&mut self, world: &mut World, end: End) -> Result<(), Violation> {
        let now = world.now();
        let Some(socket) = self.sockets[end.index()] else { return Ok(()) };
        let mut buffer = [0; 2 * LEN_MAX as usize];
        while let Ok(got) = world.stack_mut(end).udp_recv(socket, &mut buffer) {
            let datagram = &buffer[..got.len];
            let number = datagram.first_chunk().map(|octets| u64::from_le_bytes(*octets));
            let known = number.filter(|number| *number < self.sent);
            if known.is_none_or(|number| self.datagram(number) != datagram) {
                return Err(Violation::ForeignDatagram { end, datagram: datagram.to_vec() });
            }
            world.digest.bytes(datagram);
            if end == End::B {
                let _ = world.stack_mut(end).udp_send_to(now, socket, datagram, got.remote); // as above
            } else {
                self.returned += 1;
            }
        }
        Ok(())
    }

    /// When the next one leaves.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.times.get(self.sent as usize).copied()
    }

    /// Closes both sockets.
    pub fn close(&mut self, world: &mut World) {
        for end in End::BOTH {
            if let Some(socket) = self.sockets[end.index()].take() {
                let _ = world.stack_mut(end).udp_close(socket); // it is ours, so it is there
            }
        }
    }

    fn datagram(&self, number: u64) -> Vec<u8> {
        let len = 8 + split_mix(self.key ^ number) % (LEN_MAX - 7);
        let word = |i: u64| split_mix(self.key.wrapping_add(number << 16 | i)).to_le_bytes();
        let body = (0..len / 8).flat_map(word);
        number.to_le_bytes().into_iter().chain(body).take(len as usize).collect()
    }
}

#[cfg(test)]
mod tests;
