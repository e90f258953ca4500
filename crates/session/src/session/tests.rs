//! What scripts cannot say: SCRAM from end to end, sizes, allocations, any bytes. The scripts are in `tests/talks`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use store::{AccountState, Credentials};
use xmpp::address::AccountNumber;

use super::*;
use crate::Carrier;
use crate::sasl::keys::{derive_keys, hmac_sha1, hmac_sha256};

const EXPORTER: [u8; 32] = [5; 32];
const END_POINT: [u8; 48] = [6; 48];
const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='x' version='1.0'>";

fn config() -> Arc<SessionConfig> {
    let mut config = SessionConfig::new("x", [1; 32]);
    config.iterations_in_use = vec![4096];
    Arc::new(config)
}

fn session(config: &Arc<SessionConfig>) -> Session {
    let facts = CarrierFacts {
        carrier: Carrier::Tls,
        encrypted: true,
        local: false,
        clear_text_allowed: false,
        can_starttls: false,
        remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
    };
    let bindings = ChannelBindings { exporter: Some(EXPORTER), end_point: Some(END_POINT.into()) };
    Session::new(Now::default(), config.clone(), facts, bindings, [9; 32])
}

/// A client that knows RFC 5802 and nothing of our code but its HMAC.
struct Client {
    sasl2: bool,
    mechanism: &'static str,
    password: &'static str,
    first_bare: String,
    gs2: &'static str,
}

impl Client {
    fn new(mechanism: &'static str, number: &str, password: &'static str) -> Client {
        let gs2 = if mechanism.ends_with("-PLUS") { "p=tls-exporter,," } else { "n,," };
        let first_bare = format!("n={number},r=clientnonce");
        Client { sasl2: false, mechanism, password, first_bare, gs2 }
    }

    fn ns(&self) -> &'static str {
        if self.sasl2 { "urn:xmpp:sasl:2" } else { "urn:ietf:params:xml:ns:xmpp-sasl" }
    }

    fn auth(&self) -> String {
        let first = BASE64.encode(format!("{}{}", self.gs2, self.first_bare));
        if self.sasl2 {
            return format!(
                "<authenticate xmlns='{}' mechanism='{}'><initial-response>{first}</initial-response></authenticate>",
                ns::SASL2,
                self.mechanism
            );
        }
        format!("<auth xmlns='{}' mechanism='{}'>{first}</auth>", ns::SASL, self.mechanism)
    }

    /// The answer to a challenge, and the server's proof that must follow.
    fn respond(&self, challenge: &str) -> (String, String) {
        let server_first = String::from_utf8(BASE64.decode(challenge).unwrap()).unwrap();
        let field =
            |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        let (nonce, salt) = (field("r="), BASE64.decode(field("s=")).unwrap());
        let iterations: u32 = field("i=").parse().unwrap();
        let mut bound = self.gs2.as_bytes().to_vec();
        if self.gs2.starts_with('p') {
            bound.extend_from_slice(if self.gs2.contains("end-point") { &END_POINT } else { &EXPORTER });
        }
        let without_proof = format!("c={},r={nonce}", BASE64.encode(bound));
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let message = [message.as_bytes()];
        let (proof, signature) = if self.mechanism.contains("SHA-256") {
            let mut salted = [0; 32];
            pbkdf2::pbkdf2_hmac::<Sha256>(self.password.as_bytes(), &salt, iterations, &mut salted);
            let key = hmac_sha256(&salted, &[b"Client Key"]);
            let signature = hmac_sha256(&Sha256::digest(key), &message);
            let server_key = hmac_sha256(&salted, &[b"Server Key"]);
            (xor(&key, &signature), hmac_sha256(&server_key, &message).to_vec())
        } else {
            let mut salted = [0; 20];
            pbkdf2::pbkdf2_hmac::<Sha1>(self.password.as_bytes(), &salt, iterations, &mut salted);
            let key = hmac_sha1(&salted, &[b"Client Key"]);
            let signature = hmac_sha1(&Sha1::digest(key), &message);
            let server_key = hmac_sha1(&salted, &[b"Server Key"]);
            (xor(&key, &signature), hmac_sha1(&server_key, &message).to_vec())
        };
        let response = BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof)));
        let response = format!("<response xmlns='{}'>{response}</response>", self.ns());
        (response, BASE64.encode(format!("v={}", BASE64.encode(signature))))
    }
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(l, r)| l ^ r).collect()
}

