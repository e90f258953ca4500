//! The list of features and the files beside it: each is in the other.

use std::collections::BTreeSet;
use std::path::Path;

use xmpp::relay::{Head, relay};
use xmpp::stanza::Stanza;

use super::Gist;

#[test]
fn every_file_is_on_the_list_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/features");
    let files =
        std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    let files: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .filter(|name| name != "tests")
        .collect();
    let list: BTreeSet<String> = super::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(list.len(), super::NAMES.len());
    assert_eq!(files, list);
}

#[test]
fn what_is_told_of_is_sorted_and_said_once() {
    for all in [super::server_features(), super::account_features()] {
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    }
}

/// A feature is told apart by its namespace, so no two may claim the same query.
#[test]
fn no_two_features_tell_of_the_same() {
    for all in [super::SERVER, super::ACCOUNT] {
        let said: Vec<&str> = all.concat();
        let once: BTreeSet<&str> = said.iter().copied().collect();
        assert_eq!(said.len(), once.len());
    }
}

proptest::proptest! {
    /// Nobody need look into a message that was sent once somebody has: not after it was written anew, nor after an archive has
    /// put its id inside.
    #[test]
    fn a_gist_outlives_the_way(
        children in proptest::collection::vec(proptest::sample::select(CHILDREN), 0..5),
        own in proptest::sample::select(&["", " xmlns='jabber:client'", " xmlns:h='urn:xmpp:hints'"][..]),
    ) {
        let text = format!("<message to='10002@localhost' type='chat'{own}>{}</message>", children.concat());
        let text = if own.contains("xmlns:h") { text } else { text.replace("h:store", "store") };
        let sent = Stanza::parse(text.as_bytes()).expect("well-formed");
        let gist = super::gist(&sent);
        let mut written = Vec::new();
        let (from, by) = ("10001@localhost/a", ["10001@localhost", "10002@localhost"]);
        let head = Head { from: Some(from), to: Some(by[1]), without_stanza_id_by: &by, append: &[] };
        relay(&mut written, &sent, &head);
        if !sent.names_stanza_id() {
            let relayed = Stanza::parse(&written).expect("well-formed");
            proptest::prop_assert_eq!(gist, super::gist(&relayed));
        }
        let mut marked = Vec::new();
        crate::arrive::append(&mut marked, &written, b"<stanza-id xmlns='urn:xmpp:sid:0' by='10002@localhost' id='1'/>");
        let marked = super::gist(&Stanza::parse(&marked).expect("well-formed"));
        proptest::prop_assert!(marked.names_stanza_id);
        // Only what lasts is marked.
        if gist.lasting {
            proptest::prop_assert_eq!(Gist { names_stanza_id: true, ..gist }, marked);
        }
    }
}

/// What a message may hold that somebody decides by.
const CHILDREN: &[&str] = &[
    "<body>hello</body>",
    "<thread>t</thread>",
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    "<no-store xmlns='urn:xmpp:hints'/>",
    "<no-permanent-store xmlns='urn:xmpp:hints'/>",
    "<store xmlns='urn:xmpp:hints'/>",
    "<h:store/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' by='10002@localhost' id='7'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' by='somewhere.example' id='7'/>",
    "<delay xmlns='urn:xmpp:delay' stamp='2026-11-27T09:00:00Z'/>",
    "<request xmlns='urn:xmpp:receipts'/>",
];
