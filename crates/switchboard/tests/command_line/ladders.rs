//! `switchboard ladder` and `switchboard lab`.

use super::run::{Staying, command, run, wait};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// A capture of a scenario of the lab.
fn capture(folder: &Path, name: &str) -> String {
    let path = folder.join(format!("{name}.pcapng")).display().to_string();
    run(&["lab", name, "--pcap", &path]).done();
    path
}

#[test]
fn the_lab_lists_plays_and_says_what_held() {
    let listed = run(&["lab"]).done();
    for name in ["handshake", "close", "half-close", "time-wait", "zero-window"] {
        assert!(listed.lines().any(|line| line.starts_with(&format!("{name} "))), "{listed}");
    }
    let played = run(&["lab", "handshake"]).done();
    assert!(
        played.contains("SYN+ACK seq 0 ack 1") && played.contains("✓ three segments, no more"),
        "{played}"
    );
    assert!(!played.contains('\x1b'), "colour is for terminals");
    let absolute = run(&["lab", "handshake", "--absolute", "--ascii", "--width", "80"]).done();
    assert!(absolute.is_ascii() && !absolute.contains("SYN seq 0 "), "{absolute}");
    assert_ne!(run(&["lab", "handshake", "--seed", "2", "--absolute"]).done(), absolute);
    let chinese = run(&["lab", "close", "--lang", "zh"]).done();
    assert!(chinese.contains("四次挥手") && chinese.contains("检查："), "{chinese}");
    assert!(run(&["lab", "--notes"]).done().contains("sends FIN, not SYN"));
    let notes = run(&["lab", "--notes", "--lang", "zh"]).done();
    assert!(notes.contains("关闭时发的是 FIN"), "{notes}");
    let unknown = run(&["lab", "no-such"]).failed(2);
    assert!(unknown.contains("no scenario `no-such`"), "{unknown}");
}

#[test]
fn every_format_is_printed() {
    assert!(run(&["lab", "close", "--format", "svg"]).done().starts_with("<svg "));
    assert!(run(&["lab", "close", "--format", "mermaid"]).done().starts_with("sequenceDiagram"));
    for line in run(&["lab", "close", "--format", "json"]).done().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn a_capture_is_listed_and_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = capture(folder.path(), "close");
    let listed = run(&["ladder", &path]).done();
    assert!(listed.contains("three-way, four segments"), "{listed}");
    let drawn = run(&["ladder", &path, "--flow", "1"]).done();
    for words in ["SYN-SENT", "FIN-WAIT-2", "CLOSE-WAIT", "TIME-WAIT", "2*MSL"] {
        assert!(drawn.contains(words), "{words}:\n{drawn}");
    }
    let failed = run(&["ladder", &path, "--flow", "7"]).failed(1);
    assert!(failed.contains("no conversation 7; it has 1"), "{failed}");
    let filtered = run(&["ladder", &path, "--filter", "port 9"]).done();
    assert!(filtered.contains("no conversation"), "{filtered}");
    assert_eq!(run(&["ladder", &path, "--filter", "port http"]).code, 2);
    assert_eq!(run(&["ladder", &path, "--format", "svg"]).code, 2, "a list has no such format");
    let refused = capture(folder.path(), "refused");
    assert!(run(&["ladder", &refused]).done().contains("refused"), "how it opened");
}

#[test]
fn a_cut_capture_is_drawn_up_to_the_cut_which_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = capture(folder.path(), "close");
    let whole = std::fs::read(&path).expect("it was written");
    std::fs::write(&path, &whole[..whole.len() - 10]).expect("the folder is ours");
    let said = run(&["ladder", &path, "--flow", "1"]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("FIN-WAIT-1") && said.out.contains('┴'), "{said:?}");
    assert!(said.err.contains("the capture ends within a packet (after 6 packets, at byte "), "{}", said.err);
    std::fs::write(&path, b"no capture at all").expect("the folder is ours");
    let said = run(&["ladder", &path]);
    assert!(said.err.contains("this is no capture"), "{said:?}");
    assert_eq!((said.code, said.out.as_str()), (1, ""), "nothing is claimed of what could not be read");
}

#[test]
fn standard_input_is_drawn_as_it_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = std::fs::read(capture(folder.path(), "close")).expect("it was written");
    let mut child = command(&["ladder", "-", "--flow", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is there");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(&whole).expect("it reads");
    drop(input);
    assert!(wait(child).done().contains("TIME-WAIT"));
}

#[test]
fn a_growing_file_is_followed_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = std::fs::read(capture(folder.path(), "close")).expect("it was written");
    let path = folder.path().join("growing.pcapng");
    let half = whole.len() / 2;
    std::fs::write(&path, &whole[..half]).expect("the folder is ours");
    let mut follower = Staying::start(&["ladder", &path.display().to_string(), "--follow"]);
    assert!(follower.line().starts_with("flow 1 begins: tcp "));
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("it is there");
    file.write_all(&whole[half..]).expect("the folder is ours");
    assert!(follower.line().ends_with(": three-way, four segments"));
    follower.signal(rustix::process::Signal::INT);
    let rest: Vec<String> = follower.lines.by_ref().map(|line| line.expect("UTF-8")).collect();
    assert!(rest.iter().any(|line| line.contains("three-way, four segments")), "the list: {rest:?}");
    assert_eq!(follower.end(), (0, String::new()));
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let said = run(&["ladder", "--live", "no-such-if0"]).failed(1);
    assert!(said.contains("no-such-if0") || said.contains("CAP_NET_RAW"), "{said}");
}
