//! Sessions that may be resumed: how many stanzas of their clients were handled, and what outlives a restart.
//!
//! Spec: XEP-0198 section 5.
//! Owns: the values. Invariants: a record never says more than what is durable; what a stanza asked for and its count are
//! one commit; after a crash nothing is left of what no count covers, but of messages that their recipients have had: these
//! are told from the rest by their marks when they come again.
//! Not here: when a stanza counts (`handled`), who may resume what (the router), the counts of a live session (`session`).

use serde_json::{Value, json};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

/// All shares of the work on one stanza: see [`Origin::share`].
pub const WHOLE: u16 = 1 << 15;

/// The stanza that asked for something, so that the record of its session counts it in the same commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// What its client names the session by, as bits.
    pub key: u64,
    /// Whose session it is.
    pub number: AccountNumber,
    /// Which stanza of it, as XEP-0198 counts.
    pub h: u32,
    /// Every stanza up to this one is known to be done with.
    pub floor: u32,
    /// How much of the work on it this is, of [`WHOLE`]: a message may have to be kept in several places, and counts once
    /// it is in all of them.
    pub share: u16,
    /// By what it is known if its client sends it again; 0: by nothing.
    pub mark: u64,
}

/// Something about sessions that may be resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOp {
    /// Who starts says so: what was live when its predecessor died is known until then, and what is older no more. What
    /// stanzas added that no count covers is taken back, since their clients will send them again. But if a stanza has a mark, all
    /// of its work was done, and nothing of it waits in a queue, it has been had: what it added stays, and its mark is known
    /// with its session: [`Answer::Done`](crate::Answer::Done).
    Begin {
        /// Until when.
        until: Wallclock,
    },
    /// So many stanzas were handled: [`Answer::Done`](crate::Answer::Done). Never fewer than before.
    Count {
        /// Which session.
        key: u64,
        /// Whose it is.
        number: AccountNumber,
        /// How many.
        h: u32,
    },
    /// How many were handled, if it is known: [`Answer::Handled`](crate::Answer::Handled).
    Handled {
        /// Which session.
        key: u64,
        /// Whose it must be.
        number: AccountNumber,
    },
    /// A stanza that had been had came again, and this is what is done for it: its mark is not known any more.
    /// [`Answer::Done`](crate::Answer::Done).
    CameAgain {
        /// The session that it came in first.
        key: u64,
        /// Its mark.
        mark: u64,
    },
    /// It is over and nobody will ask, nor send anything again: what its stanzas added stays, and will stay if more comes
    /// late: [`Answer::Done`](crate::Answer::Done).
    Forget {
        /// Which session.
        key: u64,
    },
    /// All of it, for who starts next: [`Answer::Done`](crate::Answer::Done).
    Save(Box<SavedSession>),
    /// Some of what was saved, at most so many, which then lives on: [`Answer::Sessions`](crate::Answer::Sessions). None:
    /// there is no more.
    Take {
        /// How many.
        limit: u32,
    },
}

/// What is known of a session whose exchange is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// So many stanzas of its client were handled.
    pub h: u32,
    /// Marks of those behind that had been had, in no order that means anything.
    pub had: Vec<u64>,
}

/// A session that outlives its exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSession {
    /// What its client names it by, as bits.
    pub key: u64,
    /// Whose it is.
    pub number: AccountNumber,
    /// Its resource.
    pub resource: Box<str>,
    /// Until when it may be resumed.
    pub until: Wallclock,
    /// The seconds for which it may be resumed once more, after that.
    pub max_secs: u32,
    /// Its counts; everything its client sent has been processed.
    pub counts: Counts,
    /// What its client has not confirmed, oldest first, each with the router's tag.
    pub unacked: Vec<(Vec<u8>, Option<u64>)>,
    /// It wants to hear of changes of the roster.
    pub interested: bool,
    /// Its priority (RFC 6121 4.7.2.3).
    pub priority: i8,
    /// Its presence, from behind the addresses on, if it is available.
    pub presence: Option<Box<[u8]>>,
    /// That says something of a picture.
    pub says_photo: bool,
    /// Whom it sent directed presence to.
    pub directed: Vec<Box<str>>,
    /// What it asked features for, as XML.
    pub wishes: Vec<u8>,
    /// What the driver remembers of its connection.
    pub about: Box<str>,
}

fn text(bytes: &[u8]) -> Value {
    Value::from(String::from_utf8_lossy(bytes))
}

impl SavedSession {
    /// The record's `h`.
    #[must_use]
    pub fn h(&self) -> u32 {
        self.counts.processed.wrapping_sub(self.counts.base)
    }

    /// All but the key, the number and the time, as JSON: stanzas are text.
    #[must_use]
    pub(crate) fn to_json(&self) -> String {
        let unacked = self.unacked.iter().map(|(stanza, tag)| json!([text(stanza), tag]));
        json!({
            "resource": self.resource,
            "max": self.max_secs,
            "processed": self.counts.processed,
            "base": self.counts.base,
            "confirmed": self.counts.confirmed,
            "unacked": unacked.collect::<Vec<_>>(),
            "interested": self.interested,
            "priority": self.priority,
            "presence": self.presence.as_deref().map(text),
            "photo": self.says_photo,
            "directed": self.directed,
            "wishes": text(&self.wishes),
            "about": self.about,
        })
        .to_string()
    }

    /// And back; none if nobody of ours wrote it.
    #[must_use]
    pub(crate) fn from_json(key: u64, number: AccountNumber, until: Wallclock, json: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(json).ok()?;
        let word = |value: &Value| u32::try_from(value.as_u64()?).ok();
        let unacked = json["unacked"].as_array()?.iter().map(|pair| {
            let tag = if pair[1].is_null() { None } else { Some(pair[1].as_u64()?) };
            Some((pair[0].as_str()?.as_bytes().to_vec(), tag))
        });
        let processed = word(&json["processed"])?;
        Some(Self {
            key,
            number,
            resource: json["resource"].as_str()?.into(),
            until,
            max_secs: word(&json["max"])?,
            counts: Counts {
                received: processed,
                processed,
                ahead: Vec::new(),
                recorded: processed,
                base: word(&json["base"])?,
                confirmed: word(&json["confirmed"])?,
            },
            unacked: unacked.collect::<Option<_>>()?,
            interested: json["interested"].as_bool()?,
            priority: i8::try_from(json["priority"].as_i64()?).ok()?,
            presence: json["presence"].as_str().map(|presence| presence.as_bytes().into()),
            says_photo: json["photo"].as_bool()?,
            directed: json["directed"]
                .as_array()?
                .iter()
                .filter_map(|to| Some(to.as_str()?.into()))
                .collect(),
            wishes: json["wishes"].as_str()?.as_bytes().to_vec(),
            about: json["about"].as_str()?.into(),
        })
    }
}

/// XEP-0198's counts of one session, modulo 2^32.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stanzas that came from the client.
    pub received: u32,
    /// Every stanza up to this one has been processed.
    pub processed: u32,
    /// Those behind `processed` that have been processed too.
    pub ahead: Vec<u32>,
    /// Every stanza up to this one is on record.
    pub recorded: u32,
    /// The inbound count at which XEP-0198 was turned on.
    pub base: u32,
    /// The client's `h` so far.
    pub confirmed: u32,
}