/// Says something and gives back what was answered, and the first event as text.
fn say(session: &mut Session, text: &str, found: Option<&Credentials>) -> (String, Option<String>) {
    let (mut out, mut input, mut told) = (Outbox::stream(), text.as_bytes(), None);
    let config = session.talk.config.clone();
    loop {
        let event = session.handle_input(Now::default(), &mut input, &mut out);
        let request = match event {
            None => break,
            Some(Event::Credentials(request)) => request,
            Some(event) => {
                told.get_or_insert(format!("{event:?}"));
                continue;
            }
        };
        let answer =
            request.answer(found.map(|keys| (AccountState::Enabled, Box::new(keys.clone()))), &config);
        if let Some(event) = session.handle_credentials(Now::default(), answer, &mut out) {
            told.get_or_insert(format!("{event:?}"));
        }
    }
    // What was proved in vain is told a millisecond later.
    if let Some(event) = session.handle_timer(Now::default().later(Duration::from_millis(1)), &mut out) {
        told.get_or_insert(format!("{event:?}"));
    }
    (String::from_utf8(out.bytes().to_vec()).unwrap(), told)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).map(|at| at + start.len()).expect(start);
    let to = text[from..].find(end).expect(end);
    &text[from..from + to]
}

/// What the server says to a log-in: to the first message and to the second.
fn log_in(
    client: &Client,
    found: Option<&Credentials>,
    session: &mut Session,
) -> (String, String, Option<String>) {
    say(session, HEADER, None);
    let (challenge, told) = say(session, &client.auth(), found);
    assert_eq!(told, None);
    let (response, _) = client.respond(between(&challenge, &format!("{}'>", client.ns()), "<"));
    let (outcome, told) = say(session, &response, None);
    (challenge, outcome, told)
}

#[test]
fn every_scram_lets_the_right_password_in_and_proves_itself() {
    let (config, keys) = (config(), derive_keys("pencil", [7; 16], 4096).unwrap());
    for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"] {
        let client = Client::new(mechanism, "10001", "pencil");
        let mut session = session(&config);
        let (challenge, outcome, told) = log_in(&client, Some(&keys), &mut session);
        let (_, proof) = client.respond(between(&challenge, "urn:ietf:params:xml:ns:xmpp-sasl'>", "<"));
        assert_eq!(outcome, format!("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{proof}</success>"));
        assert_eq!(told.as_deref(), Some("LoggedIn { number: AccountNumber(10001) }"), "{mechanism}");
    }
}

// XEP-0388 2.5, 2.6; RFC 5929 for the other binding.
#[test]
fn every_scram_does_so_in_the_second_profile_too() {
    let (config, keys) = (config(), derive_keys("pencil", [7; 16], 4096).unwrap());
    for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"] {
        for other_binding in [false, true] {
            let mut client = Client { sasl2: true, ..Client::new(mechanism, "10001", "pencil") };
            if other_binding && client.gs2.starts_with('p') {
                client.gs2 = "p=tls-server-end-point,,";
            }
            let mut session = session(&config);
            let (challenge, outcome, told) = log_in(&client, Some(&keys), &mut session);
            assert_eq!(told.as_deref(), Some("LoggedIn { number: AccountNumber(10001) }"), "{mechanism}");
            assert_eq!(outcome, "", "success comes once the session is at home");
            let (_, proof) = client.respond(between(&challenge, "urn:xmpp:sasl:2'>", "<"));
            let mut out = Outbox::stream();
            assert!(session.handle_home(&mut out).is_none());
            let said = String::from_utf8(out.bytes().to_vec()).unwrap();
            let success = format!(
                "<success xmlns='urn:xmpp:sasl:2'><additional-data>{proof}</additional-data>\
                 <authorization-identifier>10001@x</authorization-identifier></success><stream:features>"
            );
            assert!(said.starts_with(&success), "{said}");
            // No restart, and stanzas as long as after one.
            let long = format!("<iq type='set' id='b'><bind xmlns='{}'/><!----></iq>", ns::BIND);
            let long = long.replace("<!---->", &" ".repeat(20_000));
            assert!(say(&mut session, &long, None).1.unwrap().starts_with("Bind"));
        }
    }
}

