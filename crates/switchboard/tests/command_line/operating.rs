//! What an operator does: watches who is on line, reads logs by program, lets a service manager wait.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::process::Signal;

use crate::run::{Exchange, LIMIT, Staying, bodies, command, run};

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

/// A folder whose database is a copy.
fn folder_of(copy: &Path, folder: &Path) {
    std::fs::DirBuilder::new().mode(0o700).create(folder).expect("it is not there");
    std::fs::copy(copy, folder.join("switchboard.db")).expect("the copy is there");
}

#[test]
fn a_copy_of_a_running_exchange_serves_again_with_all_it_knew() {
    let outside = tempfile::tempdir().unwrap();
    let path = |name: &str| outside.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    let data = path("data");
    std::fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
    std::fs::write(data.join("switchboard.toml"), "domain = \"example.org\"\n").unwrap();
    let exchange = Exchange::start_in(&data, &[]);
    let (first, second) = (exchange.account(), exchange.account());
    let send = |exchange: &Exchange, text: &str| {
        let address = exchange.address("tcp");
        let mut args = vec!["send", "--domain", "example.org"];
        args.extend(exchange.line("tcp", &first, &address));
        args.extend([second.as_str(), text]);
        run(&args).done();
    };
    send(&exchange, "before the copy");
    let said = run(&["backup", "--data", exchange.data(), &text("copy")]);
    assert_eq!((said.code, &*said.out, &*said.err), (0, "", ""));
    assert_eq!(std::fs::metadata(path("copy")).unwrap().permissions().mode() & 0o777, 0o600);
    send(&exchange, "after the copy");
    // Nothing is overwritten, and what cannot be copied says so.
    let again = run(&["backup", "--data", exchange.data(), &text("copy")]).failed(1);
    assert!(again.contains("is there already"), "{again}");
    let nothing = run(&["backup", "--data", &text("nowhere"), &text("other")]).failed(1);
    assert!(nothing.contains("nowhere"), "{nothing}");
    exchange.stop();
    let as_it_is = run(&["serve", "--data", &text("copy")]).failed(1);
    assert!(as_it_is.contains("is a file") && as_it_is.contains("switchboard.db"), "{as_it_is}");
    run(&["backup", "--data", &text("data"), &text("copy at rest")]).done();

    for (copy, folder, waiting) in [
        ("copy", "restored", &["before the copy"][..]),
        ("copy at rest", "restored at rest", &["before the copy", "after the copy"]),
    ] {
        folder_of(&path(copy), &path(folder));
        // The domain comes out of the configuration, which came out of the copy.
        let restored = Exchange::start_in(&path(folder), &[]);
        for name in ["cert.pem", "key.pem", "salt-secret", "iterations", "switchboard.toml"] {
            let (now, then) = (path(folder).join(name), data.join(name));
            assert_eq!(std::fs::read(now).unwrap(), std::fs::read(then).unwrap(), "{name}");
        }
        let (address, count) = (restored.address("tcp"), waiting.len().to_string());
        let mut args = vec!["listen", "--json", "--domain", "example.org", "--count", &count];
        args.extend(restored.line("tcp", &second, &address));
        assert_eq!(bodies(&run(&args).done()), waiting);
        // Its numbers go on behind those that were given out.
        assert_eq!(restored.account(), "10003");
        restored.stop();
    }
}

#[test]
fn accounts_move_from_one_folder_to_another() {
    let outside = tempfile::tempdir().unwrap();
    let text = |name: &str| outside.path().join(name).to_str().unwrap().to_owned();
    let exchange = Exchange::start_in(&outside.path().join("first"), &[]);
    let (first, second) = (exchange.account(), exchange.account());
    exchange.send("tcp", &first, &second, "wait for me").done();
    // While the exchange runs, into a file and to standard output: the same.
    run(&["export", "--data", exchange.data(), &text("file")]).done();
    let mode = std::fs::metadata(text("file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let file = std::fs::read_to_string(text("file")).unwrap();
    assert_eq!(run(&["export", "--data", exchange.data()]).done(), file);
    let again = run(&["export", "--data", exchange.data(), &text("file")]).failed(1);
    assert!(again.contains("is there already"), "{again}");

    // Not into a folder on which an exchange runs, nor into one that has these numbers; and then nothing has changed.
    let running = run(&["import", "--data", exchange.data(), &text("file")]).failed(1);
    assert!(running.contains("stop it"), "{running}");
    exchange.stop();
    let whole = run(&["export", "--data", &text("first")]).done();
    assert_eq!(whole, file);
    // The first account of this file is new, the second is not.
    let other = file.replace(&format!("<user name='{first}'>"), "<user name='20001'>");
    std::fs::write(text("other"), other).unwrap();
    let taken = run(&["import", "--data", &text("first"), &text("other")]).failed(1);
    assert!(
        taken.contains(&format!("an account {second}")) && taken.contains("nothing was imported"),
        "{taken}"
    );
    assert_eq!(run(&["export", "--data", &text("first")]).done(), whole);

    let said = run(&["import", "--data", &text("second"), &text("file")]);
    assert_eq!((said.code, &*said.err), (0, ""));
    assert_eq!(said.out, "2 accounts, 1 waiting and 2 archived messages\n");
    let exchange = Exchange::start_in(&outside.path().join("second"), &[]);
    // They log in with the passwords they had.
    assert_eq!(bodies(&exchange.listen("tcp", &second, 1).done()), ["wait for me"]);
    exchange.stop();
    let missing = run(&["import", "--data", &text("third"), &text("nowhere")]).failed(1);
    assert!(missing.contains("nowhere"), "{missing}");
    let none =
        run(&["import", "--data", &text("second"), "--domain", "example.net", &text("file")]).failed(1);
    assert!(none.contains("belongs to the domain localhost"), "{none}");
}
