//! The archive: what was said, kept for each of the two who said it, and told again page by page.
//!
//! Spec: XEP-0313 (version 2, `urn:xmpp:mam:2`) with XEP-0059; XEP-0359 (the id that a message bears); XEP-0441 (whose
//! messages are kept).
//! Owns: the ids that are drawn. Invariants: a message is in its sender's archive once and in its recipient's once,
//! however often it is delivered: what bears the recipient's `stanza-id` was archived before; ids of an account grow in
//! the order in which its home sees its messages; a message counts as handled only after its rows are committed.
//! Not here: the question's grammar and the answer's (`query`), preferences (`preferences`), the rows (`store`).

mod preferences;
pub(crate) mod query;

use store::{Answer as Stored, ArchiveId, ArchiveOp, Op, StoreError};
use xmpp::address::{AccountNumber, JidRef};
use xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use xmpp::stanza::Stanza;
use xmpp::{ns, write};

use self::preferences::Preferences;
use self::query::Question;
use super::{Answer, Feature, Query, Scope, Wait};
use crate::line::{LineId, SessionId};
use crate::parcel::{Ack, Letter, OwnedLetter, Receipt};
use crate::reply::head_of;
use crate::route::{Kind, MessageType};
use crate::router::{Router, busy};
use crate::waiting::Waiting;

/// Pages that one session may have asked for at a time.
const QUESTIONS_MAX: u8 = 8;

/// What was asked of the store.
pub(crate) enum Asked {
    /// For a page.
    Page { session: SessionId, question: Box<Question>, letter: OwnedLetter },
    /// For the ends.
    Ends(OwnedLetter),
    /// For the preferences, when the account came into memory.
    Load(AccountNumber),
    /// To keep new ones.
    Put { number: AccountNumber, preferences: Box<Preferences>, letter: OwnedLetter },
}

pub(crate) struct It;

impl Feature for It {
    /// The last id that was drawn.
    type Router = ArchiveId;
    type Account = Option<Box<Preferences>>;
    /// Pages that were asked for and not answered.
    type Line = u8;
    type Wait = Asked;

    const ACCOUNT: &'static [&'static str] = &[ns::MAM, ns::MAM_EXTENDED, ns::STANZA_ID];

    fn on_load(router: &mut Router, number: AccountNumber) {
        let op = Op::Document(preferences::load(number));
        router.ask(op, Waiting::Feature(Wait::archive(Asked::Load(number))));
    }

    /// What the sender may still look at once it is there.
    fn is_lasting(inside: &[xmpp::Node<'_>]) -> bool {
        // Unless the sender says otherwise (XEP-0334 4.1, 4.2).
        let hint =
            |node: &xmpp::Node<'_>| node.is("no-permanent-store", ns::HINTS) || node.is("no-store", ns::HINTS);
        !inside.is_empty() && !inside.iter().any(hint)
    }

    fn on_sent(
        router: &mut Router,
        line: LineId,
        letter: &mut Letter<'_>,
        sent: &Stanza<'_>,
        marks: &mut Vec<u8>,
    ) {
        // What somebody writes to itself is archived where it arrives.
        if letter.from == letter.to || !router.archives(letter.from, letter.to) || !is_kept(letter.kind) {
            return;
        }
        // An id that only an archive may say was left out when it was written anew: then that is what counts.
        if !sent.names_stanza_id() {
            letter.gist = Some(super::gist(sent));
        }
        if !is_lasting(letter) || router.is_exempt(letter.from, letter.to, || Stanza::parse(letter.stanza).ok()?.to()) {
            return;
        }
        let ack = Receipt::halve(&mut letter.ack);
        let id = router.append(letter.from, letter.to, letter.stanza, ack);
        write_stanza_id(marks, router.lines[line].bare(), id);
    }

    fn on_arrived(router: &mut Router, letter: &mut Letter<'_>, marks: &mut Vec<u8>) {
        if !router.archives(letter.to, letter.from) {
            return;
        }
        let bare = router.bare(letter.to);
        if !is_lasting(letter)
            || is_in_archive_of(letter, &bare)
            || router.is_exempt(letter.to, letter.from, || Stanza::parse(letter.stanza).ok()?.from())
        {
            return;
        }
        let ack = Receipt::halve(&mut letter.ack);
        let id = router.append(letter.to, letter.from, letter.stanza, ack);
        write_stanza_id(marks, &bare, id);
    }

    fn on_query(router: &mut Router, query: &Query<'_>, inner: &mut Vec<u8>) -> Option<Answer> {
        if query.payload.ns() != ns::MAM {
            return None;
        }
        // Section 7: an account's archive is the account's alone.
        let (Scope::Own, Some(line)) = (query.scope, query.line) else {
            let known = matches!(query.payload.name(), "query" | "metadata" | "prefs");
            return (known && query.scope != Scope::Server)
                .then(|| Answer::Error(StanzaError::new(StanzaCondition::Forbidden)));
        };
        let outcome = match (query.payload.name(), query.set) {
            ("query", true) => router.ask_page(line, query),
            ("query", false) => {
                query::write_form(inner);
                Ok(Answer::Result)
            }
            ("metadata", false) => {
                let op = Op::Archive(ArchiveOp::Ends { number: query.letter.to });
                let asked = Asked::Ends(head_of(query.letter));
                router.ask(op, Waiting::Feature(Wait::archive(asked)));
                Ok(Answer::Later)
            }
            ("prefs", false) => {
                router.write_preferences(query.letter.to, inner);
                Ok(Answer::Result)
            }
            ("prefs", true) => router.put_preferences(query),
            _ => return None,
        };
        Some(outcome.unwrap_or_else(Answer::Error))
    }

    fn on_reply(router: &mut Router, asked: Asked, answer: Result<Stored, StoreError>) {
        match asked {
            Asked::Page { session, question, letter } => router.archive_page_read(session, &question, &letter, answer),
            Asked::Ends(letter) => match answer {
                Ok(Stored::ArchiveEnds(ends)) => {
                    let mut inner = Vec::new();
                    query::write_ends(&mut inner, ends);
                    router.answer(&letter.borrow(), &inner);
                }
                answer => router.refuse(letter.borrow(), &not_read(answer.err().as_ref())),
            },
            Asked::Load(number) => router.preferences_read(number, answer),
            Asked::Put { number, preferences, letter } => {
                router.preferences_written(number, preferences, &letter, answer);
            }
        }
    }
}

