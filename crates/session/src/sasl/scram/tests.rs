//! SCRAM against the examples of the RFCs, and against every way to bend the rules.

use super::*;
use crate::sasl::keys::derive_keys;
use store::ScramKeys;

/// RFC 5802 section 5: user `user`, password `pencil`.
const RFC_5802: (&str, &str, &str, &str) = (
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
);
/// RFC 7677 section 3: the same with SHA-256.
const RFC_7677: (&str, &str, &str, &str) = (
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
);

/// An exchange after the RFC's own server-first, whose nonce ours could not draw.
fn challenged(example: (&str, &str, &str, &str), mechanism: Mechanism) -> Challenged {
    let field = |name: &str| example.1.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
    let salt = BASE64.decode(field("s=")).unwrap();
    let mut keys = derive_keys("pencil", [0; 16], 4096).unwrap();
    let keys = match mechanism {
        Mechanism::ScramSha1 => Keys::Sha1(resalted(&salt)),
        _ => Keys::Sha256(resalted_256(&salt, &keys.sha256.take().unwrap())),
    };
    let first =
        ClientFirst::parse(example.0.as_bytes(), mechanism, &ChannelBindings::default(), false).unwrap();
    let server_first = example.1.to_owned();
    Challenged { first, nonce: field("r=").to_owned(), server_first, keys, mark: [0; 32] }
}

fn resalted(salt: &[u8]) -> ScramKeys<20> {
    let mut salted = [0; 20];
    pbkdf2::pbkdf2_hmac::<Sha1>(b"pencil", salt, 4096, &mut salted);
    let stored_key = Sha1::digest(hmac_sha1(&salted, &[b"Client Key"])).into();
    ScramKeys {
        salt: salt.to_vec(),
        iterations: 4096,
        stored_key,
        server_key: hmac_sha1(&salted, &[b"Server Key"]),
    }
}

fn resalted_256(salt: &[u8], unused: &ScramKeys<32>) -> ScramKeys<32> {
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(b"pencil", salt, 4096, &mut salted);
    let stored_key = Sha256::digest(hmac_sha256(&salted, &[b"Client Key"])).into();
    let server_key = hmac_sha256(&salted, &[b"Server Key"]);
    ScramKeys { salt: salt.to_vec(), stored_key, server_key, ..unused.clone() }
}

#[test]
fn the_examples_of_the_rfcs() {
    for (example, mechanism) in [(RFC_5802, Mechanism::ScramSha1), (RFC_7677, Mechanism::ScramSha256)] {
        let exchange = challenged(example, mechanism);
        assert_eq!(exchange.name().as_str(), "user");
        assert_eq!(exchange.verify(example.2.as_bytes()), Ok(example.3.to_owned()));
    }
}

#[test]
fn a_changed_byte_anywhere_in_client_final_fails() {
    let exchange = challenged(RFC_7677, Mechanism::ScramSha256);
    for at in 0..RFC_7677.2.len() {
        let mut bytes = RFC_7677.2.as_bytes().to_vec();
        bytes[at] ^= 1;
        assert!(exchange.verify(&bytes).is_err(), "byte {at}");
    }
}

#[test]
fn our_nonce_follows_the_clients() {
    let first =
        ClientFirst::parse(b"n,,n=10001,r=abc", Mechanism::ScramSha1, &ChannelBindings::default(), false)
            .unwrap();
    let exchange = first.challenge(Keys::Sha1(resalted(b"salt")), [0; 32], &[1; 32], "b2ZmZXI=");
    assert!(exchange.server_first().starts_with("r=abc"));
    assert!(exchange.server_first().ends_with(",s=c2FsdA==,i=4096,h=b2ZmZXI="));
    assert!(exchange.nonce.len() >= 3 + 24);
}

