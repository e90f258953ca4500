//! Ping: is the exchange there?
//!
//! Spec: XEP-0199 sections 4.2 (client to server) and 6.

use xmpp::ns;

use super::{Answer, Feature, Query, Scope};
use crate::router::Router;

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    const SERVER: &'static [&'static str] = &[ns::PING];
    const ACCOUNT: &'static [&'static str] = &[ns::PING];

    fn on_query(_: &mut Router, query: &Query<'_>, _: &mut Vec<u8>) -> Option<Answer> {
        let asked = !query.set && query.payload.is("ping", ns::PING);
        // Whether a stranger's account exists is not told by its being pinged.
        (asked && !matches!(query.scope, Scope::Other { subscribed: false })).then_some(Answer::Result)
    }
}
