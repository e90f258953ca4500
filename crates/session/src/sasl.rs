//! SASL: which mechanisms there are, and one exchange of challenges from `<auth/>` to its end.
//!
//! Spec: RFC 6120 section 6; RFC 5802, 7677 (SCRAM); RFC 4616 (PLAIN); RFC 9266, 5929 and XEP-0440 (channel binding);
//! XEP-0484 (tokens).
//! Owns: the mechanisms' names and the exchange's state.
//! Invariants: a name that does not exist, a disabled account and a wrong password take the same steps, and the first and
//! the last of these end in the same words; a password is never kept, and never printed.
//! Not here: the XML around the exchange (`negotiation`), the rate of attempts (`limits`).

use std::fmt;

use store::token::{AgentMark, PasswordMark};
use store::{AccountState, Credentials, Token};
use xmpp::address::AccountNumber;

use crate::config::SessionConfig;

pub mod decoy;
pub(crate) mod downgrade;
pub mod keys;
pub mod plain;
pub mod scram;
pub mod token;

use token::TokenMechanism;

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 7677, bound to the TLS channel.
    ScramSha256Plus,
    /// RFC 5802, bound to the TLS channel.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802.
    ScramSha1,
    /// RFC 4616: the password itself, so only under TLS.
    Plain,
    /// XEP-0484: a token. Offered apart from the others.
    Token(TokenMechanism),
}

impl Mechanism {
    /// Every one that takes a password, strongest first.
    pub const ALL: &'static [Mechanism] = &[
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1,
        Mechanism::Plain,
    ];

    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Mechanism::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::Plain => "PLAIN",
            Mechanism::Token(mechanism) => mechanism.name(),
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.iter().copied().find(|mechanism| mechanism.name() == name)
    }

    /// Whether it is bound to the TLS channel.
    #[must_use]
    pub const fn is_plus(self) -> bool {
        matches!(self, Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus)
    }
}

/// No mechanism that the exchange knows has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMechanism(String);

impl fmt::Display for UnknownMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no SASL mechanism we know; there are", self.0)?;
        let names = Mechanism::ALL.iter().map(|mechanism| mechanism.name());
        names.enumerate().try_for_each(|(at, name)| write!(f, "{} {name}", if at == 0 { "" } else { "," }))
    }
}

impl std::error::Error for UnknownMechanism {}

impl std::str::FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(text: &str) -> Result<Mechanism, UnknownMechanism> {
        Mechanism::from_name(text).ok_or_else(|| UnknownMechanism(text.to_owned()))
    }
}

/// The name a client claims: perhaps a number, perhaps not, which the client must not learn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogInName(String);

impl LogInName {
    pub(crate) fn new(text: &str) -> LogInName {
        LogInName(text.to_owned())
    }

    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<AccountNumber> {
        AccountNumber::parse(&self.0)
    }

    /// What the client wrote.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a session needs to know to go on with a log-in. Whoever looks it up calls [`CredentialsRequest::answer`] where
/// it may take long: for PLAIN it derives keys.
pub struct CredentialsRequest {
    /// Who the client says it is.
    pub name: LogInName,
    /// How it wants to prove it.
    pub mechanism: Mechanism,
    pub(crate) password: Option<String>,
    /// Whose token it is.
    pub(crate) agent: AgentMark,
}

impl fmt::Debug for CredentialsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsRequest").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// The answer to a [`CredentialsRequest`].
#[derive(Debug)]
pub struct CredentialsAnswer {
    pub(crate) keys: Keys,
    /// There is such an account.
    pub(crate) exists: bool,
    /// It may log in.
    pub(crate) enabled: bool,
    /// Which of the account's passwords this is about.
    pub(crate) mark: PasswordMark,
    /// The store could not say (RFC 6120 6.5.11).
    pub(crate) failed: bool,
}

/// What an answer brings to the exchange.
#[derive(Debug)]
pub(crate) enum Keys {
    Sha1(store::ScramKeys<20>),
    Sha256(store::ScramKeys<32>),
    /// PLAIN: whether the password is the account's.
    Checked(bool),
    Tokens(Vec<Token>),
}

impl CredentialsRequest {
    /// What to ask the store. A name that is no number is looked up too, as a number that nobody has, so that it takes
    /// the same time; its answer is to be taken as that there is no such account.
    #[must_use]
    pub fn op(&self) -> store::Op {
        let nobody = AccountNumber::MAX;
        let number = self.name.number().unwrap_or(nobody);
        match self.mechanism {
            Mechanism::Token(_) => store::Op::LoadTokens { number, agent: self.agent },
            _ => store::Op::LoadCredentials { number },
        }
    }