#[test]
fn client_first_is_read_as_the_grammar_says() {
    use Failure::{MalformedRequest, NotAuthorized};
    let plain = Mechanism::ScramSha256;
    let plus = Mechanism::ScramSha256Plus;
    let key = Some([9; 32]);
    // message, mechanism, exporter, -PLUS offered, outcome
    type Read<'a> = Result<(&'a str, Option<&'a str>), Failure>;
    type Row<'a> = (&'a str, Mechanism, Option<[u8; 32]>, bool, Read<'a>);
    let table: &[Row<'_>] = &[
        ("n,,n=10001,r=x", plain, None, false, Ok(("10001", None))),
        ("n,a=10001@localhost,n=10001,r=x", plain, None, false, Ok(("10001", Some("10001@localhost")))),
        ("n,,n=a=2Cb=3Dc,r=x", plain, None, false, Ok(("a,b=c", None))),
        ("n,,n=10001,r=x,ext=1", plain, None, false, Ok(("10001", None))),
        ("y,,n=10001,r=x", plain, None, false, Ok(("10001", None))),
        ("y,,n=10001,r=x", plain, key, true, Err(NotAuthorized)),
        ("n,,n=10001,r=x", plain, key, true, Ok(("10001", None))),
        ("p=tls-exporter,,n=10001,r=x", plus, key, true, Ok(("10001", None))),
        ("p=tls-exporter,,n=10001,r=x", plus, None, false, Err(NotAuthorized)),
        ("p=tls-server-end-point,,n=10001,r=x", plus, key, true, Err(NotAuthorized)),
        ("p=tls-unique,,n=10001,r=x", plus, key, true, Err(MalformedRequest)),
        ("p=tls-exporter,,n=10001,r=x", plain, key, true, Err(MalformedRequest)),
        ("n,,n=10001,r=x", plus, key, true, Err(MalformedRequest)),
        ("n,,m=1,n=10001,r=x", plain, None, false, Err(MalformedRequest)),
        ("n,,n=a=2cb,r=x", plain, None, false, Err(MalformedRequest)),
        ("n,,n=a=,r=x", plain, None, false, Err(MalformedRequest)),
        ("n,,n=10001,r=", plain, None, false, Err(MalformedRequest)),
        ("n,,n=10001", plain, None, false, Err(MalformedRequest)),
        ("n,,r=x,n=10001", plain, None, false, Err(MalformedRequest)),
        ("n,b=c,n=10001,r=x", plain, None, false, Err(MalformedRequest)),
        ("n", plain, None, false, Err(MalformedRequest)),
        ("", plain, None, false, Err(MalformedRequest)),
    ];
    for (message, mechanism, exporter, offered, outcome) in table {
        let bindings = ChannelBindings { exporter: *exporter, end_point: None };
        let read = ClientFirst::parse(message.as_bytes(), *mechanism, &bindings, *offered);
        let read = read.as_ref().map(|first| (first.name.as_str(), first.authzid.as_deref())).map_err(|f| *f);
        assert_eq!(read, *outcome, "{message} for {mechanism:?}");
    }
}

#[test]
fn the_channel_is_part_of_the_proof() {
    let keys = || {
        Keys::Sha256(resalted_256(b"salt", &derive_keys("pencil", [0; 16], 4096).unwrap().sha256.unwrap()))
    };
    let opened = "p=tls-exporter,,n=user,r=x";
    let channel = |bytes: [u8; 32]| {
        let bindings = ChannelBindings { exporter: Some(bytes), end_point: None };
        let first =
            ClientFirst::parse(opened.as_bytes(), Mechanism::ScramSha256Plus, &bindings, true).unwrap();
        first.challenge(keys(), [0; 32], &[3; 32], "")
    };
    // The client proves itself on the channel it sees.
    let ours = channel([1; 32]);
    let bound = BASE64.encode([b"p=tls-exporter,,".as_slice(), &[1; 32]].concat());
    let without_proof = format!("c={bound},r={}", ours.nonce);
    let message = format!("n=user,r=x,{},{without_proof}", ours.server_first());
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(b"pencil", b"salt", 4096, &mut salted);
    let client_key = hmac_sha256(&salted, &[b"Client Key"]);
    let signature = hmac_sha256(&Sha256::digest(client_key), &[message.as_bytes()]);
    let client_final = format!("{without_proof},p={}", BASE64.encode(xor(&client_key, &signature)));
    assert!(ours.verify(client_final.as_bytes()).is_ok());
    // The same words on another channel: somebody stands in between.
    assert_eq!(channel([2; 32]).verify(client_final.as_bytes()), Err(Failure::NotAuthorized));
}
