//! Reading: a document is walked through once, and what stands in it is asked of the store as it comes.
//!
//! Spec: XEP-0227 section 3 (the elements), 4 (parts that lie elsewhere), 5 (what is not to be followed).
//! Owns: where the reader stands, and what of one account has to be seen whole before it can be kept. Invariants: an
//! account is made before anything is kept for it, so a number that is in use ends the import; elements that are not known
//! are passed over, and told of.
//! Not here: what becomes of each element of an account (`user`, `messages`).

mod error;
mod messages;
mod user;

use std::io::Read;

use store::{Answer, Credentials, Op, StoreError};
use xmpp::address::{AccountNumber, BareJid};
use xmpp::ns;
use xmpp::scanner::Limits;
use xmpp::scanner::nested::{Nested, Piece, Tag};
use xmpp::stanza::Stanza;
use xmpp::time::Wallclock;

pub use self::error::ImportError;
use self::error::Place;
use self::user::User;
use crate::words::XINCLUDE;
use crate::{Ask, Counts, PIE, PIE_MAM};

/// The longest element that is not walked through: a vCard with its picture, a message, an item.
const ELEMENT_BYTES_MAX: u32 = 8 << 20;

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// Documents included in each other: hosts, accounts, a part of one, and one to spare.
const INCLUDED_MAX: usize = 4;

/// Remarks that are kept; of others only their number.
const NOTES_MAX: usize = 100;

/// What an account may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// The longest stanza in octets.
    pub stanza_max: usize,
    /// Contacts, requests included.
    pub roster_max: usize,
    /// Addresses that it blocks.
    pub blocked_max: usize,
    /// Nodes.
    pub nodes_max: u32,
    /// Items of a node.
    pub items_max: u32,
    /// Octets of all items.
    pub published_bytes_max: u64,
    /// Octets of a vCard with its picture.
    pub card_bytes_max: u64,
    /// Elements of private XML.
    pub private_max: u64,
    /// Their octets.
    pub private_bytes_max: u64,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How much was taken.
    pub counts: Counts,
    /// The domain whose accounts they are.
    pub domain: Option<String>,
    /// What an operator should know, a line each: first of all what was not taken.
    pub notes: Vec<String>,
    /// Remarks beyond those.
    pub more_notes: u64,
    /// Every iteration count among the keys that were taken.
    pub iterations: Vec<u32>,
}

impl Report {
    fn note(&mut self, note: impl FnOnce() -> String) {
        if self.notes.len() < NOTES_MAX {
            let note = note();
            // What somebody else wrote stays a line.
            let line = note.chars().map(|c| if c.is_control() { ' ' } else { c });
            self.notes.push(line.take(300).collect());
        } else {
            self.more_notes += 1;
        }
    }
}

/// An import that is under way.
pub struct Import<'a> {
    /// What keeps it. Whoever asks sees to it that all is kept or nothing.
    pub ask: &'a mut Ask<'a>,
    /// Whose accounts are wanted; `None`: those of the first host that comes.
    pub domain: Option<String>,
    /// The time.
    pub now: Wallclock,
    /// What an account may hold.
    pub quotas: Quotas,
    /// The keys of a password that is told.
    pub derive: &'a mut dyn FnMut(&str) -> Result<Credentials, String>,
    /// A part of the document that lies elsewhere, by its relative address.
    pub include: &'a mut dyn FnMut(&str) -> std::io::Result<Box<dyn Read>>,
    /// Hears how far it has come, after each account.
    pub told: &'a mut dyn FnMut(Counts),
}

/// Where the reader stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// Before the document's first element.
    Outside,
    /// In `server-data`.
    Data,
    /// In a `host` that is wanted.
    Host,
    /// In a `user`.
    User,
    /// In its roster.
    Roster,
    /// In its private XML.
    Private,
    /// In its messages that wait.
    Waiting,
    /// In its archive.
    Archive,
    /// In what its nodes are.
    Nodes,
    /// In what its nodes hold.
    Published,
    /// In what one of them holds.
    Items(Box<str>),
    /// In what is passed over.
    Elsewhere,
}

