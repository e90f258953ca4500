//! Registering: an account is made, changed and given up over a stream.
//!
//! Spec: XEP-0077 (in-band registration), XEP-0445 (by an invite that was shown before).
//! Owns: the words. Invariants: before a log-in one number at most is in question, the one that is held for this client;
//! a password goes from the stanza to the key derivation and nowhere else.
//! Not here: who may (`server`), keys (`sasl::keys`), what is kept of an invite (`store::invite`).

use sha2::{Digest, Sha256};
use store::InviteMark;
use xmpp::address::AccountNumber;
use xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use xmpp::ns;
use xmpp::stanza::{Node, Stanza};
use xmpp::time::Wallclock;
use xmpp::write;

/// Longest token that is looked at.
const TOKEN_MAX: usize = 256;
/// Longest password that is taken; as long as PLAIN's.
const PASSWORD_MAX: usize = 1023;

/// Who may make an account by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// Whoever has an invite.
    #[default]
    Invite,
    /// Anybody.
    Open,
    /// Nobody.
    Closed,
}

/// What an invite is known by in the store. Its token is random and long, so one hash is enough.
#[must_use]
pub fn invite_mark(token: &str) -> InviteMark {
    Sha256::new().chain_update(b"switchboard invite\0").chain_update(token).finalize().into()
}

/// What a client wants of accounts. Whoever does it answers by
/// [`Session::handle_registered`](crate::Session::handle_registered).
#[derive(PartialEq, Eq)]
pub enum RegisterRequest {
    /// It shows an invite: which number does it hold?
    Show {
        /// Which.
        mark: InviteMark,
    },
    /// It has none, and wants a number held for it.
    Hold {
        /// What that is to be known by.
        mark: InviteMark,
        /// Until when.
        until: Wallclock,
    },
    /// The account with the number that is held.
    Create {
        /// What it is held by.
        mark: InviteMark,
        /// The number.
        number: AccountNumber,
        /// Its password.
        password: String,
    },
    /// A new password for the account that has logged in.
    Password {
        /// Whose.
        number: AccountNumber,
        /// The new one.
        password: String,
    },
    /// The account that has logged in is given up.
    Remove {
        /// Whose.
        number: AccountNumber,
    },
}

impl std::fmt::Debug for RegisterRequest {
    // Passwords do not belong in a log, nor do hashes of tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RegisterRequest::Show { .. } => "Show",
            RegisterRequest::Hold { .. } => "Hold",
            RegisterRequest::Create { .. } => "Create",
            RegisterRequest::Password { .. } => "Password",
            RegisterRequest::Remove { .. } => "Remove",
        })
    }
}

/// The answer: the number in question, or why not.
pub type RegisterAnswer = Result<AccountNumber, RegisterRefusal>;

/// Why a [`RegisterRequest`] is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterRefusal {
    /// No such invite, or no longer.
    NoInvite,
    /// The number is taken.
    Taken,
    /// A password that no account can have.
    UnfitPassword,
    /// This address has made enough accounts for now.
    TooMany,
    /// The account is gone.
    NoAccount,
    /// The store could not.
    Failed,
}

impl RegisterRefusal {
    pub(crate) fn error(self) -> StanzaError {
        let (condition, text) = match self {
            // XEP-0445 4.
            Self::NoInvite => (StanzaCondition::ItemNotFound, "the invite is unknown, used, or has expired"),
            Self::Taken => (StanzaCondition::Conflict, "the number is taken"),
            Self::UnfitPassword => {
                (StanzaCondition::NotAcceptable, "a password is not empty and has no control characters")
            }
            Self::TooMany => {
                let error = StanzaError::new(StanzaCondition::ResourceConstraint).with_type(ErrorType::Wait);
                return error.with_text("enough accounts were made from this address for now");
            }
            Self::NoAccount => (StanzaCondition::RegistrationRequired, "there is no such account"),
            Self::Failed => (StanzaCondition::InternalServerError, "try again later"),
        };
        StanzaError::new(condition).with_text(text)
    }
}

/// What a client says about accounts.
#[derive(PartialEq, Eq)]
pub(crate) enum Said {
    /// It shows an invite (XEP-0445 4).
    Preauth(InviteMark),
    /// It asks what is to be filled in.
    Get,
    /// It has filled it in.
    Set { username: String, password: String },
    /// It wants to be rid of its account.
    Remove,
}

