//! What a full log-in costs the server: `cargo run --release -p switchboard-session --example log_in_cost`.
//! The client's part is prepared outside of the measurement; TLS, the store and system calls are not in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use store::AccountState;
use switchboard_session::sasl::keys::derive_keys;
use switchboard_session::{Carrier, CarrierFacts, ChannelBindings, Event, Outbox, Session, SessionConfig};
use xmpp::address::{AccountNumber, Jid};
use xmpp::time::Now;

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='x' version='1.0'>";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn main() {
    let config = Arc::new(SessionConfig::new("x", [1; 32]));
    let keys = derive_keys("pencil", [7; 16], 4096).expect("a password");
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(b"pencil", &[7; 16], 4096, &mut salted);
    let client_key = hmac(&salted, b"Client Key");
    let facts = CarrierFacts {
        carrier: Carrier::Tls,
        encrypted: true,
        local: false,
        clear_text_allowed: false,
        can_starttls: false,
        remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
    };
    let jid = Jid::of_number(AccountNumber::FIRST, "x", Some("a")).expect("an address");
    let mut best = Duration::MAX;
    for _ in 0..2_000 {
        let mut out = Outbox::with_buffer(Vec::with_capacity(4096), false);
        let mut spent = Duration::ZERO;
        let begin = Instant::now();
        let mut session =
            Session::new(Now::default(), config.clone(), facts, ChannelBindings::default(), [9; 32]);
        let auth =
            format!("{HEADER}<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>biwsbj0xMDAwMSxyPW5vbmNl</auth>");
        let mut input = auth.as_bytes();
        let Some(Event::Credentials(request)) = session.handle_input(Now::default(), &mut input, &mut out)
        else {
            panic!("credentials are asked for");
        };
        let found = Some((AccountState::Enabled, Box::new(keys.clone())));
        session.handle_credentials(Now::default(), request.answer(found, &config), &mut out);
        spent += begin.elapsed();

        let said = String::from_utf8_lossy(out.bytes()).into_owned();
        let challenge = said
            .split("<challenge")
            .nth(1)
            .and_then(|rest| rest.split(['>', '<']).nth(1))
            .expect("a challenge");
        let server_first = String::from_utf8(BASE64.decode(challenge).expect("base64")).expect("text");
        let nonce = server_first.split(',').next().expect("a nonce");
        let without_proof = format!("c=biws,{nonce}");
        let message = format!("n=10001,r=nonce,{server_first},{without_proof}");
        let signature = hmac(&Sha256::digest(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(k, s)| k ^ s).collect();
        let response = BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof)));
        let rest = format!(
            "<response xmlns='{SASL}'>{response}</response>{HEADER}\
             <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
        );

        let begin = Instant::now();
        let mut input = rest.as_bytes();
        while !matches!(session.handle_input(Now::default(), &mut input, &mut out), Some(Event::Bind { .. }))
        {
            assert!(!input.is_empty(), "a resource is asked for");
        }
        session.handle_bound(Now::default(), &jid, b"", &mut out);
        spent += begin.elapsed();
        assert!(session.is_bound());
        best = best.min(spent);
    }
    println!("{{\"step\":\"full SCRAM-SHA-256 log-in\",\"ns\":{}}}", best.as_nanos());
    println!("{{\"step\":\"size of an idle session\",\"octets\":{}}}", size_of::<Session>());
}
