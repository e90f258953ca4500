//! One message as a conversation shows it, and how far it has come.
//!
//! Spec: XEP-0184 (delivered), XEP-0333 (displayed), XEP-0198 (the server has it).
//! Invariants: a mark never goes back.
//! Not here: the order of messages (`book`).

use xmpp::time::Wallclock;

/// How far a message of ours has come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It waits for the network, or for the server's acknowledgement.
    Sending,
    /// The server has it.
    Sent,
    /// A device of the other has it.
    Delivered,
    /// The other has seen it.
    Read,
    /// It came back, for this reason.
    Failed(String),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its sender's mark; empty if there was none.
    pub id: String,
    /// The archive's mark, once it is known.
    pub archive_id: Option<String>,
    /// Whether we sent it, from here or another device.
    pub ours: bool,
    /// The text.
    pub body: String,
    /// When it was sent, as far as we know.
    pub at: Wallclock,
    /// How far it has come; of those of others, always [`Mark::Read`].
    pub mark: Mark,
    /// Its text was changed after it was sent (XEP-0308).
    pub corrected: bool,
    /// Its sender asked to be told when it is seen.
    pub markable: bool,
}

impl Entry {
    /// Moves the mark on, never back.
    pub fn advance(&mut self, mark: Mark) {
        if mark > self.mark && !matches!(self.mark, Mark::Failed(_)) {
            self.mark = mark;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_never_goes_back() {
        let mut entry = Entry {
            id: "a".into(),
            archive_id: None,
            ours: true,
            body: "hi".into(),
            at: Wallclock::from_millis(0),
            mark: Mark::Sending,
            corrected: false,
            markable: false,
        };
        for (mark, then) in [
            (Mark::Delivered, Mark::Delivered),
            (Mark::Sent, Mark::Delivered),
            (Mark::Read, Mark::Read),
            (Mark::Delivered, Mark::Read),
            (Mark::Failed("gone".into()), Mark::Failed("gone".into())),
            (Mark::Read, Mark::Failed("gone".into())),
        ] {
            entry.advance(mark);
            assert_eq!(entry.mark, then);
        }
    }
}
