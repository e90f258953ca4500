//! Tokens against what the documents say of them, and against every way to use one that is not its own.

use std::time::Duration;

use super::*;

const NOW: Wallclock = Wallclock::from_millis(1_795_510_800_000);
const ID: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";

fn key(number: &str, id: &str) -> AgentKey {
    AgentKey::new(&SessionConfig::new("x", [7; 32]), &LogInName::new(number), id)
}

fn token(nonce: u8, mechanism: TokenMechanism) -> Token {
    let expires = NOW + Duration::from_secs(1);
    Token { nonce: [nonce; 32], mechanism: mechanism.name().to_owned(), expires, count: 0, fresh: false }
}

/// What a client with this token says.
fn said(number: &str, token: &str, binding: &[u8]) -> Vec<u8> {
    let hash = hmac_sha256(token.as_bytes(), &[b"Initiator", binding]);
    [number.as_bytes(), b"\0", &hash].concat()
}

fn proof(message: &[u8], mechanism: TokenMechanism, binding: &[u8]) -> Proof {
    Proof::parse(message, mechanism, binding.to_vec(), |name| key(name.as_str(), ID)).unwrap()
}

/// `printf InitiatorBINDING | openssl dgst -sha256 -hmac secret-token:abc`, and the same for `Responder`.
#[test]
fn the_arithmetic_of_the_draft() {
    let initiator = hmac_sha256(b"secret-token:abc", &[b"Initiator", b"BINDING"]);
    let responder = hmac_sha256(b"secret-token:abc", &[b"Responder", b"BINDING"]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&initiator), "2552898974efe8d3e72dad151b0489dba91fa0363c8043f0459b6637052d82f6");
    assert_eq!(hex(&responder), "1ec93f70f1d615f990a726fd7fd073bfed17429ca9233125b0a7c4b4fda43bb2");
}

#[test]
fn a_token_is_good_for_its_client_its_mechanism_and_its_channel() {
    use TokenMechanism::{EndPoint, Exporter, Unbound};
    let text = key("10001", ID).token(&[1; 32]);
    assert!(text.starts_with("secret-token:"), "RFC 8959");
    let kept = [token(1, Exporter), token(2, Unbound)];
    let good = said("10001", &text, b"channel");
    let proved = proof(&good, Exporter, b"channel").verify(&kept, NOW).unwrap();
    assert_eq!(proved.token.nonce, [1; 32]);
    assert_eq!(proved.answer, hmac_sha256(text.as_bytes(), &[b"Responder", b"channel"]));
    // The second place is as good as the first.
    let second = said("10001", &key("10001", ID).token(&[2; 32]), b"");
    assert_eq!(proof(&second, Unbound, b"").verify(&kept, NOW).unwrap().token.nonce, [2; 32]);

    let refused = |message: &[u8], mechanism, binding: &[u8], kept: &[Token]| {
        let proof = proof(message, mechanism, binding);
        assert_eq!(proof.verify(kept, NOW).unwrap_err(), Failure::NotAuthorized);
    };
    refused(&good, Exporter, b"another", &kept);
    refused(&good, EndPoint, b"channel", &kept);
    refused(&said("10001", &text, b""), Unbound, b"", &kept);
    refused(&good, Exporter, b"channel", &kept[1..]);
    refused(&good, Exporter, b"channel", &[]);
    refused(&good[..good.len() - 1], Exporter, b"channel", &kept);
    refused(b"10001\0", Exporter, b"channel", &kept);
    // What another client of the account, or another account with the same client, was given.
    for other in [key("10001", "another"), key("10002", ID)] {
        refused(&said("10001", &other.token(&[1; 32]), b"channel"), Exporter, b"channel", &kept);
    }
    // A token that nobody was given, though its nonce is what is taken for those who have none.
    let nobody = said("10001", &key("10001", ID).token(&[0; 32]), b"channel");
    refused(&nobody, Exporter, b"channel", &[]);
}

// XEP-0484 4.2: what is told of the time is told to who has the token.
#[test]
fn a_token_ends_with_its_time() {
    let text = key("10001", ID).token(&[1; 32]);
    let kept = [token(1, TokenMechanism::Unbound)];
    let proof = |text: &str| proof(&said("10001", text, b""), TokenMechanism::Unbound, b"");
    let late = NOW + Duration::from_secs(1);
    assert_eq!(proof(&text).verify(&kept, late).unwrap_err(), Failure::CredentialsExpired);
    assert_eq!(proof("guess").verify(&kept, late).unwrap_err(), Failure::NotAuthorized);
}

#[test]
fn a_message_is_a_name_and_a_proof() {
    for bad in [&b""[..], b"10001", b"\xff\0proof"] {
        let read = Proof::parse(bad, TokenMechanism::Unbound, Vec::new(), |_| key("", ""));
        assert_eq!(read.unwrap_err(), Failure::MalformedRequest, "{bad:?}");
    }
}

#[test]
fn only_an_id_that_nobody_guesses_is_secret() {
    assert!(is_secret(ID));
    assert!(is_secret("D4565FA7-4D72-4749-B3D3-740EDBF87770"));
    for bad in [
        "",
        "phone",
        "d4565fa7-4d72-1749-b3d3-740edbf87770",
        "d4565fa7-4d72-4749-73d3-740edbf87770",
        "d4565fa74d724749b3d3740edbf87770",
        "d4565fa7-4d72-4749-b3d3-740edbf8777g",
        "d4565fa7-4d72-4749-b3d3-740edbf877700",
    ] {
        assert!(!is_secret(bad), "{bad}");
    }
}

#[test]
fn nothing_that_is_kept_or_shown_is_the_secret() {
    let key = key("10001", ID);
    let others = [key.token(&[0; 32]).into_bytes(), key.resource("tag").into_bytes(), key.mark().to_vec()];
    for shown in &others {
        assert!(!shown.windows(8).any(|part| ID.as_bytes().windows(8).any(|id| id == part)));
    }
    assert_ne!(key.resource("a"), key.resource("b"));
    assert_eq!(format!("{key:?}"), "AgentKey");
}
