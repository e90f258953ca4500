//! Session establishment: a question that old clients still ask after binding, and that needs no answer but yes.
//!
//! Spec: RFC 3921 section 3, dropped by RFC 6121 (its section 1.4); offered as optional, so that new clients skip it.

use xmpp::{ns, write};

use super::{Answer, Feature, Query, Scope};
use crate::config::RouterConfig;
use crate::router::Router;

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    fn on_query(_: &mut Router, query: &Query<'_>, _: &mut Vec<u8>) -> Option<Answer> {
        let asked = query.set && query.payload.is("session", ns::SESSION);
        (asked && !matches!(query.scope, Scope::Other { .. })).then_some(Answer::Result)
    }

    fn write_stream_features(_: &RouterConfig, out: &mut Vec<u8>) {
        write::open(out, "session").ns(ns::SESSION).with(|out| write::open(out, "optional").empty());
    }
}