    /// Makes the answer of a client's tokens.
    #[must_use]
    pub fn answer_tokens(&self, found: Option<(AccountState, Vec<Token>)>) -> CredentialsAnswer {
        let exists = found.is_some();
        let (state, tokens) = found.unwrap_or((AccountState::Enabled, Vec::new()));
        CredentialsAnswer {
            keys: Keys::Tokens(tokens),
            exists,
            enabled: state == AccountState::Enabled,
            mark: [0; 32],
            failed: false,
        }
    }

    /// Makes the answer from what the store holds. For PLAIN this derives keys and takes as long as that takes, whether
    /// there is such an account or not.
    #[must_use]
    pub fn answer(
        &self,
        found: Option<(AccountState, Box<Credentials>)>,
        config: &SessionConfig,
    ) -> CredentialsAnswer {
        let decoy = decoy::credentials(config, &self.name);
        let (state, credentials, exists) = match found {
            Some((state, credentials)) => (state, *credentials, true),
            None => (AccountState::Enabled, decoy.clone(), false),
        };
        let mark = credentials.mark();
        let keys = match self.mechanism {
            Mechanism::Token(_) => Keys::Tokens(Vec::new()),
            // An account that lacks the keys of one mechanism is told the decoy's, as if it did not exist for it.
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => {
                Keys::Sha1(credentials.sha1.or(decoy.sha1).expect("a decoy has the keys of every mechanism"))
            }
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => Keys::Sha256(
                credentials.sha256.or(decoy.sha256).expect("a decoy has the keys of every mechanism"),
            ),
            Mechanism::Plain => {
                let password = self.password.as_deref().unwrap_or_default();
                Keys::Checked(keys::is_password(password, &credentials) & exists)
            }
        };
        CredentialsAnswer { keys, exists, enabled: state == AccountState::Enabled, mark, failed: false }
    }

    /// The answer when the store could not say.
    #[must_use]
    pub fn failure(&self, config: &SessionConfig) -> CredentialsAnswer {
        CredentialsAnswer { failed: true, ..self.answer(None, config) }
    }
}

/// An answer that lets any name in that has PLAIN, without deriving keys: a fuzzer's time is for the parser.
pub(crate) fn fuzz_answer(request: &CredentialsRequest, config: &SessionConfig) -> CredentialsAnswer {
    let keys = match request.mechanism {
        Mechanism::Plain => Keys::Checked(true),
        _ => return request.failure(config),
    };
    CredentialsAnswer { keys, exists: true, enabled: true, mark: [0; 32], failed: false }
}

/// Why a log-in failed, as the client is told (RFC 6120 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Aborted,
    AccountDisabled,
    CredentialsExpired,
    EncryptionRequired,
    IncorrectEncoding,
    InvalidAuthzid,
    InvalidMechanism,
    MalformedRequest,
    MechanismTooWeak,
    NotAuthorized,
    Temporary,
}

impl Failure {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Failure::Aborted => "aborted",
            Failure::AccountDisabled => "account-disabled",
            Failure::CredentialsExpired => "credentials-expired",
            Failure::EncryptionRequired => "encryption-required",
            Failure::IncorrectEncoding => "incorrect-encoding",
            Failure::InvalidAuthzid => "invalid-authzid",
            Failure::InvalidMechanism => "invalid-mechanism",
            Failure::MalformedRequest => "malformed-request",
            Failure::MechanismTooWeak => "mechanism-too-weak",
            Failure::NotAuthorized => "not-authorized",
            Failure::Temporary => "temporary-auth-failure",
        }
    }
}
