//! Why an import ended. Each is one line that says what, where and what to do.

use std::fmt;
use std::io;

use store::StoreError;
use xmpp::StreamErrorKind;
use xmpp::address::AccountNumber;

/// Where in which document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The document's name.
    pub document: String,
    /// How much of it was read.
    pub octet: u64,
    /// The account that was being read.
    pub number: Option<AccountNumber>,
}

/// Why an import ended.
#[derive(Debug)]
pub enum ImportError {
    /// Something at a place in a document.
    At(Place, Box<ImportError>),
    /// No host of the domain is in it.
    NoHost {
        /// The domain.
        wanted: Option<String>,
        /// Those that are.
        hosts: Vec<String>,
    },
    /// It is no document of XEP-0227.
    NoExport,
    /// It is no XML, or longer or deeper than it may be.
    Xml(StreamErrorKind),
    /// It ends in the middle.
    Cut,
    /// It cannot be read.
    Io(io::Error),
    /// A part cannot be read, or its address leads out of the folder.
    Include(String, Option<io::Error>),
    /// There is such an account, or there was once.
    Taken(AccountNumber),
    /// Keys that are none.
    Keys(&'static str),
    /// A password that cannot be one.
    Password(String),
    /// An account has more of something than it may.
    TooMany(&'static str),
    /// Something cannot be kept.
    Store {
        /// Whose.
        number: Option<AccountNumber>,
        /// What.
        what: &'static str,
        /// Why.
        error: StoreError,
    },
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(place, why) => {
                // A number that is taken is the operator's matter, not the document's.
                if let Self::Taken(_) = **why {
                    return why.fmt(f);
                }
                write!(f, "{}, in its first {} octets", place.document, place.octet)?;
                if let Some(number) = place.number {
                    write!(f, ", account {number}")?;
                }
                write!(f, ": {why}")
            }
            Self::NoHost { wanted: Some(wanted), hosts } if !hosts.is_empty() => {
                write!(f, "no host {wanted} in it, but {}: name one with --domain", hosts.join(", "))
            }
            Self::NoHost { .. } => f.write_str("no host in it"),
            Self::NoExport => f.write_str("this is no server-data of XEP-0227"),
            Self::Xml(StreamErrorKind::PolicyViolation) => {
                f.write_str("an element is longer or deeper than one may be")
            }
            Self::Xml(kind) => write!(f, "this is not XML as XMPP has it ({kind})"),
            Self::Cut => f.write_str("it ends in the middle"),
            Self::Io(error) => error.fmt(f),
            Self::Include(href, None) => {
                write!(f, "the part {href} is not read: only files beside and below this one are")
            }
            Self::Include(href, Some(error)) => write!(f, "the part {href}: {error}"),
            Self::Taken(number) => write!(
                f,
                "there is an account {number} here, or there was one: numbers are never given out again"
            ),
            Self::Keys(why) => write!(f, "scram-credentials: {why}"),
            Self::Password(why) => write!(f, "the password: {why}"),
            Self::TooMany(what) => write!(f, "more {what} than an account may have"),
            Self::Store { what, error: StoreError::QuotaExceeded, .. } => {
                write!(f, "{what}: more than an account may have; the configuration says how much that is")
            }
            Self::Store { what, error, .. } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for ImportError {}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Store { number: None, what: "keeping it", error }
    }
}
