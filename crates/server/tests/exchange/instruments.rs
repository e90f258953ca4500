//! What an operator sees: health, figures, and logs that tell no secret.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use switchboard_server::admin::{Item, Request, TraceOf, Traced};

use crate::client::{Client, tcp};
use crate::house::{House, PASSWORD};

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
    // What is refused is easily logged with its reason.
    reader.send(&format!("<message to='10001@localhost'><body>{text}</wrong>"));
    reader.expect_end_of_stream();
    let key = std::fs::read_to_string(house.data().join("key.pem")).unwrap();
    house.stop();

    let log = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a session ended"), "nothing was logged, so nothing was tested:\n{log}");
    let key = key.lines().nth(1).unwrap();
    let blob = |password: &str| BASE64.encode(format!("\0{alice}\0{password}"));
    for secret in [password, wrong, text, key, &blob(password), &blob(wrong)] {
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
