use std::collections::HashMap;
use std::io::Cursor;

use store::{
    AccountState, ArchiveId, ArchiveOp, ArchivePage, ArchiveQuery, Backend, DocumentOp, Limits, Memory,
    OfflineId, PepOp, Quota, RosterItem, ScramKeys, Space, Subscription,
};

use super::*;
use crate::export;

const NOW: Wallclock = Wallclock::from_millis(1_764_000_000_000);

const QUOTAS: Quotas = Quotas {
    stanza_max: 10_000,
    roster_max: 4,
    blocked_max: 2_000,
    nodes_max: 4,
    items_max: 10,
    published_bytes_max: 10_000,
    card_bytes_max: 1_000,
    private_max: 4,
    private_bytes_max: 1_000,
};

fn empty() -> Memory {
    Memory::new(Limits { archive_keep: None, ..Limits::default() })
}

fn number(n: u64) -> AccountNumber {
    AccountNumber::new(n).unwrap()
}

fn documents(texts: &[&str]) -> impl Iterator<Item = (String, Box<dyn Read>)> {
    let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    texts.into_iter().zip(1..).map(|(text, n)| {
        let read: Box<dyn Read> = Box::new(Cursor::new(text));
        (format!("file-{n}"), read)
    })
}

/// Reads documents into a store; parts of them lie in `parts`.
fn read_with(
    store: &mut Memory,
    texts: &[&str],
    domain: Option<&str>,
    parts: &HashMap<&str, &str>,
) -> Result<Report, ImportError> {
    let import = Import {
        ask: &mut |op| store.run_one(NOW, op),
        domain: domain.map(str::to_owned),
        now: NOW,
        quotas: QUOTAS,
        derive: &mut |password| {
            let salt = password.as_bytes().to_vec();
            let keys = ScramKeys { salt, iterations: 10_000, stored_key: [1; 32], server_key: [2; 32] };
            Ok(Credentials { sha1: None, sha256: Some(keys) })
        },
        include: &mut |href| match parts.get(href) {
            Some(text) => Ok(Box::new(Cursor::new(text.as_bytes().to_vec()))),
            None => Err(std::io::ErrorKind::NotFound.into()),
        },
        told: &mut |_| {},
    };
    import.run(&mut documents(texts))
}

fn read(store: &mut Memory, text: &str) -> Result<Report, ImportError> {
    read_with(store, &[text], None, &HashMap::new())
}

fn write(store: &mut Memory) -> String {
    let mut out = Vec::new();
    export(&mut |op| store.run_one(NOW, op), "example.org", &mut out, &mut |_| {}).unwrap();
    String::from_utf8(out).unwrap()
}

fn ask(store: &mut Memory, op: Op) -> Answer {
    store.run_one(NOW, op).unwrap()
}

fn user(inner: &str) -> String {
    format!(
        "<server-data xmlns='{PIE}'><host jid='example.org'><user name='10001'>{inner}</user></host></server-data>"
    )
}

