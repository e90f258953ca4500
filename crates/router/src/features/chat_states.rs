//! Chat states: "is typing" passes to who is there, and is worth nothing later.
//!
//! Spec: XEP-0085; XEP-0160 section 3: a message with nothing but a chat state is not kept.

use xmpp::stanza::Node;

use super::{Feature, Judgement};
use crate::chat_state::is_alone;

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    fn judge(inside: &[Node<'_>], judgement: &mut Judgement) {
        if is_alone(inside) {
            *judgement = Judgement::Drop;
        }
    }
}
