use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use crate::run::{Exchange, command, finish, run};

#[test]
fn wrong_usage_is_exit_2() {
    for args in [
        &[][..],
        &["dance"],
        &["send", "--account", "10001", "10002"],
        &["send", "--account", "010001", "10002", "x"],
        &["send", "--account", "10001", "somebody", "x"],
        &["send", "--account", "10001", "--domain", "a b", "10002", "x"],
        &["account", "password"],
        &["serve", "--tcp", "none", "--tcp", "127.0.0.1:0"],
        &["listen", "--account", "10001", "--over", "pigeon"],
    ] {
        let said = run(args);
        assert_eq!(said.code, 2, "{args:?}: {said:?}");
        assert!(said.out.is_empty() && !said.err.is_empty(), "{args:?}: {said:?}");
    }
    assert_eq!(run(&["--help"]).code, 0);
    assert_eq!(run(&["send", "--help"]).code, 0);
}

#[test]
fn a_wrong_password_is_one_try_and_says_no_more_than_a_wrong_number() {
    let exchange = Exchange::start();
    let (from, to) = (exchange.account(), exchange.account());
    let attempt = |over: &str, number: &str| {
        let address = exchange.address(over);
        let mut args = vec!["send"];
        args.extend(exchange.line(over, number, &address));
        args.extend([to.as_str(), "x"]);
        let mut send = command(&args);
        send.env("SWITCHBOARD_PASSWORD", "not this");
        let started = Instant::now();
        let said = finish(send).failed(1);
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        said
    };
    for over in ["tcp", "ws", "quic"] {
        let wrong_password = attempt(over, &from);
        assert!(wrong_password.contains("wrong number or password"), "{wrong_password}");
        assert_eq!(wrong_password, attempt(over, "99999"));
    }
}

#[test]
fn a_message_to_nobody_is_refused() {
    let exchange = Exchange::start();
    let from = exchange.account();
    let refused = exchange.send("tcp", &from, "99999", "hello?").failed(1);
    assert!(refused.contains("99999@localhost"), "{refused}");
}

#[test]
fn where_nobody_answers_is_said() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for over in ["tcp", "tls", "ws", "wss"] {
        let said =
            run(&["send", "--account", "10001", "--over", over, "--server", &free, "10002", "x"]).failed(1);
        assert!(said.contains(&format!("nothing answers on {free}/tcp")), "{said}");
    }
    let outside = tempfile::tempdir().unwrap();
    let nowhere = outside.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for args in [&["who", "--data", nowhere][..], &["account", "list", "--data", nowhere]] {
        let said = run(args).failed(1);
        assert!(said.contains(nowhere), "{said}");
    }
}

#[test]
fn who_never_answers_is_given_up_in_time() {
    let silent_tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for over in ["tcp", "tls", "ws", "wss", "quic"] {
        let address = if over == "quic" { silent_udp.local_addr() } else { silent_tcp.local_addr() };
        let address = address.unwrap().to_string();
        let started = Instant::now();
        let args = ["--over", over, "--server", &address, "--timeout", "1", "--insecure"];
        let said = run(&[&["listen", "--account", "10001"][..], &args].concat()).failed(1);
        assert!(said.contains("within 1 s"), "{over}: {said}");
        assert!(started.elapsed() >= Duration::from_secs(1), "{over}");
    }
}

#[test]
fn a_certificate_that_nobody_knows_is_not_believed() {
    let exchange = Exchange::start();
    let (from, to) = (exchange.account(), exchange.account());
    let ca = format!("{}/cert.pem", exchange.data());
    let outside = tempfile::tempdir().unwrap();
    let elsewhere = outside.path().to_str().unwrap();
    for over in ["tcp", "tls", "wss", "quic"] {
        let address = exchange.address(over);
        let send = |more: &[&str]| {
            let args = [
                "send",
                "--data",
                elsewhere,
                "--account",
                &from,
                "--over",
                over,
                "--server",
                &address,
                &to,
                "x",
            ];
            run(&[&args[..], more].concat())
        };
        let refused = send(&[]).failed(1);
        assert!(refused.contains("--ca") && refused.contains("--insecure"), "{over}: {refused}");
        send(&["--ca", &ca]).done();
        send(&["--insecure"]).done();
    }
    let missing = run(&["send", "--account", "1", "--over", "tls", "--ca", "/nowhere", "2", "x"]).failed(1);
    assert!(missing.contains("/nowhere"), "{missing}");
}

#[test]
fn an_own_port_that_is_taken_is_named_with_its_holder() {
    let exchange = Exchange::start();
    let from = exchange.account();
    let me = format!("process {}", std::process::id());
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (over, own) in [("tcp", tcp.local_addr().unwrap()), ("quic", udp.local_addr().unwrap())] {
        let (address, own_text) = (exchange.address(over), own.to_string());
        let mut args = vec!["send", "--bind", &own_text];
        args.extend(exchange.line(over, &from, &address));
        args.extend(["10002", "x"]);
        let said = run(&args).failed(1);
        assert!(said.contains(&format!("port {}/", own.port())) && said.contains(&me), "{said}");
    }
}

#[test]
fn a_configuration_is_checked_with_line_and_column() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("switchboard.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "domain = \"localhost\"\n[listen]\ntcp = [\"127.0.0.1:5222\"]\n").unwrap();
    run(&["check-config", path]).done();
    std::fs::write(&file, "domain = \"localhost\"\n[listen]\ntpc = [\"127.0.0.1:5222\"]\n").unwrap();
    for args in [&["check-config", path][..], &["serve", "--config", path]] {
        let said = run(args).failed(1);
        assert!(said.contains(&format!("{path}:3:1:")) && said.contains("tpc"), "{said}");
    }
}

#[test]
fn completions_and_manual_pages_come_from_the_definition() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).done().contains("check-config"));
    }
    assert!(run(&["man"]).done().contains(".TH switchboard 1"));
    let outside = tempfile::tempdir().unwrap();
    run(&["man", "--dir", outside.path().to_str().unwrap()]).done();
    let page = std::fs::read_to_string(outside.path().join("switchboard-send.1")).unwrap();
    assert!(page.contains("acknowledged"));
}
