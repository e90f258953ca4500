use std::os::unix::fs::PermissionsExt;

use crate::run::{Exchange, command, finish, run};

#[test]
fn accounts_are_the_same_while_the_exchange_runs_and_while_it_does_not() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("data");
    let data = folder.to_str().unwrap();
    let create = |more: &[&str]| run(&[&["account", "create", "--data", data], more].concat());
    let list = || run(&["account", "list", "--data", data]).done();

    assert_eq!(create(&[]).done(), "10001\n");
    assert_eq!(create(&["--name", "Ada"]).done(), "10002\n");
    let offline = list();
    assert_eq!(offline, "10001  enabled\n10002  enabled  Ada\n");

    let exchange = Exchange::start_in(&folder, &[]);
    assert_eq!(list(), offline);
    assert_eq!(create(&[]).done(), "10003\n");
    assert_eq!(create(&["--number", "7"]).done(), "7\n");
    run(&["account", "delete", "--data", data, "--number", "10002"]).done();
    run(&["account", "disable", "--data", data, "--number", "10001"]).done();
    let running = list();
    assert_eq!(running, "7      enabled\n10001  disabled\n10003  enabled\n");
    let taken_while_it_runs = create(&["--number", "10002"]).failed(1);
    exchange.stop();

    assert_eq!(list(), running);
    assert_eq!(create(&[]).done(), "10004\n");
    let taken = create(&["--number", "10002"]).failed(1);
    for said in [taken, taken_while_it_runs] {
        assert!(said.contains("10002"), "{said}");
    }
    run(&["account", "enable", "--data", data, "--number", "10001"]).done();
    assert!(list().contains("10001  enabled"));
    let nobody = run(&["account", "delete", "--data", data, "--number", "5"]).failed(1);
    assert!(nobody.contains('5'), "{nobody}");

    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_made_password_is_printed_once_and_is_the_password() {
    let exchange = Exchange::start();
    let mut create = command(&["account", "create", "--data", exchange.data()]);
    create.env_remove("SWITCHBOARD_PASSWORD");
    let said = finish(create);
    let made = said.err.trim().strip_prefix("password: ").expect("the password").to_owned();
    let number = said.done().trim().to_owned();

    let to = exchange.account();
    let address = exchange.address("tcp");
    let send = |password: &str| {
        let mut args = vec!["send"];
        args.extend(exchange.line("tcp", &number, &address));
        args.extend([to.as_str(), "hello"]);
        let mut send = command(&args);
        send.env("SWITCHBOARD_PASSWORD", password);
        finish(send)
    };
    send(&made).done();
    send("another").failed(1);
}

#[test]
fn a_password_comes_from_a_file_first() {
    let exchange = Exchange::start();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("password");
    std::fs::write(&file, "from the file\nnot this\n").unwrap();
    let file = file.to_str().unwrap();
    let made = run(&["account", "create", "--data", exchange.data(), "--password-file", file]).done();
    let to = exchange.account();
    let address = exchange.address("tcp");
    let mut args = vec!["send"];
    args.extend(exchange.line("tcp", made.trim(), &address));
    args.extend([to.as_str(), "hello"]);
    run(&args).failed(1);
    args.extend(["--password-file", file]);
    run(&args).done();

    let mut nothing = command(&["account", "create", "--data", exchange.data()]);
    nothing.env("SWITCHBOARD_PASSWORD", "");
    assert!(finish(nothing).failed(1).contains("empty"));
    let missing =
        run(&["account", "create", "--data", exchange.data(), "--password-file", "/nowhere"]).failed(1);
    assert!(missing.contains("/nowhere"), "{missing}");
}

#[test]
fn who_is_disabled_deleted_or_given_a_new_password_is_off_the_line() {
    let exchange = Exchange::start();
    let (from, to) = (exchange.account(), exchange.account());
    for change in ["disable", "password", "delete"] {
        let mut listening = exchange.keep_listening("tcp", &to);
        exchange.send("tcp", &from, &to, "are you there?").done();
        listening.line();
        run(&["account", change, "--data", exchange.data(), "--number", &to]).done();
        let (code, err) = listening.end();
        assert_eq!(code, 1, "{change}: {err}");
        assert_eq!(err.lines().count(), 1, "{change}: {err}");
        if change == "disable" {
            let refused = exchange.send("tcp", &to, &from, "let me in").failed(1);
            assert!(refused.contains("log-in") || refused.contains("wrong number or password"), "{refused}");
            run(&["account", "enable", "--data", exchange.data(), "--number", &to]).done();
        }
    }
    exchange.send("tcp", &to, &from, "let me in").failed(1);
}
