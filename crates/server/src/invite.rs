//! Invites as people get them: a token, an `xmpp:` URI, a link to the web client.
//!
//! Spec: XEP-0445 section 2 and XEP-0401 (URIs), RFC 5122.
//! Owns: drawing tokens. Invariants: a token is 128 random bits or more, and is told once, to who made it.
//! Not here: what is kept of an invite (`store::invite`), using one (`session::register`), drawing QR codes (the command).

use std::net::SocketAddr;
use std::time::Duration;

use store::{Hold, Op};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use crate::config::Config;

/// Octets of a token, before they become letters and digits.
const TOKEN_LEN: usize = 16;
/// Letters and digits that nobody mistakes for one another when they are read aloud (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// How long an invite is good for unless it is said: a week.
pub const LIFE: Duration = Duration::from_secs(7 * 86_400);
/// And at most.
pub const LIFE_MAX: Duration = Duration::from_secs(365 * 86_400);

/// A new token.
///
/// # Errors
/// When the system has no randomness.
pub fn draw_token() -> std::io::Result<String> {
    let mut octets = [0; TOKEN_LEN];
    getrandom::fill(&mut octets).map_err(std::io::Error::other)?;
    let bits = u128::from_be_bytes(octets);
    // 128 bits are 25 letters of five bits and one of three.
    Ok((0..26).rev().map(|at| char::from(ALPHABET[(bits >> (5 * at)) as usize & 31])).collect())
}

/// What makes an invite of a token.
#[must_use]
pub fn create(token: &str, hold: Hold, now: Wallclock, life: Duration, inviter: Option<AccountNumber>) -> Op {
    let expires = now + life.min(LIFE_MAX);
    Op::CreateInvite { mark: session::invite_mark(token), hold, expires, inviter }
}

/// What a client opens: it knows the domain, the number if one is held, and the token.
#[must_use]
pub fn uri(domain: &str, number: Option<AccountNumber>, token: &str) -> String {
    match number {
        Some(number) => format!("xmpp:{number}@{domain}?register;preauth={token}"),
        None => format!("xmpp:{domain}?register;preauth={token}"),
    }
}

/// What a browser opens. The token stands behind the `#`, so no server on the way is told it.
#[must_use]
pub fn link(web: &str, token: &str) -> String {
    format!("{web}/#/invite/{token}")
}

/// Where the web client is: as configured, or the first listener by the domain's name. A listener that only this machine
/// reaches, for a domain that is elsewhere, stands behind a proxy, and that is reached by HTTPS.
#[must_use]
pub fn web(config: &Config, http: &[SocketAddr], https: &[SocketAddr]) -> Option<String> {
    if let Some(web) = &config.registration.web {
        return Some(web.clone());
    }
    let domain = &config.domain;
    let (scheme, address, usual) = match (https.first(), http.first()) {
        (Some(address), _) => ("https", address, 443),
        (None, Some(address)) => ("http", address, 80),
        (None, None) => return None,
    };
    if address.ip().is_loopback() && domain != "localhost" {
        return Some(format!("https://{domain}"));
    }
    let port = address.port();
    Some(if port == usual { format!("{scheme}://{domain}") } else { format!("{scheme}://{domain}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_letters_and_digits_and_never_the_same() {
        let token = draw_token().unwrap();
        assert_eq!(token.len(), 26);
        assert!(token.bytes().all(|byte| ALPHABET.contains(&byte)), "{token}");
        assert_ne!(token, draw_token().unwrap());
        let number = AccountNumber::new(10_005);
        assert_eq!(uri("x.example", number, "t"), "xmpp:10005@x.example?register;preauth=t");
        assert_eq!(uri("x.example", None, "t"), "xmpp:x.example?register;preauth=t");
        assert_eq!(link("https://x.example", "t"), "https://x.example/#/invite/t");
    }

    #[test]
    fn the_web_client_is_where_people_reach_it() {
        let at = |text: &str| vec![text.parse::<SocketAddr>().unwrap()];
        let find = |domain: &str, http: &[SocketAddr], https: &[SocketAddr]| {
            web(&Config { domain: domain.to_owned(), ..Config::default() }, http, https)
        };
        assert_eq!(find("localhost", &at("127.0.0.1:5280"), &[]).unwrap(), "http://localhost:5280");
        assert_eq!(find("x.example", &at("127.0.0.1:5280"), &[]).unwrap(), "https://x.example");
        assert_eq!(find("x.example", &at("0.0.0.0:80"), &[]).unwrap(), "http://x.example");
        assert_eq!(
            find("x.example", &at("0.0.0.0:80"), &at("0.0.0.0:8443")).unwrap(),
            "https://x.example:8443"
        );
        assert_eq!(find("x.example", &[], &[]), None);
    }
}
