//! What stands at the doors: addresses in use, the data folder's lock, host-meta, proxies, clear text, limits.

use std::io::{Read, Write};

use switchboard_server::config::ClearText;
use switchboard_server::{Config, Exchange, StartError};

use crate::client::{Client, STREAM, WITHIN, tcp};
use crate::house::{House, PASSWORD};

#[test]
fn a_second_exchange_is_refused_and_says_why() {
    let house = House::usual();
    let same_folder = Exchange::start(house.config.clone());
    assert!(matches!(same_folder, Err(StartError::Folder(_))), "{same_folder:?}");

    for listener in ["tcp", "tls", "quic", "http", "https"] {
        let mut config = Config { data: house.data().join("other"), ..house.config.clone() };
        let taken = match listener {
            "tcp" => &mut config.listen.tcp,
            "tls" => &mut config.listen.tls,
            "quic" => &mut config.listen.quic,
            "http" => &mut config.listen.http,
            _ => &mut config.listen.https,
        };
        let address = match listener {
            "tcp" => house.tcp(),
            "tls" => house.tls(),
            "quic" => house.quic(),
            "http" => house.http(),
            _ => house.https(),
        };
        *taken = vec![address];
        let error = Exchange::start(config).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains(listener), "{error}");
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    }
}

#[test]
fn a_restarted_exchange_listens_on_its_ports_at_once() {
    let mut house = House::usual();
    let number = house.account();
    let addresses = house.exchange().addresses().clone();
    house.config.listen.tcp = addresses.tcp;
    house.config.listen.tls = addresses.tls;
    house.config.listen.quic = addresses.quic;
    house.config.listen.http = addresses.http;
    house.config.listen.https = addresses.https;
    for _ in 0..3 {
        let mut a = Client::tcp(house.tcp());
        a.go_online(number, PASSWORD, "a");
        // The client stays, so the exchange closes first.
        house.config.close.drain = std::time::Duration::ZERO;
        house.stop();
        house.start();
    }
}

#[test]
fn the_ready_line_names_every_door() {
    let house = House::new(|config| {
        config.listen.tls.clear();
        config.listen.https.clear();
    });
    let text = house.exchange().addresses().to_string();
    assert_eq!(text, format!("tcp={} tls=none quic={} http={}", house.tcp(), house.quic(), house.http()));
}

fn get(house: &House, path: &str) -> String {
    let mut stream = tcp(house.http());
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", house.http()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn host_meta_leads_to_the_websocket() {
    let house = House::usual();
    let link = format!("ws://{}/xmpp-websocket", house.http());
    let xml = get(&house, "/.well-known/host-meta");
    assert!(xml.starts_with("HTTP/1.1 200") && xml.contains("access-control-allow-origin: *"), "{xml}");
    assert!(
        xml.contains(&format!("<Link rel='urn:xmpp:alt-connections:websocket' href='{link}'/>")),
        "{xml}"
    );
    let json = get(&house, "/.well-known/host-meta.json");
    let body = json.split("\r\n\r\n").nth(1).unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["links"][0]["href"], link);
    assert!(get(&house, "/").contains("<script type=\"module\""), "the web client");
    assert!(get(&house, "/xmpp-websocket").starts_with("HTTP/1.1 426"));
    assert!(get(&house, "/nowhere").starts_with("HTTP/1.1 404"));
}

#[test]
fn clear_text_that_was_forwarded_is_not_local() {
    let house = House::new(|config| {
        config.security.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    // A trusted proxy says that the client is far away, and that one may not log in without TLS.
    let mut far = Client::tcp(house.tcp());
    far.send("PROXY TCP4 198.51.100.7 127.0.0.1 40000 5222\r\n");
    far.send(STREAM);
    let features = far.expect("</stream:features>");
    assert!(!features.contains("<mechanism>"), "{features}");
    assert!(features.contains("<required/>"), "{features}");
    let line = house.until(|lines| lines.iter().any(|line| line.state == "logging-in"));
    assert_eq!(line[0].remote, "198.51.100.7:40000".parse().unwrap());

    // A trusted proxy that sends no header is refused.
    let mut silent = Client::tcp(house.tcp());
    silent.send(STREAM);
    assert_eq!(silent.expect_end(), "");
}

#[test]
fn nobody_else_is_believed_to_be_a_proxy() {
    let house = House::usual();
    let mut liar = Client::tcp(house.tcp());
    liar.send("PROXY TCP4 198.51.100.7 127.0.0.1 40000 5222\r\n");
    let answer = liar.expect_end_of_stream();
    assert!(answer.contains("<stream:error"), "{answer}");
}

#[test]
fn clear_text_can_be_forbidden_everywhere() {
    let house = House::new(|config| config.security.clear_text = ClearText::Never);
    let number = house.account();
    let mut plain = Client::tcp(house.tcp());
    plain.send(STREAM);
    let features = plain.expect("</stream:features>");
    assert!(features.contains("<required/>") && !features.contains("<mechanism>"), "{features}");
    let mut secure = Client::starttls(house.tcp());
    secure.go_online(number, PASSWORD, "a");
}

#[test]
fn the_long_way_to_the_admin_socket_works() {
    let house = House::new(|config| {
        for _ in 0..6 {
            config.data.push("a-folder-whose-name-is-rather-long");
        }
    });
    assert!(house.data().join("admin.sock").as_os_str().len() > 108);
    house.account();
    assert!(house.who().is_empty());
}

#[test]
fn beyond_connections_max_clients_wait_for_a_place() {
    let house = House::new(|config| config.limits.connections_max = 3);
    let number = house.account();
    let mut first: Vec<Client> = (0..3).map(|_| Client::tcp(house.tcp())).collect();
    for client in &mut first {
        client.open();
    }
    let mut late = Client::tcp(house.tcp());
    late.send(STREAM);
    assert_eq!(house.exchange().connections(), 3);
    first.pop().unwrap().log_out();
    late.expect("</stream:features>");
    late.authenticate(number, PASSWORD).unwrap();
}

/// Somebody may tidy up the data folder of an exchange that runs. It ends all the same when it is told to.
#[test]
fn an_exchange_ends_though_its_admin_socket_was_removed() {
    let house = House::usual();
    std::fs::remove_file(house.data().join("admin.sock")).unwrap();
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(house);
        done.send(()).unwrap();
    });
    ended.recv_timeout(WITHIN).expect("the thread that listens looks up");
}
