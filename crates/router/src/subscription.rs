//! The subscription state machine: what each of the four stanzas does to one contact's standing.
//!
//! Spec: RFC 6121 section 3 and appendix A; pre-approval is section 3.4.
//! Owns: nothing; a standing goes in, the next one comes out. Invariants: `ask` and `to` are never both set, nor
//! `pending_in` and `from`.
//! Not here: who sends which stanza where (`subscribe`), how it is kept (`roster`, `store`).
//!
//! The nine states of appendix A.1 are four flags:
//!
//! | state             | to | from | ask | pending_in |
//! |-------------------|----|------|-----|------------|
//! | None              |    |      |     |            |
//! | None + Pending Out|    |      |  x  |            |
//! | None + Pending In |    |      |     |     x      |
//! | None + Pending Out+In | |     |  x  |     x      |
//! | To                | x  |      |     |            |
//! | To + Pending In   | x  |      |     |     x      |
//! | From              |    |  x   |     |            |
//! | From + Pending Out|    |  x   |  x  |            |
//! | Both              | x  |  x   |     |            |

/// One of the four stanzas that manage subscriptions (RFC 6121 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// "May I see your presence?"
    Subscribe,
    /// "I no longer want to."
    Unsubscribe,
    /// "You may."
    Subscribed,
    /// "You may not", or no longer.
    Unsubscribed,
}

impl Verb {
    /// The value of the `type` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

/// How things stand between a user and one contact, seen by the user's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Standing {
    /// The user sees the contact's presence.
    pub to: bool,
    /// The contact sees the user's presence.
    pub from: bool,
    /// The user asked and waits ("Pending Out").
    pub ask: bool,
    /// The contact asked and waits ("Pending In").
    pub pending_in: bool,
    /// The user said yes before being asked (3.4).
    pub approved: bool,
}

/// What an outbound stanza does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbound {
    /// The standing afterwards.
    pub standing: Standing,
    /// Whether it goes on to the contact.
    pub route: bool,
}

/// What an inbound stanza does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inbound {
    /// The standing afterwards.
    pub standing: Standing,
    /// Whether the user is shown it.
    pub deliver: bool,
    /// Whether the server answers `subscribed` by itself.
    pub approve: bool,
}

impl Standing {
    /// The user sent this to the contact (appendix A.2).
    pub fn outbound(mut self, verb: Verb) -> Outbound {
        let route = match verb {
            // A.2.1: routed in every state; it is pending only where there is something to wait for.
            Verb::Subscribe => {
                self.ask = !self.to;
                true
            }
            // A.2.2: routed in every state.
            Verb::Unsubscribe => {
                self.to = false;
                self.ask = false;
                true
            }
            // A.2.3: routed only as the answer to a request; otherwise it is a pre-approval (3.4.2), which the contact
            // does not learn of, and in From, From + Pending Out and Both nothing at all.
            Verb::Subscribed if self.pending_in => {
                self.pending_in = false;
                self.from = true;
                true
            }
            Verb::Subscribed => {
                self.approved |= !self.from;
                false
            }
            // A.2.4: routed where there is something to deny or to take back. It also takes back a pre-approval.
            Verb::Unsubscribed => {
                let route = self.pending_in || self.from;
                self.pending_in = false;
                self.from = false;
                self.approved = false;
                route
            }
        };
        Outbound { standing: self, route }
    }

    /// The contact sent this to the user (appendix A.3).
    pub fn inbound(mut self, verb: Verb) -> Inbound {
        let (mut deliver, mut approve) = (false, false);
        match verb {
            // A.3.1, and 3.1.3: who may see already is told so again, without asking the user.
            Verb::Subscribe if self.from => approve = true,
            // 3.4.3: the answer was given beforehand, and is used up.
            Verb::Subscribe if self.approved => {
                self.from = true;
                self.approved = false;
                self.pending_in = false;
                approve = true;
            }
            Verb::Subscribe => {
                deliver = !self.pending_in;
                self.pending_in = true;
            }
            // A.3.2.
            Verb::Unsubscribe => {
                deliver = self.pending_in || self.from;
                self.pending_in = false;
                self.from = false;
            }
            // A.3.3: only who asked is told.
            Verb::Subscribed => {
                deliver = self.ask;
                self.to |= self.ask;
                self.ask = false;
            }
            // A.3.4.
            Verb::Unsubscribed => {
                deliver = self.ask || self.to;
                self.to = false;
                self.ask = false;
            }
        }
        Inbound { standing: self, deliver, approve }
    }
}

#[cfg(test)]
mod tests;
