//! Bad input and load: the right error, bounded memory, every other session unaffected.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::time::Duration;

use crate::client::{Client, STREAM, tcp, tcp_of_one_who_does_not_read};
use crate::house::{House, PASSWORD};

/// Two who talk while somebody else misbehaves.
struct Bystanders {
    a: Client,
    b: Client,
    first: u64,
    second: u64,
    count: usize,
}

impl Bystanders {
    fn new(house: &House) -> Self {
        let (first, second) = (house.account(), house.account());
        let (mut a, mut b) = (Client::tcp(house.tcp()), Client::tls(house.tls()));
        a.go_online(first, PASSWORD, "a");
        b.go_online(second, PASSWORD, "b");
        Self { a, b, first, second, count: 0 }
    }

    fn check(&mut self) {
        self.count += 1;
        let text = format!("still here {}", self.count);
        self.a.message(self.second, &text);
        self.b.expect_message(self.first, &text);
        self.b.message(self.first, &text);
        self.a.expect_message(self.second, &text);
    }
}

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn each_mistake_has_its_stream_error() {
    let house = House::usual();
    let mut others = Bystanders::new(&house);
    let nested = format!("{}<message>{}", STREAM, "<a>".repeat(50_000));
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("no XML", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "not-well-formed"),
        ("a wrong end tag", format!("{STREAM}<a></b>").into(), "not-well-formed"),
        ("a DTD", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]>".to_vec(), "restricted-xml"),
        ("a comment", format!("{STREAM}<!-- hello -->").into(), "restricted-xml"),
        ("an entity", format!("{STREAM}<a>&bomb;</a>").into(), "restricted-xml"),
        ("an instruction", format!("{STREAM}<?php?>").into(), "restricted-xml"),
        ("invalid UTF-8", [STREAM.as_bytes(), b"<a>\xff\xfe</a>"].concat(), "unsupported-encoding"),
        ("nested 50,000 deep", nested.into(), "policy-violation"),
        (
            "a wrong stream namespace",
            b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='urn:wrong'>"
                .to_vec(),
            "invalid-namespace",
        ),
        ("a stranger's domain", STREAM.replace("localhost", "elsewhere.example").into(), "host-unknown"),
        (
            "a stanza before log-in",
            format!("{STREAM}<message to='{}@localhost'><body>x</body></message>", others.first).into(),
            "not-authorized",
        ),
        (
            "10,001 octets before log-in",
            format!("{STREAM}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}", "x".repeat(10_001)).into(),
            "policy-violation",
        ),
    ];
    for (what, bytes, error) in rows {
        let mut client = Client::tcp(house.tcp());
        // The exchange may have hung up before all of it is written.
        let _ = client.try_send(&bytes);
        let answer = client.expect_end_of_stream();
        assert!(answer.contains(&format!("<stream:error><{error} xmlns=")), "{what}: {answer}");
        assert!(answer.ends_with("</stream:stream>"), "{what}: {answer}");
        others.check();
    }
}

#[test]
fn octets_one_at_a_time_are_a_conversation_like_any_other() {
    let house = House::usual();
    let number = house.account();
    let mut client = Client::tcp(house.tcp());
    for octet in STREAM.as_bytes() {
        client.send_bytes(&[*octet]);
    }
    client.expect("</stream:features>");
    client.authenticate(number, PASSWORD).unwrap();
    client.open();
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    for octet in bind.as_bytes() {
        client.send_bytes(&[*octet]);
    }
    client.expect("</iq>");
    client.ping();
}

#[test]
fn a_stanza_without_end_is_cut_off_and_costs_no_memory() {
    let house = House::usual();
    let mut others = Bystanders::new(&house);
    let number = house.account();
    let mut client = Client::tcp(house.tcp());
    client.go_online(number, PASSWORD, "endless");
    let before = resident_kib();
    let block = vec![b'x'; 1 << 20];
    client.send(&format!("<message to='{}@localhost'><body>", others.first));
    let mut sent = 0usize;
    while sent < 1 << 30 && client.try_send(&block).is_ok() {
        sent += block.len();
    }
    assert!(sent < 1 << 30, "a gibibyte was taken");
    let after = resident_kib();
    assert!(after < before + 16 * 1024, "{before} KiB before, {after} KiB after");
    others.check();
}

