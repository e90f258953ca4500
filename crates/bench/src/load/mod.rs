//! Load: connections that talk to a server the way any XMPP client would, at the least cost to themselves.
//! Invariants: every run is bounded in messages and in time.

pub(crate) mod line;
pub(crate) mod login;
pub(crate) mod pairs;
pub(crate) mod slow;
