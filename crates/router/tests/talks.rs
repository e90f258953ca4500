//! The talks: conversations that a person can read, played against the router.
//!
//! A talk is a file in `tests/talks/` of the workspace; each feature has one that bears its name. Its lines:
//! ```text
//! # a remark
//! loops 2                         two event loops instead of one (one of the first lines)
//! strangers ask                   what strangers may do (one of the first lines)
//! strangers-per-hour 2            how many different ones may be written to (one of the first lines)
//! archive always                  messages are archived unless somebody says otherwise (one of the first lines)
//! stream features have <ver .../> the exchange announces so, before anybody binds
//! C1 binds 10001/phone            a client logs in; `10001` alone lets the server choose the resource
//! C1 binds 10001/phone on 1       the same, its carrier on loop 1
//! C1 binds 10001/phone confirming the same, with XEP-0198
//! C1: <presence/>                 C1 sends; everything then settles
//! C1 gets <presence .../>         the next stanza that C1 got, exactly; `{}` stands for any text
//! C1 gets nothing                 C1 got no more
//! C1 forgets                      whatever C1 got does not matter
//! C1 is inactive                 nobody looks at it (XEP-0352); `C1 is active` again
//! C1 binds 10001/phone with <x/>  the same, asking features something along with that (XEP-0386)
//! C1 confirms [2]                 C1 confirms all, or the oldest two, that it got
//! C1 binds 10001/phone resumable  the same, and may come back for its session
//! C2 resumes 10001 as C1 [on 1]   another connection takes up the session that C1 was
//! C2 resumes 10001 as nobody      a session that never was
//! C2 is not resumed               there is no such session any more
//! C2 is not resumed after 3       and so many of its stanzas are known to have been handled
//! exchange restarts               politely; sessions that may be resumed are parked in the next
//! exchange is killed              and another is started on what is stored
//! C1 is lost                      its session ends, and what it had not confirmed goes back
//! C1 is closed with conflict      the exchange ended it so
//! C1 is refused conflict          its resource was refused so
//! C1 waits for 1                  so many of its stanzas are not processed yet
//! 10001 is deleted                also disabled, given a password
//! 10001 has reported 10002@localhost    for the operator to read
//! 10001 has 2 waiting             so many messages are stored for it
//! store waits                     the disk is slow; `store answers` ends that
//! time 31                         seconds pass
//! ```
//! A line that is indented goes on where the line before it ended.

mod world;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use switchboard_router::{
    AccountChange, ArchivePolicy, Errand, Router, RouterConfig, SessionId, StrangerPolicy,
};
use world::World;

/// Whether a text is the expected one, where `{}` stands for anything.
fn matches(expected: &str, got: &str) -> bool {
    let mut pieces = expected.split("{}");
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = got.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

fn play(name: &str, talk: &str) {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in talk.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
        match lines.last_mut() {
            Some((_, last)) if line.starts_with(' ') => last.push_str(line.trim()),
            _ if line.trim().is_empty() => {}
            _ => lines.push((at + 1, line.trim_end().to_owned())),
        }
    }
    let (mut loops, mut cfg) = (1, RouterConfig::new("localhost", [7; 16]));
    let settings = lines.iter().take_while(|(_, line)| set(&mut loops, &mut cfg, line)).count();
    let mut world = World::with(loops, cfg);
    let mut clients: HashMap<String, SessionId> = HashMap::new();
    for (at, line) in lines.iter().skip(settings) {
        let place = format!("{name}:{at}: {line}");
        play_line(&mut world, &mut clients, line, &place);
    }
    for (client, session) in &clients {
        let inbox = &world.clients[session].inbox;
        assert!(inbox.is_empty(), "{name}: in the end {client} had got more:\n{inbox:#?}");
    }
}

/// Sets what one of the first lines says; false if it is none of them.
fn set(loops: &mut u16, cfg: &mut RouterConfig, line: &str) -> bool {
    match line.split_once(' ') {
        Some(("loops", count)) => *loops = count.parse().expect("a number of loops"),
        Some(("strangers", policy)) => {
            cfg.strangers = StrangerPolicy::from_name(policy).expect("a policy");
        }
        Some(("strangers-per-hour", count)) => cfg.strangers_per_hour = count.parse().expect("a count"),
        Some(("archive", policy)) => cfg.archive = ArchivePolicy::from_name(policy).expect("a policy"),
        _ => return false,
    }
    true
}