#[test]
fn a_stanza_too_long_is_told_so() {
    let house = House::usual();
    let number = house.account();
    let mut client = Client::tcp(house.tcp());
    client.go_online(number, PASSWORD, "long");
    client.send(&format!("<message to='{number}@localhost'><body>{}</body></message>", "x".repeat(300_000)));
    let answer = client.expect_end_of_stream();
    assert!(answer.contains("<policy-violation xmlns="), "{answer}");
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_its_messages_wait() {
    let house = House::new(|config| {
        config.limits.output_max = config.limits.stanza_max;
        config.close.fin_wait = Duration::from_millis(200);
    });
    let mut others = Bystanders::new(&house);
    let deaf = house.account();
    let mut reader = Client::over(tcp_of_one_who_does_not_read(house.tcp()));
    reader.go_online(deaf, PASSWORD, "deaf");
    // What came while the exchange still looked for what waits would wait too, for who reads nothing in its queue.
    others.a.message(deaf, "before");
    reader.expect_message(others.first, "before");
    let before = resident_kib();
    let body = "x".repeat(10_000);
    // The exchange's send buffer holds 4 MiB at most; then its own bound is reached.
    for _ in 0..1500 {
        others.a.message(deaf, &body);
    }
    others.a.ping();
    house.until(|lines| !lines.iter().any(|line| line.number == Some(deaf)));
    let after = resident_kib();
    assert!(after < before + 32 * 1024, "{before} KiB before, {after} KiB after");
    others.check();
}

#[test]
fn thousands_that_say_nothing_cost_little_and_are_sent_away() {
    const SILENT: usize = 5000;
    let house = House::new(|config| {
        config.limits.login = Duration::from_secs(3);
        config.close.fin_wait = Duration::from_millis(200);
    });
    let mut others = Bystanders::new(&house);
    let before = resident_kib();
    let mut silent: Vec<_> =
        (0..SILENT).map(|n| tcp(if n % 4 == 0 { house.tls() } else { house.tcp() })).collect();
    others.check();
    let after = resident_kib();
    println!("{} octets a silent connection, both ends", (after - before) * 1024 / SILENT as u64);
    assert!(after < before + (SILENT as u64) * 8, "{before} KiB before, {after} KiB after");
    for stream in &mut silent {
        // A stream error on TCP, the bare end on TLS; in any case the end.
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
    }
    others.check();
    house.until(|lines| lines.len() == 2);
}

#[test]
fn tls_garbage_is_answered_by_an_alert_and_an_end() {
    let house = House::usual();
    let mut others = Bystanders::new(&house);
    let rows: [&[u8]; 4] = [
        b"<?xml version='1.0'?><stream:stream to='localhost'>",
        &[0x16, 0x03, 0x01, 0xff, 0xff, 1, 2, 3],
        &[0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0xff, 0xff, 0xff, 0xff],
        &[0x17, 0x03, 0x03, 0x00, 0x02, 0x00, 0x00],
    ];
    for garbage in rows {
        let mut stream = tcp(house.tls());
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer[0] == 0x15, "neither an end nor an alert: {answer:?}");
        others.check();
    }
}

#[test]
fn websocket_garbage_is_closed_with_its_code() {
    let house = House::usual();
    let mut others = Bystanders::new(&house);
    let big = crate::client::frame(0x81, &vec![b'x'; 20_000]);
    let rows: [(&[u8], u16); 3] =
        [(&[0x81, 0x02, b'h', b'i'], 1002), (&[0x82, 0x80, 0, 0, 0, 0], 1003), (&big, 1009)];
    for (garbage, code) in rows {
        let mut client = Client::websocket(tcp(house.http()), house.http());
        client.io.send(garbage).unwrap();
        let end = client.expect_end();
        assert!(end.contains(&format!("[close {:?}]", code.to_be_bytes())), "{code}: {end}");
        others.check();
    }
}

#[test]
fn quic_garbage_is_dropped() {
    let house = House::usual();
    let mut others = Bystanders::new(&house);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..2000u32 {
        let bytes: Vec<u8> = (0..(n % 1400)).map(|i| (i.wrapping_mul(n) >> 3) as u8 ^ n as u8).collect();
        socket.send_to(&bytes, house.quic()).unwrap();
    }
    let quic = crate::client::Quic::connect(house.quic());
    let number = house.account();
    quic.stream().go_online(number, PASSWORD, "after");
    others.check();
}

#[test]
fn spoofed_initials_are_answered_by_a_retry_and_keep_nothing() {
    let house = House::new(|config| config.quic.retry = switchboard_server::config::Retry::Always);
    // A client that proves its address gets in, by way of a Retry.
    let quic = crate::client::Quic::connect(house.quic());
    let number = house.account();
    quic.stream().go_online(number, PASSWORD, "proven");
    // A bare Initial (RFC 9000 17.2.2) with nothing that decrypts gets no connection.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = resident_kib();
    let mut initial = vec![0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xb0];
    initial.resize(1200, 0x5a);
    for n in 0..5000u32 {
        initial[6..10].copy_from_slice(&n.to_be_bytes());
        socket.send_to(&initial, house.quic()).unwrap();
    }
    let mut other = quic.stream();
    other.go_online(number, PASSWORD, "second");
    assert!(resident_kib() < before + 8 * 1024);
}

#[test]
fn a_forged_from_is_not_believed() {
    let house = House::usual();
    let mut others = Bystanders::new(&house);
    let second = others.second;
    others.a.send(&format!(
        "<message from='{second}@localhost/b' to='{second}@localhost' type='chat'><body>forged</body></message>"
    ));
    let answer = others.a.expect_end_of_stream();
    // RFC 6120 4.9.3.9.
    assert!(answer.contains("<invalid-from xmlns="), "{answer}");
}
