//! Counts: what has happened since the exchange began, for `/metrics`.
//!
//! Owns: one loop's numbers, and the store thread's.
//! Invariants: a loop's numbers are plain and its own, so that counting costs an addition and shares no cache line; they
//! travel as a copy in a letter; a connection that moves between loops is opened on one and closed on another, so only
//! sums over all loops mean anything.
//! Not here: their names and how they are written (`http::metrics`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session::{Carrier, EndReason};
use xmpp::StreamErrorKind;

/// Every carrier, in the order in which the arrays below count them.
pub(crate) const CARRIERS: [Carrier; 5] =
    [Carrier::Tcp, Carrier::Tls, Carrier::Ws, Carrier::Wss, Carrier::Quic];

/// Stream errors told apart: more kinds than RFC 6120 4.9.3 has.
const STREAM_ERRORS_MAX: usize = 32;

/// What one loop has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoopCounts {
    /// Connections taken in, by carrier.
    pub(crate) opened: [u64; CARRIERS.len()],
    /// Connections gone, by carrier.
    pub(crate) closed: [u64; CARRIERS.len()],
    /// Octets read from connections, as they came.
    pub(crate) octets_in: u64,
    /// Octets of streams that went out, before framing and TLS.
    pub(crate) octets_out: u64,
    /// Stanzas of bound clients: messages, presences, queries.
    pub(crate) stanzas_in: [u64; 3],
    /// Stanzas given to clients.
    pub(crate) stanzas_out: u64,
    /// Log-ins that went well, and those that did not.
    pub(crate) log_ins: u64,
    pub(crate) log_ins_failed: u64,
    /// Sessions that ended: by the client, by a lost connection, by the exchange without an error.
    pub(crate) ended_by_client: u64,
    pub(crate) ended_by_loss: u64,
    pub(crate) ended_by_exchange: u64,
    /// And by a stream error of ours, by kind, in the order in which kinds first came.
    pub(crate) ended_by_error: Vec<(StreamErrorKind, u64)>,
    /// TLS peers that misbehaved.
    pub(crate) tls_failures: u64,
    /// Times that accepting stopped for want of descriptors or places.
    pub(crate) accept_pauses: u64,
    /// Segments that came by another loop's queue than their connection's, or belong to none: handed on once each time.
    pub(crate) segments_handed_on: u64,
    /// Packets for other loops that found no room.
    pub(crate) strays_lost: u64,
    /// Sessions that have a resource now, on this loop's router.
    pub(crate) bound: u64,
    /// Requests of this loop that the store has not answered now.
    pub(crate) store_outstanding: u64,
}

impl LoopCounts {
    /// The place of a carrier in the arrays.
    pub(crate) fn carrier(carrier: Carrier) -> usize {
        CARRIERS.iter().position(|known| *known == carrier).unwrap_or(0)
    }

    /// A session ended.
    pub(crate) fn end(&mut self, reason: EndReason) {
        match reason {
            EndReason::Client => self.ended_by_client += 1,
            EndReason::ConnectionLost => self.ended_by_loss += 1,
            EndReason::Exchange => self.ended_by_exchange += 1,
            EndReason::Error(kind) => {
                let known = self.ended_by_error.iter_mut().find(|(known, _)| *known == kind);
                if let Some((_, count)) = known {
                    *count += 1;
                } else if self.ended_by_error.len() < STREAM_ERRORS_MAX {
                    self.ended_by_error.push((kind, 1));
                }
            }
        }
    }

    /// Adds another loop's.
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = self.opened.iter_mut().zip(&other.opened);
        let pairs = pairs.chain(self.closed.iter_mut().zip(&other.closed));
        for (own, more) in pairs.chain(self.stanzas_in.iter_mut().zip(&other.stanzas_in)) {
            *own += more;
        }
        self.octets_in += other.octets_in;
        self.octets_out += other.octets_out;
        self.stanzas_out += other.stanzas_out;
        self.log_ins += other.log_ins;
        self.log_ins_failed += other.log_ins_failed;
        self.ended_by_client += other.ended_by_client;
        self.ended_by_loss += other.ended_by_loss;
        self.ended_by_exchange += other.ended_by_exchange;
        for (kind, count) in &other.ended_by_error {
            match self.ended_by_error.iter_mut().find(|(known, _)| known == kind) {
                Some((_, own)) => *own += count,
                None => self.ended_by_error.push((*kind, *count)),
            }
        }
        self.tls_failures += other.tls_failures;
        self.accept_pauses += other.accept_pauses;
        self.segments_handed_on += other.segments_handed_on;
        self.strays_lost += other.strays_lost;
        self.bound += other.bound;
        self.store_outstanding += other.store_outstanding;
    }
}

/// What `/metrics` and `/healthz` show, gathered at once.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// By loop; none where a loop did not answer in time.
    pub(crate) loops: Vec<Option<Box<LoopCounts>>>,
    /// Whether the store did, and could read.
    pub(crate) store_answers: bool,
    /// What it has done: see [`StoreCounts`].
    pub(crate) store_requests: u64,
    pub(crate) store_batches: u64,
    pub(crate) store_failures: u64,
    pub(crate) store_busy_seconds: f64,
    /// Since the exchange began.
    pub(crate) uptime: Duration,
}

/// What the store's thread has done: once a batch, so that sharing them costs nothing.
#[derive(Debug, Default)]
pub(crate) struct StoreCounts {
    requests: AtomicU64,
    batches: AtomicU64,
    busy_nanos: AtomicU64,
    failures: AtomicU64,
}

impl StoreCounts {
    /// A batch was committed.
    pub(crate) fn batch(&self, requests: usize, failures: usize) {
        self.requests.fetch_add(requests as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(failures as u64, Ordering::Relaxed);
    }

    /// A batch took so long.
    pub(crate) fn busy(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.busy_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Requests answered.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Batches committed.
    pub(crate) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Requests that the store itself could not do: its disk is full, or it failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Seconds spent in batches.
    pub(crate) fn busy_seconds(&self) -> f64 {
        self.busy_nanos.load(Ordering::Relaxed) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests;
