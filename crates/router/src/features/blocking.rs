//! Blocking: whom an account wants to hear nothing from, and say nothing to.
//!
//! Spec: XEP-0191 section 3 (the list, its pushes, what is refused and how); XEP-0377 sections 3 and 5 (why: a report that
//! comes along is kept for the operator).
//! Owns: the lists of the accounts in memory. Invariants: what is in force is what is committed; who is blocked sees an
//! account that is away.
//! Not here: blocking by the operator (disabling an account).

use store::{Answer as Stored, DocumentOp, Op, Quota, Space, StoreError};
use xmpp::address::{AccountNumber, Jid, JidRef};
use xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use xmpp::stanza::{Node, Stanza};
use xmpp::{ns, write};

use super::{Answer, Feature, Query, Scope, TurnedAway, Wait};
use crate::arrive::unavailable;
use crate::line::LineId;
use crate::parcel::{Letter, OwnedLetter};
use crate::reply::head_of;
use crate::route::{Kind, PresenceType};
use crate::router::{Router, busy};
use crate::waiting::Waiting;

/// The document that holds them.
const QUOTA: Quota = Quota { documents_max: 1, bytes_max: 4 << 20 };

/// Reports that are kept of one account, the last of each address; more are not.
const REPORTS_QUOTA: Quota = Quota { documents_max: 100, bytes_max: 256 * 1024 };

/// What was asked of the store.
pub(crate) enum Asked {
    /// For the list, when the account came into memory.
    Load(AccountNumber),
    /// To keep a new one: what was blocked or unblocked, and by which question.
    Put { number: AccountNumber, letter: OwnedLetter, list: Vec<Box<str>>, block: bool, items: Vec<Box<str>> },
    /// To keep why.
    Report,
}

/// What an account blocks.
#[derive(Default)]
pub(crate) struct Blocked {
    /// Addresses: bare, full, or a domain, with or without a resource.
    list: Vec<Box<str>>,
    /// The list as it will be once the store has done what it was asked, where a change is under way.
    next: Option<Next>,
}

struct Next {
    list: Vec<Box<str>>,
    /// Changes that the store has not answered.
    changes: usize,
}

