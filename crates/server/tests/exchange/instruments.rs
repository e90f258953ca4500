//! What an operator sees: health, figures, and logs that tell no secret.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use switchboard_server::admin::{Item, Request, TraceOf, Traced};

use crate::client::{Client, Quic, tcp, tls};
use crate::house::{House, PASSWORD};
use crate::log_in::{invite, password_and_token, show};

fn get(from: SocketAddr, path: &str) -> String {
    let mut stream = tcp(from);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn figure(page: &str, name: &str) -> u64 {
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse().unwrap()
}

#[test]
fn figures_follow_what_happens() {
    let house = House::usual();
    let (alice, bob) = (house.account(), house.account());
    assert!(get(house.http(), "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));

    let mut sender = Client::tcp(house.tcp());
    sender.go_online(alice, PASSWORD, "a");
    let mut reader = Client::tls(house.tls());
    reader.go_online(bob, PASSWORD, "b");
    for index in 0..5 {
        let text = format!("message {index}");
        sender.message(bob, &text);
        reader.expect_message(alice, &text);
    }
    let mut guesser = Client::tls(house.tls());
    guesser.open();
    guesser.authenticate_plain(alice, "wrong").unwrap_err();
    reader.log_out();
    house.until(|lines| lines.len() == 2);

    let page = get(house.http(), "/metrics");
    assert!(page.contains("content-type: application/openmetrics-text"), "{page}");
    assert_eq!(figure(&page, "switchboard_stanzas_received_total{kind=\"message\"}"), 5);
    assert_eq!(figure(&page, "switchboard_connections_opened_total{carrier=\"tls\"}"), 2);
    assert_eq!(figure(&page, "switchboard_connections{carrier=\"tls\"}"), 1);
    assert_eq!(figure(&page, "switchboard_connections{carrier=\"tcp\"}"), 1);
    assert_eq!(figure(&page, "switchboard_sessions"), 1);
    assert_eq!(figure(&page, "switchboard_sessions_ended_total{reason=\"client\"}"), 1);
    assert_eq!(figure(&page, "switchboard_log_ins_total{outcome=\"succeeded\"}"), 2);
    assert_eq!(figure(&page, "switchboard_log_ins_total{outcome=\"failed\"}"), 1);
    assert_eq!(figure(&page, "switchboard_loops_silent"), 0);
    assert!(figure(&page, "switchboard_stanzas_delivered_total") >= 5);
    assert!(figure(&page, "switchboard_store_requests_total") >= 2);
}

#[test]
fn figures_are_for_those_named() {
    let house = House::new(|config| config.http.metrics_from.clear());
    assert!(get(house.http(), "/metrics").starts_with("HTTP/1.1 403 Forbidden\r\n"));
    assert!(get(house.http(), "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that is logged at the most talkative level, while secrets pass by every way they can.
#[test]
fn the_log_tells_no_secret() {
    let page = Page::default();
    let writer = page.clone();
    // For all threads of this process: other tests' lines come along, and hold other secrets.
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let (password, wrong, text) = ("open sesame 7304", "open barley 7305", "the treasure is under tree 7306");
    let mut house = House::usual();
    let (alice, bob) = (house.account(), house.account());
    let request = Request::AccountPassword { number: alice, password: password.into() };
    house.ask(&request).unwrap();

    let mut plain = Client::tls(house.tls());
    plain.open();
    plain.authenticate_plain(alice, wrong).unwrap_err();
    plain.authenticate_plain(alice, password).unwrap();
    drop(plain);
    let mut sender = Client::starttls(house.tcp());
    sender.go_online(alice, password, "a");
    sender.message(bob, text);
    sender.ping();
    let mut reader = Client::tcp(house.tcp());
    reader.go_online(bob, PASSWORD, "b");
    reader.expect_message(alice, text);
    // Over each other carrier, to who is there and to who is away; and what is kept.
    let away = house.account();
    let quic = Quic::connect(house.quic());
    let secure = || tls(tcp(house.https()), b"http/1.1");
    let others = [
        Client::websocket(tcp(house.http()), house.http()),
        Client::websocket(secure(), house.https()),
        quic.stream(),
    ];
    for mut other in others {
        other.go_online(alice, password, "b");
        other.message(bob, text);
        reader.expect_message(alice, text);
        other.message(away, text);
        for payload in [
            format!("<vCard xmlns='vcard-temp'><NOTE>{text}</NOTE></vCard>"),
            format!("<query xmlns='jabber:iq:private'><x xmlns='urn:x'>{text}</x></query>"),
        ] {
            other.send(&format!("<iq xmlns='jabber:client' type='set' id='keep'>{payload}</iq>"));
            other.expect("id='keep'");
        }
        other.send("<iq xmlns='jabber:client' type='set' id='m'><query xmlns='urn:xmpp:mam:2'/></iq>");
        assert!(other.expect("</fin>").contains(text));
        other.log_out();
    }
    // What is as good as a password: tokens, the keys that a proof is checked by, an invite, and the password it is used with.
    let token = password_and_token(&mut Client::tls(house.tls()), alice, password);
    let mut by_token = Client::tls(house.tls());
    by_token.open();
    by_token.authenticate_by_token(alice, &token).unwrap();
    let (number, invited) = invite(&house, None);
    let mut newcomer = Client::tls(house.tls());
    newcomer.open();
    let (fresh, wish) = ("open hazel 7307", "<username>1</username><password>open walnut 7308</password>");
    for said in [
        show("guess 7309"),
        show(&invited),
        format!("<query xmlns='jabber:iq:register'>{wish}</query>"),
        format!(
            "<query xmlns='jabber:iq:register'><username>{number}</username><password>{fresh}</password></query>"
        ),
    ] {
        newcomer.send(&format!("<iq xmlns='jabber:client' type='set' id='new' to='localhost'>{said}</iq>"));
        newcomer.expect("id='new'");
    }
    newcomer.authenticate_plain(number, fresh).unwrap();
    // What is refused is easily logged with its reason.
    reader.send(&format!("<message to='10001@localhost'><body>{text}</wrong>"));
    reader.expect_end_of_stream();
    drop((by_token, newcomer, quic));
    let key = std::fs::read_to_string(house.data().join("key.pem")).unwrap();
    house.stop();

    let log = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a session ended"), "nothing was logged, so nothing was tested:\n{log}");
    let key = key.lines().nth(1).unwrap();
    let blob = |password: &str| BASE64.encode(format!("\0{alice}\0{password}"));
    let words = ["open walnut 7308", "guess 7309", "treasure", fresh, &token, &invited, &blob(fresh)];
    for secret in [password, wrong, text, key, &blob(password), &blob(wrong)].into_iter().chain(words) {
        assert!(!log.contains(secret), "{secret:?} is in the log");
    }
}

#[test]
fn a_line_is_asked_after_by_its_name_alone() {
    let house = House::usual();
    let (alice, bob) = (house.account(), house.account());
    let mut first = Client::tcp(house.tcp());
    first.go_online(alice, PASSWORD, "a");
    let mut second = Client::tls(house.tls());
    second.go_online(alice, PASSWORD, "b");
    let ask = |number, of| -> Vec<Traced> {
        let items = house.ask(&Request::Trace { number, of }).unwrap();
        let traced = items.into_iter().filter_map(|item| match item {
            Item::Trace(traced) => Some(traced),
            _ => None,
        });
        traced.collect()
    };
    let all = ask(alice, None);
    assert_eq!(all.len(), 2);
    for traced in &all {
        let named = TraceOf { name: traced.name, after: 0 };
        assert_eq!(ask(alice, Some(named.clone())), std::slice::from_ref(traced));
        // It is nobody else's.
        assert_eq!(ask(bob, Some(named)), []);
    }
    assert_eq!(ask(alice, Some(TraceOf { name: u64::MAX, after: 0 })), []);
    second.log_out();
    house.until(|lines| lines.len() == 1);
    let left: Vec<_> =
        all.iter().flat_map(|traced| ask(alice, Some(TraceOf { name: traced.name, after: 0 }))).collect();
    assert_eq!(left, ask(alice, None));
}
