//! What `switchboard.toml` says of accounts is what their clients meet: quotas, the archive, strangers.
//! Not here: how the file is read (`config`), the rules themselves (the router's talks, the store's contract).

use std::path::Path;

use switchboard_server::Config;

use crate::client::Client;
use crate::house::{House, PASSWORD};

/// An exchange with this configuration.
fn house(text: &str) -> House {
    let read = Config::parse(Path::new("switchboard.toml"), text).unwrap();
    House::new(|config| {
        let Config { limits, offline, archive, pep, privacy, .. } = read;
        *config = Config { limits, offline, archive, pep, privacy, ..config.clone() };
    })
}

fn online(house: &House) -> (u64, Client) {
    let number = house.account();
    let mut client = Client::tcp(house.tcp());
    client.go_online(number, PASSWORD, "desk");
    (number, client)
}

/// Asks, and answers what came up to the end of the answer.
fn ask(client: &mut Client, kind: &str, to: &str, payload: &str) -> String {
    client.send(&format!("<iq xmlns='jabber:client' type='{kind}' id='ask'{to}>{payload}</iq>"));
    let answer = client.expect("id='ask'") + &client.expect(">");
    if answer.ends_with("/>") { answer } else { answer + &client.expect("</iq>") }
}

/// Sets something, which is taken or is too much.
#[track_caller]
fn set(client: &mut Client, payload: &str, taken: bool) {
    let answer = ask(client, "set", "", payload);
    let outcome = if taken { "type='result'" } else { "<policy-violation " };
    assert!(answer.contains(outcome), "{payload}: {answer}");
}

fn publish(node: &str, id: &str, text: &str) -> String {
    format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'>\
         <item id='{id}'><x xmlns='urn:x'>{text}</x></item></publish><publish-options>\
         <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
         <field var='pubsub#max_items'><value>max</value></field></x></publish-options></pubsub>"
    )
}

#[test]
fn an_account_publishes_and_keeps_as_much_as_it_may() {
    let house = house(
        "[pep]\nnodes_max = 2\nitems_max = 3\nbytes_max = 1000\nvcard_bytes_max = 300\nprivate_max = 2\n\
         private_bytes_max = 600\n[limits]\nblocked_max = 2\nroster_max = 2\n",
    );
    let (_, mut a) = online(&house);
    let long = "x".repeat(400);

    for id in ["1", "2", "3", "4"] {
        set(&mut a, &publish("first", id, ""), true);
    }
    let items = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='first'/></pubsub>";
    let items = ask(&mut a, "get", "", items);
    assert!(items.matches("<item ").count() == 3 && !items.contains("<item id='1'"), "{items}");
    set(&mut a, &publish("second", "1", &long), true);
    set(&mut a, &publish("second", "2", &format!("{long}{long}")), false);
    set(&mut a, &publish("third", "1", ""), false);

    let card = |text: &str| format!("<vCard xmlns='vcard-temp'><NOTE>{text}</NOTE></vCard>");
    set(&mut a, &card("short"), true);
    set(&mut a, &card(&long), false);

    let private = |name: &str, text: &str| {
        format!("<query xmlns='jabber:iq:private'><x xmlns='urn:{name}'>{text}</x></query>")
    };
    set(&mut a, &private("a", &long), true);
    set(&mut a, &private("b", &long), false);
    set(&mut a, &private("b", ""), true);
    set(&mut a, &private("c", ""), false);

    let block = |who: u64| format!("<block xmlns='urn:xmpp:blocking'><item jid='{who}@localhost'/></block>");
    set(&mut a, &block(20_001), true);
    set(&mut a, &block(20_002), true);
    set(&mut a, &block(20_003), false);

    let contact = |who: u64| format!("<query xmlns='jabber:iq:roster'><item jid='{who}@localhost'/></query>");
    set(&mut a, &contact(20_001), true);
    set(&mut a, &contact(20_002), true);
    let full = ask(&mut a, "set", "", &contact(20_003));
    assert!(full.contains("type='error'"), "{full}");
}

fn archived(client: &mut Client) -> String {
    ask(client, "set", "", "<query xmlns='urn:xmpp:mam:2'/>")
}

#[test]
fn the_archive_keeps_whose_messages_and_as_many_as_it_is_told() {
    let house = house("[archive]\ndefault = \"roster\"\nper_account_max = 3\n");
    let (_, mut a) = online(&house);
    let (friend, stranger) = (house.account(), house.account());
    let preferences = ask(&mut a, "get", "", "<prefs xmlns='urn:xmpp:mam:2'/>");
    assert!(preferences.contains(" default='roster'"), "{preferences}");
    let contact = format!("<query xmlns='jabber:iq:roster'><item jid='{friend}@localhost'/></query>");
    set(&mut a, &contact, true);
    a.message(stranger, "not kept");
    a.message(friend, "kept 0");
    let once = archived(&mut a);
    assert!(once.contains("<body>kept 0</body>") && once.matches("<result ").count() == 1, "{once}");
    (1..=3).for_each(|n| a.message(friend, &format!("kept {n}")));
    let full = archived(&mut a);
    assert!(full.matches("<result ").count() == 3 && !full.contains("kept 0"), "{full}");
}

#[test]
fn so_many_messages_wait_and_no_more() {
    let house = house("[offline]\nper_account_max = 2\n");
    let (_, mut a) = online(&house);
    let away = house.account();
    (1..=3).for_each(|n| a.message(away, &n.to_string()));
    let refused = a.expect("</message>");
    assert!(refused.contains("too many messages wait") && refused.contains("type='wait'"), "{refused}");
}

#[test]
fn strangers_may_do_what_the_exchange_allows() {
    let house = house("[limits]\nstrangers_per_hour = 1\n[privacy]\nprofiles = \"everyone\"\n");
    let (first, mut a) = online(&house);
    let (_, mut b) = online(&house);
    let (known, unknown) = (house.account(), house.account());
    set(&mut a, "<vCard xmlns='vcard-temp'><FN>One</FN></vCard>", true);
    let card = ask(&mut b, "get", &format!(" to='{first}@localhost'"), "<vCard xmlns='vcard-temp'/>");
    assert!(card.contains("<FN>One</FN>"), "{card}");
    a.message(known, "the first");
    a.message(known, "the same again");
    a.message(unknown, "one too many");
    let refused = a.expect("</message>");
    assert!(
        refused.contains(&format!("from='{unknown}@localhost'")) && refused.contains("<policy-violation "),
        "{refused}"
    );
}

#[test]
fn strangers_are_asked_or_refused_where_the_exchange_says_so() {
    for (word, condition) in [("ask", "<subscription-required "), ("refuse", "<service-unavailable ")] {
        let house = house(&format!("[privacy]\nstrangers = \"{word}\"\n"));
        let (_, mut a) = online(&house);
        let (second, _b) = online(&house);
        a.message(second, "hello");
        let refused = a.expect("</message>");
        assert!(refused.contains(condition), "{word}: {refused}");
    }
}