/// Section 6.1: what people say to each other. Not what a chat room says: the room has an archive of its own.
fn is_kept(kind: Kind) -> bool {
    matches!(kind, Kind::Message(MessageType::Chat | MessageType::Normal))
}

/// What is worth keeping for who is away is worth keeping at all, unless the sender says otherwise.
fn is_lasting(letter: &mut Letter<'_>) -> bool {
    letter.gist().is_some_and(|gist| gist.lasting)
}

/// Whether a message bears this account's id already.
fn is_in_archive_of(letter: &Letter<'_>, bare: &str) -> bool {
    let ours = |node: xmpp::Node<'_>| {
        node.is("stanza-id", ns::STANZA_ID) && node.attr("by").as_deref() == Some(bare)
    };
    letter.gist.is_none_or(|gist| gist.names_stanza_id)
        && Stanza::parse(letter.stanza).is_ok_and(|stanza| stanza.children().any(ours))
}

/// XEP-0359 section 3.
fn write_stanza_id(out: &mut Vec<u8>, by: &str, id: ArchiveId) {
    write::open(out, "stanza-id").ns(ns::STANZA_ID).attr("by", by).attr_number("id", id.0).empty();
}

fn not_read(error: Option<&StoreError>) -> StanzaError {
    match error {
        // Section 4.1.3 and 4.3.2.
        Some(StoreError::NoSuchItem) => StanzaError::new(StanzaCondition::ItemNotFound),
        Some(StoreError::QuotaExceeded) => {
            busy().with_text("too many messages to look through: give a start, an end or an id")
        }
        _ => StanzaError::new(StanzaCondition::InternalServerError).with_type(ErrorType::Wait),
    }
}

impl Router {
    /// Keeps a message in one of its two archives. The share of work is done when it is committed.
    fn append(
        &mut self,
        of: AccountNumber,
        with: AccountNumber,
        stanza: &[u8],
        ack: Ack,
    ) -> ArchiveId {
        let last = self.features.archive.max(self.cfg.archive_floor);
        let id = last.next(self.now.wall);
        self.features.archive = id;
        let with = self.bare(with).into();
        let op = ArchiveOp::Append { number: of, id, with, stanza: stanza.to_vec() };
        // What could not be archived is delivered all the same, and nobody can do better by sending it again.
        self.ask_share(ack, Op::Archive(op));
        id
    }

    /// XEP-0313 section 4.
    fn ask_page(&mut self, line: LineId, query: &Query<'_>) -> Result<Answer, StanzaError> {
        let question = query::read(&query.payload)?;
        if self.lines[line].features.archive >= QUESTIONS_MAX || self.store_is_busy() {
            return Err(busy());
        }
        self.lines[line].features.archive += 1;
        let op = Op::Archive(question.to_op(query.letter.to));
        let (session, letter) = (self.lines[line].session, head_of(query.letter));
        let asked = Asked::Page { session, question: Box::new(question), letter };
        self.ask(op, Waiting::Feature(Wait::archive(asked)));
        Ok(Answer::Later)
    }

    fn archive_page_read(
        &mut self,
        session: SessionId,
        question: &Question,
        letter: &OwnedLetter,
        answer: Result<Stored, StoreError>,
    ) {
        // Nobody is there to read it.
        let Some(line) = self.lines.find(session) else { return self.processed(letter.ack) };
        self.lines[line].features.archive = self.lines[line].features.archive.saturating_sub(1);
        let Ok(Stored::Archive(mut page)) = answer else {
            return self.refuse(letter.borrow(), &not_read(answer.err().as_ref()));
        };
        let mut inner = Vec::new();
        query::write_fin(&mut inner, &page);
        if question.flip {
            page.rows.reverse();
        }
        if !self.lines[line].closing {
            for row in &page.rows {
                let (from, to) = (self.lines[line].bare(), self.lines[line].jid());
                let stanza = self.out.write(|out| {
                    query::write_result(out, from, to, question.queryid.as_deref(), row);
                });
                self.deliver(line, stanza, None);
            }
        }
        self.answer(&letter.borrow(), &inner);
    }
}

/// The number and the resource of an address at our domain.
pub(super) fn bare_of(address: &str) -> Option<String> {
    JidRef::parse(address).ok().map(|jid| jid.bare().to_owned())
}
