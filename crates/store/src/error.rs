//! Why a request was refused. Each leaves everything as it was.

use std::fmt;
use std::sync::Arc;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// No account has this number.
    NoSuchAccount,
    /// The number is in use, or was once.
    NumberTaken,
    /// The roster has no item for this contact.
    NoSuchItem,
    /// The account holds as much of this as [`Limits`](crate::Limits) let it.
    QuotaExceeded,
    /// The disk is full. What was acknowledged is safe; reading and deleting may still work.
    Full,
    /// The back end failed, in its own words. It says so of each later request too when it can no longer vouch for what
    /// it writes (a failed `fsync`): the exchange must then be restarted.
    Failed(Arc<str>),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchAccount => f.write_str("no account has this number"),
            Self::NumberTaken => {
                f.write_str("this number is in use, or was once, and is never given out again")
            }
            Self::NoSuchItem => f.write_str("the roster has no such contact"),
            Self::QuotaExceeded => f.write_str("the account's quota is used up"),
            Self::Full => f.write_str("the disk that holds the data folder is full"),
            Self::Failed(why) => write!(f, "the store failed: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}
