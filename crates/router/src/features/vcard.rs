//! vCards: what somebody says of itself, for its contacts.
//!
//! Spec: XEP-0054 section 3 (get and set), XEP-0153 (the picture's hash), XEP-0398 (a published avatar is the picture).
//! Owns: nothing; the store keeps the card and the picture, the account the hash. Invariants: who may not see an account's
//! presence does not see its card either, unless the exchange is told otherwise.
//! Not here: avatars as they are published (another feature; what it leaves in the store is shown here).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use store::{Answer as Stored, DocumentOp, Op, Quota, Space, StoreError};
use xmpp::address::AccountNumber;
use xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use xmpp::stanza::Stanza;
use xmpp::{ns, write};

use super::{Answer, Feature, Query, Scope, Wait};
use crate::parcel::OwnedLetter;
use crate::reply::head_of;
use crate::router::{Router, busy};
use crate::waiting::Waiting;

/// The card, a published picture, and its hash.
const DOCUMENTS: u64 = 4;

/// What was asked of the store.
pub(crate) enum Asked {
    /// For the hash, when the account came into memory.
    Photo(AccountNumber),
    /// For a published picture, and then for the card.
    Picture(OwnedLetter),
    Card { letter: OwnedLetter, picture: Option<Vec<u8>> },
    /// To keep a card; this is its picture's hash.
    Put { number: AccountNumber, letter: OwnedLetter, photo: Option<String> },
    /// To keep or forget what goes with it.
    Rest,
}

pub(crate) struct It;

fn load(number: AccountNumber, name: &str) -> Op {
    Op::Document(DocumentOp::Load { number, space: Space::VCard, name: name.into() })
}

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = Asked;

    const ACCOUNT: &'static [&'static str] = &[ns::VCARD];

    fn on_load(router: &mut Router, number: AccountNumber) {
        let asked = Waiting::Feature(Wait::vcard(Asked::Photo(number)));
        router.ask(load(number, "photo"), asked);
    }

    fn on_query(router: &mut Router, query: &Query<'_>, _: &mut Vec<u8>) -> Option<Answer> {
        if !query.payload.is("vCard", ns::VCARD) || query.scope == Scope::Server {
            return None;
        }
        let own = query.scope == Scope::Own;
        let seen = query.scope == (Scope::Other { subscribed: true }) || router.cfg.profiles_open;
        if query.set && !own {
            return Some(Answer::Error(StanzaError::new(StanzaCondition::Forbidden)));
        }
        // Whether a stranger's account exists is not told.
        if !own && !seen {
            return None;
        }
        if router.store_is_busy() {
            return Some(Answer::Error(busy()));
        }
        let (number, letter) = (query.letter.to, head_of(query.letter));
        if !query.set {
            router.ask(load(number, "avatar"), Waiting::Feature(Wait::vcard(Asked::Picture(letter))));
            return Some(Answer::Later);
        }
        let mut value = Vec::new();
        query.payload.write_alone(&mut value);
        let photo = query.payload.child("PHOTO", ns::VCARD).and_then(|photo| photo.child("BINVAL", ns::VCARD));
        let photo = photo.and_then(|data| {
            let text: String = data.text().split_whitespace().collect();
            let picture = STANDARD.decode(text).ok()?;
            Some(xmpp::hex(Sha1::digest(picture)))
        });
        let quota = Quota { documents_max: DOCUMENTS, bytes_max: router.cfg.vcard_bytes_max };
        let op = DocumentOp::Put { number, space: Space::VCard, name: "".into(), value, quota };
        router.ask(Op::Document(op), Waiting::Feature(Wait::vcard(Asked::Put { number, letter, photo })));
        Some(Answer::Later)
    }

    fn on_reply(router: &mut Router, asked: Asked, answer: Result<Stored, StoreError>) {
        match asked {
            Asked::Photo(number) => {
                if let Ok(Stored::Document(photo)) = answer
                    && let Some(account) = router.accounts.get_mut(number)
                {
                    account.photo = photo.and_then(|hash| Some(String::from_utf8(hash).ok()?.into()));
                }
            }
            Asked::Picture(letter) => match answer {
                Ok(Stored::Document(picture)) => {
                    let op = load(letter.to, "");
                    let asked = Asked::Card { letter, picture };
                    router.ask(op, Waiting::Feature(Wait::vcard(asked)));
                }
                _ => router.refuse(letter.borrow(), &failed()),
            },
            Asked::Card { letter, picture } => match answer {
                Ok(Stored::Document(card)) => {
                    // XEP-0054 3.1: who has none has an empty one.
                    let inner = with_picture(card.as_deref(), picture.as_deref());
                    router.answer(&letter.borrow(), &inner);
                }
                _ => router.refuse(letter.borrow(), &failed()),
            },
            Asked::Put { number, letter, photo } => match answer {
                Ok(_) => {
                    router.answer(&letter.borrow(), &[]);
                    router.keep_photo(number, photo);
                }
                Err(StoreError::QuotaExceeded) => {
                    let error = StanzaError::new(StanzaCondition::PolicyViolation);
                    router.refuse(letter.borrow(), &error.with_text("the vCard is too long"));
                }
                Err(_) => router.refuse(letter.borrow(), &failed()),
            },
            Asked::Rest => {}
        }
    }
}

fn failed() -> StanzaError {
    StanzaError::new(StanzaCondition::InternalServerError).with_type(ErrorType::Wait)
}

impl Router {
    /// The card's picture is the newest, so one that was published before gives way.
    fn keep_photo(&mut self, number: AccountNumber, photo: Option<String>) {
        let space = Space::VCard;
        let quota = Quota { documents_max: DOCUMENTS, bytes_max: u64::MAX };
        let avatar = DocumentOp::Remove { number, space, name: "avatar".into() };
        let name = "photo".into();
        let hash = match &photo {
            Some(hash) => DocumentOp::Put { number, space, name, value: hash.clone().into_bytes(), quota },
            None => DocumentOp::Remove { number, space, name },
        };
        for op in [avatar, hash] {
            self.ask(Op::Document(op), Waiting::Feature(Wait::vcard(Asked::Rest)));
        }
        self.set_photo(number, photo.map(String::into_boxed_str));
    }
}

/// A card, its picture replaced if another was published.
fn with_picture(card: Option<&[u8]>, picture: Option<&[u8]>) -> Vec<u8> {
    let parsed = card.and_then(|card| Stanza::parse(card).ok());
    let (Some(picture), card) = (picture, parsed) else {
        let mut empty = Vec::new();
        write::open(&mut empty, "vCard").ns(ns::VCARD).empty();
        return card.map_or(empty, <[u8]>::to_vec);
    };
    let mut out = Vec::new();
    write::open(&mut out, "vCard").ns(ns::VCARD).with(|out| {
        if let Some(card) = card {
            for child in card.children().filter(|child| !child.is("PHOTO", ns::VCARD)) {
                child.write_alone(out);
            }
        }
        out.extend_from_slice(picture);
    });
    out
}
