//! Software version: what the exchange is and which version of it.
//!
//! Spec: XEP-0092. The operating system is nobody's business (section 6 there).

use xmpp::{ns, write};

use super::{Answer, Feature, Query, Scope};
use crate::router::Router;

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    const SERVER: &'static [&'static str] = &[ns::VERSION];

    fn on_query(router: &mut Router, query: &Query<'_>, inner: &mut Vec<u8>) -> Option<Answer> {
        if query.set || query.scope != Scope::Server || !query.payload.is("query", ns::VERSION) {
            return None;
        }
        write::open(inner, "query").ns(ns::VERSION).with(|out| {
            write::open(out, "name").text(&router.cfg.software);
            write::open(out, "version").text(&router.cfg.version);
        });
        Some(Answer::Result)
    }
}