impl Level {
    /// The level inside of an element, if that is one to be entered.
    fn inside(&self, ns: &str, name: &str) -> Option<Level> {
        Some(match (self, ns, name) {
            (Self::Elsewhere, ..) => Self::Elsewhere,
            (Self::Outside, PIE, "server-data") => Self::Data,
            (Self::Data, PIE, "host") => Self::Host,
            (Self::Host, PIE, "user") => Self::User,
            (Self::User, ns::ROSTER, "query") => Self::Roster,
            (Self::User, ns::PRIVATE, "query") => Self::Private,
            (Self::User, PIE, "offline-messages") => Self::Waiting,
            (Self::User, PIE_MAM, "archive") => Self::Archive,
            (Self::User, ns::PUBSUB_OWNER, "pubsub") => Self::Nodes,
            (Self::User, ns::PUBSUB, "pubsub") => Self::Published,
            (Self::Published, ns::PUBSUB, "items") => Self::Items("".into()),
            _ => return None,
        })
    }
}

impl Import<'_> {
    /// Reads documents, one after the other, each a whole one.
    ///
    /// # Errors
    /// When one is no such document, or holds what cannot be kept. What was kept until then must be forgotten.
    pub fn run(
        self,
        documents: &mut dyn Iterator<Item = (String, Box<dyn Read>)>,
    ) -> Result<Report, ImportError> {
        let mut reader = Reader { hosts: Vec::new(), user: None, report: Report::default(), import: self };
        for (name, mut document) in documents {
            let mut place = Place { document: name, octet: 0, number: None };
            let read = reader.document(&mut *document, Level::Outside, 0, &mut place);
            place.number = reader.user.as_ref().map(|user| user.number);
            read.map_err(|why| ImportError::At(place, Box::new(why)))?;
        }
        if reader.report.domain.is_none() {
            return Err(ImportError::NoHost { wanted: reader.import.domain.clone(), hosts: reader.hosts });
        }
        Ok(reader.report)
    }
}

struct Reader<'a> {
    import: Import<'a>,
    report: Report,
    /// Hosts that were not wanted.
    hosts: Vec<String>,
    /// The account that is being read.
    user: Option<Box<User>>,
}