/// An account of which everything is kept that can be.
fn furnished() -> Memory {
    let mut store = empty();
    let (ada, bob) = (number(10_001), number(10_007));
    let credentials = Credentials {
        sha1: Some(ScramKeys {
            salt: vec![9; 16],
            iterations: 4_096,
            stored_key: [3; 20],
            server_key: [4; 20],
        }),
        sha256: Some(ScramKeys {
            salt: vec![8; 16],
            iterations: 10_000,
            stored_key: [5; 32],
            server_key: [6; 32],
        }),
    };
    let name = Some("Ada <&'\"> 天".to_owned());
    ask(&mut store, Op::CreateAccount { number: Some(ada), name, credentials: Box::new(credentials) });
    ask(&mut store, Op::CreateAccount { number: Some(bob), name: None, credentials: Box::default() });
    ask(&mut store, Op::SetEnabled { number: bob, enabled: false });
    let contact = |address| RosterItem::new(BareJid::parse(address).unwrap());
    let listed = RosterItem {
        listed: true,
        name: Some("Bob & co".to_owned()),
        groups: vec!["a<b".to_owned(), "c".to_owned()],
        subscription: Subscription::Both,
        ..contact("10007@example.org")
    };
    let asked = RosterItem { listed: true, ask: true, approved: true, ..contact("10008@example.org") };
    let request = b"<presence from='10009@example.org' to='10001@example.org' type='subscribe' id='r'>\
        <nick xmlns='http://jabber.org/protocol/nick'>Nine</nick></presence>";
    let waits = RosterItem { pending_in: Some(request.to_vec()), ..contact("10009@example.org") };
    let approved = RosterItem { approved: true, ..contact("10010@example.org") };
    for item in [listed, asked, waits, approved] {
        ask(&mut store, Op::PutRosterItem { number: ada, item: Box::new(item) });
    }
    let quota = Quota { documents_max: 9, bytes_max: 9_999 };
    for (space, name, value) in [
        (Space::BlockList, "", "10012@example.org\nexample.net"),
        (
            Space::ArchivePreferences,
            "",
            "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>10007@example.org</jid></always>\
             <never></never></prefs>",
        ),
        (Space::Private, "{urn:x:a}a", "<a xmlns='urn:x:a'><b/></a>"),
        (Space::Private, "{urn:x:b}a", "<a xmlns='urn:x:b'/>"),
        (
            Space::VCard,
            "",
            "<vCard xmlns='vcard-temp'><FN>Ada</FN><PHOTO><BINVAL>YWJj</BINVAL></PHOTO></vCard>",
        ),
        // Of the three octets `abc`.
        (Space::VCard, "photo", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ] {
        let (name, value) = (name.into(), value.as_bytes().to_vec());
        ask(&mut store, Op::Document(DocumentOp::Put { number: ada, space, name, value, quota }));
    }
    let config = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
        <value>http://jabber.org/protocol/pubsub#node_config</value></field>\
        <field var='pubsub#access_model'><value>open</value></field>\
        <field var='pubsub#max_items'><value>3</value></field></x>";
    let node: Box<str> = "urn:xmpp:omemo:2:devices".into();
    let config = config.as_bytes().to_vec();
    let put = PepOp::PutNode { number: ada, node: node.clone(), config, items_max: 3, nodes_max: 9 };
    ask(&mut store, Op::Pep(put));
    for id in ["one", "two", "one"] {
        let payload = format!("<devices xmlns='urn:xmpp:omemo:2'><device id='{id}'/></devices>").into_bytes();
        let (node, id) = (node.clone(), id.into());
        let publish = PepOp::Publish { number: ada, node, id, payload, items_max: 3, bytes_max: 9_999 };
        ask(&mut store, Op::Pep(publish));
    }
    for n in 0..3 {
        let stanza = format!(
            "<message from='10007@example.org/r' to='10001@example.org' type='chat' id='w{n}'><body>wait {n} &amp; \
             see</body><delay xmlns='urn:xmpp:delay' from='example.org' stamp='2025-11-24T15:59:5{n}.000Z'/></message>"
        );
        let stamp = format!("2025-11-24T15:59:5{n}.000Z").parse().unwrap();
        ask(&mut store, Op::PushOffline { number: ada, stamp, stanza: stanza.into_bytes() });
    }
    let mut id = ArchiveId(0);
    for n in 0..600_u64 {
        // Some in one millisecond, and more than one page of them.
        id = id.next(Wallclock::from_millis(1_763_000_000_000 + n / 2));
        let (from, to) = if n % 3 == 0 { (10_001, 10_007) } else { (10_007, 10_001) };
        let stanza = format!(
            "<message from='{from}@example.org/r' to='{to}@example.org' type='chat'><body>said {n}</body></message>"
        );
        let append =
            ArchiveOp::Append { number: ada, id, with: "10007@example.org".into(), stanza: stanza.into() };
        ask(&mut store, Op::Archive(append));
    }
    store
}

/// All that is kept of a number.
fn kept(store: &mut Memory, n: u64) -> Vec<Answer> {
    let number = number(n);
    let load = |space, name: &str| Op::Document(DocumentOp::Load { number, space, name: name.into() });
    let mut ops = vec![
        Op::LoadAccount { number },
        Op::LoadCredentials { number },
        load(Space::BlockList, ""),
        load(Space::ArchivePreferences, ""),
        load(Space::Private, "{urn:x:a}a"),
        load(Space::Private, "{urn:x:b}a"),
        load(Space::VCard, ""),
        load(Space::VCard, "photo"),
        Op::Pep(PepOp::Nodes { number }),
        Op::Pep(PepOp::Items { number, node: "urn:xmpp:omemo:2:devices".into(), ids: Vec::new(), limit: 9 }),
        Op::LoadOffline { number, after: OfflineId(0), limit: 99 },
        Op::Archive(ArchiveOp::Ends { number }),
    ];
    ops.extend([(0, 250), (250, 250), (500, 250)].map(|(index, limit)| {
        let query = ArchiveQuery { page: store::ArchivePaging::Index(index), ..ArchiveQuery::all(limit) };
        Op::Archive(ArchiveOp::Page { number, query: Box::new(query) })
    }));
    let mut kept: Vec<Answer> = ops.into_iter().map(|op| ask(store, op)).collect();
    // Versions are of the exchange that gave them out.
    let Answer::Roster(roster) = ask(store, Op::LoadRoster { number }) else { panic!("a roster") };
    kept.push(Answer::Roster(store::Roster { version: 0, ..roster }));
    kept
}

#[test]
fn all_that_is_kept_of_an_account_comes_back() {
    let mut store = furnished();
    let first = write(&mut store);
    let mut other = empty();
    let report = read(&mut other, &first).unwrap();
    assert_eq!(report.domain.as_deref(), Some("example.org"));
    assert_eq!(report.counts, Counts { accounts: 2, waiting: 3, archived: 600 });
    let notes: Vec<_> = report.notes.iter().map(|note| note.split(':').next().unwrap()).collect();
    assert_eq!(notes, ["10007 has no password"]);
    assert_eq!(report.iterations, [4_096, 10_000]);
    for number in [10_001, 10_007] {
        assert_eq!(kept(&mut other, number), kept(&mut store, number));
    }
    assert_eq!(write(&mut other), first);
}

#[test]
fn a_number_that_is_there_ends_it() {
    let mut store = furnished();
    let text = write(&mut store);
    let error = read(&mut store, &text).unwrap_err().to_string();
    assert!(error.starts_with("there is an account 10001 here"), "{error}");
    let deleted = Op::DeleteAccount { number: number(10_001) };
    ask(&mut store, deleted);
    assert!(read(&mut store, &text).unwrap_err().to_string().contains("10001"));
    // Twice in one document is no better.
    let twice = user("").replace("</host>", "<user name='10001'/></host>");
    assert!(read(&mut empty(), &twice).unwrap_err().to_string().contains("10001"));
}

#[test]
fn a_document_of_the_shape_that_prosody_writes_is_read() {
    let text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<server-data xmlns=\"urn:xmpp:pie:0\"
      xmlns:xi=\"http://www.w3.org/2001/XInclude\"><host jid=\"Example.org\">
    <user name=\"10001\" password=\"from before\">
      <vCard xmlns=\"vcard-temp\"><FN>Ada</FN></vCard>
      <query xmlns=\"jabber:iq:roster\">
        <item jid=\"10002@example.org\" subscription=\"both\" name=\"Bob\"><group>Friends</group></item>
        <item jid=\"romeo@montague.net\" subscription=\"none\" ask=\"subscribe\"/>
      </query>
      <presence xmlns=\"jabber:client\" type=\"subscribe\" from=\"10003@example.org/desk\"/>
      <query xmlns=\"jabber:iq:private\"><storage xmlns=\"storage:bookmarks\"><conference jid=\"a@b\"/></storage></query>
      <query xmlns=\"jabber:iq:privacy\"><default name=\"block\"/><list name=\"block\">
        <item type=\"jid\" value=\"tybalt@example.com\" action=\"deny\" order=\"1\"/><item action=\"allow\" order=\"2\"/>
      </list></query>
      <pubsub xmlns=\"http://jabber.org/protocol/pubsub\"><items node=\"http://jabber.org/protocol/nick\">
        <item id=\"current\" publisher=\"10001@example.org\"><nick xmlns=\"http://jabber.org/protocol/nick\">Ada</nick></item>
      </items></pubsub>
      <pubsub xmlns=\"http://jabber.org/protocol/pubsub#owner\"><configure node=\"http://jabber.org/protocol/nick\">
        <x xmlns=\"jabber:x:data\" type=\"form\"><field var=\"FORM_TYPE\" type=\"hidden\">
          <value>http://jabber.org/protocol/pubsub#node_config</value></field>
          <field var=\"pubsub#access_model\"><value>authorize</value></field>
          <field var=\"pubsub#max_items\"><value>256</value></field>
          <field var=\"x-prosody#anything\"><value>1</value></field></x></configure>
        <affiliations node=\"http://jabber.org/protocol/nick\"/></pubsub>
      <offline-messages><message xmlns=\"jabber:client\" from=\"10002@example.org/x\" to=\"10001@example.org\"
        type=\"chat\"><body>hi</body><delay xmlns=\"urn:xmpp:delay\" from=\"example.org\" stamp=\"2020-07-21T00:32:29Z\"/>
      </message></offline-messages>
      <archive xmlns=\"urn:xmpp:pie:0#mam\">
        <result xmlns=\"urn:xmpp:mam:2\" id=\"28482-98726-73623\"><forwarded xmlns=\"urn:xmpp:forward:0\">
          <delay xmlns=\"urn:xmpp:delay\" stamp=\"2010-07-10T23:08:25Z\"/>
          <message xmlns=\"jabber:client\" to=\"10001@example.org/b\" from=\"10002@example.org/o\" type=\"chat\">
            <body>Call me but love</body><stanza-id xmlns=\"urn:xmpp:sid:0\" by=\"10001@example.org\" id=\"x\"/></message>
        </forwarded></result>
        <result xmlns=\"urn:xmpp:mam:2\" id=\"5d398-28273-f7382\"><forwarded xmlns=\"urn:xmpp:forward:0\">
          <delay xmlns=\"urn:xmpp:delay\" stamp=\"9999-07-10T23:09:32Z\"/>
          <message xmlns=\"jabber:client\" to=\"10002@example.org/o\" from=\"10001@example.org/b\" type=\"chat\" id=\"8a54s\">
            <body>What man art thou</body></message></forwarded></result>
      </archive>
      <roster_versions xmlns=\"urn:prosody:internal\"/>
    </user><user name=\"juliet\"><query xmlns=\"jabber:iq:roster\"/></user></host>
    <host jid=\"other.org\"><user name=\"10001\"/></host></server-data>\n";
    let mut store = empty();
    let report = read(&mut store, text).unwrap();
    assert_eq!(report.counts, Counts { accounts: 1, waiting: 1, archived: 2 });
    let notes = report.notes.join("\n");
    for part in
        ["juliet is left out", "the host other.org is left out", "for its owner only", "roster_versions"]
    {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    let number = number(10_001);
    let Answer::Credentials(Some((state, credentials))) = ask(&mut store, Op::LoadCredentials { number })
    else {
        panic!("keys")
    };
    assert_eq!(state, AccountState::Enabled);
    assert_eq!(credentials.sha256.unwrap().salt, b"from before");
    let Answer::Roster(roster) = ask(&mut store, Op::LoadRoster { number }) else { panic!("a roster") };
    let items: Vec<_> =
        roster.items.iter().map(|item| (item.contact.as_str(), item.listed, item.ask)).collect();
    assert_eq!(
        items,
        [
            ("10002@example.org", true, false),
            ("10003@example.org", false, false),
            ("romeo@montague.net", true, true)
        ]
    );
    assert_eq!(
        roster.items[1].pending_in.as_deref().map(String::from_utf8_lossy).as_deref(),
        Some("<presence from='10003@example.org' to='10001@example.org' type='subscribe'/>")
    );
    let load = DocumentOp::Load { number, space: Space::BlockList, name: "".into() };
    assert_eq!(ask(&mut store, Op::Document(load)), Answer::Document(Some(b"tybalt@example.com".to_vec())));
    let Answer::Nodes(nodes) = ask(&mut store, Op::Pep(PepOp::Nodes { number })) else { panic!("nodes") };
    let config = String::from_utf8_lossy(&nodes[0].1).into_owned();
    assert!(config.contains("<value>whitelist</value>") && config.contains("<value>max</value>"), "{config}");
    assert!(!config.contains("prosody"), "{config}");
    let query = Box::new(ArchiveQuery::all(9));
    let Answer::Archive(ArchivePage { rows, .. }) =
        ask(&mut store, Op::Archive(ArchiveOp::Page { number, query }))
    else {
        panic!("a page")
    };
    assert_eq!(rows[0].id.received(), "2010-07-10T23:08:25Z".parse().unwrap());
    // No later id may be drawn from a time that has not come.
    assert_eq!(rows[1].id.received(), NOW);
    let first = String::from_utf8_lossy(&rows[0].stanza).into_owned();
    assert!(
        first.starts_with("<message from='10002@example.org/o' to='10001@example.org/b' type='chat'>"),
        "{first}"
    );
    assert!(!first.contains("stanza-id"), "{first}");
    let with =
        ArchiveQuery { with: Some(BareJid::parse("10002@example.org").unwrap()), ..ArchiveQuery::all(9) };
    let page = ArchiveOp::Page { number, query: Box::new(with) };
    assert!(matches!(ask(&mut store, Op::Archive(page)), Answer::Archive(page) if page.rows.len() == 2));
}

#[test]
fn parts_are_read_from_where_they_lie() {
    let main = "<server-data xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'>
        <xi:include href='example.org.xml'/></server-data>";
    let parts = HashMap::from([
        (
            "example.org.xml",
            "<?xml version='1.0'?><host xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'
             jid='example.org'><xi:include href='example.org/10001.xml'/></host>",
        ),
        (
            "example.org/10001.xml",
            "<user xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude' name='10001'>
             <xi:include href='card.xml'/><query xmlns='jabber:iq:private'>
             <include xmlns='http://www.w3.org/2001/XInclude' href='/etc/passwd'/></query></user>",
        ),
        ("card.xml", "<vCard xmlns='vcard-temp'><FN>Ada</FN></vCard>"),
        ("loop.xml", "<include xmlns='http://www.w3.org/2001/XInclude' href='loop.xml'/>"),
    ]);
    let mut store = empty();
    assert_eq!(read_with(&mut store, &[main], None, &parts).unwrap().counts.accounts, 1);
    let load = DocumentOp::Load { number: number(10_001), space: Space::VCard, name: "".into() };
    let card = b"<vCard xmlns='vcard-temp'><FN>Ada</FN></vCard>".to_vec();
    assert_eq!(ask(&mut store, Op::Document(load)), Answer::Document(Some(card)));
    for href in
        ["/etc/passwd", "../up.xml", "a/../../up.xml", "file:x", "http://x/y", "", "nowhere.xml", "loop.xml"]
    {
        let main = main.replace("example.org.xml", href);
        let error = read_with(&mut empty(), &[&main], None, &parts).unwrap_err().to_string();
        assert!(error.contains(href) && error.contains("the part"), "{error}");
    }
}

#[test]
fn a_host_that_is_not_wanted_is_left_out() {
    let none = HashMap::new();
    let error = read_with(&mut empty(), &[&user("")], Some("example.net"), &none).unwrap_err();
    assert_eq!(error.to_string(), "no host example.net in it, but example.org: name one with --domain");
    assert!(read_with(&mut empty(), &[&user("")], Some("example.org"), &none).is_ok());
}

#[test]
fn what_cannot_be_kept_ends_it_with_a_reason() {
    let keys = |mechanism: &str, count: &str, salt: &str, key: &str| {
        user(&format!(
            "<scram-credentials xmlns='{}' mechanism='{mechanism}'><iter-count>{count}</iter-count><salt>{salt}</salt>\
             <server-key>{key}</server-key><stored-key>{key}</stored-key></scram-credentials>",
            crate::PIE_SCRAM
        ))
    };
    let good = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert!(read(&mut empty(), &keys("SCRAM-SHA-1", "4096", "c2FsdA==", good)).is_ok());
    let items = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<String>();
    let contacts = items(5, &|n| format!("<item jid='{n}@example.org'/>"));
    let private = items(5, &|n| format!("<a xmlns='urn:{n}'/>"));
    let blocked = items(2_001, &|n| format!("<item jid='{n}@example.org'/>"));
    let long = "x".repeat(2_000);
    for (text, reason) in [
        (String::new(), "it ends in the middle"),
        ("<server-data xmlns='urn:xmpp:pie:0'>".into(), "it ends in the middle"),
        ("<server-data/>".into(), "not XML as XMPP has it"),
        ("<data xmlns='urn:xmpp:pie:0'></data>".into(), "no server-data"),
        ("<server-data xmlns='jabber:client'></server-data>".into(), "no server-data"),
        ("<server-data xmlns='urn:xmpp:pie:0'></server-data>".into(), "no host in it"),
        (user("<!-- aside -->"), "not XML as XMPP has it"),
        (user("text"), "not XML as XMPP has it"),
        (user(&format!("{}{}", "<a>".repeat(101), "</a>".repeat(101))), "longer or deeper"),
        (user(&format!("<a>{}</a>", "x".repeat(9 << 20))), "longer or deeper"),
        (keys("SCRAM-SHA-1", "0", "c2FsdA==", good), "an iter-count"),
        (keys("SCRAM-SHA-1", "04096", "c2FsdA==", good), "an iter-count"),
        (keys("SCRAM-SHA-1", "4294967295", "c2FsdA==", good), "an iter-count"),
        (keys("SCRAM-SHA-1", "4096", "", good), "a salt"),
        (keys("SCRAM-SHA-1", "4096", "?", good), "a salt"),
        (keys("SCRAM-SHA-1", "4096", "c2FsdA==", "AAAA"), "a key"),
        (keys("SCRAM-SHA-256", "4096", "c2FsdA==", good), "a key"),
        (user(&format!("<query xmlns='jabber:iq:roster'>{contacts}</query>")), "more contacts"),
        (user(&format!("<query xmlns='jabber:iq:private'>{private}</query>")), "its private XML"),
        (user(&format!("<vCard xmlns='vcard-temp'><FN>{long}</FN></vCard>")), "its vCard"),
        (
            user(&format!("<blocklist xmlns='urn:xmpp:blocking'>{blocked}</blocklist>")),
            "more blocked addresses",
        ),
    ] {
        let error = read(&mut empty(), &text).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn what_no_account_can_be_is_passed_over_and_told() {
    let text = user(
        "<query xmlns='jabber:iq:roster'><item jid='@'/><item jid='10001@example.org'/><item jid='a@b' subscription='remove'/>\
         </query><query xmlns='jabber:iq:private'><a xmlns='jabber:client'/></query>\
         <offline-messages><presence xmlns='jabber:client' from='a@b'/><message xmlns='jabber:client'><body/></message>\
         </offline-messages><archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2' id='1'/></archive>\
         <pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='n'><item id='i'/></items></pubsub>\
         <account xmlns='urn:switchboard:account:0' admin='true'/>",
    )
    .replace("<user name='10001'>", "<user name='\u{7}&#10;01'/><user name='10001'>")
    .replace('\u{7}', "");
    let mut store = empty();
    let report = read(&mut store, &text).unwrap();
    assert_eq!(report.counts, Counts { accounts: 1, waiting: 0, archived: 0 });
    let notes = report.notes.join("\n");
    for part in [
        "01 is left out",
        "contacts without an address",
        "private XML without a namespace",
        "waiting messages from nobody",
        "archived messages without a time",
        "items without a payload",
        "switchboard account admin 10001 on",
    ] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    assert!(report.notes.iter().all(|note| !note.contains('\n')));
    let Answer::Account(Some(account)) = ask(&mut store, Op::LoadAccount { number: number(10_001) }) else {
        panic!("an account")
    };
    assert!(!account.admin, "a file makes nobody an operator");
}

#[test]
fn fuzzed_documents_round_trip() {
    crate::fuzz::import(write(&mut furnished()).as_bytes());
    crate::fuzz::import(
        b"<server-data xmlns='urn:xmpp:pie:0'><host jid='h'><user name='1'/></host></server-data>",
    );
    crate::fuzz::import(b"no document");
}

/// Every document that is one octet away from a seed of the fuzzer is read or refused, and what is read says the same when
/// it was written.
#[test]
fn documents_one_octet_away_from_the_seeds_round_trip() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/portable_import");
    let mut count = 0;
    for seed in std::fs::read_dir(seeds).unwrap() {
        let seed = std::fs::read(seed.unwrap().path()).unwrap();
        for at in 0..seed.len() {
            for octet in [b'<', b'0'] {
                let mut changed = seed.clone();
                changed[at] = octet;
                crate::fuzz::import(&changed);
            }
            let mut fewer = seed.clone();
            fewer.remove(at);
            crate::fuzz::import(&fewer);
            let mut more = seed.clone();
            more.insert(at, seed[at]);
            crate::fuzz::import(&more);
            count += 4;
        }
    }
    assert!(count > 8_000, "only {count}");
}
