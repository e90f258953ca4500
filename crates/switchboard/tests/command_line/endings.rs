use std::process::Stdio;

use rustix::process::Signal;

use crate::run::{Exchange, bodies, command, finish, wait};

#[test]
fn what_was_acknowledged_outlives_the_exchange_and_it_listens_at_once() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("data");
    let mut exchange = Exchange::start_in(&folder, &[]);
    let (from, to) = (exchange.account(), exchange.account());
    let tcp = exchange.address("tcp");
    for (index, signal) in [Signal::TERM, Signal::KILL, Signal::INT].into_iter().enumerate() {
        exchange.send("tcp", &from, &to, &format!("before {index}")).done();
        exchange.process.signal(signal);
        let (code, err) = exchange.process.end();
        assert_eq!(code == 0, signal != Signal::KILL, "{err}");
        // The same port, at once.
        exchange = Exchange::start_in(&folder, &["--tcp", &tcp]);
        assert_eq!(exchange.address("tcp"), tcp);
    }
    let came = exchange.listen("tls", &to, 3).done();
    assert_eq!(bodies(&came), ["before 0", "before 1", "before 2"]);
}

#[test]
fn an_exchange_whose_log_nobody_reads_goes_on_and_ends_when_told() {
    let mut exchange = Exchange::start();
    exchange.process.nobody_reads_the_log();
    // What this has to be logged: the certificate is read again.
    exchange.process.signal(Signal::HUP);
    let (from, to) = (exchange.account(), exchange.account());
    exchange.send("tcp", &from, &to, "still here").done();
    assert_eq!(bodies(&exchange.listen("tls", &to, 1).done()), ["still here"]);
    exchange.process.signal(Signal::TERM);
    assert_eq!(exchange.process.end(), (0, String::new()));
}

#[test]
fn a_message_that_could_not_be_printed_comes_again() {
    let exchange = Exchange::start();
    let (from, to) = (exchange.account(), exchange.account());
    exchange.send("tcp", &from, &to, "print me").done();

    let address = exchange.address("tcp");
    let mut args = vec!["listen"];
    args.extend(exchange.line("tcp", &to, &address));
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let said = wait(child).failed(1);
    assert!(said.contains("standard output"), "{said}");

    assert_eq!(bodies(&exchange.listen("tcp", &to, 1).done()), ["print me"]);
}

#[test]
fn who_has_read_enough_of_an_answer_is_left_alone() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("data");
    let data = folder.to_str().unwrap();
    let answers: [&[&str]; 6] = [
        &["invite", "--data", data],
        &["invite", "list", "--data", data],
        &["account", "list", "--data", data],
        &["lab"],
        &["man"],
        &["completions", "bash"],
    ];
    for words in answers {
        let mut child = command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Nobody reads it at all, so that it does not matter how soon.
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && said.is_empty(), "{words:?}: {}: {said}", ended.status);
    }
}

#[test]
fn an_exchange_that_leaves_ends_its_listeners() {
    let exchange = Exchange::start();
    let from = exchange.account();
    let mut listeners = Vec::new();
    for over in ["tcp", "tls", "ws", "quic"] {
        let to = exchange.account();
        let mut listening = exchange.keep_listening(over, &to);
        exchange.send("tcp", &from, &to, "are you there?").done();
        listening.line();
        listeners.push(listening);
    }
    exchange.stop();
    for listening in listeners {
        let (code, err) = listening.end();
        assert_eq!((code, err.lines().count()), (1, 1), "{err}");
        assert!(err.contains("system-shutdown"), "{err}");
    }
}

#[test]
fn a_second_exchange_on_the_same_folder_or_port_is_refused() {
    let exchange = Exchange::start();
    let serve = |data: &str, tcp: &str, quic: &str| {
        let mut serve = command(&["serve", "--data", data, "--tls", "none", "--http", "none"]);
        serve.args(["--tcp", tcp, "--quic", quic]).env("SWITCHBOARD_LOG", "off");
        finish(serve).failed(1)
    };
    let pid = std::fs::read_to_string(format!("{}/lock", exchange.data())).unwrap();
    let same_folder = serve(exchange.data(), "none", "none");
    assert!(same_folder.contains(exchange.data()) && same_folder.contains(pid.trim()), "{same_folder}");

    let outside = tempfile::tempdir().unwrap();
    let other = outside.path().join("other");
    for (tcp, quic) in
        [(exchange.address("tcp").as_str(), "none"), ("none", exchange.address("quic").as_str())]
    {
        let same_port = serve(other.to_str().unwrap(), tcp, quic);
        let port = if tcp == "none" { quic } else { tcp }.rsplit(':').next().unwrap();
        assert!(same_port.contains(port) && same_port.contains(pid.trim()), "{same_port}");
    }
}

#[test]
fn a_folder_keeps_its_domain() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("data");
    Exchange::start_in(&folder, &["--domain", "chat.example"]).stop();
    let mut other = command(&["serve", "--data", folder.to_str().unwrap(), "--domain", "other.example"]);
    other.args(["--tcp", "none", "--tls", "none", "--quic", "none", "--http", "none"]);
    let refused = finish(other).failed(1);
    assert!(refused.contains("chat.example") && refused.contains("other.example"), "{refused}");
    // Without being told again it is what it was.
    Exchange::start_in(&folder, &[]).stop();
}
