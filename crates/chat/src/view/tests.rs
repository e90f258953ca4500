use ratatui::Terminal;
use ratatui::backend::TestBackend;
use xmpp::time::Now;

use super::*;
use crate::entry::{Entry, Mark};

const ANN: &str = "10002@localhost";

/// Hours and minutes of UTC, so that pictures are the same everywhere.
fn civil(at: Wallclock) -> (String, String) {
    let text = at.to_string();
    (text[..10].to_owned(), text[11..16].to_owned())
}

fn entry(id: &str, ours: bool, at: &str, body: &str, mark: Mark) -> Entry {
    Entry {
        id: id.into(),
        archive_id: None,
        ours,
        body: body.into(),
        at: at.parse().unwrap(),
        mark,
        corrected: false,
        markable: false,
    }
}

fn scene() -> Talk {
    let mut talk = Talk::new("10001@localhost", "run");
    let ann = talk.book.conversation(ANN).unwrap();
    ann.name = Some("Ann".into());
    ann.standing = Standing::Contact;
    ann.set_device("desk", Presence::Online);
    ann.history.complete = true;
    ann.insert(entry("1", false, "2026-11-24T18:20:00Z", "are you there?", Mark::Read));
    ann.insert(entry("2", true, "2026-11-25T09:00:00Z", "here I am", Mark::Read));
    ann.insert(entry(
        "3",
        true,
        "2026-11-25T09:01:00Z",
        "a long one that does not fit on one line of a terminal of eighty columns, so it wraps",
        Mark::Sent,
    ));
    ann.insert(entry("4", true, "2026-11-25T09:02:00Z", "lost", Mark::Failed("item-not-found".into())));
    let bob = talk.book.conversation("10003@localhost").unwrap();
    bob.insert(entry("5", false, "2026-11-25T09:03:00Z", "你好 \u{1b}[31mred", Mark::Read));
    bob.unread = 2;
    let now = Now { mono: Instant::ZERO, wall: Wallclock::from_millis(0) };
    talk.open(now.mono, ANN);
    talk
}

fn picture(talk: &Talk, front: &Front, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let picture = Picture {
        talk,
        now: Instant::ZERO,
        civil,
        line: "hello",
        cursor: 5,
        front,
        network: &Network::Online,
        colour: false,
    };
    let mut scroll = Scroll::default();
    terminal
        .draw(|frame| {
            draw(frame, &picture, &mut scroll);
        })
        .unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..height {
        let mut row = String::new();
        let mut skip = 0;
        for x in 0..width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                row.push_str(symbol);
                skip = symbol.width().saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn a_chat_at_eighty_by_twenty_four() {
    let talk = scene();
    let expected = "
 ● 10001  on line  2 unread
 ○ 10003             (2) │ ● Ann  10002
   你好 \\u{1b}[31mred      │
 ● Ann                     │
   you: lost               │
                           │
";
    let drawn = picture(&talk, &Front::Nothing, 80, 24);
    for (expected, drawn) in expected.lines().skip(1).zip(drawn.lines()) {
        let list: String = drawn.chars().take_while(|c| *c != '│').collect();
        let wanted: String = expected.chars().take_while(|c| *c != '│').collect();
        assert_eq!(list.trim_end(), wanted.trim_end(), "\n{drawn}");
    }
    for needle in [
        "● Ann  10002",
        "2026-11-24",
        "18:20   are you there?",
        "09:00 * here I am",
        "09:01 - a long one that does not fit on one line",
        "! not delivered: item-not-found",
        "> hello",
        "the beginning",
        "Ctrl-K go anywhere",
    ] {
        assert!(drawn.contains(needle), "{needle:?} is not in\n{drawn}");
    }
    assert!(!drawn.contains('\u{1b}'), "what others write is never obeyed");
}

#[test]
fn a_narrow_terminal_shows_one_thing_at_a_time() {
    let mut talk = scene();
    let drawn = picture(&talk, &Front::Nothing, 40, 12);
    assert!(drawn.contains("Ann  10002") && !drawn.contains("10003"), "\n{drawn}");
    talk.book.set_open(None);
    let drawn = picture(&talk, &Front::Nothing, 40, 12);
    assert!(drawn.contains("10003") && drawn.contains("Ann"), "\n{drawn}");
    assert!(picture(&talk, &Front::Nothing, 20, 5).contains("too small"));
}

#[test]
fn no_size_breaks_it() {
    let talk = scene();
    let jump = Front::Jump { typed: "1".into(), chosen: 0 };
    for width in 1..100 {
        for height in [1, 2, 3, 5, 6, 7, 10, 24] {
            for front in [&Front::Nothing, &Front::Help, &jump] {
                picture(&talk, front, width, height);
            }
        }
    }
}

#[test]
fn help_shows_every_command_at_eighty_by_twenty_four() {
    let drawn = picture(&scene(), &Front::Help, 80, 24);
    for (usage, does) in command::HELP {
        assert!(drawn.contains(usage) && drawn.contains(does), "{usage} is not whole in\n{drawn}");
    }
}

#[test]
fn going_anywhere_finds_numbers_and_names_and_offers_new_ones() {
    let talk = scene();
    assert_eq!(matches(&talk, ""), ["10003@localhost", ANN]);
    assert_eq!(matches(&talk, "ann"), [ANN]);
    assert_eq!(matches(&talk, "10003"), ["10003@localhost"]);
    assert_eq!(matches(&talk, "10009"), ["10009@localhost"]);
    assert!(matches(&talk, "nobody").is_empty());
}
