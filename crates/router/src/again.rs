//! Messages that come again: after a crash clients send what no count covers, and some of it was had by then.
//!
//! Spec: XEP-0198 section 5: a client whose session cannot be resumed sends again what `h` does not cover.
//! Owns: what sessions that asked for an earlier one may send again. Invariants: only they do, since nobody else has said
//! that it knows of that session; each mark once.
//! Not here: what was had (`store::session`), counts (`resume`).
//!
//! ```text
//! writer   1 to far, 2 to near       2 is delivered, confirmed and durable; 1 is not yet, so h = 0     crash
//! writer   resume?                   no, and h = 0; known here: 2 was had
//! writer   1 to far, 2 to near       1 goes its way; 2 is counted, and that is all
//! ```

use std::collections::HashMap;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;
use store::{Op, SessionOp};
use xmpp::address::AccountNumber;
use xmpp::stanza::{Stanza, StanzaKind};

use crate::line::{LineId, SessionId};
use crate::numbers::NumberHasher;
use crate::parcel::Ack;
use crate::router::Router;

/// Sessions of a number that are remembered to have asked; the first are forgotten, and what they send again comes twice.
const ASKED_MAX: usize = 8;

/// By what a message is known when it comes again; 0: by nothing, since it has no id. It is kept in the store, so it never
/// changes: SipHash-1-3 with a key of zeros, over the address, the id and the inside.
pub(crate) fn mark(stanza: &Stanza<'_>) -> u64 {
    let Some(id) = stanza.id().filter(|id| !id.is_empty()) else { return 0 };
    if stanza.kind() != StanzaKind::Message {
        return 0;
    }
    let mut hasher = SipHasher13::new();
    hasher.write(stanza.to().as_deref().unwrap_or_default().as_bytes());
    hasher.write_u8(0);
    hasher.write(id.as_bytes());
    hasher.write_u8(0);
    hasher.write(stanza.inner().as_bytes());
    hasher.finish().max(1)
}

/// What one session may send again.
struct Asked {
    session: SessionId,
    /// The session that it came in first.
    key: u64,
    marks: Vec<u64>,
}

/// What may come again: as a rule nothing.
pub(crate) struct Again {
    of: HashMap<AccountNumber, Vec<Asked>, NumberHasher>,
}

impl Again {
    pub(crate) fn new(hasher: NumberHasher) -> Self {
        Self { of: HashMap::with_hasher(hasher) }
    }

    /// A session was told that an earlier one is gone, of which this had been had.
    pub(crate) fn remember(&mut self, number: AccountNumber, session: SessionId, key: u64, marks: Vec<u64>) {
        if marks.is_empty() {
            return;
        }
        let asked = self.of.entry(number).or_default();
        if asked.len() == ASKED_MAX {
            asked.remove(0);
        }
        asked.push(Asked { session, key, marks });
    }

    /// Whether this is a message that comes again, and of which session.
    fn take(&mut self, number: AccountNumber, session: SessionId, stanza: &Stanza<'_>) -> Option<(u64, u64)> {
        if self.of.is_empty() {
            return None;
        }
        let all = self.of.get_mut(&number)?;
        let mark = mark(stanza);
        let asked = all.iter_mut().find(|asked| asked.session == session && asked.marks.contains(&mark))?;
        let key = asked.key;
        asked.marks.retain(|other| *other != mark);
        if asked.marks.is_empty() {
            self.forget(number, |asked| asked.marks.is_empty());
        }
        Some((key, mark))
    }

    /// A session's line went on as another's.
    pub(crate) fn moved(&mut self, number: AccountNumber, old: SessionId, heir: SessionId) {
        if let Some(all) = self.of.get_mut(&number) {
            all.iter_mut().filter(|asked| asked.session == old).for_each(|asked| asked.session = heir);
        }
    }

    /// A session is over.
    pub(crate) fn ended(&mut self, number: AccountNumber, session: SessionId) {
        if !self.of.is_empty() {
            self.forget(number, |asked| asked.session == session);
        }
    }

    fn forget(&mut self, number: AccountNumber, which: impl Fn(&Asked) -> bool) {
        if let Some(all) = self.of.get_mut(&number) {
            all.retain(|asked| !which(asked));
            if all.is_empty() {
                self.of.remove(&number);
            }
        }
    }
}

impl Router {
    /// Whether a message was had before its exchange died: then it is counted, and that is all.
    pub(crate) fn came_again(&mut self, line: LineId, stanza: &Stanza<'_>, ack: Ack) -> bool {
        let (session, number) = (self.lines[line].session, self.lines[line].number);
        let Some((key, mark)) = self.again.take(number, session, stanza) else { return false };
        self.ask_share(ack, Op::Session(SessionOp::CameAgain { key, mark }));
        true
    }
}
