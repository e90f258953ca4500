use super::*;

pub(crate) fn entry(id: &str, ours: bool, at: u64) -> Entry {
    Entry {
        id: id.into(),
        archive_id: None,
        ours,
        body: format!("text {id}"),
        at: Wallclock::from_millis(at),
        mark: if ours { Mark::Sending } else { Mark::Read },
        corrected: false,
        markable: false,
    }
}

fn ids(conversation: &Conversation) -> Vec<&str> {
    conversation.entries.iter().map(|entry| entry.id.as_str()).collect()
}

#[test]
fn messages_stand_in_the_order_of_their_times_and_once() {
    let mut conversation = Conversation::default();
    for (id, at) in [("b", 20), ("d", 40), ("a", 10), ("c", 20)] {
        assert!(conversation.insert(entry(id, false, at)));
    }
    assert_eq!(ids(&conversation), ["a", "b", "c", "d"]);
    // The same message from the archive, with the archive's time and mark.
    let archived = Entry { archive_id: Some("x1".into()), ..entry("b", false, 21) };
    assert!(!conversation.insert(archived.clone()));
    // And again by another way that lost its sender's mark.
    assert!(!conversation.insert(Entry { id: String::new(), ..archived }));
    assert_eq!(ids(&conversation), ["a", "b", "c", "d"]);
    assert_eq!(conversation.entries[1].archive_id.as_deref(), Some("x1"));
    // An id of theirs is not an id of ours.
    assert!(conversation.insert(entry("b", true, 50)));
}

#[test]
fn what_is_kept_is_bounded_and_the_newest() {
    let mut conversation = Conversation::default();
    conversation.history.complete = true;
    for at in 0..ENTRIES_MAX as u64 + 10 {
        conversation.insert(entry(&at.to_string(), false, at));
    }
    assert_eq!(conversation.entries.len(), ENTRIES_MAX);
    assert_eq!(conversation.entries[0].id, "10");
    assert!(!conversation.history.complete, "what was dropped can be read again");
}

#[test]
fn a_marker_speaks_for_all_that_were_sent_before_it() {
    let mut conversation = Conversation::default();
    for (id, at) in [("a", 1), ("b", 2), ("c", 3)] {
        conversation.insert(entry(id, true, at));
    }
    conversation.find(true, "a").unwrap().advance(Mark::Sent);
    conversation.find(true, "b").unwrap().advance(Mark::Sent);
    conversation.advance_to("b", &Mark::Read);
    let marks: Vec<&Mark> = conversation.entries.iter().map(|entry| &entry.mark).collect();
    assert_eq!(marks, [&Mark::Read, &Mark::Read, &Mark::Sending]);
}

#[test]
fn the_list_begins_with_who_asks_and_then_with_who_wrote_last() {
    let mut book = Book::default();
    for (with, at) in [("10002@x", 5), ("10003@x", 9), ("10004@x", 1)] {
        book.conversation(with).unwrap().insert(entry("m", false, at));
    }
    book.conversation("10005@x").unwrap().standing = Standing::Asks;
    book.conversation("10006@x").unwrap().standing = Standing::Contact;
    assert_eq!(book.list(), ["10005@x", "10003@x", "10002@x", "10004@x", "10006@x"]);
}

#[test]
fn strangers_cannot_fill_the_book() {
    let mut book = Book::default();
    for number in 0..CONVERSATIONS_MAX {
        assert!(book.conversation(&format!("{number}@x")).is_some());
    }
    assert!(book.conversation("one-more@x").is_none());
    assert!(book.conversation("7@x").is_some());
}

#[test]
fn the_best_device_counts() {
    let mut conversation = Conversation::default();
    conversation.set_device("phone", Presence::Away);
    conversation.set_device("desk", Presence::Online);
    assert_eq!(conversation.presence(), Presence::Online);
    conversation.set_device("desk", Presence::Offline);
    assert_eq!(conversation.presence(), Presence::Away);
    conversation.forget_devices();
    assert_eq!(conversation.presence(), Presence::Offline);
}
