//! A chat state alone: a message that says that somebody types, and nothing else.
//!
//! Spec: XEP-0085 5.1 (a thread may stand beside it); XEP-0203, XEP-0334 and XEP-0359, which are about a message and not in
//! it, unless they say that it is to be kept.
//! Not here: what becomes of it (the features that ask).

use std::borrow::Borrow;

use xmpp::ns;
use xmpp::stanza::Node;

/// Whether a message with these children is one.
#[allow(dead_code, reason = "nobody asks when the features that do are not in")]
pub(crate) fn is_alone<'a>(children: impl IntoIterator<Item: Borrow<Node<'a>>>) -> bool {
    let mut found = false;
    let rest = children.into_iter().all(|node| match &*node.borrow().ns() {
        ns::CHAT_STATES => {
            found = true;
            true
        }
        ns::DELAY | ns::STANZA_ID => true,
        ns::HINTS => node.borrow().name() != "store",
        ns::CLIENT => node.borrow().name() == "thread",
        _ => false,
    });
    found && rest
}
