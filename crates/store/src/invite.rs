//! Invites: what lets somebody make an account who has none, and the number that waits for them.
//!
//! Spec: XEP-0445 section 4, XEP-0401 (who invites whom).
//! Owns: the values. Invariants: an invite is known by a hash of its token only, so a copied data folder lets nobody in.
//! Not here: tokens (`session::invite`), who may invite (`server`).

use std::time::Duration;

use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

/// Invites at a time; one more is refused. Each holds a number back, perhaps.
pub const INVITES_MAX: u64 = 10_000;

/// An invite that was shown in time may be used up to this much later (XEP-0445 4: it is judged once); its number waits
/// as long.
pub const GRACE: Duration = Duration::from_secs(15 * 60);

/// An invite, known by a hash of its token.
pub type InviteMark = [u8; 32];

/// What is kept of an invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// What it is known by.
    pub mark: InviteMark,
    /// The number that is held back for it; none until it is shown, where none was asked for.
    pub number: Option<AccountNumber>,
    /// Good until then.
    pub expires: Wallclock,
    /// Who invites, if it was somebody with a number: the two know each other from the beginning (XEP-0401 4.5).
    pub inviter: Option<AccountNumber>,
}
