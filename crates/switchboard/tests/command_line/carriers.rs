use rustix::process::Signal;

use crate::run::{Exchange, bodies, run};

const CARRIERS: [&str; 5] = ["tcp", "tls", "ws", "wss", "quic"];

#[test]
fn messages_cross_over_each_carrier_to_who_is_away() {
    let exchange = Exchange::start();
    let (from, to) = (exchange.account(), exchange.account());
    for over in CARRIERS {
        exchange.send(over, &from, &to, &format!("to who is away, over {over}")).done();
    }
    // Taken one by one, each over another way, so that what was acknowledged is seen not to come again.
    for (sent_over, over) in CARRIERS.iter().zip(CARRIERS.iter().rev()) {
        let came = exchange.listen(over, &to, 1).done();
        assert_eq!(bodies(&came), [format!("to who is away, over {sent_over}")]);
    }
}

#[test]
fn messages_cross_over_each_carrier_to_who_is_on_line() {
    let exchange = Exchange::start();
    let (from, to) = (exchange.account(), exchange.account());
    for over in CARRIERS {
        let mut listening = exchange.keep_listening(over, &to);
        exchange.send(over, &from, &to, "are you there?").done();
        let first = listening.line();
        assert!(first.ends_with(&format!("{from}: are you there?")), "{first}");

        // It is on line now, so this one does not wait, and is printed without a time.
        exchange.send(over, &from, &to, "<b>&'\"\u{1f44b}").done();
        assert_eq!(listening.line(), format!("{from}: <b>&'\"\u{1f44b}"));

        let who = run(&["who", "--data", exchange.data()]).done();
        let line: Vec<&str> = who.split_whitespace().collect();
        assert_eq!((line[0], line[2], line[3], line[5]), (&to[..], over, "kernel", "bound"), "{who}");
        assert!(line[4].parse::<std::net::SocketAddr>().unwrap().ip().is_loopback());

        listening.signal(Signal::TERM);
        let (code, err) = listening.end();
        assert_eq!((code, err.as_str()), (0, ""));
    }
}

#[test]
fn who_speaks_json_too() {
    let exchange = Exchange::start();
    let (from, to) = (exchange.account(), exchange.account());
    assert_eq!(run(&["who", "--json", "--data", exchange.data()]).done(), "");
    let mut listening = exchange.keep_listening("tls", &to);
    exchange.send("tcp", &from, &to, "hello").done();
    listening.line();
    let who = run(&["who", "--json", "--data", exchange.data()]).done();
    let line: serde_json::Value = serde_json::from_str(who.trim()).unwrap();
    assert_eq!(line["number"].to_string(), to);
    assert_eq!(line["carrier"], "tls");
    assert_eq!(line["encrypted"], true);
}

#[test]
fn an_own_address_is_used() {
    let exchange = Exchange::start();
    let (from, to) = (exchange.account(), exchange.account());
    for over in ["tcp", "quic"] {
        let own = free_address(over);
        let address = exchange.address(over);
        let mut args = vec!["send", "--bind", &own];
        args.extend(exchange.line(over, &from, &address));
        args.extend([to.as_str(), "from a certain port"]);
        run(&args).done();
    }
    assert_eq!(bodies(&exchange.listen("tcp", &to, 2).done()).len(), 2);
}

fn free_address(over: &str) -> String {
    let address = if over == "quic" {
        std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr())
    } else {
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr())
    };
    address.expect("loopback has a free port").to_string()
}

#[test]
fn with_every_tcp_listener_off_messages_cross_over_udp() {
    let outside = tempfile::tempdir().unwrap();
    let none = ["--tcp", "none", "--tls", "none", "--http", "none", "--https", "none"];
    let exchange = Exchange::start_in(&outside.path().join("data"), &none);
    assert!(exchange.ready().starts_with("ready tcp=none tls=none quic=127.0.0.1:"), "{}", exchange.ready());
    assert!(exchange.ready().ends_with(" http=none"), "{}", exchange.ready());
    let (from, to) = (exchange.account(), exchange.account());
    exchange.send("quic", &from, &to, "over UDP").done();
    assert_eq!(bodies(&exchange.listen("quic", &to, 1).done()), ["over UDP"]);
    exchange.stop();
}