// XEP-0474 5.1: what was offered is told behind the proof.
#[test]
fn the_offer_is_part_of_the_proof() {
    let (config, keys) = (config(), derive_keys("pencil", [7; 16], 4096).unwrap());
    let text = "PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1eSCRAM-SHA-256\x1eSCRAM-SHA-256-PLUS\x1f\
                tls-exporter\x1etls-server-end-point";
    for sasl2 in [false, true] {
        for (mechanism, hash) in [
            ("SCRAM-SHA-1", BASE64.encode(Sha1::digest(text))),
            ("SCRAM-SHA-256-PLUS", BASE64.encode(Sha256::digest(text))),
        ] {
            let client = Client { sasl2, ..Client::new(mechanism, "10001", "pencil") };
            let (challenge, _, _) = log_in(&client, Some(&keys), &mut session(&config));
            let first = BASE64.decode(between(&challenge, &format!("{}'>", client.ns()), "<")).unwrap();
            assert!(String::from_utf8(first).unwrap().ends_with(&format!(",i=4096,h={hash}")));
        }
    }
}

#[test]
fn a_wrong_number_and_a_wrong_password_read_the_same() {
    let (config, keys) = (config(), derive_keys("pencil", [7; 16], 4096).unwrap());
    let ask = |number: &str, found: Option<&Credentials>| {
        let client = Client::new("SCRAM-SHA-256", number, "guess");
        let (challenge, outcome, _) = log_in(&client, found, &mut session(&config));
        let first = BASE64.decode(between(&challenge, "urn:ietf:params:xml:ns:xmpp-sasl'>", "<")).unwrap();
        let first = String::from_utf8(first).unwrap();
        let salt = between(&first, "s=", ",").to_owned();
        (first.replace(&salt, "SALT"), salt, outcome)
    };
    let (wrong, salt, refused) = ask("10001", Some(&keys));
    let (unknown, decoy, refused_too) = ask("10002", None);
    assert_eq!((wrong, refused, salt.len()), (unknown, refused_too, decoy.len()));
    assert_eq!(ask("10002", None).1, decoy, "a decoy's salt is stable");
    assert_ne!(ask("nobody", None).1, decoy);
    // An account that is no number does not exist, whatever its proof.
    let client = Client::new("SCRAM-SHA-256", "010001", "pencil");
    let (_, outcome, told) = log_in(&client, Some(&keys), &mut session(&config));
    assert!(outcome.contains("<not-authorized/>") && told.unwrap().starts_with("LogInFailed"));
}

/// A session with a resource, and what it cost to get there is gone.
fn bound(config: &Arc<SessionConfig>) -> Session {
    let mut session = session(config);
    let keys = derive_keys("pencil", [7; 16], 4096).unwrap();
    log_in(&Client::new("SCRAM-SHA-256", "10001", "pencil"), Some(&keys), &mut session);
    say(&mut session, HEADER, None);
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    assert!(say(&mut session, bind, None).1.unwrap().starts_with("Bind"));
    let jid = Jid::of_number(AccountNumber::FIRST, "x", Some("a")).unwrap();
    session.handle_bound(Now::default(), &jid, b"", &mut Outbox::stream());
    assert!(session.is_bound());
    session
}