/// The state of an account, without its weight where there is nothing to keep.
fn state(blocked: Blocked) -> Option<Box<Blocked>> {
    (!blocked.list.is_empty() || blocked.next.is_some()).then(|| Box::new(blocked))
}

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    /// None: nobody is blocked.
    type Account = Option<Box<Blocked>>;
    /// It asked for the list, so it is told of changes (3.3).
    type Line = bool;
    type Wait = Asked;

    const SERVER: &'static [&'static str] = &[ns::BLOCKING, ns::REPORTING];
    const ACCOUNT: &'static [&'static str] = &[ns::BLOCKING];

    /// A session that was saved had asked for the list, and goes on hearing of changes. INLINE does not name it: a client
    /// that asked for the list along with its resource would have to be sent it.
    fn on_inline(router: &mut Router, line: LineId, asked: &Node<'_>, _: &mut Vec<u8>) {
        router.lines[line].features.blocking |= asked.is("blocklist", ns::BLOCKING);
    }

    fn write_wishes(router: &Router, line: LineId, out: &mut Vec<u8>) {
        if router.lines[line].features.blocking {
            write::open(out, "blocklist").ns(ns::BLOCKING).empty();
        }
    }

    fn on_load(router: &mut Router, number: AccountNumber) {
        let op = DocumentOp::Load { number, space: Space::BlockList, name: "".into() };
        router.ask(Op::Document(op), Waiting::Feature(Wait::blocking(Asked::Load(number))));
    }

    fn refuse_sent(router: &mut Router, line: LineId, _: Kind, to: AccountNumber, full: &str) -> Option<StanzaError> {
        let number = router.lines[line].number;
        // 3.3.1: the sender is told that it is its own doing.
        router.blocks(number, to, Some(full)).then(|| {
            StanzaError::new(StanzaCondition::NotAcceptable)
                .with_type(ErrorType::Cancel)
                .with_application("blocked", ns::BLOCKING_ERRORS)
        })
    }

    fn turn_away(router: &mut Router, letter: &Letter<'_>) -> Option<TurnedAway> {
        router.accounts.get(letter.to)?.features.blocking.as_ref()?;
        let stanza = Stanza::parse(letter.stanza).ok()?;
        let from = stanza.from();
        router.blocks(letter.to, letter.from, from.as_deref()).then(|| match letter.kind {
            Kind::Message(_) | Kind::Iq(_) => TurnedAway::With(unavailable()),
            Kind::Presence(_) | Kind::Event | Kind::Wish => TurnedAway::Silently,
        })
    }

    fn hides(router: &Router, number: AccountNumber, from: AccountNumber) -> bool {
        router.blocks(number, from, None)
    }

    fn on_query(router: &mut Router, query: &Query<'_>, inner: &mut Vec<u8>) -> Option<Answer> {
        let payload = &query.payload;
        if payload.ns() != ns::BLOCKING {
            return None;
        }
        let line = query.line.filter(|_| query.scope == Scope::Own);
        let Some(line) = line else {
            return Some(Answer::Error(StanzaError::new(StanzaCondition::Forbidden)));
        };
        let number = query.letter.to;
        let blocked = router.accounts.get(number)?.features.blocking.as_deref();
        match (payload.name(), query.set) {
            ("blocklist", false) => {
                let list = blocked.map_or(&[][..], |blocked| &blocked.list);
                write::open(inner, "blocklist").ns(ns::BLOCKING).with(|out| write_items(out, list));
                router.lines[line].features.blocking = true;
                Some(Answer::Result)
            }
            ("block" | "unblock", true) => {
                // A change builds on those before it, whether or not the store has answered them.
                let list = blocked.map(|blocked| blocked.next.as_ref().map_or(&blocked.list, |next| &next.list));
                let list = list.cloned().unwrap_or_default();
                let outcome = router.change_block_list(query, list, payload.name() == "block");
                Some(outcome.unwrap_or_else(Answer::Error))
            }
            _ => None,
        }
    }

    fn on_reply(router: &mut Router, asked: Asked, answer: Result<Stored, StoreError>) {
        match asked {
            Asked::Load(number) => {
                let Some(account) = router.accounts.get_mut(number) else { return };
                match answer {
                    Ok(Stored::Document(found)) => {
                        let text = String::from_utf8(found.unwrap_or_default()).unwrap_or_default();
                        let list = text.lines().map(Box::from).collect();
                        account.features.blocking = state(Blocked { list, next: None });
                    }
                    // Nobody who is blocked gets through because a disk failed.
                    _ => account.unknown = true,
                }
            }
            Asked::Put { number, letter, list, block, items } => {
                router.block_list_answered(number);
                match answer {
                    Ok(_) => router.block_list_written(number, &letter, list, block, &items),
                    Err(StoreError::QuotaExceeded) => router.refuse(letter.borrow(), &too_long()),
                    Err(_) => {
                        let error = StanzaError::new(StanzaCondition::InternalServerError);
                        router.refuse(letter.borrow(), &error.with_type(ErrorType::Wait));
                    }
                }
            }
            // Whom it blocks is blocked, whether or not there was room for the reason.
            Asked::Report => {}
        }
    }
}

fn too_long() -> StanzaError {
    StanzaError::new(StanzaCondition::PolicyViolation).with_text("the list is too long")
}

fn write_items(out: &mut Vec<u8>, items: &[Box<str>]) {
    items.iter().for_each(|jid| write::open(out, "item").attr("jid", jid).empty());
}

impl Router {
    /// Whether an account blocks another; `full`: which address of the other, where that is known.
    fn blocks(&self, of: AccountNumber, other: AccountNumber, full: Option<&str>) -> bool {
        let Some(blocked) = self.accounts.get(of).and_then(|account| account.features.blocking.as_ref()) else {
            return false;
        };
        if of == other {
            return false;
        }
        // XEP-0016 2.1, which XEP-0191 follows: full, bare, domain with a resource, domain.
        let bare = self.bare(other);
        let resource = full.and_then(|full| full.split_once('/')).map(|(_, resource)| resource);
        let domain = &*self.cfg.domain;
        blocked.list.iter().any(|entry| {
            **entry == *bare
                || **entry == *domain
                || Some(&**entry) == full
                || entry
                    .split_once('/')
                    .is_some_and(|(place, end)| place == domain && Some(end) == resource)
        })
    }

