//! Message processing hints: the sender says whether a message is to be kept.
//!
//! Spec: XEP-0334. `no-permanent-store` speaks of archives; a message that waits for its recipient is not permanent
//! (section 5.2 there). `no-copy` speaks of carbons.

use xmpp::ns;
use xmpp::stanza::Node;

use super::{Feature, Judgement};

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    fn judge(inside: &[Node<'_>], judgement: &mut Judgement) {
        let says_something = || inside.iter().any(|node| node.is("body", ns::CLIENT));
        // Names are told apart at less cost than namespaces.
        let ours = |node: &&Node<'_>| matches!(node.name(), "no-store" | "store") && node.ns() == ns::HINTS;
        for hint in inside.iter().filter(ours) {
            match hint.name() {
                // Of a message that says something the sender learns that it did not arrive.
                "no-store" if says_something() => *judgement = Judgement::Refuse,
                "no-store" => *judgement = Judgement::Drop,
                "store" => *judgement = Judgement::Keep,
                _ => {}
            }
        }
    }
}
