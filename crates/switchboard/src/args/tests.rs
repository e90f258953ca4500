use super::*;
use clap::CommandFactory;

fn parse(line: &str) -> Result<Args, clap::Error> {
    Args::try_parse_from(line.split_whitespace())
}

#[test]
fn the_definition_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn what_the_issue_lists_can_be_typed() {
    for line in [
        "switchboard serve",
        "switchboard serve --data d --config f --domain x --tcp 127.0.0.1:1 --tcp [::1]:1 --tls none --quic none \
         --http none --https 127.0.0.1:0 --drain 3 --cert c --key k",
        "switchboard check-config f",
        "switchboard backup --data d f",
        "switchboard reports --data d --json",
        "switchboard export --data d f",
        "switchboard export",
        "switchboard import --data d --domain x f g",
        "switchboard account create --data d --number 10001 --name Ada --password-file f",
        "switchboard account list --json",
        "switchboard account password --number 10001",
        "switchboard account disable --number 10001",
        "switchboard account enable --data d --number 10001",
        "switchboard account delete --number 10001",
        "switchboard who --data d --json",
        "switchboard send --account 10001 --over quic 10002 hello",
        "switchboard send --account 10001 --server h:1 --domain d --over wss --ca f --bind 127.0.0.1:0 --timeout 3 10002 x",
        "switchboard listen --account 10002 --insecure --json --count 3",
        "switchboard ladder f",
        "switchboard ladder - --flow 2 --format svg --absolute --ascii --width 80 --follow",
        "switchboard ladder --live lo --filter tcp --flow 1",
        "switchboard lab",
        "switchboard lab close --seed 7 --lang zh --format svg --pcap f --absolute --ascii --width 80",
        "switchboard lab --notes --lang zh",
        "switchboard completions bash",
        "switchboard man",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    for line in [
        "switchboard",
        "switchboard dance",
        "switchboard serve --tcp somewhere",
        "switchboard serve --cert c",
        "switchboard backup",
        "switchboard import",
        "switchboard account",
        "switchboard account create --number 010",
        "switchboard account create --number +1",
        "switchboard account create --number 1234567890123456",
        "switchboard account password",
        "switchboard send --account 10001 10002",
        "switchboard send 10002 hello",
        "switchboard send --account 10001 --over pigeon 10002 hello",
        "switchboard listen --account 10001 --ca f --insecure",
        "switchboard listen --account 10001 --count 0",
        "switchboard listen --account 10001 --timeout 0",
        "switchboard listen --account 10001 --bind 5222",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn carriers_have_their_names() {
    for (name, over) in Over::ALL {
        let args = parse(&format!("switchboard listen --account 1 --over {name}")).unwrap();
        let Command::Listen(listen) = args.command else { panic!() };
        assert_eq!(listen.line.over, over);
    }
}
