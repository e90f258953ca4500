//! Nodes and items: what an account publishes.
//!
//! Spec: XEP-0060 (nodes, items), XEP-0163 (an account as the service).
//! Owns: the values. Invariants: an id names one item of a node; publishing it again makes it the newest.
//! Not here: who may read a node, what a configuration means (the router's feature).

use xmpp::address::AccountNumber;

/// What can be asked about nodes and items. All but [`PepOp::Nodes`] and [`PepOp::Items`] may get
/// [`StoreError::NoSuchAccount`](crate::StoreError::NoSuchAccount).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PepOp {
    /// All nodes: [`Answer::Nodes`](crate::Answer::Nodes).
    Nodes {
        /// Whose.
        number: AccountNumber,
    },
    /// Makes a node or configures one: [`Answer::Done`](crate::Answer::Done), or
    /// [`StoreError::QuotaExceeded`](crate::StoreError::QuotaExceeded). Items beyond `items_max` go, the oldest first.
    PutNode {
        /// Whose.
        number: AccountNumber,
        /// Its name.
        node: Box<str>,
        /// What the router makes of it.
        config: Vec<u8>,
        /// Items that it may hold.
        items_max: u32,
        /// Nodes that the account may have with it.
        nodes_max: u32,
    },
    /// Forgets a node and its items: [`Answer::Done`](crate::Answer::Done).
    DeleteNode {
        /// Whose.
        number: AccountNumber,
        /// Its name.
        node: Box<str>,
    },
    /// Keeps an item as the newest of a node that is there: [`Answer::Done`](crate::Answer::Done), or
    /// [`StoreError::NoSuchItem`](crate::StoreError::NoSuchItem) without the node, or
    /// [`StoreError::QuotaExceeded`](crate::StoreError::QuotaExceeded). The oldest go beyond `items_max`.
    Publish {
        /// Whose.
        number: AccountNumber,
        /// Where.
        node: Box<str>,
        /// Its id.
        id: Box<str>,
        /// The payload, which parses alone.
        payload: Vec<u8>,
        /// Items that the node may hold with it.
        items_max: u32,
        /// Bytes of items that the account may have with it.
        bytes_max: u64,
    },
    /// Forgets an item: [`Answer::Done`](crate::Answer::Done), or [`StoreError::NoSuchItem`](crate::StoreError::NoSuchItem).
    Retract {
        /// Whose.
        number: AccountNumber,
        /// Where.
        node: Box<str>,
        /// Its id.
        id: Box<str>,
    },
    /// Forgets all items of a node: [`Answer::Done`](crate::Answer::Done).
    Purge {
        /// Whose.
        number: AccountNumber,
        /// Which.
        node: Box<str>,
    },
    /// Items, oldest first: [`Answer::Items`](crate::Answer::Items). What is not there is left out.
    Items {
        /// Whose.
        number: AccountNumber,
        /// Where.
        node: Box<str>,
        /// These; all if there is none.
        ids: Vec<Box<str>>,
        /// Only the newest so many.
        limit: u32,
    },
}

/// An item that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: Box<str>,
    /// The payload, as it was published.
    pub payload: Vec<u8>,
}
