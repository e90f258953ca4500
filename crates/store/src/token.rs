//! Tokens: what is kept so that a client which has logged in before may do so again without the password.
//!
//! Spec: XEP-0484 (FAST), its section 5.1 for the two tokens that a client may have at a time.
//! Owns: the values. Invariants: nothing here logs anybody in: a token is derived from what only its client knows and
//! the [`Token::nonce`], and the client itself is known by a keyed hash.
//! Not here: the derivation and the proof (`session`'s tokens).

use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

/// Clients of one account that may have tokens; one more costs the tokens of the one whose expire first.
pub const AGENTS_MAX: usize = 64;

/// A client of an account, known by a keyed hash of the id that it gave itself (XEP-0388 2.3).
pub type AgentMark = [u8; 32];

/// One password of an account, told from the ones before and after it.
pub type PasswordMark = [u8; 32];

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is derived from, together with its client's id. Random; no secret.
    pub nonce: [u8; 32],
    /// The one mechanism that it is good for.
    pub mechanism: String,
    /// Good until then.
    pub expires: Wallclock,
    /// The highest count that its client has logged in with (XEP-0484 3.4).
    pub count: u32,
    /// It has been given out, and its client has not used it yet.
    pub fresh: bool,
}

/// One change of a client's tokens, which takes place whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenChange {
    /// Whose.
    pub number: AccountNumber,
    /// Which client's.
    pub agent: AgentMark,
    /// What the client proved. If it is no longer true, nothing changes.
    pub authority: Authority,
    /// The client's tokens are forgotten, once it has used one to say so (XEP-0484 3.6).
    pub forget: bool,
    /// A new token. It takes the place of one that was given out and never used.
    pub issue: Option<NewToken>,
}

/// What a client proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// That it knows the password with this mark ([`crate::Credentials::mark`]).
    Password(PasswordMark),
    /// That it has the token with this nonce. The token that was given out before it is forgotten.
    Token {
        /// Which.
        nonce: [u8; 32],
        /// A count that must be higher than any before, if the client counts.
        count: Option<u32>,
    },
}

/// A token that is given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// As in [`Token`].
    pub nonce: [u8; 32],
    /// As in [`Token`].
    pub mechanism: String,
    /// As in [`Token`].
    pub expires: Wallclock,
}

impl NewToken {
    /// As it is kept until it is used.
    #[must_use]
    pub fn kept(&self) -> Token {
        Token {
            nonce: self.nonce,
            mechanism: self.mechanism.clone(),
            expires: self.expires,
            count: 0,
            fresh: true,
        }
    }
}
