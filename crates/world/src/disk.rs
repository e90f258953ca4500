//! The disk: what outlives a killed exchange, and what can go wrong with it.
//! Owns: everything that was committed. Invariants: a batch is committed whole or, while the disk is full, not written at all;
//! reading works even then, as the store promises.
//! Not here: how long a commit takes (`world`).

use std::sync::{Arc, Mutex, PoisonError};

use store::{Answer, ArchiveOp, Backend, DocumentOp, Memory, Op, Reply, Request, SessionOp, StoreError};
use xmpp::time::Wallclock;

#[derive(Debug, Default)]
struct Inner {
    kept: Memory,
    full: bool,
    refused: u64,
}

/// A disk. Clones are the same disk, so that an exchange can be started on what another left.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    inner: Arc<Mutex<Inner>>,
}

impl Disk {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on there is no room, or there is again.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Writes that found no room.
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    /// Asks it outside any exchange: an account before the first start.
    ///
    /// # Errors
    /// The store's refusal.
    pub fn ask(&self, now: Wallclock, op: Op) -> Result<Answer, StoreError> {
        self.lock().kept.run_one(now, op)
    }
}

/// What needs room.
fn writes(op: &Op) -> bool {
    if let Op::OnBehalf(asked) = op {
        return writes(&asked.1);
    }
    matches!(
        op,
        Op::CreateAccount { .. }
            | Op::SetCredentials { .. }
            | Op::SetEnabled { .. }
            | Op::SetName { .. }
            | Op::PutRosterItem { .. }
            | Op::PushOffline { .. }
            | Op::Archive(ArchiveOp::Append { .. })
            | Op::Document(DocumentOp::Put { .. })
            | Op::Session(SessionOp::Count { .. } | SessionOp::Save(_))
    )
}

impl Backend for Disk {
    fn run(&mut self, now: Wallclock, batch: &mut Vec<Request>, replies: &mut Vec<Reply>) {
        let mut inner = self.lock();
        let Inner { kept, full, refused } = &mut *inner;
        for request in batch.drain(..) {
            if *full && writes(&request.op) {
                *refused += 1;
                replies.push(Reply { token: request.token, answer: Err(StoreError::Full) });
            } else {
                let Request { token, op } = request;
                replies.push(Reply { token, answer: kept.run_one(now, op) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp::address::AccountNumber;

    #[test]
    fn a_full_disk_refuses_what_needs_room_and_remembers_the_rest() {
        let (number, now) = (AccountNumber::FIRST, Wallclock::from_millis(0));
        let mut disk = Disk::default();
        let credentials = Box::new(store::Credentials { sha1: None, sha256: None });
        disk.ask(now, Op::CreateAccount { number: Some(number), name: None, credentials }).expect("room");
        disk.set_full(true);
        let push = || Op::PushOffline { number, stamp: now, stanza: b"<message/>".to_vec() };
        assert_eq!(disk.run_one(now, push()), Err(StoreError::Full));
        assert!(disk.run_one(now, Op::LoadAccount { number }).is_ok());
        assert_eq!(disk.refused(), 1);
        let another = disk.clone();
        another.set_full(false);
        assert!(disk.run_one(now, push()).is_ok(), "the same disk");
    }
}
