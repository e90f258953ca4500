//! A chat state alone: a message that says that somebody types, and nothing else.
//!
//! Spec: XEP-0085 5.1 (a thread may stand beside it); XEP-0203, XEP-0334 and XEP-0359, which are about a message and not in
//! it, unless they say that it is to be kept.
//! Not here: what becomes of it (the features that ask).

use xmpp::ns;
use xmpp::stanza::Children;

/// Whether a message with these children is one.
#[allow(dead_code, reason = "nobody asks when the features that do are not in")]
pub(crate) fn is_alone(children: &Children<'_>) -> bool {
    let mut found = false;
    let rest = children.clone().all(|node| {
        let state = node.ns() == ns::CHAT_STATES;
        found |= state;
        let about = match &*node.ns() {
            ns::DELAY | ns::STANZA_ID => true,
            ns::HINTS => node.name() != "store",
            _ => node.is("thread", ns::CLIENT),
        };
        state || about
    });
    found && rest
}
