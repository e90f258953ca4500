//! The names under which things are kept for an account, and their bounds. The features of `router` read them.

use store::Quota;

/// The document that holds whom an account blocks.
pub(crate) const BLOCK_LIST: Quota = Quota { documents_max: 1, bytes_max: 4 << 20 };
/// Addresses in both lists of archive preferences together.
pub(crate) const PREFERRED_MAX: usize = 1_000;
/// The document that holds them.
pub(crate) const PREFERENCES: Quota = Quota { documents_max: 1, bytes_max: 256 * 1024 };
/// The card, a published picture, and its hash.
pub(crate) const CARD_DOCUMENTS: u64 = 4;
/// What a card's picture is called, if another was published than it has.
pub(crate) const PUBLISHED_PICTURE: &str = "avatar";
/// What its hash is called.
pub(crate) const PICTURE_HASH: &str = "photo";
/// Privacy lists (XEP-0016), which we do not have.
pub(crate) const PRIVACY: &str = "jabber:iq:privacy";
/// Parts of a document that lie elsewhere.
pub(crate) const XINCLUDE: &str = "http://www.w3.org/2001/XInclude";
/// `FORM_TYPE` of a node's configuration (XEP-0060 16.4.4).
pub(crate) const NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
