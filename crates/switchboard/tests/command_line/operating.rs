//! What an operator does: watches who is on line, reads logs by program, lets a service manager wait.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::run::{Exchange, LIMIT, Staying, command, run};

#[test]
fn watching_tells_who_comes_and_who_goes() {
    let exchange = Exchange::start();
    let (first, second) = (exchange.account(), exchange.account());
    let mut early = exchange.keep_listening("tcp", &first);
    exchange.send("tcp", &second, &first, "are you there?").done();
    early.line();
    let mut watching = Staying::start(&["who", "--watch", "--data", exchange.data()]);
    let line = watching.line();
    let words: Vec<&str> = line.split("  ").collect();
    assert_eq!((words[0], &words[2..4]), (&*format!("+ {first}"), &["tcp", "kernel"][..]), "{line}");

    let mut late = exchange.keep_listening("quic", &second);
    // It may be seen while it still logs in, with its number or without, and then as what it has become.
    loop {
        let line = watching.line();
        let row = line.strip_prefix("+ ").or(line.strip_prefix("- ")).expect("a change");
        assert!(row.contains("  quic  "), "{line}");
        if line.starts_with(&format!("+ {second}")) && row.contains("  bound  ") {
            break;
        }
    }
    exchange.send("tcp", &first, &second, "come along").done();
    late.line();
    early.signal(Signal::TERM);
    loop {
        let line = watching.line();
        if line.starts_with(&format!("- {first}")) {
            break;
        }
    }
    exchange.stop();
    let (code, err) = watching.end();
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
}

#[test]
fn a_watch_needs_a_sane_pace() {
    assert_eq!(run(&["who", "--watch", "0"]).code, 2);
    assert_eq!(run(&["who", "--watch", "1", "--json"]).code, 2);
}

#[test]
fn a_service_manager_hears_when_it_is_ready_and_when_it_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(LIMIT)).unwrap();
    let hear = || {
        let mut buffer = [0; 256];
        let len = loop {
            match manager.recv(&mut buffer) {
                // A wait with a limit is not taken up again after a signal (signal(7)).
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                heard => break heard.expect("it says something"),
            }
        };
        String::from_utf8_lossy(&buffer[..len]).trim().to_owned()
    };

    let data = folder.path().join("data");
    let mut args = vec!["serve", "--data", data.to_str().unwrap()];
    for flag in ["--tcp", "--tls", "--quic", "--http"] {
        args.extend([flag, "127.0.0.1:0"]);
    }
    let mut serve = command(&args);
    serve.env("NOTIFY_SOCKET", &path);
    let exchange = Staying::spawn(serve);
    assert_eq!(hear(), "READY=1");
    exchange.signal(Signal::TERM);
    assert_eq!(hear(), "STOPPING=1");
    assert_eq!(exchange.end().0, 0);
}

#[test]
fn logs_for_programs_are_an_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("switchboard.toml");
    std::fs::write(&config, "[log]\nformat = \"json\"\n").unwrap();
    let data = folder.path().join("data");
    let exchange = Exchange::start_in(&data, &["--config", config.to_str().unwrap()]);
    exchange.process.signal(Signal::TERM);
    let (code, log) = exchange.process.end();
    assert_eq!(code, 0, "{log}");
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let leaving =
        lines.iter().find(|line| line["message"] == "asked to leave").expect("it says that it leaves");
    assert_eq!((leaving["level"].as_str(), leaving["signal"].as_i64()), (Some("INFO"), Some(15)));
}
