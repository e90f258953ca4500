//! What must hold in every chat: each message that was acknowledged arrives, once, in its sender's order.
//! Spec: XEP-0198 (an acknowledged stanza is the exchange's responsibility), RFC 6120 10.1 (order between two entities).
//! Owns: the account of every message. Invariants: a message's id says who wrote it, to whom, and which it is, so nothing has to be
//! believed.
//! Not here: what happens (`world`).
//!
//! "Once" is per id and per session of the receiver: who lost a connection before it could confirm what it had read is sent that again,
//! under the same id, and tells it by that. Within one session nothing comes twice. An acknowledged message may also come back to its
//! sender as an error (the disk was full): then the sender knows. That a message is in the archive (XEP-0313) does not count: it
//! has to come by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sim::rng::split_mix;

use crate::client::Experience;
use crate::world::Happened;

/// Which message: the `number`th from one client to another. Its text is `from-to-number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId {
    /// The sender's place among the clients.
    pub from: u32,
    /// The receiver's.
    pub to: u32,
    /// From 1 on.
    pub number: u32,
}

impl MessageId {
    /// The text that a message with this id has. Follows from the id, so that none is stored.
    pub fn body(self) -> String {
        let key = u64::from(self.from) << 40 | u64::from(self.to) << 20 | u64::from(self.number);
        let word = split_mix(key);
        let len = word % 200;
        let letters = (0..len).map(|at| char::from(b'a' + (split_mix(word ^ at) % 26) as u8));
        format!("{self} & <{}>", letters.collect::<String>())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|part| part.parse().ok());
        let id = Self { from: parts.next()??, to: parts.next()??, number: parts.next()?? };
        parts.next().is_none().then_some(id)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.from, self.to, self.number)
    }
}

/// What did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A message came that nobody wrote, or that was changed on the way.
    Foreign {
        /// To whom it came.
        client: usize,
        /// What came.
        what: String,
    },
    /// A message came a second time in one session.
    Twice {
        /// Which.
        id: MessageId,
        /// In which of the receiver's sessions.
        session: u32,
    },
    /// A message came for the first time after a later one of the same sender.
    Disorder {
        /// Which.
        id: MessageId,
        /// What had come before it.
        after: u32,
    },
    /// Messages were acknowledged and never came.
    Lost(Vec<MessageId>),
    /// The box does not come to rest at one moment.
    Restless,
    /// Peace did not bring an end.
    NoEnd {
        /// Who is not done.
        clients: Vec<usize>,
    },
    /// Everybody has gone, and the exchange still holds connections.
    Remains(usize),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { client, what } => write!(f, "client {client} got what nobody wrote: {what}"),
            Self::Twice { id, session } => write!(f, "message {id} came twice in session {session}"),
            Self::Disorder { id, after } => {
                write!(f, "message {id} came after number {after} of the same sender")
            }
            Self::Lost(ids) => {
                let some: Vec<String> = ids.iter().take(10).map(MessageId::to_string).collect();
                write!(f, "{} acknowledged messages never came: {} ...", ids.len(), some.join(" "))
            }
            Self::Restless => f.write_str("the world does not come to rest at one moment"),
            Self::NoEnd { clients } => {
                write!(f, "clients {clients:?} are not done long after the last fault")
            }
            Self::Remains(count) => {
                write!(f, "everybody has gone, and the exchange holds {count} connections")
            }
        }
    }
}

/// The account.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    written: BTreeSet<MessageId>,
    acknowledged: BTreeSet<MessageId>,
    /// Acknowledged messages that have neither come nor come back.
    awaited: BTreeSet<MessageId>,
    arrived: BTreeSet<MessageId>,
    bounced: BTreeSet<MessageId>,
    /// The session of the receiver in which a message came last.
    seen: BTreeMap<MessageId, u32>,
    /// The latest number that has come, by sender and receiver.
    latest: BTreeMap<(u32, u32), u32>,
    repeats: u64,
    /// Messages that were seen in archives.
    archived: u64,
}

impl Oracle {
    /// Takes note of something, and judges it.
    ///
    /// # Errors
    /// What did not hold.
    pub fn hear(&mut self, happened: &Happened) -> Result<(), Violation> {
        let client = happened.client;
        match &happened.what {
            Experience::Wrote { id } => self.written.extend(MessageId::parse(id)),
            Experience::Acknowledged { id } => {
                if let Some(id) = MessageId::parse(id) {
                    self.acknowledged.insert(id);
                    if !self.arrived.contains(&id) && !self.bounced.contains(&id) {
                        self.awaited.insert(id);
                    }
                }
            }
            Experience::Bounced { id, .. } => {
                if let Some(id) = MessageId::parse(id) {
                    self.bounced.insert(id);
                    self.awaited.remove(&id);
                }
            }
            Experience::Archived(message) => {
                // Its own words are in everybody's archive too.
                let Some(id) = message.id.as_deref().and_then(MessageId::parse) else { return Ok(()) };
                let whole = message.body == id.body() && self.written.contains(&id);
                if !whole || id.to as usize != client && id.from as usize != client {
                    return Err(Violation::Foreign { client, what: format!("{message:?}") });
                }
                self.archived += 1;
            }
            Experience::Arrived(message) => {
                let foreign = || Violation::Foreign { client, what: format!("{message:?}") };
                let id = message.id.as_deref().and_then(MessageId::parse).ok_or_else(foreign)?;
                let whole =
                    message.body == id.body() && id.to as usize == client && self.written.contains(&id);
                if !whole {
                    return Err(foreign());
                }
                return self.on_arrived(id, happened.session);
            }
            Experience::Ready { .. } | Experience::Ended { .. } => {}
        }
        Ok(())
    }

    fn on_arrived(&mut self, id: MessageId, session: u32) -> Result<(), Violation> {
        if self.seen.insert(id, session) == Some(session) {
            return Err(Violation::Twice { id, session });
        }
        self.awaited.remove(&id);
        if !self.arrived.insert(id) {
            self.repeats += 1;
            return Ok(());
        }
        let latest = self.latest.entry((id.from, id.to)).or_default();
        if *latest > id.number {
            return Err(Violation::Disorder { id, after: *latest });
        }
        *latest = id.number;
        Ok(())
    }

    /// Whether every acknowledged message has come.
    pub fn is_content(&self) -> bool {
        self.awaited.is_empty()
    }

    /// The end: what has not come now never will.
    ///
    /// # Errors
    /// What is missing.
    pub fn finish(&self) -> Result<(), Violation> {
        if self.awaited.is_empty() {
            Ok(())
        } else {
            Err(Violation::Lost(self.awaited.iter().copied().collect()))
        }
    }

    /// How many were seen in archives.
    pub fn archived(&self) -> u64 {
        self.archived
    }

    /// How many were written, acknowledged, arrived, came again to a later session, and came back.
    pub fn counts(&self) -> [u64; 5] {
        let len = |set: &BTreeSet<MessageId>| set.len() as u64;
        [len(&self.written), len(&self.acknowledged), len(&self.arrived), self.repeats, len(&self.bounced)]
    }
}

#[cfg(test)]
mod tests;
