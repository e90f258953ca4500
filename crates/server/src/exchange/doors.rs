//! Doors: every listener and datagram socket of an exchange, bound before anything runs.
//! Owns: the networks of each loop, and what is bound on them.
//! Invariants: where streams can move, the first loop listens and deals what comes in to the others; where they cannot,
//! each loop listens at the same address on its own share of the network. An endpoint has the same number on every loop.
//! Not here: which addresses (`config`), HTTP's listeners (`building`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::carrier::quic::Quic;
use crate::event_loop::{self, Endpoint, Listener, Shared};
use crate::letter::Door;
use crate::network::Network;

/// The networks, listeners and endpoints of each loop.
pub(super) struct Doors {
    shared: Arc<Shared>,
    pub(super) networks: Vec<Vec<Box<dyn Network>>>,
    pub(super) listeners: Vec<Vec<Listener>>,
    pub(super) endpoints: Vec<Vec<Endpoint>>,
}

impl Doors {
    /// Over these networks, by loop.
    pub(super) fn new(shared: Arc<Shared>, networks: Vec<Vec<Box<dyn Network>>>) -> Self {
        let loops = networks.len();
        let listeners = (0..loops).map(|_| Vec::new()).collect();
        let endpoints = (0..loops).map(|_| Vec::new()).collect();
        Self { shared, networks, listeners, endpoints }
    }

    fn moves(&self, network: u8) -> bool {
        self.networks[0][usize::from(network)].moves_between_loops()
    }

    /// Listens for streams on a network; answers with the port that was chosen.
    pub(super) fn listen(&mut self, network: u8, door: Door, address: SocketAddr) -> io::Result<SocketAddr> {
        let loops = if self.moves(network) { 1 } else { self.networks.len() };
        let mut bound = address;
        for this in 0..loops {
            let key = event_loop::listener_key(self.listeners[this].len());
            let backlog = self.shared.config.engine.backlog;
            let (id, at) = self.networks[this][usize::from(network)].listen(bound, backlog, key)?;
            // The other loops listen at the port that the first one got.
            bound = at;
            self.listeners[this].push(Listener { network, id, door });
        }
        Ok(bound)
    }

    /// Binds a datagram socket on a network, with an endpoint a loop that sends through it.
    pub(super) fn bind_quic(&mut self, network: u8, address: SocketAddr) -> io::Result<SocketAddr> {
        let at = usize::from(network);
        let loops = self.networks.len();
        let key = event_loop::udp_key(self.endpoints[0].len());
        let (first, bound) = self.networks[0][at].bind_udp(address, key)?;
        for this in 0..loops {
            let udp = match this {
                0 => first,
                _ if self.moves(network) => {
                    let shared = self.networks[0][at].share_udp(first)?;
                    self.networks[this][at].attach_udp(shared, key)?
                }
                _ => self.networks[this][at].bind_udp(bound, key)?.0,
            };
            let config = &self.shared.config;
            let quic = Quic::new(
                Arc::clone(&self.shared.certs.quic),
                &config.quic,
                config.limits.connections_max,
                this as u8,
                loops as u8,
            );
            self.endpoints[this].push(Endpoint { network, udp, quic });
        }
        Ok(bound)
    }
}
