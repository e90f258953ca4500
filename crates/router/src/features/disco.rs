//! Service discovery: what the exchange and its accounts are and understand, made from the features that are in.
//!
//! Spec: XEP-0030; RFC 6121 8.5 for who may ask about an account: whoever may see its presence.

use xmpp::error::{StanzaCondition, StanzaError};
use xmpp::{ns, write};

use super::{Answer, Feature, Query, Scope, account_features, account_identities, server_features};
use crate::router::Router;

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    const SERVER: &'static [&'static str] = &[ns::DISCO_INFO, ns::DISCO_ITEMS];
    const ACCOUNT: &'static [&'static str] = &[ns::DISCO_INFO, ns::DISCO_ITEMS];

    fn on_query(router: &mut Router, query: &Query<'_>, inner: &mut Vec<u8>) -> Option<Answer> {
        let info = query.payload.is("query", ns::DISCO_INFO);
        let items = query.payload.is("query", ns::DISCO_ITEMS);
        // XEP-0030 section 8: who may not see an account learns nothing, not even that it exists.
        if query.set || !(info || items) || query.scope == (Scope::Other { subscribed: false }) {
            return None;
        }
        let node = query.payload.attr("node");
        // XEP-0115 6.2: `node#ver` names what this exchange says now.
        let caps = node.as_deref().and_then(|node| node.strip_prefix(&*router.cfg.caps_node));
        let known = match caps {
            Some(rest) => query.scope == Scope::Server && info && rest.starts_with('#'),
            None => node.is_none(),
        };
        if !known {
            return Some(Answer::Error(StanzaError::new(StanzaCondition::ItemNotFound)));
        }
        let ns = if info { ns::DISCO_INFO } else { ns::DISCO_ITEMS };
        let reply = write::open(inner, "query").ns(ns).attr_opt("node", node.as_deref());
        if items {
            reply.empty();
            return Some(Answer::Result);
        }
        reply.with(|out| {
            let (category, kind, name, features) = match query.scope {
                Scope::Server => ("server", "im", Some(router.cfg.software.as_str()), server_features()),
                _ => ("account", "registered", None, account_features()),
            };
            let identity = write::open(out, "identity").attr("category", category).attr("type", kind);
            identity.attr_opt("name", name).empty();
            if query.scope != Scope::Server {
                for (category, kind) in account_identities() {
                    write::open(out, "identity").attr("category", category).attr("type", kind).empty();
                }
            }
            for feature in features {
                write::open(out, "feature").attr("var", feature).empty();
            }
        });
        Some(Answer::Result)
    }
}