    fn change_block_list(
        &mut self,
        query: &Query<'_>,
        mut list: Vec<Box<str>>,
        block: bool,
    ) -> Result<Answer, StanzaError> {
        let malformed = || StanzaError::new(StanzaCondition::JidMalformed);
        let mut items: Vec<Box<str>> = Vec::new();
        for item in query.payload.children().filter(|child| child.is("item", ns::BLOCKING)) {
            let jid = item.attr("jid").ok_or_else(malformed)?;
            items.push(Jid::parse(&jid).map_err(|_| malformed())?.as_str().into());
        }
        // 3.4.2 and 3.3.3: to block nobody is a mistake; to unblock nobody in particular is to unblock all.
        if block {
            if items.is_empty() {
                return Err(StanzaError::new(StanzaCondition::BadRequest));
            }
            items.retain(|item| !list.contains(item));
            list.extend(items.iter().cloned());
            let max = self.cfg.blocked_max;
            if list.len() > max {
                return Err(StanzaError::new(StanzaCondition::PolicyViolation).with_text(format!("at most {max} addresses")));
            }
        } else if items.is_empty() {
            items = std::mem::take(&mut list);
        } else {
            list.retain(|entry| !items.contains(entry));
        }
        if self.store_is_busy() {
            return Err(busy());
        }
        let number = query.letter.to;
        let value = list.join("\n").into_bytes();
        let op = DocumentOp::Put { number, space: Space::BlockList, name: "".into(), value, quota: QUOTA };
        let letter = head_of(query.letter);
        if let Some(account) = self.accounts.get_mut(number) {
            let blocked = account.features.blocking.get_or_insert_default();
            let changes = blocked.next.take().map_or(0, |next| next.changes);
            blocked.next = Some(Next { list: list.clone(), changes: changes + 1 });
        }
        let asked = Asked::Put { number, letter, list, block, items };
        self.ask(Op::Document(op), Waiting::Feature(Wait::blocking(asked)));
        if block {
            self.keep_reports(query);
        }
        Ok(Answer::Later)
    }

    /// XEP-0377 5: what an account says of whom it blocks.
    fn keep_reports(&mut self, query: &Query<'_>) {
        let number = query.letter.to;
        for item in query.payload.children().filter(|child| child.is("item", ns::BLOCKING)) {
            let report = item.child("report", ns::REPORTING);
            // Section 3: a report has a reason.
            let Some(report) = report.filter(|report| report.attr("reason").is_some()) else { continue };
            let Some(Ok(jid)) = item.attr("jid").map(|jid| Jid::parse(&jid)) else { continue };
            if self.store_is_busy() {
                return;
            }
            let mut value = Vec::new();
            let reported = write::open(&mut value, "reported").ns(store::document::REPORTS);
            reported.attr("stamp", &self.now.wall.to_string()).with(|out| report.write_alone(out));
            let (space, name, quota) = (Space::Reports, jid.as_str().into(), REPORTS_QUOTA);
            let op = DocumentOp::Put { number, space, name, value, quota };
            self.ask(Op::Document(op), Waiting::Feature(Wait::blocking(Asked::Report)));
        }
    }

    /// The store has answered a change. What it refused is not in the list; whatever was built on that has been written, or
    /// will be.
    fn block_list_answered(&mut self, number: AccountNumber) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        let Some(mut blocked) = account.features.blocking.take() else { return };
        blocked.next = blocked.next.take().and_then(|next| {
            let changes = next.changes.saturating_sub(1);
            (changes > 0).then_some(Next { changes, ..next })
        });
        account.features.blocking = state(*blocked);
    }

    fn block_list_written(
        &mut self,
        number: AccountNumber,
        letter: &OwnedLetter,
        list: Vec<Box<str>>,
        block: bool,
        items: &[Box<str>],
    ) {
        let contacts: Vec<AccountNumber> = items
            .iter()
            .filter_map(|item| JidRef::parse(item).ok()?.number())
            .filter(|contact| {
                let bare = self.bare(*contact);
                self.accounts.get(number).is_some_and(|account| account.standing(&bare).from)
            })
            .collect();
        // 3.3.1: who is blocked sees us leave, and comes back when it no longer is.
        if block {
            contacts.iter().for_each(|contact| self.show_all(number, *contact, PresenceType::Unavailable));
        }
        if let Some(account) = self.accounts.get_mut(number) {
            let next = account.features.blocking.take().and_then(|blocked| blocked.next);
            account.features.blocking = state(Blocked { list, next });
        }
        if !block {
            contacts.iter().for_each(|contact| self.show_all(number, *contact, PresenceType::Available));
        }
        self.answer(&letter.borrow(), &[]);
        let name = if block { "block" } else { "unblock" };
        for line in self.lines_of(number) {
            if !self.lines[line].features.blocking {
                continue;
            }
            self.last_number += 1;
            let (id, to) = (self.last_number, self.lines[line].jid());
            let push = self.out.write(|out| {
                let iq = write::open(out, "iq").attr("type", "set").attr("to", to);
                iq.attr("id", &format!("push-{id}")).with(|out| {
                    write::open(out, name).ns(ns::BLOCKING).with(|out| write_items(out, items));
                });
            });
            self.deliver(line, push, None);
        }
    }
}