impl Said {
    /// Reads an iq, if it is one about accounts.
    pub(crate) fn read(iq: &Stanza<'_>) -> Option<Said> {
        let set = match iq.type_().as_deref() {
            Some("set") => true,
            Some("get") => false,
            _ => return None,
        };
        if let Some(preauth) = iq.child("preauth", ns::PREAUTH) {
            let token = preauth.attr("token").unwrap_or_default();
            let token = if token.len() <= TOKEN_MAX { token } else { Default::default() };
            return set.then(|| Said::Preauth(invite_mark(&token)));
        }
        let query = iq.child("query", ns::REGISTER)?;
        if !set {
            return Some(Said::Get);
        }
        if query.child("remove", ns::REGISTER).is_some() {
            return Some(Said::Remove);
        }
        let field = |name: &str| query.child(name, ns::REGISTER).map(|field| field.text().into_owned());
        let (username, password) = (field("username"), field("password"));
        let (username, password) =
            (username.or_else(|| form(&query, "username")), password.or_else(|| form(&query, "password")));
        let username = username.unwrap_or_default().trim().to_owned();
        Some(Said::Set { username, password: password.unwrap_or_default() })
    }
}

/// A field of a form that was filled in (XEP-0077 6, XEP-0004), for clients that prefer one.
fn form(query: &Node<'_>, name: &str) -> Option<String> {
    let form = query.child("x", ns::DATA_FORMS)?;
    let field = form.children().find(|field| field.attr("var").as_deref() == Some(name))?;
    field.child("value", ns::DATA_FORMS).map(|value| value.text().into_owned())
}

/// Whether what was filled in can be an account's: the number that is held, or none named, and some password.
pub(crate) fn check(number: AccountNumber, username: &str, password: &str) -> Result<(), StanzaError> {
    let unfit = |text: String| Err(StanzaError::new(StanzaCondition::NotAcceptable).with_text(text));
    if !username.is_empty() && AccountNumber::parse(username) != Some(number) {
        return unfit(format!("the number is {number}"));
    }
    if password.is_empty() || password.len() > PASSWORD_MAX {
        return unfit(format!("a password has 1 to {PASSWORD_MAX} bytes"));
    }
    Ok(())
}

/// An answer without an error. `inner` is what stands in it.
pub(crate) fn write_result(
    id: Option<&str>,
    framed: bool,
    inner: impl FnOnce(&mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let iq = write::open(out, "iq").attr_opt("xmlns", framed.then_some(ns::CLIENT));
    iq.attr("type", "result").attr_opt("id", id).with(inner);
}

/// What is to be filled in: the number is known, the password is not.
pub(crate) fn write_form(number: AccountNumber, registered: bool, out: &mut Vec<u8>) {
    write::open(out, "query").ns(ns::REGISTER).with(|out| {
        if registered {
            write::open(out, "registered").empty();
        } else {
            write::open(out, "instructions").text(&format!("Your number is {number}. Choose a password."));
        }
        write::open(out, "username").text(&number.to_string());
        write::open(out, "password").empty();
    });
}

/// Which number was made, for a client that did not name one.
pub(crate) fn write_made(number: AccountNumber, out: &mut Vec<u8>) {
    write::open(out, "query").ns(ns::REGISTER).with(|out| {
        write::open(out, "username").text(&number.to_string());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<Said> {
        Said::read(&Stanza::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_about_accounts_and_what_is_not() {
        let preauth = "<iq type='set' id='a'><preauth xmlns='urn:xmpp:pars:0' token='abc'/></iq>";
        assert!(said(preauth) == Some(Said::Preauth(invite_mark("abc"))));
        assert!(said(&preauth.replace("set", "get")).is_none());
        assert!(invite_mark("abc") != invite_mark("abd"));
        let query =
            |inner: &str| format!("<iq type='set'><query xmlns='jabber:iq:register'>{inner}</query></iq>");
        let filled = |username: &str, password: &str| {
            Some(Said::Set { username: username.to_owned(), password: password.to_owned() })
        };
        let simple = query("<username> 10001 </username><password> pencil</password>");
        assert!(said(&simple) == filled("10001", " pencil"));
        let form = query(
            "<x xmlns='jabber:x:data' type='submit'><field var='username'><value>10001</value></field>\
             <field var='password'><value>pencil</value></field></x>",
        );
        assert!(said(&form) == filled("10001", "pencil"));
        assert!(said(&query("")) == filled("", ""));
        assert!(said(&query("<remove/>")) == Some(Said::Remove));
        assert!(said("<iq type='get'><query xmlns='jabber:iq:register'/></iq>") == Some(Said::Get));
        assert!(said("<iq type='result'><query xmlns='jabber:iq:register'/></iq>").is_none());
        assert!(said("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>").is_none());
    }

    #[test]
    fn the_number_is_the_one_that_is_held_or_left_out() {
        let number = AccountNumber::FIRST;
        for (username, password, fits) in [
            ("10001", "p", true),
            ("", "p", true),
            ("10002", "p", false),
            ("010001", "p", false),
            ("juliet", "p", false),
            ("10001", "", false),
        ] {
            assert_eq!(check(number, username, password).is_ok(), fits, "{username} {password}");
        }
        assert!(check(number, "", &"x".repeat(1024)).is_err());
    }
}
