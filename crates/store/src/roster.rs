//! Rosters: the contacts of an account, and how far each subscription has come.
//!
//! Spec: RFC 6121 section 2 (items, versions), section 3 and appendix A (the nine subscription states).
//! Owns: the values. Invariants: an account has at most one item a contact; the version grows with each change that a
//! client may see, and never otherwise.
//! Not here: the state machine (the router moves an item from state to state and puts the result here).

use xmpp::address::BareJid;

/// A roster as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    /// Grows with each visible change (RFC 6121 2.6); 0 for one that never had any.
    pub version: u64,
    /// In order of their addresses. Also those that are not [`listed`](RosterItem::listed).
    pub items: Vec<RosterItem>,
}

/// One contact. The nine states of RFC 6121 appendix A.1 are [`subscription`](Self::subscription) with
/// [`ask`](Self::ask) (pending out) and [`pending_in`](Self::pending_in).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterItem {
    /// Who.
    pub contact: BareJid,
    /// Whether it is in the roster that a client sees; an item that only waits for the user's answer to a request, or
    /// carries a pre-approval, is not (RFC 6121 2.1.2.2, 3.1.3, 3.4.2).
    pub listed: bool,
    /// What the user calls it.
    pub name: Option<String>,
    /// The groups it was put into.
    pub groups: Vec<String>,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// The user asked to subscribe and waits (`ask='subscribe'`, RFC 6121 2.1.2.2).
    pub ask: bool,
    /// The user approved a request that has not come yet (RFC 6121 3.4).
    pub approved: bool,
    /// The contact asked to subscribe and waits; the whole request, delivered again at each log-in (RFC 6121 3.1.3).
    pub pending_in: Option<Vec<u8>>,
}

impl RosterItem {
    /// A contact in state "None" (RFC 6121 A.1), not yet listed.
    pub fn new(contact: BareJid) -> Self {
        Self {
            contact,
            listed: false,
            name: None,
            groups: Vec::new(),
            subscription: Subscription::None,
            ask: false,
            approved: false,
            pending_in: None,
        }
    }
}

/// Who sees whose presence (RFC 6121 2.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subscription {
    /// Neither.
    #[default]
    None,
    /// The user sees the contact's.
    To,
    /// The contact sees the user's.
    From,
    /// Each sees the other's.
    Both,
}

impl Subscription {
    /// The attribute's value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::To => "to",
            Self::From => "from",
            Self::Both => "both",
        }
    }

    /// Whether the user sees the contact's presence.
    pub fn is_to(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    /// Whether the contact sees the user's presence.
    pub fn is_from(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }

    /// The state in which exactly these two hold.
    pub fn of(to: bool, from: bool) -> Self {
        match (to, from) {
            (false, false) => Self::None,
            (true, false) => Self::To,
            (false, true) => Self::From,
            (true, true) => Self::Both,
        }
    }
}
