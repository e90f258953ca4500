//! Errands: what is asked of the exchange itself, and only whoever drives it can do: its lines and invites for an
//! administrator, the end of all one's own sessions for anyone.
//!
//! Spec: `urn:switchboard:lines:0` and `urn:switchboard:tokens:0` (docs/web-client.md); XEP-0401 4 by XEP-0050 (invites).
//! Owns: nothing. Not here: who may (the driver knows administrators), the answers.

use xmpp::error::{StanzaCondition, StanzaError};
use xmpp::ns;
use xmpp::stanza::Stanza;

use super::{Answer, Feature, Query, Scope};
use crate::output::Errand;
use crate::router::Router;

/// The command that makes an invite (XEP-0401 section 7).
const INVITE_NODE: &str = "urn:xmpp:invite#invite";

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    const ACCOUNT: &'static [&'static str] = &[ns::TOKENS];

    fn on_query(router: &mut Router, query: &Query<'_>, _: &mut Vec<u8>) -> Option<Answer> {
        let errand = read(query)?;
        let refused = |condition| Some(Answer::Error(StanzaError::new(condition)));
        let Some(errand) = errand else { return refused(StanzaCondition::BadRequest) };
        let Some(line) = query.line else { return refused(StanzaCondition::Forbidden) };
        let (session, number) = (router.lines[line].session, router.lines[line].number);
        let id = Stanza::parse(query.letter.stanza).ok().and_then(|stanza| Some(stanza.id()?.into_owned()));
        router.out.errand(session, number, id, errand);
        router.processed(query.letter.ack);
        Some(Answer::Later)
    }
}

/// The errand; `None`: it is none, `Some(None)`: it is none that can be meant.
fn read(query: &Query<'_>) -> Option<Option<Errand>> {
    let payload = &query.payload;
    match (query.scope, query.set) {
        (Scope::Server, false) if payload.is("lines", ns::LINES) => {
            let open = payload.attr("open").map(|name| name.parse().ok());
            Some(match open {
                Some(None) => None,
                Some(open) => Some(Errand::Lines { open }),
                None => Some(Errand::Lines { open: None }),
            })
        }
        (Scope::Server, false) if payload.is("trace", ns::LINES) => {
            let line = payload.attr("line").and_then(|name| name.parse().ok());
            let after = payload.attr("after").map_or(Some(0), |cursor| cursor.parse().ok());
            Some(line.zip(after).map(|(line, after)| Errand::Trace { line, after }))
        }
        (Scope::Server, true) if payload.is("command", ns::COMMANDS) => {
            (payload.attr("node").as_deref() == Some(INVITE_NODE)).then_some(Some(Errand::Invite))
        }
        (Scope::Own, true) if payload.is("revoke", ns::TOKENS) => Some(Some(Errand::Revoke)),
        _ => None,
    }
}
