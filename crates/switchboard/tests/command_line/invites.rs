//! Invites: the first, which an exchange on an empty folder prints by itself, and those that are asked for.

use crate::run::{Exchange, Staying, run};

const SERVE: [&str; 11] = [
    "serve",
    "--tcp",
    "127.0.0.1:0",
    "--tls",
    "127.0.0.1:0",
    "--quic",
    "127.0.0.1:0",
    "--http",
    "127.0.0.1:0",
    "--https",
    "127.0.0.1:0",
];

/// What an exchange says before it is ready.
fn greeting(data: &str) -> Vec<String> {
    let mut process = Staying::start(&[&SERVE[..], &["--data", data]].concat());
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.starts_with("ready ")) {
        lines.push(process.line());
    }
    process.signal(rustix::process::Signal::TERM);
    assert_eq!(process.end().0, 0);
    lines
}

#[test]
fn the_first_exchange_on_an_empty_folder_prints_an_invite_and_no_later_one_does() {
    let outside = tempfile::tempdir().unwrap();
    let data = outside.path().join("data");
    let data = data.to_str().unwrap();
    let first = greeting(data);
    let invites = |lines: &[String]| lines.iter().filter(|line| line.contains(";preauth=")).count();
    assert_eq!(invites(&first), 1, "{first:#?}");
    let line = first.iter().find(|line| line.starts_with("a first invite")).expect("it says what it is");
    assert!(line.contains(" xmpp:localhost?register;preauth="), "{line}");
    let listed = run(&["invite", "list", "--data", data]).done();
    assert!(listed.starts_with("any  until ") && listed.lines().count() == 1, "{listed}");
    let second = greeting(data);
    assert_eq!(invites(&second), 0, "{second:#?}");
}

#[test]
fn an_invite_is_a_uri_a_link_and_a_code_and_its_number_is_kept() {
    let exchange = Exchange::start();
    let made = run(&["invite", "--data", exchange.data()]).done();
    let lines: Vec<&str> = made.lines().collect();
    let (number, token) = lines[0]
        .strip_prefix("xmpp:")
        .and_then(|rest| rest.split_once("@localhost?register;preauth="))
        .unwrap_or_else(|| panic!("{made}"));
    assert_eq!(number, "10001");
    assert!(lines[1].starts_with("http") && lines[1].contains(token), "{made}");
    assert!(lines[2].starts_with("good once, until "), "{made}");
    // ISO/IEC 18004: version 1 has 21 modules a side, each further one four more; four of margin on every side. Two rows of
    // them make a line.
    let side = lines[3].chars().count() - 8;
    assert!(side >= 21 && (side - 21).is_multiple_of(4), "{side} modules a side:\n{made}");
    assert_eq!(lines.len() - 3, (side + 8).div_ceil(2), "{made}");
    let blocks = |line: &&str| line.chars().all(|c| " \u{2580}\u{2584}\u{2588}".contains(c));
    assert!(lines[3..].iter().all(blocks), "{made}");

    // Nobody else gets the number while the invite is good; it is free again when it is taken back.
    assert_eq!(exchange.account(), "10002");
    let taken = run(&["account", "create", "--number", "10001", "--data", exchange.data()]);
    assert_ne!(taken.code, 0, "{taken:?}");
    run(&["invite", "revoke", "--number", "10001", "--data", exchange.data()]).done();
    assert_eq!(exchange.account(), "10001");
    exchange.stop();
}