impl Reader<'_> {
    /// Reads one document, whose elements stand at this level.
    fn document(
        &mut self,
        document: &mut dyn Read,
        level: Level,
        included: usize,
        place: &mut Place,
    ) -> Result<(), ImportError> {
        let mut nested = Nested::new(Limits::of(ELEMENT_BYTES_MAX));
        let mut levels = vec![level];
        let mut chunk = vec![0; CHUNK];
        let mut head = Head::Due;
        if included > 0 {
            // A part is read as if it stood where it is included (section 4).
            nested.feed(format!("<part xmlns='{PIE}'>").as_bytes());
        }
        loop {
            let here = levels.last().cloned().unwrap_or(Level::Elsewhere);
            let is_root = nested.depth() == 0;
            let piece = nested.next(|ns, name| here.inside(ns, name).is_some());
            match piece.map_err(ImportError::Xml)? {
                Some(Piece::Enter(_)) if is_root && included > 0 => {}
                Some(Piece::Enter(tag)) => {
                    let inside = self.enter(&here, &tag)?;
                    levels.push(inside);
                }
                // The end of what was put around a part.
                Some(Piece::Leave) if levels.len() == 1 => {}
                Some(Piece::Leave) => {
                    if levels.pop() == Some(Level::User) {
                        self.finish_user()?;
                    }
                }
                Some(Piece::Element(element)) if element.is("include", XINCLUDE) => match here {
                    Level::Data | Level::Host | Level::User => {
                        let href = element.attr("href").unwrap_or_default().into_owned();
                        self.included(&href, here, included, place)?;
                    }
                    // Section 5: somebody's own data.
                    _ => self.element(&here, &element)?,
                },
                Some(Piece::Element(element)) => self.element(&here, &element)?,
                None => {
                    let len = match document.read(&mut chunk) {
                        Ok(len) => len,
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(ImportError::Io(error)),
                    };
                    place.octet += len as u64;
                    match len {
                        0 if included > 0 && head != Head::Over => {
                            head = Head::Over;
                            nested.feed(b"</part>");
                        }
                        0 if nested.has_ended() => return Ok(()),
                        0 => return Err(ImportError::Cut),
                        len if included > 0 => nested.feed(head.without_declaration(&chunk[..len])?),
                        len => nested.feed(&chunk[..len]),
                    }
                }
            }
        }
    }

    fn included(
        &mut self,
        href: &str,
        level: Level,
        included: usize,
        place: &mut Place,
    ) -> Result<(), ImportError> {
        let inward = !href.is_empty()
            && !href.starts_with('/')
            && !href.contains([':', '\\'])
            && href.split('/').all(|step| !matches!(step, "" | "." | ".."));
        if !inward || included >= INCLUDED_MAX {
            return Err(ImportError::Include(href.to_owned(), None));
        }
        let mut part = (self.import.include)(href)
            .map_err(|error| ImportError::Include(href.to_owned(), Some(error)))?;
        let around = std::mem::replace(place, Place { document: href.to_owned(), octet: 0, number: None });
        self.document(&mut *part, level, included + 1, place)?;
        *place = around;
        Ok(())
    }

    /// Enters an element.
    fn enter(&mut self, here: &Level, tag: &Tag<'_>) -> Result<Level, ImportError> {
        let Some(inside) = here.inside(tag.ns(), tag.name()) else { return Err(ImportError::NoExport) };
        match inside {
            Level::Host => {
                let host = tag.attr("jid").unwrap_or_default().into_owned();
                let host = BareJid::parse(&host).map_or(host, |jid| jid.as_str().to_owned());
                if *self.import.domain.get_or_insert_with(|| host.clone()) == host {
                    self.report.domain = Some(host);
                    return Ok(Level::Host);
                }
                self.report
                    .note(|| format!("the host {host} is left out: its accounts are not of this domain"));
                if self.hosts.len() < NOTES_MAX {
                    self.hosts.push(host);
                }
                Ok(Level::Elsewhere)
            }
            Level::User => {
                let name = tag.attr("name").unwrap_or_default();
                let Some(number) = AccountNumber::parse(&name) else {
                    self.report.note(|| format!("{name} is left out: an account here is called by a number"));
                    return Ok(Level::Elsewhere);
                };
                let password = tag.attr("password");
                self.begin_user(number, password.as_deref())?;
                Ok(Level::User)
            }
            Level::Items(_) => Ok(Level::Items(tag.attr("node").unwrap_or_default().into())),
            inside => Ok(inside),
        }
    }

    /// Takes an element that is not entered.
    fn element(&mut self, here: &Level, element: &Stanza<'_>) -> Result<(), ImportError> {
        match here {
            Level::Elsewhere => Ok(()),
            Level::Outside => Err(ImportError::NoExport),
            Level::Data | Level::Host => {
                let name = element.name();
                self.report.note(|| format!("an element `{name}` is not known and left out"));
                Ok(())
            }
            Level::User => self.part_of_user(element),
            Level::Roster => self.contact(element),
            Level::Private => self.private(element),
            Level::Waiting => self.waiting(element),
            Level::Archive => self.archived(element),
            Level::Nodes => self.node(element),
            Level::Published => Ok(()),
            Level::Items(node) => self.item(node, element),
        }
    }

    /// Asks for something of the account that is being read.
    fn ask(&mut self, what: &'static str, op: Op) -> Result<Answer, ImportError> {
        let number = self.user.as_ref().map(|user| user.number);
        (self.import.ask)(op).map_err(|error| match (error, number) {
            (StoreError::NumberTaken, Some(number)) => ImportError::Taken(number),
            (error, number) => ImportError::Store { number, what, error },
        })
    }

    /// A remark about the account that is being read.
    fn note(&mut self, note: impl FnOnce(AccountNumber) -> String) {
        let Some(number) = self.user.as_ref().map(|user| user.number) else { return };
        self.report.note(|| note(number));
    }
}

/// What may stand before the first element of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// Nothing has come yet.
    Due,
    /// It has passed.
    Passed,
    /// All has come.
    Over,
}

impl Head {
    /// The first octets of a part, without its XML declaration, which must not stand inside of a document.
    fn without_declaration<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], ImportError> {
        if std::mem::replace(self, Head::Passed) == Head::Passed || !chunk.starts_with(b"<?xml") {
            return Ok(chunk);
        }
        // A declaration is a line; one that does not end in the first octets that are read is none.
        let end = chunk.windows(2).position(|two| two == b"?>").ok_or(ImportError::NoExport)?;
        Ok(&chunk[end + 2..])
    }
}

#[cfg(test)]
mod tests;
