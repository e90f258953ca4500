//! Chat states: "is typing" passes to who is there, and is worth nothing later.
//!
//! Spec: XEP-0085; XEP-0160 section 3: a message with nothing but a chat state is not kept.

use xmpp::ns;
use xmpp::stanza::Stanza;

use super::{Feature, Judgement};

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    fn judge(stanza: &Stanza<'_>, judgement: &mut Judgement) {
        let state = |node: &xmpp::Node<'_>| node.ns() == ns::CHAT_STATES;
        // XEP-0085 5.1 lets a thread stand beside it; XEP-0203 and hints are about the message, not in it.
        let beside = |node: &xmpp::Node<'_>| {
            node.is("thread", ns::CLIENT) || matches!(&*node.ns(), ns::DELAY | ns::HINTS | ns::STANZA_ID)
        };
        let mut children = stanza.children();
        if stanza.children().any(|node| state(&node)) && children.all(|node| state(&node) || beside(&node)) {
            *judgement = Judgement::Drop;
        }
    }
}
