//! A TCP socket as the host keeps it: not yet connected, listening, or a connection.
//! Owns: what a connection needs beside `tcp::Connection`: its key, its timer's name, its place in queues, as bits.
//! Invariants: the record of an idle connection, with its index entry, is at most 256 bytes (asserted in tests); a kind that would
//! widen it is boxed.
//! Not here: the calls (`calls`).

use crate::flow::FlowKey;
use crate::listener::Listener;
use crate::port::{Scope, Sharing};
use crate::ready::Readiness;
use crate::wheel::TimerId;
use std::net::SocketAddr;
use std::sync::Arc;
use tcp::{Connection, Settings};

/// One entry of the socket table.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) kind: Kind,
}

/// What a socket is. Nearly all are connections.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub(crate) enum Kind {
    /// Made, perhaps bound.
    Fresh(Fresh),
    Listening(Box<Listener>),
    Connected(Connected),
}

/// A socket before connect() or listen().
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) bound: Option<(Scope, SocketAddr)>,
    pub(crate) sharing: Sharing,
    pub(crate) v6_only: bool,
    pub(crate) settings: Arc<Settings>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) connection: Connection,
    pub(crate) key: FlowKey,
    pub(crate) timer: TimerId,
    pub(crate) bits: ConnectedBits,
    /// What its owner has not been told yet.
    pub(crate) pending: Readiness,
}

/// Facts about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ConnectedBits(u16);

impl ConnectedBits {
    /// In the queue of those that may have something to send.
    pub(crate) const QUEUED: Self = Self(1);
    /// Its four-tuple is indexed.
    pub(crate) const INDEXED: Self = Self(2);
    /// The program has its handle.
    pub(crate) const OWNED: Self = Self(4);
    /// It counts as a user of its local port.
    pub(crate) const HOLDS_PORT: Self = Self(8);
    /// The program chose its port, or its address too, by bind().
    pub(crate) const CHOSE_PORT: Self = Self(16);
    pub(crate) const CHOSE_ADDRESS: Self = Self(512);
    /// It shares its port as SO_REUSEADDR and SO_REUSEPORT say.
    pub(crate) const REUSE_ADDRESS: Self = Self(32);
    pub(crate) const REUSE_PORT: Self = Self(64);
    /// In the accept queue of a listener.
    pub(crate) const UNACCEPTED: Self = Self(128);
    /// Its failure was told to the program.
    pub(crate) const ERROR_TOLD: Self = Self(256);

    pub(crate) fn has(self, bit: Self) -> bool {
        self.0 & bit.0 != 0
    }

    pub(crate) fn set(&mut self, bit: Self) {
        self.0 |= bit.0;
    }

    pub(crate) fn clear(&mut self, bit: Self) {
        self.0 &= !bit.0;
    }

    /// Clears the bit; says whether it was set.
    pub(crate) fn take(&mut self, bit: Self) -> bool {
        let had = self.has(bit);
        self.clear(bit);
        had
    }

    pub(crate) fn with_sharing(mut self, sharing: Sharing) -> Self {
        if sharing.address {
            self.set(Self::REUSE_ADDRESS);
        }
        if sharing.port {
            self.set(Self::REUSE_PORT);
        }
        self
    }

    pub(crate) fn sharing(self) -> Sharing {
        Sharing { address: self.has(Self::REUSE_ADDRESS), port: self.has(Self::REUSE_PORT) }
    }
}

impl Socket {
    pub(crate) fn new(kind: Kind) -> Self {
        Socket { kind }
    }

    /// What its owner has not been told yet. A socket that is not yet anything has nothing to tell.
    pub(crate) fn pending_mut(&mut self) -> Option<&mut Readiness> {
        match &mut self.kind {
            Kind::Fresh(_) => None,
            Kind::Listening(listener) => Some(&mut listener.pending),
            Kind::Connected(connected) => Some(&mut connected.pending),
        }
    }

    /// A connection that its program has closed.
    pub(crate) fn is_orphan(&self) -> bool {
        matches!(&self.kind, Kind::Connected(connected)
            if !connected.bits.has(ConnectedBits::OWNED) && !connected.bits.has(ConnectedBits::UNACCEPTED))
    }

    pub(crate) fn flow(&self) -> Option<FlowKey> {
        match &self.kind {
            Kind::Connected(connected) => Some(connected.key),
            _ => None,
        }
    }

    /// Whether it is the connection that segments of this four-tuple are for.
    #[inline]
    pub(crate) fn is_indexed_as(&self, key: &FlowKey) -> bool {
        matches!(&self.kind, Kind::Connected(connected)
            if connected.key == *key && connected.bits.has(ConnectedBits::INDEXED))
    }

    pub(crate) fn has_flow(&self, key: &FlowKey) -> bool {
        matches!(&self.kind, Kind::Connected(connected) if connected.key == *key)
    }

    pub(crate) fn connected_mut(&mut self) -> Option<&mut Connected> {
        match &mut self.kind {
            Kind::Connected(connected) => Some(connected),
            _ => None,
        }
    }
}
