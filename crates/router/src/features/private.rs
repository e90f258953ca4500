//! Private XML: what a client keeps for its own later self.
//!
//! Spec: XEP-0049 section 4.1 (storing), 4.2 (retrieving).
//! Owns: nothing; the store keeps each element by its name and namespace. Invariants: nobody but the account reads it.
//! Not here: bookmarks that others are told of (XEP-0402).

use store::{Answer as Stored, DocumentOp, Op, Quota, Space, StoreError};
use xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use xmpp::{ns, write};

use super::{Answer, Feature, Query, Scope, Wait};
use crate::parcel::OwnedLetter;
use crate::reply::head_of;
use crate::router::{Router, busy};
use crate::waiting::Waiting;

/// What was asked of the store.
pub(crate) enum Asked {
    /// For an element; this is it when it is empty.
    Load { letter: OwnedLetter, empty: Vec<u8> },
    /// To keep one.
    Put(OwnedLetter),
}

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = Asked;

    const SERVER: &'static [&'static str] = &[ns::PRIVATE];

    fn on_query(router: &mut Router, query: &Query<'_>, _: &mut Vec<u8>) -> Option<Answer> {
        if !query.payload.is("query", ns::PRIVATE) || query.scope == Scope::Server {
            return None;
        }
        // Section 4.2, example 5: not another's.
        if query.scope != Scope::Own {
            return Some(Answer::Error(StanzaError::new(StanzaCondition::Forbidden)));
        }
        let mut children = query.payload.children();
        let (Some(element), None) = (children.next(), children.next()) else {
            return Some(Answer::Error(StanzaError::new(StanzaCondition::BadRequest)));
        };
        let space = element.ns();
        // Section 4.1, examples 6 and 7: an element is in a namespace of its own.
        if space.is_empty() || matches!(&*space, ns::CLIENT | ns::PRIVATE | ns::SERVER) {
            return Some(Answer::Error(StanzaError::new(StanzaCondition::NotAcceptable)));
        }
        if router.store_is_busy() {
            return Some(Answer::Error(busy()));
        }
        let name: Box<str> = format!("{{{space}}}{}", element.name()).into();
        let (number, space, letter) = (query.letter.to, Space::Private, head_of(query.letter));
        let (op, asked) = if query.set {
            let mut value = Vec::new();
            element.write_alone(&mut value);
            let quota = Quota {
                documents_max: router.cfg.private_documents_max,
                bytes_max: router.cfg.private_bytes_max,
            };
            (DocumentOp::Put { number, space, name, value, quota }, Asked::Put(letter))
        } else {
            let mut empty = Vec::new();
            write::open(&mut empty, element.name()).ns(&element.ns()).empty();
            (DocumentOp::Load { number, space, name }, Asked::Load { letter, empty })
        };
        router.ask(Op::Document(op), Waiting::Feature(Wait::private(asked)));
        Some(Answer::Later)
    }

    fn on_reply(router: &mut Router, asked: Asked, answer: Result<Stored, StoreError>) {
        let failed = || StanzaError::new(StanzaCondition::InternalServerError).with_type(ErrorType::Wait);
        match (asked, answer) {
            (Asked::Load { letter, empty }, Ok(Stored::Document(found))) => {
                let mut inner = Vec::new();
                write::open(&mut inner, "query").ns(ns::PRIVATE).raw(&found.unwrap_or(empty));
                router.answer(&letter.borrow(), &inner);
            }
            (Asked::Put(letter), Ok(_)) => {
                router.answer(&letter.borrow(), &[]);
            }
            (Asked::Put(letter), Err(StoreError::QuotaExceeded)) => {
                let error = StanzaError::new(StanzaCondition::PolicyViolation);
                router.refuse(letter.borrow(), &error.with_text("too much private XML"));
            }
            (Asked::Load { letter, .. } | Asked::Put(letter), _) => router.refuse(letter.borrow(), &failed()),
        }
    }
}
