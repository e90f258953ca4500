//! Entity time: what the exchange's clock says.
//!
//! Spec: XEP-0202. An exchange has no place, so its zone is UTC.

use xmpp::{ns, write};

use super::{Answer, Feature, Query, Scope};
use crate::router::Router;

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    const SERVER: &'static [&'static str] = &[ns::TIME];

    fn on_query(router: &mut Router, query: &Query<'_>, inner: &mut Vec<u8>) -> Option<Answer> {
        if query.set || query.scope != Scope::Server || !query.payload.is("time", ns::TIME) {
            return None;
        }
        write::open(inner, "time").ns(ns::TIME).with(|out| {
            write::open(out, "tzo").text("+00:00");
            write::open(out, "utc").text(&router.now.wall.to_string());
        });
        Some(Answer::Result)
    }
}
