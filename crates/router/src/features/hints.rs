//! Message processing hints: the sender says whether a message is to be kept.
//!
//! Spec: XEP-0334. `no-permanent-store` speaks of archives; a message that waits for its recipient is not permanent
//! (section 5.2 there). `no-copy` speaks of carbons.

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
        for hint in stanza.children().filter(|node| node.ns() == ns::HINTS) {
            match hint.name() {
                // Of a message that says something the sender learns that it did not arrive.
                "no-store" if stanza.child("body", ns::CLIENT).is_some() => *judgement = Judgement::Refuse,
                "no-store" => *judgement = Judgement::Drop,
                "store" => *judgement = Judgement::Keep,
                _ => {}
            }
        }
    }
}