fn play_line(world: &mut World, clients: &mut HashMap<String, SessionId>, line: &str, place: &str) {
    if let Some(element) = line.strip_prefix("stream features have ") {
        let all = Router::stream_features(&RouterConfig::new("localhost", [7; 16]));
        let all = String::from_utf8(all).expect("they are text");
        return assert!(all.contains(element), "{place}\nbut they are\n{all}");
    }
    if let Some((client, stanza)) = line.split_once(": ") {
        world.send(clients[client], stanza);
        return world.settle();
    }
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["store", "waits"] => world.store_waits = true,
        ["store", "answers"] => {
            world.store_waits = false;
            world.settle();
        }
        ["time", seconds] => {
            world.pass(Duration::from_secs(seconds.parse().expect("seconds")));
            world.settle();
        }
        [client, "binds", address, ref how @ ..] => {
            let (of, resource) = match address.split_once('/') {
                Some((of, resource)) => (of, Some(resource)),
                None => (address, None),
            };
            let resumable = how.contains(&"resumable");
            let confirming = how.contains(&"confirming");
            let on_loop =
                how.iter().position(|word| *word == "on").map(|at| how[at + 1].parse().expect("a loop"));
            let session = world.bind(of.parse().expect("a number"), resource, confirming, on_loop);
            clients.insert(client.to_owned(), session);
            world.settle();
            if resumable {
                world.may_resume(session);
            }
            world.settle();
        }
        [client, "resumes", of, "as", earlier, ref how @ ..] => {
            let key = clients.get(earlier).map_or(0, |session| session.to_bits());
            let on_loop =
                how.iter().position(|word| *word == "on").map(|at| how[at + 1].parse().expect("a loop"));
            let session = world.resume(of.parse().expect("a number"), key, on_loop);
            clients.insert(client.to_owned(), session);
            world.settle();
        }
        [client, "is", state @ ("active" | "inactive")] => {
            world.client_state(clients[client], state == "active");
            world.settle();
        }
        [client, "is", "not", "resumed"] => {
            assert!(world.clients[&clients[client]].not_resumed.is_some(), "{place}");
        }
        [client, "is", "not", "resumed", "after", count] => {
            let handled = Some(Some(count.parse().expect("a count")));
            assert_eq!(world.clients[&clients[client]].not_resumed, handled, "{place}");
        }
        ["exchange", "restarts"] => world.restart(),
        ["exchange", "is", "killed"] => {
            world.kill();
            world.settle();
        }
        [client, "gets", "nothing"] => {
            let inbox = &world.clients[&clients[client]].inbox;
            assert!(inbox.is_empty(), "{place}\nbut it got\n{inbox:#?}");
        }
        [client, "gets", ..] => {
            let expected = line.split_once(" gets ").expect("it is there").1;
            let inbox = &mut world.clients.get_mut(&clients[client]).expect("a client").inbox;
            let got = inbox.pop_front().unwrap_or_else(|| panic!("{place}\nbut it got nothing"));
            assert!(matches(expected, &got), "{place}\nbut it got\n{got}\nand then\n{inbox:#?}");
        }
        [client, "forgets"] => world.clients.get_mut(&clients[client]).expect("a client").inbox.clear(),
        [client, "confirms", ref count @ ..] => {
            let count = count.first().map_or(usize::MAX, |count| count.parse().expect("a count"));
            world.confirm(clients[client], count);
            world.settle();
        }
        [client, "is", "lost"] => {
            world.end(clients[client]);
            world.settle();
        }
        [client, "is", "closed", "with", why] => {
            let closed = world.clients[&clients[client]].closed;
            assert_eq!(closed.map(|kind| kind.name()), Some(why), "{place}");
        }
        [client, "is", "refused", why] => {
            let refused = world.clients[&clients[client]].refused;
            assert_eq!(refused.map(|error| error.condition().name()), Some(why), "{place}");
        }
        [client, "waits", "for", count] => {
            let client = &world.clients[&clients[client]];
            assert_eq!(
                client.sent as usize - client.processed.len(),
                count.parse::<usize>().expect("a count"),
                "{place}"
            );
        }
        ["driver", "hears", number, ref what @ ..] => {
            let heard = (!world.errands.is_empty()).then(|| world.errands.remove(0));
            let (of, errand) = heard.unwrap_or_else(|| panic!("{place}\nbut it heard nothing"));
            let errand = match errand {
                Errand::Lines { open: None } => "lines".to_owned(),
                Errand::Lines { open: Some(open) } => format!("lines {open}"),
                Errand::Trace { line, after } => format!("trace {line} after {after}"),
                Errand::Invite => "invite".to_owned(),
                Errand::Revoke => "revoke".to_owned(),
            };
            assert_eq!((of.to_string().as_str(), errand), (number, what.join(" ")), "{place}");
        }
        [of, "is", change] => {
            let change = match change {
                "disabled" => AccountChange::Disabled,
                "deleted" => AccountChange::Deleted,
                other => panic!("{place}: what is {other}?"),
            };
            world.account_changed(of.parse().expect("a number"), change);
            world.settle();
        }
        [of, "has", "reported", ref whom @ ..] => {
            assert_eq!(world.reported(of.parse().expect("a number")), whom, "{place}");
        }
        [of, "has", count, "waiting"] => {
            let waiting = world.waiting(of.parse().expect("a number"));
            assert_eq!(waiting.to_string(), count, "{place}");
        }
        _ => panic!("{place}: not understood"),
    }
}

/// The files with this extension in a folder beside this crate's sources or tests.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

const TALKS: &str = "../../tests/talks";

#[test]
fn every_talk_goes_as_written() {
    let talks = files(TALKS, "talk");
    for path in &talks {
        let name = path.file_name().expect("it has a name").to_string_lossy();
        play(&name, &fs::read_to_string(path).expect("it can be read"));
    }
    assert!(talks.len() >= 20, "only {} talks were found", talks.len());
}

#[test]
fn every_feature_has_a_talk() {
    let features = files("src/features", "rs");
    assert!(features.len() >= 9, "only {} features were found", features.len());
    for feature in features {
        let name = feature.file_stem().expect("it has a name").to_string_lossy().into_owned();
        let talk = Path::new(env!("CARGO_MANIFEST_DIR")).join(TALKS).join(format!("{name}.talk"));
        assert!(
            name == "tests" || talk.is_file(),
            "nobody talks about {name}: {} is not there",
            talk.display()
        );
    }
}

#[test]
fn a_talk_that_is_wrong_fails() {
    let wrong = |talk: &str| std::panic::catch_unwind(|| play("wrong", talk)).is_err();
    let right = "C1 binds 10001/phone\nC1: <presence/>\n";
    assert!(!wrong(&format!("{right}C1 gets <presence {{}}\n")));
    for line in ["", "C1 gets nothing", "C1 gets <message {}", "stream features have <nothing/>", "C1 dances"]
    {
        assert!(wrong(&format!("{right}{line}\n")), "{line}");
    }
}
