//! Preferences: whose messages an account wants archived.
//!
//! Spec: XEP-0441 section 2.1 (the default and the two lists), 2.3 (what matches an entry).
//! Owns: what one account said. Invariants: what is in force is what is committed; who said nothing has the exchange's
//! default, whatever it becomes.
//! Not here: when a message is archived (`archive`).

use std::borrow::Cow;

use store::{Answer as Stored, DocumentOp, Op, Quota, Space, StoreError};
use xmpp::address::{AccountNumber, Jid};
use xmpp::error::{StanzaCondition, StanzaError};
use xmpp::stanza::{Node, Stanza};
use xmpp::{ns, write};

use super::{Answer, Asked, Wait, bare_of, not_read};
use crate::config::ArchivePolicy;
use crate::features::Query;
use crate::parcel::OwnedLetter;
use crate::reply::head_of;
use crate::router::{Router, busy};
use crate::waiting::Waiting;

/// Addresses in both lists together.
const ADDRESSES_MAX: usize = 1_000;

/// The longest document that holds them.
const QUOTA: Quota = Quota { documents_max: 1, bytes_max: 256 * 1024 };

/// What an account said.
pub(crate) struct Preferences {
    default: ArchivePolicy,
    /// Bare or full addresses, normalised.
    always: Vec<Box<str>>,
    never: Vec<Box<str>>,
}

impl Preferences {
    fn read(prefs: &Node<'_>) -> Result<Self, StanzaError> {
        let bad_request = || StanzaError::new(StanzaCondition::BadRequest);
        let default = prefs.attr("default").ok_or_else(bad_request)?;
        let default = ArchivePolicy::from_name(&default).ok_or_else(bad_request)?;
        let list = |name| -> Result<Vec<Box<str>>, StanzaError> {
            let Some(list) = prefs.child(name, ns::MAM) else { return Ok(Vec::new()) };
            let addresses = list.children().filter(|child| child.is("jid", ns::MAM));
            let parsed = addresses.map(|jid| Jid::parse(jid.text().trim()).map(|jid| jid.as_str().into()));
            parsed.collect::<Result<_, _>>().map_err(|_| StanzaError::new(StanzaCondition::JidMalformed))
        };
        let (always, never) = (list("always")?, list("never")?);
        if always.len() + never.len() > ADDRESSES_MAX {
            return Err(StanzaError::new(StanzaCondition::PolicyViolation)
                .with_text("at most 1000 addresses in both lists together"));
        }
        Ok(Self { default, always, never })
    }

    fn write(&self, out: &mut Vec<u8>) {
        write(out, self.default, &self.always, &self.never);
    }
}

fn write(out: &mut Vec<u8>, default: ArchivePolicy, always: &[Box<str>], never: &[Box<str>]) {
    write::open(out, "prefs").ns(ns::MAM).attr("default", default.name()).with(|out| {
        for (name, list) in [("always", always), ("never", never)] {
            write::open(out, name).with(|out| list.iter().for_each(|jid| write::open(out, "jid").text(jid)));
        }
    });
}

pub(super) fn load(number: AccountNumber) -> DocumentOp {
    DocumentOp::Load { number, space: Space::ArchivePreferences, name: "".into() }
}

impl Router {
    /// Whether messages between an account and another are archived for it, as far as that is known without reading one.
    pub(super) fn archives(&self, of: AccountNumber, with: AccountNumber) -> bool {
        let preferences = self.accounts.get(of).and_then(|account| account.features.archive.as_deref());
        match preferences {
            None => match self.cfg.archive {
                ArchivePolicy::Always => true,
                ArchivePolicy::Never => false,
                ArchivePolicy::Roster => self.has_in_roster(of, with),
            },
            Some(preferences) if preferences.always.is_empty() && preferences.never.is_empty() => {
                match preferences.default {
                    ArchivePolicy::Always => true,
                    ArchivePolicy::Never => false,
                    ArchivePolicy::Roster => self.has_in_roster(of, with),
                }
            }
            // A list may name one resource, so the message must be looked at.
            Some(_) => true,
        }
    }

    /// Whether the lists say that it is not archived after all. An entry of `never` counts more than one of `always`.
    /// `address`: the one at the other end, which is asked for only where there are lists.
    pub(super) fn is_exempt<'a>(
        &self,
        of: AccountNumber,
        with: AccountNumber,
        address: impl FnOnce() -> Option<Cow<'a, str>>,
    ) -> bool {
        let Some(preferences) = self.accounts.get(of).and_then(|account| account.features.archive.as_deref())
        else {
            return false;
        };
        if preferences.always.is_empty() && preferences.never.is_empty() {
            return false;
        }
        let address = address();
        let address = address.as_deref();
        let bare = address.and_then(bare_of);
        let is_in = |list: &[Box<str>]| {
            list.iter().any(|entry| Some(&**entry) == address || Some(&**entry) == bare.as_deref())
        };
        let kept = !is_in(&preferences.never)
            && (is_in(&preferences.always)
                || match preferences.default {
                    ArchivePolicy::Always => true,
                    ArchivePolicy::Never => false,
                    ArchivePolicy::Roster => self.has_in_roster(of, with),
                });
        !kept
    }

    fn has_in_roster(&self, of: AccountNumber, with: AccountNumber) -> bool {
        let Some(account) = self.accounts.get(of) else { return false };
        account.item(&self.bare(with)).is_some_and(|item| item.listed)
    }

    pub(super) fn write_preferences(&self, number: AccountNumber, inner: &mut Vec<u8>) {
        match self.accounts.get(number).and_then(|account| account.features.archive.as_deref()) {
            Some(preferences) => preferences.write(inner),
            None => write(inner, self.cfg.archive, &[], &[]),
        }
    }

    pub(super) fn put_preferences(&mut self, query: &Query<'_>) -> Result<Answer, StanzaError> {
        let preferences = Box::new(Preferences::read(&query.payload)?);
        if self.store_is_busy() {
            return Err(busy());
        }
        let number = query.letter.to;
        let mut value = Vec::new();
        preferences.write(&mut value);
        let space = Space::ArchivePreferences;
        let op = DocumentOp::Put { number, space, name: "".into(), value, quota: QUOTA };
        let asked = Asked::Put { number, preferences, letter: head_of(query.letter) };
        self.ask(Op::Document(op), Waiting::Feature(Wait::archive(asked)));
        Ok(Answer::Later)
    }

    pub(super) fn preferences_written(
        &mut self,
        number: AccountNumber,
        preferences: Box<Preferences>,
        letter: &OwnedLetter,
        answer: Result<Stored, StoreError>,
    ) {
        if let Err(error) = answer {
            return self.refuse(letter.borrow(), &not_read(Some(&error)));
        }
        if let Some(account) = self.accounts.get_mut(number) {
            account.features.archive = Some(preferences);
        }
        let mut inner = Vec::new();
        self.write_preferences(number, &mut inner);
        self.answer(&letter.borrow(), &inner);
    }

    pub(super) fn preferences_read(&mut self, number: AccountNumber, answer: Result<Stored, StoreError>) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        let read = |value: Vec<u8>| Preferences::read(&Stanza::parse(&value).ok()?.node()).ok();
        match answer {
            Ok(Stored::Document(None)) => account.features.archive = None,
            Ok(Stored::Document(Some(value))) if let Some(preferences) = read(value.clone()) => {
                account.features.archive = Some(Box::new(preferences));
            }
            // Nothing is archived against somebody's will because a disk failed.
            _ => account.unknown = true,
        }
    }
}