#[test]
fn an_idle_session_is_its_struct() {
    assert!(size_of::<Session>() <= 256, "{} octets", size_of::<Session>());
    let config = config();
    let mut session = bound(&config);
    let mut out = Outbox::with_buffer(Vec::with_capacity(4096), false);
    let input = "<message to='10002@x' id='1'><body>hello</body></message>".repeat(8);
    let info = allocation_counter::measure(|| {
        let mut rest = input.as_bytes();
        while let Some(event) = session.handle_input(Now::default(), &mut rest, &mut out) {
            let Event::Stanza { seq, .. } = event else { panic!("{event:?}") };
            session.handle_processed(seq, &mut out);
        }
        for _ in 0..8 {
            let delivered = session.handle_delivery(
                Now::default(),
                b"<message from='y'><body>hi</body></message>",
                None,
                &mut out,
            );
            assert_eq!(delivered, Ok(()));
        }
    });
    assert_eq!(info.count_total, 0, "a message in and a message out");
}

#[test]
fn acknowledging_allocates_nothing_once_warm() {
    let config = config();
    let mut session = bound(&config);
    let mut out = Outbox::with_buffer(Vec::with_capacity(8192), false);
    let mut now = Now::default();
    let mut h = 0;
    let mut turn = |session: &mut Session, out: &mut Outbox| {
        out.clear();
        h += 1;
        let stanza = b"<message from='y'><body>hi</body></message>";
        assert_eq!(session.handle_delivery(Now::default(), stanza, Some(Tag(h)), out), Ok(()));
        let mut answer = *b"<a xmlns='urn:xmpp:sm:3' h='0'/>";
        answer[28] = b'0' + u8::try_from(h).unwrap();
        let mut input = &answer[..];
        let event = session.handle_input(now, &mut input, out);
        assert!(matches!(event, Some(Event::Delivered { tag: Tag(tag) }) if tag == h), "{event:?}");
        now = now.later(Duration::from_secs(1));
    };
    say(&mut session, "<enable xmlns='urn:xmpp:sm:3'/>", None);
    (0..4).for_each(|_| turn(&mut session, &mut out));
    let info = allocation_counter::measure(|| (0..4).for_each(|_| turn(&mut session, &mut out)));
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_stanza_in_pieces_is_whole() {
    let config = config();
    let mut session = bound(&config);
    let (mut out, mut seen) = (Outbox::stream(), 0);
    for piece in "<message to='y'><body>hello</body></message> <presence/>".as_bytes().chunks(1) {
        let mut rest = piece;
        while let Some(event) = session.handle_input(Now::default(), &mut rest, &mut out) {
            assert!(matches!(event, Event::Stanza { .. }));
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn too_many_in_flight_stop_the_reading() {
    let mut config = SessionConfig::clone(&config());
    config.in_flight_max = 3;
    let mut session = bound(&Arc::new(config));
    let (mut out, text) = (Outbox::stream(), "<presence/>".repeat(5));
    let mut rest = text.as_bytes();
    let mut seqs = Vec::new();
    while let Some(Event::Stanza { seq, .. }) = session.handle_input(Now::default(), &mut rest, &mut out) {
        seqs.push(seq);
    }
    assert_eq!((seqs.len(), rest.len(), session.wants_input()), (3, 22, false));
    session.handle_processed(seqs[0], &mut out);
    assert!(session.wants_input());
    assert!(session.handle_input(Now::default(), &mut rest, &mut out).is_some());
    assert_eq!(rest.len(), 11);
}

#[test]
fn what_a_session_answers_itself_counts_like_any_stanza() {
    let mut session = bound(&config());
    say(&mut session, "<enable xmlns='urn:xmpp:sm:3'/>", None);
    let (form, _) = say(&mut session, "<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>", None);
    assert!(form.contains("<registered/>") && form.contains("<r xmlns"), "{form}");
    let password =
        "<query xmlns='jabber:iq:register'><username>10001</username><password>p</password></query>";
    say(&mut session, &format!("<iq type='set' id='p'>{password}</iq>"), None);
    let mut out = Outbox::stream();
    session.handle_registered(Now::default(), Ok(AccountNumber::FIRST), &mut out);
    assert_eq!(out.bytes(), b"<iq type='result' id='p'></iq>");
    // It has both.
    let (said, told) = say(&mut session, "<a xmlns='urn:xmpp:sm:3' h='2'/>", None);
    assert!(said.is_empty() && told.is_none(), "{said} {told:?}");
}

#[test]
fn who_loses_the_connection_before_an_answer_is_told_to_ask_again() {
    let mut session = bound(&config());
    say(&mut session, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>", None);
    let password =
        "<query xmlns='jabber:iq:register'><username>10001</username><password>p</password></query>";
    say(&mut session, &format!("<iq type='set' id='p'>{password}</iq>"), None);
    let parked = session.park(EndReason::ConnectionLost).expect("it may come back");
    let counts = parked.counts();
    assert_eq!(counts.received, counts.processed, "nothing is waited for");
    let unacked: Vec<String> =
        parked.into_unacked().map(|(stanza, _)| String::from_utf8(stanza).unwrap()).collect();
    assert_eq!(unacked.len(), 1);
    assert!(
        unacked[0].starts_with("<iq type='error' id='p'>") && unacked[0].contains("type='wait'"),
        "{unacked:?}"
    );
    // What the store says later concerns nobody.
    session.handle_registered(Now::default(), Ok(AccountNumber::FIRST), &mut Outbox::stream());
}

#[test]
fn who_never_confirms_has_a_bound_whoever_answers() {
    let mut config = SessionConfig::clone(&config());
    (config.unacked_max, config.unacked_octets_max) = (5, 1_000);
    let config = Arc::new(config);
    let enabled = || {
        let mut session = bound(&config);
        say(&mut session, "<enable xmlns='urn:xmpp:sm:3'/>", None);
        session
    };
    // What the session answers itself.
    let mut session = enabled();
    let ask = "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
    for _ in 0..5 {
        assert!(say(&mut session, ask, None).0.contains("<iq type='result' id='s'"));
    }
    let (said, told) = say(&mut session, ask, None);
    assert!(said.contains("<policy-violation"), "{said}");
    assert_eq!(told.as_deref(), Some("Finished { reason: Error(PolicyViolation) }"));
    assert_eq!(session.take_unacked().count(), 6, "nothing is lost");
    // What is delivered, by its octets.
    let mut session = enabled();
    let (now, mut out) = (Now::default(), Outbox::stream());
    let stanza = format!("<message><body>{}</body></message>", "x".repeat(400));
    for fits in [true, true, false] {
        assert_eq!(session.handle_delivery(now, stanza.as_bytes(), None, &mut out).is_ok(), fits);
    }
    assert_eq!(session.take_unacked().count(), 3);
}

#[test]
fn who_waits_in_vain_to_take_up_a_session_may_try_again() {
    let config = config();
    let mut session = bound(&config);
    let (enabled, _) = say(&mut session, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>", None);
    let id = between(&enabled, "id='", "'").to_owned();
    // This one is never said to be processed, as if its count could not be recorded.
    say(&mut session, "<presence/>", None);
    session.handle_eof();
    let parked = session.park(EndReason::ConnectionLost).expect("it may come back");

    let mut again = self::session(&config);
    let keys = derive_keys("pencil", [7; 16], 4096).unwrap();
    log_in(&Client::new("SCRAM-SHA-256", "10001", "pencil"), Some(&keys), &mut again);
    let resume = format!("{HEADER}<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>");
    assert!(say(&mut again, &resume, None).1.unwrap().starts_with("Resume"));
    let jid = Jid::of_number(AccountNumber::FIRST, "x", Some("a")).unwrap();
    let mut out = Outbox::stream();
    again.handle_resumed(Now::default(), &jid, parked, &mut out);
    assert!(out.bytes().is_empty(), "not before it is on record");
    let deadline = again.next_deadline().expect("it does not wait for ever");
    let late = Now::default().later(deadline - Now::default().mono);
    let event = format!("{:?}", again.handle_timer(late, &mut out));
    assert_eq!(event, "Some(Finished { reason: Error(ConnectionTimeout) })");
    assert!(again.park(EndReason::Error(StreamErrorKind::ConnectionTimeout)).is_some());
}

/// Every state against every element: what the client is answered with, by its names, or what the server is told.
#[test]
fn the_grid_of_states_and_elements() {
    let elements = [
        "<presence/>",
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj0xMDAwMSxyPXg=</auth>",
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>YQ==</response>",
        "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        "<enable xmlns='urn:xmpp:sm:3'/>",
        "<resume xmlns='urn:xmpp:sm:3' previd='p' h='0'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<a xmlns='urn:xmpp:sm:3' h='0'/>",
        "<x xmlns='urn:x'/>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'><initial-response>biwsbj0xMDAwMSxyPXg=</initial-response></authenticate>",
        "<response xmlns='urn:xmpp:sasl:2'>YQ==</response>",
        "</stream:stream>",
    ];
    let (authorize, policy, unsupported) = ("not-authorized", "policy-violation", "unsupported-stanza-type");
    let unready = [
        authorize,
        authorize,
        policy,
        "challenge",
        "malformed-request",
        "aborted",
        authorize,
        authorize,
        unsupported,
        unsupported,
        unsupported,
        "challenge",
        unsupported,
        "end",
    ];
    #[rustfmt::skip]
    let table = [
        ("open", unready),
        ("challenged", { let mut row = unready; row[11] = policy; row }),
        ("challenged 2", [policy, policy, policy, policy, policy, policy, policy, policy, policy, policy, policy,
            policy, "malformed-request", "end"]),
        ("wishing", ["nothing"; 14]),
        ("logged in", [authorize, "Bind", policy, policy, policy, policy, "unexpected-request", "item-not-found",
            unsupported, unsupported, unsupported, policy, unsupported, "end"]),
        ("bound", ["Stanza", "Stanza", unsupported, unsupported, unsupported, unsupported, "enabled",
            "unexpected-request", policy, policy, unsupported, unsupported, unsupported, "end"]),
        ("acknowledging", ["Stanza", "Stanza", unsupported, unsupported, unsupported, unsupported,
            "unexpected-request", "unexpected-request", "a", "nothing", unsupported, unsupported, unsupported,
            "end"]),
        ("over", ["nothing"; 14]),
    ];
    let config = config();
    let keys = derive_keys("pencil", [7; 16], 4096).unwrap();
    let reach = |state: &str| {
        let client = Client::new("SCRAM-SHA-256", "10001", "pencil");
        let mut reached =
            if matches!(state, "bound" | "acknowledging") { bound(&config) } else { session(&config) };
        match state {
            "open" => drop(say(&mut reached, HEADER, None)),
            "challenged" => drop(say(&mut reached, &format!("{HEADER}{}", client.auth()), Some(&keys))),
            "challenged 2" => {
                let client = Client { sasl2: true, ..client };
                say(&mut reached, &format!("{HEADER}{}", client.auth()), Some(&keys));
            }
            // Logged in, and not at home yet: nothing is taken before that.
            "wishing" => drop(log_in(&Client { sasl2: true, ..client }, Some(&keys), &mut reached)),
            "logged in" => {
                log_in(&client, Some(&keys), &mut reached);
                say(&mut reached, HEADER, None);
            }
            "acknowledging" => drop(say(&mut reached, elements[6], None)),
            "over" => drop(say(&mut reached, &format!("{HEADER}</stream:stream>"), None)),
            _ => {}
        }
        reached
    };
    // The first name in what was answered that is one of these says most.
    let names = [
        authorize,
        policy,
        unsupported,
        "malformed-request",
        "aborted",
        "item-not-found",
        "unexpected-request",
        "challenge",
        "enabled",
    ];
    for (state, row) in table {
        for (element, expected) in elements.into_iter().zip(row) {
            let (answer, told) = say(&mut reach(state), element, Some(&keys));
            let says =
                |name: &str| answer.contains(&format!("<{name} ")) || answer.contains(&format!("<{name}/"));
            let told = told.as_deref().map(|told| told.split(' ').next().unwrap_or_default());
            let outcome = match (names.into_iter().find(|name| says(name)), told) {
                (Some(name), _) => name,
                (None, Some("Finished")) => "end",
                (None, Some(told)) => told,
                (None, None) if says("a") => "a",
                (None, None) => "nothing",
            };
            assert_eq!(outcome, expected, "{state}: {element} is answered by {answer}");
        }
    }
}

/// What a client may say, in any order.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        HEADER,
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>ADEwMDAxAHBlbmNpbA==</auth>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj0xMDAwMSxyPXg=</auth>",
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<iq xmlns='jabber:client' type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
        "<enable xmlns='urn:xmpp:sm:3'/>",
        "<iq xmlns='jabber:client' type='set'><preauth xmlns='urn:xmpp:pars:0' token='t'/></iq>",
        "<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:register'/></iq>",
        "<iq xmlns='jabber:client' type='set' id='r'><query xmlns='jabber:iq:register'><username/><password>p</password></query></iq>",
        "<iq xmlns='jabber:client' type='set' id='r'><query xmlns='jabber:iq:register'><username>10001</username><password>p</password></query></iq>",
        "<iq xmlns='jabber:client' type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>ADEwMDAxAHBlbmNpbA==</initial-response><bind xmlns='urn:xmpp:bind:0'><tag>t</tag><enable xmlns='urn:xmpp:sm:3'/></bind></authenticate>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>ADEwMDAxAHBlbmNpbA==</initial-response><user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/><request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/><resume xmlns='urn:xmpp:sm:3' previd='p' h='0'/></authenticate>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'><initial-response>MTAwMDEAYQ==</initial-response><fast xmlns='urn:xmpp:fast:0' count='1'/></authenticate>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'><initial-response>biwsbj0xMDAwMSxyPXg=</initial-response></authenticate>",
        "<response xmlns='urn:xmpp:sasl:2'/>",
        "<abort xmlns='urn:xmpp:sasl:2'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<a xmlns='urn:xmpp:sm:3' h='1'/>",
        "<a xmlns='urn:xmpp:sm:3' h='4294967295'/>",
        "<message xmlns='jabber:client' to='y'><body>a</body></message>",
        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x' version='1.0'/>",
        "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
        "</stream:stream>",
        "\n",
    ]);
    prop_oneof![20 => known.prop_map(|text| text.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 1..6)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_client_says(said in prop::collection::vec(words(), 0..12), cut: u8, opened: bool) {
        let stream: Vec<u8> = said.concat();
        let log_in = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>ADEwMDAxAHBlbmNpbA==</auth>";
        let bind = "<iq xmlns='jabber:client' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        let before = if opened { format!("{HEADER}{log_in}{HEADER}{bind}") } else { String::new() };
        crate::fuzz::bytes(&[&[cut], before.as_bytes(), &stream].concat());
        let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x' version='1.0'/>";
        let before = if opened { format!("{open}\n{log_in}\n{open}\n{bind}\n") } else { String::new() };
        crate::fuzz::messages(&[before.as_bytes(), &said.join(&b'\n')].concat());
    }
}
